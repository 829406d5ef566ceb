//! Turning models, costs and comparisons into text and JSON.

pub(crate) mod call;
pub(crate) mod cost;
pub(crate) mod evaluation;
pub(crate) mod example;
pub(crate) mod model;
pub(crate) mod number;
pub(crate) mod quantized;
pub(crate) mod svg;
pub(crate) mod table;

/// Element `k` as JSON: the shortest decimal that reads back as the same float32, or the integer.
pub(crate) fn value_json(data: &lockstep_engine::Data, k: usize) -> serde_json::Value {
    let x = crate::data::ranges::number(data, k);
    match data {
        lockstep_engine::Data::F32(_) => crate::data::ranges::exact_f32(x),
        lockstep_engine::Data::I64(v) => v[k].into(),
        lockstep_engine::Data::Bool(v) => v[k].into(),
        _ => (x as i64).into(),
    }
}
