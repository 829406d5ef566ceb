//! Pre-execution (DESIGN 9): pending transactions that the next block would take run in the background against the head's
//! state, so that a block, built here or elsewhere, finds their inferences remembered, or joins one that is running.
//!
//! Nothing but the memory of answers sees what comes of it. It comes after blocks: no transaction begins here while a
//! block is being executed; and it is bounded in threads, in gas (what one block takes) and in time for each head. A
//! chain that makes a block of each transaction as it arrives has nothing to gain, and nothing is done.

use crate::{
    chain::{BuildAttributes, Chain, ChainListener, TransactionFeed},
    miner::DevMiner,
    pool::{Pool, PoolFeed},
    primitives::RecoveredTransaction,
    storage::CanonicalChange,
};
use alloy_consensus::Transaction as _;
use alloy_evm::{Evm, EvmFactory, FromRecoveredTx};
use alloy_primitives::{Address, B256, keccak256};
use revm::{context::TxEnv, database::State};
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Time of all threads together for the transactions of one head.
const TIME_PER_HEAD: Duration = Duration::from_secs(8);
/// The pool is looked through at most so often.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long to wait, where a block is being executed, before looking again.
const STAND_BACK: Duration = Duration::from_millis(1);
/// Seconds from one block to the next, where nobody here decides.
const SLOT: u64 = 12;

/// What has been done since the node started.
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Transactions run.
    pub transactions: u64,
    /// Transactions left, their head's time being used up.
    pub skipped: u64,
    /// Milliseconds spent.
    pub milliseconds: u64,
}

/// The threads.
#[derive(Debug)]
pub struct PreExecution {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    chain: Weak<Chain>,
    pool: Weak<Pool>,
    miner: Option<Weak<DevMiner>>,
    work: Mutex<Work>,
    wake: Condvar,
    stopping: AtomicBool,
    transactions: AtomicU64,
    skipped: AtomicU64,
    microseconds: AtomicU64,
}

/// The transactions of one sender, in order.
type Run = Vec<Arc<RecoveredTransaction>>;

#[derive(Default)]
struct Work {
    /// Something changed since the pool was looked through.
    changed: bool,
    looked: Option<Instant>,
    head: B256,
    runs: VecDeque<Run>,
    /// Transactions that were handed out on this head.
    begun: HashSet<B256>,
    spent: Duration,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shared").field(&self.counts()).finish()
    }
}

impl PreExecution {
    /// Starts so many threads; `None` on a plain chain.
    pub fn start(
        chain: &Arc<Chain>,
        pool: &Arc<Pool>,
        miner: Option<&Arc<DevMiner>>,
        threads: usize,
    ) -> std::io::Result<Option<Self>> {
        if chain.spec().lockstep.is_none() || threads == 0 {
            return Ok(None);
        }
        let shared = Arc::new(Shared {
            chain: Arc::downgrade(chain),
            pool: Arc::downgrade(pool),
            miner: miner.map(Arc::downgrade),
            work: Mutex::default(),
            wake: Condvar::new(),
            stopping: AtomicBool::new(false),
            transactions: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            microseconds: AtomicU64::new(0),
        });
        let started = Self { shared: shared.clone(), threads: Mutex::default() };
        for _ in 0..threads {
            let shared = shared.clone();
            let thread = std::thread::Builder::new().name("pre-execution".into()).spawn(move || shared.work())?;
            started.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        chain.listen(Arc::new(Follower(Arc::downgrade(&shared))));
        Ok(Some(started))
    }

    /// The pool has something new.
    pub(crate) fn arrived(&self) {
        self.shared.change();
    }

    /// What has been done.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Ends after the transactions that are running.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Relaxed);
        // Under the lock, so that no thread is between its look at the flag and its wait; all of them have to wake.
        self.shared.change();
        self.shared.wake.notify_all();
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of pre-execution had panicked");
            }
        }
    }
}

/// A node that does not come up leaves no thread behind.
impl Drop for PreExecution {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Hears of blocks.
struct Follower(Weak<Shared>);

impl ChainListener for Follower {
    fn canonical_changed(&self, _change: &CanonicalChange) {
        if let Some(shared) = self.0.upgrade() {
            shared.change();
        }
    }
}

impl Shared {
    fn counts(&self) -> Counts {
        Counts {
            transactions: self.transactions.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
            milliseconds: self.microseconds.load(Relaxed) / 1000,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) {
        self.lock().changed = true;
        self.wake.notify_one();
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    fn work(&self) {
        while let Some((head, run)) = self.next() {
            let Some(chain) = self.chain.upgrade() else { return };
            let began = Instant::now();
            self.execute(&chain, head, &run);
            let took = began.elapsed();
            self.microseconds.fetch_add(took.as_micros() as u64, Relaxed);
            let mut work = self.lock();
            if work.head == head {
                work.spent += took;
            }
        }
    }

    /// The next run and the head that it stands on; `None` where the node stops.
    fn next(&self) -> Option<(B256, Run)> {
        let mut work = self.lock();
        loop {
            if self.stopping() {
                return None;
            }
            if work.changed {
                let rest = work.looked.map_or(Duration::ZERO, |at| LOOK_EVERY.saturating_sub(at.elapsed()));
                if rest.is_zero() {
                    work.changed = false;
                    drop(work);
                    self.look();
                    work = self.lock();
                    continue;
                }
                if work.runs.is_empty() {
                    work = self.wake.wait_timeout(work, rest).unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
            }
            if work.spent > TIME_PER_HEAD && !work.runs.is_empty() {
                let left: usize = work.runs.drain(..).map(|run| run.len()).sum();
                self.skipped.fetch_add(left as u64, Relaxed);
            }
            if let Some(run) = work.runs.pop_front() {
                if !work.runs.is_empty() {
                    self.wake.notify_one();
                }
                return Some((work.head, run));
            }
            work = self.wake.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Looks the pool through for what the next block would take.
    fn look(&self) {
        let (Some(chain), Some(pool)) = (self.chain.upgrade(), self.pool.upgrade()) else { return };
        if self.miner.as_ref().and_then(Weak::upgrade).is_some_and(|miner| miner.automine()) {
            return;
        }
        let head = chain.head();
        let runs = match next_block(&chain, &pool, head.header.gas_limit) {
            Ok(runs) => runs,
            Err(error) => return tracing::warn!(%error, "the pool was not looked through for pre-execution"),
        };
        let mut work = self.lock();
        work.looked = Some(Instant::now());
        if work.head != head.hash {
            *work = Work { head: head.hash, looked: work.looked, changed: work.changed, ..Work::default() };
        }
        for run in runs {
            // A run with something new runs whole: what comes later builds on what came before.
            let mut new = false;
            for tx in &run {
                new |= work.begun.insert(*tx.tx_hash());
            }
            if new {
                work.runs.push_back(run);
            }
        }
    }

    /// Runs one sender's transactions on the head's state.
    fn execute(&self, chain: &Chain, head: B256, run: &Run) {
        let at = chain.head();
        if at.hash != head {
            return;
        }
        let Ok(state) = chain.store().state(&at.header, head) else { return };
        let attributes = match self.miner.as_ref().and_then(Weak::upgrade) {
            Some(miner) => miner.next_attributes(),
            None => BuildAttributes {
                timestamp: at.header.timestamp.saturating_add(SLOT),
                fee_recipient: at.header.beneficiary,
                prev_randao: keccak256(head),
                gas_limit: at.header.gas_limit,
                ..Default::default()
            },
        };
        let env = chain.next_env(&at.header, &attributes);
        let mut db = State::builder().with_database_ref(state).build();
        let mut evm = chain.evm().for_pre_execution().create_evm(&mut db, env);
        for tx in run {
            while chain.evm().is_executing() && !self.stopping() {
                std::thread::sleep(STAND_BACK);
            }
            if self.stopping() || chain.head().hash != head {
                return;
            }
            self.transactions.fetch_add(1, Relaxed);
            // A transaction that cannot run, here and now, leaves its successors nothing to build on.
            if let Err(error) = evm.transact_commit(TxEnv::from_recovered_tx(tx.inner(), tx.signer())) {
                tracing::debug!(hash = %tx.tx_hash(), %error, "not pre-executed");
                return;
            }
        }
    }
}

/// What the next block would take from the pool, by sender, in the order in which senders first come.
fn next_block(chain: &Chain, pool: &Pool, gas: u64) -> Result<Vec<Run>, crate::pool::PoolError> {
    let mut feed = PoolFeed::new(pool, chain, true)?;
    let mut runs: Vec<Run> = Vec::new();
    let mut places: HashMap<Address, usize> = HashMap::new();
    let mut left = gas;
    while let Some(tx) = feed.next(left) {
        left -= tx.gas_limit();
        feed.included(&tx);
        let place = *places.entry(tx.signer()).or_insert_with(|| {
            runs.push(Vec::new());
            runs.len() - 1
        });
        runs[place].push(tx);
    }
    Ok(runs)
}
