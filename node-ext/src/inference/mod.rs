//! The inferences of a block: what is kept of them, and what the cross-check gets.

mod proof;

pub use proof::{InferenceProof, ProofError};

use crate::primitives::Body;
use alloy_primitives::{B256, FixedBytes, U64};
use alloy_sol_types::{SolCall, sol};
use lockstep_precompile::{InferenceLeaf, InferenceRecord, commitment, sink::tensors_hash};
use serde::{Deserialize, Serialize};

sol! {
    struct Tensor { uint8 dtype; uint32[] shape; bytes data; }
    function infer(bytes32 modelId, int256[] x) external view returns (int256[] y);
    function classify(bytes32 modelId, int256[] x) external view returns (uint256[] classIndex, int256[] score);
    function run(bytes32 modelId, Tensor[] inputs) external view returns (Tensor[] outputs);
}

/// One inference of a block: a call of `infer`, `classify` or `run` that returned success, also where an outer frame
/// reverted afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockInference {
    /// Index of the transaction in the block.
    pub transaction_index: U64,
    /// Hash of the transaction.
    pub transaction_hash: B256,
    /// The model.
    pub model_id: B256,
    /// The function called.
    pub function: String,
    /// Hash of the decoded inputs.
    pub inputs_hash: B256,
    /// Hash of all outputs of the model.
    pub outputs_hash: B256,
    /// keccak256 of the bytes that the call returned.
    pub returned_hash: B256,
    /// Gas charged.
    pub gas: U64,
}

impl BlockInference {
    /// What the header says of it; `None` where the function is none that infers.
    pub(crate) fn named_leaf(&self) -> Option<InferenceLeaf> {
        Some(self.leaf(selector_of(&self.function)?))
    }

    fn leaf(&self, selector: [u8; 4]) -> InferenceLeaf {
        InferenceLeaf {
            transaction_index: self.transaction_index.to(),
            transaction_hash: self.transaction_hash,
            model_id: self.model_id,
            selector: selector.into(),
            inputs_hash: self.inputs_hash,
            outputs_hash: self.outputs_hash,
            returned_hash: self.returned_hash,
            gas: self.gas.to(),
        }
    }
}

/// The inferences of a block with their inputs, in order of execution.
#[derive(Debug, Clone, Default)]
pub struct BlockInferences {
    pub(crate) all: Vec<(BlockInference, InferenceRecord)>,
}

impl BlockInferences {
    /// From what executing the block recorded.
    pub(crate) fn new(records: Vec<(usize, InferenceRecord)>, body: &Body) -> Self {
        let all = records
            .into_iter()
            .map(|(index, record)| {
                let inference = BlockInference {
                    transaction_index: U64::from(index),
                    transaction_hash: body.transactions.get(index).map(|tx| *tx.tx_hash()).unwrap_or_default(),
                    model_id: record.model_id,
                    function: function_name(record.selector),
                    inputs_hash: tensors_hash(&record.inputs),
                    outputs_hash: record.outputs_hash,
                    returned_hash: record.returned_hash,
                    gas: U64::from(record.gas),
                };
                (inference, record)
            })
            .collect();
        Self { all }
    }

    /// What the header says of each.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = InferenceLeaf> + '_ {
        self.all.iter().map(|(inference, record)| inference.leaf(record.selector))
    }

    /// What the header commits to them by.
    pub(crate) fn commitment(&self) -> B256 {
        commitment::of_leaves(&self.leaves().collect::<Vec<_>>())
    }

    /// Whether the block has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What the store keeps; `None` where there is nothing to keep.
    pub(crate) fn to_json(&self) -> Option<Vec<u8>> {
        if self.is_empty() {
            return None;
        }
        let kept: Vec<&BlockInference> = self.all.iter().map(|(inference, _)| inference).collect();
        serde_json::to_vec(&kept).ok()
    }
}

/// The selector of an inference function, by the name that [`BlockInference::function`] has.
pub(crate) fn selector_of(function: &str) -> Option<[u8; 4]> {
    match function {
        "infer" => Some(inferCall::SELECTOR),
        "classify" => Some(classifyCall::SELECTOR),
        "run" => Some(runCall::SELECTOR),
        _ => None,
    }
}

fn function_name(selector: [u8; 4]) -> String {
    match selector {
        inferCall::SELECTOR => "infer".into(),
        classifyCall::SELECTOR => "classify".into(),
        runCall::SELECTOR => "run".into(),
        other => FixedBytes(other).to_string(),
    }
}
