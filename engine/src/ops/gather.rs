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
        if !matches!(index.dtype, DType::I32 | DType::I64) {
            return Err(OpError::new(format!("indices in i32 or i64 expected, {} came", index.dtype)));
        }
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
        let positions = match &index.data {
            Data::I32(v) => v.iter().map(|i| position(i64::from(*i), x.shape[axis])).collect::<Result<Vec<_>, _>>()?,
            Data::I64(v) => v.iter().map(|i| position(*i, x.shape[axis])).collect::<Result<Vec<_>, _>>()?,
            _ => return Ok(Vec::new()),
        };
        let data = each_dtype!(&x.data, v => pick(v, &x.shape, axis, &positions));
        Ok(vec![Tensor { shape: known_shape(out), data }])
    }
}

/// The position on an axis of length `n`; negative indices count from its end.
fn position(index: i64, n: usize) -> Result<usize, ValueFault> {
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
