//! Transactions that wait for a block.
//!
//! Per sender they are ordered by nonce; a gap makes what follows wait. A transaction that this node cannot execute
//! at present (it lacks a model's weights) is *parked*: kept, skipped by the builder, tried again when that may have
//! changed.

pub(crate) mod blobs;
mod error;
mod feed;
mod follow;
mod seal;
mod validate;

pub use error::PoolError;
pub(crate) use feed::PoolFeed;
pub use follow::PoolFollower;
pub(crate) use seal::{SealError, seal};
pub use validate::MAX_TRANSACTION_BYTES;
pub(crate) use validate::decode;

use blobs::{BLOB_REPLACEMENT_PERCENT, MAX_BLOBS_PER_SENDER, Sidecar};

use crate::{chain::Chain, primitives::RecoveredTransaction, storage::StateReader};
use alloy_consensus::{Transaction as _, Typed2718};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast;

/// Most transactions of one sender.
pub const MAX_PER_SENDER: usize = 1_024;
/// Most transactions in the pool.
pub const MAX_TRANSACTIONS: usize = 16_384;
/// Most bytes of transactions in the pool.
pub const MAX_BYTES: usize = 128 * 1024 * 1024;
/// Sidecars kept of transactions that a block took.
const TAKEN: usize = 32;
/// A replacement must pay at least this many percent more.
pub const REPLACEMENT_PERCENT: u128 = 10;

/// How a transaction shows that it comes from its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Signed,
    Impersonated,
}

/// A transaction in the pool.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) tx: Arc<RecoveredTransaction>,
    pub(crate) arrival: u64,
    pub(crate) parked: Option<String>,
    /// The blobs, which no block holds.
    sidecar: Option<Arc<Sidecar>>,
    size: usize,
}

/// Arrivals that a listener may be behind.
const BEHIND: usize = 4_096;

/// The pool.
#[derive(Debug)]
pub struct Pool {
    inner: Mutex<Inner>,
    arrived: broadcast::Sender<Arc<RecoveredTransaction>>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { inner: Mutex::default(), arrived: broadcast::Sender::new(BEHIND) }
    }
}

#[derive(Debug, Default)]
struct Inner {
    senders: HashMap<Address, BTreeMap<u64, Entry>>,
    hashes: HashMap<B256, (Address, u64)>,
    bytes: usize,
    arrivals: u64,
    /// Sidecars of transactions that a block took, the newest last: a reorganisation may bring them back.
    taken: VecDeque<(B256, Arc<Sidecar>)>,
}

/// The pool's transactions by sender and nonce: those that could be in the next block, and those that wait.
pub(crate) type Content = BTreeMap<Address, BTreeMap<u64, Arc<RecoveredTransaction>>>;

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a raw transaction in. Returns its hash.
    pub fn add_raw(&self, chain: &Chain, raw: &[u8]) -> Result<B256, PoolError> {
        self.add(chain, validate::decode(raw)?)
    }

    /// Takes a transaction in. Returns its hash.
    pub fn add(&self, chain: &Chain, tx: RecoveredTransaction) -> Result<B256, PoolError> {
        self.insert(chain, tx, Sender::Signed)
    }

    /// Takes a transaction in that nobody signed (dev): its sender may be a contract.
    pub(crate) fn add_unsigned(&self, chain: &Chain, tx: RecoveredTransaction) -> Result<B256, PoolError> {
        self.insert(chain, tx, Sender::Impersonated)
    }

    /// Hears of every transaction that is taken in from here on.
    pub(crate) fn arrivals(&self) -> broadcast::Receiver<Arc<RecoveredTransaction>> {
        self.arrived.subscribe()
    }

    fn insert(&self, chain: &Chain, tx: RecoveredTransaction, kind: Sender) -> Result<B256, PoolError> {
        let hash = *tx.tx_hash();
        if self.lock().hashes.contains_key(&hash) {
            return Err(PoolError::Known(hash));
        }
        let (tx, sidecar) = blobs::split(tx);
        validate::check(chain, &tx, kind)?;
        let sidecar = match sidecar {
            Some(sidecar) => {
                validate::check_sidecar(chain, &tx, &sidecar)?;
                Some(Arc::new(sidecar))
            }
            // It was checked when it came.
            None if tx.is_eip4844() => Some(self.taken(hash).ok_or(PoolError::NoSidecar)?),
            None => None,
        };
        let size = tx.encode_2718_len() + sidecar.as_deref().map_or(0, blobs::size);
        let (sender, nonce) = (tx.signer(), tx.nonce());
        let mut inner = self.lock();
        let queue = inner.senders.get(&sender);
        let replaced = queue.and_then(|q| q.get(&nonce)).cloned();
        match &replaced {
            Some(old) if !outbids(&tx, &old.tx) => return Err(PoolError::Underpriced),
            None if queue.is_some_and(|q| q.len() >= MAX_PER_SENDER) => {
                return Err(PoolError::Full("1,024 transactions of one sender"));
            }
            None if sidecar.is_some() && queue.is_some_and(|q| blob_count(q) >= MAX_BLOBS_PER_SENDER) => {
                return Err(PoolError::Full("16 blob transactions of one sender"));
            }
            None if inner.hashes.len() >= MAX_TRANSACTIONS => return Err(PoolError::Full("16,384 transactions")),
            None if inner.bytes + size > MAX_BYTES => return Err(PoolError::Full("128 MiB")),
            _ => {}
        }
        if let Some(old) = replaced {
            inner.hashes.remove(old.tx.tx_hash());
            inner.bytes -= old.size;
        }
        inner.arrivals += 1;
        let entry = Entry { tx: Arc::new(tx), arrival: inner.arrivals, parked: None, sidecar, size };
        inner.hashes.insert(hash, (sender, nonce));
        inner.bytes += size;
        let tx = entry.tx.clone();
        inner.senders.entry(sender).or_default().insert(nonce, entry);
        drop(inner);
        // Nobody listening is no error.
        let _ = self.arrived.send(tx);
        Ok(hash)
    }

    /// Goes up with each arrival.
    pub(crate) fn arrival_count(&self) -> u64 {
        self.lock().arrivals
    }

    /// The transaction with this hash.
    pub fn get(&self, hash: B256) -> Option<Arc<RecoveredTransaction>> {
        let inner = self.lock();
        let (sender, nonce) = inner.hashes.get(&hash)?;
        Some(inner.senders.get(sender)?.get(nonce)?.tx.clone())
    }

    /// The sidecar of a blob transaction that is here, or that a block took not long ago.
    pub(crate) fn sidecar(&self, hash: B256) -> Option<Arc<Sidecar>> {
        let inner = self.lock();
        let here = inner.hashes.get(&hash).and_then(|(sender, nonce)| inner.senders.get(sender)?.get(nonce));
        here.and_then(|entry| entry.sidecar.clone()).or_else(|| inner.taken(hash))
    }

    fn taken(&self, hash: B256) -> Option<Arc<Sidecar>> {
        self.lock().taken(hash)
    }

    /// The sidecars that are here, with the waiting transactions' first.
    pub(crate) fn sidecars(&self) -> Vec<Arc<Sidecar>> {
        let inner = self.lock();
        let waiting = inner.senders.values().flat_map(BTreeMap::values).filter_map(|entry| entry.sidecar.clone());
        waiting.chain(inner.taken.iter().map(|(_, sidecar)| sidecar.clone())).collect()
    }

    /// Whether the transaction waits here for this node to be able to execute it; the reason.
    pub fn parked(&self, hash: B256) -> Option<String> {
        let inner = self.lock();
        let (sender, nonce) = inner.hashes.get(&hash)?;
        inner.senders.get(sender)?.get(nonce)?.parked.clone()
    }

    /// The nonce after the sender's last transaction without a gap, starting at `state_nonce`.
    pub fn next_nonce(&self, sender: Address, state_nonce: u64) -> u64 {
        let inner = self.lock();
        let Some(queue) = inner.senders.get(&sender) else { return state_nonce };
        let mut next = state_nonce;
        while queue.contains_key(&next) {
            next += 1;
        }
        next
    }

    /// Sets a transaction aside until [`Pool::unpark`].
    pub(crate) fn park(&self, hash: B256, reason: String) {
        let mut inner = self.lock();
        let Some((sender, nonce)) = inner.hashes.get(&hash).copied() else { return };
        if let Some(entry) = inner.senders.get_mut(&sender).and_then(|q| q.get_mut(&nonce)) {
            tracing::warn!(%hash, reason, "transaction parked: this node cannot execute it at present");
            entry.parked = Some(reason);
        }
    }

    /// Lets parked transactions be tried again; whether there were any.
    pub(crate) fn unpark(&self) -> bool {
        let mut any = false;
        for entry in self.lock().senders.values_mut().flat_map(BTreeMap::values_mut) {
            any |= entry.parked.take().is_some();
        }
        any
    }

    /// Removes one transaction.
    pub(crate) fn remove(&self, hash: B256) -> bool {
        let mut inner = self.lock();
        match inner.hashes.get(&hash).copied() {
            Some((sender, nonce)) => inner.remove(sender, nonce),
            None => false,
        }
    }

    /// Removes all transactions.
    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        *inner = Inner { arrivals: inner.arrivals, ..Inner::default() };
    }

    /// Removes what the head state has made impossible: nonces already used.
    pub(crate) fn prune(&self, chain: &Chain) -> Result<(), PoolError> {
        let state = chain.head_state()?;
        let mut inner = self.lock();
        let senders: Vec<Address> = inner.senders.keys().copied().collect();
        for sender in senders {
            let nonce = state.account(sender)?.unwrap_or_default().nonce;
            let used: Vec<u64> = inner.senders[&sender].range(..nonce).map(|(n, _)| *n).collect();
            for nonce in used {
                inner.keep_sidecar(sender, nonce);
                inner.remove(sender, nonce);
            }
        }
        Ok(())
    }

    /// What the next block could take: per sender the unbroken run of nonces from the state's nonce on.
    pub(crate) fn executable(&self, chain: &Chain) -> Result<Vec<Vec<Entry>>, PoolError> {
        self.executable_on(&chain.head_state()?)
    }

    /// As [`Pool::executable`], for a block on top of this state.
    pub(crate) fn executable_on(&self, state: &StateReader) -> Result<Vec<Vec<Entry>>, PoolError> {
        let inner = self.lock();
        let mut all = Vec::with_capacity(inner.senders.len());
        for (sender, queue) in &inner.senders {
            let mut next = state.account(*sender)?.unwrap_or_default().nonce;
            let mut run = Vec::new();
            while let Some(entry) = queue.get(&next).filter(|entry| entry.parked.is_none()) {
                run.push(entry.clone());
                next += 1;
            }
            if !run.is_empty() {
                all.push(run);
            }
        }
        Ok(all)
    }

    /// The content for `txpool_*`: executable ones, and the others.
    pub(crate) fn content(&self, chain: &Chain) -> Result<(Content, Content), PoolError> {
        let mut pending = Content::new();
        for entry in self.executable(chain)?.into_iter().flatten() {
            pending.entry(entry.tx.signer()).or_default().insert(entry.tx.nonce(), entry.tx);
        }
        let mut queued = Content::new();
        for (sender, queue) in &self.lock().senders {
            for (nonce, entry) in queue {
                if !pending.get(sender).is_some_and(|p| p.contains_key(nonce)) {
                    queued.entry(*sender).or_default().insert(*nonce, entry.tx.clone());
                }
            }
        }
        Ok((pending, queued))
    }
}

fn blob_count(queue: &BTreeMap<u64, Entry>) -> usize {
    queue.values().filter(|entry| entry.sidecar.is_some()).count()
}

impl Inner {
    fn taken(&self, hash: B256) -> Option<Arc<Sidecar>> {
        self.taken.iter().find(|(taken, _)| *taken == hash).map(|(_, sidecar)| sidecar.clone())
    }

    fn keep_sidecar(&mut self, sender: Address, nonce: u64) {
        let Some(entry) = self.senders.get(&sender).and_then(|queue| queue.get(&nonce)) else { return };
        let Some(sidecar) = entry.sidecar.clone() else { return };
        let hash = *entry.tx.tx_hash();
        if self.taken(hash).is_none() {
            self.taken.push_back((hash, sidecar));
        }
        while self.taken.len() > TAKEN {
            self.taken.pop_front();
        }
    }

    fn remove(&mut self, sender: Address, nonce: u64) -> bool {
        let Some(queue) = self.senders.get_mut(&sender) else { return false };
        let Some(entry) = queue.remove(&nonce) else { return false };
        if queue.is_empty() {
            self.senders.remove(&sender);
        }
        self.hashes.remove(entry.tx.tx_hash());
        self.bytes -= entry.size;
        true
    }
}

/// Whether `new` may replace `old`: all fees so many percent higher.
fn outbids(new: &RecoveredTransaction, old: &RecoveredTransaction) -> bool {
    let blobs = new.is_eip4844() || old.is_eip4844();
    let percent = if blobs { BLOB_REPLACEMENT_PERCENT } else { REPLACEMENT_PERCENT };
    let at_least = |fee: u128| fee.saturating_add((fee.saturating_mul(percent)).div_ceil(100));
    let tip = |tx: &RecoveredTransaction| tx.max_priority_fee_per_gas().unwrap_or_else(|| tx.max_fee_per_gas());
    let blob_fee = |tx: &RecoveredTransaction| tx.max_fee_per_blob_gas().unwrap_or_default();
    new.max_fee_per_gas() >= at_least(old.max_fee_per_gas())
        && tip(new) >= at_least(tip(old))
        && (!old.is_eip4844() || blob_fee(new) >= at_least(blob_fee(old)))
}
