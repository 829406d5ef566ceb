//! `lockstep_*`: models, inferences, findings.

use super::{
    Methods,
    error::{IntoRpc, internal},
};
use alloy_eips::BlockId;
use serde_json::Value;

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("lockstep_inferences", |api, args| {
            let block = api.locate(args.opt::<BlockId>()?)?;
            match api.chain.store().inferences(block.hash).rpc()? {
                Some(json) => serde_json::from_slice::<Value>(&json).map_err(internal),
                None => Ok(Value::Array(Vec::new())),
            }
        })
        .add("lockstep_findings", |api, _| {
            let findings = api.chain.store().findings().rpc()?;
            findings
                .iter()
                .map(|json| serde_json::from_slice::<Value>(json).map_err(internal))
                .collect::<Result<Vec<_>, _>>()
        });
}
