//! What keeps wrong answers out of blocks (spec, CARE rules).
//!
//! [`selftest`] asks the machine before the node seals anything, the check of resident weights asks the memory after every
//! execution of a block, [`scrub`] hashes it again all the time, and [`duty`] is what stops the sealing. The cross-check,
//! which finds what passes all of these, is a module of its own.

pub mod duty;
pub mod scrub;
pub mod selftest;

pub use duty::{Duty, Stop};
pub use selftest::{Report, SelfTest, Unfit};

use crate::{evm::Models, memo::NodeMemo};
use alloy_primitives::B256;
use lockstep_engine::{LoadedModel, resident::Damage};
use lockstep_precompile::ModelStore;
use serde::Serialize;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Condvar, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// A resident model of which one is hashed again, every so often.
pub const SCRUB_EVERY: Duration = Duration::from_secs(60);

/// Which defences are on. All are, except where a test proves that one is needed.
#[derive(Debug, Clone)]
pub struct Defences {
    /// The self-test at start; `None`: the node starts on any machine.
    pub self_test: Option<SelfTest>,
    /// The sum over the resident weights that a block used.
    pub resident_sum: bool,
    /// How often the next resident model is hashed again; `None`: never.
    pub scrub_every: Option<Duration>,
}

impl Default for Defences {
    fn default() -> Self {
        Self { self_test: Some(SelfTest::default()), resident_sum: true, scrub_every: Some(SCRUB_EVERY) }
    }
}

/// What was found since the node started.
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Resident models summed after a block.
    pub summed: u64,
    /// Resident models hashed again.
    pub scrubbed: u64,
    /// Resident models found damaged.
    pub damaged: u64,
    /// Models loaded again after that.
    pub reloaded: u64,
}

/// The care of one node.
#[derive(Debug)]
pub struct Care {
    models: Models,
    memo: NodeMemo,
    defences: RwLock<Defences>,
    duty: Duty,
    summed: AtomicU64,
    scrubbed: AtomicU64,
    damaged: AtomicU64,
    reloaded: AtomicU64,
    /// Models taken out of memory, to be loaded again.
    lost: Mutex<BTreeSet<B256>>,
    wake: Condvar,
}

/// A resident model is not what was loaded.
#[derive(Debug, Clone, thiserror::Error)]
#[error("model {id}: {damage}; it was taken out of memory and is loaded again. Check this machine's memory")]
pub struct Damaged {
    /// The model.
    pub id: B256,
    /// What has changed.
    pub damage: Damage,
}

impl Care {
    /// For these models and the answers remembered of them.
    pub(crate) fn new(models: Models, memo: NodeMemo) -> Self {
        Self {
            models,
            memo,
            defences: RwLock::default(),
            duty: Duty::default(),
            summed: AtomicU64::new(0),
            scrubbed: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            reloaded: AtomicU64::new(0),
            lost: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// Chooses the defences.
    pub(crate) fn configure(&self, defences: Defences) {
        *self.defences.write().unwrap_or_else(PoisonError::into_inner) = defences;
    }

    /// Whether this node may seal blocks.
    pub fn duty(&self) -> &Duty {
        &self.duty
    }

    /// What was found.
    pub fn counts(&self) -> Counts {
        Counts {
            summed: self.summed.load(Relaxed),
            scrubbed: self.scrubbed.load(Relaxed),
            damaged: self.damaged.load(Relaxed),
            reloaded: self.reloaded.load(Relaxed),
        }
    }

    /// Sums the weights of the models that a block used (of all, where it is not known which): the first that has changed is
    /// given, and is out of memory when this returns.
    pub(crate) fn check_used(&self, used: Option<Vec<Arc<LoadedModel>>>) -> Result<(), Damaged> {
        if !self.defences.read().unwrap_or_else(PoisonError::into_inner).resident_sum {
            return Ok(());
        }
        // What is not there, or broken, was refused already.
        let all = || self.models.ids().iter().filter_map(|id| self.models.get(id).ok()).collect();
        let mut first = None;
        for model in used.unwrap_or_else(all) {
            self.summed.fetch_add(1, Relaxed);
            if let Err(damage) = model.check_sum() {
                first.get_or_insert(self.take_out(&model, damage));
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Hashes a resident model again.
    pub(crate) fn check_content(&self, id: B256) -> Result<(), Damaged> {
        let Ok(model) = self.models.get(&id) else { return Ok(()) };
        self.scrubbed.fetch_add(1, Relaxed);
        model.check_content().map_err(|damage| self.take_out(&model, damage))
    }

    fn take_out(&self, model: &Arc<LoadedModel>, damage: Damage) -> Damaged {
        let resident = |id: &B256| self.models.get(id).is_ok_and(|resident| Arc::ptr_eq(&resident, model));
        let found = self.models.ids().into_iter().find(resident);
        let id = found.unwrap_or(B256::from(model.id));
        self.damaged.fetch_add(1, Relaxed);
        // Otherwise somebody else found it, and what is resident by now is another copy.
        if found.is_some()
            && let Err(error) = self.models.remove(&id)
        {
            tracing::error!(model = %id, %error, "a damaged model is still in memory");
        }
        // What it may have computed since it changed; before another copy can be there.
        self.memo.forget_model(&id);
        if found.is_some() {
            self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        }
        let damaged = Damaged { id, damage };
        tracing::error!(alarm = "resident_damage", model = %id, error = %damaged, "resident model damaged");
        self.wake.notify_all();
        damaged
    }

    pub(super) fn scrub_every(&self) -> Option<Duration> {
        self.defences.read().unwrap_or_else(PoisonError::into_inner).scrub_every
    }
}
