//! LS1: model inference defined bit for bit.
//!
//! The crate holds the model file, the graph and its checks, the operators, the cost model and two
//! executors of one specification (`docs/spec.md`): a plain scalar executor that reads like it and a fast
//! one. It knows nothing of the EVM, of files or of clocks.
//!
//! # Invariants
//! - No input can make it panic or allocate beyond what was checked before.
//! - Every float operation is IEEE-754 binary32, rounded once, in a written order; SIMD, threads
//!   and batch size never change a bit.

// Tests hold the engine to oracles that the code itself must not call.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod conformance;
pub mod cost;
pub mod dim;
pub mod error;
pub mod exec;
pub mod fast;
pub mod float;
pub mod format;
pub mod graph;
pub mod limits;
pub mod model;
pub mod ops;
pub mod resident;
pub mod tensor;

pub use dim::Dim;
pub use error::{ComputeError, Error, OpError};
pub use graph::{Feature, Graph, Input, Labels, Node, Output, ValueId};
pub use limits::Limits;
pub use model::{LoadedModel, Model, ModelId, Plan};
pub use ops::Op;
pub use tensor::{DType, Data, Tensor, TensorType};

/// The version of the arithmetic that this engine implements.
pub const LS1_VERSION: u32 = 1;
