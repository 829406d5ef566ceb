//! What `classify` makes of a model's outputs (spec ABI-7).

use alloy_primitives::{B256, I256};
use lockstep_engine::cost::{Unit, Work};
use lockstep_engine::{Data, Graph, Labels, Plan, Tensor, TensorType};

use super::stop::Stop;
use crate::abi::IInference as E;
use crate::wad;

/// A model's outputs as classes of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Classifier {
    rows: usize,
    columns: usize,
}

impl Classifier {
    /// Checks that the outputs of this call name a class for each row.
    pub(super) fn of(graph: &Graph, plan: &Plan, model_id: &B256, rows: usize) -> Result<Self, Stop> {
        let refuse = || not_a_classifier(model_id);
        let elements = |t: &TensorType| t.elements().and_then(|n| usize::try_from(n).ok());
        let primary = plan.outputs.get(usize::from(graph.primary_output)).ok_or_else(refuse)?;
        if primary.shape.first().and_then(lockstep_engine::Dim::as_known) != Some(rows as u64) {
            return Err(refuse());
        }
        let columns = elements(primary).map_or(0, |n| n / rows);
        if columns == 0 {
            return Err(refuse());
        }
        if let Some(label) = graph.label_output {
            let label = plan.outputs.get(usize::from(label)).ok_or_else(refuse)?;
            if elements(label) != Some(rows) {
                return Err(refuse());
            }
        }
        Ok(Self { rows, columns })
    }

    /// Work beyond the model's: each value is looked at once, and each label is searched in the table.
    pub(super) fn work(&self, graph: &Graph) -> Work {
        let table = match (&graph.labels, graph.label_output) {
            (Labels::Ints(t), Some(_)) => t.len() as u64,
            _ => 0,
        };
        let rows = self.rows as u64;
        Work::of(Unit::Element, rows.saturating_mul(table.saturating_add(self.columns as u64)))
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Class index and score of each row.
    pub(super) fn decide(
        &self,
        graph: &Graph,
        outputs: &[Tensor],
        model_id: &B256,
    ) -> Result<(Vec<u64>, Vec<I256>), Stop> {
        let refuse = || not_a_classifier(model_id);
        let index = usize::from(graph.primary_output);
        let primary = outputs.get(index).ok_or_else(refuse)?;
        if let Some(position) = primary.first_nan() {
            return Err(Stop::not_a_number(index, position));
        }
        let labels = match graph.label_output {
            Some(o) => Some(outputs.get(usize::from(o)).and_then(Tensor::as_i64).ok_or_else(refuse)?),
            None => None,
        };
        let mut classes = Vec::with_capacity(self.rows);
        let mut scores = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            let start = row * self.columns;
            let class = match labels {
                Some(labels) => class_of(graph, labels[row]).ok_or_else(refuse)?,
                None => arg_max(&primary.data, start, self.columns),
            };
            let column = match self.columns {
                1 => 0,
                n if class < n => class,
                _ => return Err(refuse()),
            };
            classes.push(class as u64);
            let score = value(&primary.data, start + column);
            scores.push(score.ok_or_else(|| Stop::not_representable(index, start + column))?);
        }
        Ok((classes, scores))
    }
}

fn not_a_classifier(model_id: &B256) -> Stop {
    Stop::revert(&E::NotAClassifier { modelId: *model_id })
}

fn class_of(graph: &Graph, label: i64) -> Option<usize> {
    let itself = usize::try_from(label).ok();
    match &graph.labels {
        Labels::None => itself,
        Labels::Strings(table) => itself.filter(|i| *i < table.len()),
        Labels::Ints(table) => table.iter().position(|l| *l == label),
    }
}

/// Position of the greatest value, ties to the lowest; there is no NaN among them.
fn arg_max(data: &Data, start: usize, columns: usize) -> usize {
    fn of<T: PartialOrd>(row: &[T]) -> usize {
        (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
    }
    let range = start..start + columns;
    match data {
        Data::F32(v) => of(&v[range]),
        Data::U8(v) => of(&v[range]),
        Data::I8(v) => of(&v[range]),
        Data::I32(v) => of(&v[range]),
        Data::I64(v) => of(&v[range]),
        Data::Bool(v) => of(&v[range]),
    }
}

/// One value with 18 decimals; `None` for infinity.
fn value(data: &Data, at: usize) -> Option<I256> {
    Some(match data {
        Data::F32(v) => return wad::from_f32(v[at]),
        Data::U8(v) => wad::from_integer(v[at].into()),
        Data::I8(v) => wad::from_integer(v[at].into()),
        Data::I32(v) => wad::from_integer(v[at].into()),
        Data::I64(v) => wad::from_integer(v[at]),
        Data::Bool(v) => wad::from_integer(v[at].into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lowest_index() {
        let d = Data::F32(vec![9.0, 1.0, 2.0, 2.0, f32::NEG_INFINITY, -0.0, 0.0]);
        assert_eq!(arg_max(&d, 1, 3), 1);
        assert_eq!(arg_max(&d, 5, 2), 0, "zeros are equal whatever their sign");
        assert_eq!(arg_max(&Data::Bool(vec![false, true]), 0, 2), 1);
    }

    #[test]
    fn labels_are_searched_or_taken() {
        let graph = |labels| Graph { labels, ..Graph::default() };
        assert_eq!(class_of(&graph(Labels::Ints(vec![7, -3])), -3), Some(1));
        assert_eq!(class_of(&graph(Labels::Ints(vec![7, -3])), 0), None);
        assert_eq!(class_of(&graph(Labels::Strings(vec!["a".into()])), 1), None);
        assert_eq!(class_of(&graph(Labels::None), 5), Some(5));
        assert_eq!(class_of(&graph(Labels::None), -1), None);
    }
}
