//! The models in memory: what is active on the chain is resident here (DESIGN 8).
//!
//! A model is put together from the chain's own state: the registry's record names the contracts whose code holds
//! graph and weights. Small models load before the block that activated them is acknowledged; large ones on a thread
//! of their own, while transactions that call them are parked.

mod read;

pub use read::{ModelError, StoredModel, active_models, read_model};
pub(crate) use read::{record as model_record, registered_models};

use crate::{
    chain::{Chain, ChainListener},
    evm::{Models, REGISTRY_ADDRESS},
    storage::CanonicalChange,
};
use alloy_consensus::TxReceipt;
use alloy_primitives::{B256, keccak256};
use lockstep_engine::{Limits, LoadedModel};
use std::sync::{Arc, LazyLock, Weak};

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
    on_loaded: OnLoaded,
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
        on_loaded: impl Fn() + Send + Sync + 'static,
    ) -> Result<Option<Arc<Self>>, ModelError> {
        let Some(config) = &chain.spec().lockstep else { return Ok(None) };
        let keeper = Arc::new(Self {
            chain: Arc::downgrade(chain),
            models,
            limits: config.limits.engine(),
            on_loaded: Box::new(on_loaded),
        });
        for id in active_models(&chain.head_state()?)? {
            if let Err(error) = keeper.load(chain, id) {
                tracing::error!(model = %id, %error, "active model not loaded: transactions that call it are parked");
            }
        }
        chain.listen(Arc::new(Follower(keeper.clone())));
        Ok(Some(keeper))
    }

    /// The limits of this chain.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    fn load(&self, chain: &Chain, id: B256) -> Result<(), ModelError> {
        if self.models.contains(&id) {
            return Ok(());
        }
        let stored = read_model(&chain.head_state()?, id)?;
        let (graph, weights) = (stored.graph.len(), stored.weights.len());
        match stored.load(&self.limits) {
            Ok(model) => self.models.insert(Arc::new(model)).map(drop)?,
            // True for every node, so it is part of the chain's rules: callers get an error, the node goes on.
            Err(ModelError::Engine(reason)) => self.models.insert_invalid(id, reason.to_string())?,
            Err(other) => return Err(other),
        }
        tracing::info!(model = %id, graph, weights, "model resident");
        Ok(())
    }

    fn activated(self: &Arc<Self>, id: B256, bytes: u64) {
        let Some(chain) = self.chain.upgrade() else { return };
        let keeper = self.clone();
        let load = move || match keeper.load(&chain, id) {
            Ok(()) => (keeper.on_loaded)(),
            Err(error) => {
                tracing::error!(model = %id, %error, "active model not loaded: transactions that call it are parked");
            }
        };
        if bytes <= LOAD_AT_ONCE {
            load();
        } else if let Err(error) = std::thread::Builder::new().name("model-load".into()).spawn(load) {
            tracing::error!(model = %id, %error, "no thread to load the model on; restart the node");
        }
    }
}

/// Hears of blocks.
struct Follower(Arc<ModelKeeper>);

impl ChainListener for Follower {
    fn canonical_changed(&self, change: &CanonicalChange) {
        let Some(chain) = self.0.chain.upgrade() else { return };
        for block in &change.committed {
            let receipts = match chain.store().receipts(*block) {
                Ok(receipts) => receipts.unwrap_or_default(),
                Err(error) => {
                    tracing::error!(%block, %error, "receipts not read: models activated in the block are missing");
                    continue;
                }
            };
            for log in receipts.iter().flat_map(TxReceipt::logs) {
                let [event, id] = log.topics() else { continue };
                if log.address != REGISTRY_ADDRESS || *event != *MODEL_ACTIVATED {
                    continue;
                }
                let bytes = chain
                    .head_state()
                    .map_err(ModelError::from)
                    .and_then(|state| read::record(&state, *id))
                    .map_or(0, |record| record.word.weights_length);
                self.0.activated(*id, bytes);
            }
        }
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
