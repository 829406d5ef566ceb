//! Publishing a model: chunks, registration, activation.
//!
//! [`plan`] works out everything from the model file alone; [`publish`] carries it out over any [`Transport`] and can
//! be called again after an interruption: what is on the chain already is not sent again.

mod cost;
mod directory;
mod local;

pub use cost::Cost;
pub(crate) use directory::publish_directory;
pub use directory::{DirectoryError, PublishedFile};

use crate::evm::REGISTRY_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_sol_types::{SolCall, sol};
use lockstep_engine::{
    LS1_VERSION, Limits, Model,
    format::{Container, merkle},
};
use lockstep_precompile::registry::CHUNK_DATA;

sol! {
    /// The part of the registry that publishing uses (docs/spec.md, section 8).
    #[allow(missing_docs)]
    interface ModelRegistry {
        function storeChunk(bytes data) external returns (address chunk);
        function register(uint32 ls1Version, address[] graphChunks, address[] weightChunks) external returns (bytes32 modelId);
        function activate(bytes32 modelId) external;
        function status(bytes32 modelId) external view returns (uint8 status, uint64 activationBlock);
    }
}

/// Init code in front of a chunk's code: it returns what follows it. The zero byte makes the chunk unable to run.
const CHUNK_INIT: [u8; 12] = [0x60, 0x0b, 0x59, 0x81, 0x38, 0x03, 0x80, 0x92, 0x59, 0x39, 0xf3, 0x00];

/// Why a model is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Not a model file, or one that this chain does not take.
    #[error("the model file is refused: {0}")]
    Model(#[from] lockstep_engine::Error),
    /// Registering would take more gas than a transaction may have.
    #[error(
        "registering needs about {gas} gas, more than a transaction may have ({cap}); the model is too large to lie on the chain"
    )]
    TooLarge {
        /// What it needs.
        gas: u64,
        /// What a transaction may have.
        cap: u64,
    },
    /// The chain has no registry.
    #[error("there is no model registry at {0}: this is not a Lockstep chain, or the RPC address is another's")]
    NoRegistry(Address),
    /// A transaction failed.
    #[error("the transaction {what} failed ({hash}): {reason}")]
    Failed {
        /// What it was to do.
        what: String,
        /// Its hash.
        hash: B256,
        /// Why.
        reason: String,
    },
    /// The registry gave another name than the file has.
    #[error(
        "after registering, the registry does not know model {0}; the node and this binary disagree about the format"
    )]
    Disagreement(B256),
    /// The chain was not reached.
    #[error("{0}")]
    Transport(String),
}

/// One chunk of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it lies, stored or not.
    pub address: Address,
    /// The call that stores it.
    pub call: Bytes,
    /// Bytes of data.
    pub length: usize,
}

/// Everything that publishing a model takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The model.
    pub model_id: B256,
    /// The chunks to store, each once.
    pub chunks: Vec<Chunk>,
    /// The call that registers the model.
    pub register: Bytes,
    /// The call that activates it.
    pub activate: Bytes,
    /// What it will cost.
    pub cost: Cost,
    /// Bytes of the graph.
    pub graph_length: usize,
    /// Bytes of the weights.
    pub weights_length: usize,
}

/// Where a chunk with this data lies: CREATE2 by the registry with salt 0.
pub fn chunk_address(data: &[u8]) -> Address {
    let mut init = Vec::with_capacity(CHUNK_INIT.len() + data.len());
    init.extend_from_slice(&CHUNK_INIT);
    init.extend_from_slice(data);
    REGISTRY_ADDRESS.create2(B256::ZERO, keccak256(&init))
}

/// Works out how to publish a model file.
pub fn plan(file: &[u8], limits: &Limits) -> Result<Plan, PublishError> {
    // Decoding checks everything that activation will check.
    let model = Model::decode(file, limits)?;
    let sections = Container::decode(file)?;
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut split = |data: &[u8]| -> Vec<Address> {
        data.chunks(CHUNK_DATA)
            .map(|data| {
                let address = chunk_address(data);
                if !chunks.iter().any(|chunk| chunk.address == address) {
                    let call = ModelRegistry::storeChunkCall { data: data.to_vec().into() }.abi_encode().into();
                    chunks.push(Chunk { address, call, length: data.len() });
                }
                address
            })
            .collect()
    };
    let graph_chunks = split(sections.graph);
    let weight_chunks = split(sections.weights);
    debug_assert_eq!(merkle::LEAF_SIZE, CHUNK_DATA);
    let model_id = B256::from(model.id());
    let listed = graph_chunks.len() + weight_chunks.len();
    let register =
        ModelRegistry::registerCall { ls1Version: LS1_VERSION, graphChunks: graph_chunks, weightChunks: weight_chunks };
    let cost = Cost::of(&chunks, listed, sections.graph.len(), sections.weights.len());
    if cost.register > cost::TRANSACTION_GAS {
        return Err(PublishError::TooLarge { gas: cost.register, cap: cost::TRANSACTION_GAS });
    }
    Ok(Plan {
        model_id,
        chunks,
        register: register.abi_encode().into(),
        activate: ModelRegistry::activateCall { modelId: model_id }.abi_encode().into(),
        cost,
        graph_length: sections.graph.len(),
        weights_length: sections.weights.len(),
    })
}

/// A transaction to send to the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What it does, for people.
    pub what: String,
    /// Call data.
    pub data: Bytes,
    /// A gas limit known to suffice; `None`: estimate.
    pub gas: Option<u64>,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// Its hash.
    pub hash: B256,
    /// Whether it succeeded.
    pub success: bool,
    /// Gas used.
    pub gas_used: u64,
}

/// A way to a chain. Calls block; an asynchronous client wraps itself.
pub trait Transport {
    /// The code at an address, in the latest block.
    fn code(&mut self, address: Address) -> Result<Bytes, PublishError>;
    /// Calls the registry without a transaction.
    fn call(&mut self, data: Bytes) -> Result<Bytes, PublishError>;
    /// Sends transactions to the registry, in order, and waits until all are in blocks.
    fn send(&mut self, transactions: Vec<Outgoing>) -> Result<Vec<Included>, PublishError>;
}

/// Steps of publishing, for whoever shows progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// So many of the chunks are stored.
    Chunks {
        /// Stored.
        stored: usize,
        /// All.
        all: usize,
    },
    /// The model is registered.
    Registered,
    /// The model is activated.
    Activated,
}

/// What publishing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The model.
    pub model_id: B256,
    /// The first block in which it can be called.
    pub activation_block: u64,
    /// Gas used now; 0 where everything was there.
    pub gas_used: u64,
    /// Transactions sent now.
    pub transactions: usize,
}

/// Chunks sent before waiting for their blocks.
const BATCH: usize = 32;

/// Publishes a model, or what of it is not on the chain yet.
pub fn publish(
    plan: &Plan,
    transport: &mut dyn Transport,
    progress: &mut dyn FnMut(Progress),
) -> Result<Published, PublishError> {
    if transport.code(REGISTRY_ADDRESS)?.is_empty() {
        return Err(PublishError::NoRegistry(REGISTRY_ADDRESS));
    }
    let mut done = Published { model_id: plan.model_id, activation_block: 0, gas_used: 0, transactions: 0 };
    let (mut status, mut activation_block) = registry_status(transport, plan.model_id)?;
    if status == 0 {
        let mut missing = Vec::new();
        for chunk in &plan.chunks {
            if transport.code(chunk.address)?.is_empty() {
                missing.push(chunk);
            }
        }
        let all = plan.chunks.len();
        let mut stored = all - missing.len();
        progress(Progress::Chunks { stored, all });
        for batch in missing.chunks(BATCH) {
            let outgoing = batch
                .iter()
                .map(|chunk| Outgoing {
                    what: format!("that stores chunk {}", chunk.address),
                    data: chunk.call.clone(),
                    gas: Some(cost::store_chunk_limit(&chunk.call, chunk.length)),
                })
                .collect();
            send(transport, outgoing, &mut done)?;
            stored += batch.len();
            progress(Progress::Chunks { stored, all });
        }
        let register = Outgoing { what: "that registers the model".into(), data: plan.register.clone(), gas: None };
        send(transport, vec![register], &mut done)?;
        (status, activation_block) = registry_status(transport, plan.model_id)?;
        if status == 0 {
            return Err(PublishError::Disagreement(plan.model_id));
        }
        progress(Progress::Registered);
    }
    if status == 1 {
        let activate = Outgoing { what: "that activates the model".into(), data: plan.activate.clone(), gas: None };
        send(transport, vec![activate], &mut done)?;
        (_, activation_block) = registry_status(transport, plan.model_id)?;
        progress(Progress::Activated);
    }
    done.activation_block = activation_block;
    Ok(done)
}

fn send(transport: &mut dyn Transport, outgoing: Vec<Outgoing>, done: &mut Published) -> Result<(), PublishError> {
    let whats: Vec<String> = outgoing.iter().map(|o| o.what.clone()).collect();
    for (included, what) in transport.send(outgoing)?.into_iter().zip(whats) {
        done.gas_used += included.gas_used;
        done.transactions += 1;
        if !included.success {
            let reason = "it reverted; trace it with debug_traceTransaction".into();
            return Err(PublishError::Failed { what, hash: included.hash, reason });
        }
    }
    Ok(())
}

fn registry_status(transport: &mut dyn Transport, id: B256) -> Result<(u8, u64), PublishError> {
    let answer = transport.call(ModelRegistry::statusCall { modelId: id }.abi_encode().into())?;
    let status = ModelRegistry::statusCall::abi_decode_returns_validate(&answer)
        .map_err(|e| PublishError::Transport(format!("the registry's answer does not decode: {e}")))?;
    Ok((status.status, status.activationBlock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, bytes};

    #[test]
    fn a_chunk_lies_where_the_registry_puts_it() {
        // As emitted by the registry for storeChunk(0x1234).
        assert_eq!(chunk_address(&bytes!("1234")), address!("92ea7b40a764a0e20d7582be7518309c3c5b3ff9"));
    }

    #[test]
    fn a_file_that_is_no_model_is_refused() {
        assert!(matches!(plan(b"PK\x03\x04", &Limits::default()), Err(PublishError::Model(_))));
    }
}
