//! `lockstep genesis`: the genesis of a chain of one's own, to start from.

use std::path::PathBuf;

use alloy_primitives::{Address, U256, utils::parse_ether};
use lockstep_node_ext::chain::genesis::{dev_config, plain_dev_genesis, set_lockstep_config};
use lockstep_precompile::{Attestation, LockstepConfig};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::files;
use crate::output::Output;

/// Print the dev chain's genesis, to start a chain of your own from
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep genesis > genesis.json
  lockstep genesis --chain-id 4711 -o genesis.json && lockstep node --genesis genesis.json --datadir chain
  lockstep genesis --attester 0xA… --attester 0xB… --attester 0xC… --quorum 2 --slot-deposit 10 --notice-blocks 216000

It funds ten accounts whose keys everybody has: replace them in `alloc` before anything of value lies on the chain.
`config.lockstep` holds the chain's limits and gas table; the registry and the code at 0x…0A11 must stay as they are.")]
pub(crate) struct Args {
    /// Another chain id
    #[arg(long, value_name = "N")]
    chain_id: Option<u64>,
    /// Leave out config.lockstep: a plain Ethereum chain
    #[arg(long)]
    plain: bool,
    /// An account that attests that it holds weights which are off chain; may be given several times. The dev chain's first
    /// account, whose key everybody has, where none is given
    #[arg(long, value_name = "ADDRESS", conflicts_with = "plain")]
    attester: Vec<Address>,
    /// How many attesters must attest; all but a third where not given
    #[arg(long, value_name = "N", requires = "attester")]
    quorum: Option<u16>,
    /// No attesters: the chain takes no weights off chain
    #[arg(long, conflicts_with_all = ["attester", "plain"])]
    no_attesters: bool,
    /// Ether for the slot of a model with its weights off chain, given back when storage duty ends
    #[arg(long, value_name = "ETHER", value_parser = parse_ether_amount, conflicts_with = "plain")]
    slot_deposit: Option<U256>,
    /// Ether more for each MiB of its weights
    #[arg(long, value_name = "ETHER", value_parser = parse_ether_amount, conflicts_with = "plain")]
    slot_deposit_per_mebibyte: Option<U256>,
    /// Ether for the slot of a model with its weights on chain, which it keeps for ever
    #[arg(long, value_name = "ETHER", value_parser = parse_ether_amount, conflicts_with = "plain")]
    on_chain_slot_deposit: Option<U256>,
    /// Blocks from the announcement of the end of storage duty to the end
    #[arg(long, value_name = "BLOCKS", conflicts_with = "plain")]
    notice_blocks: Option<u64>,
    /// Write into this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let mut genesis = plain_dev_genesis();
    if !args.plain {
        let config = config(&args);
        config.check().map_err(|e| Failure::Usage(e.to_string()))?;
        set_lockstep_config(&mut genesis, &config).map_err(anyhow::Error::from)?;
    }
    if let Some(id) = args.chain_id {
        genesis.config.chain_id = id;
    }
    let text = serde_json::to_string_pretty(&genesis).map_err(anyhow::Error::from)? + "\n";
    match args.output {
        Some(path) => {
            files::write(&path, text.as_bytes())?;
            Ok(Output::new(format!("written to {}\n", path.display()), json!({ "file": path.display().to_string() })))
        }
        None => Ok(Output::new(text, Value::Null)),
    }
}

fn parse_ether_amount(text: &str) -> Result<U256, String> {
    parse_ether(text).map_err(|_| "write an amount of ether, as in 10 or 0.5".into())
}

/// The dev chain's, with what was asked for.
fn config(args: &Args) -> LockstepConfig {
    let mut config = dev_config();
    if args.no_attesters {
        config.attestation = Attestation::default();
    }
    if !args.attester.is_empty() {
        let count = u16::try_from(args.attester.len()).unwrap_or(u16::MAX);
        let quorum = args.quorum.unwrap_or(count - count / 3);
        config.attestation = Attestation { attesters: args.attester.clone(), quorum };
    }
    let limits = &mut config.limits;
    limits.slot_deposit = args.slot_deposit.unwrap_or(limits.slot_deposit);
    limits.slot_deposit_per_mebibyte = args.slot_deposit_per_mebibyte.unwrap_or(limits.slot_deposit_per_mebibyte);
    limits.on_chain_slot_deposit = args.on_chain_slot_deposit.unwrap_or(limits.on_chain_slot_deposit);
    limits.notice_blocks = args.notice_blocks.unwrap_or(limits.notice_blocks);
    config
}
