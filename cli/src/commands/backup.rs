//! `lockstep backup`: a copy of a running node's chain.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use lockstep_node_ext::DEFAULT_HTTP_PORT;
use lockstep_node_ext::rpc::engine::JwtSecret;
use lockstep_node_ext::storage::Backup;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;
use crate::report::number::grouped;
use crate::rpc::Client;

/// A large chain takes its time.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Copy the chain of a running node: consistent, while blocks go on
///
/// The node writes the copy into its own data directory, under backups/NAME. It is a data directory itself: stop the
/// node, and start one with --datadir on the backup (or on a copy of it) to restore it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep backup                                                    the node at http://127.0.0.1:8545
  lockstep backup --name before-upgrade
  lockstep backup --rpc http://10.0.0.5:8551 --jwt-secret jwt.hex    a node elsewhere, by its authenticated port
  lockstep node --genesis genesis.json --datadir chain/backups/before-upgrade")]
pub(crate) struct Args {
    /// Where the node listens: a port that this machine alone reaches, or the authenticated one
    #[arg(long, value_name = "URL", default_value_t = format!("http://127.0.0.1:{DEFAULT_HTTP_PORT}"))]
    rpc: String,
    /// The secret of the authenticated port
    #[arg(long, value_name = "FILE")]
    jwt_secret: Option<PathBuf>,
    /// The backup's name; the block's number and hash where not given
    #[arg(long)]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let secret = match &args.jwt_secret {
        Some(path) if !path.exists() => return Err(Failure::Usage(format!("{} does not exist", path.display()))),
        Some(path) => Some(JwtSecret::read_or_create(path).map_err(|e| Failure::Other(e.into()))?),
        None => None,
    };
    let client = Client::with(&args.rpc, PATIENCE, secret);
    let backup: Backup =
        client.call("lockstep_backup", json!([args.name])).context("no backup").map_err(Failure::Other)?;
    let text = format!(
        "block {} {}, {} bytes, {} accounts and {} storage slots read again, in\n  {}\nto restore it: lockstep node … --datadir {}\n",
        backup.number,
        backup.hash,
        grouped(backup.bytes),
        grouped(backup.state.accounts),
        grouped(backup.state.slots),
        backup.path.display(),
        backup.path.display(),
    );
    Ok(Output::new(text, json!(backup)))
}
