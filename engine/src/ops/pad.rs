//! A border of constants, edges or reflections (ONNX Pad).

use super::Operator;
use crate::cost::Work;
use crate::dim::{Bindings};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attribute_enum! {
    /// What stands in the border.
    pub enum PadMode {
        /// The value.
        Constant = 1,
        /// The nearest element.
        Edge = 2,
        /// The mirror image without the edge.
        Reflect = 3,
        /// The tensor repeated.
        Wrap = 4,
    }
}

crate::attributes! {
    /// Operand x, optional scalar of x's type (constant mode; absent: 0).
    pub struct Pad {
        /// What stands in the border.
        pub mode: PadMode,
        /// Elements before each axis.
        pub begin: Vec<u32>,
        /// Elements after each axis.
        pub end: Vec<u32>,
    }
}

impl Operator for Pad {
    fn arity(&self) -> (usize, usize) {
        (1, 2)
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
