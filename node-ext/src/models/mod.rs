//! The models in memory: what is active on the chain is resident here (DESIGN 8).
//!
//! A model is put together from the chain's own state: the registry's record names the contracts whose code holds
//! graph and weights. Small models load before the block that activated them is acknowledged; large ones on a thread
//! of their own, while transactions that call them are parked. Weights that the chain only names come from the cache, and
//! into it from sources; until they are there, the node stalls on what calls them.

mod claims;
mod read;
mod serve;
mod supply;

pub use read::{ModelError, StoredModel, active_models, read_model};
pub(crate) use read::{duty as model_duty, record as model_record, registered_models};
pub(crate) use serve::part as model_part;

use claims::Claims;
use supply::Supply;

use crate::{
    cache::{CacheError, Fetched},
    chain::{Chain, ChainListener},
    evm::{Models, REGISTRY_ADDRESS},
    storage::{CanonicalChange, StateReader, StorageError},
};
use alloy_consensus::{Header, TxReceipt};
use alloy_primitives::{B256, Log, keccak256};
use lockstep_engine::{Limits, LoadedModel};
use lockstep_precompile::{ModelStore, registry::Status};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

/// Models of at most so many bytes load at once.
const LOAD_AT_ONCE: u64 = 4 * 1024 * 1024;

/// Blocks for which a model that was retired stays in memory: the cross-check and small reorganisations may want it.
const KEEP_RETIRED: u64 = 64;

/// `ModelActivated(bytes32 indexed modelId, uint64 activationBlock)`.
static MODEL_ACTIVATED: LazyLock<B256> = LazyLock::new(|| keccak256("ModelActivated(bytes32,uint64)"));
/// `ModelRetired(bytes32 indexed modelId)`.
static MODEL_RETIRED: LazyLock<B256> = LazyLock::new(|| keccak256("ModelRetired(bytes32)"));

/// What is done when a model has become resident.
type OnLoaded = Box<dyn Fn() + Send + Sync>;

/// Keeps every active model in memory.
pub struct ModelKeeper {
    chain: Weak<Chain>,
    models: Models,
    limits: Limits,
    /// Bytes that resident models may take.
    memory: Option<u64>,
    /// Where models come from that the chain does not hold.
    supply: Arc<Supply>,
    /// What attesters have said of models that are not in memory yet.
    claims: Claims,
    /// Retired models that are in memory, with the block that retired each.
    retired: Mutex<BTreeMap<B256, u64>>,
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
        sources: Vec<String>,
        on_loaded: impl Fn() + Send + Sync + 'static,
    ) -> Result<Option<Arc<Self>>, ModelError> {
        let Some(config) = &chain.spec().lockstep else { return Ok(None) };
        let supply = Arc::new(Supply::new(cache, sources));
        let keeper = Arc::new(Self {
            chain: Arc::downgrade(chain),
            models,
            limits: config.limits.engine(),
            memory,
            supply: supply.clone(),
            claims: Claims::default(),
            retired: Mutex::default(),
            on_loaded: Box::new(on_loaded),
            branches: Mutex::default(),
            loading: AtomicBool::new(false),
        });
        keeper.load_active(&chain.head_state()?)?;
        let weak = Arc::downgrade(&keeper);
        std::thread::Builder::new()
            .name("model-supply".into())
            .spawn(move || supply.run(&weak))
            .map_err(ModelError::Thread)?;
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
        let loaded = self.load_now(state, id);
        // What neither the chain nor the disk gives now, sources may give, or the disk later.
        if let Err(ModelError::Nowhere { .. }) = loaded {
            self.supply.want(id);
        }
        loaded
    }

    fn load_now(&self, state: &StateReader, id: B256) -> Result<(), ModelError> {
        self.check_memory(id, read::record(state, id)?.word.weights_length)?;
        let nowhere = |chain| move |cache| ModelError::Nowhere { chain: Box::new(chain), cache };
        let stored = read_model(state, id).or_else(|error| self.supply.read(id).map_err(nowhere(error)))?;
        self.insert(stored)
    }

    /// Gets the model into memory by way of the cache. Nothing is asked of the chain: the model's name proves it.
    fn supply(&self, id: B256) -> Result<(), ModelError> {
        if self.models.contains(&id) {
            return Ok(());
        }
        let stored = match self.supply.read(id) {
            Err(CacheError::Absent(_) | CacheError::Damaged { .. }) => {
                let Fetched { bytes, resumed, .. } = self.supply.fetch(id, &self.limits, &[])?;
                tracing::info!(model = %id, bytes, resumed, "weights fetched");
                self.supply.read(id)?
            }
            other => other?,
        };
        self.check_memory(id, stored.weights.len() as u64)?;
        self.insert(stored)?;
        (self.on_loaded)();
        Ok(())
    }

    /// Gets a model into the cache, from these sources first, and into memory where the head says that it is active.
    pub(crate) fn fetch(&self, id: B256, sources: &[String]) -> Result<Fetched, ModelError> {
        let busy = |error: &CacheError| matches!(error, CacheError::Busy(_));
        let fetched = Supply::patiently(|| self.supply.fetch(id, &self.limits, sources), busy)?;
        if let Some(chain) = self.chain.upgrade()
            && self.is_activated(&chain, id)?
        {
            let busy = |error: &ModelError| matches!(error, ModelError::Cache(CacheError::Busy(_)));
            Supply::patiently(|| self.supply(id), busy)?;
        }
        Ok(fetched)
    }

    /// The directory in which models lie on disk.
    pub(crate) fn cache(&self) -> Option<&Path> {
        self.supply.directory()
    }

    fn insert(&self, stored: StoredModel) -> Result<(), ModelError> {
        let (id, graph, weights) = (stored.id, stored.graph.len(), stored.weights.len());
        self.claims.check(&stored);
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
        let receipts = chain.store().receipts(block)?.unwrap_or_default();
        receipts.iter().flat_map(TxReceipt::logs).for_each(|log| self.claims.note(log));
        let activated = logged(&receipts, &MODEL_ACTIVATED);
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

impl ModelKeeper {
    /// The head moved: models that were retired some blocks ago leave memory; what an older head wants comes back.
    fn let_go(self: &Arc<Self>, change: &CanonicalChange) -> Result<(), ModelError> {
        let Some(chain) = self.chain.upgrade() else { return Ok(()) };
        let head = chain.head();
        for block in &change.committed {
            let receipts = chain.store().receipts(*block)?.unwrap_or_default();
            for id in logged(&receipts, &MODEL_RETIRED) {
                self.retired().insert(id, head.header.number);
            }
        }
        if !change.reverted.is_empty() {
            self.load_missing((*head.header).clone(), head.hash);
        }
        let old = |(id, at): (&B256, &u64)| (head.header.number >= at + KEEP_RETIRED).then_some(*id);
        let gone: Vec<B256> = self.retired().iter().filter_map(old).collect();
        for id in gone {
            self.retired().remove(&id);
            if !self.is_activated(&chain, id)? {
                self.supply.forget(id);
                self.supply.unpin(id);
                if self.models.remove(&id)?.is_some() {
                    tracing::info!(model = %id, "a retired model left memory");
                }
            }
        }
        Ok(())
    }

    fn retired(&self) -> MutexGuard<'_, BTreeMap<B256, u64>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_activated(&self, chain: &Chain, id: B256) -> Result<bool, ModelError> {
        match read::record(&chain.head_state()?, id) {
            Ok(record) => Ok(record.word.status == Status::Activated),
            Err(ModelError::Unknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn not_loaded(id: B256, error: &ModelError) {
    tracing::error!(alarm = "model_not_loaded", model = %id, %error, "active model not loaded: transactions that call it are parked");
}

/// The models of which these receipts log this event.
fn logged<R: TxReceipt<Log = Log>>(receipts: &[R], event: &B256) -> Vec<B256> {
    receipts
        .iter()
        .flat_map(TxReceipt::logs)
        .filter_map(|log| match log.topics() {
            [first, id] if log.address == REGISTRY_ADDRESS && first == event => Some(*id),
            _ => None,
        })
        .collect()
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
        if let Err(error) = self.0.let_go(change) {
            tracing::error!(%error, "not seen whether models were retired");
        }
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
