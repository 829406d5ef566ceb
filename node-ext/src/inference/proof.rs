//! The proof that a block holds an inference (spec section 13), and its check: header, path, inputs and model are enough,
//! no chain and no network.

use super::{BlockInference, BlockInferences, function_name};
use crate::crosscheck::FindingTensor;
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable;
use lockstep_engine::{Limits, LoadedModel, Tensor, exec::Options};
use lockstep_precompile::{
    InferenceLeaf, InferencePath, RecomputeError, Recomputed, commitment, recompute, sink::tensors_hash,
};
use serde::{Deserialize, Serialize};

/// The proof of one inference.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InferenceProof {
    /// Number of the block.
    pub block_number: u64,
    /// Hash of the block: what has to be known to be on the chain.
    pub block_hash: B256,
    /// The block's header, RLP.
    pub header: Bytes,
    /// The function called: infer, classify or run.
    pub function: String,
    /// What is proven.
    pub leaf: InferenceLeaf,
    /// The way from the leaf to the header's extraData.
    pub path: InferencePath,
    /// The inputs as the model took them.
    pub inputs: Vec<FindingTensor>,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The header is none.
    #[error("the header does not decode: {0}")]
    Header(String),
    /// The header is another block's.
    #[error("the header has the hash {found}, the proof is for block {stated}")]
    BlockHash {
        /// The hash that the proof states.
        stated: B256,
        /// The hash of the header.
        found: B256,
    },
    /// The number is another block's.
    #[error("the header has the number {found}, the proof states {stated}")]
    BlockNumber {
        /// The number that the proof states.
        stated: u64,
        /// The number in the header.
        found: u64,
    },
    /// The path has a wrong length, or the place is none.
    #[error("the path has {siblings} siblings, which inference {index} of {count} has not")]
    Path {
        /// The place.
        index: u64,
        /// How many there are.
        count: u64,
        /// The length of the path.
        siblings: usize,
    },
    /// The header commits to something else.
    #[error("the header's extraData is {header}, leaf and path lead to {found}")]
    Commitment {
        /// What the header holds.
        header: Bytes,
        /// What leaf and path lead to.
        found: B256,
    },
    /// The function is another one.
    #[error("the leaf's call is of {leaf}, the proof states {stated}")]
    Function {
        /// What the proof states.
        stated: String,
        /// What the leaf says.
        leaf: String,
    },
    /// An input is none.
    #[error("input {0} does not decode")]
    Input(usize),
    /// The inputs are others.
    #[error("the inputs have the hash {found}, the leaf says {leaf}")]
    Inputs {
        /// What the leaf says.
        leaf: B256,
        /// The hash of the inputs given.
        found: B256,
    },
    /// The model is another one.
    #[error("the model is {found}, the inference was made by model {leaf}")]
    Model {
        /// What the leaf says.
        leaf: B256,
        /// The model given.
        found: B256,
    },
    /// The model gives other outputs.
    #[error("the model's outputs have the hash {found}, the block says {leaf}: THE BLOCK'S ANSWER IS WRONG")]
    Outputs {
        /// What the leaf says.
        leaf: B256,
        /// The hash of the outputs computed here.
        found: B256,
    },
    /// The call returned something else.
    #[error("the call returns bytes with the hash {found}, the block says {leaf}: THE BLOCK'S ANSWER IS WRONG")]
    Returned {
        /// What the leaf says.
        leaf: B256,
        /// The hash of the bytes computed here.
        found: B256,
    },
    /// The model gives nothing here.
    #[error(transparent)]
    Recompute(#[from] RecomputeError),
}

impl BlockInferences {
    /// The inference at this place of the block, proven.
    pub(crate) fn proof(&self, header: &Header, index: usize) -> Option<InferenceProof> {
        let leaves: Vec<InferenceLeaf> = self.leaves().collect();
        let hashes: Vec<B256> = leaves.iter().map(InferenceLeaf::hash).collect();
        let (inference, record) = self.all.get(index)?;
        Some(InferenceProof {
            block_number: header.number,
            block_hash: header.hash_slow(),
            header: alloy_rlp::encode(header).into(),
            function: inference.function.clone(),
            leaf: *leaves.get(index)?,
            path: commitment::path(&hashes, index)?,
            inputs: record.inputs.iter().map(FindingTensor::from).collect(),
        })
    }

    /// The place in the block of the inference number `nth` of a transaction.
    pub(crate) fn place(&self, transaction: B256, nth: usize) -> Option<usize> {
        let of_transaction =
            |(_, (inference, _)): &(usize, &(BlockInference, _))| inference.transaction_hash == transaction;
        self.all.iter().enumerate().filter(of_transaction).nth(nth).map(|(place, _)| place)
    }
}

impl InferenceProof {
    /// Checks that the block with this hash holds the inference. Says nothing about whether the block is on a chain.
    pub fn check_commitment(&self) -> Result<Header, ProofError> {
        let mut rest = self.header.as_ref();
        let header = Header::decode(&mut rest).map_err(|e| ProofError::Header(e.to_string()))?;
        if !rest.is_empty() {
            return Err(ProofError::Header(format!("{} bytes follow it", rest.len())));
        }
        let found = keccak256(&self.header);
        if found != self.block_hash {
            return Err(ProofError::BlockHash { stated: self.block_hash, found });
        }
        if header.number != self.block_number {
            return Err(ProofError::BlockNumber { stated: self.block_number, found: header.number });
        }
        let called = function_name(self.leaf.selector.0);
        if called != self.function {
            return Err(ProofError::Function { stated: self.function.clone(), leaf: called });
        }
        let InferencePath { index, count, siblings } = &self.path;
        let found = self.path.commitment(self.leaf.hash()).ok_or(ProofError::Path {
            index: *index,
            count: *count,
            siblings: siblings.len(),
        })?;
        if header.extra_data.as_ref() != found.as_slice() {
            return Err(ProofError::Commitment { header: header.extra_data, found });
        }
        Ok(header)
    }

    /// The inputs, which are those of the leaf.
    pub fn check_inputs(&self) -> Result<Vec<Tensor>, ProofError> {
        let decoded =
            self.inputs.iter().enumerate().map(|(index, input)| input.decode().ok_or(ProofError::Input(index)));
        let inputs = decoded.collect::<Result<Vec<_>, _>>()?;
        let found = tensors_hash(&inputs);
        if found != self.leaf.inputs_hash {
            return Err(ProofError::Inputs { leaf: self.leaf.inputs_hash, found });
        }
        Ok(inputs)
    }

    /// Computes the inference again; the model must be the leaf's, and the answer the block's.
    pub fn check_answer(
        &self,
        model: &LoadedModel,
        limits: &Limits,
        options: &Options,
    ) -> Result<Recomputed, ProofError> {
        let id = B256::from(model.id);
        if id != self.leaf.model_id {
            return Err(ProofError::Model { leaf: self.leaf.model_id, found: id });
        }
        let computed = recompute(model, self.leaf.selector.0, self.check_inputs()?, limits, options)?;
        if computed.outputs_hash != self.leaf.outputs_hash {
            return Err(ProofError::Outputs { leaf: self.leaf.outputs_hash, found: computed.outputs_hash });
        }
        if computed.returned_hash != self.leaf.returned_hash {
            return Err(ProofError::Returned { leaf: self.leaf.returned_hash, found: computed.returned_hash });
        }
        Ok(computed)
    }
}
