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
