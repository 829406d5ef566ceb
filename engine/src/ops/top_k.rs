//! Positions of the k greatest or least elements along an axis (ONNX TopK 11), in order; output i64.

use std::cmp::Ordering;

use super::Operator;
use super::shape::{count, known_shape, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::float::total_order;
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attributes! {
    /// Positions along `axis`, the greatest (or least) element's first; of equals the lowest index comes first.
    pub struct TopK {
        /// The axis, counted from the front.
        pub axis: u8,
        /// How many, at most the axis' length.
        pub k: Dim,
        /// Greatest (true) or least (false).
        pub greatest: bool,
    }
}

/// # Work
/// Element: 8 for each element of the operand (selection) + 2 (log2(k) + 1) for each of the result (sort).
impl Operator for TopK {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], symbols: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        let axis = usize::from(self.axis);
        if x.dtype == DType::Bool {
            return Err(OpError::new("does not take bool"));
        }
        let k = symbols.resolve(std::slice::from_ref(&self.k))?.pop().unwrap_or(Dim::Known(0));
        match (x.shape.get(axis), &k) {
            (None, _) => return Err(OpError::new(format!("axis {axis} of rank {}", x.rank()))),
            (Some(Dim::Known(n)), Dim::Known(k)) if k > n => {
                return Err(OpError::new(format!("the greatest {k} of {n} elements")));
            }
            _ => {}
        }
        let mut shape = x.shape.clone();
        shape[axis] = k;
        Ok(vec![TensorType::new(DType::I64, shape)])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let n = inputs.first().copied().flatten().map_or(0, count);
        let results = outputs.first().map_or(0, count);
        let k = outputs.first().and_then(|t| t.shape.get(usize::from(self.axis))?.as_known()).unwrap_or(1);
        let levels = u64::from(64 - k.leading_zeros()) + 1;
        Work::of(Unit::Element, n.saturating_mul(8)).and(Unit::Element, results.saturating_mul(2 * levels))
    }

    fn scratch(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> u64 {
        // The positions of one row.
        let axis = inputs.first().copied().flatten().and_then(|t| t.shape.get(usize::from(self.axis))?.as_known());
        axis.unwrap_or(0).saturating_mul(8)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let k = shape[usize::from(self.axis)];
        let positions = match &x.data {
            Data::F32(v) => self.positions(v, &x.shape, k, |a, b| total_order(*a, *b)),
            Data::U8(v) => self.positions(v, &x.shape, k, Ord::cmp),
            Data::I8(v) => self.positions(v, &x.shape, k, Ord::cmp),
            Data::I32(v) => self.positions(v, &x.shape, k, Ord::cmp),
            Data::I64(v) => self.positions(v, &x.shape, k, Ord::cmp),
            Data::Bool(_) => return Ok(Vec::new()),
        };
        Ok(vec![Tensor { shape, data: Data::I64(positions) }])
    }
}

impl TopK {
    fn positions<T>(&self, x: &[T], shape: &[usize], k: usize, order: impl Fn(&T, &T) -> Ordering) -> Vec<i64> {
        if x.is_empty() || k == 0 {
            return Vec::new();
        }
        let axis = usize::from(self.axis);
        let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        let mut out = vec![0i64; x.len() / n * k];
        let mut row: Vec<usize> = Vec::with_capacity(n);
        for (block, out) in x.chunks_exact(n * inner).zip(out.chunks_exact_mut(k * inner)) {
            for i in 0..inner {
                // No two positions are equal in this order: which k come first, and how, is one answer.
                let before = |a: &usize, b: &usize| {
                    let by_value = order(&block[a * inner + i], &block[b * inner + i]);
                    if self.greatest { by_value.reverse() } else { by_value }.then(a.cmp(b))
                };
                row.clear();
                row.extend(0..n);
                if k < n {
                    row.select_nth_unstable_by(k, before);
                }
                row[..k].sort_unstable_by(before);
                for (j, p) in row[..k].iter().enumerate() {
                    out[j * inner + i] = *p as i64;
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn top(greatest: bool, k: u64, axis: u8, shape: &[usize], data: Data) -> Vec<i64> {
        let op = TopK { axis, k: Dim::Known(k), greatest };
        let x = Tensor::new(shape.to_vec(), data).unwrap();
        let out = op.infer(&[Some(&x.ty())], &Bindings::SYMBOLIC).unwrap();
        op.reference(&[Some(&x)], &out).unwrap()[0].as_i64().unwrap().to_vec()
    }

    #[test]
    fn nan_comes_first_of_the_greatest_and_equals_by_position() {
        let x = Data::F32(vec![1.0, f32::NAN, f32::INFINITY, -0.0, 0.0, f32::NAN]);
        assert_eq!(top(true, 6, 0, &[6], x.clone()), [1, 5, 2, 0, 3, 4]);
        assert_eq!(top(false, 6, 0, &[6], x.clone()), [3, 4, 0, 2, 1, 5]);
        assert_eq!(top(true, 1, 0, &[6], x.clone()), [1]);
        assert_eq!(top(true, 0, 0, &[6], x), [0i64; 0]);
        assert_eq!(top(true, 1, 0, &[2, 3], Data::I32(vec![1, 9, 5, 4, 2, 5])), [1, 0, 0]);
    }

    #[test]
    fn refusals_say_what_came() {
        let infer = |axis, k, t: TensorType| {
            TopK { axis, k, greatest: true }.infer(&[Some(&t)], &Bindings::SYMBOLIC).map_err(|e| e.0)
        };
        let t = |d, shape: &[usize]| TensorType::known(d, shape);
        assert_eq!(infer(0, Dim::Known(3), t(DType::F32, &[2])).unwrap_err(), "the greatest 3 of 2 elements");
        assert_eq!(infer(1, Dim::Known(1), t(DType::F32, &[2])).unwrap_err(), "axis 1 of rank 1");
        assert_eq!(infer(0, Dim::Known(1), t(DType::Bool, &[2])).unwrap_err(), "does not take bool");
        let symbolic = TensorType::new(DType::F32, vec![Dim::symbol(0), Dim::Known(5)]);
        let out = infer(1, Dim::Known(2), symbolic).unwrap();
        assert_eq!(out, [TensorType::new(DType::I64, vec![Dim::symbol(0), Dim::Known(2)])]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_full_sort(n in 1usize..40, inner in 1usize..4, part in 0usize..40, greatest: bool, seed: u64) {
            let x: Vec<i64> = (0..n * inner).map(|i| (seed.rotate_left(i as u32 * 7) % 6) as i64).collect();
            let k = part % (n + 1);
            let mut want = vec![0; k * inner];
            for c in 0..inner {
                let mut order: Vec<usize> = (0..n).collect();
                order.sort_by_key(|p| (if greatest { -1 } else { 1 } * x[p * inner + c], *p));
                for j in 0..k {
                    want[j * inner + c] = order[j] as i64;
                }
            }
            prop_assert_eq!(top(greatest, k as u64, 0, &[n, inner], Data::I64(x)), want);
        }
    }
}
