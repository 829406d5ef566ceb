//! The pool follows the chain: what a block took leaves, what a reorganisation took back returns.

use super::{Pool, PoolError, Sender};
use crate::{
    chain::{Chain, ChainListener},
    primitives::RecoveredTransaction,
    storage::{CanonicalChange, StorageError},
};
use alloy_primitives::B256;
use std::{
    collections::HashSet,
    sync::{Arc, Weak},
};

/// Keeps a pool in step with a chain.
#[derive(Debug)]
pub struct PoolFollower {
    chain: Weak<Chain>,
    pool: Arc<Pool>,
}

impl PoolFollower {
    /// For a chain, which must be told of it by [`Chain::listen`].
    pub fn new(chain: &Arc<Chain>, pool: &Arc<Pool>) -> Self {
        Self { chain: Arc::downgrade(chain), pool: pool.clone() }
    }

    fn follow(&self, chain: &Chain, change: &CanonicalChange) -> Result<(), PoolError> {
        if !change.reverted.is_empty() {
            let mut taken = HashSet::new();
            for hash in &change.committed {
                taken.extend(transactions(chain, *hash)?.iter().map(|tx| *tx.tx_hash()));
            }
            // Oldest first, so that each finds its predecessor.
            for hash in change.reverted.iter().rev() {
                for tx in transactions(chain, *hash)?.into_iter().filter(|tx| !taken.contains(tx.tx_hash())) {
                    self.back(chain, tx)?;
                }
            }
        }
        self.pool.prune(chain)
    }

    fn back(&self, chain: &Chain, tx: RecoveredTransaction) -> Result<(), PoolError> {
        let hash = *tx.tx_hash();
        // It was in a block, so its sender was right, whoever signed.
        match self.pool.insert(chain, tx, Sender::Impersonated) {
            Err(PoolError::Storage(error)) => Err(error.into()),
            Err(error) => {
                tracing::debug!(%hash, %error, "a transaction of a block taken back does not return to the pool");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}

impl ChainListener for PoolFollower {
    fn canonical_changed(&self, change: &CanonicalChange) {
        let Some(chain) = self.chain.upgrade() else { return };
        if let Err(error) = self.follow(&chain, change) {
            tracing::error!(%error, "the pool did not follow the chain");
        }
    }
}

fn transactions(chain: &Chain, hash: B256) -> Result<Vec<RecoveredTransaction>, StorageError> {
    let block = chain.store().block(hash)?;
    let block = block.ok_or_else(|| StorageError::Missing { what: "block", key: hash.to_string() })?;
    let (transactions, senders) = (block.body.transactions, block.senders);
    Ok(transactions.into_iter().zip(senders).map(|(tx, from)| RecoveredTransaction::new_unchecked(tx, from)).collect())
}
