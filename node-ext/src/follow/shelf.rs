//! The models of a sidecar: on disk by content, in memory as long as there is room. No source is believed.

use crate::{
    cache::{Cache, CacheError, FetchOptions, fetch, source::Source},
    crosscheck::Lack,
};
use alloy_primitives::B256;
use lockstep_engine::{Limits, LoadedModel};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often the sources are asked for a model before its inferences are given up.
const ATTEMPTS: u32 = 3;
/// Models whose failure is remembered.
const MOST_FAILED: usize = 4_096;
/// How long a model that no source gave is not asked for again.
const GIVEN_UP: Duration = Duration::from_secs(60);

pub(super) struct Shelf {
    cache: Cache,
    sources: Vec<Box<dyn Source + Send + Sync>>,
    limits: Limits,
    /// Bytes that models may take in memory.
    memory: u64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// With a number that rises with each use.
    resident: BTreeMap<B256, (Arc<LoadedModel>, u64)>,
    uses: u64,
    /// Attempts that failed, and when the last one did.
    failed: BTreeMap<B256, (u32, Instant)>,
}

impl Shelf {
    pub(super) fn new(cache: Cache, sources: Vec<Box<dyn Source + Send + Sync>>, limits: Limits, memory: u64) -> Self {
        Self { cache, sources, limits, memory, inner: Mutex::default() }
    }

    /// Models in memory.
    pub(super) fn resident(&self) -> usize {
        self.lock().resident.len()
    }

    /// The model: from memory, from the disk, or from the first source that gives it.
    pub(super) fn get(&self, id: &B256) -> Result<Arc<LoadedModel>, Lack> {
        {
            let mut inner = self.lock();
            inner.uses += 1;
            let now = inner.uses;
            if let Some((model, used)) = inner.resident.get_mut(id) {
                *used = now;
                return Ok(model.clone());
            }
            if let Some((attempts, at)) = inner.failed.get(id) {
                match *attempts >= ATTEMPTS {
                    true if at.elapsed() < GIVEN_UP => {
                        return Err(Lack::Never(format!("no source gave model {id}")));
                    }
                    true => drop(inner.failed.remove(id)),
                    false => {}
                }
            }
        }
        match self.read(id) {
            Ok(model) => {
                let model = Arc::new(model);
                self.keep(*id, &model)?;
                Ok(model)
            }
            // What the engine refuses, or what has no room, stays so.
            Err(error @ (CacheError::Engine(_) | CacheError::Room { .. })) => {
                self.lock().failed.insert(*id, (ATTEMPTS, Instant::now()));
                Err(self.missing(id, &error))
            }
            Err(error) => {
                let attempts = {
                    let mut inner = self.lock();
                    // A chain can name as many as it likes.
                    if inner.failed.len() > MOST_FAILED {
                        inner.failed.clear();
                    }
                    let failed = inner.failed.entry(*id).or_insert((0, Instant::now()));
                    *failed = (failed.0 + 1, Instant::now());
                    failed.0
                };
                match attempts >= ATTEMPTS {
                    true => Err(self.missing(id, &error)),
                    false => Err(Lack::NotNow(error.to_string())),
                }
            }
        }
    }

    fn missing(&self, id: &B256, error: &CacheError) -> Lack {
        tracing::error!(alarm = "follow_model_missing", model = %id, %error, "the inferences of a model are not checked");
        Lack::Never(error.to_string())
    }

    fn read(&self, id: &B256) -> Result<LoadedModel, CacheError> {
        let stored = match self.cache.contains(*id).then(|| self.cache.read(*id)) {
            Some(Ok(stored)) => stored,
            // Damaged on disk: it was set aside, and is got again.
            None | Some(Err(_)) => {
                let sources: Vec<&dyn Source> =
                    self.sources.iter().map(|source| source.as_ref() as &dyn Source).collect();
                let options = FetchOptions { limits: self.limits, attempts: 1 };
                fetch(&self.cache, &sources, *id, &options, &mut |_| {})?;
                self.cache.read(*id)?
            }
        };
        stored.load(&self.limits).map_err(|error| match error {
            crate::models::ModelError::Engine(error) => error.into(),
            other => CacheError::Damaged { id: *id, reason: other.to_string() },
        })
    }

    fn keep(&self, id: B256, model: &Arc<LoadedModel>) -> Result<(), Lack> {
        let needed = model.resident_bytes();
        if needed > self.memory {
            let reason =
                format!("model {id} takes {needed} bytes of memory, {} are given: raise --model-memory", self.memory);
            tracing::error!(alarm = "follow_model_missing", model = %id, reason, "the inferences of a model are not checked");
            self.lock().failed.insert(id, (ATTEMPTS, Instant::now()));
            return Err(Lack::Never(reason));
        }
        let mut inner = self.lock();
        inner.failed.remove(&id);
        while inner.resident.values().map(|(model, _)| model.resident_bytes()).sum::<u64>() + needed > self.memory {
            let oldest = inner.resident.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            let Some(oldest) = oldest else { break };
            inner.resident.remove(&oldest);
        }
        inner.uses += 1;
        let now = inner.uses;
        inner.resident.insert(id, (model.clone(), now));
        Ok(())
    }

    /// Whether the model in memory is what was loaded; where it is not, it is read again when it is wanted.
    pub(super) fn is_sound(&self, model: &LoadedModel) -> bool {
        let Err(damage) = model.check_content() else { return true };
        let id = B256::from(model.id);
        tracing::error!(alarm = "resident_damage", model = %id, error = %damage, "resident model damaged");
        self.lock().resident.remove(&id);
        false
    }

    /// Writes the model as a file beside a finding.
    pub(super) fn export(&self, id: B256, dir: &Path) -> Result<(), CacheError> {
        let path = dir.join(format!("{id}.lsm"));
        if path.exists() {
            return Ok(());
        }
        let stored = self.cache.read(id)?;
        let model = lockstep_engine::Model::from_sections(&stored.graph, stored.weights, Vec::new(), &self.limits)?;
        std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::write(&path, model.encode()))
            .map_err(|source| CacheError::Io { path, source })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
