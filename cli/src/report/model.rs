//! A model in words: ports, features, layers.

use lockstep_engine::{Dim, Graph, LoadedModel, TensorType, ValueId};
use serde_json::{Value, json};

use super::number;

/// `f32 [batch, 30]`.
pub(crate) fn type_text(t: &TensorType, symbols: &[String]) -> String {
    format!("{} {}", t.dtype, shape_text(&t.shape, symbols))
}

/// `[batch, 30]`.
pub(crate) fn shape_text(shape: &[Dim], symbols: &[String]) -> String {
    format!("[{}]", shape.iter().map(|d| d.describe(symbols)).collect::<Vec<_>>().join(", "))
}

/// The value's name in text: an input's own, `c3` for a constant, `%7` for a node's result.
pub(crate) fn value_name(graph: &Graph, v: ValueId) -> String {
    if let Some(input) = graph.inputs.get(v.0 as usize) {
        return input.name.clone();
    }
    match (graph.as_constant(v), graph.defining_node(v)) {
        (Some(c), _) => format!("c{c}"),
        (None, Some(n)) => format!("%{n}"),
        (None, None) => "?".into(),
    }
}

/// The identity, ports and tables as lines of text.
pub(crate) fn summary(m: &LoadedModel, file_length: Option<u64>) -> String {
    let g = &m.graph;
    let mut out = format!("model     {}\n", number::hex32(&m.id));
    if let Some(name) = card_text(m, "name") {
        let licence = card_text(m, "licence").map(|l| format!(" ({l})")).unwrap_or_default();
        out.push_str(&format!("name      {name}{licence}\n"));
    }
    let mut heading = "inputs";
    for i in &g.inputs {
        out.push_str(&format!("{heading:<10}{}  {} {}\n", i.name, i.dtype, shape_text(&i.shape, &g.symbols)));
        heading = "";
    }
    heading = "outputs";
    for (k, o) in g.outputs.iter().enumerate() {
        let t = type_text(&m.checked.types[o.value.0 as usize], &g.symbols);
        let mark = match (usize::from(g.primary_output) == k, g.label_output.map(usize::from) == Some(k)) {
            (true, true) => "  (what infer returns, and the class)",
            (true, false) => "  (what infer returns)",
            (false, true) => "  (the class)",
            (false, false) => "",
        };
        out.push_str(&format!("{heading:<10}{}  {t}{mark}\n", o.name));
        heading = "";
    }
    if let Some(n) = g.row_features() {
        let names: Vec<&str> = g.features.iter().map(|f| f.name.as_str()).collect();
        let shown = if names.is_empty() { String::new() } else { format!(": {}", abridged(&names, 12)) };
        out.push_str(&format!("features  {n}{shown}\n"));
    } else {
        out.push_str("features  none: the inputs do not form rows, call the model by run\n");
    }
    for f in g.features.iter().filter(|f| !f.categories.is_empty()) {
        let names: Vec<&str> = f.categories.iter().map(String::as_str).collect();
        out.push_str(&format!("          {} is one of {}\n", f.name, abridged(&names, 12)));
    }
    if !g.labels.is_empty() {
        let labels = g.labels.to_strings();
        let names: Vec<&str> = labels.iter().map(String::as_str).collect();
        out.push_str(&format!("classes   {}: {}\n", names.len(), abridged(&names, 16)));
    }
    let length = file_length.map(|n| format!("file {}, ", number::bytes(n))).unwrap_or_default();
    out.push_str(&format!(
        "size      {length}graph {}, weights {}\n",
        number::bytes(m.graph_length),
        number::bytes(m.weights_length)
    ));
    out.push_str(&super::quantized::summary(g));
    out
}

fn abridged(names: &[&str], most: usize) -> String {
    let mut out = names.iter().take(most).copied().collect::<Vec<_>>().join(", ");
    if names.len() > most {
        out.push_str(&format!(", … and {} more", names.len() - most));
    }
    out
}

/// The same for programs.
pub(crate) fn summary_json(m: &LoadedModel, file_length: Option<u64>) -> Value {
    let g = &m.graph;
    let dims = |shape: &[Dim]| shape.iter().map(|d| d.describe(&g.symbols)).collect::<Vec<_>>();
    json!({
        "modelId": number::hex32(&m.id),
        "graphHash": number::hex32(&m.graph_hash),
        "weightsRoot": number::hex32(&m.weights_root),
        "ls1Version": lockstep_engine::LS1_VERSION,
        "fileBytes": file_length,
        "graphBytes": m.graph_length,
        "weightBytes": m.weights_length,
        "symbols": g.symbols,
        "inputs": g.inputs.iter().map(|i| json!({ "name": i.name, "dtype": i.dtype.name(), "shape": dims(&i.shape) })).collect::<Vec<_>>(),
        "outputs": g.outputs.iter().map(|o| {
            let t = &m.checked.types[o.value.0 as usize];
            json!({ "name": o.name, "dtype": t.dtype.name(), "shape": dims(&t.shape) })
        }).collect::<Vec<_>>(),
        "primaryOutput": g.primary_output,
        "labelOutput": g.label_output,
        "rowFeatures": g.row_features(),
        "features": g.features.iter().map(|f| json!({ "name": f.name, "categories": f.categories })).collect::<Vec<_>>(),
        "labels": g.labels.to_strings(),
        "card": card(m),
    })
}

/// The card, where it is JSON.
pub(crate) fn card(m: &LoadedModel) -> Value {
    serde_json::from_slice(&m.card).unwrap_or(Value::Null)
}

/// A text of the card.
pub(crate) fn card_text(m: &LoadedModel, key: &str) -> Option<String> {
    card(m).get(key)?.as_str().filter(|s| !s.is_empty()).map(str::to_owned)
}
