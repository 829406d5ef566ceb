//! Another shape for the same elements (ONNX Reshape, Flatten, Squeeze, Unsqueeze).

use super::Operator;
use super::shape::{check_rank, known_shape, operand, product, same, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attributes! {
    /// Another shape for the same elements.
    pub struct Reshape {
        /// The new shape, over the model's symbols; the importer has resolved 0 and -1.
        pub shape: Vec<Dim>,
    }
}

impl Operator for Reshape {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], symbols: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        check_rank(self.shape.len())?;
        let shape = symbols.resolve(&self.shape)?;
        same(&product(&x.shape)?, &product(&shape)?, "number of elements before and after")?;
        Ok(vec![TensorType::new(x.dtype, shape)])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, super::shape::count))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        Ok(vec![Tensor { shape: known_shape(out), data: x.data.clone() }])
    }
}
