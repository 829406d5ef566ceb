//! An inference that waits to be checked: written with its block, so that a process that dies checks it afterwards.

use super::FindingTensor;
use crate::inference::{BlockInference, BlockInferences};
use alloy_primitives::{B256, U64};
use lockstep_engine::Tensor;
use lockstep_precompile::InferenceRecord;
use serde::{Deserialize, Serialize};

/// One inference to check.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) block: B256,
    pub(crate) number: u64,
    pub(crate) inference: BlockInference,
    /// Which inference of its transaction it is, from 0.
    pub(crate) nth: u64,
    /// Its inputs, where they were written with it.
    pub(crate) inputs: Option<Vec<Tensor>>,
}

/// As it lies in the database.
#[derive(Serialize, Deserialize)]
struct Stored<I, T> {
    block: B256,
    number: U64,
    inference: I,
    #[serde(default)]
    nth: U64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    inputs: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

impl Job {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let stored: Stored<BlockInference, Vec<FindingTensor>> =
            serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let decode = |tensor: &FindingTensor| {
            tensor.decode().ok_or_else(|| format!("a stored {} tensor does not decode", tensor.dtype))
        };
        let inputs = stored.inputs.map(|all| all.iter().map(decode).collect()).transpose()?;
        let Stored { block, number, inference, nth, .. } = stored;
        Ok(Self { block, number: number.to(), inference, nth: nth.to(), inputs })
    }
}

/// The inferences of a block as they wait in the database.
pub(crate) fn encode(block: B256, number: u64, inferences: &BlockInferences) -> Vec<Vec<u8>> {
    let mut nth = Counter::default();
    let encode = |(inference, record): &(BlockInference, InferenceRecord)| {
        let inputs: Vec<FindingTensor> = record.inputs.iter().map(FindingTensor::from).collect();
        stored(block, number, inference, nth.next(inference), Some(inputs))
    };
    let jobs: Result<_, _> = inferences.all.iter().map(encode).collect();
    jobs.unwrap_or_else(|error| {
        tracing::error!(%block, %error, "the block's inferences will not be checked");
        Vec::new()
    })
}

/// The same without their inputs, which are asked for when one is checked.
pub(crate) fn encode_list(
    block: B256,
    number: u64,
    inferences: &[BlockInference],
) -> Result<Vec<Vec<u8>>, serde_json::Error> {
    let mut nth = Counter::default();
    inferences.iter().map(|inference| stored(block, number, inference, nth.next(inference), None)).collect()
}

fn stored(
    block: B256,
    number: u64,
    inference: &BlockInference,
    nth: u64,
    inputs: Option<Vec<FindingTensor>>,
) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Stored { block, number: U64::from(number), inference, nth: U64::from(nth), inputs })
}

/// Counts the inferences of each transaction, whose order is that of the block.
#[derive(Default)]
struct Counter {
    transaction: Option<B256>,
    next: u64,
}

impl Counter {
    fn next(&mut self, inference: &BlockInference) -> u64 {
        if self.transaction != Some(inference.transaction_hash) {
            (self.transaction, self.next) = (Some(inference.transaction_hash), 0);
        }
        self.next += 1;
        self.next - 1
    }
}
