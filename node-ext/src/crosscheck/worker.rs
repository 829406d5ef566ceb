//! The judge at work: takes what waits, asks its [`Desk`] for model and inputs, and writes down what it found. A node and
//! a sidecar (`lockstep follow`) differ in the desk alone.

use super::{
    Alert, BATCH, BUSY, BUSY_FOR_CANDLE, Coverage, Finding, Job, QUEUE,
    check::{self, Checked},
};
use crate::storage::{Checks, MOST_FINDINGS, StorageError};
use alloy_primitives::B256;
use lockstep_engine::{Limits, LoadedModel, Tensor};
use redb::WriteTransaction;
use std::{
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long nothing is tried where the desk has nothing to give.
const REST: Duration = Duration::from_secs(1);
/// The thread looks up at least so often.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What a check needs, and who hears of what it found.
pub(crate) trait Desk: Send + Sync {
    /// The model, verified.
    fn model(&self, id: &B256) -> Result<Arc<LoadedModel>, Lack>;

    /// The inputs of an inference, which have the hash that its record states.
    fn inputs(&self, job: &Job) -> Result<Vec<Tensor>, Lack>;

    /// Whether a difference counts: the model that gave it may have been damaged in memory meanwhile.
    fn is_sound(&self, _model: &LoadedModel) -> bool {
        true
    }

    /// A finding, which is stored.
    fn found(&self, finding: &Finding);

    /// These are dealt with, in this transaction.
    fn settled(&self, _tx: &WriteTransaction, _settled: &[Settled]) -> Result<(), StorageError> {
        Ok(())
    }
}

/// Why a check has not what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lack {
    /// It may come: the inference waits.
    NotNow(String),
    /// It will not come: the inference cannot be checked.
    Never(String),
    /// Its block has left the chain.
    Gone,
}

/// What became of an inference that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer is the reference's.
    Right,
    /// It is not.
    Wrong,
    /// Left out of the sample.
    Skipped,
    /// It cannot be recomputed here.
    Failed,
    /// Its block has left the chain.
    Gone,
}

/// An inference that does not wait any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    pub(crate) block: B256,
    pub(crate) number: u64,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Default)]
struct Counters {
    checked: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    gone: AtomicU64,
    findings: AtomicU64,
    alerts: AtomicU64,
    compared: AtomicU64,
    without: AtomicU64,
    last_block: AtomicU64,
}

/// The judge on a thread of its own.
pub(crate) struct Judge {
    checks: Checks,
    counters: Arc<Counters>,
    stopping: Arc<AtomicBool>,
    wake: SyncSender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Judge").field(&self.counters).finish()
    }
}

impl Judge {
    /// Starts it. Where `reproducers` is given, a finding is written there as a file too.
    pub(crate) fn start(
        checks: Checks,
        desk: Arc<dyn Desk>,
        limits: Limits,
        reproducers: Option<PathBuf>,
    ) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let counters = Arc::new(Counters::default());
        let stopping = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            checks: checks.clone(),
            desk,
            limits,
            reproducers,
            counters: counters.clone(),
            stopping: stopping.clone(),
            random: RandomState::new(),
        };
        let thread = std::thread::Builder::new().name("cross-check".into()).spawn(move || worker.run(&woken))?;
        Ok(Self { checks, counters, stopping, wake, thread: Mutex::new(Some(thread)) })
    }

    /// Something waits.
    pub(crate) fn waker(&self) -> SyncSender<()> {
        self.wake.clone()
    }

    /// What has been checked, where the chain is at block `head`.
    pub(crate) fn coverage(&self, head: u64) -> Result<Coverage, StorageError> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let c = &self.counters;
        Ok(Coverage {
            checked: read(&c.checked),
            pending: self.checks.unchecked_count()?,
            skipped: read(&c.skipped),
            failed: read(&c.failed),
            gone: read(&c.gone),
            findings: read(&c.findings),
            alerts: read(&c.alerts),
            compared: read(&c.compared),
            without: read(&c.without),
            lag: self.oldest()?.map_or(0, |oldest| head.saturating_sub(oldest).saturating_add(1)),
            last_block: read(&c.last_block),
        })
    }

    /// The block of the inference that waits longest.
    pub(crate) fn oldest(&self) -> Result<Option<u64>, StorageError> {
        let oldest = self.checks.unchecked(1)?.into_iter().find_map(|(_, job)| Job::decode(&job).ok());
        Ok(oldest.map(|job| job.number))
    }

    /// What it keeps.
    pub(crate) fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Ends after the inference being checked.
    pub(crate) fn stop(&self) {
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
impl Drop for Judge {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Wakes the judge.
pub(crate) fn wake(waker: &SyncSender<()>) {
    // Full: it is awake.
    if let Err(TrySendError::Disconnected(())) = waker.try_send(()) {
        tracing::debug!("the cross-check has ended");
    }
}

/// How a batch ended.
enum Batch {
    /// There may be more.
    Done,
    /// Nothing waits.
    Empty,
    /// What is needed is not there now.
    Stuck,
}

struct Worker {
    checks: Checks,
    desk: Arc<dyn Desk>,
    limits: Limits,
    reproducers: Option<PathBuf>,
    counters: Arc<Counters>,
    stopping: Arc<AtomicBool>,
    /// Chooses the sample: nobody outside can tell what is checked.
    random: RandomState,
}

impl Worker {
    fn run(&self, woken: &Receiver<()>) {
        while !self.stopping() {
            match self.batch() {
                Ok(Batch::Done) => continue,
                Ok(Batch::Empty) => {}
                Ok(Batch::Stuck) => {
                    let began = Instant::now();
                    while began.elapsed() < REST && !self.stopping() {
                        std::thread::sleep(LOOK_UP);
                    }
                    continue;
                }
                Err(error) => tracing::error!(%error, "the cross-check cannot read or write its queue"),
            }
            if let Err(RecvTimeoutError::Disconnected) = woken.recv_timeout(LOOK_UP) {
                return;
            }
        }
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Deals with the oldest that wait.
    fn batch(&self) -> Result<Batch, StorageError> {
        let skipped = self.checks.drop_unchecked(QUEUE)?;
        if skipped > 0 {
            tracing::warn!(skipped, "more inferences than can be checked: the oldest are skipped");
            self.counters.skipped.fetch_add(skipped, Ordering::AcqRel);
        }
        let waiting = self.checks.unchecked_count()?;
        let jobs = self.checks.unchecked(BATCH)?;
        let mut ended = if jobs.is_empty() { Batch::Empty } else { Batch::Done };
        let (mut done, mut settled) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for (key, bytes) in jobs {
            if self.stopping() {
                break;
            }
            let job = match Job::decode(&bytes) {
                Ok(job) => job,
                Err(reason) => {
                    tracing::error!(reason, "a waiting inference does not decode: it is not checked");
                    self.counters.failed.fetch_add(1, Ordering::AcqRel);
                    done.push(key);
                    continue;
                }
            };
            let mut finding = None;
            let outcome = match self.is_in_sample(key, waiting) {
                false => Outcome::Skipped,
                true => match self.one(&job, waiting <= BUSY_FOR_CANDLE) {
                    Err(Lack::NotNow(reason)) => {
                        tracing::debug!(block = job.number, reason, "an inference waits");
                        ended = Batch::Stuck;
                        break;
                    }
                    Err(Lack::Never(reason)) => {
                        tracing::warn!(block = job.number, model = %job.inference.model_id, reason, "inference not checked");
                        Outcome::Failed
                    }
                    Err(Lack::Gone) => Outcome::Gone,
                    Ok(checked) => {
                        if let Some(alert) = &checked.alert {
                            self.alert(alert)?;
                        }
                        finding = checked.finding;
                        if finding.is_some() { Outcome::Wrong } else { Outcome::Right }
                    }
                },
            };
            self.count(outcome);
            done.push(key);
            settled.push(Settled { block: job.block, number: job.number, outcome });
            if let Some(finding) = finding {
                self.report(&finding);
                match serde_json::to_vec(&finding) {
                    Ok(json) => {
                        self.checks.checked(&done, Some(&json), |tx| self.desk.settled(tx, &settled))?;
                        done.clear();
                        settled.clear();
                    }
                    Err(error) => tracing::error!(%error, "finding not stored"),
                }
                self.desk.found(&finding);
            }
        }
        if !done.is_empty() {
            self.checks.checked(&done, None, |tx| self.desk.settled(tx, &settled))?;
        }
        Ok(ended)
    }

    fn count(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Right | Outcome::Wrong => &self.counters.checked,
            Outcome::Skipped => &self.counters.skipped,
            Outcome::Failed => &self.counters.failed,
            Outcome::Gone => &self.counters.gone,
        };
        counter.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether this one is checked while so many wait: each with the same chance.
    fn is_in_sample(&self, key: u64, waiting: u64) -> bool {
        waiting <= BUSY || self.random.hash_one(key) % waiting < BUSY
    }

    fn one(&self, job: &Job, ask: bool) -> Result<Checked, Lack> {
        let inputs = self.desk.inputs(job)?;
        let model = self.desk.model(&job.inference.model_id)?;
        let checked = check::check(&model, &inputs, &self.limits, job, ask).map_err(Lack::Never)?;
        if checked.finding.is_some() && !self.desk.is_sound(&model) {
            return Err(Lack::NotNow("the model was damaged in memory: it is read again".into()));
        }
        self.counters.compared.fetch_add(checked.compared, Ordering::AcqRel);
        self.counters.without.fetch_add(checked.without, Ordering::AcqRel);
        self.counters.last_block.store(job.number, Ordering::Release);
        Ok(checked)
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
            "CROSS-CHECK: the block's answer differs from the reference"
        );
        self.counters.findings.fetch_add(1, Ordering::AcqRel);
        self.write_reproducer(finding);
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
            Ok(json) => self.checks.alert(&json),
            Err(error) => {
                tracing::error!(%error, "alert not stored");
                Ok(())
            }
        }
    }

    /// The finding as a file: a person can take it to another machine.
    fn write_reproducer(&self, finding: &Finding) {
        let Some(dir) = &self.reproducers else { return };
        let count = self.counters.findings.load(Ordering::Acquire);
        if count > MOST_FINDINGS {
            return;
        }
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
