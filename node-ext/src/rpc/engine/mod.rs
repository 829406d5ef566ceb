//! The Engine API: a consensus client drives the chain, on a port of its own, with a token in each request.
//!
//! Versions follow the fork of the block that they are about: `newPayload` V1 Paris, V2 to Shanghai, V3 Cancun, V4 Prague
//! and Osaka; `getPayload` V1 to V4 likewise, V5 Osaka; `forkchoiceUpdated` V1 Paris, V2 to Shanghai, V3 from Cancun on.
//! A version for another fork is answered with `UNSUPPORTED_FORK`.

mod auth;
mod blobs;
mod bodies;
mod forkchoice;
mod payload;

pub(super) use auth::Tokens;
pub use auth::{JwtSecret, SecretError, TokenError};

use super::{
    Api, Methods,
    error::{RpcResult, error},
};
use crate::consensus::Driver;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::json;
use std::sync::Arc;

/// The port of the Engine API where none is given.
pub const DEFAULT_AUTH_PORT: u16 = 8551;

/// No block of that name is being built.
pub(super) const UNKNOWN_PAYLOAD: i32 = -38001;
/// Safe and finalised block do not fit the head.
pub(super) const INVALID_FORKCHOICE: i32 = -38002;
/// The attributes of the block to build make no sense.
pub(super) const INVALID_ATTRIBUTES: i32 = -38003;
/// More than one answer holds.
pub(super) const TOO_LARGE: i32 = -38004;
/// The method is for blocks of another fork.
pub(super) const UNSUPPORTED_FORK: i32 = -38005;

const CAPABILITIES: [&str; 17] = [
    "engine_forkchoiceUpdatedV1",
    "engine_forkchoiceUpdatedV2",
    "engine_forkchoiceUpdatedV3",
    "engine_getBlobsV1",
    "engine_getBlobsV2",
    "engine_getClientVersionV1",
    "engine_getPayloadBodiesByHashV1",
    "engine_getPayloadBodiesByRangeV1",
    "engine_getPayloadV1",
    "engine_getPayloadV2",
    "engine_getPayloadV3",
    "engine_getPayloadV4",
    "engine_getPayloadV5",
    "engine_newPayloadV1",
    "engine_newPayloadV2",
    "engine_newPayloadV3",
    "engine_newPayloadV4",
];

pub(super) fn add(methods: &mut Methods, driver: &Arc<Driver>) {
    methods
        .add("engine_exchangeCapabilities", |_, args| {
            let theirs: Vec<String> = args.next()?;
            tracing::debug!(?theirs, "capabilities of the consensus client");
            Ok(CAPABILITIES)
        })
        .add("engine_getClientVersionV1", |_, _| {
            Ok(json!([{
                "code": "LK",
                "name": "Lockstep",
                "version": concat!("v", env!("CARGO_PKG_VERSION")),
                // Builds carry no commit: it would make them differ.
                "commit": "0x00000000",
            }]))
        });
    payload::add(methods, driver);
    forkchoice::add(methods, driver);
    bodies::add(methods);
    blobs::add(methods);
}

fn unsupported(method: &str, time: u64) -> ErrorObjectOwned {
    error(UNSUPPORTED_FORK, format!("Unsupported fork: {method} is not for blocks of time {time}"))
}

/// The forks that versions of the methods belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fork {
    Paris,
    Shanghai,
    Cancun,
    Prague,
    Osaka,
}

impl Fork {
    /// The fork of a block of this time.
    fn at(api: &Api, time: u64) -> Self {
        use alloy_hardforks::EthereumHardforks;
        let spec = api.chain.spec();
        let since = [
            (Self::Osaka, spec.is_osaka_active_at_timestamp(time)),
            (Self::Prague, spec.is_prague_active_at_timestamp(time)),
            (Self::Cancun, spec.is_cancun_active_at_timestamp(time)),
            (Self::Shanghai, spec.is_shanghai_active_at_timestamp(time)),
        ];
        since.into_iter().find(|(_, active)| *active).map_or(Self::Paris, |(fork, _)| fork)
    }

    /// Refuses a method that is not for blocks of this time.
    fn demand(api: &Api, method: &str, time: u64, forks: &[Self]) -> RpcResult<Self> {
        let fork = Self::at(api, time);
        if forks.contains(&fork) { Ok(fork) } else { Err(unsupported(method, time)) }
    }
}
