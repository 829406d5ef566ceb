//! The command `lockstep` as a library: what the binary runs, and the readers of data that tests share with it.
//!
//! One file a command; every error becomes an exit status in [`failure`], and nowhere else.

mod chain;
mod commands;
pub mod data;
pub mod failure;
pub mod files;
pub mod npz;
mod output;
mod progress;
mod report;
mod rpc;
mod solidity;
pub mod tokenizer;

use std::process::ExitCode;

use clap::Parser;

use failure::Failure;

/// Deterministic model inference as part of the EVM: import a model, see what it costs, call it from Solidity
#[derive(Debug, Parser)]
#[command(
    name = "lockstep",
    version,
    after_help = "From a trained model to a call:
  lockstep import model.onnx -o model.lsm --data test.npz    what it will run, how exact it is, what it costs
  lockstep bind model.lsm -o contracts/Model.sol             a typed Solidity library
  lockstep node --dev --models .                             a local chain with the model active

Exit status: 0 success, 2 wrong usage, 3 an input is refused (the reason on stderr, as JSON with --json), 1 anything else.
RUST_LOG=debug shows what happens inside."
)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

/// The command: parses the arguments, runs, prints, and gives the exit status.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.command.json();
    if !cli.command.is_quick() {
        log_to_stderr();
    }
    match guarded(|| cli.command.execute()) {
        Ok(output) => {
            output.print(json);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            if json {
                eprintln!("{:#}", failure.to_json());
            } else {
                eprintln!("{}", failure.to_text());
            }
            ExitCode::from(failure.status())
        }
    }
}

/// A panic is a bug of this program: it is reported as one, and ends with status 1.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Failure::Other(anyhow::anyhow!("this is a bug in lockstep, please report it: {text}")))
    })
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
