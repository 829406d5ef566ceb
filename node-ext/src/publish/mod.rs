//! Publishing a model: chunks, registration, activation.
//!
//! [`plan`] works out everything from the model file alone; [`publish`] carries it out over any [`Transport`] and can
//! be called again after an interruption: what is on the chain already is not sent again. A model whose chunks are more
//! than one transaction can register is registered in steps. Of a model whose weights stay off chain only the graph is
//! stored; attesters say that they hold the weights ([`off_chain`]).

mod cost;
mod directory;
mod local;
pub mod off_chain;
mod run;
mod staged;

pub use cost::Cost;
pub(crate) use directory::publish_directory;
pub use directory::{DirectoryError, PublishedFile};
pub use run::{Progress, Published, publish};
pub use staged::Staged;

use crate::evm::REGISTRY_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, sol};
use lockstep_engine::{
    LS1_VERSION, Limits, Model,
    format::{Container, merkle},
};
use lockstep_precompile::registry::CHUNK_DATA;
use std::collections::HashSet;

sol! {
    /// The part of the registry that publishing uses (docs/spec.md, section 8).
    #[allow(missing_docs)]
    interface ModelRegistry {
        function storeChunk(bytes data) external returns (address chunk);
        function register(uint32 ls1Version, address[] graphChunks, address[] weightChunks) external returns (bytes32 modelId);
        function open(address[] graphChunks, bytes32 weightsRoot) external returns (bytes32 modelId);
        function append(bytes32 modelId, uint256 first, address[] weightChunks, bytes32[] proof) external returns (uint256 appended);
        function weightsAppended(bytes32 modelId) external view returns (uint256 appended, uint256 all);
        function activate(bytes32 modelId) external payable;
        function depositFor(bytes32 modelId) external view returns (uint256 wei);
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
    /// A transaction would fail: it was not sent.
    #[error("the transaction {what} was not sent, it would fail: {reason}")]
    Refused {
        /// What it was to do.
        what: String,
        /// Why.
        reason: String,
    },
    /// The registry gave another name than the file has.
    #[error(
        "after registering, the registry does not know model {0}; the node and this binary disagree about the format"
    )]
    Disagreement(B256),
    /// The chain has no attesters.
    #[error(
        "this chain has no attesters (config.lockstep.attestation), so it takes no weights off chain; publish them on chain"
    )]
    NoAttesters,
    /// The plan is one for weights off chain.
    #[error("the plan stores no weights: carry it out by off_chain::publish")]
    OffChain,
    /// An attester's key that is none.
    #[error("{0} is no attester of this chain; its attesters are {1:?}")]
    NotAnAttester(Address, Vec<Address>),
    /// Nobody has asked.
    #[error("nothing is asked of attesters for model {0}: `lockstep publish MODEL.lsm --weights-off-chain` asks")]
    NotAsked(B256),
    /// The weights are on the chain.
    #[error("the weights of model {0} are on the chain: nothing has to be attested")]
    OnChain(B256),
    /// The chain was not reached.
    #[error("{0}")]
    Transport(String),
}

/// One chunk of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it lies, stored or not.
    pub address: Address,
    /// Its data, a part of the model file.
    pub data: Bytes,
}

impl Chunk {
    /// The call that stores it.
    pub fn call(&self) -> Bytes {
        ModelRegistry::storeChunkCall { data: self.data.clone() }.abi_encode().into()
    }
}

/// How a model is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// By one call of `register`.
    AtOnce(Bytes),
    /// By `open` and several calls of `append`.
    InSteps(Staged),
    /// By `open` and the attesters' word; the call of `open`.
    OffChain(Bytes),
}

/// Everything that publishing a model takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The model.
    pub model_id: B256,
    /// The chunks to store, each once.
    pub chunks: Vec<Chunk>,
    /// What registers the model.
    pub registration: Registration,
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
    let model_id = B256::from(Model::decode(file, limits)?.id());
    let sections = Container::decode(file)?;
    let mut chunks = Chunks::default();
    let graph_chunks = chunks.split(sections.graph);
    let weight_chunks = chunks.split(sections.weights);
    let chunks = chunks.chunks;
    debug_assert_eq!(merkle::LEAF_SIZE, CHUNK_DATA);
    let (graph_length, weights_length) = (sections.graph.len(), sections.weights.len());
    let mut cost = Cost::of(&chunks, graph_length, weights_length, 0);
    let registration = if cost.register <= cost::TRANSACTION_GAS {
        let call = ModelRegistry::registerCall {
            ls1Version: LS1_VERSION,
            graphChunks: graph_chunks,
            weightChunks: weight_chunks,
        };
        Registration::AtOnce(call.abi_encode().into())
    } else {
        cost = Cost::of(&chunks, graph_length, weights_length, weight_chunks.len().div_ceil(staged::APPEND));
        let leaves = sections.weights.chunks(CHUNK_DATA).map(|leaf| merkle::leaf_hash(leaf).into()).collect();
        Registration::InSteps(Staged::new(model_id, graph_chunks, weight_chunks, leaves))
    };
    Ok(Plan { model_id, chunks, registration, activate: activation(model_id), cost, graph_length, weights_length })
}

/// The call that activates a model.
fn activation(model_id: B256) -> Bytes {
    ModelRegistry::activateCall { modelId: model_id }.abi_encode().into()
}

/// Chunks to store, each once.
#[derive(Debug, Default)]
struct Chunks {
    chunks: Vec<Chunk>,
    known: HashSet<Address>,
}

impl Chunks {
    /// Cuts a section; gives where its chunks lie, in order.
    fn split(&mut self, section: &[u8]) -> Vec<Address> {
        let section = Bytes::copy_from_slice(section);
        (0..section.len())
            .step_by(CHUNK_DATA)
            .map(|from| {
                let data = section.slice(from..section.len().min(from + CHUNK_DATA));
                let address = chunk_address(&data);
                if self.known.insert(address) {
                    self.chunks.push(Chunk { address, data });
                }
                address
            })
            .collect()
    }
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
    /// Wei that go with it.
    pub value: U256,
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
    /// Whether each of these addresses has code in the latest block.
    fn have_code(&mut self, addresses: &[Address]) -> Result<Vec<bool>, PublishError>;
    /// Calls the registry without a transaction.
    fn call(&mut self, data: Bytes) -> Result<Bytes, PublishError>;
    /// Number of the latest block.
    fn block_number(&mut self) -> Result<u64, PublishError>;
    /// Gas that a block may use at present.
    fn block_gas(&mut self) -> Result<u64, PublishError>;
    /// Sends transactions to the registry, in order, and waits until all are in blocks.
    fn send(&mut self, transactions: Vec<Outgoing>) -> Result<Vec<Included>, PublishError>;
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
