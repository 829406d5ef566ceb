//! `eth_subscribe` over WebSocket: newHeads, logs, newPendingTransactions.

use super::{
    Api, Methods,
    error::{RpcResult, internal, invalid_params},
    logs,
};
use crate::{chain::ChainListener, primitives::RecoveredTransaction, storage::CanonicalChange};
use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, Header, Transaction};
use jsonrpsee::{
    PendingSubscriptionSink,
    core::traits::IdProvider,
    types::{Params, SubscriptionId},
};
use serde_json::{Value, value::to_raw_value};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::broadcast;

/// Moves of the chain that a subscriber may be behind.
const BEHIND: usize = 256;

/// Moves of the chain, for all subscribers.
#[derive(Debug)]
pub(crate) struct Heads(broadcast::Sender<Arc<CanonicalChange>>);

impl Default for Heads {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }
}

impl ChainListener for Heads {
    fn canonical_changed(&self, change: &CanonicalChange) {
        // Nobody listening is no error.
        let _ = self.0.send(Arc::new(change.clone()));
    }
}

/// Subscriptions are numbered as clients expect: hex strings.
#[derive(Debug, Default)]
pub(super) struct HexIds(AtomicU64);

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        format!("{:#x}", self.0.fetch_add(1, Ordering::Relaxed) + 1).into()
    }
}

#[derive(Debug, Clone)]
enum Topic {
    Heads,
    Logs(Box<Filter>),
    Pending { full: bool },
}

pub(super) fn add(methods: &mut Methods) {
    let added = methods.module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, api, _| serve(params, pending, api),
    );
    if let Err(error) = added {
        methods.failed.get_or_insert(error);
    }
}

fn topic(params: &Params<'_>) -> RpcResult<Topic> {
    let mut params = params.sequence();
    let name: String = params.next().map_err(|e| invalid_params(e.message()))?;
    match name.as_str() {
        "newHeads" => Ok(Topic::Heads),
        "logs" => {
            let filter: Option<Filter> = params.optional_next().map_err(|e| invalid_params(e.message()))?;
            Ok(Topic::Logs(Box::new(filter.unwrap_or_default())))
        }
        "newPendingTransactions" => {
            let full: Option<bool> = params.optional_next().map_err(|e| invalid_params(e.message()))?;
            Ok(Topic::Pending { full: full.unwrap_or(false) })
        }
        other => {
            Err(invalid_params(format!("no subscription {other}; there are newHeads, logs and newPendingTransactions")))
        }
    }
}

async fn serve(params: Params<'static>, pending: PendingSubscriptionSink, api: Arc<Api>) {
    let topic = match topic(&params) {
        Ok(topic) => topic,
        Err(error) => return pending.reject(error).await,
    };
    // Listening begins before the answer: nothing falls in between.
    let (mut heads, mut arrivals) = (api.heads.0.subscribe(), api.pool.arrivals());
    let Ok(sink) = pending.accept().await else { return };
    loop {
        let items = match &topic {
            Topic::Pending { full } => tokio::select! {
                () = sink.closed() => return,
                arrived = arrivals.recv() => arrived.map(|tx| transaction(&tx, *full).map(|item| vec![item])),
            },
            _ => tokio::select! {
                () = sink.closed() => return,
                moved = heads.recv() => match moved {
                    Ok(change) => Ok(moved_items(&api, &topic, change).await),
                    Err(error) => Err(error),
                },
            },
        };
        let items = match items {
            Ok(Ok(items)) => items,
            Ok(Err(error)) => return tracing::error!(error = error.message(), "a subscription ends"),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                return tracing::warn!(missed, "a subscriber is too slow: its subscription ends");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        };
        for item in items {
            let Ok(message) = to_raw_value(&item) else { return };
            if sink.send(message).await.is_err() {
                return;
            }
        }
    }
}

fn transaction(tx: &Arc<RecoveredTransaction>, full: bool) -> RpcResult<Value> {
    match full {
        false => serde_json::to_value(tx.tx_hash()),
        true => serde_json::to_value(Transaction::from_transaction((**tx).clone(), Default::default())),
    }
    .map_err(internal)
}

async fn moved_items(api: &Arc<Api>, topic: &Topic, change: Arc<CanonicalChange>) -> RpcResult<Vec<Value>> {
    let (api, topic) = (api.clone(), topic.clone());
    let read = move || {
        let mut items = Vec::new();
        match &topic {
            Topic::Heads => {
                for hash in &change.committed {
                    let block = api.stored(*hash)?;
                    let header = Header { hash: block.hash, inner: block.header, total_difficulty: None, size: None };
                    items.push(serde_json::to_value(header).map_err(internal)?);
                }
            }
            Topic::Logs(filter) => {
                for (hash, removed) in sides(&change) {
                    let mut found = Vec::new();
                    logs::search_block(filter, &api.stored(hash)?, &mut found)?;
                    for mut log in found {
                        log.removed = removed;
                        items.push(serde_json::to_value(log).map_err(internal)?);
                    }
                }
            }
            Topic::Pending { .. } => {}
        }
        Ok(items)
    };
    tokio::task::spawn_blocking(read).await.map_err(internal)?
}

/// What left the chain, and then what entered it.
fn sides(change: &CanonicalChange) -> impl Iterator<Item = (B256, bool)> {
    change.reverted.iter().map(|hash| (*hash, true)).chain(change.committed.iter().map(|hash| (*hash, false)))
}
