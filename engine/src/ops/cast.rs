//! ONNX Cast between the types of LS1.

use super::Operator;
use super::shape::{count, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::float::convert;
use crate::tensor::{DType, Tensor, TensorType};

crate::attributes! {
    /// Conversion of the element type.
    pub struct Cast {
        /// To this type.
        pub to: DType,
    }
}

impl Operator for Cast {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![TensorType::new(self.to, operand(inputs, 0)?.shape.clone())])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, count))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], _: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let Some(x) = tensor(inputs, 0) else { return Ok(Vec::new()) };
        Ok(vec![Tensor { shape: x.shape.clone(), data: convert::cast(&x.data, self.to) }])
    }
}
