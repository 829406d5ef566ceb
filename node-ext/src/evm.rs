//! The EVM that the node runs: the one place where the precompile crate is bound.

use alloy_evm::EthEvmFactory;
use alloy_primitives::{Address, address};
use std::sync::Arc;

/// The EVM factory behind blocks and calls.
pub type NodeEvmFactory = EthEvmFactory;

/// `config.lockstep` of the genesis.
pub type LockstepConfig = serde_json::Value;

/// The models in memory.
pub type Models = Arc<()>;

/// Where the precompile is.
pub const PRECOMPILE_ADDRESS: Address = address!("0000000000000000000000000000000000000A11");
/// Where the registry is.
pub const REGISTRY_ADDRESS: Address = address!("0000000000000000000000000000000000000A12");

/// Makes EVM factories for one chain.
#[derive(Debug, Clone)]
pub(crate) struct EvmSource {}

impl EvmSource {
    pub(crate) fn new(_config: Option<Arc<LockstepConfig>>, _models: Models) -> Self {
        Self {}
    }

    /// For executing a block: successful inferences are recorded.
    pub(crate) fn for_block(&self) -> (NodeEvmFactory, BlockSink) {
        (EthEvmFactory::default(), BlockSink {})
    }

    /// For calls, estimates and traces: nothing is recorded.
    pub(crate) fn for_call(&self) -> NodeEvmFactory {
        EthEvmFactory::default()
    }
}

/// Collects the inferences of the transaction that runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockSink {}

impl BlockSink {
    pub(crate) fn begin(&self, _transaction: usize) {}
    pub(crate) fn keep(&self) {}
    pub(crate) fn discard(&self) {}
    pub(crate) fn take(&self) -> BlockInferences {
        BlockInferences::default()
    }
}

/// The inferences of one block.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockInferences {}

impl BlockInferences {
    pub(crate) fn to_json(&self) -> Option<Vec<u8>> {
        None
    }
}

/// The caps of active models and weight bytes (`config.lockstep.limits`).
pub(crate) fn active_caps(_config: Option<&LockstepConfig>) -> (u32, u64) {
    (1024, 4_294_967_296)
}
