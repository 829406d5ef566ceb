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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arg(greatest: bool, last: bool, axis: u8, shape: &[usize], data: Data) -> Vec<i64> {
        let op = ArgReduce { greatest, axis, keep_dims: true, last };
        let x = Tensor::new(shape.to_vec(), data).unwrap();
        let out = op.infer(&[Some(&x.ty())], &Bindings::SYMBOLIC).unwrap();
        op.reference(&[Some(&x)], &out).unwrap()[0].as_i64().unwrap().to_vec()
    }

    fn arg_f32(greatest: bool, last: bool, x: &[f32]) -> i64 {
        arg(greatest, last, 0, &[x.len()], Data::F32(x.to_vec()))[0]
    }

    #[test]
    fn ties_go_to_the_first_or_the_last() {
        let x = [1.0, 3.0, 3.0, 1.0];
        assert_eq!([arg_f32(true, false, &x), arg_f32(true, true, &x)], [1, 2]);
        assert_eq!([arg_f32(false, false, &x), arg_f32(false, true, &x)], [0, 3]);
        let zeros = [-0.0, 0.0];
        assert_eq!([arg_f32(true, false, &zeros), arg_f32(false, true, &zeros)], [0, 1]);
    }

    #[test]
    fn nan_is_greatest() {
        let x = [1.0, f32::NAN, f32::INFINITY, f32::NAN];
        assert_eq!([arg_f32(true, false, &x), arg_f32(true, true, &x)], [1, 3]);
        assert_eq!(arg_f32(false, false, &x), 0);
        assert_eq!(arg_f32(false, false, &[f32::NAN, f32::INFINITY]), 1);
        assert_eq!(arg_f32(false, false, &[f32::NAN, f32::NAN]), 0);
    }

    #[test]
    fn an_inner_axis_and_integers() {
        let x = Data::I32(vec![1, 9, 5, 4, 2, 8]);
        assert_eq!(arg(true, false, 0, &[2, 3], x.clone()), [1, 0, 1]);
        assert_eq!(arg(true, false, 1, &[2, 3], x), [1, 2]);
        assert_eq!(arg(false, false, 0, &[2], Data::U8(vec![200, 100])), [1]);
        assert_eq!(arg(true, false, 1, &[0, 3], Data::F32(vec![])), [0i64; 0]);
    }

    #[test]
    fn refusals_say_what_came() {
        let infer = |axis, t| {
            let op = ArgReduce { greatest: true, axis, keep_dims: false, last: false };
            op.infer(&[Some(&t)], &Bindings::SYMBOLIC).map_err(|e| e.0)
        };
        assert_eq!(infer(2, TensorType::known(DType::F32, &[1, 2])).unwrap_err(), "axis 2 of rank 2");
        assert_eq!(infer(0, TensorType::known(DType::F32, &[0, 2])).unwrap_err(), "axis 0 has no element to choose");
        assert_eq!(infer(0, TensorType::known(DType::Bool, &[2])).unwrap_err(), "does not take bool");
        let symbolic = TensorType::new(DType::F32, vec![Dim::symbol(0), Dim::symbol(1)]);
        assert_eq!(infer(1, symbolic).unwrap(), [TensorType::new(DType::I64, vec![Dim::symbol(0)])]);
    }

    proptest! {
        #[test]
        fn agrees_with_sorting(rows in 1usize..4, n in 1usize..9, inner in 1usize..4, greatest: bool, last: bool, seed: u64) {
            let value = |i: usize| (seed.rotate_left(i as u32 * 7) % 5) as i64 - 2;
            let x: Vec<i64> = (0..rows * n * inner).map(value).collect();
            let mut want = Vec::new();
            for r in 0..rows {
                for c in 0..inner {
                    let mut order: Vec<usize> = (0..n).collect();
                    let sign = if greatest { -1 } else { 1 };
                    let tie = |k: usize| if last { n - k } else { k };
                    order.sort_by_key(|k| (sign * x[(r * n + k) * inner + c], tie(*k)));
                    want.push(order[0] as i64);
                }
            }
            prop_assert_eq!(arg(greatest, last, 1, &[rows, n, inner], Data::I64(x)), want);
        }
    }
}
