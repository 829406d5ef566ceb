//! Executing the transactions of one block: the code that building and validating share.

use super::spec::ChainSpec;
use crate::{
    evm::EvmSource,
    primitives::{Receipt, RecoveredTransaction},
    storage::{StateReader, StorageError},
};
use alloy_consensus::{Eip658Value, Header};
use alloy_eips::{eip4895::Withdrawals, eip7685::Requests};
use alloy_evm::{
    Evm, EvmEnv, EvmFactory,
    block::{BlockExecutionError, BlockExecutor, BlockExecutorFactory},
    eth::{EthBlockExecutionCtx, EthBlockExecutorFactory, receipt_builder::AlloyReceiptBuilder},
    overrides::apply_state_overrides,
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::state::StateOverride;
use lockstep_engine::LoadedModel;
use lockstep_precompile::InferenceRecord;
use revm::database::{BundleState, State, states::bundle_state::BundleRetention};
use std::{borrow::Cow, sync::Arc};

/// Where the transactions of a block come from, and what becomes of those that do not run.
pub(crate) trait TransactionFeed {
    /// The next transaction to try, with at most this much gas left in the block.
    fn next(&mut self, gas_left: u64) -> Option<Arc<RecoveredTransaction>>;

    /// The transaction is in the block.
    fn included(&mut self, _tx: &Arc<RecoveredTransaction>) {}

    /// The transaction was not executed. `Ok` leaves it out and goes on; `Err` gives the block up.
    fn failed(&mut self, tx: Arc<RecoveredTransaction>, error: BlockExecutionError) -> Result<(), BlockExecutionError>;
}

/// A block's context besides the EVM environment.
#[derive(Debug, Default)]
pub(crate) struct BlockContext<'a> {
    pub(crate) parent_hash: B256,
    pub(crate) parent_beacon_block_root: Option<B256>,
    pub(crate) ommers: &'a [Header],
    pub(crate) withdrawals: Option<&'a Withdrawals>,
    pub(crate) extra_data: Bytes,
    /// State written before the block, on dev chains (`anvil_setBalance` and its like).
    pub(crate) patch: Option<&'a StateOverride>,
    /// The block is in the store already: somebody wants to see it run.
    pub(crate) replay: bool,
}

/// What executing a block gave.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) transactions: Vec<Arc<RecoveredTransaction>>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) requests: Requests,
    pub(crate) gas_used: u64,
    pub(crate) blob_gas_used: u64,
    pub(crate) bundle: BundleState,
    /// Successful inferences with the index of their transaction, in order of execution.
    pub(crate) inferences: Vec<(usize, InferenceRecord)>,
    /// Models that were called, also where the call failed.
    called: Vec<Arc<LoadedModel>>,
}

/// Why a block could not be executed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecuteError {
    #[error(transparent)]
    Execution(#[from] BlockExecutionError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("state patch: {0}")]
    Patch(String),
    /// A fault of this node, whatever the EVM made of it: the state could not be read, resident weights have changed.
    #[error("this node failed while it executed the block: {0}")]
    Fault(String),
}

/// Runs one block on top of `state`.
pub(crate) fn execute_block(
    spec: &Arc<ChainSpec>,
    evm_source: &EvmSource,
    state: &StateReader,
    env: EvmEnv,
    context: BlockContext<'_>,
    feed: &mut dyn TransactionFeed,
) -> Result<Execution, ExecuteError> {
    let _executing = (!context.replay).then(|| evm_source.executing());
    let executed = execute(spec, evm_source, state, env, context, feed);
    // The executor reports failed reads in system calls and withdrawals as faults of the block.
    if let Some(fault) = state.fault() {
        return Err(ExecuteError::Fault(fault.to_string()));
    }
    // Neither a block nor a verdict on one rests on weights that have changed in memory (spec CARE-2).
    let called = executed.as_ref().ok().map(|e| e.called.clone());
    evm_source.care().check_used(called).map_err(|damaged| ExecuteError::Fault(damaged.to_string()))?;
    executed
}

fn execute(
    spec: &Arc<ChainSpec>,
    evm_source: &EvmSource,
    state: &StateReader,
    env: EvmEnv,
    context: BlockContext<'_>,
    feed: &mut dyn TransactionFeed,
) -> Result<Execution, ExecuteError> {
    let gas_limit = env.block_env.gas_limit;
    let byzantium = spec.is_byzantium_active_at_block(env.block_env.number.saturating_to());
    let mut db = State::builder().with_database_ref(state).with_bundle_update().build();
    if let Some(patch) = context.patch {
        apply_state_overrides(patch.clone(), &mut db).map_err(|e| ExecuteError::Patch(e.to_string()))?;
    }
    let (evm_factory, sink) = if context.replay { evm_source.for_replay() } else { evm_source.for_block() };
    let factory = EthBlockExecutorFactory::new(AlloyReceiptBuilder::default(), spec.clone(), evm_factory);
    let evm = factory.evm_factory().create_evm(&mut db, env);
    let ctx = EthBlockExecutionCtx {
        parent_hash: context.parent_hash,
        parent_beacon_block_root: context.parent_beacon_block_root,
        ommers: context.ommers,
        withdrawals: context.withdrawals.map(|w| Cow::Borrowed(w.as_slice())),
        extra_data: context.extra_data,
        tx_count_hint: None,
        slot_number: None,
    };
    let mut executor = factory.create_executor(evm, ctx);
    executor.apply_pre_execution_changes()?;
    let mut transactions = Vec::new();
    // Receipts before Byzantium hold the state root after their transaction.
    let mut roots = (!byzantium).then(Vec::new);
    while let Some(tx) = feed.next(gas_limit.saturating_sub(executor.cumulative_tx_gas_used)) {
        sink.begin(transactions.len());
        match executor.execute_transaction(tx.as_ref()) {
            Ok(_) => {
                sink.keep();
                feed.included(&tx);
                transactions.push(tx);
                if let Some(roots) = &mut roots {
                    let db = executor.evm_mut().db_mut();
                    db.merge_transitions(BundleRetention::PlainState);
                    roots.push(state.root_after(&db.bundle_state)?);
                }
            }
            Err(error) => {
                sink.discard();
                if let Some(fault) = state.fault() {
                    return Err(ExecuteError::Fault(fault.to_string()));
                }
                feed.failed(tx, error)?;
            }
        }
    }
    let (evm, result) = executor.finish()?;
    drop(evm);
    let mut receipts = result.receipts;
    for (receipt, root) in receipts.iter_mut().zip(roots.into_iter().flatten()) {
        if let Receipt::Legacy(legacy) = receipt {
            legacy.receipt.status = Eip658Value::PostState(root);
        }
    }
    db.merge_transitions(BundleRetention::PlainState);
    Ok(Execution {
        transactions,
        receipts,
        requests: result.requests,
        gas_used: result.gas_used,
        blob_gas_used: result.blob_gas_used,
        bundle: db.take_bundle(),
        called: sink.called(),
        inferences: sink.take(),
    })
}
