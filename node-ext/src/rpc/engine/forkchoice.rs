//! `engine_forkchoiceUpdated`: the head moves, and a block is begun where attributes come with it.

use super::{Fork, INVALID_ATTRIBUTES, INVALID_FORKCHOICE, UNSUPPORTED_FORK, payload::status};
use crate::{
    chain::{BuildAttributes, ChainError, ForkChoice, Head},
    consensus::{BuildId, Driver, Verdict},
    rpc::{
        Api, Args, Methods,
        error::{IntoRpc, RpcResult, error, internal},
    },
};
use alloy_primitives::{B64, B256, keccak256};
use alloy_rpc_types_engine::{ForkchoiceState, ForkchoiceUpdated, PayloadAttributes, PayloadId};
use std::sync::Arc;

pub(super) fn add(methods: &mut Methods, driver: &Arc<Driver>) {
    for (name, version) in
        [("engine_forkchoiceUpdatedV1", 1), ("engine_forkchoiceUpdatedV2", 2), ("engine_forkchoiceUpdatedV3", 3)]
    {
        let driver = driver.clone();
        methods.add(name, move |api, args| updated(api, &driver, name, version, args));
    }
}

fn updated(api: &Api, driver: &Driver, method: &str, version: u8, args: &mut Args<'_>) -> RpcResult<ForkchoiceUpdated> {
    let state: ForkchoiceState = args.next()?;
    let attributes: Option<serde_json::Value> = args.opt()?;
    let head = state.head_block_hash;
    let verdict = driver.verdict(head).rpc()?;
    if verdict != Verdict::Valid {
        return Ok(ForkchoiceUpdated::new(status(head, verdict)));
    }
    let choice = ForkChoice { head, safe: state.state_safe_hash(), finalised: state.state_finalized_hash() };
    match driver.choose(choice) {
        Err(e @ (ChainError::NotAnAncestor { .. } | ChainError::Finalised(_) | ChainError::UnknownBlock(_))) => {
            return Err(error(INVALID_FORKCHOICE, format!("Invalid forkchoice state: {e}")));
        }
        other => other.map(drop).rpc()?,
    }
    let answer = ForkchoiceUpdated::new(status(head, Verdict::Valid));
    // The head has moved, whatever becomes of the block to build.
    let Some(attributes) = attributes else { return Ok(answer) };
    let attributes: PayloadAttributes = serde_json::from_value(attributes).map_err(invalid)?;
    let header = api.chain.header(head).rpc()?;
    check(api, method, version, &attributes, header.timestamp)?;
    let id = build_id(version, head, &attributes)?;
    let parent = Head { hash: head, header: Arc::new(header) };
    let wanted = BuildAttributes {
        timestamp: attributes.timestamp,
        fee_recipient: attributes.suggested_fee_recipient,
        prev_randao: attributes.prev_randao,
        parent_beacon_block_root: attributes.parent_beacon_block_root.unwrap_or_default(),
        withdrawals: attributes.withdrawals.unwrap_or_default().into(),
        // The chain's limit is no setting of a node.
        gas_limit: parent.header.gas_limit,
        ..Default::default()
    };
    driver.jobs().start(id, parent, wanted).map_err(internal)?;
    Ok(answer.with_payload_id(PayloadId(id)))
}

fn invalid(reason: impl std::fmt::Display) -> jsonrpsee::types::ErrorObjectOwned {
    error(INVALID_ATTRIBUTES, format!("Invalid payload attributes: {reason}"))
}

/// The attributes' form for their version, then their fork, then their time.
fn check(api: &Api, method: &str, version: u8, attributes: &PayloadAttributes, parent: u64) -> RpcResult<()> {
    let fork = Fork::at(api, attributes.timestamp);
    let (withdrawals, root) = (attributes.withdrawals.is_some(), attributes.parent_beacon_block_root.is_some());
    let forks = match version {
        1 => Fork::Paris..=Fork::Paris,
        2 => Fork::Paris..=Fork::Shanghai,
        _ => Fork::Cancun..=Fork::Osaka,
    };
    if root != (version == 3) {
        return Err(invalid("parentBeaconBlockRoot belongs to version 3, and to all of it"));
    }
    if !forks.contains(&fork) {
        return Err(error(
            UNSUPPORTED_FORK,
            format!("Unsupported fork: {method} is not for blocks of time {}", attributes.timestamp),
        ));
    }
    if withdrawals != (fork >= Fork::Shanghai) {
        return Err(invalid("withdrawals belong to blocks from Shanghai on, and to all of them"));
    }
    if attributes.timestamp <= parent {
        return Err(invalid(format!("timestamp {} is not after the head's {parent}", attributes.timestamp)));
    }
    Ok(())
}

/// The same request has the same name.
fn build_id(version: u8, head: B256, attributes: &PayloadAttributes) -> RpcResult<BuildId> {
    let mut bytes = vec![version];
    bytes.extend(head);
    bytes.extend(serde_json::to_vec(attributes).map_err(internal)?);
    let mut id = B64::from_slice(&keccak256(bytes)[..8]);
    id[0] = version;
    Ok(id)
}
