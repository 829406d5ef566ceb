//! Weights that are not on the chain: read from the cache, and got into it from sources, until they are there.

use super::{ModelKeeper, StoredModel};
use crate::cache::{Cache, CacheError, FetchOptions, Fetched, fetch, source};
use alloy_primitives::B256;
use lockstep_engine::Limits;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError, Weak},
    time::{Duration, Instant},
};

/// How long after an attempt that failed the next one is made.
const RETRY: Duration = Duration::from_secs(2);
/// How long a person's request waits for a cache that is in use.
const PATIENCE: Duration = Duration::from_secs(10);
/// Attempts from one log line to the next.
const TOLD: u64 = 30;

/// Where models come from that the chain does not hold.
#[derive(Debug)]
pub(super) struct Supply {
    cache: Option<PathBuf>,
    sources: Vec<String>,
    /// Held while this process has the cache open.
    open: Mutex<()>,
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wanted: BTreeSet<B256>,
    /// Something was added since the last attempt.
    fresh: bool,
}

impl Supply {
    /// `cache` keeps what comes; `sources` are asked in their order.
    pub(super) fn new(cache: Option<PathBuf>, sources: Vec<String>) -> Self {
        Self { cache, sources, open: Mutex::default(), state: Mutex::default(), bell: Condvar::new() }
    }

    /// The cache's directory.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the model got, now and again until it is in memory.
    pub(super) fn want(&self, id: B256) {
        let mut state = self.state();
        state.wanted.insert(id);
        state.fresh = true;
        self.bell.notify_one();
    }

    /// Nobody wants the model any more.
    pub(super) fn forget(&self, id: B256) {
        self.state().wanted.remove(&id);
    }

    /// Does something with the cache, which one thread of one process has open at a time. Whoever comes second does not
    /// wait: it may be a block.
    fn with<T>(&self, then: impl FnOnce(&Cache) -> Result<T, CacheError>) -> Result<T, CacheError> {
        let dir = self.cache.as_deref().ok_or(CacheError::NoCache)?;
        let _alone = match self.open.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(CacheError::Busy(dir.to_owned())),
        };
        then(&Cache::open(dir, None)?)
    }

    /// Whether the cache has the model.
    fn has(&self, id: B256) -> bool {
        self.cache.as_deref().is_some_and(|dir| dir.join(id.to_string()).is_dir())
    }

    /// The model from the cache, every byte hashed. It is pinned: what is active must not make room for others.
    pub(super) fn read(&self, id: B256) -> Result<StoredModel, CacheError> {
        if !self.has(id) {
            return Err(CacheError::Absent(id));
        }
        self.with(|cache| {
            let stored = cache.read(id)?;
            cache.pin(id, true).map(|()| stored)
        })
    }

    /// Takes the pin away.
    pub(super) fn unpin(&self, id: B256) {
        if self.has(id)
            && let Err(error) = self.with(|cache| cache.pin(id, false))
        {
            tracing::debug!(model = %id, %error, "not unpinned");
        }
    }

    /// Gets the model into the cache, from these sources and from the node's own.
    pub(super) fn fetch(&self, id: B256, limits: &Limits, others: &[String]) -> Result<Fetched, CacheError> {
        let sources = others.iter().chain(&self.sources);
        if others.is_empty() && self.sources.is_empty() && self.cache.is_some() {
            return Err(CacheError::Absent(id));
        }
        let sources = sources.map(|text| source::parse(text, source::STALL)).collect::<Result<Vec<_>, _>>()?;
        let sources: Vec<&dyn source::Source> = sources.iter().map(|s| s.as_ref() as &dyn source::Source).collect();
        let options = FetchOptions { limits: *limits, ..Default::default() };
        self.with(|cache| fetch(cache, &sources, id, &options, &mut |_| {}))
    }

    /// Tries again while the cache is in use, for whoever can wait.
    pub(super) fn patiently<T, E>(
        mut attempt: impl FnMut() -> Result<T, E>,
        busy: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let began = Instant::now();
        loop {
            match attempt() {
                Err(error) if busy(&error) && began.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => return other,
            }
        }
    }

    /// Waits for something to be wanted, or to be tried again.
    fn next(&self) -> BTreeSet<B256> {
        let waited = self.bell.wait_timeout_while(self.state(), RETRY, |state| !state.fresh);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.fresh = false;
        state.wanted.clone()
    }

    /// Runs until the keeper is gone.
    pub(super) fn run(self: &Arc<Self>, keeper: &Weak<ModelKeeper>) {
        let mut attempts = 0u64;
        loop {
            let wanted = self.next();
            let Some(keeper) = keeper.upgrade() else { return };
            for id in wanted {
                match keeper.supply(id) {
                    Ok(()) => self.forget(id),
                    Err(error) if attempts.is_multiple_of(TOLD) => super::not_loaded(id, &error),
                    Err(error) => tracing::debug!(model = %id, %error, "not there yet"),
                }
            }
            attempts += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_a_cache_says_so() {
        let supply = Supply::new(None, vec!["/nowhere".into()]);
        assert!(matches!(supply.read(B256::ZERO), Err(CacheError::Absent(_))));
        assert!(matches!(supply.fetch(B256::ZERO, &Limits::default(), &[]), Err(CacheError::NoCache)));
    }

    #[test]
    fn whoever_comes_second_does_not_wait() {
        let dir = tempfile::tempdir().unwrap();
        let supply = Supply::new(Some(dir.path().into()), Vec::new());
        let inner = supply.with(|_| Ok(supply.with(|_| Ok(())).unwrap_err())).unwrap();
        assert!(matches!(inner, CacheError::Busy(_)));
        supply.with(|_| Ok(())).unwrap();
    }

    #[test]
    fn what_is_wanted_is_given_at_once_and_until_it_is_there() {
        let supply = Supply::new(None, Vec::new());
        supply.want(B256::repeat_byte(1));
        let began = std::time::Instant::now();
        assert_eq!(supply.next().len(), 1);
        assert!(began.elapsed() < RETRY);
        assert_eq!(supply.next().len(), 1, "again");
        supply.forget(B256::repeat_byte(1));
        assert!(supply.next().is_empty());
    }
}
