//! `engine_newPayload` and `engine_getPayload`.

use super::{Fork, UNKNOWN_PAYLOAD};
use crate::{
    consensus::{Built, Driver, Verdict},
    primitives::{Block, Transaction},
    rpc::{
        Api, Args, Methods,
        error::{IntoRpc, RpcResult, error, internal, invalid_params, server},
    },
};
use alloy_consensus::Transaction as _;
use alloy_eips::eip7685::Requests;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::{
    BlobsBundleV1, BlobsBundleV2, CancunPayloadFields, ExecutionPayload, ExecutionPayloadEnvelopeV2,
    ExecutionPayloadEnvelopeV3, ExecutionPayloadEnvelopeV4, ExecutionPayloadEnvelopeV5, ExecutionPayloadFieldV2,
    ExecutionPayloadInputV2, ExecutionPayloadSidecar, ExecutionPayloadV1, ExecutionPayloadV3, PayloadError, PayloadId,
    PayloadStatus, PayloadStatusEnum, PraguePayloadFields,
};
use serde_json::Value;
use std::sync::Arc;

pub(super) fn add(methods: &mut Methods, driver: &Arc<Driver>) {
    for (name, get) in [
        ("engine_newPayloadV1", new_v1 as fn(&Api, &mut Args<'_>) -> RpcResult<Given>),
        ("engine_newPayloadV2", new_v2),
        ("engine_newPayloadV3", new_v3),
        ("engine_newPayloadV4", new_v4),
    ] {
        let driver = driver.clone();
        methods.add(name, move |api, args| new_payload(&driver, get(api, args)?));
    }
    for (name, version) in [
        ("engine_getPayloadV1", 1),
        ("engine_getPayloadV2", 2),
        ("engine_getPayloadV3", 3),
        ("engine_getPayloadV4", 4),
        ("engine_getPayloadV5", 5),
    ] {
        let driver = driver.clone();
        methods.add(name, move |api, args| {
            let id: PayloadId = args.next()?;
            let built = driver.jobs().take(id.0).ok_or_else(|| error(UNKNOWN_PAYLOAD, "Unknown payload"))?;
            get_payload(api, name, version, built.map_err(server)?)
        });
    }
}

/// A payload with what comes beside it.
struct Given {
    payload: ExecutionPayload,
    sidecar: ExecutionPayloadSidecar,
}

fn new_v1(api: &Api, args: &mut Args<'_>) -> RpcResult<Given> {
    let payload: ExecutionPayloadV1 = args.next()?;
    Fork::demand(api, "engine_newPayloadV1", payload.timestamp, &[Fork::Paris])?;
    Ok(Given { payload: payload.into(), sidecar: ExecutionPayloadSidecar::none() })
}

fn new_v2(api: &Api, args: &mut Args<'_>) -> RpcResult<Given> {
    let payload: ExecutionPayloadInputV2 = args.next()?;
    let time = payload.execution_payload.timestamp;
    let fork = Fork::demand(api, "engine_newPayloadV2", time, &[Fork::Paris, Fork::Shanghai])?;
    if payload.withdrawals.is_some() != (fork == Fork::Shanghai) {
        return Err(invalid_params(format!(
            "withdrawals belong to payloads from Shanghai on, and to all of them: {fork:?}"
        )));
    }
    Ok(Given { payload: payload.into(), sidecar: ExecutionPayloadSidecar::none() })
}

fn cancun_fields(args: &mut Args<'_>) -> RpcResult<CancunPayloadFields> {
    let versioned_hashes: Vec<B256> = args.next()?;
    let parent_beacon_block_root: B256 = args.next()?;
    Ok(CancunPayloadFields { parent_beacon_block_root, versioned_hashes })
}

fn new_v3(api: &Api, args: &mut Args<'_>) -> RpcResult<Given> {
    let payload: ExecutionPayloadV3 = args.next()?;
    let sidecar = ExecutionPayloadSidecar::v3(cancun_fields(args)?);
    Fork::demand(api, "engine_newPayloadV3", payload.timestamp(), &[Fork::Cancun])?;
    Ok(Given { payload: payload.into(), sidecar })
}

fn new_v4(api: &Api, args: &mut Args<'_>) -> RpcResult<Given> {
    let payload: ExecutionPayloadV3 = args.next()?;
    let cancun = cancun_fields(args)?;
    let requests: Vec<Bytes> = args.next()?;
    if requests.iter().any(|request| request.len() < 2) || !requests.is_sorted_by(|a, b| a[0] < b[0]) {
        return Err(invalid_params("execution requests must have data and ascending types"));
    }
    let sidecar = ExecutionPayloadSidecar::v4(cancun, PraguePayloadFields::new(Requests::new(requests)));
    Fork::demand(api, "engine_newPayloadV4", payload.timestamp(), &[Fork::Prague, Fork::Osaka])?;
    Ok(Given { payload: payload.into(), sidecar })
}

fn new_payload(driver: &Driver, given: Given) -> RpcResult<PayloadStatus> {
    // A verdict on what is not in the block's hash is not remembered.
    let malformed = |reason: &dyn std::fmt::Display| {
        Ok(PayloadStatus::from_status(PayloadStatusEnum::Invalid { validation_error: reason.to_string() }))
    };
    let stated = given.payload.block_hash();
    let block: Block = match given.payload.try_into_block_with_sidecar(&given.sidecar) {
        Ok(block) => block,
        Err(error) => return malformed(&error),
    };
    let hash = block.header.hash_slow();
    if hash != stated {
        return malformed(&PayloadError::BlockHash { execution: hash, consensus: stated });
    }
    if let Some(expected) = given.sidecar.versioned_hashes() {
        let blobs = block.body.transactions.iter().filter_map(Transaction::blob_versioned_hashes).flatten();
        if !blobs.eq(expected) {
            return malformed(&PayloadError::InvalidVersionedHashes);
        }
    }
    Ok(status(hash, driver.validate(block).rpc()?))
}

/// A verdict on a block in the words of the Engine API.
pub(super) fn status(hash: B256, verdict: Verdict) -> PayloadStatus {
    match verdict {
        Verdict::Valid => PayloadStatus::new(PayloadStatusEnum::Valid, Some(hash)),
        Verdict::Invalid { latest_valid, reason } => {
            PayloadStatus::new(PayloadStatusEnum::Invalid { validation_error: reason }, latest_valid)
        }
        Verdict::Unknown { .. } => PayloadStatus::from_status(PayloadStatusEnum::Syncing),
    }
}

fn get_payload(api: &Api, method: &str, version: u8, built: Built) -> RpcResult<Value> {
    let Built { block, requests, value, sidecars } = built;
    let sidecars = sidecars.into_iter().map(Arc::unwrap_or_clone);
    let forks: &[Fork] = match version {
        1 => &[Fork::Paris],
        2 => &[Fork::Paris, Fork::Shanghai],
        3 => &[Fork::Cancun],
        4 => &[Fork::Prague],
        _ => &[Fork::Osaka],
    };
    Fork::demand(api, method, block.header.timestamp, forks)?;
    let hash = block.hash;
    let block = Block { header: block.header, body: block.body };
    if version < 3 {
        let execution_payload = ExecutionPayloadFieldV2::from_block_unchecked(hash, &block);
        return match version {
            1 => serde_json::to_value(execution_payload.into_v1_payload()),
            _ => serde_json::to_value(ExecutionPayloadEnvelopeV2 { execution_payload, block_value: value }),
        }
        .map_err(internal);
    }
    let execution_payload = ExecutionPayloadV3::from_block_unchecked(hash, &block);
    if version == 5 {
        return serde_json::to_value(ExecutionPayloadEnvelopeV5 {
            execution_payload,
            block_value: value,
            // The pool checked which form belongs to which fork.
            blobs_bundle: BlobsBundleV2::new(sidecars.filter_map(|sidecar| sidecar.into_eip7594())),
            should_override_builder: false,
            execution_requests: requests,
        })
        .map_err(internal);
    }
    let envelope_inner = ExecutionPayloadEnvelopeV3 {
        execution_payload,
        block_value: value,
        blobs_bundle: BlobsBundleV1::new(sidecars.filter_map(|sidecar| sidecar.into_eip4844())),
        should_override_builder: false,
    };
    match version {
        3 => serde_json::to_value(envelope_inner),
        _ => serde_json::to_value(ExecutionPayloadEnvelopeV4 { envelope_inner, execution_requests: requests }),
    }
    .map_err(internal)
}
