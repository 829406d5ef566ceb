//! What was measured on a data set, as text and JSON.

use serde_json::{Value, json};

use super::number::{self, value};
use super::table::Table;
use crate::data::evaluate::{Agreement, AgreementKind, Evaluation, Truth, WorstRow};
use crate::data::ranges::Range;

/// Rows of the table of ranges that are shown.
const SHOWN: usize = 40;

/// Agreement with the author's answers and with the truth.
pub(crate) fn text(e: &Evaluation) -> String {
    let width = e.agreements.iter().map(|a| a.output.chars().count()).max().unwrap_or(0).max(1);
    let mut out = String::new();
    for a in &e.agreements {
        out.push_str(&format!("  {:<width$}  {}\n", a.output, agreement(a)));
    }
    if let Some(t) = &e.truth {
        out.push_str(&format!("  {:<width$}  {}\n", "y", truth(t)));
    }
    for a in e.agreements.iter().filter(|a| !a.worst.is_empty()) {
        out.push_str(&format!("  worst rows of {}:\n{}", a.output, worst(&a.worst)));
    }
    if let Some(Truth::Numbers { worst: rows, .. }) = &e.truth {
        out.push_str(&format!("  rows farthest from y:\n{}", worst(rows)));
    }
    out
}

/// The same in one line for each output with an expectation, and one for the truth.
pub(crate) fn lines(e: &Evaluation) -> Vec<String> {
    let agreements = e.agreements.iter().map(|a| format!("{}: {}", a.output, agreement(a)));
    agreements.chain(e.truth.iter().map(|t| format!("y: {}", truth(t)))).collect()
}

fn agreement(a: &Agreement) -> String {
    match &a.kind {
        AgreementKind::Labels { equal } => {
            let (n, all) = (*equal as u64, a.values as u64);
            format!(
                "{} of {} labels as expected ({})",
                number::grouped(n),
                number::grouped(all),
                share(*equal, a.values)
            )
        }
        AgreementKind::Numbers { greatest, range, not_comparable } => {
            let of_range = if *range > 0.0 {
                format!(", {} of the expected range", value(greatest / range))
            } else {
                String::new()
            };
            let odd = if *not_comparable > 0 {
                format!("; {not_comparable} values are NaN or infinite on one side only")
            } else {
                String::new()
            };
            format!("greatest difference from expected {}{of_range}{odd}", value(*greatest))
        }
    }
}

/// 100 % only where all are right.
fn share(part: usize, whole: usize) -> String {
    if part == whole {
        "100 %".into()
    } else {
        format!("{:.2} %", (100.0 * part as f64 / whole.max(1) as f64).min(99.99))
    }
}

/// Accuracy, AUC or R2 in one line.
pub(crate) fn truth(t: &Truth) -> String {
    match t {
        Truth::Classes { right, rows, auc } => {
            let auc = auc.map(|a| format!(", AUC {a:.4}")).unwrap_or_default();
            format!("accuracy {} ({right} of {rows}){auc}", share(*right, *rows))
        }
        Truth::Numbers { r2, rmse, .. } => {
            let r2 = r2.map(|r| format!("R2 {r:.4}, ")).unwrap_or_default();
            format!("{r2}root mean squared error {}", value(*rmse))
        }
    }
}

/// Rows with what was expected and what came.
pub(crate) fn worst(rows: &[WorstRow]) -> String {
    let mut t = Table::new(&[">row", ">expected", ">came", ">difference"]);
    for w in rows {
        t.row([w.row.to_string(), w.expected.clone(), w.actual.clone(), value(w.difference)]);
    }
    t.render_at(4)
}

/// The span of each feature in the data.
pub(crate) fn ranges_text(ranges: &[Range]) -> String {
    let mut t = Table::new(&["feature", ">least", ">greatest", "remarks"]);
    for r in ranges.iter().take(SHOWN) {
        let (low, high) = r.span.map_or(("-".into(), "-".into()), |(a, b)| (value(a), value(b)));
        let mut remarks = Vec::new();
        for (n, what) in [(r.missing, "NaN"), (r.infinite, "infinite"), (r.unknown, "unknown to the model")] {
            if n > 0 {
                remarks.push(format!("{n} {what}"));
            }
        }
        if !r.column.categories.is_empty() {
            remarks.push(format!("{} categories", r.column.categories.len()));
        }
        t.row([r.column.name.clone(), low, high, remarks.join(", ")]);
    }
    let mut out = t.render_at(4);
    if ranges.len() > SHOWN {
        out.push_str(&format!("    … and {} more (--json has all)\n", ranges.len() - SHOWN));
    }
    out
}

/// For programs.
pub(crate) fn to_json(e: &Evaluation) -> Value {
    let agreements = e.agreements.iter().map(|a| {
        let mut v = match &a.kind {
            AgreementKind::Labels { equal } => {
                json!({ "kind": "labels", "equal": equal, "agreement": *equal as f64 / a.values.max(1) as f64 })
            }
            AgreementKind::Numbers { greatest, range, not_comparable } => json!({
                "kind": "numbers",
                "greatestDifference": greatest,
                "expectedRange": range,
                "relativeDifference": if *range > 0.0 { json!(greatest / range) } else { Value::Null },
                "notComparable": not_comparable,
            }),
        };
        v["output"] = json!(a.output);
        v["values"] = json!(a.values);
        v["worst"] = worst_json(&a.worst);
        v
    });
    json!({
        "rows": e.rows,
        "agreement": agreements.collect::<Vec<_>>(),
        "truth": e.truth.as_ref().map(truth_json),
        "notes": e.notes,
    })
}

fn truth_json(t: &Truth) -> Value {
    match t {
        Truth::Classes { right, rows, auc } => {
            json!({ "accuracy": *right as f64 / (*rows).max(1) as f64, "right": right, "rows": rows, "auc": auc })
        }
        Truth::Numbers { r2, rmse, worst } => json!({ "r2": r2, "rmse": rmse, "worst": worst_json(worst) }),
    }
}

fn worst_json(rows: &[WorstRow]) -> Value {
    rows.iter()
        .map(|w| json!({ "row": w.row, "expected": w.expected, "actual": w.actual, "difference": w.difference }))
        .collect()
}

/// Ranges for programs.
pub(crate) fn ranges_json(ranges: &[Range]) -> Value {
    ranges
        .iter()
        .map(|r| {
            json!({
                "feature": r.column.name,
                "range": r.to_card(),
                "nan": r.missing,
                "infinite": r.infinite,
                "unknownCategories": r.unknown,
            })
        })
        .collect()
}
