//! Building a block.

use super::{
    Chain, ChainError,
    execute::{BlockContext, ExecuteError, Execution, TransactionFeed, execute_block},
};
use crate::{
    crosscheck,
    inference::BlockInferences,
    primitives::Body,
    storage::{BlockState, StoredBlock},
};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS, proofs};
use alloy_eips::{eip1559::INITIAL_BASE_FEE, eip4895::Withdrawals, eip7685::Requests};
use alloy_evm::{EvmEnv, block::BlockExecutionError, eth::NextEvmEnvAttributes};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use alloy_rpc_types_eth::state::StateOverride;
use std::sync::Arc;

/// What the consensus side decides about a block.
#[derive(Debug, Clone, Default)]
pub struct BuildAttributes {
    /// Time of the block in seconds; must be after the parent's.
    pub timestamp: u64,
    /// Who receives the tips.
    pub fee_recipient: Address,
    /// The block's randomness.
    pub prev_randao: B256,
    /// Root of the parent beacon block (EIP-4788).
    pub parent_beacon_block_root: B256,
    /// Withdrawals from the consensus layer.
    pub withdrawals: Withdrawals,
    /// The block's gas limit.
    pub gas_limit: u64,
    /// Free data of the proposer, where headers do not commit to inferences.
    pub extra_data: Bytes,
    /// Whether contracts may send transactions (against EIP-3607): dev chains only, for impersonated accounts.
    pub contracts_send: bool,
    /// State written before the block: dev chains only.
    pub patch: Option<StateOverride>,
}

/// A block that was built and executed, and is not stored yet.
#[derive(Debug)]
pub struct BuiltBlock {
    /// The block.
    pub block: StoredBlock,
    pub(crate) state: BlockState,
    /// Requests of the execution layer (EIP-7685).
    pub(crate) requests: Requests,
}

impl Chain {
    /// The base fee of the block after `parent`; `None` before London.
    pub fn next_base_fee(&self, parent: &Header) -> Option<u64> {
        let next = parent.number + 1;
        self.spec()
            .is_london_active_at_block(next)
            .then(|| parent.next_block_base_fee(self.spec().base_fee_params()).unwrap_or(INITIAL_BASE_FEE))
    }

    /// The EVM environment of the block after `parent`.
    pub(crate) fn next_env(&self, parent: &Header, attributes: &BuildAttributes) -> EvmEnv {
        let mut env = EvmEnv::for_eth_next_block(
            parent,
            NextEvmEnvAttributes {
                timestamp: attributes.timestamp,
                suggested_fee_recipient: attributes.fee_recipient,
                prev_randao: attributes.prev_randao,
                gas_limit: attributes.gas_limit,
                slot_number: None,
            },
            self.next_base_fee(parent).unwrap_or_default(),
            self.spec().as_ref(),
            self.spec().chain_id,
            self.spec().blob_params(attributes.timestamp),
        );
        env.cfg_env.disable_eip3607 = attributes.contracts_send;
        env
    }

    /// Builds a block on `parent` from the transactions of `feed`. Nothing is written: see [`Chain::adopt`].
    pub(crate) fn build(
        &self,
        parent_hash: B256,
        attributes: &BuildAttributes,
        feed: &mut dyn TransactionFeed,
    ) -> Result<BuiltBlock, ChainError> {
        let parent = self.header(parent_hash)?;
        let spec = self.spec();
        let env = self.next_env(&parent, attributes);
        let cancun = spec.is_cancun_active_at_timestamp(attributes.timestamp);
        let shanghai = spec.is_shanghai_active_at_timestamp(attributes.timestamp);
        let state = self.store().state(&parent, parent_hash)?;
        let context = BlockContext {
            parent_hash,
            parent_beacon_block_root: cancun.then_some(attributes.parent_beacon_block_root),
            ommers: &[],
            withdrawals: shanghai.then_some(&attributes.withdrawals),
            extra_data: attributes.extra_data.clone(),
            patch: attributes.patch.as_ref(),
            replay: false,
        };
        let execution = execute_block(spec, self.evm(), &state, env.clone(), context, feed)
            .map_err(|error| classify(parent_hash, error))?;
        self.assemble(&parent, parent_hash, attributes, env, state, execution)
    }

    fn assemble(
        &self,
        parent: &Header,
        parent_hash: B256,
        attributes: &BuildAttributes,
        env: EvmEnv,
        state: crate::storage::StateReader,
        execution: Execution,
    ) -> Result<BuiltBlock, ChainError> {
        let spec = self.spec();
        let time = attributes.timestamp;
        let (shanghai, cancun, prague) = (
            spec.is_shanghai_active_at_timestamp(time),
            spec.is_cancun_active_at_timestamp(time),
            spec.is_prague_active_at_timestamp(time),
        );
        let update = state.into_trie_update(&execution.bundle)?;
        let (transactions, senders): (Vec<_>, Vec<_>) =
            execution.transactions.into_iter().map(|tx| Arc::unwrap_or_clone(tx).into_parts()).unzip();
        let body =
            Body { transactions, ommers: Vec::new(), withdrawals: shanghai.then(|| attributes.withdrawals.clone()) };
        let inferences = BlockInferences::new(execution.inferences, &body);
        let extra_data = match spec.commits(parent.number + 1) {
            true => inferences.commitment().into(),
            false => attributes.extra_data.clone(),
        };
        let header = Header {
            parent_hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: attributes.fee_recipient,
            state_root: update.root,
            transactions_root: proofs::calculate_transaction_root(&body.transactions),
            receipts_root: proofs::calculate_receipt_root(&execution.receipts),
            logs_bloom: logs_bloom(&execution.receipts),
            difficulty: U256::ZERO,
            number: parent.number + 1,
            gas_limit: attributes.gas_limit,
            gas_used: execution.gas_used,
            timestamp: time,
            extra_data,
            mix_hash: attributes.prev_randao,
            base_fee_per_gas: self.next_base_fee(parent),
            withdrawals_root: shanghai.then(|| match attributes.withdrawals.is_empty() {
                true => EMPTY_WITHDRAWALS,
                false => proofs::calculate_withdrawals_root(&attributes.withdrawals),
            }),
            blob_gas_used: cancun.then_some(execution.blob_gas_used),
            excess_blob_gas: env.block_env.blob_excess_gas_and_price.map(|b| b.excess_blob_gas),
            parent_beacon_block_root: cancun.then_some(attributes.parent_beacon_block_root),
            requests_hash: prague.then(|| execution.requests.requests_hash()),
            ..Default::default()
        };
        let patch = match &attributes.patch {
            Some(patch) => Some(serde_json::to_vec(patch).map_err(|e| ChainError::invalid(parent_hash, e))?),
            None => None,
        };
        let hash = header.hash_slow();
        let unchecked = crosscheck::encode(hash, header.number, &inferences);
        Ok(BuiltBlock {
            block: StoredBlock { hash, header, body, senders, receipts: execution.receipts },
            state: BlockState {
                nodes: update.nodes,
                codes: super::new_codes(&execution.bundle),
                patch,
                inferences: inferences.to_json(),
                unchecked,
            },
            requests: execution.requests,
        })
    }
}

pub(crate) fn logs_bloom(receipts: &[crate::primitives::Receipt]) -> Bloom {
    receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom())
}

/// Tells a bad block from a node that cannot execute it.
pub(crate) fn classify(hash: B256, error: ExecuteError) -> ChainError {
    match error {
        ExecuteError::Execution(BlockExecutionError::Validation(error)) => ChainError::invalid(hash, error),
        ExecuteError::Execution(BlockExecutionError::Internal(error)) => {
            ChainError::Stalled { hash, reason: error.to_string() }
        }
        ExecuteError::Storage(error) => error.into(),
        ExecuteError::Patch(reason) => ChainError::invalid(hash, reason),
        ExecuteError::Fault(reason) => ChainError::Stalled { hash, reason },
    }
}
