//! Faults on purpose: proof, on a dev chain, that the cross-check notices.

use super::finding::show;
use crate::{evm::Models, memo::NodeMemo};
use alloy_primitives::B256;
use lockstep_engine::{LoadedModel, Tensor};
use lockstep_precompile::{
    ModelFault, ModelStore,
    memo::{Answer, Computed},
};
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Why a fault was not injected or removed.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The models in memory do not give the model.
    #[error(transparent)]
    Model(#[from] ModelFault),
    /// The model has no such bit.
    #[error("model {model} has no bit {bit} in constant {tensor}; its constants have {sizes:?} bits")]
    NoSuchBit {
        /// The model.
        model: B256,
        /// The constant asked for.
        tensor: usize,
        /// The bit asked for.
        bit: usize,
        /// Bits of each constant.
        sizes: Vec<usize>,
    },
    /// The model has no such node.
    #[error("model {model} has no node {node} whose result has a bit {bit}; it has {nodes} nodes")]
    NoSuchNode {
        /// The model.
        model: B256,
        /// The node asked for.
        node: usize,
        /// The bit asked for.
        bit: usize,
        /// Nodes of its graph.
        nodes: usize,
    },
    /// There is nothing to remove.
    #[error("no fault was injected into model {0}")]
    None(B256),
}

/// What a fault changed.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Injected {
    /// The model.
    pub model_id: B256,
    /// Position of the constant.
    pub tensor: usize,
    /// Position of the element in it.
    pub element: usize,
    /// Its type.
    pub dtype: &'static str,
    /// Its value before.
    pub before: String,
    /// Its value now, in the copy that the fast path reads.
    pub after: String,
}

/// The faults injected so far.
#[derive(Debug)]
pub struct Faults {
    models: Models,
    memo: NodeMemo,
    sound: Mutex<HashMap<B256, Arc<LoadedModel>>>,
}

impl Faults {
    /// For these models and the answers remembered of them.
    pub fn new(models: Models, memo: NodeMemo) -> Self {
        Self { models, memo, sound: Mutex::default() }
    }

    /// Flips one bit of a weight in the copy that answers calls. The reference keeps the verified weights. With
    /// `forged`, the sum that guards the resident weights is made to fit, as if the processor had got a wrong word from
    /// sound memory: only the cross-check can tell.
    pub fn inject(&self, id: B256, tensor: usize, bit: usize, forged: bool) -> Result<Injected, FaultError> {
        let mut sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        let original = self.original(&sound, id)?;
        let constant = original.constants().get(tensor);
        let (Some(constant), Some(faulty)) = (constant, original.with_flipped_bit(tensor, bit)) else {
            let sizes = original.constants().iter().map(|c| c.to_le_bytes().len() * 8).collect();
            return Err(FaultError::NoSuchBit { model: id, tensor, bit, sizes });
        };
        let size = constant.dtype().size();
        let element = bit / 8 / size;
        let mut bytes = constant.to_le_bytes()[element * size..][..size].to_vec();
        let before = show(constant.dtype(), &bytes);
        bytes[bit / 8 % size] ^= 1 << (bit % 8);
        let after = show(constant.dtype(), &bytes);
        let dtype = constant.dtype().name();
        let faulty = if forged { faulty.with_sum_made_to_fit() } else { faulty };
        self.models.insert_as(id, Arc::new(faulty))?;
        // What was remembered is the sound model's.
        self.memo.forget_model(&id);
        sound.insert(id, original);
        tracing::warn!(model = %id, tensor, element, before, after, "fault injected");
        Ok(Injected { model_id: id, tensor, element, dtype, before, after })
    }

    /// Gives the fast path a kernel with one wrong bit: in the first element that a node of the graph gives.
    pub fn inject_kernel(&self, id: B256, node: usize, bit: usize) -> Result<(), FaultError> {
        let mut sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        let original = self.original(&sound, id)?;
        let Some(faulty) = original.with_wrong_kernel(node, bit) else {
            return Err(FaultError::NoSuchNode { model: id, node, bit, nodes: original.graph.nodes.len() });
        };
        self.models.insert_as(id, Arc::new(faulty))?;
        self.memo.forget_model(&id);
        sound.insert(id, original);
        tracing::warn!(model = %id, node, bit, "wrong kernel injected");
        Ok(())
    }

    /// The sound model: a second fault replaces the first.
    fn original(&self, sound: &HashMap<B256, Arc<LoadedModel>>, id: B256) -> Result<Arc<LoadedModel>, FaultError> {
        Ok(match sound.get(&id) {
            Some(original) => original.clone(),
            None => self.models.get(&id)?,
        })
    }

    /// Flips one bit of the first value of every answer that is remembered of a model. With `forged`, what guards the
    /// answer is made to fit, as if a wrong value had been computed: only the cross-check can tell. Returns how many
    /// answers were changed.
    pub fn overwrite_memo(&self, id: B256, bit: usize, forged: bool) -> usize {
        let flip = |answer: &Answer| {
            let Ok(computed) = answer else { return answer.clone() };
            let mut computed = Computed::clone(computed);
            if let Some(tensor) = computed.outputs.first_mut() {
                let mut bytes = tensor.to_le_bytes();
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                if let Some(wrong) = Tensor::from_le_bytes(tensor.dtype(), tensor.shape.clone(), &bytes) {
                    *tensor = wrong;
                }
            }
            if forged {
                computed = Computed::new(computed.outputs);
            }
            Ok(Arc::new(computed))
        };
        let changed = self.memo.blocks().overwrite(&id, flip) + self.memo.calls().overwrite(&id, flip);
        tracing::warn!(model = %id, changed, bit, forged, "remembered answers overwritten");
        changed
    }

    /// Puts the sound model back.
    pub fn remove(&self, id: B256) -> Result<(), FaultError> {
        let mut sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        let original = sound.remove(&id).ok_or(FaultError::None(id))?;
        self.models.insert_as(id, original)?;
        self.memo.forget_model(&id);
        tracing::warn!(model = %id, "fault removed");
        Ok(())
    }
}
