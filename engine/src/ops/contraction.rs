//! Matrix products by S1 (ONNX MatMul, Gemm).

use super::Operator;
use crate::cost::Work;
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attributes! {
    /// numpy.matmul of two f32 tensors.
    pub struct MatMul {}
}

crate::attributes! {
    /// (alpha * S1) + (beta * C), each one rounding; C (optional) is broadcast to (M, N).
    pub struct Gemm {
        /// Factor of the product.
        pub alpha: f32,
        /// Factor of C.
        pub beta: f32,
        /// Whether A is transposed.
        pub trans_a: bool,
        /// Whether B is transposed.
        pub trans_b: bool,
    }
}

impl Operator for MatMul {
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

impl Operator for Gemm {
    fn arity(&self) -> (usize, usize) {
        (2, 3)
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
