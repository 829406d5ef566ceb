//! What a consensus side outside this process needs of the chain: verdicts on blocks in any order, fork choice, and blocks
//! being built. The Engine API is JSON over this; another consensus engine would stand on it as well.
//!
//! # Invariants
//!
//! - A block in the store was valid. A block that this node could not execute is not in the store, and no verdict on it
//!   was given: it waits, and is tried again when it, or a block on top of it, is named.
//! - What is remembered as invalid broke a rule of the protocol; a fault of this node is never remembered.

mod build;
mod memory;

pub use build::{BuildId, Built};

use crate::{
    chain::{Chain, ChainError, ForkChoice},
    models::ModelKeeper,
    pool::Pool,
    primitives::Block,
    storage::CanonicalChange,
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::B256;
use build::Jobs;
use memory::Memory;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It and its ancestors are valid, and stored.
    Valid,
    /// It, or an ancestor, breaks a rule.
    Invalid {
        /// Its last valid ancestor; zero where that is before the merge, `None` where it is not known.
        latest_valid: Option<B256>,
        /// The rule.
        reason: String,
    },
    /// Nothing yet: an ancestor is not known, or this node cannot execute it at present.
    Unknown {
        /// What is lacking.
        reason: String,
    },
}

/// The chain as a consensus side drives it.
#[derive(Debug)]
pub struct Driver {
    chain: Arc<Chain>,
    keeper: Option<Arc<ModelKeeper>>,
    memory: Mutex<Memory>,
    jobs: Jobs,
}

impl Driver {
    /// Over these parts; `keeper` on a chain with inference.
    pub fn new(chain: Arc<Chain>, pool: Arc<Pool>, keeper: Option<Arc<ModelKeeper>>) -> Self {
        Self { jobs: Jobs::new(chain.clone(), pool), chain, keeper, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Validates a block and stores it where it is valid. The head does not move. One block at a time.
    pub fn validate(&self, block: Block) -> Result<Verdict, ChainError> {
        let mut memory = self.memory();
        let hash = block.header.hash_slow();
        if self.chain.store().header(hash)?.is_some() {
            return Ok(Verdict::Valid);
        }
        if memory.invalid(hash).is_none() {
            memory.wait(hash, block);
        }
        self.connect(&mut memory, hash)
    }

    /// The verdict on a block that was named before, tried again where it waits.
    pub fn verdict(&self, hash: B256) -> Result<Verdict, ChainError> {
        self.connect(&mut self.memory(), hash)
    }

    /// Executes what waits, from the last known ancestor of this block up to it.
    fn connect(&self, memory: &mut Memory, hash: B256) -> Result<Verdict, ChainError> {
        let mut branch = Vec::new();
        let mut at = hash;
        let parent = loop {
            if let Some(header) = self.chain.store().header(at)? {
                break header;
            }
            if let Some(invalid) = memory.invalid(at) {
                let verdict = Verdict::Invalid { latest_valid: invalid.latest_valid, reason: invalid.reason.clone() };
                memory.descend(&branch, at);
                return Ok(verdict);
            }
            let Some(parent) = memory.parent_of_waiting(at) else {
                return Ok(Verdict::Unknown { reason: format!("block {at} is not known here") });
            };
            branch.push(at);
            at = parent;
        };
        let (mut parent, mut parent_hash) = (parent, at);
        while let Some(next) = branch.pop() {
            let Some(block) = memory.waiting(next) else { continue };
            let header = block.header.clone();
            match self.chain.import(block) {
                Ok(_) => memory.forget(next),
                Err(ChainError::Invalid { reason, .. }) => {
                    tracing::warn!(block = %next, number = header.number, reason, "a block is invalid");
                    let merged = self.chain.spec().is_paris_active_at_block(parent.number);
                    let latest_valid = Some(if merged { parent_hash } else { B256::ZERO });
                    memory.reject(next, latest_valid, reason.clone());
                    memory.descend(&branch, next);
                    return Ok(Verdict::Invalid { latest_valid, reason });
                }
                Err(ChainError::Stalled { reason, .. }) => {
                    tracing::warn!(block = %next, number = header.number, reason, "this node cannot execute a block at present");
                    if let Some(keeper) = &self.keeper {
                        keeper.load_missing(parent, parent_hash);
                    }
                    return Ok(Verdict::Unknown { reason });
                }
                Err(other) => return Err(other),
            }
            (parent, parent_hash) = (header, next);
        }
        Ok(Verdict::Valid)
    }

    /// Moves head, safe and finalised block. The head must be valid: see [`Driver::verdict`].
    pub fn choose(&self, choice: ForkChoice) -> Result<CanonicalChange, ChainError> {
        // No block is being validated meanwhile.
        let _memory = self.memory();
        let change = self.chain.fork_choice(choice)?;
        if !change.reverted.is_empty() {
            tracing::info!(head = %choice.head, reverted = change.reverted.len(), committed = change.committed.len(), "reorganisation");
        }
        Ok(change)
    }

    /// The blocks being built.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }
}
