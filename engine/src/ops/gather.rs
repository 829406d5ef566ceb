//! Picks along an axis by index (ONNX Gather); a negative index counts from the end.

use super::Operator;
use super::shape::{check_rank, count, known_shape, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::each_dtype;
use crate::error::{OpError, ValueFault};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attributes! {
    /// Operands data, indices (i32 or i64).
    pub struct Gather {
        /// The axis of data, counted from the front.
        pub axis: u8,
    }
}

/// Every index is checked, also where the result has no element.
///
/// # Work
/// Element: elements of the result + indices.
impl Operator for Gather {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, index) = (operand(inputs, 0)?, operand(inputs, 1)?);
        let axis = usize::from(self.axis);
        check_indices(index)?;
        if axis >= x.rank() {
            return Err(OpError::new(format!("axis {axis} of rank {}", x.rank())));
        }
        let shape = [&x.shape[..axis], &index.shape, &x.shape[axis + 1..]].concat();
        check_rank(shape.len())?;
        Ok(vec![TensorType::new(x.dtype, shape)])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let indices = inputs.get(1).copied().flatten().map_or(0, count);
        Work::of(Unit::Element, outputs.first().map_or(0, count)).and(Unit::Element, indices)
    }

    fn scratch(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> u64 {
        // The indices as positions.
        inputs.get(1).copied().flatten().map_or(0, count).saturating_mul(8)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(index), Some(out)) = (tensor(inputs, 0), tensor(inputs, 1), outputs.first()) else {
            return Ok(Vec::new());
        };
        let axis = usize::from(self.axis);
        let positions = positions(index, x.shape[axis])?;
        let data = each_dtype!(&x.data, v => pick(v, &x.shape, axis, &positions));
        Ok(vec![Tensor { shape: known_shape(out), data }])
    }
}

/// Indices are i32 or i64.
pub(super) fn check_indices(index: &TensorType) -> Result<(), OpError> {
    match index.dtype {
        DType::I32 | DType::I64 => Ok(()),
        other => Err(OpError::new(format!("indices in i32 or i64 expected, {other} came"))),
    }
}

/// The indices as positions on an axis of length `n`.
pub(super) fn positions(index: &Tensor, n: usize) -> Result<Vec<usize>, ValueFault> {
    match &index.data {
        Data::I32(v) => v.iter().map(|i| position(i64::from(*i), n)).collect(),
        Data::I64(v) => v.iter().map(|i| position(*i, n)).collect(),
        _ => Ok(Vec::new()),
    }
}

/// The position on an axis of length `n`; negative indices count from its end.
pub(super) fn position(index: i64, n: usize) -> Result<usize, ValueFault> {
    let p = if index < 0 { i128::from(index) + n as i128 } else { i128::from(index) };
    if (0..n as i128).contains(&p) { Ok(p as usize) } else { Err(ValueFault::IndexOutOfRange) }
}

fn pick<T: Copy>(x: &[T], shape: &[usize], axis: usize, positions: &[usize]) -> Vec<T> {
    if x.is_empty() || positions.is_empty() {
        return Vec::new();
    }
    let inner: usize = shape[axis + 1..].iter().product();
    let mut out = Vec::with_capacity(x.len() / shape[axis] * positions.len());
    for block in x.chunks_exact(shape[axis] * inner) {
        for p in positions {
            out.extend_from_slice(&block[p * inner..(p + 1) * inner]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dim::Dim;

    fn gather(axis: u8, shape: &[usize], index: &Tensor) -> Result<Tensor, ValueFault> {
        let n = shape.iter().product::<usize>();
        let x = Tensor::new(shape.to_vec(), Data::F32((0..n).map(|i| i as f32).collect())).unwrap();
        let op = Gather { axis };
        let out = op.infer(&[Some(&x.ty()), Some(&index.ty())], &Bindings::SYMBOLIC).unwrap();
        Ok(op.reference(&[Some(&x), Some(index)], &out)?.remove(0))
    }

    fn indices(shape: &[usize], v: &[i64]) -> Tensor {
        Tensor::new(shape.to_vec(), Data::I64(v.to_vec())).unwrap()
    }

    #[test]
    fn picks_rows_columns_and_scalars() {
        let y = gather(0, &[3, 2], &indices(&[2], &[2, -3])).unwrap();
        assert_eq!((y.shape.as_slice(), y.as_f32().unwrap()), (&[2, 2][..], &[4.0, 5.0, 0.0, 1.0][..]));
        let y = gather(1, &[3, 2], &indices(&[], &[-1])).unwrap();
        assert_eq!((y.shape.as_slice(), y.as_f32().unwrap()), (&[3][..], &[1.0, 3.0, 5.0][..]));
        let narrow = Tensor::new(vec![1, 2], Data::I32(vec![1, 1])).unwrap();
        assert_eq!(gather(1, &[1, 3], &narrow).unwrap().shape, [1, 1, 2]);
    }

    #[test]
    fn an_index_outside_fails_even_where_nothing_is_read() {
        for bad in [3, -4, i64::MAX, i64::MIN] {
            assert_eq!(gather(0, &[3, 2], &indices(&[1], &[bad])), Err(ValueFault::IndexOutOfRange));
        }
        assert_eq!(gather(0, &[3, 0], &indices(&[1], &[3])), Err(ValueFault::IndexOutOfRange));
        assert_eq!(gather(0, &[0], &indices(&[1], &[0])), Err(ValueFault::IndexOutOfRange));
        assert_eq!(gather(0, &[0, 2], &indices(&[0], &[])).unwrap().shape, [0, 2]);
    }

    #[test]
    fn refusals_say_what_came() {
        let infer = |axis, x: TensorType, i: TensorType| {
            Gather { axis }.infer(&[Some(&x), Some(&i)], &Bindings::SYMBOLIC).map_err(|e| e.0)
        };
        let t = |d, shape: &[usize]| TensorType::known(d, shape);
        let float = infer(0, t(DType::F32, &[2]), t(DType::F32, &[1])).unwrap_err();
        assert_eq!(float, "indices in i32 or i64 expected, f32 came");
        assert_eq!(infer(1, t(DType::F32, &[2]), t(DType::I64, &[1])).unwrap_err(), "axis 1 of rank 1");
        let rank = infer(0, t(DType::F32, &[1; 5]), t(DType::I64, &[1; 5])).unwrap_err();
        assert_eq!(rank, "rank 9, the limit is 8");
        let x = TensorType::new(DType::U8, vec![Dim::symbol(0), Dim::Known(4)]);
        let out = infer(1, x, TensorType::new(DType::I64, vec![Dim::symbol(1)])).unwrap();
        assert_eq!(out, [TensorType::new(DType::U8, vec![Dim::symbol(0), Dim::symbol(1)])]);
    }

    proptest! {
        #[test]
        fn agrees_with_index_arithmetic(
            a in 1usize..4, n in 1usize..5, b in 1usize..4, index in proptest::collection::vec(-6i64..6, 0..5),
        ) {
            let got = gather(1, &[a, n, b], &indices(&[index.len()], &index));
            if index.iter().any(|i| *i >= n as i64 || *i < -(n as i64)) {
                prop_assert_eq!(got, Err(ValueFault::IndexOutOfRange));
            } else {
                let mut want = Vec::new();
                for i in 0..a {
                    for k in &index {
                        let k = k.rem_euclid(n as i64) as usize;
                        want.extend((0..b).map(|j| ((i * n + k) * b + j) as f32));
                    }
                }
                let got = got.unwrap();
                prop_assert_eq!(got.as_f32().unwrap(), want);
            }
        }
    }
}
