//! The example row that a card carries: values a reader can try, with the answer that every node gives.

use alloy_primitives::I256;
use lockstep_engine::{DType, LoadedModel, Tensor};
use lockstep_precompile::wad;
use serde_json::{Map, Value};

use super::{model, value_json};
use crate::chain;
use crate::data::rows::{self, Column};

/// Values by tensor name.
#[derive(Debug)]
pub(crate) struct Example {
    /// By input.
    pub inputs: Map<String, Value>,
    /// By output.
    pub outputs: Map<String, Value>,
}

/// Builds the example from a row (inputs of one row) and its outputs. `None` where a value has no exact form in 18
/// decimals: then the row cannot be tried from Solidity.
pub(crate) fn build(m: &LoadedModel, inputs: &[Tensor], outputs: &[Tensor]) -> Option<Example> {
    let columns = rows::columns(&m.graph)?;
    let mut given = Map::new();
    for c in &columns {
        let t = inputs.get(c.input)?;
        let value = value_json(&t.data, c.position);
        let text =
            value.as_i64().and_then(|k| c.categories.get(usize::try_from(k).ok()?)).map(|s| Value::from(s.clone()));
        let value = text.unwrap_or(value);
        let back = to_wad(c, &value)?;
        if c.dtype == DType::F32 && wad::to_f32(back) != t.as_f32().map(|v| v[c.position]) {
            return None;
        }
        let name = m.graph.inputs[c.input].name.clone();
        given.entry(name).or_insert_with(|| Value::Array(Vec::new())).as_array_mut()?.push(value);
    }
    let finite = |t: &Tensor| (0..t.data.len()).all(|k| chain::to_wad(&t.data, k).is_some());
    if !outputs.iter().all(finite) {
        return None;
    }
    let answers = m.graph.outputs.iter().zip(outputs);
    let answers = answers.map(|(o, t)| (o.name.clone(), (0..t.data.len()).map(|k| value_json(&t.data, k)).collect()));
    Some(Example { inputs: given, outputs: answers.collect() })
}

/// A value of the card as Solidity passes it.
fn to_wad(c: &Column, value: &Value) -> Option<I256> {
    if let Some(text) = value.as_str() {
        return Some(wad::from_integer(c.categories.iter().position(|k| k == text)? as i64));
    }
    if let Some(b) = value.as_bool() {
        return Some(wad::from_integer(b.into()));
    }
    if c.dtype != DType::F32 {
        return value.as_i64().map(wad::from_integer);
    }
    // The short decimal where it means the same float32, the exact one otherwise.
    let x = value.as_f64()? as f32;
    decimal(&value.to_string()).filter(|v| wad::to_f32(*v) == Some(x)).or_else(|| wad::from_f32(x))
}

/// A decimal number without exponent, with 18 decimals.
fn decimal(text: &str) -> Option<I256> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 18 {
        return None;
    }
    format!("{whole}{fraction:0<18}").parse().ok()
}

/// The example's row as `infer` takes it, where the card has one that fits the model.
pub(crate) fn row(m: &LoadedModel) -> Option<Vec<I256>> {
    let columns = rows::columns(&m.graph)?;
    let card = model::card(m);
    let inputs = card.get("example")?.get("inputs")?;
    columns
        .iter()
        .map(|c| {
            let values = inputs.get(&m.graph.inputs[c.input].name)?.as_array()?;
            to_wad(c, values.get(c.position)?)
        })
        .collect()
}

/// The example as text, where the card has one.
pub(crate) fn text(m: &LoadedModel) -> Option<String> {
    let columns = rows::columns(&m.graph)?;
    let card = model::card(m);
    let example = card.get("example")?;
    let inputs = example.get("inputs")?;
    let value =
        |c: &Column| inputs.get(&m.graph.inputs[c.input].name)?.as_array()?.get(c.position).map(ToString::to_string);
    let mut shown: Vec<String> =
        columns.iter().take(8).filter_map(|c| Some(format!("{} {}", c.name, value(c)?))).collect();
    if columns.len() > shown.len() {
        shown.push(format!("… and {} more", columns.len() - shown.len()));
    }
    let answers: Vec<String> = example.get("outputs")?.as_object()?.iter().map(|(k, v)| format!("{k} {v}")).collect();
    Some(format!("\nexample   {}\n       -> {}\n", shown.join(", "), answers.join(", ")))
}
