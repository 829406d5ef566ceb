//! `engine_getPayloadBodiesByHash` and `...ByRange`: blocks for a consensus client that keeps headers alone.

use super::TOO_LARGE;
use crate::{
    primitives::Block,
    rpc::{
        Api, Methods,
        error::{IntoRpc, RpcResult, error, invalid_params},
    },
};
use alloy_primitives::{B256, U64};
use alloy_rpc_types_engine::ExecutionPayloadBodyV1;

/// Bodies in one answer.
const BODIES: u64 = 1_024;

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("engine_getPayloadBodiesByHashV1", |api, args| {
            let hashes: Vec<B256> = args.next()?;
            bounded(hashes.len() as u64)?;
            hashes.into_iter().map(|hash| body(api, hash)).collect::<RpcResult<Vec<_>>>()
        })
        .add("engine_getPayloadBodiesByRangeV1", |api, args| {
            let (start, count): (U64, U64) = (args.next()?, args.next()?);
            let (start, count) = (start.to::<u64>(), count.to::<u64>());
            if start == 0 || count == 0 {
                return Err(invalid_params("start and count must be at least 1"));
            }
            bounded(count)?;
            // Nothing after the head.
            let end = start.saturating_add(count - 1).min(api.chain.head().header.number);
            (start..=end)
                .map(|number| match api.chain.store().canonical_hash(number).rpc()? {
                    Some(hash) => body(api, hash),
                    None => Ok(None),
                })
                .collect::<RpcResult<Vec<_>>>()
        });
}

fn bounded(count: u64) -> RpcResult<()> {
    if count > BODIES {
        return Err(error(TOO_LARGE, format!("Too large request: {count} bodies, at most {BODIES} in one answer")));
    }
    Ok(())
}

fn body(api: &Api, hash: B256) -> RpcResult<Option<ExecutionPayloadBodyV1>> {
    let block = api.chain.store().block(hash).rpc()?;
    Ok(block.map(|block| ExecutionPayloadBodyV1::from_block(Block { header: block.header, body: block.body })))
}
