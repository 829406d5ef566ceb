//! What a sidecar tells: JSON-RPC and `GET /metrics` on a port of its own.

use super::Follow;
use crate::{
    metrics::{Endpoint, Row, crosscheck_rows},
    rpc::{ServeError, limits, local_only},
    storage::StorageError,
};
use jsonrpsee::{
    RpcModule,
    server::{BatchRequestConfig, ServerBuilder, ServerConfig, ServerHandle},
    types::ErrorObjectOwned,
};
use serde::Serialize;
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc};

/// Verdicts that are given at a time.
const MOST_VERDICTS: usize = 1_000;
/// Of a fault of this program or its disk.
const INTERNAL: i32 = -32603;

/// The port, being served.
#[derive(Debug)]
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    server: ServerHandle,
}

impl Serving {
    /// Serves what is known of a node that is followed; port 0 takes a free one.
    pub async fn start(follow: Arc<Follow>, address: SocketAddr) -> Result<Self, ServeError> {
        let listen = |source| ServeError::Listen { address, source };
        let counted = follow.clone();
        let (hosts, origins) = local_only(address);
        let middleware =
            tower::ServiceBuilder::new().layer(hosts).layer(origins).layer(Endpoint::new(move || rows(&counted)));
        let config = ServerConfig::builder()
            .max_request_body_size(1 << 20)
            .max_response_body_size(limits::RESPONSE_BYTES)
            .max_connections(limits::CONNECTIONS)
            .set_batch_request_config(BatchRequestConfig::Limit(limits::BATCH))
            .build();
        let server =
            ServerBuilder::with_config(config).set_http_middleware(middleware).build(address).await.map_err(listen)?;
        let address = server.local_addr().map_err(listen)?;
        let server = server.start(module(follow)?);
        Ok(Self { address, server })
    }

    /// Ends it.
    pub async fn stop(self) {
        if self.server.stop().is_ok() {
            self.server.stopped().await;
        }
    }
}

fn module(follow: Arc<Follow>) -> Result<RpcModule<Follow>, ServeError> {
    let mut module = RpcModule::from_arc(follow);
    module.register_blocking_method("lockstep_follow", |_, follow, _| json(follow.status()))?;
    module.register_blocking_method("lockstep_crossCheck", |_, follow, _| json(follow.status().map(|s| s.checks)))?;
    module.register_blocking_method("lockstep_findings", |_, follow, _| json(follow.findings()))?;
    module.register_blocking_method("lockstep_alerts", |_, follow, _| json(follow.alerts()))?;
    module.register_blocking_method("lockstep_faults", |_, follow, _| json(follow.faults()))?;
    module.register_blocking_method("lockstep_verdicts", |params, follow, _| {
        let mut params = params.sequence();
        let from: u64 = params.next()?;
        let most = params.optional_next::<usize>()?.unwrap_or(MOST_VERDICTS).min(MOST_VERDICTS);
        json(follow.verdicts(from, most))
    })?;
    Ok(module)
}

fn json<T: Serialize>(read: Result<T, StorageError>) -> Result<Value, ErrorObjectOwned> {
    let failed = |error: String| ErrorObjectOwned::owned(INTERNAL, error, None::<()>);
    serde_json::to_value(read.map_err(|e| failed(e.to_string()))?).map_err(|e| failed(e.to_string()))
}

/// Name, meaning and value of every metric of a sidecar.
fn rows(follow: &Follow) -> Vec<Row> {
    let status = match follow.status() {
        Ok(status) => status,
        Err(error) => {
            tracing::error!(%error, "the sidecar's data directory is not read");
            return Vec::new();
        }
    };
    let mut rows = vec![
        ("lockstep_follow_head", "the watched node's last block, as it says", status.head),
        ("lockstep_follow_read", "the last block whose list was held against its header", status.read.unwrap_or(0)),
        ("lockstep_follow_finished", "the last block up to which nothing waits", status.finished.unwrap_or(0)),
        ("lockstep_follow_lag_blocks", "blocks from the finished one to the head", status.lag),
        ("lockstep_follow_roots", "blocks whose list was held against the header", status.roots),
        ("lockstep_follow_reorganised", "blocks that left the chain after they were read", status.reorganised),
        ("lockstep_follow_faults", "things that the watched node did wrong", status.faults),
        ("lockstep_follow_troubles", "requests without a usable answer", status.troubles),
        ("lockstep_follow_models", "models in memory", status.models as u64),
    ];
    rows.extend(crosscheck_rows(&status.checks));
    rows
}
