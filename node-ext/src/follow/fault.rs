//! What a watched node can be told to have done wrong, by name.

use alloy_primitives::{B256, U64};
use serde::{Deserialize, Serialize};

/// The kinds of faults. Each is proven by what the node itself said, but for those of silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A header has another hash than the node states.
    HeaderHash,
    /// A block has another number than was asked for.
    BlockNumber,
    /// A block's parent is not the node's own block before it.
    BrokenChain,
    /// The node says that it has a later block, and does not give this one, or its inferences.
    MissingBlock,
    /// The list of inferences is not what the header commits to.
    InferenceRoot,
    /// An inference that the header commits to, whose inputs the node does not give.
    WithheldInputs,
    /// The inputs that the node gives are not those of the inference.
    WrongInputs,
    /// The node's own proof of an inference proves something else than its block says.
    WrongProof,
    /// A block that the node had called final has left the chain.
    Finality,
    /// More blocks than are remembered have left the chain.
    DeepReorganisation,
    /// The node has another genesis now than before.
    OtherChain,
}

impl FaultKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::HeaderHash => "header_hash",
            Self::BlockNumber => "block_number",
            Self::BrokenChain => "broken_chain",
            Self::MissingBlock => "missing_block",
            Self::InferenceRoot => "inference_root",
            Self::WithheldInputs => "withheld_inputs",
            Self::WrongInputs => "wrong_inputs",
            Self::WrongProof => "wrong_proof",
            Self::Finality => "finality",
            Self::DeepReorganisation => "deep_reorganisation",
            Self::OtherChain => "other_chain",
        }
    }

    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::HeaderHash,
        Self::BlockNumber,
        Self::BrokenChain,
        Self::MissingBlock,
        Self::InferenceRoot,
        Self::WithheldInputs,
        Self::WrongInputs,
        Self::WrongProof,
        Self::Finality,
        Self::DeepReorganisation,
        Self::OtherChain,
    ];
}

/// A fault of the watched node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{}: block {block_number}: {reason}", kind.name())]
pub struct NodeFault {
    /// What it is.
    pub kind: FaultKind,
    /// The block that it is about.
    pub block_number: U64,
    /// Its hash, where one is known.
    pub block_hash: Option<B256>,
    /// The transaction, where it is about one.
    pub transaction_hash: Option<B256>,
    /// What came, and what was expected.
    pub reason: String,
}

impl NodeFault {
    pub(crate) fn new(kind: FaultKind, number: u64, hash: Option<B256>, reason: impl Into<String>) -> Self {
        Self { kind, block_number: U64::from(number), block_hash: hash, transaction_hash: None, reason: reason.into() }
    }

    pub(crate) fn of_transaction(mut self, transaction: B256) -> Self {
        self.transaction_hash = Some(transaction);
        self
    }

    /// Whether this is the same fault, found again.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.kind, self.block_number, self.block_hash, self.transaction_hash)
            == (other.kind, other.block_number, other.block_hash, other.transaction_hash)
    }
}
