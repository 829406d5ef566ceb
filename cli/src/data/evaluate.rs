//! How well a model's answers fit what the author's library answered, and the truth.

use lockstep_engine::{DType, Graph, Labels, Tensor};

use super::predict::Predictions;
use super::ranges::number;
use super::{Array, Values, metrics};
use crate::failure::{Failure, Problem};
use crate::npz::Arrays;

/// Worst rows that are kept.
const WORST: usize = 5;

/// One output against `expected:<output>`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Agreement {
    /// Name of the output.
    pub output: String,
    /// Values compared.
    pub values: usize,
    /// What was measured.
    pub kind: AgreementKind,
    /// Rows that fit worst.
    pub worst: Vec<WorstRow>,
}

impl Agreement {
    /// Whether it is so bad that something else than rounding is the reason.
    fn is_far(&self) -> bool {
        match self.kind {
            AgreementKind::Labels { equal } => equal * 20 < self.values * 19,
            AgreementKind::Numbers { greatest, range, .. } => greatest > 0.05 * range,
        }
    }
}

/// Labels agree or not; numbers differ by something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AgreementKind {
    /// Equal values.
    Labels {
        /// How many.
        equal: usize,
    },
    /// Greatest difference, and the same as a share of the range of the expected values.
    Numbers {
        /// Greatest difference.
        greatest: f64,
        /// Greatest less least of the expected values.
        range: f64,
        /// NaNs or infinities on one side only.
        not_comparable: usize,
    },
}

/// A row with what was expected and what came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WorstRow {
    /// Number of the row, from 0.
    pub row: usize,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub actual: String,
    /// Their difference; 1 for labels.
    pub difference: f64,
}

/// Answers against `y`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Truth {
    /// A classifier.
    Classes {
        /// Rows answered right.
        right: usize,
        /// All rows.
        rows: usize,
        /// Area under the ROC curve, for two classes.
        auc: Option<f64>,
    },
    /// A regressor.
    Numbers {
        /// Coefficient of determination.
        r2: Option<f64>,
        /// Root of the mean squared error.
        rmse: f64,
        /// Rows farthest from the truth.
        worst: Vec<WorstRow>,
    },
}

/// Everything measured on a data set.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Evaluation {
    /// Rows.
    pub rows: Option<usize>,
    /// For each output with an expectation.
    pub agreements: Vec<Agreement>,
    /// Against `y`.
    pub truth: Option<Truth>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// Compares predictions with what the data set says.
pub(crate) fn evaluate(graph: &Graph, p: &Predictions, arrays: &Arrays, what: &str) -> Result<Evaluation, Failure> {
    let mut out = Evaluation { rows: p.rows, ..Evaluation::default() };
    let mut problems = Vec::new();
    for (output, tensor) in graph.outputs.iter().zip(&p.outputs) {
        let key = format!("expected:{}", output.name);
        let Some(expected) = arrays.get(&key) else { continue };
        let expected = match p.rows {
            Some(rows) if expected.rows() == rows + p.left_out => expected.slice_rows(0, rows),
            _ => expected.clone(),
        };
        match agreement(graph, &output.name, tensor, &expected, p.rows) {
            Ok(a) => out.agreements.push(a),
            Err((reason, advice)) => problems.push(Problem { tensor: Some(key), reason, advice, ..Problem::default() }),
        }
    }
    let known = |name: &str| graph.outputs.iter().any(|o| o.name == name);
    for key in arrays.keys() {
        if let Some(name) = key.strip_prefix("expected:").filter(|n| !known(n)) {
            out.notes.push(format!("'{key}' is not compared: the model has no output '{name}'"));
        }
    }
    if p.left_out > 0 {
        out.notes.push(format!("the last {} rows do not fill the model's fixed batch and were left out", p.left_out));
    }
    match (arrays.get("y"), p.rows) {
        (Some(y), Some(rows)) if y.len() >= rows => out.truth = truth(graph, p, y, rows),
        (Some(y), Some(rows)) => problems.push(Problem {
            tensor: Some("y".into()),
            reason: format!("it has {} values, the data {rows} rows", y.len()),
            ..Problem::default()
        }),
        _ => {}
    }
    if let Some(y) = arrays.get("y")
        && let Some(Truth::Classes { right: 0, .. }) = out.truth
        && let Some(text) = y.values.text(0)
        && label_value(graph, &y.values, 0).is_none()
    {
        let classes = match &graph.labels {
            Labels::None => Vec::new(),
            Labels::Ints(v) => v.iter().map(i64::to_string).collect(),
            Labels::Strings(v) => v.clone(),
        };
        out.notes.push(format!(
            "y holds '{text}', which is no class of the model ({}): name them in the model's order by --labels",
            classes.join(", ")
        ));
    }
    if out.agreements.iter().any(Agreement::is_far) {
        out.notes.push(
            "these are not your library's answers: are the columns in the order of training, and is everything that the \
             library does before the model (scaling, encoding) in the file?"
                .into(),
        );
    }
    if problems.is_empty() { Ok(out) } else { Err(Failure::Refused { what: what.into(), problems }) }
}

fn agreement(
    graph: &Graph,
    name: &str,
    actual: &Tensor,
    expected: &Array,
    rows: Option<usize>,
) -> Result<Agreement, (String, Option<String>)> {
    let n = actual.data.len();
    if expected.len() != n {
        let reason = format!("its shape is {:?}, the output's is {:?}", expected.shape, actual.shape);
        let one_column = actual.shape.len() == 2 && expected.len() == actual.shape[0];
        let advice = "give a column for each class: all that predict_proba returns";
        return Err((reason, one_column.then(|| advice.to_owned())));
    }
    let width = rows.map_or(1, |r| (n / r.max(1)).max(1));
    let row_of = |i: usize| i / width;
    let mut worst: Vec<WorstRow> = Vec::new();
    let mut keep = |row: usize, difference: f64, expected: String, actual: String| {
        if let Some(w) = worst.iter_mut().find(|w| w.row == row) {
            if difference > w.difference {
                *w = WorstRow { row, expected, actual, difference };
            }
            return;
        }
        worst.push(WorstRow { row, expected, actual, difference });
        if worst.len() > 4 * WORST {
            worst.sort_by(|a, b| b.difference.total_cmp(&a.difference));
            worst.truncate(WORST);
        }
    };
    let kind = if actual.dtype() == DType::F32 && !matches!(expected.values, Values::Text(_)) {
        let (mut greatest, mut not_comparable) = (0f64, 0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut least_kept = 0.0;
        for i in 0..n {
            let (a, e) = (number(&actual.data, i), expected.values.number(i).unwrap_or(f64::NAN));
            if e.is_finite() {
                (low, high) = (low.min(e), high.max(e));
            }
            let equal = a == e || (a.is_nan() && e.is_nan());
            if !a.is_finite() || !e.is_finite() {
                not_comparable += usize::from(!equal);
                if !equal {
                    keep(row_of(i), f64::INFINITY, e.to_string(), a.to_string());
                }
                continue;
            }
            let d = (a - e).abs();
            greatest = greatest.max(d);
            if d > least_kept || i < WORST * width {
                keep(row_of(i), d, shortest(e), shortest(a));
                least_kept = least_kept.max(greatest * 1e-3);
            }
        }
        AgreementKind::Numbers { greatest, range: (high - low).max(0.0), not_comparable }
    } else {
        let mut equal = 0;
        for i in 0..n {
            let a = number(&actual.data, i) as i64;
            let e = label_value(graph, &expected.values, i);
            if e == Some(a) {
                equal += 1;
            } else {
                let shown = expected
                    .values
                    .text(i)
                    .map_or_else(|| format!("{}", expected.values.number(i).unwrap_or(f64::NAN)), str::to_owned);
                keep(row_of(i), 1.0, shown, label_text(graph, a));
            }
        }
        AgreementKind::Labels { equal }
    };
    worst.sort_by(|a, b| b.difference.total_cmp(&a.difference).then(a.row.cmp(&b.row)));
    worst.truncate(WORST);
    worst.retain(|w| w.difference > 0.0);
    Ok(Agreement { output: name.to_owned(), values: n, kind, worst })
}

/// The shortest decimal that tells a float32 from its neighbours.
fn shortest(x: f64) -> String {
    let x = x as f32;
    if x != 0.0 && !(1e-4..1e9).contains(&x.abs()) { format!("{x:e}") } else { x.to_string() }
}

/// An expected label in the terms of the label output: the integer itself, or the index of the string.
fn label_value(graph: &Graph, values: &Values, i: usize) -> Option<i64> {
    match (values.text(i), &graph.labels) {
        (Some(text), Labels::Strings(table)) => table.iter().position(|l| l == text).map(|k| k as i64),
        (Some(text), _) => text.parse().ok(),
        (None, _) => values.integer(i),
    }
}

fn label_text(graph: &Graph, value: i64) -> String {
    match &graph.labels {
        Labels::Strings(t) => usize::try_from(value).ok().and_then(|k| t.get(k)).cloned().unwrap_or(value.to_string()),
        _ => value.to_string(),
    }
}

/// The class of each row as `classify` decides it (spec ABI-7), in the label output's terms; `None` for regressors.
pub(crate) fn classes(graph: &Graph, p: &Predictions) -> Option<Vec<i64>> {
    let rows = p.rows?;
    if let Some(l) = graph.label_output {
        let t = p.outputs.get(usize::from(l)).filter(|t| t.data.len() == rows)?;
        return Some((0..rows).map(|i| number(&t.data, i) as i64).collect());
    }
    let primary = p.outputs.get(usize::from(graph.primary_output))?;
    let columns = primary.data.len() / rows.max(1);
    if columns < 2 || columns * rows != primary.data.len() {
        return None;
    }
    let argmax = |r: usize| {
        let mut best = 0;
        for c in 1..columns {
            if number(&primary.data, r * columns + c) > number(&primary.data, r * columns + best) {
                best = c;
            }
        }
        match &graph.labels {
            Labels::Ints(table) => table.get(best).copied().unwrap_or(best as i64),
            _ => best as i64,
        }
    };
    Some((0..rows).map(argmax).collect())
}

fn truth(graph: &Graph, p: &Predictions, y: &Array, rows: usize) -> Option<Truth> {
    let primary = p.outputs.get(usize::from(graph.primary_output))?;
    let columns = primary.data.len() / rows.max(1);
    let score = |r: usize, c: usize| number(&primary.data, r * columns + c);
    let discrete = !y.values.is_float() || (0..rows).all(|i| y.values.integer(i).is_some());
    if let Some(classes) = classes(graph, p).filter(|_| discrete) {
        let expected: Vec<Option<i64>> = (0..rows).map(|i| label_value(graph, &y.values, i)).collect();
        let right = classes.iter().zip(&expected).filter(|(c, e)| Some(**c) == **e).count();
        let two = if graph.labels.is_empty() { columns == 2 } else { graph.labels.len() == 2 };
        let second = match &graph.labels {
            Labels::Ints(t) => t.get(1).copied().unwrap_or(1),
            _ => 1,
        };
        let auc = (two && (1..=2).contains(&columns)).then(|| {
            let scores: Vec<f64> = (0..rows).map(|r| score(r, columns - 1)).collect();
            metrics::auc(&scores, &expected.iter().map(|e| *e == Some(second)).collect::<Vec<_>>())
        });
        return Some(Truth::Classes { right, rows, auc: auc.flatten() });
    }
    if columns != 1 {
        return None;
    }
    let predicted: Vec<f64> = (0..rows).map(|r| score(r, 0)).collect();
    let truth: Vec<f64> = (0..rows).map(|i| y.values.number(i)).collect::<Option<_>>()?;
    // A single probability against zeros and ones is a classifier as well.
    if truth.iter().all(|t| *t == 0.0 || *t == 1.0) && predicted.iter().all(|p| (0.0..=1.0).contains(p)) {
        let pairs = predicted.iter().zip(&truth).map(|(p, t)| (i64::from(*p > 0.5), *t as i64));
        let (right, rows) = metrics::accuracy(pairs);
        let auc = metrics::auc(&predicted, &truth.iter().map(|t| *t == 1.0).collect::<Vec<_>>());
        return Some(Truth::Classes { right, rows, auc });
    }
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|a, b| (predicted[*b] - truth[*b]).abs().total_cmp(&(predicted[*a] - truth[*a]).abs()));
    let show = crate::report::number::value;
    let worst = order.iter().take(WORST).map(|r| WorstRow {
        row: *r,
        expected: show(truth[*r]),
        actual: show(predicted[*r]),
        difference: (predicted[*r] - truth[*r]).abs(),
    });
    Some(Truth::Numbers {
        r2: metrics::r2(&predicted, &truth),
        rmse: metrics::rmse(&predicted, &truth),
        worst: worst.collect(),
    })
}
