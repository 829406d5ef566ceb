//! Broadcast to a shape (ONNX Expand).

use super::Operator;
use super::shape::{broadcast_strides, check_rank, count, for_each_offset, known_shape, operand, same, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::each_dtype;
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attributes! {
    /// Broadcast to `shape`.
    pub struct Expand {
        /// The shape of the result, over the model's symbols.
        pub shape: Vec<Dim>,
    }
}

/// Unlike ONNX's, `shape` is what comes out: a 1 in it over a longer axis is refused, the importer writes the result.
///
/// # Work
/// Element: elements of the result.
impl Operator for Expand {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], symbols: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        check_rank(self.shape.len())?;
        let shape = symbols.resolve(&self.shape)?;
        let lead = shape.len().checked_sub(x.rank()).ok_or_else(|| {
            OpError::new(format!("rank {} or more expected in the shape, {} came", x.rank(), shape.len()))
        })?;
        for (axis, (from, to)) in x.shape.iter().zip(&shape[lead..]).enumerate() {
            if *from != Dim::Known(1) {
                same(from, to, &format!("axis {axis} of the operand against the shape"))?;
            }
        }
        Ok(vec![TensorType::new(x.dtype, shape)])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, count))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let strides = broadcast_strides(&x.shape, &shape);
        let data = each_dtype!(&x.data, v => {
            let mut y = Vec::new();
            for_each_offset(&shape, [&strides], |[i]| y.push(v[i]));
            y
        });
        Ok(vec![Tensor { shape, data }])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tensor::{DType, Data};

    fn infer(shape: &[u64], x: &[usize]) -> Result<Vec<TensorType>, String> {
        let op = Expand { shape: shape.iter().map(|n| Dim::Known(*n)).collect() };
        op.infer(&[Some(&TensorType::known(DType::U8, x))], &Bindings::SYMBOLIC).map_err(|e| e.0)
    }

    fn run(shape: &[u64], x: &[usize]) -> Vec<u8> {
        let op = Expand { shape: shape.iter().map(|n| Dim::Known(*n)).collect() };
        let n = x.iter().product::<usize>() as u8;
        let t = Tensor::new(x.to_vec(), Data::U8((0..n).collect())).unwrap();
        match op.reference(&[Some(&t)], &infer(shape, x).unwrap()).unwrap().remove(0).data {
            Data::U8(v) => v,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn repeats_axes_of_length_one() {
        assert_eq!(run(&[2, 3], &[3]), [0, 1, 2, 0, 1, 2]);
        assert_eq!(run(&[2, 3], &[2, 1]), [0, 0, 0, 1, 1, 1]);
        assert_eq!(run(&[2], &[]), [0, 0]);
        assert_eq!(run(&[0, 3], &[1, 3]), [0u8; 0]);
    }

    #[test]
    fn refusals_say_what_came() {
        assert_eq!(infer(&[4], &[3]).unwrap_err(), "axis 0 of the operand against the shape: 3 and 4 differ");
        assert!(infer(&[1], &[3]).is_err(), "the shape is the result's");
        assert_eq!(infer(&[3], &[1, 3]).unwrap_err(), "rank 2 or more expected in the shape, 1 came");
        assert_eq!(infer(&[1; 9], &[1]).unwrap_err(), "rank 9, the limit is 8");
    }

    #[test]
    fn symbols_bind_in_the_call() {
        let op = Expand { shape: vec![Dim::symbol(0), Dim::Known(2)] };
        let x = TensorType::known(DType::F32, &[1, 2]);
        assert_eq!(op.infer(&[Some(&x)], &Bindings::SYMBOLIC).unwrap()[0].shape, op.shape);
        let call = op.infer(&[Some(&x)], &Bindings::of(&[Some(5)])).unwrap();
        assert_eq!(call, [TensorType::known(DType::F32, &[5, 2])]);
        assert!(op.infer(&[Some(&x)], &Bindings::of(&[None])).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_index_arithmetic(a in 1u64..4, b in 1u64..4, c in 1u64..4, ones in any::<[bool; 3]>()) {
            let shape = [a, b, c];
            let x: Vec<usize> = (0..3).map(|i| if ones[i] { 1 } else { shape[i] as usize }).collect();
            let mut want = Vec::new();
            for i in 0..a as usize {
                for j in 0..b as usize {
                    for k in 0..c as usize {
                        let at = [i, j, k];
                        let p: Vec<usize> = (0..3).map(|d| if ones[d] { 0 } else { at[d] }).collect();
                        want.push(((p[0] * x[1] + p[1]) * x[2] + p[2]) as u8);
                    }
                }
            }
            prop_assert_eq!(run(&shape, &x), want);
        }
    }
}
