//! The ranges of the values of a data set, feature by feature.

use lockstep_engine::{DType, Data, Graph, Tensor};
use serde_json::{Value, json};

use super::rows::{self, Column};

/// What one feature's values span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Range {
    /// The feature.
    pub column: Column,
    /// Least and greatest value, NaNs left out; `None` where there is none, or for codes of categories.
    pub span: Option<(f64, f64)>,
    /// NaNs.
    pub missing: usize,
    /// Infinities.
    pub infinite: usize,
    /// Codes below zero: strings the model does not know.
    pub unknown: usize,
}

impl Range {
    /// As in the card: `[least, greatest]`, or null.
    pub(crate) fn to_card(&self) -> Value {
        match (self.span, self.column.dtype) {
            (None, _) => Value::Null,
            (Some((a, b)), lockstep_engine::DType::F32) => json!([exact_f32(a), exact_f32(b)]),
            (Some((a, b)), _) => json!([a as i64, b as i64]),
        }
    }
}

/// The shortest decimal that reads back as this float32; null for NaN and infinity.
pub(crate) fn exact_f32(x: f64) -> Value {
    json!(shortest(x, DType::F32))
}

/// The same as a float; other types' values are what they are.
pub(crate) fn shortest(x: f64, dtype: DType) -> f64 {
    if dtype == DType::F32 { (x as f32).to_string().parse().unwrap_or(x) } else { x }
}

/// The ranges of a tabular model's inputs; empty for other models.
pub(crate) fn ranges(graph: &Graph, inputs: &[Tensor]) -> Vec<Range> {
    let Some(columns) = rows::columns(graph) else { return Vec::new() };
    columns
        .into_iter()
        .map(|column| {
            let mut range = Range { span: None, missing: 0, infinite: 0, unknown: 0, column };
            let c = &range.column;
            let width = rows::width(graph, c.input).unwrap_or(1).max(1);
            let Some(tensor) = inputs.get(c.input) else { return range };
            for k in (c.position..tensor.data.len()).step_by(width) {
                let x = number(&tensor.data, k);
                if x.is_nan() {
                    range.missing += 1;
                } else if x.is_infinite() {
                    range.infinite += 1;
                } else if !range.column.categories.is_empty() {
                    range.unknown += usize::from(x < 0.0);
                } else {
                    let (low, high) = range.span.unwrap_or((x, x));
                    range.span = Some((low.min(x), high.max(x)));
                }
            }
            range
        })
        .collect()
}

/// Element `k` as a float.
pub(crate) fn number(data: &Data, k: usize) -> f64 {
    match data {
        Data::F32(v) => v[k].into(),
        Data::U8(v) => v[k].into(),
        Data::I8(v) => v[k].into(),
        Data::I32(v) => v[k].into(),
        Data::I64(v) => v[k] as f64,
        Data::Bool(v) => u8::from(v[k]).into(),
    }
}
