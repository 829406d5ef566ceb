//! Filters: a client asks again and again what is new.

use super::{
    Api, Methods,
    error::{IntoRpc, LIMIT, NOT_FOUND, RpcResult, error},
    limits, logs,
};
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::Filter;
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A filter nobody asks about for so long is dropped.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// The filters of all clients.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    all: HashMap<u64, Active>,
}

#[derive(Debug, Clone)]
struct Active {
    kind: Kind,
    /// The last block already reported.
    seen: B256,
    asked: Instant,
}

#[derive(Debug, Clone)]
enum Kind {
    Blocks,
    Logs(Box<Filter>),
    Pending(Vec<B256>),
}

impl Filters {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.all.retain(|_, filter| filter.asked.elapsed() < LIFETIME);
        inner
    }

    fn install(&self, kind: Kind, seen: B256) -> RpcResult<U64> {
        let mut inner = self.lock();
        if inner.all.len() >= limits::FILTERS {
            return Err(error(LIMIT, format!("more than {} filters; uninstall some", limits::FILTERS)));
        }
        inner.next += 1;
        let id = inner.next;
        inner.all.insert(id, Active { kind, seen, asked: Instant::now() });
        Ok(U64::from(id))
    }
}

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("eth_newFilter", |api, args| {
            let filter: Filter = args.next()?;
            api.filters.install(Kind::Logs(Box::new(filter)), api.chain.head().hash)
        })
        .add("eth_newBlockFilter", |api, _| api.filters.install(Kind::Blocks, api.chain.head().hash))
        .add("eth_newPendingTransactionFilter", |api, _| {
            api.filters.install(Kind::Pending(pending(api)?), api.chain.head().hash)
        })
        .add("eth_uninstallFilter", |api, args| {
            let id: U64 = args.next()?;
            Ok(api.filters.lock().all.remove(&id.to::<u64>()).is_some())
        })
        .add("eth_getFilterChanges", |api, args| changes(api, args.next::<U64>()?.to()))
        .add("eth_getFilterLogs", |api, args| {
            let id: U64 = args.next()?;
            let kind = api.filters.lock().all.get(&id.to::<u64>()).map(|f| f.kind.clone());
            match kind {
                Some(Kind::Logs(filter)) => logs::find(api, &filter),
                _ => Err(unknown()),
            }
        });
}

fn unknown() -> jsonrpsee::types::ErrorObjectOwned {
    error(NOT_FOUND, "filter not found; filters end after five minutes without a question")
}

fn pending(api: &Api) -> RpcResult<Vec<B256>> {
    let (pending, _) = api.pool.content(&api.chain).rpc()?;
    Ok(pending.values().flat_map(|queue| queue.values().map(|tx| *tx.tx_hash())).collect())
}

fn changes(api: &Api, id: u64) -> RpcResult<Value> {
    let mut filter = api.filters.lock().all.get(&id).cloned().ok_or_else(unknown)?;
    let head = api.chain.head();
    let (taken_back, from) = branch(api, filter.seen)?;
    let to = head.header.number;
    let answer = match &mut filter.kind {
        Kind::Blocks => serde_json::to_value(logs::hashes(api, from, to)?),
        Kind::Logs(wanted) => {
            let bounds = wanted.extract_block_range();
            let within = |n: u64| bounds.0.is_none_or(|first| n >= first) && bounds.1.is_none_or(|last| n <= last);
            let mut found = Vec::new();
            for hash in taken_back {
                let block = api.stored(hash)?;
                if within(block.header.number) {
                    let first = found.len();
                    logs::search_block(wanted, &block, &mut found)?;
                    found[first..].iter_mut().for_each(|log| log.removed = true);
                }
            }
            let from = bounds.0.map_or(from, |first| from.max(first));
            let to = bounds.1.map_or(to, |last| to.min(last));
            if from <= to {
                found.extend(logs::range(api, wanted, from, to)?);
            }
            serde_json::to_value(found)
        }
        Kind::Pending(known) => {
            let now = pending(api)?;
            let new: Vec<B256> = now.iter().filter(|hash| !known.contains(hash)).copied().collect();
            *known = now;
            serde_json::to_value(new)
        }
    };
    filter.seen = head.hash;
    filter.asked = Instant::now();
    // It may have been uninstalled meanwhile.
    if let Some(slot) = api.filters.lock().all.get_mut(&id) {
        *slot = filter;
    }
    answer.map_err(super::error::internal)
}

/// Blocks after which the chain has gone on elsewhere, newest first, and the number of the first block after the
/// common ancestor.
fn branch(api: &Api, seen: B256) -> RpcResult<(Vec<B256>, u64)> {
    let mut taken_back = Vec::new();
    let mut hash = seen;
    loop {
        let header = api.chain.header(hash).rpc()?;
        if api.chain.store().canonical_hash(header.number).rpc()? == Some(hash) {
            return Ok((taken_back, header.number + 1));
        }
        taken_back.push(hash);
        hash = header.parent_hash;
    }
}
