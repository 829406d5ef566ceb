//! JSON-RPC over HTTP and WebSocket.
//!
//! Every method runs on a blocking thread: it reads the database or executes the EVM. Limits are in [`limits`].

mod access;
mod admin;
mod blocks;
mod call;
mod config;
mod debug;
mod devnet;
pub mod engine;
mod error;
mod estimate;
mod fees;
mod filters;
mod gate;
mod impersonate;
mod lockstep;
mod logs;
mod origin;
mod payload;
mod send;
mod simulate;
mod state;
mod subscribe;

pub use access::Api;

use crate::consensus::Driver;
use crate::metrics::{self, Endpoint};
use error::{RpcResult, internal, invalid_params};
use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    server::{BatchRequestConfig, ServerBuilder, ServerConfig, ServerHandle, middleware::http::HostFilterLayer},
    types::ParamsSequence,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{net::SocketAddr, sync::Arc};

/// What one request may ask for.
pub mod limits {
    /// Bytes of a request.
    pub const REQUEST_BYTES: u32 = 16 * 1024 * 1024;
    /// Bytes of a request to the Engine API: a block of 8 MiB is twice as many hexadecimal digits.
    pub const ENGINE_REQUEST_BYTES: u32 = 32 * 1024 * 1024;
    /// Bytes of a response.
    pub const RESPONSE_BYTES: u32 = 64 * 1024 * 1024;
    /// Requests in a batch.
    pub const BATCH: u32 = 256;
    /// Connections at a time.
    pub const CONNECTIONS: u32 = 512;
    /// Gas of a call that changes nothing.
    pub const CALL_GAS: u64 = 120_000_000;
    /// Blocks that one request for logs may span.
    pub const LOG_BLOCKS: u64 = 50_000;
    /// Logs in one answer.
    pub const LOGS: usize = 20_000;
    /// Filters at a time.
    pub const FILTERS: usize = 1_024;
    /// Subscriptions of one connection.
    pub const SUBSCRIPTIONS: u32 = 128;
    /// Blocks of one `eth_feeHistory`.
    pub const FEE_HISTORY: u64 = 1_024;
    /// Blocks of one `anvil_mine`.
    pub const MINE_BLOCKS: u64 = 10_000;
}

/// The methods, being put together.
pub(crate) struct Methods {
    module: RpcModule<Api>,
    failed: Option<RegisterMethodError>,
}

impl Methods {
    /// Adds a method.
    pub(crate) fn add<R, F>(&mut self, name: &'static str, method: F) -> &mut Self
    where
        R: Serialize,
        F: Fn(&Api, &mut Args<'_>) -> RpcResult<R> + Clone + Send + Sync + 'static,
    {
        let added = self.module.register_blocking_method(name, move |params, api, _| {
            let mut args = Args(params.sequence(), 0);
            method(&api, &mut args).and_then(|answer| serde_json::to_value(answer).map_err(internal))
        });
        if let Err(error) = added {
            self.failed.get_or_insert(error);
        }
        self
    }

    /// Another name for a method.
    pub(crate) fn alias(&mut self, alias: &'static str, name: &'static str) -> &mut Self {
        if let Err(error) = self.module.register_alias(alias, name) {
            self.failed.get_or_insert(error);
        }
        self
    }
}

/// The parameters of a request, read in order.
pub(crate) struct Args<'a>(ParamsSequence<'a>, usize);

impl Args<'_> {
    /// The next parameter, which must be there.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> RpcResult<T> {
        let index = self.1;
        self.opt()?.ok_or_else(|| invalid_params(format!("missing value for required argument {index}")))
    }

    /// The next parameter, if there is one and it is not null.
    pub(crate) fn opt<T: DeserializeOwned>(&mut self) -> RpcResult<Option<T>> {
        let index = self.1;
        self.1 += 1;
        self.0.optional_next::<T>().map_err(|e| {
            let detail = e.data().map(|d| d.get().to_string()).unwrap_or_default();
            invalid_params(format!("invalid argument {index}: {} {detail}", e.message()))
        })
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be used.
    #[error(
        "cannot listen on {address}: {source}; stop what uses the port, or choose another with --http-port (0 takes a free one)"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two methods have one name.
    #[error(transparent)]
    Register(#[from] RegisterMethodError),
}

/// Whether the server could listen at this address.
pub fn check_address(address: SocketAddr) -> Result<(), ServeError> {
    std::net::TcpListener::bind(address).map(drop).map_err(|source| ServeError::Listen { address, source })
}

/// Starts the server; returns its address (the port may have been 0) and the handle that stops it.
pub async fn serve(api: Arc<Api>, address: SocketAddr) -> Result<(SocketAddr, ServerHandle), ServeError> {
    let module = methods(api.clone(), address)?;
    listen(&api, address, None, module).await
}

/// Starts the server of the Engine API, which has the other methods too but for the dev ones.
pub async fn serve_engine(
    api: Arc<Api>,
    address: SocketAddr,
    secret: engine::JwtSecret,
    driver: &Arc<Driver>,
) -> Result<(SocketAddr, ServerHandle), ServeError> {
    let mut methods = Methods::common(api.clone());
    engine::add(&mut methods, driver);
    admin::add(&mut methods);
    let module = methods.finish()?;
    listen(&api, address, Some(secret), module).await
}

/// For a port that signs nothing: the names under which it is reached, and the pages that may.
pub(crate) fn local_only(address: SocketAddr) -> (HostFilterLayer, origin::Origins) {
    (origin::hosts(address), origin::Origins::new(address, false))
}

async fn listen(
    api: &Api,
    address: SocketAddr,
    secret: Option<engine::JwtSecret>,
    module: RpcModule<Api>,
) -> Result<(SocketAddr, ServerHandle), ServeError> {
    let sources = api.sources();
    let middleware = tower::ServiceBuilder::new()
        .layer(origin::hosts(address))
        .layer(origin::Origins::new(address, !api.accounts.is_empty() || secret.is_some()))
        .layer(engine::Tokens(secret))
        .layer(Endpoint::new(move || metrics::all(&sources)));
    let config = ServerConfig::builder()
        .max_request_body_size(if secret.is_some() { limits::ENGINE_REQUEST_BYTES } else { limits::REQUEST_BYTES })
        .max_response_body_size(limits::RESPONSE_BYTES)
        .max_connections(limits::CONNECTIONS)
        .set_batch_request_config(BatchRequestConfig::Limit(limits::BATCH))
        .max_subscriptions_per_connection(limits::SUBSCRIPTIONS)
        .set_id_provider(subscribe::HexIds::default())
        .build();
    let listen = |source| ServeError::Listen { address, source };
    let server =
        ServerBuilder::with_config(config).set_http_middleware(middleware).build(address).await.map_err(listen)?;
    let address = server.local_addr().map_err(listen)?;
    Ok((address, server.start(module)))
}

fn methods(api: Arc<Api>, address: SocketAddr) -> Result<RpcModule<Api>, RegisterMethodError> {
    let mut methods = Methods::common(api.clone());
    if address.ip().is_loopback() {
        admin::add(&mut methods);
    }
    if api.miner.is_some() {
        devnet::add(&mut methods);
        impersonate::add(&mut methods);
    }
    methods.finish()
}

impl Methods {
    /// What every port offers.
    fn common(api: Arc<Api>) -> Self {
        let dev = api.miner.is_some();
        let mut methods = Self { module: RpcModule::from_arc(api), failed: None };
        blocks::add(&mut methods);
        state::add(&mut methods);
        call::add(&mut methods);
        estimate::add(&mut methods);
        fees::add(&mut methods);
        send::add(&mut methods);
        logs::add(&mut methods);
        filters::add(&mut methods);
        debug::add(&mut methods);
        config::add(&mut methods);
        payload::add(&mut methods);
        simulate::add(&mut methods);
        subscribe::add(&mut methods);
        lockstep::add(&mut methods, dev);
        methods
    }

    fn finish(self) -> Result<RpcModule<Api>, RegisterMethodError> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.module),
        }
    }
}
