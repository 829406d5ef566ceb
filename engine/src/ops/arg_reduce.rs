//! Position of the greatest or least element (ONNX ArgMax, ArgMin); output i64.

use std::cmp::Ordering;

use super::Operator;
use super::shape::{count, known_shape, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::float::total_order;
use crate::tensor::{DType, Data, Tensor, TensorType};

impl ArgReduce {
    /// Name in ONNX.
    pub fn name(&self) -> &'static str {
        if self.greatest { "ArgMax" } else { "ArgMin" }
    }
}

crate::attributes! {
    /// Position along `axis`; ties go to the lowest index, or the highest where `last`.
    pub struct ArgReduce {
        /// Greatest (true) or least (false).
        pub greatest: bool,
        /// The axis, counted from the front.
        pub axis: u8,
        /// Whether the axis stays with length 1.
        pub keep_dims: bool,
        /// Whether ties go to the highest index (ONNX select_last_index).
        pub last: bool,
    }
}

/// # Work
/// Element: elements of the operand + elements of the result.
impl Operator for ArgReduce {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        let axis = usize::from(self.axis);
        if x.dtype == DType::Bool {
            return Err(OpError::new("does not take bool"));
        }
        match x.shape.get(axis) {
            None => return Err(OpError::new(format!("axis {axis} of rank {}", x.rank()))),
            Some(Dim::Known(0)) => return Err(OpError::new(format!("axis {axis} has no element to choose"))),
            Some(_) => {}
        }
        let mut shape = x.shape.clone();
        if self.keep_dims {
            shape[axis] = Dim::Known(1);
        } else {
            shape.remove(axis);
        }
        Ok(vec![TensorType::new(DType::I64, shape)])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let n = inputs.first().copied().flatten().map_or(0, count);
        Work::of(Unit::Element, n).and(Unit::Element, outputs.first().map_or(0, count))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        let positions = match &x.data {
            Data::F32(v) => self.positions(v, &x.shape, |a, b| total_order(*a, *b)),
            Data::U8(v) => self.positions(v, &x.shape, Ord::cmp),
            Data::I8(v) => self.positions(v, &x.shape, Ord::cmp),
            Data::I32(v) => self.positions(v, &x.shape, Ord::cmp),
            Data::I64(v) => self.positions(v, &x.shape, Ord::cmp),
            Data::Bool(_) => return Ok(Vec::new()),
        };
        Ok(vec![Tensor { shape: known_shape(out), data: Data::I64(positions) }])
    }
}

impl ArgReduce {
    fn positions<T>(&self, x: &[T], shape: &[usize], order: impl Fn(&T, &T) -> Ordering) -> Vec<i64> {
        if x.is_empty() {
            return Vec::new();
        }
        let axis = usize::from(self.axis);
        let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        let mut out = Vec::with_capacity(x.len() / n);
        for block in x.chunks_exact(n * inner) {
            for i in 0..inner {
                let mut best = 0;
                for k in 1..n {
                    let against = order(&block[k * inner + i], &block[best * inner + i]);
                    let against = if self.greatest { against } else { against.reverse() };
                    if against.is_gt() || (self.last && against.is_eq()) {
                        best = k;
                    }
                }
                out.push(best as i64);
            }
        }
        out
    }
}
