//! `eth_simulateV1`: blocks of calls that build on each other, with state and rules changed at will.

mod block;
mod error;

use super::{
    Api, Methods,
    blocks::rpc_block,
    error::{RpcResult, internal, server},
};
use crate::storage::StoredBlock;
use alloy_consensus::Header;
use alloy_eips::BlockId;
use alloy_primitives::{B256, Log};
use alloy_rpc_types_eth::{
    BlockOverrides, Log as RpcLog,
    simulate::{SimBlock, SimCallResult, SimulatePayload, SimulatedBlock},
};
use revm::database::State;

/// Most blocks, the empty ones between numbers included.
const MAX_BLOCKS: u64 = 256;
/// Gas that all calls together may use.
const GAS: u64 = 50_000_000;
/// Seconds from one block to the next where nothing else is said.
const BLOCK_TIME: u64 = 12;

pub(super) fn add(methods: &mut Methods) {
    methods.add("eth_simulateV1", |api, args| {
        let payload: SimulatePayload = args.next()?;
        simulate(api, payload, args.opt()?)
    });
}

/// What one simulated block gave.
struct Simulated {
    block: StoredBlock,
    calls: Vec<(SimCallResult, Vec<Log>)>,
}

fn simulate(api: &Api, payload: SimulatePayload, id: Option<BlockId>) -> RpcResult<Vec<SimulatedBlock>> {
    let _permit = api.gate.enter();
    let hash = api.block_hash(id.unwrap_or_default())?.ok_or_else(|| server("header not found"))?;
    let base = api.chain.header(hash).map_err(server)?;
    if payload.block_state_calls.is_empty() {
        return Err(super::error::invalid_params("empty input: blockStateCalls has no block"));
    }
    let blocks = in_order(payload.block_state_calls, &base)?;

    let reader = api.chain.store().state(&base, hash).map_err(internal)?;
    let mut db = State::builder().with_database_ref(&reader).with_bundle_update().build();
    let mut gas_left = GAS;
    let mut parent = (hash, base);
    let mut answers = Vec::with_capacity(blocks.len());
    for block in blocks {
        let context = block::Context {
            api,
            reader: &reader,
            parent_hash: parent.0,
            parent: &parent.1,
            validation: payload.validation,
            trace_transfers: payload.trace_transfers,
        };
        let simulated = block::simulate(&context, &mut db, block, &mut gas_left)?;
        parent = (simulated.block.hash, simulated.block.header.clone());
        answers.push(shown(simulated, payload.return_full_transactions));
    }
    Ok(answers)
}

/// Gives every block its number and time, and fills the gaps between numbers.
fn in_order(blocks: Vec<SimBlock>, base: &Header) -> RpcResult<Vec<SimBlock>> {
    let (mut number, mut time) = (base.number, base.timestamp);
    let mut all = Vec::with_capacity(blocks.len());
    for mut block in blocks {
        let overrides = block.block_overrides.get_or_insert_default();
        let wanted = overrides.number.map_or(number.saturating_add(1), |n| n.saturating_to());
        if wanted <= number {
            return Err(error::block_order(wanted, number));
        }
        if wanted - base.number > MAX_BLOCKS {
            return Err(error::too_many_blocks());
        }
        while number + 1 < wanted {
            (number, time) = (number + 1, time.saturating_add(BLOCK_TIME));
            all.push(SimBlock {
                block_overrides: Some(placed(BlockOverrides::default(), number, time)),
                ..Default::default()
            });
        }
        let at = overrides.time.unwrap_or(time.saturating_add(BLOCK_TIME));
        if at <= time {
            return Err(error::time_order(at, time));
        }
        (number, time) = (wanted, at);
        *overrides = placed(std::mem::take(overrides), number, time);
        all.push(block);
    }
    Ok(all)
}

fn placed(mut overrides: BlockOverrides, number: u64, time: u64) -> BlockOverrides {
    overrides.number = Some(alloy_primitives::U256::from(number));
    overrides.time = Some(time);
    overrides
}

fn shown(simulated: Simulated, full: bool) -> SimulatedBlock {
    let Simulated { block, calls } = simulated;
    let mut index = 0;
    let calls = calls
        .into_iter()
        .enumerate()
        .map(|(position, (mut call, logs))| {
            let hash = block.body.transactions.get(position).map(|tx| *tx.tx_hash());
            call.logs = logs
                .into_iter()
                .map(|inner| {
                    index += 1;
                    log(inner, &block.header, block.hash, hash, position as u64, index - 1)
                })
                .collect();
            call
        })
        .collect();
    SimulatedBlock { inner: rpc_block(block, full), calls }
}

fn log(inner: Log, header: &Header, block: B256, tx: Option<B256>, position: u64, index: u64) -> RpcLog {
    RpcLog {
        inner,
        block_hash: Some(block),
        block_number: Some(header.number),
        block_timestamp: Some(header.timestamp),
        transaction_hash: tx,
        transaction_index: Some(position),
        log_index: Some(index),
        removed: false,
    }
}
