//! The inputs of a finding or an alert of the cross-check, as the node wrote or served it.

use alloy_primitives::B256;
use lockstep_engine::{Data, Graph};
use lockstep_node_ext::crosscheck::FindingTensor;

use super::{Array, Values};
use crate::npz::Arrays;

#[derive(serde::Deserialize)]
struct Reproducer {
    inputs: Vec<FindingTensor>,
}

/// What a block says of the inference that a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    /// The model.
    pub model_id: B256,
    /// Hash of its outputs; an alert has none.
    pub outputs_hash: Option<B256>,
}

/// What the block says, where the file is a finding or an alert.
pub(super) fn recorded(bytes: &[u8]) -> Option<Recorded> {
    serde_json::from_slice(bytes).ok()
}

/// Its inputs by the names of the model's.
pub(super) fn read(bytes: &[u8], graph: &Graph) -> Result<Arrays, String> {
    let finding: Reproducer = serde_json::from_slice(bytes).map_err(|e| {
        format!("no finding of the cross-check (lockstep_findings, or a file of DATADIR/findings): {e}")
    })?;
    if finding.inputs.len() != graph.inputs.len() {
        return Err(format!("it has {} inputs, the model {}", finding.inputs.len(), graph.inputs.len()));
    }
    let named = graph.inputs.iter().zip(&finding.inputs).map(|(input, tensor)| {
        let tensor = tensor.decode().ok_or_else(|| format!("its input '{}' does not decode", input.name))?;
        let tensor_kind = tensor.dtype().name().to_owned();
        let values = match tensor.data {
            Data::F32(v) => Values::F32(v),
            Data::U8(v) => Values::Int(v.into_iter().map(i64::from).collect()),
            Data::I8(v) => Values::Int(v.into_iter().map(i64::from).collect()),
            Data::I32(v) => Values::Int(v.into_iter().map(i64::from).collect()),
            Data::I64(v) => Values::Int(v),
            Data::Bool(v) => Values::Bool(v),
        };
        Ok((input.name.clone(), Array { shape: tensor.shape, values, kind: tensor_kind }))
    });
    named.collect()
}
