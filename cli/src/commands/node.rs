//! `lockstep node`: a chain with the precompile, on this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::{B256, hex};
use lockstep_node_ext::cache::source;
use lockstep_node_ext::care::Defences;
use lockstep_node_ext::crosscheck;
use lockstep_node_ext::dev::{DEV_BALANCE_ETHER, DEV_MNEMONIC, dev_accounts};
use lockstep_node_ext::memo::BLOCK_BYTES;
use lockstep_node_ext::publish::DirectoryError;
use lockstep_node_ext::rpc::engine::{DEFAULT_AUTH_PORT, JwtSecret};
use lockstep_node_ext::storage::DATABASE_CACHE;
use lockstep_node_ext::{
    DEFAULT_HTTP_PORT, EngineConfig, GenesisSource, LaunchError, Node, NodeConfig, NodeHandle,
    default_pre_execution_threads,
};

use crate::failure::Failure;
use crate::files;
use crate::output::{Output, write_stdout};
use crate::report::{call, model, number::grouped};

/// Run a node: a dev chain in this process, or a chain from a genesis
///
/// Ctrl-C stops it. Every acknowledged block is on disk by then, where --datadir is given.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("chain").required(true), after_help = "Examples:
  lockstep node --dev --models .                        every .lsm here is published and active when the node is up
  lockstep node --dev --datadir chain                   the chain survives a restart
  lockstep node --genesis genesis.json --datadir chain --import chain.rlp
  lockstep node --genesis genesis.json --datadir chain --jwt-secret jwt.hex     a consensus client decides, by the Engine API

Then, in another shell:
  lockstep publish risk.lsm --rpc http://127.0.0.1:8545
  forge create src/App.sol:App --rpc-url http://127.0.0.1:8545 --private-key KEY --broadcast")]
pub(crate) struct Args {
    /// A dev chain: funded test accounts, a block for each transaction
    #[arg(long, group = "chain")]
    dev: bool,
    /// The chain's genesis file
    #[arg(long, value_name = "FILE", group = "chain")]
    genesis: Option<PathBuf>,
    /// A file of RLP blocks to import at start
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,
    /// A folder whose model files (*.lsm) are published at first start
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Where the chain is kept; in memory where not given
    #[arg(long, value_name = "DIR")]
    datadir: Option<PathBuf>,
    /// Port of JSON-RPC; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_HTTP_PORT)]
    http_port: u16,
    /// Address where JSON-RPC listens
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    http_addr: IpAddr,
    /// Port of the Engine API, by which a consensus client decides about blocks; 0 takes a free one. On where one of the
    /// three options about it is given, 8551 where not named
    #[arg(long, value_name = "PORT")]
    authrpc_port: Option<u16>,
    /// Address where the Engine API listens; 127.0.0.1 where not given
    #[arg(long, value_name = "IP")]
    authrpc_addr: Option<IpAddr>,
    /// The secret shared with the consensus client, 64 hexadecimal digits; made where it is not there. DATADIR/jwt.hex
    /// where not given
    #[arg(long, value_name = "FILE")]
    jwt_secret: Option<PathBuf>,
    /// Seconds between blocks, instead of a block for each transaction
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    block_time: Option<Duration>,
    /// Threads that run waiting transactions ahead of their block, so that it finds their inferences done; 0: none.
    /// A quarter of the cores where not given
    #[arg(long, value_name = "N")]
    pre_execution_threads: Option<usize>,
    /// Models on disk (`lockstep models`): weights that are off chain are kept and read here. DATADIR/models where not given
    #[arg(long, value_name = "DIR", env = "LOCKSTEP_CACHE")]
    cache: Option<PathBuf>,
    /// Where weights come from that are off chain: a directory, http(s)://…, s3://bucket/prefix or peer:URL of a node; may be given several
    /// times, the next is asked where one fails
    #[arg(long, value_name = "SOURCE")]
    model_source: Vec<String>,
    /// Bytes of memory that resident models may take; an active model beyond it is not loaded, and what calls it waits
    #[arg(long, value_name = "BYTES")]
    model_memory: Option<u64>,
    /// Bytes of the database that are kept in memory
    #[arg(long, value_name = "BYTES", default_value_t = DATABASE_CACHE)]
    database_cache: usize,
    /// Bytes of answers that are remembered for blocks; calls get a quarter of it more
    #[arg(long, value_name = "BYTES", default_value_t = BLOCK_BYTES)]
    memo_memory: usize,
    /// What happens when the cross-check finds an answer that the reference does not give
    #[arg(long, value_enum, default_value_t = OnDifference::Alert)]
    on_difference: OnDifference,
}

/// What a difference does, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OnDifference {
    /// It is told, and the node goes on
    Alert,
    /// The node seals nothing more until it is started again; it serves on
    Halt,
}

pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds, as in 2 or 0.5")?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|d| *d >= Duration::from_millis(10))
        .ok_or("at least 0.01 seconds".into())
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    if !args.dev && (args.models.is_some() || args.block_time.is_some()) {
        let hint = "publish with `lockstep publish MODEL.lsm --rpc URL`";
        return Err(Failure::Usage(format!("--models and --block-time need --dev; on another chain, {hint}")));
    }
    if let Some(dir) = args.models.as_ref().filter(|d| !d.is_dir()) {
        return Err(Failure::Usage(format!("--models {} is no folder", dir.display())));
    }
    for text in &args.model_source {
        source::parse(text, source::STALL).map_err(|e| Failure::Usage(format!("--model-source {text}: {e}")))?;
    }
    let engine = engine(&args)?;
    let config = NodeConfig {
        engine,
        genesis: args.genesis.clone().map_or(GenesisSource::Dev, GenesisSource::File),
        datadir: args.datadir.clone(),
        http_addr: SocketAddr::new(args.http_addr, args.http_port),
        models_dir: args.models.clone(),
        block_time: args.block_time,
        import: args.import.clone(),
        pre_execution_threads: args.pre_execution_threads.unwrap_or_else(default_pre_execution_threads),
        model_memory: args.model_memory,
        database_cache: args.database_cache,
        memo_memory: args.memo_memory,
        cache: args.cache.clone(),
        model_sources: args.model_source.clone(),
        on_difference: match args.on_difference {
            OnDifference::Alert => crosscheck::OnDifference::Alert,
            OnDifference::Halt => crosscheck::OnDifference::Halt,
        },
        defences: Defences::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let node = Node::launch(config).await.map_err(failure)?;
        write_stdout(&banner(&args, &node));
        wait_for_stop().await?;
        eprintln!("stopping");
        node.stop().await;
        Ok(Output::default())
    })
}

/// Where the Engine API listens, where it is wanted.
fn engine(args: &Args) -> Result<Option<EngineConfig>, Failure> {
    if args.authrpc_port.is_none() && args.authrpc_addr.is_none() && args.jwt_secret.is_none() {
        return Ok(None);
    }
    if args.dev {
        return Err(Failure::Usage(LaunchError::EngineOnDev.to_string()));
    }
    let in_datadir = || args.datadir.as_ref().map(|dir| dir.join("jwt.hex"));
    let file = args.jwt_secret.clone().or_else(in_datadir).ok_or_else(|| {
        Failure::Usage("the Engine API needs a secret: name its file with --jwt-secret, or give a --datadir".into())
    })?;
    let secret = JwtSecret::read_or_create(&file).map_err(|e| Failure::Other(e.into()))?;
    let ip = args.authrpc_addr.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Ok(Some(EngineConfig { address: SocketAddr::new(ip, args.authrpc_port.unwrap_or(DEFAULT_AUTH_PORT)), secret }))
}

pub(super) async fn wait_for_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            r = tokio::signal::ctrl_c() => r,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

fn failure(e: LaunchError) -> Failure {
    let text = || e.to_string();
    match &e {
        LaunchError::ModelsNeedDev | LaunchError::EngineOnDev => Failure::Usage(text()),
        LaunchError::Publish(DirectoryError::Publish { path, source }) => match source {
            lockstep_node_ext::publish::PublishError::Model(_) => {
                Failure::refused(path.display().to_string(), source.to_string())
            }
            _ => Failure::Other(anyhow::anyhow!("{}", text())),
        },
        LaunchError::Genesis(g) if !matches!(g, lockstep_node_ext::chain::GenesisError::File { .. }) => {
            Failure::refused("the genesis", text())
        }
        _ => Failure::Other(anyhow::anyhow!("{}", text())),
    }
}

/// What a person wants to know when the node is up.
fn banner(args: &Args, node: &NodeHandle) -> String {
    let url = format!("http://{}", node.http_addr());
    let spec = node.chain().spec();
    let kind = if args.dev { "dev chain" } else { "chain" };
    let head = node.chain().head().header.number;
    let mut out =
        format!("Lockstep {}: {kind} {}, JSON-RPC at {url}, block {head}\n", env!("CARGO_PKG_VERSION"), spec.chain_id);
    match &args.datadir {
        Some(dir) => out.push_str(&format!("kept in {}\n", dir.display())),
        None => out.push_str("kept in memory: it is gone when the node stops (--datadir keeps it)\n"),
    }
    if let Some(address) = node.engine_addr() {
        out.push_str(&format!("Engine API at http://{address}\n"));
    }
    if spec.lockstep.is_none() {
        out.push_str("the genesis has no config.lockstep: a plain Ethereum chain, without inference\n");
    }
    if args.dev {
        out.push_str(&accounts(args.http_addr));
    }
    out.push_str(&models(node, &url));
    out
}

fn accounts(listening: IpAddr) -> String {
    let mut out = format!("\naccounts, {} ether each\n", grouped(DEV_BALANCE_ETHER));
    for (k, signer) in dev_accounts().iter().enumerate() {
        out.push_str(&format!("  ({k}) {}  {}\n", signer.address(), hex::encode_prefixed(signer.to_bytes())));
    }
    out.push_str(&format!(
        "  from the mnemonic \"{DEV_MNEMONIC}\"\n\
         \x20 WARNING: EVERYBODY HAS THESE KEYS. What is sent to these accounts on any other network is stolen at once.\n"
    ));
    if !listening.is_loopback() {
        out.push_str(
            "  WARNING: this node listens beyond this machine, and whoever reaches it can do anything to this chain.\n",
        );
    }
    out
}

fn models(node: &NodeHandle, url: &str) -> String {
    let head = node.chain().head().header.number;
    let mut out = String::from("\nmodels\n");
    let mut line = None;
    let published: Vec<B256> = node.published().iter().map(|p| p.published.model_id).collect();
    for p in node.published() {
        let state = state(head, p.published.activation_block);
        let gas = match p.published.gas_used {
            0 => "on the chain already".to_owned(),
            gas => format!("{} gas to publish", grouped(gas)),
        };
        out.push_str(&format!("  {}  {}  {state}, {gas}\n", p.published.model_id, file_name(&p.path)));
        if line.is_none() {
            line = files::read_model(&p.path).ok().map(|f| call::cast_line(&f.loaded, url));
        }
    }
    for id in node.models().ids().into_iter().filter(|id| !published.contains(id)) {
        let model = lockstep_precompile::ModelStore::get(node.models().as_ref(), &id).ok();
        let name = model.as_ref().and_then(|m| model::card_text(m, "name")).unwrap_or_default();
        out.push_str(&format!("  {id}  {name}  in memory\n"));
        if line.is_none() {
            line = model.map(|m| call::cast_line(&m, url));
        }
    }
    match line {
        Some(line) => out.push_str(&format!("\ntry it:\n  {line}\n")),
        None => out.push_str(&format!("  none yet: lockstep publish MODEL.lsm --rpc {url}\n")),
    }
    out
}

fn state(head: u64, activation: u64) -> String {
    // A call made now runs in the next block.
    if head + 1 >= activation { "active".into() } else { format!("active from block {activation}") }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
