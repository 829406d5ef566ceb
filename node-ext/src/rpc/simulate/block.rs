//! One simulated block: built as any other, from calls that nobody signed.

use super::{
    super::{
        Api,
        call::halted,
        error::{RpcResult, internal, invalid_params, reverted, server},
    },
    Simulated, error,
};
use crate::{
    chain::{BuildAttributes, logs_bloom},
    primitives::{Body, Receipt, RecoveredTransaction, Transaction},
    storage::{StateReader, StoredBlock},
};
use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, Header, SignableTransaction, TxEip4844, TxEip4844Variant, TypedTransaction,
    constants::EMPTY_WITHDRAWALS, proofs,
};
use alloy_evm::{
    Evm, EvmEnv, EvmFactory,
    block::{BlockExecutor, BlockExecutorFactory},
    eth::{EthBlockExecutionCtx, EthBlockExecutorFactory, receipt_builder::AlloyReceiptBuilder},
    overrides::apply_state_overrides,
    precompiles::{DynPrecompile, Precompile, PrecompileInput, PrecompilesMap},
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes, Log, Signature, TxKind, U256};
use alloy_rpc_types_eth::{
    BlockOverrides, TransactionRequest,
    simulate::{SimBlock, SimCallResult, SimulateError},
    state::StateOverride,
};
use revm::{
    Database,
    context::result::{ExecutionResult, HaltReason},
    context_interface::block::BlobExcessGasAndPrice,
    database::{State, WrapDatabaseRef, states::bundle_state::BundleRetention},
};
use revm_inspectors::transfer::{TRANSFER_LOG_EMITTER, TransferInspector};
use std::{collections::HashMap, rc::Rc};

/// What a simulated block stands on.
pub(super) struct Context<'a> {
    pub(super) api: &'a Api,
    pub(super) reader: &'a StateReader,
    pub(super) parent_hash: B256,
    pub(super) parent: &'a Header,
    pub(super) validation: bool,
    pub(super) trace_transfers: bool,
}

type SimState<'a> = State<WrapDatabaseRef<&'a StateReader>>;

pub(super) fn simulate(
    context: &Context<'_>,
    db: &mut SimState<'_>,
    block: SimBlock,
    gas_left: &mut u64,
) -> RpcResult<Simulated> {
    let chain = &context.api.chain;
    let spec = chain.spec();
    let overrides = block.block_overrides.unwrap_or_default();
    let env = env(context, &overrides);
    let (timestamp, gas_limit) = (env.block_env.timestamp.saturating_to::<u64>(), env.block_env.gas_limit);
    for (number, hash) in overrides.block_hash.iter().flatten() {
        db.block_hashes.insert(*number, *hash);
    }
    db.block_hashes.insert(context.parent.number, context.parent_hash);
    let (shanghai, cancun, prague) = (
        spec.is_shanghai_active_at_timestamp(timestamp),
        spec.is_cancun_active_at_timestamp(timestamp),
        spec.is_prague_active_at_timestamp(timestamp),
    );
    let state_overrides = block.state_overrides.unwrap_or_default();
    apply_state_overrides(state_overrides.clone(), db).map_err(invalid_params)?;

    let factory = EthBlockExecutorFactory::new(AlloyReceiptBuilder::default(), spec.clone(), chain.evm().for_call());
    let inspector = TransferInspector::new(false).with_logs(context.trace_transfers);
    let mut evm = factory.evm_factory().create_evm_with_inspector(&mut *db, env.clone(), inspector);
    move_precompiles(evm.precompiles_mut(), &state_overrides)?;
    let ctx = EthBlockExecutionCtx {
        parent_hash: context.parent_hash,
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        ommers: &[],
        withdrawals: None,
        extra_data: Bytes::new(),
        tx_count_hint: None,
        slot_number: None,
    };
    let mut executor = factory.create_executor(evm, ctx);
    executor.apply_pre_execution_changes().map_err(error::execution)?;
    let (mut transactions, mut senders, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for request in block.calls {
        let block_left = gas_limit.saturating_sub(executor.cumulative_tx_gas_used);
        let from = request.from.unwrap_or_default();
        let nonce = executor.evm_mut().db_mut().basic(from).map_err(internal)?.map_or(0, |account| account.nonce);
        if nonce == u64::MAX {
            return Err(error::nonce_max(from));
        }
        let wanted = request.gas.unwrap_or(block_left);
        if wanted > block_left {
            return Err(error::block_gas(wanted, block_left));
        }
        let tx = transaction(request, nonce, wanted.min(*gas_left), spec.chain_id)?;
        let tx = RecoveredTransaction::new_unchecked(tx, from);
        let mut done = executor.execute_transaction_without_commit(&tx).map_err(error::execution)?;
        *gas_left = gas_left.saturating_sub(done.result.result.tx_gas_used());
        calls.push(answer(&done.result.result));
        // The block knows nothing of logs that stand for transfers.
        if let ExecutionResult::Success { logs, .. } = &mut done.result.result {
            logs.retain(|log| log.address != TRANSFER_LOG_EMITTER);
        }
        executor.commit_transaction(done);
        transactions.push(tx.into_inner());
        senders.push(from);
    }
    let (evm, result) = executor.finish().map_err(error::execution)?;
    drop(evm);
    db.merge_transitions(BundleRetention::PlainState);
    let state_root = context.reader.root_after(&db.bundle_state).map_err(internal)?;
    let receipts: Vec<Receipt> = result.receipts;
    let header = Header {
        parent_hash: context.parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: env.block_env.beneficiary,
        state_root,
        transactions_root: proofs::calculate_transaction_root(&transactions),
        receipts_root: proofs::calculate_receipt_root(&receipts),
        logs_bloom: logs_bloom(&receipts),
        difficulty: env.block_env.difficulty,
        number: context.parent.number + 1,
        gas_limit,
        gas_used: result.gas_used,
        timestamp,
        mix_hash: env.block_env.prevrandao.unwrap_or_default(),
        base_fee_per_gas: spec.is_london_active_at_block(context.parent.number + 1).then_some(env.block_env.basefee),
        withdrawals_root: shanghai.then_some(EMPTY_WITHDRAWALS),
        blob_gas_used: cancun.then_some(result.blob_gas_used),
        excess_blob_gas: env.block_env.blob_excess_gas_and_price.map(|b| b.excess_blob_gas),
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: prague.then(|| result.requests.requests_hash()),
        ..Default::default()
    };
    let body = Body { transactions, ommers: Vec::new(), withdrawals: shanghai.then(Default::default) };
    let block = StoredBlock { hash: header.hash_slow(), header, body, senders, receipts };
    Ok(Simulated { block, calls })
}

/// The rules of the block. Without validation, a call needs no right nonce and pays no base fee.
fn env(context: &Context<'_>, overrides: &BlockOverrides) -> EvmEnv {
    let chain = &context.api.chain;
    let attributes = BuildAttributes {
        timestamp: overrides.time.unwrap_or(context.parent.timestamp.saturating_add(1)),
        fee_recipient: overrides.coinbase.unwrap_or(context.parent.beneficiary),
        prev_randao: overrides.random.unwrap_or_default(),
        gas_limit: overrides.gas_limit.unwrap_or(context.parent.gas_limit),
        contracts_send: true,
        ..Default::default()
    };
    let mut env = chain.next_env(context.parent, &attributes);
    env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
    env.cfg_env.disable_nonce_check = !context.validation;
    env.cfg_env.disable_base_fee = !context.validation;
    env.block_env.difficulty = overrides.difficulty.unwrap_or(context.parent.difficulty);
    if let Some(fee) = overrides.base_fee {
        env.block_env.basefee = fee.saturating_to();
    } else if !context.validation {
        env.block_env.basefee = 0;
    }
    if let (Some(fee), Some(blob)) = (overrides.blob_base_fee, env.block_env.blob_excess_gas_and_price) {
        env.block_env.blob_excess_gas_and_price =
            Some(BlobExcessGasAndPrice { blob_gasprice: fee.saturating_to(), ..blob });
    }
    env
}

/// A precompile whose account is overridden is gone from its address; it may have moved to another, which is as cold as
/// any account.
fn move_precompiles(precompiles: &mut PrecompilesMap, overrides: &StateOverride) -> RpcResult<()> {
    let mut moved = HashMap::new();
    for (address, account) in overrides {
        match account.move_precompile_to {
            Some(_) if precompiles.get(address).is_none() => {
                return Err(server(format!("account {address} is not a precompile")));
            }
            Some(to) => precompiles.apply_precompile(address, |precompile| {
                moved.extend(precompile.map(|precompile| (to, Rc::new(precompile))));
                None
            }),
            None => precompiles.apply_precompile(address, |_| None),
        }
    }
    if !moved.is_empty() {
        precompiles.set_precompile_lookup(move |address: &Address| {
            let precompile = moved.get(address)?.clone();
            let id = precompile.precompile_id().clone();
            Some(DynPrecompile::new_stateful(id, move |input: PrecompileInput<'_>| precompile.call(input)))
        });
    }
    Ok(())
}

/// The transaction that a call stands for; its signature is zero.
fn transaction(mut request: TransactionRequest, nonce: u64, gas: u64, chain_id: u64) -> RpcResult<Transaction> {
    request.normalize_input();
    request.nonce.get_or_insert(nonce);
    request.gas = Some(gas);
    request.chain_id = Some(chain_id);
    request.to.get_or_insert(TxKind::Create);
    let blobs = request.blob_versioned_hashes.take().filter(|hashes| !hashes.is_empty());
    let blob_fee = request.max_fee_per_blob_gas.take();
    if request.gas_price.is_none() {
        request.max_fee_per_gas.get_or_insert(0);
        request.max_priority_fee_per_gas.get_or_insert(0);
    }
    let mut tx = request
        .build_consensus_tx()
        .map_err(|e| invalid_params(format!("the call is no transaction: {:?}", e.error)))?;
    if let Some(blob_versioned_hashes) = blobs {
        let (TypedTransaction::Eip1559(fees), TxKind::Call(to)) = (&tx, tx_kind(&tx)) else {
            return Err(invalid_params("a call with blobs needs `to`, and no gasPrice"));
        };
        tx = TypedTransaction::Eip4844(TxEip4844Variant::TxEip4844(TxEip4844 {
            chain_id,
            nonce: fees.nonce,
            gas_limit: fees.gas_limit,
            max_fee_per_gas: fees.max_fee_per_gas,
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
            to,
            value: fees.value,
            access_list: fees.access_list.clone(),
            blob_versioned_hashes,
            max_fee_per_blob_gas: blob_fee.unwrap_or_default(),
            input: fees.input.clone(),
        }));
    }
    let signature = Signature::new(U256::ZERO, U256::ZERO, false);
    Ok(match tx {
        TypedTransaction::Legacy(tx) => tx.into_signed(signature).into(),
        TypedTransaction::Eip2930(tx) => tx.into_signed(signature).into(),
        TypedTransaction::Eip1559(tx) => tx.into_signed(signature).into(),
        TypedTransaction::Eip4844(tx) => tx.into_signed(signature).into(),
        TypedTransaction::Eip7702(tx) => tx.into_signed(signature).into(),
    })
}

fn tx_kind(tx: &TypedTransaction) -> TxKind {
    use alloy_consensus::Transaction as _;
    tx.to().map_or(TxKind::Create, |to: Address| TxKind::Call(to))
}

fn answer(result: &ExecutionResult<HaltReason>) -> (SimCallResult, Vec<Log>) {
    let gas = result.gas();
    let error = match result {
        ExecutionResult::Success { .. } => None,
        ExecutionResult::Revert { output, .. } => Some(SimulateError {
            code: SimulateError::EXECUTION_REVERTED_CODE,
            message: reverted(output).message().to_string(),
            data: Some(output.clone()),
        }),
        ExecutionResult::Halt { reason, .. } => Some(SimulateError {
            code: SimulateError::VM_EXECUTION_ERROR_CODE,
            message: halted(reason, gas.tx_gas_used()),
            data: None,
        }),
    };
    let call = SimCallResult {
        return_data: result.output().cloned().unwrap_or_default(),
        logs: Vec::new(),
        gas_used: gas.tx_gas_used(),
        max_used_gas: Some(gas.total_gas_spent().max(gas.floor_gas())),
        status: result.is_success(),
        error,
    };
    (call, result.logs().to_vec())
}
