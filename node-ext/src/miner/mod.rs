//! The dev miner: it plays the consensus side with the chain's one internal interface.
//!
//! A block is made when a transaction arrives, or every so many seconds, or on demand. Under dev, `prevRandao` is
//! keccak256 of the parent's hash and the parent beacon root is zero: both can be predicted, as everything here.

mod clock;

pub use clock::Clock;

use crate::{
    care::Stop,
    chain::{BuildAttributes, Chain, ChainError},
    pool::{Pool, PoolError, SealError, seal},
    storage::StoredBlock,
};
use alloy_primitives::{Address, B256, keccak256};
use alloy_rpc_types_eth::state::StateOverride;
use std::sync::{
    Arc, Mutex, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

/// Why mining failed.
#[derive(Debug, thiserror::Error)]
pub enum MineError {
    /// The chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The pool failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// This node must not seal.
    #[error(transparent)]
    Stopped(#[from] Stop),
    /// The asked-for time is not after the head's.
    #[error("timestamp {asked} is not after the head's {head}")]
    Time {
        /// What was asked for.
        asked: u64,
        /// The head's time.
        head: u64,
    },
}

impl From<SealError> for MineError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Chain(e) => Self::Chain(e),
            SealError::Pool(e) => Self::Pool(e),
            SealError::Stopped(e) => Self::Stopped(e),
        }
    }
}

/// Makes blocks on a dev chain.
#[derive(Debug)]
pub struct DevMiner {
    chain: Arc<Chain>,
    pool: Arc<Pool>,
    clock: Clock,
    automine: AtomicBool,
    mining: Mutex<()>,
    coinbase: RwLock<Address>,
    snapshots: Mutex<Vec<B256>>,
}

impl DevMiner {
    /// A miner for `chain`. With `automine`, an arriving transaction makes a block at once.
    pub fn new(chain: Arc<Chain>, pool: Arc<Pool>, automine: bool) -> Self {
        Self {
            chain,
            pool,
            clock: Clock::default(),
            automine: AtomicBool::new(automine),
            mining: Mutex::new(()),
            coinbase: RwLock::new(Address::ZERO),
            snapshots: Mutex::default(),
        }
    }

    /// The clock that blocks are stamped by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether an arriving transaction makes a block at once.
    pub fn automine(&self) -> bool {
        self.automine.load(Ordering::Relaxed)
    }

    /// Switches mining on arrival.
    pub fn set_automine(&self, on: bool) {
        self.automine.store(on, Ordering::Relaxed);
    }

    /// Sets who receives the tips.
    pub fn set_coinbase(&self, address: Address) {
        *self.coinbase.write().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// Makes one block from the pool. It is on disk, and the head, when this returns.
    pub fn mine(&self) -> Result<StoredBlock, MineError> {
        let _mining = self.mining.lock().unwrap_or_else(PoisonError::into_inner);
        self.mine_locked(None)
    }

    /// Makes one block that writes state first (`anvil_setBalance` and its like).
    pub fn mine_patch(&self, patch: StateOverride) -> Result<StoredBlock, MineError> {
        let _mining = self.mining.lock().unwrap_or_else(PoisonError::into_inner);
        self.mine_locked(Some(patch))
    }

    /// Called after a transaction entered the pool: with automine, returns when it is in a block, or cannot be.
    pub fn arrived(&self, hash: B256) -> Result<(), MineError> {
        if !self.automine() {
            return Ok(());
        }
        loop {
            let _mining = self.mining.lock().unwrap_or_else(PoisonError::into_inner);
            // Another thread's block may have taken it while this one waited.
            let waiting = self.pool.executable(&self.chain)?.iter().flatten().any(|e| *e.tx.tx_hash() == hash);
            if !waiting {
                return Ok(());
            }
            if self.mine_locked(None)?.body.transactions.is_empty() {
                return Ok(());
            }
        }
    }

    /// With automine, makes a block of what waits: called when parked transactions may run again.
    pub(crate) fn mine_waiting(&self) {
        if !self.automine() {
            return;
        }
        let _mining = self.mining.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self
            .pool
            .executable(&self.chain)
            .map_err(MineError::from)
            .and_then(|waiting| if waiting.is_empty() { Ok(()) } else { self.mine_locked(None).map(drop) });
        if let Err(error) = done {
            tracing::error!(%error, "no block");
        }
    }

    /// Remembers the head; returns the snapshot's number.
    pub fn snapshot(&self) -> u64 {
        let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        snapshots.push(self.chain.head().hash);
        snapshots.len() as u64
    }

    /// Goes back to a snapshot, which is used up by that with all later ones. The pool is emptied.
    pub fn revert(&self, snapshot: u64) -> Result<bool, MineError> {
        let _mining = self.mining.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = {
            let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(index) = usize::try_from(snapshot).ok().and_then(|n| n.checked_sub(1)) else { return Ok(false) };
            let Some(hash) = snapshots.get(index).copied() else { return Ok(false) };
            snapshots.truncate(index);
            hash
        };
        self.chain.set_head(hash)?;
        self.pool.clear();
        Ok(true)
    }

    /// The attributes of the next block, without using up what was set for it.
    pub(crate) fn next_attributes(&self) -> BuildAttributes {
        let head = self.chain.head();
        self.attributes(&head, self.clock.peek(head.header.timestamp))
    }

    fn attributes(&self, head: &crate::chain::Head, timestamp: u64) -> BuildAttributes {
        BuildAttributes {
            timestamp,
            fee_recipient: *self.coinbase.read().unwrap_or_else(PoisonError::into_inner),
            prev_randao: keccak256(head.hash),
            gas_limit: head.header.gas_limit,
            contracts_send: true,
            ..Default::default()
        }
    }

    fn mine_locked(&self, patch: Option<StateOverride>) -> Result<StoredBlock, MineError> {
        let head = self.chain.head();
        let timestamp = self.clock.take(head.header.timestamp);
        let attributes = BuildAttributes { patch, ..self.attributes(&head, timestamp) };
        let built = seal(&self.chain, &self.pool, &head, &attributes)?;
        let block = self.chain.adopt(built)?;
        tracing::info!(
            number = block.header.number,
            hash = %block.hash,
            transactions = block.body.transactions.len(),
            gas = block.header.gas_used,
            "block"
        );
        Ok(block)
    }
}
