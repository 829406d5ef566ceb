//! A memory of answers in front of the engine (spec GAS-5).
//!
//! What a model computes depends on the model and the decoded inputs alone, so an answer computed once, or a failure, is
//! the answer for ever: in another call, transaction or block, on another fork. Whether a node remembers changes no
//! result and no gas. How much it remembers, and for whom, is the node's affair: it implements [`Memo`].
//!
//! The key must be collision resistant: whoever found two inputs with one key could have nodes with different pasts
//! answer differently, and split the chain. keccak256 adds no assumption to those that the chain rests on already
//! (modelId, chunk addresses, the state root). A fast keyed hash would add one: that its key stays secret.

use std::sync::Arc;

use alloy_primitives::B256;
use lockstep_engine::{ComputeError, Tensor};

use crate::sink::tensors_hash;

/// What a computation is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoKey {
    /// The model.
    pub model_id: B256,
    /// [`tensors_hash`] of the inputs as the model takes them.
    pub inputs: B256,
}

impl MemoKey {
    /// The key of a model's run on these inputs.
    pub fn new(model_id: B256, inputs: &[Tensor]) -> Self {
        Self { model_id, inputs: tensors_hash(inputs) }
    }
}

/// All outputs of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// The outputs, in the model's order.
    pub outputs: Vec<Tensor>,
    /// [`tensors_hash`] of them, taken when they were computed: memory that changed since can be told.
    pub hash: B256,
}

impl Computed {
    /// These outputs with their hash.
    pub fn new(outputs: Vec<Tensor>) -> Self {
        let hash = tensors_hash(&outputs);
        Self { outputs, hash }
    }

    /// Whether the outputs are still those that were computed.
    pub fn is_intact(&self) -> bool {
        tensors_hash(&self.outputs) == self.hash
    }
}

/// What a run of a model gives.
pub type Answer = Result<Arc<Computed>, ComputeError>;

/// Whether an answer is true of model and inputs, and not of this node at this moment.
pub fn is_lasting(answer: &Answer) -> bool {
    !matches!(answer, Err(ComputeError::Environment(_)))
}

/// Remembers answers.
///
/// An implementation gives back what `compute` gave for the same key, or calls it, at most once. It never keeps what is
/// not [lasting](is_lasting), waits for nothing but a computation of the same key, and survives a panic in `compute`.
pub trait Memo: Send + Sync {
    /// The answer for `key`. `gas` is the price of the run: how dear it is to compute again.
    fn answer(&self, key: MemoKey, gas: u64, compute: &mut dyn FnMut() -> Answer) -> Answer;
}
