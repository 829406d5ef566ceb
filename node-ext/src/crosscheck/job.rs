//! An inference that waits to be checked: written with its block, so that a node that dies checks it afterwards.

use super::FindingTensor;
use crate::inference::{BlockInference, BlockInferences};
use alloy_primitives::{B256, U64};
use lockstep_engine::Tensor;
use serde::{Deserialize, Serialize};

/// One inference to check.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) block: B256,
    pub(crate) number: u64,
    pub(crate) inference: BlockInference,
    pub(crate) inputs: Vec<Tensor>,
}

/// As it lies in the database.
#[derive(Serialize, Deserialize)]
struct Stored<I, T> {
    block: B256,
    number: U64,
    inference: I,
    inputs: T,
}

impl Job {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let stored: Stored<BlockInference, Vec<FindingTensor>> =
            serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let inputs = stored
            .inputs
            .iter()
            .map(|tensor| tensor.decode().ok_or_else(|| format!("a stored {} tensor does not decode", tensor.dtype)))
            .collect::<Result<_, _>>()?;
        Ok(Self { block: stored.block, number: stored.number.to(), inference: stored.inference, inputs })
    }
}

/// The inferences of a block as they wait in the database.
pub(crate) fn encode(block: B256, number: u64, inferences: &BlockInferences) -> Vec<Vec<u8>> {
    let encode = |inference, inputs: &[Tensor]| {
        let inputs: Vec<FindingTensor> = inputs.iter().map(FindingTensor::from).collect();
        serde_json::to_vec(&Stored { block, number: U64::from(number), inference, inputs })
    };
    let jobs: Result<_, _> =
        inferences.all.iter().map(|(inference, record)| encode(inference, &record.inputs)).collect();
    jobs.unwrap_or_else(|error| {
        tracing::error!(%block, %error, "the block's inferences will not be checked");
        Vec::new()
    })
}
