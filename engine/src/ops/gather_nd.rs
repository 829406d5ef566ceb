//! Picks slices by index vectors (ONNX GatherND 13); a negative index counts from the end.

use super::Operator;
use super::gather::{check_indices, position};
use super::shape::{check_rank, count, known_shape, operand, same, strides, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::each_dtype;
use crate::error::{OpError, ValueFault};
use crate::tensor::{Data, Tensor, TensorType};

crate::attributes! {
    /// Operands data, indices (i32 or i64), whose last axis holds index vectors of known length k.
    /// The result has the shape indices[..q-1] followed by data[batch_dims + k..].
    pub struct GatherND {
        /// Leading axes that data and indices share.
        pub batch_dims: u8,
    }
}

/// The known length of the index vectors, at most `most`.
pub(super) fn vector_length(index: &TensorType, most: usize) -> Result<usize, OpError> {
    check_indices(index)?;
    match index.shape.last() {
        Some(Dim::Known(k)) if *k >= 1 && *k <= most as u64 => Ok(*k as usize),
        Some(Dim::Known(k)) => Err(OpError::new(format!("index vectors of length {k}, 1 to {most} expected"))),
        _ => Err(OpError::new("index vectors of known length expected")),
    }
}

/// # Work
/// Element: elements of the result + 4 for each index.
impl Operator for GatherND {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, index) = (operand(inputs, 0)?, operand(inputs, 1)?);
        let batch = usize::from(self.batch_dims);
        if batch >= index.rank() || batch > x.rank() {
            return Err(OpError::new(format!("{batch} shared axes of ranks {} and {}", x.rank(), index.rank())));
        }
        let k = vector_length(index, x.rank() - batch)?;
        for i in 0..batch {
            same(&x.shape[i], &index.shape[i], "shared axis")?;
        }
        let shape = [&index.shape[..index.rank() - 1], &x.shape[batch + k..]].concat();
        check_rank(shape.len())?;
        Ok(vec![TensorType::new(x.dtype, shape)])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let indices = inputs.get(1).copied().flatten().map_or(0, count);
        Work::of(Unit::Element, outputs.first().map_or(0, count)).and(Unit::Element, indices.saturating_mul(4))
    }

    fn scratch(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> u64 {
        // The offsets of the slices.
        inputs.get(1).copied().flatten().map_or(0, count).saturating_mul(8)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(index), Some(out)) = (tensor(inputs, 0), tensor(inputs, 1), outputs.first()) else {
            return Ok(Vec::new());
        };
        if out.elements() == Some(0) {
            return Ok(vec![Tensor::empty(out.dtype, known_shape(out))]);
        }
        let batch = usize::from(self.batch_dims);
        let (k, q) = (index.shape[index.shape.len() - 1], index.shape.len());
        let each: usize = x.shape[batch..].iter().product();
        let per_batch: usize = index.shape[batch..q - 1].iter().product();
        let slice: usize = x.shape[batch + k..].iter().product();
        let offsets = offsets(&x.shape[batch..], index, k)?;
        let data = each_dtype!(&x.data, v => {
            let mut y = Vec::with_capacity(offsets.len() * slice);
            for (n, o) in offsets.iter().enumerate() {
                let at = n / per_batch * each + o;
                y.extend_from_slice(&v[at..at + slice]);
            }
            y
        });
        Ok(vec![Tensor { shape: known_shape(out), data }])
    }
}

/// The offset that each index vector of length `k` names in a tensor of this shape.
pub(super) fn offsets(shape: &[usize], index: &Tensor, k: usize) -> Result<Vec<usize>, ValueFault> {
    let strides = strides(shape);
    let offset = |vector: &mut dyn Iterator<Item = i64>| {
        vector.zip(shape.iter().zip(&strides)).try_fold(0, |o, (i, (n, s))| Ok(o + position(i, *n)? * s))
    };
    match &index.data {
        Data::I32(v) => v.chunks_exact(k).map(|c| offset(&mut c.iter().map(|i| i64::from(*i)))).collect(),
        Data::I64(v) => v.chunks_exact(k).map(|c| offset(&mut c.iter().copied())).collect(),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    fn run(batch_dims: u8, shape: &[usize], index: (&[usize], &[i64])) -> Result<Tensor, ValueFault> {
        let n = shape.iter().product::<usize>();
        let x = Tensor::new(shape.to_vec(), Data::I32((0..n as i32).collect())).unwrap();
        let index = Tensor::new(index.0.to_vec(), Data::I64(index.1.to_vec())).unwrap();
        let op = GatherND { batch_dims };
        let out = op.infer(&[Some(&x.ty()), Some(&index.ty())], &Bindings::SYMBOLIC).unwrap();
        Ok(op.reference(&[Some(&x), Some(&index)], &out)?.remove(0))
    }

    #[test]
    fn elements_slices_and_batches() {
        let y = run(0, &[2, 2], (&[2, 2], &[0, 0, 1, -1])).unwrap();
        assert_eq!((y.shape.as_slice(), y.data), (&[2][..], Data::I32(vec![0, 3])));
        let y = run(0, &[2, 2, 2], (&[2, 1, 2], &[0, 1, 1, 0])).unwrap();
        assert_eq!((y.shape.as_slice(), y.data), (&[2, 1, 2][..], Data::I32(vec![2, 3, 4, 5])));
        let y = run(1, &[2, 2, 2], (&[2, 1], &[1, 0])).unwrap();
        assert_eq!((y.shape.as_slice(), y.data), (&[2, 2][..], Data::I32(vec![2, 3, 4, 5])));
        assert_eq!(run(0, &[2, 2], (&[1, 2], &[0, 2])), Err(ValueFault::IndexOutOfRange));
        assert_eq!(run(0, &[2, 2], (&[1, 2], &[-3, 0])), Err(ValueFault::IndexOutOfRange));
    }

    #[test]
    fn refusals_say_what_came() {
        let infer = |batch_dims, x: &[usize], i: TensorType| {
            let x = TensorType::known(DType::U8, x);
            GatherND { batch_dims }.infer(&[Some(&x), Some(&i)], &Bindings::SYMBOLIC).map_err(|e| e.0)
        };
        let i = |shape: &[usize]| TensorType::known(DType::I64, shape);
        assert_eq!(infer(0, &[2], i(&[1, 2])).unwrap_err(), "index vectors of length 2, 1 to 1 expected");
        assert_eq!(infer(1, &[2], i(&[1])).unwrap_err(), "1 shared axes of ranks 1 and 1");
        assert!(infer(1, &[2, 2], i(&[3, 1])).unwrap_err().contains("2 and 3 differ"));
        let symbolic = TensorType::new(DType::I64, vec![Dim::symbol(0)]);
        assert_eq!(infer(0, &[2], symbolic).unwrap_err(), "index vectors of known length expected");
    }
}
