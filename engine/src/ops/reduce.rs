//! Reductions over axes by S2 (ONNX Reduce*).

use super::Operator;
use crate::cost::Work;
use crate::dim::{Bindings};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attribute_enum! {
    /// Which reduction.
    pub enum ReduceKind {
        /// Sum (S2); integers wrap.
        Sum = 1,
        /// Sum / f32(n).
        Mean = 2,
        /// Greatest, NaN if any is.
        Max = 3,
        /// Least, NaN if any is.
        Min = 4,
        /// Product in the lanes of S2.
        Prod = 5,
        /// Sum of |x|.
        L1 = 6,
        /// Square root of the sum of squares.
        L2 = 7,
        /// Sum of squares.
        SumSquare = 8,
        /// Logarithm of the sum.
        LogSum = 9,
        /// Logarithm of the sum of exponentials, the maximum subtracted first.
        LogSumExp = 10,
    }
}

impl ReduceKind {
    /// Name in ONNX.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "ReduceSum",
            Self::Mean => "ReduceMean",
            Self::Max => "ReduceMax",
            Self::Min => "ReduceMin",
            Self::Prod => "ReduceProd",
            Self::L1 => "ReduceL1",
            Self::L2 => "ReduceL2",
            Self::SumSquare => "ReduceSumSquare",
            Self::LogSum => "ReduceLogSum",
            Self::LogSumExp => "ReduceLogSumExp",
        }
    }
}

crate::attributes! {
    /// Reduction over `axes`.
    pub struct Reduce {
        /// What is computed.
        pub kind: ReduceKind,
        /// The axes, ascending, counted from the front; not empty.
        pub axes: Vec<u8>,
        /// Whether the reduced axes stay with length 1.
        pub keep_dims: bool,
    }
}

impl Operator for Reduce {
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
