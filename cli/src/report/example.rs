//! The example row that a card carries: values a reader can try, with the answer that every node gives.

use lockstep_engine::{LoadedModel, Tensor};
use serde_json::{Value, json};

use super::model;
use super::value_json;
use crate::chain;
use crate::data::rows;

/// Builds the card's example from a row (inputs with one row) and its outputs; `None` where the row has no 18-decimal form.
pub(crate) fn build(m: &LoadedModel, inputs: &[Tensor], outputs: &[Tensor]) -> Option<Value> {
    let columns = rows::columns(&m.graph)?;
    let wad: Vec<String> = chain::wad_rows(inputs)?.iter().map(ToString::to_string).collect();
    if wad.len() != columns.len() {
        return None;
    }
    let mut features = serde_json::Map::new();
    for c in &columns {
        let t = inputs.get(c.input)?;
        let mut value = value_json(&t.data, c.position);
        if let Some(code) = value.as_i64().filter(|_| !c.categories.is_empty()) {
            value = usize::try_from(code).ok().and_then(|k| c.categories.get(k)).map_or(json!(code), |s| json!(s));
        }
        features.insert(c.name.clone(), value);
    }
    let primary = outputs.get(usize::from(m.graph.primary_output))?;
    let answer: Vec<String> = (0..primary.data.len())
        .map(|k| chain::to_wad(&primary.data, k).map(|v| v.to_string()))
        .collect::<Option<_>>()?;
    let all: serde_json::Map<String, Value> = m
        .graph
        .outputs
        .iter()
        .zip(outputs)
        .map(|(o, t)| (o.name.clone(), (0..t.data.len()).map(|k| value_json(&t.data, k)).collect()))
        .collect();
    Some(json!({ "features": features, "row": wad, "answer": answer, "outputs": all }))
}

/// The example as text, where the card has one.
pub(crate) fn text(m: &LoadedModel) -> Option<String> {
    let card = model::card(m);
    let example = card.get("example")?;
    let features = example.get("features")?.as_object()?;
    let shown: Vec<String> = features.iter().take(8).map(|(k, v)| format!("{k} {v}")).collect();
    let more = if features.len() > shown.len() {
        format!(", … and {} more", features.len() - shown.len())
    } else {
        String::new()
    };
    let outputs = example.get("outputs")?.as_object()?;
    let answers: Vec<String> = outputs.iter().map(|(k, v)| format!("{k} {v}")).collect();
    Some(format!("\nexample   {}{more}\n       -> {}\n", shown.join(", "), answers.join(", ")))
}
