//! The values of a row: which input each comes from and what it is called (spec ABI-3).

use lockstep_engine::{DType, Graph, LoadedModel};

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// The feature's name; made from the input's where the graph names none.
    pub name: String,
    /// Position of the input.
    pub input: usize,
    /// Position in the input's row.
    pub position: usize,
    /// Element type of the input.
    pub dtype: DType,
    /// Strings that the codes stand for; empty for a number.
    pub categories: Vec<String>,
}

/// The columns of a tabular model's row, in the order of `infer`; `None` for other models.
pub(crate) fn columns(graph: &Graph) -> Option<Vec<Column>> {
    let total = usize::try_from(graph.row_features()?).ok().filter(|n| *n <= 1 << 24)?;
    let mut out = Vec::with_capacity(total);
    for (i, input) in graph.inputs.iter().enumerate() {
        let width = width(graph, i)?;
        for position in 0..width {
            let feature = graph.features.get(out.len());
            let name = match feature {
                Some(f) => f.name.clone(),
                None if width == 1 => input.name.clone(),
                None => format!("{}[{position}]", input.name),
            };
            let categories = feature.map(|f| f.categories.clone()).unwrap_or_default();
            out.push(Column { name, input: i, position, dtype: input.dtype, categories });
        }
    }
    Some(out)
}

/// Values of one row of input `i`.
pub(crate) fn width(graph: &Graph, i: usize) -> Option<usize> {
    let dims = graph.inputs.get(i)?.shape.get(1..)?;
    dims.iter().try_fold(1u64, |n, d| n.checked_mul(d.as_known()?)).and_then(|n| usize::try_from(n).ok())
}

/// Rows of a call: the size of the inputs' first dimension, where that is a number.
pub(crate) fn fixed_rows(graph: &Graph) -> Option<u64> {
    graph.row_features()?;
    graph.rows_dim()?.as_known()
}

/// Whether `classify` means something: the model names classes, or its answer has a column for each. A single number
/// without labels has one class only: that is a regressor.
pub(crate) fn has_classes(m: &LoadedModel) -> bool {
    let g = &m.graph;
    let primary = g.outputs.get(usize::from(g.primary_output)).and_then(|o| m.checked.types.get(o.value.0 as usize));
    let columns = primary.filter(|t| t.rank() == 2).and_then(|t| t.shape[1].as_known());
    g.label_output.is_some() || !g.labels.is_empty() || columns.is_some_and(|n| n > 1)
}
