//! An ensemble of decision trees (ONNX ai.onnx.ml TreeEnsemble*), summed exactly.

#[cfg(test)]
pub(crate) mod samples;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use tables::Place;
pub use tables::Tables;

use super::Operator;
use super::shape::{known_shape, operand, same, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::float::convert::dyadic_to_f32;
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attribute_enum! {
    /// How leaf values of the trees join.
    pub enum Aggregate {
        /// Sum over the trees and base, exact, rounded once.
        Sum = 1,
        /// f32(sum over the trees) / f32(trees) + f32(base): each of the five steps rounded once.
        Average = 2,
        /// Least, plus base, exact, rounded once.
        Min = 3,
        /// Greatest, plus base, exact, rounded once.
        Max = 4,
    }
}

crate::attribute_enum! {
    /// How a node compares the feature with its threshold.
    pub enum Branch {
        /// x <= t
        LessOrEqual = 0,
        /// x < t
        Less = 1,
        /// x >= t
        GreaterOrEqual = 2,
        /// x > t
        Greater = 3,
        /// x == t
        Equal = 4,
        /// x != t
        NotEqual = 5,
    }
}

crate::attributes! {
    /// Operand 0 is x (rows, features) in f32. The tables are constants of the model:
    /// 1 `feature` i32 (nodes), 2 `threshold` f32 (nodes), 3 `mode` u8 (nodes), 4 `children` i32 (nodes, 2),
    /// 5 `roots` i32 (trees), 6 `leaf_start` i32 (leaves + 1), 7 `leaf_target` i32 (entries),
    /// 8 `leaf_value` i64 (entries), 9 `base` i64 (targets).
    ///
    /// `children[n]` is (where the decision is false, where it is true): a later node's number, or `-1 - leaf`.
    /// A root may itself be a leaf. `mode` is the comparison (bits 0-2) plus 8 where a NaN counts as true.
    /// Every node and every leaf is reached exactly once: by one root or as one child.
    ///
    /// Leaf l has the entries `leaf_start[l]..leaf_start[l + 1]`, their targets ascending, each at most once. A target
    /// that a leaf does not mention gets nothing from its tree: 0 in a sum, no candidate for least and greatest
    /// (0 where no tree gives one).
    pub struct TreeEnsemble {
        /// Number of outputs per row.
        pub targets: u32,
        /// Values are multiples of 2^-shift; at most 62.
        pub shift: u8,
        /// How leaf values of the trees join.
        pub aggregate: Aggregate,
        /// Sum over trees of the depth of the deepest leaf (a root that is a leaf: 0); checked against the tables.
        pub total_depth: u32,
        /// Number of features that x must have.
        pub features: u32,
    }
}

/// Names and types of operands 1 to 9.
const TABLES: [(&str, DType); 9] = [
    ("feature", DType::I32),
    ("threshold", DType::F32),
    ("mode", DType::U8),
    ("children", DType::I32),
    ("roots", DType::I32),
    ("leaf_start", DType::I32),
    ("leaf_target", DType::I32),
    ("leaf_value", DType::I64),
    ("base", DType::I64),
];

/// # Work
/// TreeStep `rows * (total_depth + trees)`; Element `rows * (features + targets + min(trees * targets, entries))`:
/// the leaves that a row reaches are distinct, so their entries are bounded both ways.
impl Operator for TreeEnsemble {
    fn arity(&self) -> (usize, usize) {
        (10, 10)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        let [rows, features] = x.shape.as_slice() else {
            return Err(OpError::new(format!("x of shape (rows, features) expected, rank {} came", x.rank())));
        };
        if x.dtype != DType::F32 {
            return Err(OpError::new(format!("x in f32 expected, {} came", x.dtype)));
        }
        same(features, &Dim::Known(u64::from(self.features)), "features of x and of the trees")?;
        if self.shift > 62 {
            return Err(OpError::new(format!("a shift of at most 62 expected, {} came", self.shift)));
        }
        if self.targets == 0 {
            return Err(OpError::new("no target"));
        }
        let length = |i: usize| table_length(inputs, i);
        let (nodes, trees, starts, entries) = (length(1)?, length(5)?, length(6)?, length(7)?);
        if trees == 0 || starts == 0 {
            return Err(OpError::new("at least one root and one leaf_start expected"));
        }
        let targets = u64::from(self.targets);
        for (i, want) in [(2, nodes), (3, nodes), (4, nodes), (8, entries), (9, targets)] {
            let (got, name) = (length(i)?, TABLES[i - 1].0);
            if got != want {
                return Err(OpError::new(format!("{name} of length {want} expected, {got} came")));
            }
        }
        Ok(vec![TensorType::new(DType::F32, vec![rows.clone(), Dim::Known(targets)])])
    }

    fn work(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> Work {
        let rows = operand(inputs, 0).ok().and_then(|x| x.shape.first()?.as_known()).unwrap_or(u64::MAX);
        let length = |i: usize| table_length(inputs, i).unwrap_or(u64::MAX);
        let (trees, targets) = (length(5), u64::from(self.targets));
        let added = trees.saturating_mul(targets).min(length(7));
        let elements = u64::from(self.features).saturating_add(targets).saturating_add(added);
        let steps = u64::from(self.total_depth).saturating_add(trees);
        Work::of(Unit::TreeStep, rows.saturating_mul(steps)).and(Unit::Element, rows.saturating_mul(elements))
    }

    fn scratch(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> u64 {
        // An exact aggregate for each target of the rows in progress: on each of at most 64 threads 64 rows.
        let rows = operand(inputs, 0).ok().and_then(|x| x.shape.first()?.as_known()).unwrap_or(u64::MAX);
        rows.min(64 * 64).saturating_mul(u64::from(self.targets)).saturating_mul(16)
    }

    fn check_constants(&self, inputs: &[Option<&Tensor>]) -> Result<(), OpError> {
        for (i, (name, _)) in TABLES.iter().enumerate() {
            if tensor(inputs, i + 1).is_none() {
                return Err(OpError::new(format!("{name} must be a constant of the model")));
            }
        }
        Tables::of(inputs).ok_or_else(|| OpError::new("a table has another type"))?.check(self)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(tables), Some(out)) = (tensor(inputs, 0), Tables::of(inputs), outputs.first()) else {
            return Ok(Vec::new());
        };
        let Data::F32(v) = &x.data else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let (rows, features) = (shape.first().copied().unwrap_or(0), self.features as usize);
        let mut y = Vec::new();
        for r in 0..rows {
            let row = v.get(r * features..(r + 1) * features);
            // `check_constants` excludes None.
            match row.and_then(|row| self.row(row, &tables)) {
                Some(values) => y.extend(values),
                None => return Ok(Vec::new()),
            }
        }
        Ok(vec![Tensor { shape, data: Data::F32(y) }])
    }
}

impl TreeEnsemble {
    /// The outputs for one row; `None` only for tables that the check refuses.
    fn row(&self, x: &[f32], t: &Tables<'_>) -> Option<Vec<f32>> {
        let mut joined: Vec<Option<i64>> = vec![None; t.base.len()];
        for root in t.roots {
            let leaf = t.leaf(*root, x)?;
            for (target, value) in t.entries(leaf)? {
                let slot = joined.get_mut(target)?;
                *slot = Some(match (*slot, self.aggregate) {
                    (None, _) => value,
                    (Some(a), Aggregate::Sum | Aggregate::Average) => a.checked_add(value)?,
                    (Some(a), Aggregate::Min) => a.min(value),
                    (Some(a), Aggregate::Max) => a.max(value),
                });
            }
        }
        let trees = t.roots.len();
        Some(joined.iter().zip(t.base).map(|(j, base)| self.finish(j.unwrap_or(0), *base, trees)).collect())
    }

    /// The output for what the trees of a target gave together. (Wrapping is out of reach of checked tables.)
    pub fn finish(&self, joined: i64, base: i64, trees: usize) -> f32 {
        let shift = u32::from(self.shift);
        match self.aggregate {
            Aggregate::Average => dyadic_to_f32(joined, shift) / trees as f32 + dyadic_to_f32(base, shift),
            _ => dyadic_to_f32(joined.wrapping_add(base), shift),
        }
    }
}

impl Branch {
    /// The comparison of a `mode` byte.
    pub fn of_mode(mode: u8) -> Option<Self> {
        let known = Self::ALL.iter().copied().find(|b| *b as u8 == mode & 7);
        if mode < 16 { known } else { None }
    }

    /// Whether `x` takes the true child. -0 equals +0; a NaN takes the branch that `nan_is_true` says.
    pub fn decides(self, x: f32, threshold: f32, nan_is_true: bool) -> bool {
        if x.is_nan() {
            return nan_is_true;
        }
        match self {
            Self::LessOrEqual => x <= threshold,
            Self::Less => x < threshold,
            Self::GreaterOrEqual => x >= threshold,
            Self::Greater => x > threshold,
            Self::Equal => x == threshold,
            Self::NotEqual => x != threshold,
        }
    }
}

/// Length of the table in operand `i`, whose type and rank it checks; `children` counts pairs.
fn table_length(inputs: &[Option<&TensorType>], i: usize) -> Result<u64, OpError> {
    let (t, (name, dtype)) = (operand(inputs, i)?, TABLES[i - 1]);
    if t.dtype != dtype {
        return Err(OpError::new(format!("{name} in {dtype} expected, {} came", t.dtype)));
    }
    match (name, t.shape.as_slice()) {
        ("children", [Dim::Known(n), Dim::Known(2)]) => Ok(*n),
        ("children", _) => Err(OpError::new("children of shape (nodes, 2) expected")),
        (_, [Dim::Known(n)]) => Ok(*n),
        _ => Err(OpError::new(format!("{name} with one known dimension expected, rank {} came", t.rank()))),
    }
}
