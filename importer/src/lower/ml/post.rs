//! What classifiers and regressors do with raw scores: post-transforms, class labels.

use std::sync::Arc;

use lockstep_engine::DType;
use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::softmax::Softmax;
use lockstep_engine::ops::unary::UnaryKind as U;

use crate::build::{Label, Val};
use crate::error::{Lowered, refuse};
use crate::lower::Call;
use crate::slot::Slot;

/// ONNX's post_transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Post {
    None,
    Logistic,
    Softmax,
    SoftmaxZero,
}

impl Post {
    /// The attribute, as a name.
    pub(super) fn read(c: &Call<'_>) -> Lowered<Self> {
        match c.attrs.string("post_transform", "NONE")?.as_str() {
            "NONE" => Ok(Self::None),
            "LOGISTIC" => Ok(Self::Logistic),
            "SOFTMAX" => Ok(Self::Softmax),
            "SOFTMAX_ZERO" => Ok(Self::SoftmaxZero),
            other => refuse!("post_transform {other} is not supported"),
        }
    }

    /// Of scores (rows, columns); along the columns.
    pub(super) fn apply(self, c: &mut Call<'_>, scores: Val) -> Lowered<Val> {
        match self {
            Self::None => Ok(scores),
            Self::Logistic => c.b.unary(U::Sigmoid, scores),
            Self::Softmax => c.b.push(Softmax { axis: 1, log: false }, &[scores]),
            Self::SoftmaxZero => softmax_zero(c, scores),
        }
    }

    /// Of one score in a column of its own: softmax of one value is no use, and libraries leave it out.
    pub(super) fn apply_to_one(self, score: Val) -> Lowered<Val> {
        match self {
            Self::None => Ok(score),
            _ => refuse!("post_transform {self:?} of a single score: ONNX and its runtimes disagree on it"),
        }
    }
}

/// Softmax over the scores that are not 0: |x| > 1e-7 ? exp(x - max) : x * exp(-max), divided by the sum.
fn softmax_zero(c: &mut Call<'_>, x: Val) -> Lowered<Val> {
    let max = c.b.reduce(R::Max, x, &[1], true)?;
    let (magnitude, tiny) = (c.b.unary(U::Abs, x)?, c.b.scalar(1e-7));
    let counts = c.b.compare(K::Greater, magnitude, tiny)?;
    let shifted = c.b.sub2(x, max)?;
    let e = c.b.unary(U::Exp, shifted)?;
    let negated = c.b.unary(U::Neg, max)?;
    let factor = c.b.unary(U::Exp, negated)?;
    let small = c.b.mul2(x, factor)?;
    let terms = c.b.select(counts, e, small)?;
    let sum = c.b.reduce(R::Sum, terms, &[1], true)?;
    c.b.div2(terms, sum)
}

/// The classes of a classifier.
#[derive(Debug, Clone)]
pub(super) enum Classes {
    Ints(Arc<Vec<i64>>),
    Strings(Arc<Vec<String>>),
}

impl Classes {
    /// From the attributes of these names.
    pub(super) fn read(c: &Call<'_>, ints: &str, strings: &str) -> Lowered<Self> {
        let i = c.attrs.ints(ints)?.unwrap_or_default();
        let s = c.attrs.strings(strings)?.unwrap_or_default();
        let out = match (i.is_empty(), s.is_empty()) {
            (false, true) => Self::Ints(Arc::new(i.to_vec())),
            (true, false) => Self::Strings(Arc::new(s)),
            _ => return refuse!("either {ints} or {strings} is expected"),
        };
        let distinct = match &out {
            Self::Ints(v) => v.iter().collect::<std::collections::BTreeSet<_>>().len(),
            Self::Strings(v) => v.iter().collect::<std::collections::BTreeSet<_>>().len(),
        };
        if distinct != out.len() {
            return refuse!("two classes have the same label");
        }
        Ok(out)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ints(v) => v.len(),
            Self::Strings(v) => v.len(),
        }
    }

    /// The label of each row from the index of its class (i64, one per row).
    pub(super) fn label(&self, c: &mut Call<'_>, index: Val) -> Lowered<Slot> {
        match self {
            Self::Strings(table) => Ok(Slot::Labels(index, table.clone())),
            Self::Ints(table) => {
                let plain = table.iter().enumerate().all(|(i, v)| i as i64 == *v);
                let out = if plain {
                    index
                } else {
                    let values = c.b.vector_i64((**table).clone());
                    c.b.gather(values, index, 0)?
                };
                c.b.set_label(out, Some(Label::OneOf(table.clone())));
                Ok(Slot::Tensor(out))
            }
        }
    }
}

/// The index of the greatest of the scores (rows, columns); ties go to the first.
pub(super) fn greatest(c: &mut Call<'_>, scores: Val) -> Lowered<Val> {
    use lockstep_engine::ops::arg_reduce::ArgReduce;
    c.b.push(ArgReduce { greatest: true, axis: 1, keep_dims: false, last: false }, &[scores])
}

/// 1 where the one score (rows, 1) exceeds the threshold, 0 otherwise; one per row.
pub(super) fn exceeds(c: &mut Call<'_>, score: Val, threshold: f32) -> Lowered<Val> {
    let t = c.b.scalar(threshold);
    let over = c.b.compare(K::Greater, score, t)?;
    let index = c.b.cast(over, DType::I64)?;
    let rows = c.b.shape(index)[..1].to_vec();
    c.b.reshape(index, &rows)
}

/// (1 - p, p) side by side.
pub(super) fn with_complement(c: &mut Call<'_>, p: Val) -> Lowered<Val> {
    let all = c.b.scalar(1.0);
    let rest = c.b.binary(B::Sub, all, p)?;
    c.b.concat(&[rest, p], 1)
}

/// The operand of a model: (rows, columns) in f32.
pub(super) fn rows(c: &mut Call<'_>) -> Lowered<Val> {
    let x = c.converted(0)?;
    match c.b.rank(x) {
        2 => Ok(x),
        other => refuse!("an operand of rank {other}, rows and columns are expected"),
    }
}
