//! Broadcast to a shape (ONNX Expand).

use super::Operator;
use crate::cost::Work;
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attributes! {
    /// Broadcast to `shape`.
    pub struct Expand {
        /// The shape of the result, over the model's symbols.
        pub shape: Vec<Dim>,
    }
}

impl Operator for Expand {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, _inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        Err(OpError::new("kernel to be written"))
    }

    fn work(&self, _: &[Option<&TensorType>], _outputs: &[TensorType]) -> Work {
        Work::default()
    }

    fn reference(&self, _inputs: &[Option<&Tensor>], _outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        Ok(Vec::new())
    }
}
