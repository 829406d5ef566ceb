//! The watched node's chain: what it says of blocks, held against the hashes that it states.

use super::{
    fault::{FaultKind, NodeFault},
    wire::{Wire, WireError},
};
use crate::{
    inference::{BlockInference, InferenceProof},
    storage::StorageError,
};
use alloy_consensus::Header;
use alloy_primitives::{B256, U64};
use serde_json::json;

/// Why a step of following did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The node gives no answer.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The node does wrong.
    #[error(transparent)]
    Fault(Box<NodeFault>),
    /// The data directory failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<NodeFault> for Trouble {
    fn from(fault: NodeFault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Latest,
    Finalised,
    Number(u64),
}

impl Wire {
    /// The header of a block, whose hash was computed here; `None` where the node has no such block.
    pub(crate) fn header(&self, which: Which) -> Result<Option<(B256, Header)>, Trouble> {
        let name = match which {
            Which::Latest => "latest".to_owned(),
            Which::Finalised => "finalized".to_owned(),
            Which::Number(number) => format!("{number:#x}"),
        };
        let block: Option<alloy_rpc_types_eth::Header> =
            self.ask("eth_getBlockByNumber", &[json!(name), json!(false)])?;
        let Some(block) = block else { return Ok(None) };
        let (stated, header) = (block.hash, block.inner);
        let found = header.hash_slow();
        if found != stated {
            let reason = format!(
                "the header has the hash {found}, the node states {stated} (or it has a field that this version does not know)"
            );
            return Err(NodeFault::new(FaultKind::HeaderHash, header.number, Some(stated), reason).into());
        }
        if let Which::Number(number) = which
            && header.number != number
        {
            let reason = format!("block {number} was asked for, {} came", header.number);
            return Err(NodeFault::new(FaultKind::BlockNumber, number, Some(found), reason).into());
        }
        Ok(Some((found, header)))
    }

    /// The chain's number.
    pub(crate) fn chain_id(&self) -> Result<u64, WireError> {
        self.ask::<U64>("eth_chainId", &[]).map(|id| id.to())
    }

    /// The list of a block's inferences, as the node states it.
    pub(crate) fn inferences(&self, block: B256) -> Result<Vec<BlockInference>, WireError> {
        self.ask("lockstep_inferences", &[json!(block)])
    }

    /// The node's proof of an inference, which holds its inputs.
    pub(crate) fn proof(&self, transaction: B256, nth: u64) -> Result<Option<InferenceProof>, WireError> {
        self.ask("lockstep_getInferenceProof", &[json!(transaction), json!(nth)])
    }
}
