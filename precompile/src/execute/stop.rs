//! What ends a call early: the three levels of failure (spec section 7), and how the engine's errors map to them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use alloy_primitives::U256;
use alloy_sol_types::SolError;
use lockstep_engine::ComputeError;

use crate::Fatal;
use crate::abi::{DecodeError, IInference as E};
use crate::gas::OutOfGas;

/// Longest reason that an error carries, in bytes.
const MAX_REASON: usize = 256;

/// `kind` of an input in errors.
pub(super) const INPUT: u8 = 0;
/// `kind` of an output in errors.
pub(super) const OUTPUT: u8 = 1;

/// The end of a call that has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// The caller's fault, encoded.
    Revert(Vec<u8>),
    /// Too little gas.
    OutOfGas,
    /// This node's fault.
    Fatal(String),
}

impl Stop {
    pub(super) fn revert(error: &impl SolError) -> Self {
        Self::Revert(error.abi_encode())
    }

    pub(super) fn limit(limit: &str, maximum: u64, actual: u64) -> Self {
        let (maximum, actual) = (U256::from(maximum), U256::from(actual));
        Self::revert(&E::LimitExceeded { limit: limit.to_owned(), maximum, actual })
    }

    pub(super) fn input_length(index: usize, expected: U256, actual: usize) -> Self {
        let (index, actual) = (U256::from(index), U256::from(actual));
        Self::revert(&E::WrongLength { kind: INPUT, index, expected, actual })
    }

    pub(super) fn input_type(index: usize, expected: u8, actual: u8) -> Self {
        Self::revert(&E::WrongType { kind: INPUT, index: U256::from(index), expected, actual })
    }

    pub(super) fn out_of_range(index: usize, position: usize) -> Self {
        Self::revert(&E::OutOfRange { kind: INPUT, index: U256::from(index), position: U256::from(position) })
    }

    pub(super) fn not_a_number(index: usize, position: usize) -> Self {
        Self::revert(&E::NotANumber { kind: OUTPUT, index: U256::from(index), position: U256::from(position) })
    }

    pub(super) fn not_representable(index: usize, position: usize) -> Self {
        Self::revert(&E::NotRepresentable { kind: OUTPUT, index: U256::from(index), position: U256::from(position) })
    }
}

impl From<OutOfGas> for Stop {
    fn from(_: OutOfGas) -> Self {
        Self::OutOfGas
    }
}

impl From<Fatal> for Stop {
    fn from(e: Fatal) -> Self {
        Self::Fatal(e.0)
    }
}

impl From<DecodeError> for Stop {
    fn from(e: DecodeError) -> Self {
        match e {
            DecodeError::UnknownSelector(s) => Self::revert(&E::UnknownSelector { selector: s.into() }),
            DecodeError::NotCanonical(at) => Self::revert(&E::NotCanonical { offset: U256::from(at.0) }),
        }
    }
}

impl From<ComputeError> for Stop {
    fn from(e: ComputeError) -> Self {
        let n = U256::from::<usize>;
        match e {
            ComputeError::InputCount { expected, actual } => {
                Self::revert(&E::WrongInputCount { expected: n(expected), actual: n(actual) })
            }
            ComputeError::InputType { index, expected, actual } => {
                Self::input_type(index, expected.code(), actual.code())
            }
            ComputeError::InputRank { index, expected, actual } => Self::revert(&E::WrongShape {
                kind: INPUT,
                index: n(index),
                axis: U256::MAX,
                expected: n(expected),
                actual: n(actual),
            }),
            ComputeError::InputShape { index, axis, expected, actual } => Self::revert(&E::WrongShape {
                kind: INPUT,
                index: n(index),
                axis: n(axis),
                expected: U256::from(expected),
                actual: U256::from(actual),
            }),
            ComputeError::DimensionConflict { symbol, bound, actual } => {
                Self::revert(&E::DimensionConflict { symbol, bound: U256::from(bound), actual: U256::from(actual) })
            }
            ComputeError::Shape { node, operator, .. } => {
                Self::revert(&E::ShapeMismatch { node: n(node), operator: operator.to_owned() })
            }
            ComputeError::Limit { limit, maximum, actual } => Self::limit(limit, maximum, actual),
            ComputeError::Value { node, operator, reason } => Self::revert(&E::ComputationFailed {
                node: n(node),
                operator: operator.to_owned(),
                reason: reason.to_string(),
            }),
            ComputeError::Environment(reason) => Self::Fatal(reason.to_owned()),
        }
    }
}

/// A reason of bounded length.
pub(super) fn reason(mut text: String) -> String {
    if text.len() > MAX_REASON {
        text.truncate(text.floor_char_boundary(MAX_REASON));
    }
    text
}

/// Carries out a call; a panic in it is this node's fault and never an answer.
pub(super) fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Stop::Fatal(format!("a call panicked: {}", text.unwrap_or("no message")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_fatal_and_keeps_its_message() {
        assert_eq!(guarded(|| 2), Ok(2));
        let died = guarded(|| -> u8 { panic!("on {}", "purpose") });
        assert_eq!(died, Err(Stop::Fatal("a call panicked: on purpose".to_owned())));
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(reason("short".to_owned()), "short");
        let cut = reason("é".repeat(200) + "x");
        assert_eq!(cut, "é".repeat(128));
        assert_eq!(reason("x".to_owned() + &"é".repeat(200)).len(), 255);
    }
}
