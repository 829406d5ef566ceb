//! `lockstep verify`: an inference of a block, checked without a chain.

use std::path::PathBuf;

use alloy_primitives::{B256, hex};
use lockstep_engine::Limits;
use lockstep_engine::exec::{Implementation, Options};
use lockstep_node_ext::inference::{InferenceProof, ProofError};
use serde_json::json;

use super::run::{Which, all_cores};
use crate::failure::Failure;
use crate::files;
use crate::output::Output;

/// Check the proof of an inference, without a node: that the block holds it, and that its answer is right
///
/// The proof holds header, path and inputs; the model file is the author's. What remains to be known is that the block,
/// whose hash is shown, is on the chain: compare it with a source that you trust, or give it with --block-hash.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cast rpc lockstep_getInferenceProof TRANSACTION > proof.json       the first inference of the transaction; 1: the second
  lockstep verify proof.json --model risk.lsm
  lockstep verify proof.json --model risk.lsm --block-hash 0x…  --implementation reference

Exit status 1: the proof proves nothing, or the block's answer is wrong.")]
pub(crate) struct Args {
    /// The proof, as lockstep_getInferenceProof gives it (JSON)
    proof: PathBuf,
    /// The model file; without it the answer is not computed again
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// The hash of the block, from a source that you trust
    #[arg(long, value_name = "HASH")]
    block_hash: Option<B256>,
    /// Which implementation of the arithmetic computes
    #[arg(long, value_enum, default_value_t = Which::Fast)]
    implementation: Which,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let name = args.proof.display().to_string();
    let bytes = files::read(&args.proof)?;
    let proof: InferenceProof = serde_json::from_slice(&bytes).map_err(|e| {
        let advice = "`cast rpc lockstep_getInferenceProof TRANSACTION` writes one";
        Failure::refused_with(&name, format!("it is no proof: {e}"), advice)
    })?;
    let header = proof.check_commitment().map_err(|e| differs(&name, &e))?;
    if let Some(expected) = args.block_hash.filter(|expected| *expected != proof.block_hash) {
        return Err(Failure::Differs(format!("{name} is a proof for block {}, not {expected}", proof.block_hash)));
    }
    proof.check_inputs().map_err(|e| differs(&name, &e))?;
    let returned = match &args.model {
        Some(path) => {
            let model = files::read_model(path)?.loaded;
            let implementation = match args.implementation {
                Which::Fast => Implementation::Fast,
                Which::Reference => Implementation::Reference,
            };
            let options = Options { implementation, threads: all_cores() };
            Some(proof.check_answer(&model, &Limits::default(), &options).map_err(|e| differs(&name, &e))?.returned)
        }
        None => None,
    };

    let (leaf, path) = (&proof.leaf, &proof.path);
    let mut text = format!(
        "block {} of time {}, inference {} of {}: the header commits to it\n  block hash   {}{}\n  transaction  {} (number {} of the block)\n  model        {}\n  function     {}\n  gas          {} (as the block says)\n",
        proof.block_number,
        header.timestamp,
        path.index + 1,
        path.count,
        proof.block_hash,
        if args.block_hash.is_some() { "  as given" } else { "  compare it with a source that you trust" },
        leaf.transaction_hash,
        leaf.transaction_index,
        leaf.model_id,
        proof.function,
        leaf.gas,
    );
    match &returned {
        Some(returned) => text.push_str(&format!(
            "computed again from the inputs: every bit of the answer is right\n  returned     {}\n",
            hex::encode_prefixed(returned)
        )),
        None => text.push_str("NOT COMPUTED AGAIN: name the model file with --model\n"),
    }
    let json = json!({
        "blockNumber": proof.block_number,
        "blockHash": proof.block_hash,
        "blockHashGiven": args.block_hash.is_some(),
        "committed": true,
        "recomputed": returned.is_some(),
        "index": path.index,
        "count": path.count,
        "function": proof.function,
        "leaf": leaf,
        "returned": returned.map(hex::encode_prefixed),
    });
    Ok(Output::new(text, json))
}

fn differs(name: &str, error: &ProofError) -> Failure {
    match error {
        ProofError::Recompute(lockstep_precompile::RecomputeError::Fatal(reason)) => {
            Failure::Other(anyhow::anyhow!("{name}: {reason}"))
        }
        error => Failure::Differs(format!("{name}: {error}")),
    }
}
