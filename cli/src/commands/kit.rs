//! `lockstep kit`: what the Solidity test kit asks. One hex line on stdout, nothing else; made to start fast.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, Bytes, U256, hex};
use alloy_sol_types::SolValue;
use clap::Subcommand;
use lockstep_engine::{Limits, Model};
use lockstep_precompile::Outcome;
use serde_json::json;

use crate::chain::Chain;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;

/// Answer the Solidity test kit (one line of hex; see contracts/src/test-kit)
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep kit id risk.lsm
  lockstep kit call --gas 1000000 --model risk.lsm --calldata 0x…
    prints abi.encode(uint8 status, uint256 gasUsed, bytes data)
    status 0: success, 1: revert, 2: out of gas, 3: this machine cannot compute it, data says why")]
pub(crate) struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, Subcommand)]
enum Ask {
    /// Call the precompile with these models active
    Call(Call),
    /// Print a model's id
    Id {
        /// The model
        model: PathBuf,
    },
    /// Print this binary's version as abi.encode(string)
    Version,
}

/// Stands for an account that the caller does not name.
const UNNAMED: &str = "0xdededededededededededededededededededede";

#[derive(Debug, clap::Args)]
struct Call {
    /// Gas given to the call; more than fits 64 bits counts as the most that does
    #[arg(long, value_name = "N")]
    gas: U256,
    /// Ether sent along, in wei
    #[arg(long, value_name = "WEI", default_value = "0")]
    value: U256,
    /// The call runs in another account's context (DELEGATECALL); in which, where that is known
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = UNNAMED)]
    delegate: Option<Address>,
    /// A model that is active; may be given more than once
    #[arg(long = "model", value_name = "FILE")]
    models: Vec<PathBuf>,
    /// The call data as hex
    #[arg(long, value_name = "HEX", conflicts_with = "calldata_file", required_unless_present = "calldata_file")]
    calldata: Option<String>,
    /// A file that holds the call data as hex
    #[arg(long, value_name = "FILE")]
    calldata_file: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let answer = match args.ask {
        Ask::Version => env!("CARGO_PKG_VERSION").to_owned().abi_encode(),
        Ask::Id { model } => id(&model)?.to_vec(),
        Ask::Call(call) => self::call(call)?,
    };
    Ok(Output::new(format!("0x{}\n", hex::encode(answer)), json!(null)))
}

/// The identity needs no prepared kernels.
fn id(path: &Path) -> Result<[u8; 32], Failure> {
    let bytes = files::read(path)?;
    let model = Model::decode(&bytes, &Limits::default());
    Ok(model.map_err(|e| Failure::refused(path.display().to_string(), e.to_string()))?.id())
}

fn call(args: Call) -> Result<Vec<u8>, Failure> {
    let text = match (args.calldata, args.calldata_file) {
        (Some(text), _) => text,
        (None, Some(path)) => String::from_utf8(files::read(&path)?)
            .map_err(|_| Failure::refused(path.display().to_string(), "it holds no hex text"))?,
        (None, None) => return Err(Failure::Usage("give --calldata or --calldata-file".into())),
    };
    let data = hex::decode(text.trim()).map_err(|e| Failure::Usage(format!("the call data is no hex: {e}")))?;
    let gas = u64::try_from(args.gas).unwrap_or(u64::MAX);
    Ok(match chain(&args.models) {
        Ok(chain) => encode(chain.call(&data, gas, args.value, args.delegate), gas),
        Err(e) => fault(&e.to_text()),
    })
}

fn chain(models: &[PathBuf]) -> Result<Chain, Failure> {
    let mut chain = Chain::default();
    for path in models {
        chain.add(files::read_model(path)?.loaded)?;
    }
    Ok(chain)
}

fn encode(outcome: Outcome, gas: u64) -> Vec<u8> {
    let (status, used, data) = match outcome {
        Outcome::Success { gas_used, output, .. } => (0u8, gas_used, output),
        Outcome::Revert { gas_used, data } => (1, gas_used, data),
        Outcome::OutOfGas => (2, gas, Vec::new()),
        Outcome::Fatal(message) => return fault(&message),
    };
    (U256::from(status), U256::from(used), Bytes::from(data)).abi_encode_params()
}

fn fault(message: &str) -> Vec<u8> {
    (U256::from(3), U256::ZERO, Bytes::from(message.as_bytes().to_vec())).abi_encode_params()
}
