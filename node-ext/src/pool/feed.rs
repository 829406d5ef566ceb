//! The order in which a block takes transactions from the pool: highest tip first, each sender in nonce order.

use super::{Entry, Pool, PoolError};
use crate::{
    chain::{Chain, Head, TransactionFeed},
    primitives::RecoveredTransaction,
};
use alloy_consensus::{BlockHeader as _, Transaction as _};
use alloy_eips::eip2718::Encodable2718;
use alloy_evm::block::BlockExecutionError;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

/// Bytes of transactions that a block takes: EIP-7934 allows 8 MiB of block; the rest is for the header.
const MAX_BLOCK_BYTES: usize = 8 * 1024 * 1024 - 64 * 1024;

/// The candidates of one block.
pub(crate) struct PoolFeed<'a> {
    pool: &'a Pool,
    base_fee: u64,
    runs: Vec<VecDeque<Entry>>,
    /// (tip, earlier arrival first, index into `runs`).
    heads: BinaryHeap<(u128, Reverse<u64>, usize)>,
    current: usize,
    bytes: usize,
    /// Blobs in the block, and how many may be; what blob gas costs.
    blobs: u64,
    max_blobs: u64,
    blob_fee: u128,
    /// A simulated block changes nothing in the pool.
    simulation: bool,
}

impl<'a> PoolFeed<'a> {
    /// For the block after the head.
    pub(crate) fn new(pool: &'a Pool, chain: &Chain, simulation: bool) -> Result<Self, PoolError> {
        Self::on(pool, chain, &chain.head(), simulation)
    }

    /// For the block after `parent`, which need not be the head.
    pub(crate) fn on(pool: &'a Pool, chain: &Chain, parent: &Head, simulation: bool) -> Result<Self, PoolError> {
        let base_fee = chain.next_base_fee(&parent.header).unwrap_or_default();
        let state = chain.store().state(&parent.header, parent.hash)?;
        let runs: Vec<VecDeque<Entry>> = pool.executable_on(&state)?.into_iter().map(Into::into).collect();
        let params = chain.spec().blob_params(parent.header.timestamp.saturating_add(1));
        let mut feed = Self {
            pool,
            base_fee,
            runs,
            heads: BinaryHeap::new(),
            current: 0,
            bytes: 0,
            blobs: 0,
            max_blobs: params.map_or(0, |params| params.max_blob_count),
            blob_fee: params.and_then(|params| parent.header.next_block_blob_fee(params)).unwrap_or_default(),
            simulation,
        };
        for index in 0..feed.runs.len() {
            feed.push_head(index);
        }
        Ok(feed)
    }

    fn push_head(&mut self, index: usize) {
        if let Some(entry) = self.runs[index].front() {
            // Below the base fee or the blobs' fee: it and its successors wait.
            let blobs_paid = entry.tx.max_fee_per_blob_gas().is_none_or(|fee| fee >= self.blob_fee);
            if blobs_paid && let Some(tip) = entry.tx.effective_tip_per_gas(self.base_fee) {
                self.heads.push((tip, Reverse(entry.arrival), index));
            }
        }
    }
}

fn blob_count(tx: &RecoveredTransaction) -> u64 {
    tx.blob_versioned_hashes().map_or(0, |hashes| hashes.len() as u64)
}

impl TransactionFeed for PoolFeed<'_> {
    fn next(&mut self, gas_left: u64) -> Option<Arc<RecoveredTransaction>> {
        while let Some((_, _, index)) = self.heads.pop() {
            let Some(entry) = self.runs[index].pop_front() else { continue };
            let size = entry.tx.encode_2718_len();
            // What does not fit waits for the next block, and so do its successors.
            if entry.tx.gas_limit() > gas_left
                || self.bytes + size > MAX_BLOCK_BYTES
                || self.blobs + blob_count(&entry.tx) > self.max_blobs.max(self.blobs)
            {
                continue;
            }
            self.current = index;
            return Some(entry.tx);
        }
        None
    }

    fn included(&mut self, tx: &Arc<RecoveredTransaction>) {
        self.bytes += tx.encode_2718_len();
        self.blobs += blob_count(tx);
        self.push_head(self.current);
    }

    fn failed(&mut self, tx: Arc<RecoveredTransaction>, error: BlockExecutionError) -> Result<(), BlockExecutionError> {
        if self.simulation {
            return Ok(());
        }
        let hash = *tx.tx_hash();
        match error {
            BlockExecutionError::Internal(error) => self.pool.park(hash, error.to_string()),
            BlockExecutionError::Validation(error) => {
                tracing::warn!(%hash, %error, "transaction dropped: it cannot be executed any more");
                self.pool.remove(hash);
            }
        }
        Ok(())
    }
}
