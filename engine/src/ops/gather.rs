//! Picks along an axis by index (ONNX Gather); a negative index counts from the end.

use super::Operator;
use crate::cost::Work;
use crate::dim::{Bindings};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attributes! {
    /// Operands data, indices (i32 or i64).
    pub struct Gather {
        /// The axis of data, counted from the front.
        pub axis: u8,
    }
}

impl Operator for Gather {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
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
