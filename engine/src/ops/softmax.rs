//! Softmax and LogSoftmax along one axis (ONNX opset 13).

use super::Operator;
use crate::cost::Work;
use crate::dim::{Bindings};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

impl Softmax {
    /// Name in ONNX.
    pub fn name(&self) -> &'static str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }
}

crate::attributes! {
    /// max, subtract, exp, S2, divide; the logarithm is (x - max) - log(sum).
    pub struct Softmax {
        /// The axis, counted from the front.
        pub axis: u8,
        /// Whether the logarithm is computed.
        pub log: bool,
    }
}

impl Operator for Softmax {
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
