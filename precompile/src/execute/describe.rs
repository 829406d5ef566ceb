//! What `describe` says of a model.

use alloy_primitives::B256;
use lockstep_engine::dim::{Atom, Poly};
use lockstep_engine::{Dim, LoadedModel, TensorType};

use crate::abi::{Feature, ModelInfo, TensorInfo};
use crate::registry::RecordWord;

/// `labelOutput` of a model that names none.
const NO_LABEL: u32 = u32::MAX;
/// Longest text of a dimension that is an expression, before it becomes "?".
const MAX_EXPRESSION: usize = 256;

/// How many items the model has whose names `describe` copies: each is charged as a shape is.
pub(super) fn items(model: &LoadedModel) -> usize {
    let g = &model.graph;
    let categories: usize = g.features.iter().map(|f| f.categories.len()).sum();
    g.shape_items() + g.features.len() + categories + g.labels.len()
}

/// The model in words.
pub(super) fn info(model: &LoadedModel, record: &RecordWord) -> ModelInfo {
    let g = &model.graph;
    let tensor = |name: &str, t: &TensorType| TensorInfo {
        name: name.to_owned(),
        dtype: t.dtype.code(),
        shape: t.shape.iter().map(|d| dimension(d, &g.symbols)).collect(),
    };
    ModelInfo {
        ls1Version: record.ls1_version,
        activationBlock: record.activation_block,
        graphHash: B256::from(model.graph_hash),
        weightsRoot: B256::from(model.weights_root),
        graphLength: model.graph_length,
        weightsLength: model.weights_length,
        rowFeatures: g.row_features().unwrap_or(0),
        primaryOutput: u32::from(g.primary_output),
        labelOutput: g.label_output.map_or(NO_LABEL, u32::from),
        inputs: g.inputs.iter().map(|i| tensor(&i.name, &TensorType::new(i.dtype, i.shape.clone()))).collect(),
        outputs: g.outputs.iter().map(|o| tensor(&o.name, &model.checked.types[o.value.0 as usize])).collect(),
        features: g
            .features
            .iter()
            .map(|f| Feature { name: f.name.clone(), categories: f.categories.clone() })
            .collect(),
        labels: g.labels.to_strings(),
    }
}

/// A number, a symbol, or an expression of them; "?" where that is too long to be read.
fn dimension(d: &Dim, symbols: &[String]) -> String {
    let short = match d {
        Dim::Known(_) => true,
        Dim::Expr(_) if d.as_symbol().is_some() => true,
        Dim::Expr(p) => length(p, symbols, MAX_EXPRESSION).is_some(),
    };
    if short { d.describe(symbols) } else { "?".to_owned() }
}

/// What remains of `budget` after the text of `p`, by an upper bound; `None` where it is exceeded.
fn length(p: &Poly, symbols: &[String], mut budget: usize) -> Option<usize> {
    // Sign and coefficient of a term; a factor's own text is counted with its '*'.
    const TERM: usize = 20;
    const FLOOR: usize = 32;
    for factors in p.terms.keys() {
        budget = budget.checked_sub(TERM)?;
        for atom in factors {
            budget = match atom {
                Atom::Symbol(s) => budget.checked_sub(1 + symbols.get(usize::from(*s)).map_or(16, String::len))?,
                Atom::FloorDiv(p, _) => length(p, symbols, budget.checked_sub(FLOOR)?)?,
            };
        }
    }
    Some(budget)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_read_as_people_write_them_and_long_ones_do_not_explode() {
        let names = ["batch".to_owned(), "s".repeat(200)];
        let b = Dim::symbol(0);
        assert_eq!(dimension(&Dim::Known(30), &names), "30");
        assert_eq!(dimension(&b, &names), "batch");
        assert_eq!(dimension(&Dim::symbol(1), &names), names[1]);
        assert_eq!(dimension(&b.offset(-3).unwrap().floor_div(2).unwrap(), &names), "floor((batch-3)/2)");
        let long = Dim::symbol(1).mul(&Dim::symbol(1)).unwrap();
        assert_eq!(dimension(&long, &names), "?");
    }
}
