//! `eth_getLogs`.

use super::{
    Api, Methods,
    blocks::receipt_logs,
    error::{IntoRpc, LIMIT, RpcResult, error, invalid_params},
    limits,
};
use crate::storage::StoredBlock;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};

pub(super) fn add(methods: &mut Methods) {
    methods.add("eth_getLogs", |api, args| find(api, &args.next()?));
}

/// The logs that match a filter.
pub(super) fn find(api: &Api, filter: &Filter) -> RpcResult<Vec<Log>> {
    match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let mut found = Vec::new();
            search_block(filter, &api.stored(hash)?, &mut found)?;
            Ok(found)
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let head = api.chain.head().header.number;
            let number = |tag: Option<BlockNumberOrTag>| match tag {
                None => Ok(head),
                Some(BlockNumberOrTag::Number(n)) => Ok(n),
                Some(tag) => api.locate(Some(tag.into())).map(|b| b.header.number),
            };
            let (from, to) = (number(from_block)?, number(to_block)?);
            if from > to {
                return Err(invalid_params("invalid block range params: fromBlock is after toBlock"));
            }
            range(api, filter, from, to.min(head))
        }
    }
}

/// The logs of the canonical blocks `from..=to` that match.
pub(super) fn range(api: &Api, filter: &Filter, from: u64, to: u64) -> RpcResult<Vec<Log>> {
    if to.saturating_sub(from) >= limits::LOG_BLOCKS {
        let most = limits::LOG_BLOCKS;
        return Err(error(
            LIMIT,
            format!("query spans more than {most} blocks; ask for {from} to {}", from + most - 1),
        ));
    }
    let store = api.chain.store();
    let mut found = Vec::new();
    for number in from..=to {
        let Some(hash) = store.canonical_hash(number).rpc()? else { break };
        let header = api.chain.header(hash).rpc()?;
        if !filter.matches_bloom(header.logs_bloom) {
            continue;
        }
        search_block(filter, &api.stored(hash)?, &mut found)?;
    }
    Ok(found)
}

/// Adds the logs of one block that match.
pub(super) fn search_block(filter: &Filter, block: &StoredBlock, found: &mut Vec<Log>) -> RpcResult<()> {
    for index in 0..block.receipts.len() {
        found.extend(
            receipt_logs(block, index)
                .into_iter()
                .filter(|log| filter.matches_address(log.address()) && filter.matches_topics(log.topics())),
        );
        if found.len() > limits::LOGS {
            return Err(error(LIMIT, format!("query returned more than {} results; narrow the range", limits::LOGS)));
        }
    }
    Ok(())
}

/// The hashes of the canonical blocks `from..=to`.
pub(super) fn hashes(api: &Api, from: u64, to: u64) -> RpcResult<Vec<B256>> {
    let mut hashes = Vec::new();
    for number in from..=to.min(from.saturating_add(limits::LOG_BLOCKS)) {
        hashes.extend(api.chain.store().canonical_hash(number).rpc()?);
    }
    Ok(hashes)
}
