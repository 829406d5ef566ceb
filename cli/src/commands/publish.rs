//! `lockstep publish`: a model onto a chain, by transactions that can be taken up again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use alloy_primitives::{B256, U256, utils::format_ether};
use lockstep_engine::Limits;
use lockstep_node_ext::cache::Cache;
use lockstep_node_ext::chain::genesis::DEV_CHAIN_ID;
use lockstep_node_ext::models::StoredModel;
use lockstep_node_ext::publish::off_chain::{self, Holder};
use lockstep_node_ext::publish::{Plan, Progress as Step, PublishError, Registration, Transport, plan, publish};
use serde_json::{Value, json};

use crate::commands::models;
use crate::failure::Failure;
use crate::files;
use crate::output::{Output, write_stdout};
use crate::progress::Progress;
use crate::report::number::{bytes, grouped};
use crate::report::{call, table::Table};
use crate::rpc::{Account, Client, Reader, Sender};

/// Publish a model: store it, register it, activate it
///
/// The cost is printed before anything is sent. What is on the chain already is not sent again, so an interrupted run is
/// taken up by the same command. Anyone may publish; a model belongs to nobody.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep publish risk.lsm --rpc http://127.0.0.1:8545                on a dev chain, by its first account
  lockstep publish risk.lsm --rpc URL --dry-run                        what it would cost
  lockstep publish large.lsm --rpc URL --wait                          return when it can be called
  lockstep publish large.lsm --rpc URL --weights-off-chain             90 MB in seconds; attesters must hold the weights
  LOCKSTEP_PASSWORD=… lockstep publish risk.lsm --rpc URL --account keystore.json
  LOCKSTEP_PRIVATE_KEY=0x… lockstep publish risk.lsm --rpc URL

A key on the command line would lie in the shell's history: it is taken from the environment only.")]
pub(crate) struct Args {
    /// The model
    model: PathBuf,
    /// JSON-RPC of a node
    #[arg(long, value_name = "URL")]
    rpc: String,
    #[command(flatten)]
    account: Account,
    /// Store the graph alone: nodes get the weights from --cache or from each other, attesters say that they hold them, and
    /// the slot costs a deposit, given back when storage duty ends
    #[arg(long)]
    weights_off_chain: bool,
    /// Where models lie on this machine (`lockstep models`); with --weights-off-chain the model is put there
    #[arg(long, value_name = "DIR", env = "LOCKSTEP_CACHE", default_value = "lockstep-models")]
    cache: PathBuf,
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
    let made = if args.weights_off_chain { off_chain::plan } else { plan };
    let plan = made(&file, &Limits::default()).map_err(|e| failure(&name, e))?;
    let client = Client::new(&args.rpc);
    let chain_id = client.chain_id().map_err(|e| failure(&name, e))?;
    let (base, tip) = client.fees().map_err(|e| failure(&name, e))?;
    let price = base.saturating_add(tip);
    let deposit = match args.weights_off_chain {
        true => off_chain::deposit(&mut Reader(&client), plan.weights_length).map_err(|e| failure(&name, e))?,
        false => U256::ZERO,
    };
    if !args.json {
        write_stdout(&cost_text(&plan, &args.rpc, chain_id, price));
        if args.weights_off_chain {
            write_stdout(&format!(
                "{} of weights stay off chain; the slot's deposit is {} ether, given back when storage duty ends\n",
                bytes(plan.weights_length as u64),
                format_ether(deposit)
            ));
        }
    }
    let signer = args.account.signer(chain_id)?;
    let mut sender = Sender::new(client, signer).map_err(|e| failure(&name, e))?;
    if args.dry_run {
        let mut dry = dry_run(&plan, &mut sender, chain_id, price, &name)?;
        dry.json["depositWei"] = json!(deposit.to_string());
        return Ok(dry);
    }

    let bar = Progress::new("publishing", plan.cost.transactions as u64, "transactions");
    let (chunks, registering) = (plan.chunks.len(), plan.cost.register_transactions);
    let mut attested = None;
    let mut steps = |step| match step {
        Step::Chunks { stored, .. } => bar.at(stored as u64),
        Step::Listed { listed, all } => bar.at((chunks + 1 + (registering - 1) * listed / all.max(1)) as u64),
        Step::Attested { count, quorum } => attested = Some((count, quorum)),
        Step::Registered => bar.at((chunks + registering) as u64),
        Step::Activated => bar.at((chunks + registering) as u64 + 1),
    };
    let mut warnings = Vec::new();
    let done = if args.weights_off_chain {
        let model = provide(&args, &file, sender.client(), &mut warnings)?;
        let signer = sender.signer().clone();
        let holder = Holder { chain_id, signer: &signer, model: &model };
        off_chain::publish(&plan, &holder, &mut sender, &mut steps)
    } else {
        publish(&plan, &mut sender, &mut steps)
    };
    drop(bar);
    let done = done.map_err(|e| failure(&name, e))?;
    if let (0, Some((count, quorum))) = (done.activation_block, attested) {
        return Ok(waiting(&plan, &args.rpc, chain_id, price, (count, quorum)).with_warnings(warnings));
    }
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
    if args.weights_off_chain {
        json["depositWei"] = json!(deposit.to_string());
    }
    Ok(Output::new(text, json).with_warnings(warnings))
}

/// Puts the model into the cache of this machine, and has the node take it from there. A node elsewhere has to get it by
/// itself, which is said.
fn provide(args: &Args, file: &[u8], client: &Client, warnings: &mut Vec<String>) -> Result<StoredModel, Failure> {
    let cache = Cache::open(&args.cache, None).map_err(models::failure)?;
    let id = cache.add(file, &Limits::default()).map_err(models::failure)?;
    let model = cache.read(id).map_err(models::failure)?;
    // The node opens it too.
    drop(cache);
    let source = std::path::absolute(&args.cache)?.display().to_string();
    if let Err(error) = client.call::<Value>("lockstep_fetchModel", json!([id, [source]])) {
        warnings.push(format!(
            "the node did not take the weights from {} ({error}): nodes need them from elsewhere before they can answer \
             (lockstep node --model-source, lockstep models fetch)",
            args.cache.display()
        ));
    }
    Ok(model)
}

/// The quorum is not there yet.
fn waiting(plan: &Plan, url: &str, chain_id: u64, price: u128, (count, quorum): (u16, u16)) -> Output {
    let id = plan.model_id;
    let text = format!(
        "\nmodelId   {id}\nattested  {count} of {quorum}\n\neach attester, with the weights in its cache:\n  lockstep models attest {id} --rpc {url} --account KEYSTORE\nthen the same command again activates the model\n"
    );
    let mut json = plan_json(plan, chain_id, price);
    json["attested"] = json!(count);
    json["quorum"] = json!(quorum);
    json["activationBlock"] = Value::Null;
    Output::new(text, json)
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
    let off_chain = matches!(plan.registration, Registration::OffChain(_));
    let stored = plan.graph_length + if off_chain { 0 } else { plan.weights_length };
    t.row([format!("store {}", bytes(stored as u64)), plan.chunks.len().to_string(), grouped(c.chunks)]);
    let register = if off_chain { "open, ask, attest" } else { "register" };
    t.row([register.into(), c.register_transactions.to_string(), grouped(c.register)]);
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
