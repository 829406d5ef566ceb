//! The fast path: kernels with the reference's bits, chosen by CPU feature only.
//!
//! A family without a kernel here runs its reference.

#[cfg(test)]
pub(crate) mod testing;
mod threads;

pub use threads::Threads;

use crate::error::ValueFault;
use crate::ops::Op;
use crate::tensor::{Tensor, TensorType};

/// Operands that are constants, laid out for a kernel at load.
#[derive(Debug)]
pub enum Prepared {
    /// Nothing to prepare.
    None,
}

/// Why a kernel gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The call's values.
    Value(ValueFault),
    /// This machine.
    Environment(&'static str),
}

impl From<ValueFault> for Failure {
    fn from(v: ValueFault) -> Self {
        Self::Value(v)
    }
}

/// Lays out the constant operands of a node.
pub fn prepare(_op: &Op, _constants: &[Option<&Tensor>]) -> Prepared {
    Prepared::None
}

/// Runs one operator.
pub fn run(
    op: &Op,
    _prepared: &Prepared,
    inputs: &[Option<&Tensor>],
    output: &TensorType,
    _threads: &Threads,
) -> Result<Tensor, Failure> {
    let out = op.definition().reference(inputs, std::slice::from_ref(output))?;
    out.into_iter().next().ok_or(Failure::Environment("an operator gave no result"))
}
