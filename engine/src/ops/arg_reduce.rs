//! Position of the greatest or least element (ONNX ArgMax, ArgMin); output i64.

use super::Operator;
use crate::cost::Work;
use crate::dim::{Bindings};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

impl ArgReduce {
    /// Name in ONNX.
    pub fn name(&self) -> &'static str {
        if self.greatest { "ArgMax" } else { "ArgMin" }
    }
}

crate::attributes! {
    /// Position along `axis`; ties go to the lowest index, or the highest where `last`.
    pub struct ArgReduce {
        /// Greatest (true) or least (false).
        pub greatest: bool,
        /// The axis, counted from the front.
        pub axis: u8,
        /// Whether the axis stays with length 1.
        pub keep_dims: bool,
        /// Whether ties go to the highest index (ONNX select_last_index).
        pub last: bool,
    }
}

impl Operator for ArgReduce {
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
