//! The models in memory: what is active on the chain is resident here (DESIGN 8).
//!
//! A model is put together from the chain's own state: the registry's record names the contracts whose code holds
//! graph and weights. Small models load before the block that activated them is acknowledged; large ones on a thread
//! of their own, while transactions that call them are parked.

mod read;
mod serve;

pub use read::{ModelError, StoredModel, active_models, read_model};
pub(crate) use read::{record as model_record, registered_models};
pub(crate) use serve::part as model_part;

use crate::{
    cache::Cache,
    chain::{Chain, ChainListener},
    evm::{Models, REGISTRY_ADDRESS},
    storage::{CanonicalChange, StateReader, StorageError},
};
use alloy_consensus::{Header, TxReceipt};
use alloy_primitives::{B256, keccak256};
use lockstep_engine::{Limits, LoadedModel};
use lockstep_precompile::ModelStore;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

/// Models of at most so many bytes load at once.
const LOAD_AT_ONCE: u64 = 4 * 1024 * 1024;

/// `ModelActivated(bytes32 indexed modelId, uint64 activationBlock)`.
static MODEL_ACTIVATED: LazyLock<B256> = LazyLock::new(|| keccak256("ModelActivated(bytes32,uint64)"));

/// What is done when a model has become resident.
type OnLoaded = Box<dyn Fn() + Send + Sync>;

/// Keeps every active model in memory.
pub struct ModelKeeper {
    chain: Weak<Chain>,
    models: Models,
    limits: Limits,
    /// Bytes that resident models may take.
    memory: Option<u64>,
    /// Where models lie on disk beside the chain.
    cache: Option<PathBuf>,
    on_loaded: OnLoaded,
    /// The block whose state gave a model that the head's may not have.
    branches: Mutex<BTreeMap<B256, B256>>,
    /// [`ModelKeeper::load_missing`] is at work.
    loading: AtomicBool,
}

impl std::fmt::Debug for ModelKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelKeeper").field("models", &self.models).finish_non_exhaustive()
    }
}

impl ModelKeeper {
    /// Loads all models that are active at the head and follows the chain from here on. `None` on a plain chain.
    pub fn start(
        chain: &Arc<Chain>,
        models: Models,
        memory: Option<u64>,
        cache: Option<PathBuf>,
        on_loaded: impl Fn() + Send + Sync + 'static,
    ) -> Result<Option<Arc<Self>>, ModelError> {
        let Some(config) = &chain.spec().lockstep else { return Ok(None) };
        let keeper = Arc::new(Self {
            chain: Arc::downgrade(chain),
            models,
            limits: config.limits.engine(),
            memory,
            cache,
            on_loaded: Box::new(on_loaded),
            branches: Mutex::default(),
            loading: AtomicBool::new(false),
        });
        keeper.load_active(&chain.head_state()?)?;
        chain.listen(Arc::new(Follower(keeper.clone())));
        Ok(Some(keeper))
    }

    /// The limits of this chain.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Loads on a thread of its own whatever is active after the block with this header and is not in memory. A block on a
    /// side branch may call models that only its branch knows.
    pub(crate) fn load_missing(self: &Arc<Self>, header: Header, hash: B256) {
        if self.loading.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(chain) = self.chain.upgrade() else { return };
        let keeper = self.clone();
        let load = move || {
            let loaded = chain.store().state(&header, hash).map_err(ModelError::from);
            let loaded = loaded.and_then(|state| {
                let mut branches = keeper.branches.lock().unwrap_or_else(PoisonError::into_inner);
                branches.extend(active_models(&state)?.into_iter().map(|id| (id, hash)));
                drop(branches);
                keeper.load_active(&state)
            });
            if let Err(error) = loaded {
                tracing::error!(%error, "the active models cannot be read");
            }
            keeper.loading.store(false, Ordering::Release);
            (keeper.on_loaded)();
        };
        if let Err(error) = std::thread::Builder::new().name("model-load".into()).spawn(load) {
            self.loading.store(false, Ordering::Release);
            tracing::error!(%error, "no thread to load models on");
        }
    }

    fn load_active(&self, state: &StateReader) -> Result<(), ModelError> {
        for id in active_models(state)? {
            if let Err(error) = self.load(state, id) {
                not_loaded(id, &error);
            }
        }
        Ok(())
    }

    fn load(&self, state: &StateReader, id: B256) -> Result<(), ModelError> {
        if self.models.contains(&id) {
            return Ok(());
        }
        self.check_memory(id, read::record(state, id)?.word.weights_length)?;
        let stored = read_model(state, id).or_else(|error| self.read_cached(id).ok_or(error))?;
        let (graph, weights) = (stored.graph.len(), stored.weights.len());
        match stored.load(&self.limits) {
            Ok(model) => {
                self.check_memory(id, model.resident_bytes())?;
                self.models.insert(Arc::new(model)).map(drop)?;
            }
            // True for every node, so it is part of the chain's rules: callers get an error, the node goes on.
            Err(ModelError::Engine(reason)) => self.models.insert_invalid(id, reason.to_string())?,
            Err(other) => return Err(other),
        }
        tracing::info!(model = %id, graph, weights, "model resident");
        Ok(())
    }

    /// Whether a model of so many bytes may become resident.
    fn check_memory(&self, id: B256, needed: u64) -> Result<(), ModelError> {
        let Some(budget) = self.memory else { return Ok(()) };
        let used = self.bytes();
        if used.saturating_add(needed) > budget {
            return Err(ModelError::Memory { id, needed, used, budget });
        }
        Ok(())
    }

    /// The model from the disk, where the chain's own copy cannot be read.
    fn read_cached(&self, id: B256) -> Option<StoredModel> {
        let read = Cache::open(self.cache.as_ref()?, None).and_then(|cache| cache.read(id));
        read.inspect_err(|error| tracing::warn!(model = %id, %error, "not read from the cache")).ok()
    }

    /// Bytes that the resident models take.
    pub fn bytes(&self) -> u64 {
        let ready = |id: &B256| self.models.get(id).map_or(0, |model| model.resident_bytes());
        self.models.ids().iter().map(ready).sum()
    }

    /// Loads a model again that was taken out of memory; whether it is there.
    pub(crate) fn reload(&self, id: B256) -> bool {
        let Some(chain) = self.chain.upgrade() else { return false };
        let loaded = chain.head_state().map_err(ModelError::from).and_then(|state| self.load(&state, id));
        let loaded = match (loaded, self.branch_of(id)) {
            // It is a side branch's.
            (Err(ModelError::Unknown(_)), Some(block)) => {
                self.state_after(&chain, block).and_then(|state| self.load(&state, id))
            }
            (loaded, _) => loaded,
        };
        match loaded {
            Ok(()) => (self.on_loaded)(),
            Err(ref error) => not_loaded(id, error),
        }
        loaded.is_ok()
    }

    fn branch_of(&self, id: B256) -> Option<B256> {
        self.branches.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    fn state_after(&self, chain: &Chain, block: B256) -> Result<StateReader, ModelError> {
        let missing = || StorageError::Missing { what: "header", key: block.to_string() };
        let header = chain.store().header(block)?.ok_or_else(missing)?;
        Ok(chain.store().state(&header, block)?)
    }

    /// The block was stored: what it activated becomes resident.
    fn follow(self: &Arc<Self>, block: B256) -> Result<(), ModelError> {
        let Some(chain) = self.chain.upgrade() else { return Ok(()) };
        let activated = activated_in(&chain, block)?;
        if activated.is_empty() {
            return Ok(());
        }
        let state = self.state_after(&chain, block)?;
        // What it activated, no branch without it has.
        let mut branches = self.branches.lock().unwrap_or_else(PoisonError::into_inner);
        branches.extend(activated.iter().map(|id| (*id, block)));
        drop(branches);
        for id in activated.into_iter().filter(|id| !self.models.contains(id)) {
            let bytes = read::record(&state, id).map_or(0, |record| record.word.weights_length);
            let (keeper, chain) = (self.clone(), chain.clone());
            let load = move || match keeper.state_after(&chain, block).and_then(|state| keeper.load(&state, id)) {
                Ok(()) => (keeper.on_loaded)(),
                Err(error) => not_loaded(id, &error),
            };
            if bytes <= LOAD_AT_ONCE {
                load();
            } else if let Err(error) = std::thread::Builder::new().name("model-load".into()).spawn(load) {
                tracing::error!(model = %id, %error, "no thread to load the model on; restart the node");
            }
        }
        Ok(())
    }
}

fn not_loaded(id: B256, error: &ModelError) {
    tracing::error!(alarm = "model_not_loaded", model = %id, %error, "active model not loaded: transactions that call it are parked");
}

/// The models whose activation the block logged.
fn activated_in(chain: &Chain, block: B256) -> Result<Vec<B256>, StorageError> {
    let receipts = chain.store().receipts(block)?.unwrap_or_default();
    Ok(receipts
        .iter()
        .flat_map(TxReceipt::logs)
        .filter_map(|log| match log.topics() {
            [event, id] if log.address == REGISTRY_ADDRESS && *event == *MODEL_ACTIVATED => Some(*id),
            _ => None,
        })
        .collect())
}

/// Hears of blocks.
struct Follower(Arc<ModelKeeper>);

impl Follower {
    fn follow(&self, block: B256) {
        if let Err(error) = self.0.follow(block) {
            tracing::error!(%block, %error, "block not read: models that it activated may be missing");
        }
    }
}

impl ChainListener for Follower {
    fn canonical_changed(&self, change: &CanonicalChange) {
        change.committed.iter().for_each(|block| self.follow(*block));
    }

    /// Before the branch becomes canonical: its later blocks are validated before that.
    fn imported(&self, block: B256) {
        self.follow(block);
    }
}

impl StoredModel {
    /// Checks and prepares the model for running. It takes the name that its content has, which must be the one asked for.
    pub fn load(self, limits: &Limits) -> Result<LoadedModel, ModelError> {
        let model = lockstep_engine::Model::from_sections(&self.graph, self.weights, Vec::new(), limits)
            .and_then(|model| LoadedModel::new(model, limits))
            .map_err(ModelError::Engine)?;
        let found = B256::from(model.id);
        if found != self.id {
            return Err(ModelError::OtherContent { id: self.id, found });
        }
        Ok(model)
    }
}
