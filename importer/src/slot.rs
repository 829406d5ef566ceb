//! What a name of the ONNX graph stands for while it is imported.

use std::sync::Arc;

use crate::build::Val;
use crate::error::Refusal;
use crate::proto::data_type;

/// What a name stands for.
#[derive(Debug, Clone)]
pub(crate) enum Slot {
    /// A tensor of one of LS1's types.
    Tensor(Val),
    /// A constant of a type that LS1 does not compute in.
    Foreign(Arc<Foreign>),
    /// A tensor that was cast to float64, without loss and so far without consequence.
    Widened(Val),
    /// Constant strings.
    Strings(Arc<StringTensor>),
    /// Strings that come from inputs, as codes.
    Codes(Codes),
    /// String labels: indices (i64) into a table.
    Labels(Val, Arc<Vec<String>>),
    /// A result that this importer does not make; it matters only to who takes it.
    Refused(Box<Refusal>),
    /// A result of a node that is refused.
    Poisoned,
}

impl Slot {
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(Box::new(Refusal::new(reason)))
    }
}

/// A constant of a type that LS1 does not compute in, by value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Foreign {
    /// ONNX's number of the type.
    pub(crate) elem_type: i32,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: ForeignData,
}

/// Values of a [`Foreign`]; each holds its types exactly.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ForeignData {
    /// float64, float16, bfloat16.
    Float(Vec<f64>),
    /// int16 and unsigned integers.
    Integer(Vec<i128>),
}

impl Foreign {
    pub(crate) fn type_name(&self) -> String {
        data_type::name(self.elem_type)
    }
}

/// Constant strings with a shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StringTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<String>,
}

/// Strings that come from inputs: i64 codes, and for each position after the first axis
/// (row-major) the string column that it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    pub(crate) val: Val,
    pub(crate) columns: Vec<usize>,
}
