//! Errors of the engine: what was expected, what came, what to do.

use crate::ops::require::Requirement;
use crate::tensor::DType;

/// Why a model file or a graph is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not the one canonical encoding of a model.
    #[error("not a canonical model file at byte {offset}: {reason}")]
    NotCanonical {
        /// Offset in the section that was being read.
        offset: usize,
        /// What was expected.
        reason: &'static str,
    },
    /// The file ends early.
    #[error("the model file ends at byte {have}, {need} are needed: it is truncated or no model file")]
    Truncated {
        /// Bytes needed.
        need: u64,
        /// Bytes present.
        have: u64,
    },
    /// A limit of the chain (or of the format) is exceeded.
    #[error("{limit} is {actual}, the limit is {maximum}")]
    Limit {
        /// Which limit, by its name in `config.lockstep.limits`.
        limit: &'static str,
        /// The largest value allowed.
        maximum: u64,
        /// The value found.
        actual: u64,
    },
    /// The graph is malformed.
    #[error("graph: {0}")]
    Graph(String),
    /// An operator refuses its operands or attributes.
    #[error("node {node} ({operator}): {source}")]
    Node {
        /// Position of the node.
        node: usize,
        /// Name of the operator.
        operator: &'static str,
        /// Why.
        source: OpError,
    },
    /// The file names an LS1 version that this engine does not have.
    #[error("the model is written for LS1 version {0}; this engine has version 1")]
    Version(u32),
    /// The weights do not fit the graph (tables out of range, NaN or infinity where none may be).
    #[error("weights: {0}")]
    Weights(String),
}

/// Why a call (not the model) is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// Another number of inputs than the model has.
    #[error("the model takes {expected} inputs, {actual} came")]
    InputCount {
        /// Inputs of the model.
        expected: usize,
        /// Inputs given.
        actual: usize,
    },
    /// An input has another type.
    #[error("input {index} is {expected}, {actual} came")]
    InputType {
        /// Position of the input.
        index: usize,
        /// Type of the model's input.
        expected: DType,
        /// Type given.
        actual: DType,
    },
    /// An input has another rank.
    #[error("input {index} has rank {expected}, rank {actual} came")]
    InputRank {
        /// Position of the input.
        index: usize,
        /// Rank of the model's input.
        expected: usize,
        /// Rank given.
        actual: usize,
    },
    /// A fixed dimension of an input differs.
    #[error("input {index}, axis {axis}: {expected} expected, {actual} came")]
    InputShape {
        /// Position of the input.
        index: usize,
        /// Axis.
        axis: usize,
        /// Size in the model.
        expected: u64,
        /// Size given.
        actual: u64,
    },
    /// A symbol is bound to two sizes by one call.
    #[error("the dimension '{symbol}' is {bound} in one place and {actual} in another")]
    DimensionConflict {
        /// Name of the symbol.
        symbol: String,
        /// First size.
        bound: u64,
        /// Second size.
        actual: u64,
    },
    /// The graph cannot join its tensors at these dimensions.
    #[error("node {node} ({operator}) cannot take these shapes: {source}")]
    Shape {
        /// Position of the node.
        node: usize,
        /// Name of the operator.
        operator: &'static str,
        /// Why.
        source: OpError,
    },
    /// The call would exceed a limit.
    #[error("{limit} of this call is {actual}, the limit is {maximum}")]
    Limit {
        /// Name of the limit.
        limit: &'static str,
        /// Largest value allowed.
        maximum: u64,
        /// Value of this call.
        actual: u64,
    },
    /// An operator meets values it has no result for.
    #[error("node {node} ({operator}): {reason}")]
    Value {
        /// Position of the node.
        node: usize,
        /// Name of the operator.
        operator: &'static str,
        /// Why, one of a fixed list.
        reason: ValueFault,
    },
    /// This machine cannot compute LS1 right now (a fault of the node, never of the call).
    #[error("this node's fault: {0}")]
    Environment(&'static str),
}

/// Values for which an operator has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueFault {
    /// Integer division or modulus by zero.
    #[error("integer division by zero")]
    DivisionByZero,
    /// An index outside its axis.
    #[error("index out of range")]
    IndexOutOfRange,
    /// An integer power with a negative exponent.
    #[error("negative exponent of an integer power")]
    NegativeExponent,
    /// A condition of the model does not hold.
    #[error("not as required: {0}")]
    Required(Requirement),
}

/// Why an operator refuses its operand types, shapes or attributes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpError(pub String);

impl OpError {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
