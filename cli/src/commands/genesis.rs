//! `lockstep genesis`: the genesis of a chain of one's own, to start from.

use std::path::PathBuf;

use lockstep_node_ext::chain::genesis::{dev_genesis, plain_dev_genesis};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::files;
use crate::output::Output;

/// Print the dev chain's genesis, to start a chain of your own from
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep genesis > genesis.json
  lockstep genesis --chain-id 4711 -o genesis.json && lockstep node --genesis genesis.json --datadir chain

It funds ten accounts whose keys everybody has: replace them in `alloc` before anything of value lies on the chain.
`config.lockstep` holds the chain's limits and gas table; the registry and the code at 0x…0A11 must stay as they are.")]
pub(crate) struct Args {
    /// Another chain id
    #[arg(long, value_name = "N")]
    chain_id: Option<u64>,
    /// Leave out config.lockstep: a plain Ethereum chain
    #[arg(long)]
    plain: bool,
    /// Write into this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let mut genesis = if args.plain { plain_dev_genesis() } else { dev_genesis().map_err(anyhow::Error::from)? };
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
