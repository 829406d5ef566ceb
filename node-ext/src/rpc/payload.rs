//! `testing_buildBlockV1`: a block that is built and shown, and not stored.

use super::{
    Api, Methods,
    error::{IntoRpc, RpcResult, invalid_params},
};
use crate::{
    chain::{BuildAttributes, BuiltBlock, TransactionFeed},
    pool::{PoolFeed, blobs::split, decode},
    primitives::RecoveredTransaction,
};
use alloy_consensus::Transaction as _;
use alloy_eips::{eip2718::Encodable2718, eip4895::Withdrawals};
use alloy_evm::block::BlockExecutionError;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::VecDeque, sync::Arc};

/// What a builder steers the gas limit to, as geth does.
const GAS_LIMIT_TARGET: u64 = 60_000_000;

/// The payload attributes of the Engine API, version 3.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PayloadAttributes {
    timestamp: U64,
    prev_randao: B256,
    suggested_fee_recipient: Address,
    #[serde(default)]
    withdrawals: Withdrawals,
    #[serde(default)]
    parent_beacon_block_root: B256,
}

pub(super) fn add(methods: &mut Methods) {
    methods.add("testing_buildBlockV1", |api, args| {
        let parent: B256 = args.next()?;
        let attributes: PayloadAttributes = args.next()?;
        let transactions: Option<Vec<Bytes>> = args.opt()?;
        build(api, parent, attributes, transactions, args.opt::<Bytes>()?.unwrap_or_default())
    });
}

fn build(
    api: &Api,
    parent_hash: B256,
    attributes: PayloadAttributes,
    transactions: Option<Vec<Bytes>>,
    extra_data: Bytes,
) -> RpcResult<Value> {
    let _permit = api.gate.enter();
    let parent = api.chain.header(parent_hash).rpc()?;
    let timestamp = attributes.timestamp.to();
    if timestamp <= parent.timestamp {
        return Err(invalid_params(format!("timestamp {timestamp} is not after the parent's {}", parent.timestamp)));
    }
    let attributes = BuildAttributes {
        timestamp,
        fee_recipient: attributes.suggested_fee_recipient,
        prev_randao: attributes.prev_randao,
        parent_beacon_block_root: attributes.parent_beacon_block_root,
        withdrawals: attributes.withdrawals,
        gas_limit: towards(parent.gas_limit, GAS_LIMIT_TARGET),
        extra_data,
        ..Default::default()
    };
    let built = match transactions {
        Some(raw) => {
            // Sidecars stay behind: a block holds none.
            let given = raw
                .iter()
                .map(|raw| decode(raw).map(|tx| Arc::new(split(tx).0)))
                .collect::<Result<VecDeque<_>, _>>()
                .rpc()?;
            api.chain.build(parent_hash, &attributes, &mut Given(given)).rpc()?
        }
        None => {
            let mut feed = PoolFeed::new(&api.pool, &api.chain, true).rpc()?;
            api.chain.build(parent_hash, &attributes, &mut feed).rpc()?
        }
    };
    Ok(shown(&built))
}

/// The limit moves by less than 1/1024 of the parent's a block.
fn towards(parent: u64, target: u64) -> u64 {
    let step = (parent / 1024).saturating_sub(1);
    target.clamp(parent.saturating_sub(step), parent.saturating_add(step))
}

fn shown(built: &BuiltBlock) -> Value {
    let (header, body) = (&built.block.header, &built.block.body);
    let mut before = 0;
    let mut value = U256::ZERO;
    for (tx, receipt) in body.transactions.iter().zip(&built.block.receipts) {
        let gas = receipt.cumulative_gas_used() - before;
        before = receipt.cumulative_gas_used();
        let tip = tx.effective_tip_per_gas(header.base_fee_per_gas.unwrap_or_default()).unwrap_or_default();
        value += U256::from(tip) * U256::from(gas);
    }
    let raw: Vec<Bytes> = body.transactions.iter().map(|tx| tx.encoded_2718().into()).collect();
    json!({
        "executionPayload": {
            "parentHash": header.parent_hash,
            "feeRecipient": header.beneficiary,
            "stateRoot": header.state_root,
            "receiptsRoot": header.receipts_root,
            "logsBloom": header.logs_bloom,
            "prevRandao": header.mix_hash,
            "blockNumber": U64::from(header.number),
            "gasLimit": U64::from(header.gas_limit),
            "gasUsed": U64::from(header.gas_used),
            "timestamp": U64::from(header.timestamp),
            "extraData": header.extra_data,
            "baseFeePerGas": header.base_fee_per_gas.map(U64::from),
            "blockHash": built.block.hash,
            "transactions": raw,
            "withdrawals": body.withdrawals,
            "blobGasUsed": header.blob_gas_used.map(U64::from),
            "excessBlobGas": header.excess_blob_gas.map(U64::from),
        },
        "blockValue": value,
        "blobsBundle": { "commitments": [], "proofs": [], "blobs": [] },
        "executionRequests": built.requests.iter().filter(|r| r.len() > 1).collect::<Vec<_>>(),
        "shouldOverrideBuilder": false,
    })
}

/// Exactly these transactions, or none.
struct Given(VecDeque<Arc<RecoveredTransaction>>);

impl TransactionFeed for Given {
    fn next(&mut self, _gas_left: u64) -> Option<Arc<RecoveredTransaction>> {
        self.0.pop_front()
    }

    fn failed(&mut self, _: Arc<RecoveredTransaction>, error: BlockExecutionError) -> Result<(), BlockExecutionError> {
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gas_limit_goes_to_the_target_in_steps() {
        assert_eq!(towards(200_000_000, GAS_LIMIT_TARGET), 0xbe8c711);
        assert_eq!(towards(60_000_100, GAS_LIMIT_TARGET), GAS_LIMIT_TARGET);
        assert_eq!(towards(30_000_000, GAS_LIMIT_TARGET), 30_000_000 + 30_000_000 / 1024 - 1);
    }
}
