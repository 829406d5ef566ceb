//! Blocks being built: each on a thread, built again while better transactions arrive, until it is asked for.

use crate::{
    chain::{BuildAttributes, BuiltBlock, Chain, Head},
    pool::{Pool, SealError, seal},
    storage::StoredBlock,
};
use alloy_consensus::{Transaction as _, Typed2718};
use alloy_eips::{eip7594::BlobTransactionSidecarVariant, eip7685::Requests};
use alloy_primitives::{B64, U256};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Jobs kept at most; the oldest makes room.
const JOBS: usize = 8;
/// How long a block is built again while transactions arrive: one slot.
const LIFE: Duration = Duration::from_secs(12);
/// How often the pool is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the first block may take before the caller is told to come again.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name of a block being built.
pub type BuildId = B64;

/// A block that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The block.
    pub block: StoredBlock,
    /// Requests of the execution layer (EIP-7685), those without data left out.
    pub requests: Requests,
    /// What the fee recipient gains by it, in wei.
    pub value: U256,
    /// The blobs of its transactions, in their order.
    pub sidecars: Vec<Arc<BlobTransactionSidecarVariant>>,
}

/// The jobs.
#[derive(Debug)]
pub struct Jobs {
    chain: Arc<Chain>,
    pool: Arc<Pool>,
    jobs: Mutex<VecDeque<Arc<Job>>>,
}

#[derive(Debug)]
struct Job {
    id: BuildId,
    parent: Head,
    attributes: BuildAttributes,
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    best: Option<Built>,
    failed: Option<String>,
    ended: bool,
}

impl Job {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

impl Jobs {
    pub(super) fn new(chain: Arc<Chain>, pool: Arc<Pool>) -> Self {
        Self { chain, pool, jobs: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to build a block on `parent`; a job with this name goes on as it is.
    pub fn start(&self, id: BuildId, parent: Head, attributes: BuildAttributes) -> std::io::Result<()> {
        let mut jobs = self.lock();
        if jobs.iter().any(|job| job.id == id) {
            return Ok(());
        }
        let (state, changed, thread) = Default::default();
        let job = Arc::new(Job { id, parent, attributes, state, changed, thread });
        let worker = Worker { chain: self.chain.clone(), pool: self.pool.clone(), job: job.clone() };
        let thread = std::thread::Builder::new().name("build".into()).spawn(move || worker.run())?;
        *job.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        while jobs.len() >= JOBS {
            jobs.pop_front().inspect(|oldest| oldest.end());
        }
        jobs.push_back(job);
        Ok(())
    }

    /// Ends all jobs; returns when their threads are gone.
    pub fn stop(&self) {
        let jobs = std::mem::take(&mut *self.lock());
        jobs.iter().for_each(|job| job.end());
        for job in jobs {
            let thread = job.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if thread.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("a builder had panicked");
            }
        }
    }

    /// The best block of a job so far; the job ends. `None`: there is no such job. Waits for the first block. None is handed
    /// out where this node must not seal, also if it was built before that was known (spec CARE-4).
    pub fn take(&self, id: BuildId) -> Option<Result<Built, String>> {
        let job = self.lock().iter().find(|job| job.id == id)?.clone();
        let (mut state, _) = job
            .changed
            .wait_timeout_while(job.lock(), PATIENCE, |state| state.best.is_none() && state.failed.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        state.ended = state.best.is_some();
        job.changed.notify_all();
        if let Err(stop) = self.chain.evm().care().duty().check() {
            return Some(Err(stop.to_string()));
        }
        match (&state.best, &state.failed) {
            (Some(built), _) => Some(Ok(built.clone())),
            (None, Some(reason)) => Some(Err(reason.clone())),
            (None, None) => Some(Err("the block is not built yet: ask again".into())),
        }
    }
}

struct Worker {
    chain: Arc<Chain>,
    pool: Arc<Pool>,
    job: Arc<Job>,
}

impl Worker {
    fn run(self) {
        let began = Instant::now();
        let mut seen = None;
        loop {
            let arrivals = self.pool.arrival_count();
            if seen != Some(arrivals) {
                seen = Some(arrivals);
                self.build();
            }
            let state = self.job.lock();
            let (state, _) = self
                .job
                .changed
                .wait_timeout_while(state, LOOK_EVERY, |state| !state.ended)
                .unwrap_or_else(PoisonError::into_inner);
            if state.ended || began.elapsed() > LIFE {
                return;
            }
        }
    }

    fn build(&self) {
        let built = self.try_build();
        let mut state = self.job.lock();
        match built {
            // What was told is not taken back.
            Ok(_) if state.ended => {}
            Ok(built) if state.best.as_ref().is_some_and(|best| best.value >= built.value) => {}
            Ok(built) => state.best = Some(built),
            Err(error) => {
                tracing::error!(%error, parent = %self.job.parent.hash, "no block could be built");
                state.failed = Some(error.to_string());
            }
        }
        self.job.changed.notify_all();
    }

    fn try_build(&self) -> Result<Built, BuildError> {
        let built = seal(&self.chain, &self.pool, &self.job.parent, &self.job.attributes)?;
        Built::new(built, &self.pool).ok_or(BuildError::Sidecar)
    }
}

#[derive(Debug, thiserror::Error)]
enum BuildError {
    /// There is no block.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A block without its sidecars cannot be handed out.
    #[error("the sidecar of a blob transaction was forgotten while it was taken into a block")]
    Sidecar,
}

impl Built {
    /// A block with what the consensus side gets beside it; `None` where a sidecar is not there.
    pub(crate) fn new(built: BuiltBlock, pool: &Pool) -> Option<Self> {
        let blobs = built.block.body.transactions.iter().filter(|tx| tx.is_eip4844());
        let sidecars = blobs.map(|tx| pool.sidecar(*tx.tx_hash())).collect::<Option<_>>()?;
        let base_fee = built.block.header.base_fee_per_gas.unwrap_or_default();
        let (mut before, mut value) = (0, U256::ZERO);
        for (tx, receipt) in built.block.body.transactions.iter().zip(&built.block.receipts) {
            let gas = receipt.cumulative_gas_used() - before;
            before = receipt.cumulative_gas_used();
            let tip = tx.effective_tip_per_gas(base_fee).unwrap_or_default();
            value += U256::from(tip) * U256::from(gas);
        }
        let requests = Requests::new(built.requests.iter().filter(|request| request.len() > 1).cloned().collect());
        Some(Self { block: built.block, requests, value, sidecars })
    }
}
