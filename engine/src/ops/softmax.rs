//! Softmax and LogSoftmax along one axis (ONNX opset 13).

use super::Operator;
use super::shape::{count, known_shape, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::float::{self, elementary, s2};
use crate::tensor::{DType, Data, Tensor, TensorType};

impl Softmax {
    /// Name in ONNX.
    pub fn name(&self) -> &'static str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }
}

crate::attributes! {
    /// max, subtract, exp, S2, divide; the logarithm is (x - max) - log(sum).
    pub struct Softmax {
        /// The axis, counted from the front.
        pub axis: u8,
        /// Whether the logarithm is computed.
        pub log: bool,
    }
}

/// # Work
/// With n elements in r rows. Softmax: Element `3n + 16r`, Elementary n, Division n.
/// LogSoftmax: Element `4n + 16r`, Elementary `n + r`.
impl Operator for Softmax {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        if x.dtype != DType::F32 {
            return Err(OpError::new(format!("f32 expected, {} came", x.dtype)));
        }
        if usize::from(self.axis) >= x.rank() {
            return Err(OpError::new(format!("axis {} of rank {}", self.axis, x.rank())));
        }
        Ok(vec![x.clone()])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let n = outputs.first().map_or(0, count);
        let length = outputs.first().and_then(|t| t.shape.get(usize::from(self.axis))?.as_known());
        let rows = n.checked_div(length.unwrap_or(1)).unwrap_or(0);
        let work = Work::of(Unit::Element, rows.saturating_mul(16)).and(Unit::Elementary, n);
        if self.log {
            work.and(Unit::Element, n.saturating_mul(4)).and(Unit::Elementary, rows)
        } else {
            work.and(Unit::Element, n.saturating_mul(3)).and(Unit::Division, n)
        }
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        let Data::F32(v) = &x.data else { return Ok(Vec::new()) };
        let mut y = v.clone();
        if !y.is_empty() {
            let axis = usize::from(self.axis);
            let (n, inner) = (x.shape[axis], x.shape[axis + 1..].iter().product::<usize>());
            for block in y.chunks_exact_mut(n * inner) {
                for i in 0..inner {
                    self.row(block, i, inner);
                }
            }
        }
        Ok(vec![Tensor { shape: known_shape(out), data: Data::F32(y) }])
    }
}

impl Softmax {
    /// One row: the elements `first + k * step` of `x`.
    fn row(&self, x: &mut [f32], first: usize, step: usize) {
        let m = x[first..].iter().step_by(step).fold(f32::NEG_INFINITY, |m, v| float::max(m, *v));
        if m == f32::NEG_INFINITY {
            // Nothing is allowed here (a fully masked attention row): no share for anything.
            let nothing = if self.log { f32::NEG_INFINITY } else { 0.0 };
            x[first..].iter_mut().step_by(step).for_each(|v| *v = nothing);
            return;
        }
        if self.log {
            x[first..].iter_mut().step_by(step).for_each(|v| *v -= m);
            let log = elementary::log(s2::sum(x[first..].iter().step_by(step).map(|v| elementary::exp(*v))));
            x[first..].iter_mut().step_by(step).for_each(|v| *v -= log);
        } else {
            x[first..].iter_mut().step_by(step).for_each(|v| *v = elementary::exp(*v - m));
            let sum = s2::sum(x[first..].iter().step_by(step).copied());
            x[first..].iter_mut().step_by(step).for_each(|v| *v /= sum);
        }
    }
}
