//! Prices: what a transaction should offer.

use super::{
    Api, Methods,
    error::{IntoRpc, RpcResult, invalid_params},
    limits,
};
use alloy_consensus::{BlockHeader, Transaction as _};
use alloy_eips::{BlockNumberOrTag, eip1559::BaseFeeParams};
use alloy_primitives::{U64, U128};
use alloy_rpc_types_eth::FeeHistory;

/// The tip to suggest: 1 gwei; a dev chain takes any, and fee history shows what others pay.
const SUGGESTED_TIP: u128 = 1_000_000_000;

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("eth_gasPrice", |api, _| {
            let base_fee = api.chain.next_base_fee(&api.chain.head().header).unwrap_or_default();
            Ok(U128::from(u128::from(base_fee) + SUGGESTED_TIP))
        })
        .add("eth_maxPriorityFeePerGas", |_, _| Ok(U128::from(SUGGESTED_TIP)))
        .add("eth_baseFee", |api, _| Ok(api.chain.next_base_fee(&api.chain.head().header).map(U64::from)))
        .add("eth_blobBaseFee", |api, _| {
            let head = api.chain.head();
            let params = api.chain.spec().blob_params(head.header.timestamp);
            Ok(params.and_then(|p| head.header.next_block_blob_fee(p)).map(U128::from))
        })
        .add("eth_feeHistory", |api, args| {
            let count: U64 = args.next()?;
            let newest: BlockNumberOrTag = args.next()?;
            fee_history(api, count.to(), newest, args.opt()?)
        });
}

fn fee_history(
    api: &Api,
    count: u64,
    newest: BlockNumberOrTag,
    percentiles: Option<Vec<f64>>,
) -> RpcResult<FeeHistory> {
    let percentiles = percentiles.unwrap_or_default();
    if percentiles.len() > 100 || percentiles.iter().any(|p| !(0.0..=100.0).contains(p)) || !percentiles.is_sorted() {
        return Err(invalid_params("reward percentiles must be at most 100 values from 0 to 100 in rising order"));
    }
    let newest = api.locate(Some(newest.into()))?.header.number;
    let count = count.min(limits::FEE_HISTORY).min(newest + 1);
    let mut history = FeeHistory { oldest_block: newest + 1 - count, ..Default::default() };
    let mut rewards = Vec::new();
    for number in history.oldest_block..=newest {
        let header = api.locate(Some(number.into()))?.header;
        let params = api.chain.spec().blob_params(header.timestamp);
        history.base_fee_per_gas.push(u128::from(header.base_fee_per_gas.unwrap_or_default()));
        history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
        history.base_fee_per_blob_gas.push(params.and_then(|p| header.blob_fee(p)).unwrap_or_default());
        let most = params.map_or(0, |p| p.max_blob_gas_per_block());
        history.blob_gas_used_ratio.push(ratio(header.blob_gas_used.unwrap_or_default(), most));
        if !percentiles.is_empty() {
            rewards.push(block_rewards(api, number, &percentiles)?);
        }
        if number == newest {
            let next = header.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or_default();
            history.base_fee_per_gas.push(u128::from(next));
            let blob = params.and_then(|p| header.next_block_blob_fee(p)).unwrap_or_default();
            history.base_fee_per_blob_gas.push(blob);
        }
    }
    history.reward = (!percentiles.is_empty()).then_some(rewards);
    Ok(history)
}

/// The tips of a block at the percentiles of its gas.
fn block_rewards(api: &Api, number: u64, percentiles: &[f64]) -> RpcResult<Vec<u128>> {
    let Some(hash) = api.chain.store().canonical_hash(number).rpc()? else { return Ok(vec![0; percentiles.len()]) };
    let block = api.stored(hash)?;
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let mut before = 0;
    let mut paid: Vec<(u128, u64)> = block
        .body
        .transactions
        .iter()
        .zip(&block.receipts)
        .map(|(tx, receipt)| {
            let gas = receipt.cumulative_gas_used() - before;
            before = receipt.cumulative_gas_used();
            (tx.effective_tip_per_gas(base_fee).unwrap_or_default(), gas)
        })
        .collect();
    paid.sort_unstable();
    let total = block.header.gas_used as f64;
    Ok(percentiles
        .iter()
        .map(|percentile| {
            let wanted = total * percentile / 100.0;
            let mut sum = 0.0;
            for (tip, gas) in &paid {
                sum += *gas as f64;
                if sum >= wanted {
                    return *tip;
                }
            }
            paid.last().map_or(0, |(tip, _)| *tip)
        })
        .collect())
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
