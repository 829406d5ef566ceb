//! The cross-check: every inference of a committed block is computed again by the engine's plain reference.
//!
//! It runs behind the chain on a thread of its own, past any memory of answers, and never delays a block: what waits is
//! bounded, and what is too much is dropped, oldest first, and counted as skipped. A difference in one bit is a finding:
//! it is logged, stored with a reproducer, and served by `lockstep_findings`. `candle` is asked about each operator too;
//! what lies outside its tolerance is an alert, served by `lockstep_alerts`, and stops nothing.
//!
//! What waits was written in the transaction that wrote its block, so a node that is killed goes on where it was.

mod candle;
mod check;
mod fault;
mod finding;
mod job;

pub use candle::{ABSOLUTE, RELATIVE};
pub use fault::{FaultError, Faults, Injected};
pub use finding::{Alert, Finding, FindingTensor};
pub(crate) use job::{Job, encode};

use crate::{
    care::{Care, Stop},
    chain::{Chain, ChainListener},
    evm::Models,
    storage::{CanonicalChange, StorageError, Store},
};
use check::Checked;
use lockstep_engine::Limits;
use serde::Serialize;
use std::{
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Inferences that wait at most.
const QUEUE: u64 = 65_536;
/// Inferences that wait beyond which a random sample is checked.
const BUSY: u64 = 1_024;
/// Inferences that wait beyond which candle is not asked.
const BUSY_FOR_CANDLE: u64 = 128;
/// Inferences taken from the database at a time.
const BATCH: usize = 64;

#[derive(Debug, Default)]
struct Counters {
    checked: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    findings: AtomicU64,
    alerts: AtomicU64,
    compared: AtomicU64,
    without: AtomicU64,
    last_block: AtomicU64,
}

/// What the cross-check has done since the node started.
#[derive(Debug, Clone, Copy, Default, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Inferences checked.
    pub checked: u64,
    /// Inferences that wait, those of before a restart included.
    pub pending: u64,
    /// Inferences not checked because too many waited.
    pub skipped: u64,
    /// Inferences that could not be recomputed here (the model is not in memory any more, the reference failed).
    pub failed: u64,
    /// Findings.
    pub findings: u64,
    /// Alerts: candle's answer of an operator lies outside the tolerance.
    pub alerts: u64,
    /// Operators of which candle had an opinion.
    pub compared: u64,
    /// Operators of which it had none.
    pub without: u64,
    /// Blocks from the one whose inference waits longest to the head.
    pub lag: u64,
    /// The block of the inference checked last.
    pub last_block: u64,
}

/// What a difference in a bit between two implementations of LS1 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDifference {
    /// It is told, and the node goes on.
    #[default]
    Alert,
    /// It is told, and the node seals nothing until it is started again. It serves on.
    Halt,
}

/// How it is run.
#[derive(Debug, Clone, Default)]
pub struct CrossCheckConfig {
    /// What a finding does.
    pub on_difference: OnDifference,
    /// Where a finding is written as a file that `lockstep run --compare --inputs` takes.
    pub reproducers: Option<PathBuf>,
}

/// The running cross-check.
#[derive(Debug)]
pub struct CrossCheck {
    store: Store,
    counters: Arc<Counters>,
    stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl CrossCheck {
    /// Starts checking what is committed from here on. `None` on a plain chain.
    pub fn start(chain: &Arc<Chain>, models: Models, config: CrossCheckConfig) -> std::io::Result<Option<Self>> {
        let Some(rules) = &chain.spec().lockstep else { return Ok(None) };
        let (wake, woken) = sync_channel(1);
        let counters = Arc::new(Counters::default());
        let stopping = Arc::new(AtomicBool::new(false));
        let store = chain.store().clone();
        let worker = Worker {
            store: store.clone(),
            models,
            limits: rules.limits.engine(),
            counters: counters.clone(),
            stopping: stopping.clone(),
            care: chain.evm().care().clone(),
            config,
            random: RandomState::new(),
        };
        let thread = std::thread::Builder::new().name("cross-check".into()).spawn(move || worker.run(&woken))?;
        chain.listen(Arc::new(Follower(wake)));
        Ok(Some(Self { store, counters, stopping, thread: Mutex::new(Some(thread)) }))
    }

    /// What has been checked.
    pub fn coverage(&self) -> Result<Coverage, StorageError> {
        let pending = self.store.unchecked_count()?;
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let c = &self.counters;
        Ok(Coverage {
            checked: read(&c.checked),
            pending,
            skipped: read(&c.skipped),
            failed: read(&c.failed),
            findings: read(&c.findings),
            alerts: read(&c.alerts),
            compared: read(&c.compared),
            without: read(&c.without),
            lag: self.lag()?,
            last_block: read(&c.last_block),
        })
    }

    fn lag(&self) -> Result<u64, StorageError> {
        let oldest = self.store.unchecked(1)?.into_iter().find_map(|(_, job)| Job::decode(&job).ok());
        let head = self.store.head_hash()?.map(|hash| self.store.header(hash)).transpose()?.flatten();
        Ok(oldest.zip(head).map_or(0, |(job, head)| head.number.saturating_sub(job.number) + 1))
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

/// A node that does not come up leaves no thread behind that holds its data directory.
impl Drop for CrossCheck {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Hears of blocks and wakes the worker.
struct Follower(SyncSender<()>);

impl ChainListener for Follower {
    fn canonical_changed(&self, _change: &CanonicalChange) {
        // Full: it is awake.
        let _ = self.0.try_send(());
    }
}

struct Worker {
    store: Store,
    models: Models,
    limits: Limits,
    counters: Arc<Counters>,
    stopping: Arc<AtomicBool>,
    care: Arc<Care>,
    config: CrossCheckConfig,
    /// Chooses the sample: nobody outside can tell what is checked.
    random: RandomState,
}

impl Worker {
    fn run(&self, woken: &Receiver<()>) {
        while !self.stopping() {
            match self.batch() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the cross-check cannot read or write its queue"),
            }
            if let Err(RecvTimeoutError::Disconnected) = woken.recv_timeout(Duration::from_millis(100)) {
                return;
            }
        }
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Checks the oldest that wait; whether there were any.
    fn batch(&self) -> Result<bool, StorageError> {
        let skipped = self.store.drop_unchecked(QUEUE)?;
        if skipped > 0 {
            tracing::warn!(skipped, "more inferences than can be checked: the oldest are skipped");
            self.counters.skipped.fetch_add(skipped, Ordering::AcqRel);
        }
        let waiting = self.store.unchecked_count()?;
        let jobs = self.store.unchecked(BATCH)?;
        let any = !jobs.is_empty();
        let mut done = Vec::with_capacity(jobs.len());
        for (key, job) in jobs {
            if self.stopping() {
                break;
            }
            done.push(key);
            if !self.is_in_sample(key, waiting) {
                self.counters.skipped.fetch_add(1, Ordering::AcqRel);
                continue;
            }
            let checked = self.one(&job, waiting <= BUSY_FOR_CANDLE);
            if let Some(alert) = &checked.alert {
                self.alert(alert)?;
            }
            if let Some(finding) = &checked.finding {
                self.report(finding);
                match serde_json::to_vec(finding) {
                    Ok(json) => {
                        self.store.checked(&done, Some(&json))?;
                        done.clear();
                    }
                    Err(error) => tracing::error!(%error, "finding not stored"),
                }
            }
        }
        if !done.is_empty() {
            self.store.checked(&done, None)?;
        }
        Ok(any)
    }

    /// Whether this one is checked while so many wait: each with the same chance.
    fn is_in_sample(&self, key: u64, waiting: u64) -> bool {
        waiting <= BUSY || self.random.hash_one(key) % waiting < BUSY
    }

    fn one(&self, job: &[u8], ask: bool) -> Checked {
        let job = match Job::decode(job) {
            Ok(job) => job,
            Err(reason) => {
                tracing::error!(reason, "a waiting inference does not decode: it is not checked");
                self.counters.failed.fetch_add(1, Ordering::AcqRel);
                return Checked::default();
            }
        };
        let checked = check::check(&self.models, &self.limits, &job, ask);
        match &checked {
            Ok(checked) => {
                self.counters.compared.fetch_add(checked.compared, Ordering::AcqRel);
                self.counters.without.fetch_add(checked.without, Ordering::AcqRel);
                self.counters.last_block.store(job.number, Ordering::Release);
                self.counters.checked.fetch_add(1, Ordering::AcqRel);
            }
            Err(reason) => {
                tracing::warn!(block = job.number, model = %job.inference.model_id, reason, "inference not checked");
                self.counters.failed.fetch_add(1, Ordering::AcqRel);
            }
        }
        checked.unwrap_or_default()
    }

    fn report(&self, finding: &Finding) {
        tracing::error!(
            alarm = "difference",
            block = finding.block_number.to::<u64>(),
            transaction = %finding.transaction_hash,
            model = %finding.model_id,
            node = finding.node,
            operator = finding.operator,
            fast = finding.fast,
            reference = finding.reference,
            "CROSS-CHECK: this node's answer differs from the reference"
        );
        self.counters.findings.fetch_add(1, Ordering::AcqRel);
        self.write_reproducer(finding);
        if self.config.on_difference == OnDifference::Halt {
            self.care.duty().stop(Stop::Difference {
                block: finding.block_number.to(),
                transaction: finding.transaction_hash,
                model: finding.model_id,
                operator: finding.operator.clone(),
            });
        }
    }

    fn alert(&self, alert: &Alert) -> Result<(), StorageError> {
        self.counters.alerts.fetch_add(1, Ordering::AcqRel);
        tracing::warn!(
            alarm = "tolerance",
            block = alert.block_number.to::<u64>(),
            transaction = %alert.transaction_hash,
            model = %alert.model_id,
            node = alert.node,
            operator = alert.operator,
            candle = alert.candle,
            reference = alert.reference,
            "candle's answer lies outside the tolerance"
        );
        match serde_json::to_vec(alert) {
            Ok(json) => self.store.alert(&json),
            Err(error) => {
                tracing::error!(%error, "alert not stored");
                Ok(())
            }
        }
    }

    /// The finding as a file: a person can take it to another machine.
    fn write_reproducer(&self, finding: &Finding) {
        let Some(dir) = &self.config.reproducers else { return };
        let count = self.counters.findings.load(Ordering::Acquire);
        let path = dir.join(format!("{}-{}-{count}.json", finding.block_number, finding.transaction_hash));
        let written = std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::write(&path, serde_json::to_vec_pretty(finding).unwrap_or_default()));
        match written {
            Ok(()) => tracing::error!(
                "replay it: lockstep run {}.lsm --compare --inputs {}",
                finding.model_id,
                path.display()
            ),
            Err(error) => tracing::warn!(path = %path.display(), %error, "reproducer not written"),
        }
    }
}
