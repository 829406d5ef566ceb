//! Where the precompile finds the models that the chain says are active (DESIGN: active means resident).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use alloy_primitives::B256;
use lockstep_engine::LoadedModel;

/// Why a store does not give an active model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelFault {
    /// The weights on chain do not fit the graph: true for every node, so the caller sees it.
    #[error("the model's weights are invalid: {0}")]
    InvalidWeights(String),
    /// This node does not have the model.
    #[error("this node does not hold the active model {0}: fetch or import its weights")]
    Missing(B256),
    /// This node failed.
    #[error("the model store failed: {0}")]
    Broken(String),
}

/// Gives models by id. A look-up must not block on loading.
pub trait ModelStore: Send + Sync {
    /// The model, verified and ready to run.
    fn get(&self, id: &B256) -> Result<Arc<LoadedModel>, ModelFault>;
}

/// What a store holds of a model.
#[derive(Clone)]
enum Entry {
    Ready(Arc<LoadedModel>),
    Invalid(String),
}

/// Models in memory.
#[derive(Default)]
pub struct ResidentModels {
    models: RwLock<BTreeMap<B256, Entry>>,
}

impl ResidentModels {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a model under its own id, which is returned.
    pub fn insert(&self, model: impl Into<Arc<LoadedModel>>) -> Result<B256, ModelFault> {
        let model = model.into();
        let id = B256::from(model.id);
        self.write(|m| m.insert(id, Entry::Ready(model)))?;
        Ok(id)
    }

    /// Replaces what answers for an id, whatever the model's own: for proving that a wrong model is noticed.
    pub fn insert_as(&self, id: B256, model: Arc<LoadedModel>) -> Result<(), ModelFault> {
        self.write(|m| m.insert(id, Entry::Ready(model))).map(drop)
    }

    /// Notes that the weights on chain do not fit the graph, with the engine's reason.
    pub fn insert_invalid(&self, id: B256, reason: String) -> Result<(), ModelFault> {
        self.write(|m| m.insert(id, Entry::Invalid(reason))).map(drop)
    }

    /// Forgets a model; gives it back where there was one ready.
    pub fn remove(&self, id: &B256) -> Result<Option<Arc<LoadedModel>>, ModelFault> {
        Ok(match self.write(|m| m.remove(id))? {
            Some(Entry::Ready(m)) => Some(m),
            _ => None,
        })
    }

    /// Whether a call of this model has an answer here.
    pub fn contains(&self, id: &B256) -> bool {
        self.read(|m| m.contains_key(id)).unwrap_or(false)
    }

    /// The ids, in order.
    pub fn ids(&self) -> Vec<B256> {
        self.read(|m| m.keys().copied().collect()).unwrap_or_default()
    }

    /// Number of models.
    pub fn len(&self) -> usize {
        self.read(BTreeMap::len).unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read<T>(&self, f: impl FnOnce(&BTreeMap<B256, Entry>) -> T) -> Result<T, ModelFault> {
        self.models.read().map(|m| f(&m)).map_err(|_| poisoned())
    }

    fn write<T>(&self, f: impl FnOnce(&mut BTreeMap<B256, Entry>) -> T) -> Result<T, ModelFault> {
        self.models.write().map(|mut m| f(&mut m)).map_err(|_| poisoned())
    }
}

/// A thread died while it changed the map: what the map holds is no longer known.
fn poisoned() -> ModelFault {
    ModelFault::Broken("a thread died while it changed the resident models; restart the node".to_owned())
}

impl ModelStore for ResidentModels {
    fn get(&self, id: &B256) -> Result<Arc<LoadedModel>, ModelFault> {
        match self.read(|m| m.get(id).cloned())? {
            Some(Entry::Ready(model)) => Ok(model),
            Some(Entry::Invalid(reason)) => Err(ModelFault::InvalidWeights(reason)),
            None => Err(ModelFault::Missing(*id)),
        }
    }
}

impl fmt::Debug for ResidentModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResidentModels").field("ids", &self.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_knows_missing_from_invalid() {
        let store = ResidentModels::new();
        let (a, b) = (B256::repeat_byte(1), B256::repeat_byte(2));
        store.insert_invalid(b, "no".to_owned()).unwrap();
        assert_eq!(store.get(&a).unwrap_err(), ModelFault::Missing(a));
        assert_eq!(store.get(&b).unwrap_err(), ModelFault::InvalidWeights("no".to_owned()));
        assert_eq!(store.ids(), [b]);
        assert!(store.remove(&b).unwrap().is_none() && store.is_empty());
    }

    #[test]
    fn a_poisoned_store_is_broken_not_empty() {
        let store = Arc::new(ResidentModels::new());
        let inside = Arc::clone(&store);
        let died = std::thread::spawn(move || {
            let _guard = inside.models.write().unwrap();
            panic!("on purpose");
        });
        assert!(died.join().is_err());
        assert!(matches!(store.get(&B256::ZERO), Err(ModelFault::Broken(_))));
        assert!(matches!(store.insert_invalid(B256::ZERO, String::new()), Err(ModelFault::Broken(_))));
    }
}
