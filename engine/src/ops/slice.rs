//! A regular part of each axis (ONNX Slice, Split).

use super::Operator;
use crate::cost::Work;
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attributes! {
    /// For axis i of the operand: elements `start[i] + k * step[i]`, for k below `size[i]`.
    pub struct Slice {
        /// First element, one per axis.
        pub start: Vec<u64>,
        /// Distance, one per axis; not 0, negative counts down.
        pub step: Vec<i64>,
        /// Number of elements, one per axis, over the model's symbols.
        pub size: Vec<Dim>,
    }
}

impl Operator for Slice {
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
