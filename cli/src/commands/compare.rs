//! `lockstep compare`: what an upgrade changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockstep_engine::exec::Options;
use lockstep_engine::{DType, LoadedModel, Tensor};
use serde_json::{Value, json};

use super::quote::Quotes;
use crate::chain::{self, Chain};
use crate::data::evaluate::{self, Evaluation, WorstRow};
use crate::data::predict::{Predictions, predict};
use crate::data::ranges::number as element;
use crate::data::{self, inputs};
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::report::number::{self, grouped, value};
use crate::report::{evaluation, table::Table};

/// Say what changes when one model replaces another, on your data
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep compare risk-v1.lsm risk-v2.lsm --data test.npz
  lockstep compare risk-v1.lsm risk-v2.lsm --data test.csv --json | jq .labels

Outputs are compared by name. With `y` in the data each model's accuracy (or R2) is shown as well.")]
pub(crate) struct Args {
    /// The model in use
    old: PathBuf,
    /// The model that may replace it
    new: PathBuf,
    /// Rows to compare on (.npz or .csv)
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// One model with its answers.
struct Side {
    model: Arc<LoadedModel>,
    file_length: u64,
    predictions: Predictions,
    measured: Evaluation,
    quotes: Quotes,
}

impl Side {
    fn of(path: &Path, args: &Args) -> Result<Self, Failure> {
        let file = files::read_model(path)?;
        let model = file.loaded;
        let what = args.data.display().to_string();
        let arrays = data::read(&args.data, &model.graph)?;
        let given = inputs::map(&model.graph, &arrays, &what)?;
        let options = Options { threads: super::run::all_cores(), ..Options::default() };
        let predictions = predict(&model, &given.tensors, &options)?;
        let measured = evaluate::evaluate(&model.graph, &predictions, &arrays, &what)?;
        let mut chain = Chain::default();
        chain.add(model.clone())?;
        let size = |d: &lockstep_engine::Dim| d.as_known().unwrap_or(1) as usize;
        let one: Vec<Tensor> =
            model.graph.inputs.iter().map(|i| chain::zeros(i.dtype, i.shape.iter().map(size).collect())).collect();
        let quotes = Quotes::ask(&chain, &model, &one)?;
        Ok(Self { file_length: file.length, model, predictions, measured, quotes })
    }

    fn output(&self, name: &str) -> Option<&Tensor> {
        let k = self.model.graph.outputs.iter().position(|o| o.name == name)?;
        self.predictions.outputs.get(k)
    }

    fn class_name(&self, class: i64) -> String {
        let labels = &self.model.graph.labels;
        let index = usize::try_from(class).ok().filter(|_| matches!(labels, lockstep_engine::Labels::Strings(_)));
        index.and_then(|k| labels.to_strings().get(k).cloned()).unwrap_or(class.to_string())
    }
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let (old, new) = (Side::of(&args.old, &args)?, Side::of(&args.new, &args)?);
    let mut text = format!(
        "old  {}  {}\nnew  {}  {}\n\n",
        number::hex32(&old.model.id),
        args.old.display(),
        number::hex32(&new.model.id),
        args.new.display()
    );
    let mut json = json!({ "old": side_json(&old), "new": side_json(&new), "same": old.model.id == new.model.id });

    let mut t = Table::new(&["", ">old", ">new", ">change"]);
    let change = |a: u64, b: u64| {
        if a == b { "0".into() } else { format!("{:+.1} %", 100.0 * (b as f64 - a as f64) / (a.max(1) as f64)) }
    };
    for f in ["infer", "classify", "run"] {
        if let (Some(a), Some(b)) = (old.quotes.gas(f), new.quotes.gas(f)) {
            t.row([format!("gas of {f}"), grouped(a), grouped(b), change(a, b)]);
        }
    }
    let sizes = [
        ("file bytes", old.file_length, new.file_length),
        ("graph bytes", old.model.graph_length, new.model.graph_length),
        ("weight bytes", old.model.weights_length, new.model.weights_length),
        ("layers", old.model.graph.nodes.len() as u64, new.model.graph.nodes.len() as u64),
    ];
    for (name, a, b) in sizes {
        t.row([name.to_owned(), grouped(a), grouped(b), change(a, b)]);
    }
    text.push_str(&t.render());
    for (name, side) in [("old", &old), ("new", &new)] {
        if let Some(truth) = &side.measured.truth {
            text.push_str(&format!("  {name} against y: {}\n", evaluation::truth(truth)));
        }
    }

    let mut outputs = Vec::new();
    for o in &old.model.graph.outputs {
        let (Some(a), Some(b)) = (old.output(&o.name), new.output(&o.name)) else {
            text.push_str(&format!("\n{}: only the old model has this output\n", o.name));
            outputs.push(json!({ "name": o.name, "comparable": false }));
            continue;
        };
        let (line, value) = difference(&o.name, a, b, old.predictions.rows);
        text.push_str(&line);
        outputs.push(value);
    }
    json["outputs"] = outputs.into();

    let classes =
        (evaluate::classes(&old.model.graph, &old.predictions), evaluate::classes(&new.model.graph, &new.predictions));
    if let (Some(a), Some(b)) = classes
        && a.len() == b.len()
    {
        let named = |side: &Side, v: &[i64]| v.iter().map(|c| side.class_name(*c)).collect::<Vec<_>>();
        let (a, b) = (named(&old, &a), named(&new, &b));
        let flips: Vec<usize> = (0..a.len()).filter(|r| a[*r] != b[*r]).collect();
        text.push_str(&format!("\nclasses: {} of {} rows change\n", flips.len(), a.len()));
        for r in flips.iter().take(10) {
            text.push_str(&format!("  row {r}: {} -> {}\n", a[*r], b[*r]));
        }
        let list: Vec<Value> = flips.iter().map(|r| json!({ "row": r, "old": a[*r], "new": b[*r] })).collect();
        json["labels"] = json!({ "rows": a.len(), "changed": flips.len(), "flips": list });
    }
    Ok(Output::new(text, json))
}

fn side_json(s: &Side) -> Value {
    json!({
        "modelId": number::hex32(&s.model.id),
        "fileBytes": s.file_length,
        "graphBytes": s.model.graph_length,
        "weightBytes": s.model.weights_length,
        "gas": s.quotes.to_json(),
        "data": evaluation::to_json(&s.measured),
    })
}

/// How far one output moves.
pub(crate) fn difference(name: &str, a: &Tensor, b: &Tensor, rows: Option<usize>) -> (String, Value) {
    let n = a.data.len();
    if n != b.data.len() {
        let line = format!("\n{name}: shape {:?} becomes {:?}\n", a.shape, b.shape);
        return (line, json!({ "name": name, "comparable": false }));
    }
    let width = rows.map_or(1, |r| (n / r.max(1)).max(1));
    let show = |t: &Tensor, k: usize| value(element(&t.data, k));
    let mut worst: Vec<WorstRow> = Vec::new();
    let (mut changed, mut greatest, mut sum) = (0usize, 0f64, 0f64);
    for row in 0..n / width.max(1) {
        let mut most: Option<(f64, usize)> = None;
        for k in row * width..(row + 1) * width {
            let (x, y) = (element(&a.data, k), element(&b.data, k));
            if x == y || (x.is_nan() && y.is_nan()) {
                continue;
            }
            changed += 1;
            let d = if x.is_finite() && y.is_finite() { (x - y).abs() } else { f64::INFINITY };
            sum += if d.is_finite() { d } else { 0.0 };
            if most.is_none_or(|(m, _)| d > m) {
                most = Some((d, k));
            }
        }
        if let Some((d, k)) = most {
            greatest = greatest.max(d);
            worst.push(WorstRow { row, expected: show(a, k), actual: show(b, k), difference: d });
        }
    }
    worst.sort_by(|p, q| q.difference.total_cmp(&p.difference).then(p.row.cmp(&q.row)));
    worst.truncate(5);
    let mut line = format!("\n{name}: {} of {} values change", grouped(changed as u64), grouped(n as u64));
    if changed > 0 && a.dtype() == DType::F32 {
        line.push_str(&format!(", at most by {}, on average by {}", value(greatest), value(sum / n as f64)));
    }
    line.push('\n');
    if changed > 0 {
        let mut t = Table::new(&[">row", ">old", ">new", ">difference"]);
        for w in &worst {
            t.row([w.row.to_string(), w.expected.clone(), w.actual.clone(), value(w.difference)]);
        }
        line.push_str(&t.render());
    }
    let list: Vec<Value> = worst
        .iter()
        .map(|w| json!({ "row": w.row, "old": w.expected, "new": w.actual, "difference": w.difference }))
        .collect();
    let json = json!({
        "name": name, "comparable": true, "values": n, "changed": changed,
        "greatestDifference": greatest, "meanDifference": sum / n.max(1) as f64, "worst": list,
    });
    (line, json)
}
