//! Executing a stored block again, for what executing it showed and the store does not keep.

use super::{
    Chain, ChainError,
    build::classify,
    execute::{BlockContext, execute_block},
    validate::WholeBlock,
};
use crate::{inference::BlockInferences, primitives::RecoveredTransaction, storage::StoredBlock};
use alloy_evm::EvmEnv;
use alloy_primitives::B256;
use std::sync::Arc;

impl Chain {
    /// The inferences of a stored block with their inputs. Nothing is written, and what blocks remember is only read.
    /// `contracts_send` as the block was built: see [`super::BuildAttributes`].
    pub(crate) fn replay_inferences(
        &self,
        block: &StoredBlock,
        contracts_send: bool,
    ) -> Result<BlockInferences, ChainError> {
        let (header, spec) = (&block.header, self.spec());
        let parent = self.header(header.parent_hash)?;
        let mut env = EvmEnv::for_eth_block(header, spec.as_ref(), spec.chain_id, spec.blob_params(header.timestamp));
        env.cfg_env.disable_eip3607 = contracts_send;
        let state = self.store().state(&parent, header.parent_hash)?;
        let patch = match self.store().patch(block.hash)? {
            Some(json) => Some(serde_json::from_slice(&json).map_err(|e| damaged(block.hash, e))?),
            None => None,
        };
        let context = BlockContext {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            ommers: &block.body.ommers,
            withdrawals: block.body.withdrawals.as_ref(),
            extra_data: header.extra_data.clone(),
            patch: patch.as_ref(),
            replay: true,
        };
        let transactions = block.body.transactions.iter().zip(&block.senders);
        let mut feed = WholeBlock::new(
            transactions.map(|(tx, sender)| Arc::new(RecoveredTransaction::new_unchecked(tx.clone(), *sender))),
        );
        let execution = execute_block(spec, self.evm(), &state, env, context, &mut feed)
            .map_err(|error| classify(block.hash, error))?;
        let inferences = BlockInferences::new(execution.inferences, &block.body);
        if spec.commits(header.number) && header.extra_data.as_ref() != inferences.commitment().as_slice() {
            return Err(damaged(block.hash, "executing it again gives other inferences than it commits to"));
        }
        Ok(inferences)
    }
}

fn damaged(hash: B256, reason: impl std::fmt::Display) -> ChainError {
    ChainError::Stalled { hash, reason: reason.to_string() }
}
