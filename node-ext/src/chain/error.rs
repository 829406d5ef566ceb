//! What building, validating or moving the chain can end in.

use super::genesis::GenesisError;
use crate::storage::StorageError;
use alloy_primitives::B256;

/// An error of the chain.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The block breaks a rule of the protocol: every honest node refuses it.
    #[error("invalid block {hash}: {reason}")]
    Invalid {
        /// The block.
        hash: B256,
        /// The rule that it breaks.
        reason: String,
    },
    /// The block's parent is not known here.
    #[error("block {hash} has the unknown parent {parent}; import the parent first")]
    UnknownParent {
        /// The block.
        hash: B256,
        /// Its parent.
        parent: B256,
    },
    /// No such block.
    #[error("block {0} is not known here")]
    UnknownBlock(B256),
    /// The move would undo a finalised block.
    #[error("block {0} is not a descendant of the finalised block")]
    Finalised(B256),
    /// Safe and finalised block must be the head or its ancestors.
    #[error("block {block} is not an ancestor of the head {head}")]
    NotAnAncestor {
        /// The block named as safe or finalised.
        block: B256,
        /// The head named with it.
        head: B256,
    },
    /// This node cannot execute the block now. That says nothing about the block: it is neither valid nor invalid.
    #[error("this node cannot execute block {hash} at present: {reason}")]
    Stalled {
        /// The block.
        hash: B256,
        /// What is lacking.
        reason: String,
    },
    /// The data directory failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The genesis is refused.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
}

impl ChainError {
    pub(crate) fn invalid(hash: B256, reason: impl std::fmt::Display) -> Self {
        Self::Invalid { hash, reason: reason.to_string() }
    }
}
