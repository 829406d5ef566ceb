//! Convolution by S1 (ONNX Conv), any number of spatial axes from 1 to 3.

use super::Operator;
use crate::cost::Work;
use crate::dim::{Bindings};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attributes! {
    /// Operands x (N, C, spatial...), w (M, C / groups, kernel...), optional bias (M).
    pub struct Conv {
        /// Groups of channels; divides C and M.
        pub groups: u32,
        /// Step of each spatial axis.
        pub strides: Vec<u32>,
        /// Distance of the kernel's taps along each spatial axis.
        pub dilations: Vec<u32>,
        /// Zeros before each spatial axis.
        pub pads_begin: Vec<u32>,
        /// Zeros after each spatial axis.
        pub pads_end: Vec<u32>,
    }
}

impl Operator for Conv {
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
