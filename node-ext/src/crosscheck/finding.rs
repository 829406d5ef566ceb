//! What is kept of a difference.

use super::Job;
use alloy_primitives::{B256, Bytes, U64};
use lockstep_engine::{DType, Tensor, exec::Difference};
use serde::{Deserialize, Serialize};

/// A committed inference whose answer the reference does not give.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The block.
    pub block_number: U64,
    /// Its hash.
    pub block_hash: B256,
    /// The transaction.
    pub transaction_hash: B256,
    /// Its index in the block.
    pub transaction_index: U64,
    /// The model.
    pub model_id: B256,
    /// The function that was called.
    pub function: String,
    /// Position of the first node of the graph whose result differs. `None`: both implementations agree now, so the
    /// recorded answer came from something that is over (a fault removed, memory that was wrong for a moment).
    pub node: Option<usize>,
    /// Its operator.
    pub operator: Option<String>,
    /// Position of the first element of its result that differs.
    pub element: Option<usize>,
    /// Type of the element.
    pub dtype: Option<String>,
    /// Its value by the implementation that made the block's answer.
    pub fast: Option<String>,
    /// Its value by the reference.
    pub reference: Option<String>,
    /// Hash of the outputs that the block's answer rests on.
    pub outputs_hash: B256,
    /// Hash of the reference's outputs; `None` where the reference refuses the call.
    pub reference_outputs_hash: Option<B256>,
    /// keccak256 of what the call returned, as the block says.
    #[serde(default)]
    pub returned_hash: B256,
    /// keccak256 of what it returns by the reference; `None` where the reference refuses the call.
    #[serde(default)]
    pub reference_returned_hash: Option<B256>,
    /// The inputs, to reproduce it.
    pub inputs: Vec<FindingTensor>,
}

/// An operator of which candle's answer lies outside the tolerance. Nothing stops for it: a model can be built to break
/// any tolerance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// The block.
    pub block_number: U64,
    /// Its hash.
    pub block_hash: B256,
    /// The transaction.
    pub transaction_hash: B256,
    /// The model.
    pub model_id: B256,
    /// Position of the node of the graph.
    pub node: usize,
    /// Its operator.
    pub operator: String,
    /// Position of the element of its result.
    pub element: usize,
    /// Its value by candle.
    pub candle: String,
    /// Its value by the reference.
    pub reference: String,
    /// How far they may be apart.
    pub allowed: String,
    /// The inputs of the model, to reproduce it.
    pub inputs: Vec<FindingTensor>,
}

impl Alert {
    pub(super) fn new(
        job: &Job,
        inputs: &[Tensor],
        node: usize,
        operator: &str,
        element: usize,
        values: [f32; 3],
    ) -> Self {
        let [candle, reference, allowed] = values.map(|x| show(DType::F32, &x.to_le_bytes()));
        Self {
            block_number: U64::from(job.number),
            block_hash: job.block,
            transaction_hash: job.inference.transaction_hash,
            model_id: job.inference.model_id,
            node,
            operator: operator.to_owned(),
            element,
            candle,
            reference,
            allowed,
            inputs: inputs.iter().map(FindingTensor::from).collect(),
        }
    }
}

/// A tensor of a reproducer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindingTensor {
    /// Its type.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, little-endian, in row-major order.
    pub data: Bytes,
}

impl From<&Tensor> for FindingTensor {
    fn from(tensor: &Tensor) -> Self {
        Self {
            dtype: tensor.dtype().name().to_string(),
            shape: tensor.shape.clone(),
            data: tensor.to_le_bytes().into(),
        }
    }
}

impl FindingTensor {
    /// The tensor; `None` where the parts do not fit together.
    pub fn decode(&self) -> Option<Tensor> {
        let dtype = DType::ALL.into_iter().find(|dtype| dtype.name() == self.dtype)?;
        Tensor::from_le_bytes(dtype, self.shape.clone(), &self.data)
    }
}

impl Finding {
    /// `reference`: hashes of the reference's outputs and of what it returns.
    pub(super) fn new(
        job: &Job,
        inputs: &[Tensor],
        reference: Option<(B256, B256)>,
        difference: Option<Difference>,
    ) -> Self {
        let d = difference.as_ref();
        Self {
            block_number: U64::from(job.number),
            block_hash: job.block,
            transaction_hash: job.inference.transaction_hash,
            transaction_index: job.inference.transaction_index,
            model_id: job.inference.model_id,
            function: job.inference.function.clone(),
            node: d.map(|d| d.node),
            operator: d.map(|d| d.operator.to_string()),
            element: d.map(|d| d.element),
            dtype: d.map(|d| d.dtype.name().to_string()),
            fast: d.map(|d| show(d.dtype, &d.fast)),
            reference: d.map(|d| show(d.dtype, &d.reference)),
            outputs_hash: job.inference.outputs_hash,
            reference_outputs_hash: reference.map(|(outputs, _)| outputs),
            returned_hash: job.inference.returned_hash,
            reference_returned_hash: reference.map(|(_, returned)| returned),
            inputs: inputs.iter().map(FindingTensor::from).collect(),
        }
    }
}

/// A value with its bits.
pub(super) fn show(dtype: DType, bytes: &[u8]) -> String {
    let bits: String = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
    let value = match (dtype, bytes.len()) {
        (DType::F32, 4) => bytes.try_into().map(|b| f32::from_le_bytes(b).to_string()).ok(),
        (DType::I32, 4) => bytes.try_into().map(|b| i32::from_le_bytes(b).to_string()).ok(),
        (DType::I64, 8) => bytes.try_into().map(|b| i64::from_le_bytes(b).to_string()).ok(),
        (DType::I8, 1) => bytes.try_into().map(|b| i8::from_le_bytes(b).to_string()).ok(),
        (_, 1) => bytes.first().map(u8::to_string),
        _ => None,
    };
    match value {
        Some(value) => format!("{value} (0x{bits})"),
        None => format!("0x{bits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_with_its_bits() {
        assert_eq!(show(DType::F32, &1.5f32.to_le_bytes()), "1.5 (0x3fc00000)");
        assert_eq!(show(DType::I64, &(-2i64).to_le_bytes()), "-2 (0xfffffffffffffffe)");
    }
}
