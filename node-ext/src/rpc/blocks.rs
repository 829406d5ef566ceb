//! Blocks, transactions, receipts.

use super::{
    Api, Methods,
    error::{IntoRpc, RpcResult},
};
use crate::{
    pool::PoolFeed,
    primitives::{Receipt, RecoveredTransaction},
    storage::StoredBlock,
};
use alloy_consensus::{
    Transaction as _,
    transaction::{TransactionInfo, TransactionMeta},
};
use alloy_eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{Block, BlockTransactions, Header, Index, Log, Transaction, TransactionReceipt};

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("web3_clientVersion", |_, _| Ok(format!("lockstep/v{}", env!("CARGO_PKG_VERSION"))))
        .add("web3_sha3", |_, args| Ok(alloy_primitives::keccak256(args.next::<Bytes>()?)))
        .add("net_version", |api, _| Ok(api.chain.spec().chain_id.to_string()))
        .add("net_listening", |_, _| Ok(true))
        .add("net_peerCount", |_, _| Ok(U64::ZERO))
        .add("eth_chainId", |api, _| Ok(U64::from(api.chain.spec().chain_id)))
        .add("eth_syncing", |_, _| Ok(false))
        .add("eth_blockNumber", |api, _| Ok(U64::from(api.chain.head().header.number)))
        .add("eth_getBlockByNumber", |api, args| {
            let tag: BlockNumberOrTag = args.next()?;
            let full = args.opt()?.unwrap_or(false);
            if tag.is_pending() {
                return pending_block(api, full).map(Some);
            }
            block(api, tag.into(), full)
        })
        .add("eth_getBlockByHash", |api, args| {
            let hash: B256 = args.next()?;
            block(api, hash.into(), args.opt()?.unwrap_or(false))
        })
        .add("eth_getBlockTransactionCountByNumber", |api, args| {
            let tag: BlockNumberOrTag = args.next()?;
            count(api, tag.into(), |b| b.body.transactions.len())
        })
        .add("eth_getBlockTransactionCountByHash", |api, args| {
            count(api, args.next::<B256>()?.into(), |b| b.body.transactions.len())
        })
        .add("eth_getUncleCountByBlockNumber", |api, args| {
            let tag: BlockNumberOrTag = args.next()?;
            count(api, tag.into(), |b| b.body.ommers.len())
        })
        .add("eth_getUncleCountByBlockHash", |api, args| {
            count(api, args.next::<B256>()?.into(), |b| b.body.ommers.len())
        })
        .add("eth_getBlockReceipts", |api, args| {
            let Some(hash) = api.block_hash(args.next()?)? else { return Ok(None) };
            let block = api.stored(hash)?;
            (0..block.receipts.len()).map(|i| receipt(api, &block, i)).collect::<RpcResult<Vec<_>>>().map(Some)
        })
        .add("eth_getTransactionByHash", |api, args| {
            let hash: B256 = args.next()?;
            if let Some((block, index)) = api.chain.store().transaction_location(hash).rpc()? {
                return Ok(transaction(&api.stored(block)?, index));
            }
            Ok(api.pool.get(hash).map(|tx| {
                Transaction::from_transaction((*tx).clone(), TransactionInfo { hash: Some(hash), ..Default::default() })
            }))
        })
        .add("eth_getRawTransactionByHash", |api, args| {
            let hash: B256 = args.next()?;
            if let Some((block, index)) = api.chain.store().transaction_location(hash).rpc()? {
                return Ok(api.stored(block)?.body.transactions.get(index).map(|tx| Bytes::from(tx.encoded_2718())));
            }
            Ok(api.pool.get(hash).map(|tx| Bytes::from(tx.encoded_2718())))
        })
        .add("eth_getTransactionByBlockNumberAndIndex", |api, args| {
            let tag: BlockNumberOrTag = args.next()?;
            at_index(api, tag.into(), args.next()?)
        })
        .add("eth_getTransactionByBlockHashAndIndex", |api, args| {
            at_index(api, args.next::<B256>()?.into(), args.next()?)
        })
        .add("eth_getTransactionReceipt", |api, args| {
            match api.chain.store().transaction_location(args.next()?).rpc()? {
                Some((block, index)) => receipt(api, &api.stored(block)?, index).map(Some),
                None => Ok(None),
            }
        });
}

fn block(api: &Api, id: BlockId, full: bool) -> RpcResult<Option<Block>> {
    match api.block_hash(id)? {
        Some(hash) => Ok(Some(rpc_block(api.stored(hash)?, full))),
        None => Ok(None),
    }
}

/// The block that would be made now; nothing is kept of it.
fn pending_block(api: &Api, full: bool) -> RpcResult<Block> {
    let _permit = api.gate.enter();
    let mut feed = PoolFeed::new(&api.pool, &api.chain, true).rpc()?;
    let built = api.chain.build(api.chain.head().hash, &api.next_attributes(), &mut feed).rpc()?;
    Ok(rpc_block(built.block, full))
}

fn count(api: &Api, id: BlockId, of: impl Fn(&StoredBlock) -> usize) -> RpcResult<Option<U64>> {
    match api.block_hash(id)? {
        Some(hash) => Ok(Some(U64::from(of(&api.stored(hash)?)))),
        None => Ok(None),
    }
}

fn at_index(api: &Api, id: BlockId, index: Index) -> RpcResult<Option<Transaction>> {
    match api.block_hash(id)? {
        Some(hash) => Ok(transaction(&api.stored(hash)?, index.0)),
        None => Ok(None),
    }
}

/// A block as RPC shows it.
pub(super) fn rpc_block(block: StoredBlock, full: bool) -> Block {
    let transactions = match full {
        true => BlockTransactions::Full(
            (0..block.body.transactions.len()).filter_map(|index| transaction(&block, index)).collect(),
        ),
        false => BlockTransactions::Hashes(block.body.transactions.iter().map(|tx| *tx.tx_hash()).collect()),
    };
    let consensus = alloy_consensus::Block { header: block.header, body: block.body };
    let size = U256::from(alloy_rlp::Encodable::length(&consensus));
    Block {
        uncles: consensus.body.ommers.iter().map(|ommer| ommer.hash_slow()).collect(),
        withdrawals: consensus.body.withdrawals,
        header: Header { hash: block.hash, inner: consensus.header, total_difficulty: None, size: Some(size) },
        transactions,
    }
}

/// The sender-and-transaction at an index.
pub(super) fn recovered(block: &StoredBlock, index: usize) -> Option<RecoveredTransaction> {
    let tx = block.body.transactions.get(index)?;
    Some(RecoveredTransaction::new_unchecked(tx.clone(), *block.senders.get(index)?))
}

fn transaction(block: &StoredBlock, index: usize) -> Option<Transaction> {
    let tx = recovered(block, index)?;
    let info = TransactionInfo {
        hash: Some(*tx.tx_hash()),
        index: Some(index as u64),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        base_fee: block.header.base_fee_per_gas,
        block_timestamp: Some(block.header.timestamp),
    };
    Some(Transaction::from_transaction(tx, info))
}

/// The logs of one receipt as RPC shows them.
pub(super) fn receipt_logs(block: &StoredBlock, index: usize) -> Vec<Log> {
    let (Some(receipt), Some(tx)) = (block.receipts.get(index), block.body.transactions.get(index)) else {
        return Vec::new();
    };
    let before: usize = block.receipts[..index].iter().map(|r| r.logs().len()).sum();
    let meta = TransactionMeta {
        tx_hash: *tx.tx_hash(),
        index: index as u64,
        block_hash: block.hash,
        block_number: block.header.number,
        base_fee: block.header.base_fee_per_gas,
        excess_blob_gas: block.header.excess_blob_gas,
        timestamp: block.header.timestamp,
    };
    Log::collect_for_receipt(before, meta, receipt.logs().iter().cloned())
}

fn receipt(api: &Api, block: &StoredBlock, index: usize) -> RpcResult<TransactionReceipt> {
    let not_found = || super::error::internal(format!("block {} has no receipt {index}", block.hash));
    let found: &Receipt = block.receipts.get(index).ok_or_else(not_found)?;
    let tx = block.body.transactions.get(index).ok_or_else(not_found)?;
    let from: Address = *block.senders.get(index).ok_or_else(not_found)?;
    let before = index.checked_sub(1).map_or(0, |i| block.receipts[i].cumulative_gas_used());
    let mut logs = receipt_logs(block, index).into_iter();
    let inner = found.clone().map_logs(|inner| logs.next().unwrap_or(Log { inner, ..Default::default() }));
    let blob_params = api.chain.spec().blob_params(block.header.timestamp);
    Ok(TransactionReceipt {
        inner,
        transaction_hash: *tx.tx_hash(),
        transaction_index: Some(index as u64),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        gas_used: found.cumulative_gas_used() - before,
        effective_gas_price: tx.effective_gas_price(block.header.base_fee_per_gas),
        blob_gas_used: tx.blob_gas_used(),
        blob_gas_price: match (tx.is_eip4844(), blob_params) {
            (true, Some(params)) => block.header.blob_fee(params),
            _ => None,
        },
        from,
        to: tx.to(),
        contract_address: tx.is_create().then(|| from.create(tx.nonce())),
    })
}
