//! Fork choice and finality: where the canonical chain ends, and what can no longer be undone.

use super::{Chain, ChainError, Head};
use crate::storage::CanonicalChange;
use alloy_consensus::Header;
use alloy_primitives::B256;
use std::sync::{Arc, PoisonError};

/// What the consensus side has chosen. `None` leaves a mark where it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ForkChoice {
    /// The last block of the canonical chain.
    pub head: B256,
    /// The block that is unlikely to be undone.
    pub safe: Option<B256>,
    /// The block that nothing undoes.
    pub finalised: Option<B256>,
}

impl Chain {
    /// Makes a known block the head. Refuses to leave the finalised block's branch.
    pub fn set_head(&self, hash: B256) -> Result<CanonicalChange, ChainError> {
        self.fork_choice(ForkChoice { head: hash, ..Default::default() })
    }

    /// Finalises a canonical block: no later fork choice undoes it.
    pub fn finalise(&self, hash: B256) -> Result<(), ChainError> {
        let number = self.header(hash)?.number;
        if self.store().canonical_hash(number)? != Some(hash) {
            return Err(ChainError::UnknownBlock(hash));
        }
        self.fork_choice(ForkChoice { head: self.head().hash, safe: None, finalised: Some(hash) }).map(drop)
    }

    /// Moves head, safe and finalised block in one step: on disk together when this returns, or none of them.
    ///
    /// The head may be any stored block that descends from the finalised one, also an ancestor of the present head.
    /// `safe` and `finalised` must be the head or its ancestors. Finality never goes back: an older finalised block of
    /// the same branch changes nothing.
    pub fn fork_choice(&self, choice: ForkChoice) -> Result<CanonicalChange, ChainError> {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let header = self.header(choice.head)?;
        let descends = |of: B256| -> Result<Option<u64>, ChainError> {
            let number = self.header(of)?.number;
            Ok((self.ancestor(choice.head, &header, number)? == Some(of)).then_some(number))
        };
        let before = self.store().finalised_hash()?;
        let before_number = match before {
            Some(hash) => Some(descends(hash)?.ok_or(ChainError::Finalised(choice.head))?),
            None => None,
        };
        let mut finalised = None;
        if let Some(hash) = choice.finalised {
            let number = descends(hash)?.ok_or(ChainError::NotAnAncestor { block: hash, head: choice.head })?;
            if before_number.is_none_or(|before| number > before) {
                finalised = Some(hash);
            }
        }
        if let Some(hash) = choice.safe {
            descends(hash)?.ok_or(ChainError::NotAnAncestor { block: hash, head: choice.head })?;
        }
        let safe = choice.safe.filter(|hash| self.store().safe_hash().ok().flatten() != Some(*hash));
        if self.head().hash == choice.head && safe.is_none() && finalised.is_none() {
            return Ok(CanonicalChange::default());
        }
        let change = self.store().set_fork_choice(choice.head, safe, finalised)?;
        if !change.is_empty() {
            self.moved(Head { hash: choice.head, header: Arc::new(header) }, &change);
        }
        Ok(change)
    }

    /// The ancestor at this height of the block with this header; the block itself at its own.
    fn ancestor(&self, hash: B256, header: &Header, number: u64) -> Result<Option<B256>, ChainError> {
        if number > header.number {
            return Ok(None);
        }
        let (mut at, mut hash, mut parent) = (header.number, hash, header.parent_hash);
        while at > number {
            // On the canonical chain the index knows the rest.
            if self.store().canonical_hash(at)? == Some(hash) {
                return Ok(self.store().canonical_hash(number)?);
            }
            hash = parent;
            parent = self.header(hash)?.parent_hash;
            at -= 1;
        }
        Ok(Some(hash))
    }
}
