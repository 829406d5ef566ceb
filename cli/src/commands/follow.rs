//! `lockstep follow`: the cross-check beside somebody else's node.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lockstep_node_ext::care::SelfTest;
use lockstep_node_ext::chain::genesis::read_genesis;
use lockstep_node_ext::follow::{End, Follow, FollowConfig, FollowError, OnFinding, Serving, Status};
use serde_json::json;

use super::node::{parse_seconds, wait_for_stop};
use crate::failure::Failure;
use crate::output::{Output, write_stdout};
use crate::report::number::grouped;

/// The port where a sidecar listens, where none is given.
const DEFAULT_PORT: u16 = 8565;
/// The end that comes by itself is looked for so often.
const LOOK: Duration = Duration::from_millis(200);

/// Follow a node that you do not trust: recompute every inference of its blocks, and tell what is wrong
///
/// Each block's list of inferences is held against what its header commits to, so that the node can hide none; then each is
/// recomputed by the scalar reference and by candle. Models come from --models-from, and from the node itself; every byte is
/// checked by the model's id. NOT checked: calls that failed, gas, everything that is no inference, and whether the blocks are
/// those that others have (compare the hashes of the verdicts).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep follow --rpc http://10.0.0.5:8545                       from its head on, until Ctrl-C
  lockstep follow --rpc ws://10.0.0.5:8545 --on-finding exit       hears of heads at once; ends at the first finding
  lockstep follow --rpc http://10.0.0.5:8545 --from 1 --once       everything up to the head, then a summary; status 1 with findings
  curl -s localhost:8565/metrics
  lockstep run DIR/findings/MODEL.lsm --compare --inputs DIR/findings/FINDING.json     here and on another machine

It goes on where it ended. docs/operating.md tells what each alarm means.")]
pub(crate) struct Args {
    /// The node: http://…, https://…, ws://… or wss://…
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// Where verdicts, findings and models are kept
    #[arg(long, value_name = "DIR", default_value = "lockstep-follow")]
    datadir: PathBuf,
    /// The chain's genesis file: its limits, and from which block on headers commit to inferences. Without it the rules are
    /// those that `lockstep genesis` writes
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// The first block to check, where nothing was read yet; the head where not given
    #[arg(long, value_name = "BLOCK")]
    from: Option<u64>,
    /// End when everything up to the head is checked
    #[arg(long)]
    once: bool,
    /// Where models come from before the node itself is asked: a directory, http(s)://…, s3://bucket/prefix, peer:URL
    #[arg(long, value_name = "SOURCE")]
    models_from: Vec<String>,
    /// Bytes of disk that models may take; the ones used longest ago make room
    #[arg(long, value_name = "BYTES", default_value_t = 20 << 30)]
    budget: u64,
    /// Bytes of memory that models may take
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 30)]
    model_memory: u64,
    /// What a finding does, or something that the node is proven to have done wrong
    #[arg(long, value_enum, default_value_t = Policy::Alert)]
    on_finding: Policy,
    /// Seconds between questions for the head; over WebSocket the node tells
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_seconds)]
    poll: Duration,
    /// Seconds after which a question without an answer is given up
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    stall: Duration,
    /// Port of metrics and JSON-RPC (lockstep_follow, lockstep_findings, lockstep_faults, …); 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    http_port: u16,
    /// Address where they listen
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    http_addr: IpAddr,
    /// Print the summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a finding does, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Policy {
    /// It is told, and the following goes on
    Alert,
    /// It is told, and the command ends with status 1
    Exit,
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let genesis = args.genesis.as_deref().map(read_genesis).transpose();
    let genesis = genesis.map_err(|e| failure(e.into()))?.map(Box::new);
    // A machine that computes something else would accuse an honest node.
    SelfTest::default().run().map_err(|e| {
        Failure::Other(anyhow::anyhow!(
            "the self-test failed, and this machine judges nobody: {e}; `lockstep doctor` says more"
        ))
    })?;
    let config = FollowConfig {
        genesis,
        from: args.from,
        once: args.once,
        poll: args.poll,
        stall: args.stall,
        sources: args.models_from.clone(),
        budget: Some(args.budget),
        model_memory: args.model_memory,
        on_finding: match args.on_finding {
            Policy::Alert => OnFinding::Alert,
            Policy::Exit => OnFinding::Exit,
        },
        ..FollowConfig::new(&args.rpc, &args.datadir)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // A port in use is found out before the node is asked anything.
    let address = SocketAddr::new(args.http_addr, args.http_port);
    lockstep_node_ext::rpc::check_address(address).map_err(|e| Failure::Other(e.into()))?;
    let follow = Arc::new(Follow::start(config).map_err(failure)?);
    let ended = runtime.block_on(async {
        let serving = Serving::start(follow.clone(), address).await.map_err(|e| Failure::Other(e.into()))?;
        if !args.json {
            write_stdout(&banner(&args, &follow, serving.address)?);
        }
        let waiting = follow.clone();
        let end = tokio::task::spawn_blocking(move || {
            loop {
                // Where nobody waits any more, this is the last holder of what is followed.
                match waiting.wait(LOOK) {
                    None if Arc::strong_count(&waiting) > 1 => {}
                    end => return end,
                }
            }
        });
        let end = tokio::select! {
            end = end => end.unwrap_or_default(),
            stop = wait_for_stop() => { stop?; None }
        };
        serving.stop().await;
        Ok::<_, Failure>(end)
    });
    follow.stop();
    let status = follow.status().map_err(|e| Failure::Other(e.into()))?;
    let found = follow.found();
    // The thread that waits for the end sees that nobody else does.
    drop(follow);
    runtime.shutdown_timeout(Duration::from_secs(1));
    summary(&args, &status, found, ended?)
}

fn banner(args: &Args, follow: &Follow, address: SocketAddr) -> Result<String, Failure> {
    let status = follow.status().map_err(|e| Failure::Other(e.into()))?;
    let begins = match (status.read, args.from) {
        (Some(read), _) => format!("going on after block {read}"),
        (None, Some(from)) => format!("from block {from} on"),
        (None, None) => "from its head on".to_owned(),
    };
    Ok(format!(
        "following chain {} at {}, {begins}\ngenesis {}{}\nkept in {}; metrics at http://{address}/metrics\n",
        status.chain_id,
        status.rpc,
        status.genesis,
        if args.genesis.is_some() {
            ", as --genesis says"
        } else {
            ", as the node says: compare it, or give --genesis"
        },
        args.datadir.display(),
    ))
}

fn summary(args: &Args, status: &Status, found: (u64, u64), end: Option<End>) -> Result<Output, Failure> {
    let (findings, faults) = found;
    let c = &status.checks;
    let text = format!(
        "read up to block {} of {}; {} headers held against their lists\n{} inferences recomputed, {} wrong; {} skipped, {} that could not be recomputed, {} wait\n{} alerts of candle, {} faults of the node, {} requests without an answer\n",
        status.read.map_or("none".into(), grouped),
        grouped(status.head),
        grouped(status.roots),
        grouped(c.checked),
        grouped(findings),
        grouped(c.skipped),
        grouped(c.failed),
        grouped(c.pending),
        grouped(c.alerts),
        grouped(faults),
        grouped(status.troubles),
    );
    let found = findings + faults > 0;
    if found || matches!(end, Some(End::Found(_))) {
        let why = match end {
            Some(End::Found(text)) => text,
            _ => format!(
                "{findings} findings and {faults} faults of the node: see the lines above, and {}",
                args.datadir.join("findings").display()
            ),
        };
        Output::new(text, json!(status)).print(args.json);
        return Err(Failure::Differs(why));
    }
    if let Some(End::Failed(reason)) = end {
        return Err(Failure::Other(anyhow::anyhow!("{reason}")));
    }
    // An operator's job that checked nothing must not look as if it had.
    if args.once && status.read.is_none() {
        return Err(Failure::Usage(format!(
            "nothing was read: --from is after the node's head, block {}",
            grouped(status.head)
        )));
    }
    Ok(Output::new(text, json!(status)))
}

fn failure(error: FollowError) -> Failure {
    let text = error.to_string();
    match error {
        FollowError::Url(_) | FollowError::Source(_) | FollowError::OtherChain { .. } => Failure::Usage(text),
        FollowError::Node(_) => Failure::Differs(text),
        FollowError::NoCommitment => Failure::refused("the chain", text),
        FollowError::Genesis(e) if !matches!(e, lockstep_node_ext::chain::GenesisError::File { .. }) => {
            Failure::refused("the genesis", text)
        }
        _ => Failure::Other(anyhow::anyhow!("{text}")),
    }
}
