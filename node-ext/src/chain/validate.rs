//! Validating a block made by somebody else.

use super::{
    Chain, ChainError,
    build::{classify, logs_bloom},
    execute::{BlockContext, TransactionFeed, execute_block},
};
use crate::{
    crosscheck,
    inference::BlockInferences,
    primitives::{Block, RecoveredTransaction, Transaction},
    storage::{BlockState, StoredBlock},
};
use alloy_consensus::{BlockHeader, EMPTY_OMMER_ROOT_HASH, Header, proofs, transaction::SignerRecoverable};
use alloy_evm::{EvmEnv, block::BlockExecutionError};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256};
use std::{collections::VecDeque, sync::Arc};

/// Longest extra data of a header.
const MAX_EXTRA_DATA: usize = 32;
/// Greatest gas limit of a block (EIP-1985).
const MAX_GAS_LIMIT: u64 = i64::MAX as u64;
/// Longest encoded block (EIP-7934).
const MAX_RLP_BLOCK_SIZE: usize = 8 * 1024 * 1024;

impl Chain {
    /// Validates a block and stores it; the head does not move. Importing a known block again is a no-op.
    pub fn import(&self, block: Block) -> Result<B256, ChainError> {
        let hash = block.header.hash_slow();
        if self.store().header(hash)?.is_some() {
            return Ok(hash);
        }
        let parent_hash = block.header.parent_hash;
        let parent =
            self.store().header(parent_hash)?.ok_or(ChainError::UnknownParent { hash, parent: parent_hash })?;
        self.check_header(hash, &block.header, &parent)?;
        self.check_body(hash, &block)?;

        let senders = block
            .body
            .transactions
            .iter()
            .map(|tx| {
                let frontier = !self.spec().is_homestead_active_at_block(block.header.number);
                if frontier { tx.recover_signer_unchecked() } else { tx.recover_signer() }
            })
            .collect::<Result<Vec<Address>, _>>()
            .map_err(|error| ChainError::invalid(hash, error))?;
        let transactions = block.body.transactions.iter().zip(&senders);
        let mut feed = WholeBlock::new(
            transactions.map(|(tx, sender)| Arc::new(RecoveredTransaction::new_unchecked(tx.clone(), *sender))),
        );
        let header = &block.header;
        let env = EvmEnv::for_eth_block(
            header,
            self.spec().as_ref(),
            self.spec().chain_id,
            self.spec().blob_params(header.timestamp),
        );
        let state = self.store().state(&parent, parent_hash)?;
        let context = BlockContext {
            parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            ommers: &block.body.ommers,
            withdrawals: block.body.withdrawals.as_ref(),
            extra_data: header.extra_data.clone(),
            patch: None,
            replay: false,
        };
        let execution = execute_block(self.spec(), self.evm(), &state, env, context, &mut feed)
            .map_err(|error| classify(hash, error))?;

        expect(hash, "gas used", header.gas_used, execution.gas_used)?;
        expect(hash, "receipts root", header.receipts_root, proofs::calculate_receipt_root(&execution.receipts))?;
        expect(hash, "logs bloom", header.logs_bloom, logs_bloom(&execution.receipts))?;
        if header.blob_gas_used.is_some() {
            expect(hash, "blob gas used", header.blob_gas_used, Some(execution.blob_gas_used))?;
        }
        if header.requests_hash.is_some() {
            expect(hash, "requests hash", header.requests_hash, Some(execution.requests.requests_hash()))?;
        }
        let update = state.into_trie_update(&execution.bundle)?;
        expect(hash, "state root", header.state_root, update.root)?;

        let inferences = BlockInferences::new(execution.inferences, &block.body);
        if self.spec().commits(header.number) {
            expect(hash, "commitment to inferences", &header.extra_data, &inferences.commitment().into())?;
        }
        let state = BlockState {
            nodes: update.nodes,
            codes: super::new_codes(&execution.bundle),
            patch: None,
            inferences: inferences.to_json(),
            unchecked: crosscheck::encode(hash, block.header.number, &inferences),
        };
        let Block { header, body } = block;
        let stored = StoredBlock { hash, header, body, senders, receipts: execution.receipts };
        self.store().insert_block(&stored, &state, false)?;
        self.announce_import(hash);
        Ok(hash)
    }

    fn check_header(&self, hash: B256, header: &Header, parent: &Header) -> Result<(), ChainError> {
        let spec = self.spec();
        let fail = |reason: &str| Err(ChainError::invalid(hash, reason));
        expect(hash, "number", header.number, parent.number + 1)?;
        if header.timestamp <= parent.timestamp {
            return fail("timestamp is not after the parent's");
        }
        if header.gas_limit > MAX_GAS_LIMIT {
            return fail("gas limit is above 2^63 - 1");
        }
        if header.gas_used > header.gas_limit {
            return fail("gas used is above the gas limit");
        }
        if header.extra_data.len() > MAX_EXTRA_DATA {
            return fail("extra data is longer than 32 bytes");
        }
        // At London the limit doubles once, with the elasticity of the base fee.
        let london = spec.is_london_active_at_block(header.number);
        let first_london = london && !spec.is_london_active_at_block(parent.number);
        let reference = if first_london { parent.gas_limit.saturating_mul(2) } else { parent.gas_limit };
        if header.gas_limit.abs_diff(reference) >= (reference / 1024).max(1) || header.gas_limit < 5000 {
            return fail("gas limit moved by 1/1024 of the parent's or more, or is below 5000");
        }
        expect(hash, "base fee", header.base_fee_per_gas, self.next_base_fee(parent))?;
        if spec.is_paris_active_at_block(header.number) {
            if !header.difficulty.is_zero() || !header.nonce.is_zero() {
                return fail("difficulty and nonce must be zero after the merge");
            }
            expect(hash, "ommers hash", header.ommers_hash, EMPTY_OMMER_ROOT_HASH)?;
        }
        let time = header.timestamp;
        expect(
            hash,
            "presence of a withdrawals root",
            header.withdrawals_root.is_some(),
            spec.is_shanghai_active_at_timestamp(time),
        )?;
        let cancun = spec.is_cancun_active_at_timestamp(time);
        expect(hash, "presence of a beacon root", header.parent_beacon_block_root.is_some(), cancun)?;
        expect(hash, "presence of blob gas used", header.blob_gas_used.is_some(), cancun)?;
        let excess = spec.blob_params(time).filter(|_| cancun).map(|params| {
            // Before the fork there was no blob gas: the first block starts from zero.
            parent.maybe_next_block_excess_blob_gas(Some(params)).unwrap_or_default()
        });
        expect(hash, "excess blob gas", header.excess_blob_gas, excess)?;
        if let (Some(used), Some(params)) = (header.blob_gas_used, spec.blob_params(time))
            && used > params.max_blob_gas_per_block()
        {
            return fail("blob gas used is above the maximum");
        }
        expect(
            hash,
            "presence of a requests hash",
            header.requests_hash.is_some(),
            spec.is_prague_active_at_timestamp(time),
        )
    }

    fn check_body(&self, hash: B256, block: &Block) -> Result<(), ChainError> {
        let (header, body) = (&block.header, &block.body);
        // The form in which blob transactions travel between pools: its bytes would pass for a transaction's.
        if body
            .transactions
            .iter()
            .any(|tx| matches!(tx, Transaction::Eip4844(tx) if tx.tx().as_with_sidecar().is_some()))
        {
            return Err(ChainError::invalid(hash, "a blob transaction of a block carries no sidecar"));
        }
        let root = proofs::calculate_transaction_root(&body.transactions);
        expect(hash, "transactions root", header.transactions_root, root)?;
        expect(hash, "ommers hash", header.ommers_hash, proofs::calculate_ommers_root(&body.ommers))?;
        let withdrawals = body.withdrawals.as_ref().map(|w| proofs::calculate_withdrawals_root(w));
        expect(hash, "withdrawals root", header.withdrawals_root, withdrawals)?;
        if self.spec().is_osaka_active_at_timestamp(header.timestamp) {
            let size = alloy_rlp::Encodable::length(block);
            if size > MAX_RLP_BLOCK_SIZE {
                return Err(ChainError::invalid(
                    hash,
                    format!("the block has {size} bytes, more than EIP-7934 allows"),
                ));
            }
        }
        Ok(())
    }
}

/// Every transaction of the block, in order; the first that does not run makes the block fail.
pub(super) struct WholeBlock {
    queue: VecDeque<Arc<RecoveredTransaction>>,
}

impl WholeBlock {
    pub(super) fn new(transactions: impl Iterator<Item = Arc<RecoveredTransaction>>) -> Self {
        Self { queue: transactions.collect() }
    }
}

impl TransactionFeed for WholeBlock {
    fn next(&mut self, _gas_left: u64) -> Option<Arc<RecoveredTransaction>> {
        self.queue.pop_front()
    }

    fn failed(
        &mut self,
        _tx: Arc<RecoveredTransaction>,
        error: BlockExecutionError,
    ) -> Result<(), BlockExecutionError> {
        Err(error)
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(hash: B256, what: &str, header: T, computed: T) -> Result<(), ChainError> {
    if header == computed {
        return Ok(());
    }
    Err(ChainError::invalid(hash, format!("{what}: the header says {header:?}, computed is {computed:?}")))
}
