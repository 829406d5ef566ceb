//! An ensemble of decision trees (ONNX ai.onnx.ml TreeEnsemble*), summed exactly.

use super::Operator;
use crate::cost::Work;
use crate::dim::{Bindings};
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attribute_enum! {
    /// How leaf values of the trees join.
    pub enum Aggregate {
        /// Sum.
        Sum = 1,
        /// Sum divided by f32(trees).
        Average = 2,
        /// Least.
        Min = 3,
        /// Greatest.
        Max = 4,
    }
}

crate::attribute_enum! {
    /// How a node compares the feature with its threshold.
    pub enum Branch {
        /// x <= t
        LessOrEqual = 0,
        /// x < t
        Less = 1,
        /// x >= t
        GreaterOrEqual = 2,
        /// x > t
        Greater = 3,
        /// x == t
        Equal = 4,
        /// x != t
        NotEqual = 5,
    }
}

crate::attributes! {
    /// Operand 0 is x (rows, features) in f32. The tables are constants of the model:
    /// 1 `feature` i32 (nodes), 2 `threshold` f32 (nodes), 3 `mode` u8 (nodes), 4 `children` i32 (nodes, 2),
    /// 5 `roots` i32 (trees), 6 `leaf_start` i32 (leaves + 1), 7 `leaf_target` i32 (entries),
    /// 8 `leaf_value` i64 (entries), 9 `base` i64 (targets).
    ///
    /// `children[n]` is (where the decision is false, where it is true): a later node's number, or `-1 - leaf`.
    /// A root may itself be a leaf. `mode` is the comparison (bits 0-2) plus 8 where a NaN counts as true.
    pub struct TreeEnsemble {
        /// Number of outputs per row.
        pub targets: u32,
        /// Values are multiples of 2^-shift; at most 62.
        pub shift: u8,
        /// How leaf values of the trees join.
        pub aggregate: Aggregate,
        /// Sum over trees of the depth of the deepest leaf (a root that is a leaf: 0); checked against the tables.
        pub total_depth: u32,
        /// Number of features that x must have.
        pub features: u32,
    }
}

impl Operator for TreeEnsemble {
    fn arity(&self) -> (usize, usize) {
        (10, 10)
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
