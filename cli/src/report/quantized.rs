//! What quantised weights do to a model: size, weights, answers.

use lockstep_engine::ops::quantized::WeightClass;
use lockstep_engine::{Graph, LoadedModel, Op};
use lockstep_importer::quantize::Layer;
use serde_json::{Value, json};

use super::number::{self, value};
use super::table::Table;
use crate::commands::compare::difference;
use crate::data::evaluate::{self, Evaluation};
use crate::data::predict::Predictions;
use crate::report::evaluation;

/// `I8, blocks of 32` or `I8, a scale each channel`.
fn class_text(class: WeightClass, block: u32) -> String {
    match block {
        0 => format!("{class}, a scale each channel"),
        b => format!("{class}, blocks of {b}"),
    }
}

fn class_of(op: &Op) -> Option<(WeightClass, u32)> {
    match op {
        Op::QuantizedMatMul(q) => Some((q.class, q.block)),
        Op::QuantizedConv(q) => Some((q.class, q.block)),
        _ => None,
    }
}

/// The operator, and the class of its weights where they are quantised.
pub(crate) fn operator_text(op: &Op) -> String {
    match class_of(op) {
        Some((class, block)) => format!("{} ({})", op.name(), class_text(class, block)),
        None => op.name().to_owned(),
    }
}

/// The same for programs.
pub(crate) fn operator_json(op: &Op) -> Value {
    class_of(op).map_or(Value::Null, |(class, block)| json!({ "class": class.to_string(), "block": block }))
}

/// A line of the summary for each class that a graph has.
pub(crate) fn summary(graph: &Graph) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for (class, block) in graph.nodes.iter().filter_map(|n| class_of(&n.op)) {
        *counts.entry(class_text(class, block)).or_insert(0usize) += 1;
    }
    let line = |(text, n): (String, usize)| format!("weights   {text}: {n} layer{}\n", if n == 1 { "" } else { "s" });
    counts.into_iter().map(line).collect()
}

/// A model with its file's length.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) model: &'a LoadedModel,
    pub(crate) file_length: u64,
}

/// Sizes before and after, and what rounding did to each layer's weights.
pub(crate) fn weights(old: Side<'_>, new: Side<'_>, layers: &[Layer]) -> (String, Value) {
    let share = |a: u64, b: u64| format!("{:.1} %", 100.0 * b as f64 / a.max(1) as f64);
    let mut text = format!(
        "\nquantised weights: file {} instead of {} ({}), weights {} instead of {} ({})\n",
        number::bytes(new.file_length),
        number::bytes(old.file_length),
        share(old.file_length, new.file_length),
        number::bytes(new.model.weights_length),
        number::bytes(old.model.weights_length),
        share(old.model.weights_length, new.model.weights_length),
    );
    let mut t = Table::new(&["layer", "was", ">outputs", ">terms", ">relative error", ">greatest error"]);
    for l in layers {
        t.row([
            format!("%{} {}", l.node, l.name),
            l.operator.to_owned(),
            l.channels.to_string(),
            l.length.to_string(),
            value(l.loss.relative),
            value(l.loss.greatest),
        ]);
    }
    text.push_str(&t.render());
    let list: Vec<Value> = layers
        .iter()
        .map(|l| {
            json!({
                "node": l.node, "name": l.name, "operator": l.operator, "outputs": l.channels, "terms": l.length,
                "relativeError": l.loss.relative, "greatestError": l.loss.greatest,
            })
        })
        .collect();
    let side = |s: Side<'_>| {
        json!({
            "modelId": number::hex32(&s.model.id), "fileBytes": s.file_length, "weightBytes": s.model.weights_length,
        })
    };
    (text, json!({ "f32": side(old), "quantized": side(new), "layers": list }))
}

/// Answers of both on the author's data: how far they are apart, and how well each fits what is expected and true.
pub(crate) fn answers(
    graph: &Graph,
    old: (&Predictions, &Evaluation),
    new: (&Predictions, &Evaluation),
) -> (String, Value) {
    let mut text = String::from("\nagainst the f32 model of the same file:\n");
    let mut outputs = Vec::new();
    for (i, o) in graph.outputs.iter().enumerate() {
        let (line, value) = difference(&o.name, &old.0.outputs[i], &new.0.outputs[i], old.0.rows);
        text.push_str(line.trim_start_matches('\n'));
        outputs.push(value);
    }
    let mut json = json!({ "outputs": outputs });
    let classes = (evaluate::classes(graph, old.0), evaluate::classes(graph, new.0));
    if let (Some(a), Some(b)) = classes {
        let equal = a.iter().zip(&b).filter(|(a, b)| a == b).count();
        text.push_str(&format!("classes: {equal} of {} as in f32\n", a.len()));
        json["classes"] = json!({ "rows": a.len(), "equal": equal });
    }
    for (name, measured) in [("f32", old.1), ("quantised", new.1)] {
        for line in evaluation::lines(measured) {
            text.push_str(&format!("  {name:<10} {line}\n"));
        }
    }
    json["f32"] = evaluation::to_json(old.1);
    json["quantized"] = evaluation::to_json(new.1);
    (text, json)
}
