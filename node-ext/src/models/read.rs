//! Reading a model from the chain's state.

use crate::{
    cache::CacheError,
    evm::REGISTRY_ADDRESS,
    storage::{StateReader, StorageError},
};
use alloy_primitives::{Address, B256};
use lockstep_precompile::{
    ModelFault,
    registry::{CHUNK_PREFIX, Duty, Reader, Record},
};

/// Why a model is not in memory.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The registry has no such model.
    #[error("model {0} is not registered on this chain")]
    Unknown(B256),
    /// Its weights are not on the chain.
    #[error("the weights of model {0} are not on the chain")]
    OffChain(B256),
    /// Neither the chain nor the disk gives it.
    #[error("{chain}; {cache}")]
    Nowhere {
        /// What the chain says.
        chain: Box<ModelError>,
        /// What the disk says.
        cache: CacheError,
    },
    /// The disk or its sources do not give it.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A contract that the record names is not a chunk.
    #[error("model {id}: {chunk} is not a chunk; the registry's record is damaged")]
    NotAChunk {
        /// The model.
        id: B256,
        /// The contract.
        chunk: Address,
    },
    /// The content has another name.
    #[error("the content stored for model {id} is model {found}; the data directory is damaged: restore a backup")]
    OtherContent {
        /// The name asked for.
        id: B256,
        /// The name of the content.
        found: B256,
    },
    /// Its weights do not fit into the memory that this node gives to models.
    #[error(
        "model {id} takes {needed} bytes; models hold {used} of the {budget} bytes of memory that this node gives them: raise --model-memory"
    )]
    Memory {
        /// The model.
        id: B256,
        /// What it takes.
        needed: u64,
        /// What the resident models take.
        used: u64,
        /// What they may take.
        budget: u64,
    },
    /// The system gives no memory.
    #[error("the system refuses {bytes} bytes of memory for model {id}: free some, or run on a larger machine")]
    Refused {
        /// The model.
        id: B256,
        /// What was asked for.
        bytes: usize,
    },
    /// A thread does not start.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The engine refuses the model.
    #[error(transparent)]
    Engine(lockstep_engine::Error),
    /// The models in memory are broken.
    #[error(transparent)]
    Resident(#[from] ModelFault),
    /// The data directory failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A model as it lies on the chain.
#[derive(Debug, Clone)]
pub struct StoredModel {
    /// Its name.
    pub id: B256,
    /// The graph section.
    pub graph: Vec<u8>,
    /// The weights section.
    pub weights: Vec<u8>,
}

/// A model's record.
pub(crate) fn record(state: &StateReader, id: B256) -> Result<Record, ModelError> {
    Reader(|slot| state.slot(REGISTRY_ADDRESS, slot)).record(&id)?.ok_or(ModelError::Unknown(id))
}

/// The names of all activated models, in order of activation.
pub fn active_models(state: &StateReader) -> Result<Vec<B256>, ModelError> {
    let mut reader = Reader(|slot| state.slot(REGISTRY_ADDRESS, slot));
    let count = reader.activated_count()?;
    (0..count).map(|index| Ok(reader.activated_at(index)?)).collect()
}

/// The names of all registered models, in order of registration.
pub(crate) fn registered_models(state: &StateReader) -> Result<Vec<B256>, ModelError> {
    let mut reader = Reader(|slot| state.slot(REGISTRY_ADDRESS, slot));
    let count = reader.registered_count()?;
    (0..count).map(|index| Ok(reader.registered_at(index)?)).collect()
}

/// What goes with a model whose weights are not on the chain.
pub(crate) fn duty(state: &StateReader, id: B256) -> Result<Duty, ModelError> {
    Ok(Reader(|slot| state.slot(REGISTRY_ADDRESS, slot)).duty(&id)?)
}

/// Reads graph and weights of a model from the code of its chunks.
pub fn read_model(state: &StateReader, id: B256) -> Result<StoredModel, ModelError> {
    let record = record(state, id)?;
    if record.is_off_chain() {
        return Err(ModelError::OffChain(id));
    }
    let join = |chunks: &[Address], bytes: u64| {
        let mut data = Vec::new();
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        data.try_reserve_exact(bytes).map_err(|_| ModelError::Refused { id, bytes })?;
        for chunk in chunks {
            let code = state.code(*chunk)?;
            match code.split_first() {
                Some((&CHUNK_PREFIX, rest)) => data.extend_from_slice(rest),
                _ => return Err(ModelError::NotAChunk { id, chunk: *chunk }),
            }
        }
        Ok(data)
    };
    let (graph, weights) = (u64::from(record.word.graph_length), record.word.weights_length);
    let (graph, weights) = (join(&record.graph_chunks, graph)?, join(&record.weight_chunks, weights)?);
    Ok(StoredModel { id, graph, weights })
}
