//! Traces and raw encodings.

use super::{
    Api, Methods,
    blocks::recovered,
    call::Call,
    error::{IntoRpc, NOT_FOUND, RpcResult, error, from_evm, internal, server},
};
use crate::storage::StoredBlock;
use alloy_consensus::BlockHeader;
use alloy_eips::{BlockId, eip2718::Encodable2718};
use alloy_evm::{
    Evm, EvmEnv, EvmFactory, FromRecoveredTx,
    block::{BlockExecutor, BlockExecutorFactory},
    eth::{EthBlockExecutionCtx, EthBlockExecutorFactory, receipt_builder::AlloyReceiptBuilder},
    overrides::apply_state_overrides,
};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::geth::{GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace};
use revm::{context::TxEnv, database::State};
use revm_inspectors::tracing::{DebugInspector, TransactionContext};
use std::borrow::Cow;

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("debug_traceTransaction", |api, args| {
            let hash: B256 = args.next()?;
            let options: GethDebugTracingOptions = args.opt()?.unwrap_or_default();
            let (block, index) = api
                .chain
                .store()
                .transaction_location(hash)
                .rpc()?
                .ok_or_else(|| error(NOT_FOUND, "transaction not found"))?;
            trace_block(api, &api.stored(block)?, Some(index), options)?
                .pop()
                .map(|traced| traced.result)
                .ok_or_else(|| error(NOT_FOUND, "transaction not found"))
        })
        .add("debug_traceBlockByNumber", |api, args| {
            let tag: alloy_eips::BlockNumberOrTag = args.next()?;
            let block = api.stored(api.locate(Some(tag.into()))?.hash)?;
            trace_block(api, &block, None, args.opt()?.unwrap_or_default())
        })
        .add("debug_traceBlockByHash", |api, args| {
            let block = api.stored(args.next()?)?;
            trace_block(api, &block, None, args.opt()?.unwrap_or_default())
        })
        .add("debug_traceCall", |api, args| {
            let request: TransactionRequest = args.next()?;
            let block: Option<BlockId> = args.opt()?;
            let options: GethDebugTracingCallOptions = args.opt()?.unwrap_or_default();
            let mut call =
                Call::prepare(api, request, block, options.state_overrides, options.block_overrides.map(Box::new))?;
            trace_call(api, &mut call, options.tracing_options)
        })
        .add("debug_getRawHeader", |api, args| {
            Ok(Bytes::from(alloy_rlp::encode(api.locate(Some(args.next()?))?.header)))
        })
        .add("debug_getRawBlock", |api, args| {
            let block = api.stored(api.locate(Some(args.next()?))?.hash)?;
            Ok(Bytes::from(alloy_rlp::encode(alloy_consensus::Block { header: block.header, body: block.body })))
        })
        .add("debug_getRawReceipts", |api, args| {
            let block = api.stored(api.locate(Some(args.next()?))?.hash)?;
            Ok(block.receipts.iter().map(|r| Bytes::from(r.encoded_2718())).collect::<Vec<_>>())
        })
        .alias("debug_getRawTransaction", "eth_getRawTransactionByHash");
}

fn trace_call(api: &Api, call: &mut Call, options: GethDebugTracingOptions) -> RpcResult<GethTrace> {
    let mut inspector = DebugInspector::new(options).map_err(server)?;
    let result = {
        let factory = api.chain.evm().for_call();
        let mut evm = factory.create_evm_with_inspector(&mut call.db, call.env.clone(), &mut inspector);
        evm.transact(call.tx.clone()).map_err(from_evm)?
    };
    inspector.get_result(None, &call.tx, &call.env.block_env, &result, &mut call.db).map_err(internal)
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Traced {
    tx_hash: B256,
    result: GethTrace,
}

/// Executes a block again, tracing all its transactions or one.
fn trace_block(
    api: &Api,
    block: &StoredBlock,
    only: Option<usize>,
    options: GethDebugTracingOptions,
) -> RpcResult<Vec<Traced>> {
    if block.header.number == 0 {
        return Err(server("genesis is not traceable"));
    }
    let _permit = api.gate.enter();
    let store = api.chain.store();
    let parent = api.chain.header(block.header.parent_hash).rpc()?;
    let state = store.state(&parent, block.header.parent_hash).rpc()?;
    let spec = api.chain.spec();
    let mut env =
        EvmEnv::for_eth_block(&block.header, spec.as_ref(), spec.chain_id, spec.blob_params(block.header.timestamp));
    env.cfg_env.disable_eip3607 = api.miner.is_some();
    let mut db = State::builder().with_database_ref(state).with_bundle_update().build();
    if let Some(patch) = store.patch(block.hash).rpc()? {
        let patch = serde_json::from_slice(&patch).map_err(internal)?;
        apply_state_overrides(patch, &mut db).map_err(internal)?;
    }
    {
        let factory =
            EthBlockExecutorFactory::new(AlloyReceiptBuilder::default(), spec.clone(), api.chain.evm().for_call());
        let evm = factory.evm_factory().create_evm(&mut db, env.clone());
        let ctx = EthBlockExecutionCtx {
            parent_hash: block.header.parent_hash,
            parent_beacon_block_root: block.header.parent_beacon_block_root(),
            ommers: &block.body.ommers,
            withdrawals: block.body.withdrawals.as_ref().map(|w| Cow::Borrowed(w.as_slice())),
            extra_data: block.header.extra_data.clone(),
            tx_count_hint: None,
            slot_number: None,
        };
        factory.create_executor(evm, ctx).apply_pre_execution_changes().map_err(internal)?;
    }
    let mut traces = Vec::new();
    for index in 0..block.body.transactions.len() {
        let Some(tx) = recovered(block, index) else { break };
        let tx_env = TxEnv::from_recovered_tx(tx.inner(), tx.signer());
        if only.is_some_and(|only| only > index) {
            let mut evm = api.chain.evm().for_call().create_evm(&mut db, env.clone());
            evm.transact_commit(tx_env).map_err(from_evm)?;
            continue;
        }
        let mut inspector = DebugInspector::new(options.clone()).map_err(server)?;
        let result = {
            let factory = api.chain.evm().for_call();
            let mut evm = factory.create_evm_with_inspector(&mut db, env.clone(), &mut inspector);
            evm.transact(tx_env.clone()).map_err(from_evm)?
        };
        let context =
            TransactionContext { block_hash: Some(block.hash), tx_hash: Some(*tx.tx_hash()), tx_index: Some(index) };
        let trace = inspector.get_result(Some(context), &tx_env, &env.block_env, &result, &mut db).map_err(internal)?;
        traces.push(Traced { tx_hash: *tx.tx_hash(), result: trace });
        if only.is_some() {
            break;
        }
        revm::DatabaseCommit::commit(&mut db, result.state);
    }
    Ok(traces)
}
