//! A block from the pool, for whoever decides about blocks: the dev miner, and the consensus side.

use super::{Pool, PoolError, PoolFeed};
use crate::{
    care::Stop,
    chain::{BuildAttributes, BuiltBlock, Chain, ChainError, Head},
};

/// Why there is no block.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// The chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The pool failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// This node must not seal.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// Builds the block after `parent` from the pool, where this node may seal (spec CARE-4). What damaged weights stood in the
/// way of is built once more without what needs them (CARE-2).
pub(crate) fn seal(
    chain: &Chain,
    pool: &Pool,
    parent: &Head,
    attributes: &BuildAttributes,
) -> Result<BuiltBlock, SealError> {
    chain.evm().care().duty().check()?;
    let build = || -> Result<BuiltBlock, SealError> {
        let mut feed = PoolFeed::on(pool, chain, parent, false)?;
        Ok(chain.build(parent.hash, attributes, &mut feed)?)
    };
    match build() {
        // The models are out of memory now: the transactions that need them are parked, the others go on.
        Err(SealError::Chain(ChainError::Stalled { reason, .. })) => {
            tracing::warn!(reason, "the block is built once more");
            build()
        }
        built => built,
    }
}
