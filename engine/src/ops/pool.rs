//! Max and average pooling (ONNX MaxPool, AveragePool), 1 to 3 spatial axes.

use super::Operator;
use crate::cost::Work;
use crate::dim::{Bindings};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attribute_enum! {
    /// Which pooling.
    pub enum PoolKind {
        /// Greatest value of the window.
        Max = 1,
        /// Mean of the window.
        Average = 2,
    }
}

impl Pool {
    /// Name in ONNX.
    pub fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "MaxPool",
            PoolKind::Average => "AveragePool",
        }
    }
}

crate::attributes! {
    /// Operand x (N, C, spatial...).
    pub struct Pool {
        /// Greatest value, or mean by S2.
        pub kind: PoolKind,
        /// Size of the window.
        pub kernel: Vec<u32>,
        /// Step of each spatial axis.
        pub strides: Vec<u32>,
        /// Distance of the window's taps.
        pub dilations: Vec<u32>,
        /// Border before each spatial axis.
        pub pads_begin: Vec<u32>,
        /// Border after each spatial axis.
        pub pads_end: Vec<u32>,
        /// Whether the number of windows is rounded up (ONNX ceil_mode).
        pub ceil: bool,
        /// Whether the border counts in the divisor of a mean.
        pub count_pad: bool,
    }
}

impl Operator for Pool {
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
