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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn softmax(log: bool, axis: u8, shape: &[usize], x: &[f32]) -> Vec<f32> {
        let op = Softmax { axis, log };
        let x = Tensor::new(shape.to_vec(), Data::F32(x.to_vec())).unwrap();
        let out = op.infer(&[Some(&x.ty())], &Bindings::SYMBOLIC).unwrap();
        op.reference(&[Some(&x)], &out).unwrap()[0].as_f32().unwrap().to_vec()
    }

    #[test]
    fn values_by_hand() {
        assert_eq!(softmax(false, 0, &[4], &[7.0; 4]), [0.25; 4]);
        assert_eq!(softmax(false, 0, &[2], &[1000.0, 0.0]), [1.0, 0.0]);
        assert_eq!(softmax(true, 0, &[2], &[5.0, 5.0]), [-std::f32::consts::LN_2; 2]);
        assert_eq!(softmax(true, 0, &[2], &[1000.0, 0.0]), [0.0, -1000.0]);
        // exp(-1) rounded, 1 + that rounded, two divisions.
        let e = elementary::exp(-1.0);
        assert_eq!(softmax(false, 0, &[2], &[2.0, 1.0]), [1.0 / (1.0 + e), e / (1.0 + e)]);
        assert_eq!(softmax(false, 0, &[2, 2], &[1.0, 5.0, 1.0, 5.0]), [0.5; 4]);
    }

    #[test]
    fn masked_rows_are_zeros_and_minus_infinity() {
        let inf = f32::INFINITY;
        let masked = [-inf, -inf, 0.0, -inf];
        assert_eq!(softmax(false, 1, &[2, 2], &masked), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(softmax(true, 1, &[2, 2], &masked), [-inf, -inf, 0.0, -inf]);
    }

    #[test]
    fn nan_and_infinite_rows_are_nan_and_leave_the_others() {
        for log in [false, true] {
            for bad in [f32::NAN, f32::INFINITY] {
                let y = softmax(log, 0, &[2, 2], &[bad, 3.0, f32::NEG_INFINITY, 3.0]);
                assert!(y[0].is_nan() && y[2].is_nan(), "{y:?}");
                assert!(y[1].is_finite() && y[3].is_finite());
            }
        }
        assert!(softmax(false, 0, &[2], &[f32::INFINITY, 0.0]).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn empty_axes_and_refusals() {
        assert!(softmax(false, 1, &[3, 0], &[]).is_empty());
        assert!(softmax(true, 0, &[3, 0], &[]).is_empty());
        let infer = |axis, t, shape: &[usize]| {
            let op = Softmax { axis, log: false };
            op.infer(&[Some(&TensorType::known(t, shape))], &Bindings::SYMBOLIC).unwrap_err().0
        };
        assert_eq!(infer(0, DType::I32, &[2]), "f32 expected, i32 came");
        assert_eq!(infer(1, DType::F32, &[2]), "axis 1 of rank 1");
    }

    #[test]
    fn work_counts_rows() {
        let t = [TensorType::known(DType::F32, &[4, 10, 3])];
        let work = |log| Softmax { axis: 1, log }.work(&[], &t);
        let counts = |w: Work| [w.get(Unit::Element), w.get(Unit::Elementary), w.get(Unit::Division)];
        assert_eq!(counts(work(false)), [3 * 120 + 16 * 12, 120, 120]);
        assert_eq!(counts(work(true)), [4 * 120 + 16 * 12, 132, 0]);
        let empty = Softmax { axis: 0, log: false }.work(&[], &[TensorType::known(DType::F32, &[0])]);
        assert_eq!(counts(empty), [0, 0, 0]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_written_sequence(
            rows in 1usize..4, n in 1usize..40, inner in 1usize..4, log: bool, seed: u32,
        ) {
            let value = |i: usize| ((seed ^ i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 2e5 - 40.0;
            let x: Vec<f32> = (0..rows * n * inner).map(value).collect();
            let got = softmax(log, 1, &[rows, n, inner], &x);
            for r in 0..rows {
                for c in 0..inner {
                    let at = |k: usize| (r * n + k) * inner + c;
                    let max = (0..n).map(|k| x[at(k)]).fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
                    let exps: Vec<f32> = (0..n).map(|k| elementary::exp(x[at(k)] - max)).collect();
                    let sum = s2::sum_slice(&exps);
                    for k in 0..n {
                        let want = if log { (x[at(k)] - max) - elementary::log(sum) } else { exps[k] / sum };
                        prop_assert_eq!(got[at(k)].to_bits(), want.to_bits());
                    }
                }
            }
        }
    }
}
