//! The cross-check: every inference of a committed block is computed again by the engine's plain reference.
//!
//! It runs behind the chain on a thread of its own, past any memory of answers, and never delays a block: its queue is
//! bounded, and what does not fit is counted as skipped. A difference in one bit is a finding: it is logged, stored
//! with a reproducer, and served by `lockstep_findings`.
//!
//! The queue is in memory: what was not checked when the node stopped is not checked afterwards.

mod check;
mod fault;
mod finding;

pub use fault::{FaultError, Faults, Injected};
pub use finding::Finding;

use crate::{
    chain::{Chain, ChainListener},
    evm::Models,
    inference::BlockInference,
    storage::{CanonicalChange, Store},
};
use alloy_primitives::B256;
use lockstep_engine::{Limits, Tensor};
use serde::Serialize;
use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

/// Inferences that wait at most.
const QUEUE: usize = 4_096;

/// One inference to check.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) block: B256,
    pub(crate) number: u64,
    pub(crate) inference: BlockInference,
    pub(crate) inputs: Arc<Vec<Tensor>>,
}

#[derive(Debug, Default)]
struct Counters {
    queued: AtomicU64,
    checked: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    findings: AtomicU64,
    last_block: AtomicU64,
}

/// What the cross-check has done since the node started.
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Inferences checked.
    pub checked: u64,
    /// Inferences that wait.
    pub pending: u64,
    /// Inferences not checked because the queue was full.
    pub skipped: u64,
    /// Inferences that could not be recomputed here (the model is not in memory any more, the reference failed).
    pub failed: u64,
    /// Findings.
    pub findings: u64,
    /// The block of the inference checked last.
    pub last_block: u64,
}

/// The running cross-check.
#[derive(Debug)]
pub struct CrossCheck {
    counters: Arc<Counters>,
    stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl CrossCheck {
    /// Starts checking what is committed from here on. `None` on a plain chain.
    pub fn start(chain: &Arc<Chain>, models: Models) -> std::io::Result<Option<Self>> {
        let Some(config) = &chain.spec().lockstep else { return Ok(None) };
        let (sender, receiver) = sync_channel(QUEUE);
        let counters = Arc::new(Counters::default());
        let stopping = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            store: chain.store().clone(),
            models,
            limits: config.limits.engine(),
            counters: counters.clone(),
            stopping: stopping.clone(),
        };
        let thread = std::thread::Builder::new().name("cross-check".into()).spawn(move || worker.run(&receiver))?;
        let follower = Follower { chain: Arc::downgrade(chain), sender, counters: counters.clone() };
        chain.listen(Arc::new(follower));
        Ok(Some(Self { counters, stopping, thread: Mutex::new(Some(thread)) }))
    }

    /// What has been checked.
    pub fn coverage(&self) -> Coverage {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let c = &self.counters;
        let (checked, failed) = (read(&c.checked), read(&c.failed));
        Coverage {
            checked,
            pending: read(&c.queued).saturating_sub(checked + failed),
            skipped: read(&c.skipped),
            failed,
            findings: read(&c.findings),
            last_block: read(&c.last_block),
        }
    }

    /// Ends after the inference being checked.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the cross-check had panicked");
        }
    }
}

/// Hears of blocks and hands their inferences to the worker.
struct Follower {
    chain: Weak<Chain>,
    sender: SyncSender<Job>,
    counters: Arc<Counters>,
}

impl ChainListener for Follower {
    fn canonical_changed(&self, change: &CanonicalChange) {
        let Some(chain) = self.chain.upgrade() else { return };
        for block in &change.committed {
            let Some(inferences) = chain.take_inferences(*block) else { continue };
            let number = chain.header(*block).map(|header| header.number).unwrap_or_default();
            for (inference, record) in inferences.all {
                let job = Job { block: *block, number, inference, inputs: record.inputs };
                self.counters.queued.fetch_add(1, Ordering::AcqRel);
                if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.sender.try_send(job) {
                    self.counters.queued.fetch_sub(1, Ordering::AcqRel);
                    self.counters.skipped.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
    }
}

struct Worker {
    store: Store,
    models: Models,
    limits: Limits,
    counters: Arc<Counters>,
    stopping: Arc<AtomicBool>,
}

impl Worker {
    fn run(&self, jobs: &Receiver<Job>) {
        loop {
            let job = match jobs.recv_timeout(std::time::Duration::from_millis(100)) {
                Ok(job) => job,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) if !self.stopping.load(Ordering::Acquire) => continue,
                Err(_) => return,
            };
            self.one(&job);
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
        }
    }

    fn one(&self, job: &Job) {
        match check::check(&self.models, &self.limits, job) {
            Ok(None) => {}
            Ok(Some(finding)) => self.report(&finding),
            Err(reason) => {
                tracing::warn!(block = job.number, model = %job.inference.model_id, reason, "inference not checked");
                self.counters.failed.fetch_add(1, Ordering::AcqRel);
                return;
            }
        }
        self.counters.last_block.store(job.number, Ordering::Release);
        self.counters.checked.fetch_add(1, Ordering::AcqRel);
    }

    fn report(&self, finding: &Finding) {
        tracing::error!(
            block = finding.block_number.to::<u64>(),
            transaction = %finding.transaction_hash,
            model = %finding.model_id,
            node = finding.node,
            operator = finding.operator,
            fast = finding.fast,
            reference = finding.reference,
            "CROSS-CHECK: this node's answer differs from the reference"
        );
        let stored = serde_json::to_vec(finding)
            .map_err(|e| e.to_string())
            .and_then(|json| self.store.push_finding(&json).map_err(|e| e.to_string()));
        if let Err(error) = stored {
            tracing::error!(error, "finding not stored");
        }
        self.counters.findings.fetch_add(1, Ordering::AcqRel);
    }
}
