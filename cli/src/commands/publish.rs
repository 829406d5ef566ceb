//! `lockstep publish`: a model onto a chain, by transactions that can be taken up again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use alloy_primitives::{B256, U256, utils::format_ether};
use alloy_signer_local::{LocalSigner, PrivateKeySigner};
use lockstep_engine::Limits;
use lockstep_node_ext::chain::genesis::DEV_CHAIN_ID;
use lockstep_node_ext::dev::dev_accounts;
use lockstep_node_ext::publish::{Plan, Progress as Step, PublishError, Transport, plan, publish};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::files;
use crate::output::{Output, write_stdout};
use crate::progress::Progress;
use crate::report::number::{bytes, grouped};
use crate::report::{call, table::Table};
use crate::rpc::{Client, Sender};

/// Publish a model: store it, register it, activate it
///
/// The cost is printed before anything is sent. What is on the chain already is not sent again, so an interrupted run is
/// taken up by the same command. Anyone may publish; a model belongs to nobody.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep publish risk.lsm --rpc http://127.0.0.1:8545                on a dev chain, by its first account
  lockstep publish risk.lsm --rpc URL --dry-run                        what it would cost
  lockstep publish large.lsm --rpc URL --wait                          return when it can be called
  LOCKSTEP_PASSWORD=… lockstep publish risk.lsm --rpc URL --account keystore.json
  LOCKSTEP_PRIVATE_KEY=0x… lockstep publish risk.lsm --rpc URL

A key on the command line would lie in the shell's history: it is taken from the environment only.")]
pub(crate) struct Args {
    /// The model
    model: PathBuf,
    /// JSON-RPC of a node
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// A keystore file of the account that pays; its password is in LOCKSTEP_PASSWORD or --password-file
    #[arg(long, value_name = "KEYSTORE")]
    account: Option<PathBuf>,
    /// A file with the keystore's password
    #[arg(long, value_name = "FILE", requires = "account")]
    password_file: Option<PathBuf>,
    /// Not available yet
    #[arg(long, value_name = "NAME", hide = true)]
    alias: Option<String>,
    /// Print the cost and what is on the chain already; send nothing
    #[arg(long)]
    dry_run: bool,
    /// Return when the model can be called: one block and one more for each MiB after its activation. A dev chain is asked
    /// to make them; elsewhere they come as they come
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How long a node may take to have an active model in memory, and how long no block may come.
const PATIENCE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(200);
const BLOCKS_AT_ONCE: u64 = 16;

/// Waits until the model can be called at this node.
fn wait(sender: &Sender, chain_id: u64, id: B256, activation: u64) -> Result<(), PublishError> {
    let client = sender.client();
    let first = client.block_number()?;
    let bar = Progress::new("waiting", activation.saturating_sub(first), "blocks");
    let (mut head, mut changed) = (first, Instant::now());
    while head < activation {
        if chain_id == DEV_CHAIN_ID {
            let blocks = (activation - head).min(BLOCKS_AT_ONCE);
            client.call::<Value>("anvil_mine", json!([format!("{blocks:#x}")]))?;
        } else {
            std::thread::sleep(POLL);
        }
        let now = client.block_number()?;
        if now != head {
            (head, changed) = (now, Instant::now());
            bar.at(head.saturating_sub(first));
        } else if changed.elapsed() > PATIENCE {
            return Err(PublishError::Transport(format!(
                "no block came after {head} for {} minutes",
                PATIENCE.as_secs() / 60
            )));
        }
    }
    drop(bar);
    // Large models load beside the chain. A node of another kind does not tell, and is not waited for.
    let began = Instant::now();
    while let Ok(models) = client.call::<Value>("lockstep_models", json!([])) {
        let all = models.as_array().map(Vec::as_slice).unwrap_or_default();
        if all.iter().any(|m| m["modelId"] == json!(id) && m["resident"] == json!(true)) {
            break;
        }
        if began.elapsed() > PATIENCE {
            return Err(PublishError::Transport(format!("the node does not load the model {id}; its log says why")));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    if args.alias.is_some() {
        return Err(Failure::Usage("--alias is not available yet; contracts name the model by its id".into()));
    }
    let file = files::read(&args.model)?;
    let name = args.model.display().to_string();
    let model = files::read_model(&args.model)?.loaded;
    let plan = plan(&file, &Limits::default()).map_err(|e| failure(&name, e))?;
    let client = Client::new(&args.rpc);
    let chain_id = client.chain_id().map_err(|e| failure(&name, e))?;
    let (base, tip) = client.fees().map_err(|e| failure(&name, e))?;
    let price = base.saturating_add(tip);
    if !args.json {
        write_stdout(&cost_text(&plan, &args.rpc, chain_id, price));
    }
    let signer = signer(&args, chain_id)?;
    let mut sender = Sender::new(client, signer).map_err(|e| failure(&name, e))?;
    if args.dry_run {
        return dry_run(&plan, &mut sender, chain_id, price, &name);
    }

    let bar = Progress::new("publishing", plan.cost.transactions as u64, "transactions");
    let (chunks, registering) = (plan.chunks.len(), plan.cost.register_transactions);
    let done = publish(&plan, &mut sender, &mut |step| match step {
        Step::Chunks { stored, .. } => bar.at(stored as u64),
        Step::Listed { listed, all } => bar.at((chunks + 1 + (registering - 1) * listed / all.max(1)) as u64),
        Step::Registered => bar.at((chunks + registering) as u64),
        Step::Activated => bar.at((chunks + registering) as u64 + 1),
    });
    drop(bar);
    let done = done.map_err(|e| failure(&name, e))?;
    if args.wait {
        wait(&sender, chain_id, done.model_id, done.activation_block).map_err(|e| failure(&name, e))?;
    }

    let line = call::cast_line(&model, &args.rpc);
    let what = if done.transactions == 0 {
        "it was on the chain already".to_owned()
    } else {
        format!("{} transactions, {} gas", done.transactions, grouped(done.gas_used))
    };
    let mut text = format!(
        "\nmodelId   {}\nactive    from block {}\nsent      {what}\n\ntry it:\n  {line}\n",
        plan.model_id, done.activation_block
    );
    let head = sender.client().block_number().map_err(|e| failure(&name, e))?;
    if head + 1 < done.activation_block {
        text.push_str(&format!(
            "\nblock {head} is the latest; the same command with --wait waits until it can be called\n"
        ));
    }
    let mut json = plan_json(&plan, chain_id, price);
    json["activationBlock"] = json!(done.activation_block);
    json["gasUsed"] = json!(done.gas_used);
    json["transactions"] = json!(done.transactions);
    json["sender"] = json!(sender.address());
    json["call"] = json!(line);
    Ok(Output::new(text, json))
}

/// Only what the file is at fault for is refused; the rest is the chain's or the network's.
pub(crate) fn failure(name: &str, e: PublishError) -> Failure {
    match e {
        PublishError::Model(_) => Failure::refused(name, e.to_string()),
        e => Failure::Other(anyhow::anyhow!("{e}")),
    }
}

fn cost_text(plan: &Plan, url: &str, chain_id: u64, price: u128) -> String {
    let mut t = Table::new(&["step", ">transactions", ">gas"]);
    let c = &plan.cost;
    t.row([
        format!("store {}", bytes((plan.graph_length + plan.weights_length) as u64)),
        plan.chunks.len().to_string(),
        grouped(c.chunks),
    ]);
    t.row(["register".into(), c.register_transactions.to_string(), grouped(c.register)]);
    t.row(["activate".into(), "1".into(), grouped(c.activate)]);
    t.row(["all".into(), c.transactions.to_string(), grouped(c.total())]);
    let ether = format_ether(U256::from(c.total()) * U256::from(price));
    format!(
        "publishing {}\non chain {chain_id} at {url}\n{}  about {ether} ether at the present gas price; callable {} block{} after activation\n",
        plan.model_id,
        t.render(),
        c.delay,
        if c.delay == 1 { "" } else { "s" }
    )
}

fn plan_json(plan: &Plan, chain_id: u64, price: u128) -> Value {
    let c = &plan.cost;
    json!({
        "modelId": plan.model_id,
        "chainId": chain_id,
        "plan": {
            "chunks": plan.chunks.len(),
            "transactions": c.transactions,
            "registerTransactions": c.register_transactions,
            "gas": { "chunks": c.chunks, "register": c.register, "activate": c.activate, "total": c.total() },
            "gasPriceWei": price.to_string(),
            "blocksUntilCallable": c.delay,
        },
    })
}

fn dry_run(plan: &Plan, sender: &mut Sender, chain_id: u64, price: u128, name: &str) -> Result<Output, Failure> {
    let addresses: Vec<_> = plan.chunks.iter().map(|chunk| chunk.address).collect();
    let there = sender.have_code(&addresses).map_err(|e| failure(name, e))?;
    let stored = there.into_iter().filter(|there| *there).count();
    let balance = sender.balance().map_err(|e| failure(name, e))?;
    let text = format!(
        "\ndry run: nothing was sent\non the chain already: {stored} of {} chunks\nthe account {} holds {} ether\n",
        plan.chunks.len(),
        sender.address(),
        format_ether(balance)
    );
    let mut json = plan_json(plan, chain_id, price);
    json["dryRun"] = json!(true);
    json["chunksStored"] = json!(stored);
    json["sender"] = json!(sender.address());
    json["balanceWei"] = json!(balance.to_string());
    Ok(Output::new(text, json))
}

/// The account that pays.
fn signer(args: &Args, chain_id: u64) -> Result<PrivateKeySigner, Failure> {
    if let Some(path) = &args.account {
        let password = match (&args.password_file, std::env::var("LOCKSTEP_PASSWORD")) {
            (Some(file), _) => String::from_utf8_lossy(&files::read(file)?).trim_end_matches(['\r', '\n']).to_owned(),
            (None, Ok(password)) => password,
            (None, Err(_)) => {
                return Err(Failure::Usage(
                    "the keystore's password is missing: set LOCKSTEP_PASSWORD or give --password-file".into(),
                ));
            }
        };
        return LocalSigner::decrypt_keystore(path, password)
            .map_err(|e| Failure::Other(anyhow::anyhow!("the keystore {} does not open: {e}", path.display())));
    }
    if let Ok(key) = std::env::var("LOCKSTEP_PRIVATE_KEY") {
        // The error is not shown: it might quote the key.
        return key
            .trim()
            .parse()
            .map_err(|_| Failure::Usage("LOCKSTEP_PRIVATE_KEY is no private key (64 hex digits)".into()));
    }
    if chain_id == DEV_CHAIN_ID {
        return dev_accounts()
            .into_iter()
            .next()
            .ok_or_else(|| Failure::Other(anyhow::anyhow!("there is no dev account")));
    }
    Err(Failure::Usage(format!(
        "chain {chain_id} is no dev chain, so an account must pay: give --account KEYSTORE, or set LOCKSTEP_PRIVATE_KEY"
    )))
}
