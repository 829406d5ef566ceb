//! `lockstep_*`: models, inferences, findings.

use super::{
    Api, Methods,
    error::{IntoRpc, RpcResult, internal, invalid_params, server},
};
use crate::{
    cache::{Part, source::PEER_BYTES},
    inference::InferenceProof,
    models::{ModelError, model_duty, model_part, model_record, registered_models},
};
use alloy_eips::BlockId;
use alloy_primitives::{B256, U64, U256};
use lockstep_precompile::registry::Status;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) fn add(methods: &mut Methods, dev: bool) {
    methods
        .add("lockstep_models", |api, args| models(api, args.opt()?))
        .add("lockstep_modelPart", |api, args| {
            let (id, name, from, most) =
                (args.next()?, args.next::<String>()?, args.next::<u64>()?, args.next::<u64>()?);
            let part = Part::of(&name)
                .ok_or_else(|| invalid_params(format!("'{name}' is no part: graph, leaves or weights is expected")))?;
            let state = api.state(None)?;
            let cache = api.keeper.as_ref().and_then(|keeper| keeper.cache());
            model_part(&state, cache, id, part, from, most.min(PEER_BYTES)).map_err(|error| match error {
                ModelError::Unknown(_) => invalid_params(error),
                ModelError::Cache(_) => server(error.to_string()),
                other => internal(other),
            })
        })
        .add("lockstep_inferences", |api, args| {
            let block = api.locate(args.opt::<BlockId>()?)?;
            match api.chain.store().inferences(block.hash).rpc()? {
                Some(json) => serde_json::from_slice::<Value>(&json).map_err(internal),
                None => Ok(Value::Array(Vec::new())),
            }
        })
        .add("lockstep_getInferenceProof", |api, args| {
            let transaction: B256 = args.next()?;
            inference_proof(api, transaction, args.opt::<usize>()?.unwrap_or(0))
        })
        .add("lockstep_alerts", |api, _| {
            let alerts = api.chain.store().checks().alerts().rpc()?;
            let read = |json: &Vec<u8>| serde_json::from_slice::<Value>(json).map_err(internal);
            alerts.iter().map(read).collect::<Result<Vec<_>, _>>()
        })
        .add("lockstep_findings", |api, _| {
            let findings = api.chain.store().checks().findings().rpc()?;
            findings
                .iter()
                .map(|json| serde_json::from_slice::<Value>(json).map_err(internal))
                .collect::<Result<Vec<_>, _>>()
        })
        .add("lockstep_memo", |api, _| {
            let memo = serde_json::to_value(api.chain.evm().memo().counts()).map_err(internal)?;
            let preexecution = api.preexec.as_ref().map(|p| serde_json::to_value(p.counts())).transpose();
            let mut all = memo;
            all["preExecution"] = preexecution.map_err(internal)?.unwrap_or(Value::Null);
            Ok(all)
        })
        .add("lockstep_care", |api, _| {
            let care = api.chain.evm().care();
            let mut all = serde_json::to_value(care.counts()).map_err(internal)?;
            all["sealingStopped"] = care.duty().stopped().map_or(Value::Null, |stop| stop.to_string().into());
            Ok(all)
        })
        .add("lockstep_crossCheck", |api, _| api.crosscheck.as_ref().map(|check| check.coverage()).transpose().rpc());
    if dev {
        methods
            .add("lockstep_injectFault", |api, args| {
                let fault: Fault = args.next()?;
                if let Some(memo) = fault.memo {
                    let changed = api.faults.overwrite_memo(fault.model_id, fault.bit, memo == Guard::Forged);
                    return Ok(serde_json::json!({ "changed": changed }));
                }
                if let Some(node) = fault.kernel {
                    api.faults.inject_kernel(fault.model_id, node, fault.bit).map_err(invalid_params)?;
                    return Ok(serde_json::json!({ "node": node }));
                }
                let forged = fault.weights != Some(Guard::Overwritten);
                let injected = api.faults.inject(fault.model_id, fault.tensor, fault.bit, forged);
                let injected = injected.map_err(invalid_params)?;
                serde_json::to_value(injected).map_err(internal)
            })
            .add("lockstep_removeFault", |api, args| {
                let which: Which = args.next()?;
                let id = match which {
                    Which::Id(id) | Which::Object { model_id: id } => id,
                };
                api.faults.remove(id).map_err(invalid_params)?;
                Ok(true)
            });
    }
}

/// Which bit of which weight to flip in the copy of the model that answers calls, `forged` where not said otherwise; with
/// `memo`, which bit of its remembered answers; with `kernel`, which bit of the first value that this node computes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fault {
    model_id: B256,
    #[serde(default)]
    tensor: usize,
    #[serde(default)]
    bit: usize,
    memo: Option<Guard>,
    weights: Option<Guard>,
    kernel: Option<usize>,
}

/// How memory is changed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Guard {
    /// In its values only.
    Overwritten,
    /// With the hash or sum that guards it.
    Forged,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Which {
    Id(B256),
    Object { model_id: B256 },
}

/// A model of the chain, and whether this node can answer calls of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelStatus {
    model_id: B256,
    status: &'static str,
    activation_block: U64,
    ls1_version: U64,
    graph_length: U64,
    weights_length: U64,
    graph_hash: B256,
    weights_root: B256,
    /// Whether the chain holds all weights.
    weights_on_chain: bool,
    /// Wei held for its slot.
    deposit: U256,
    /// From this block on it may be retired; null: no end is announced.
    notice_end: Option<U64>,
    resident: bool,
}

/// The proof of the `nth` inference of a transaction; null where there is no such transaction.
fn inference_proof(api: &Api, transaction: B256, nth: usize) -> RpcResult<Option<InferenceProof>> {
    let Some((block, _)) = api.chain.store().transaction_location(transaction).rpc()? else { return Ok(None) };
    let _permit = api.gate.enter();
    let block = api.stored(block)?;
    if !api.chain.spec().commits(block.header.number) {
        return Err(server("the headers of this chain do not commit to inferences (config.lockstep.headerRule)"));
    }
    let inferences = api.chain.replay_inferences(&block, api.miner.is_some()).rpc()?;
    let place = inferences.place(transaction, nth).ok_or_else(|| {
        invalid_params(format!("the transaction has no inference number {nth} that returned success"))
    })?;
    Ok(inferences.proof(&block.header, place))
}

fn models(api: &Api, block: Option<BlockId>) -> RpcResult<Vec<ModelStatus>> {
    let located = api.locate(block)?;
    let state = api.state(Some(located.hash.into()))?;
    let one = |id: B256| -> Result<ModelStatus, ModelError> {
        let record = model_record(&state, id)?;
        let duty = model_duty(&state, id)?;
        let word = record.word;
        Ok(ModelStatus {
            model_id: id,
            status: match word.status {
                Status::Unknown => "unknown",
                Status::Registered => "registered",
                Status::Activated if word.is_active(located.header.number) => "active",
                Status::Activated => "activated",
                Status::OffChain => "registered",
            },
            activation_block: U64::from(word.activation_block),
            ls1_version: U64::from(word.ls1_version),
            graph_length: U64::from(word.graph_length),
            weights_length: U64::from(word.weights_length),
            graph_hash: record.graph_hash,
            weights_root: record.weights_root,
            weights_on_chain: !record.is_off_chain(),
            deposit: duty.deposit,
            notice_end: (duty.notice_end != 0).then(|| U64::from(duty.notice_end)),
            resident: api.models.contains(&id),
        })
    };
    registered_models(&state).and_then(|ids| ids.into_iter().map(one).collect()).map_err(internal)
}
