//! One vector for a text: the pooling and the normalisation of sentence-transformers.

use lockstep_engine::DType;
use lockstep_engine::ops::binary::BinaryKind;
use lockstep_engine::ops::reduce::ReduceKind;

use super::config::Pooling;
use crate::build::{Builder, Val};
use crate::error::Lowered;

/// Tokens that a text has at least, for the division (a text of padding alone gives zeros).
const LEAST_COUNT: f32 = 1e-9;
/// Length by which a vector is divided at least.
const LEAST_NORM: f32 = 1e-12;
/// What padding counts as where the greatest is taken.
const LOWEST: f32 = -1e9;

/// (batch, sequence, hidden) and the mask (batch, sequence) to (batch, hidden). Padding is replaced, not multiplied:
/// no value of it can reach the sum.
pub(super) fn pool(b: &mut Builder, pooling: Pooling, states: Val, mask: Val) -> Lowered<Val> {
    b.set_node_name("pooling");
    let column = b.unsqueeze(mask, &[2])?;
    match pooling {
        Pooling::Mean => {
            let zero = b.scalar(0.0);
            let kept = b.select(column, states, zero)?;
            let sum = b.reduce(ReduceKind::Sum, kept, &[1], false)?;
            let ones = b.cast(mask, DType::F32)?;
            let count = b.reduce(ReduceKind::Sum, ones, &[1], true)?;
            let least = b.scalar(LEAST_COUNT);
            let count = b.binary(BinaryKind::Max, count, least)?;
            b.div2(sum, count)
        }
        Pooling::Max => {
            let lowest = b.scalar(LOWEST);
            let kept = b.select(column, states, lowest)?;
            b.reduce(ReduceKind::Max, kept, &[1], false)
        }
        Pooling::Cls => {
            let first = b.slice_axis(states, 1, 0, 1, 1u64.into())?;
            let shape = [b.shape(first)[0].clone(), b.shape(first)[2].clone()];
            b.reshape(first, &shape)
        }
    }
}

/// Each row divided by its length, or by 1e-12 where it is shorter.
pub(super) fn normalise(b: &mut Builder, x: Val) -> Lowered<Val> {
    b.set_node_name("normalize");
    let norm = b.reduce(ReduceKind::L2, x, &[1], true)?;
    let least = b.scalar(LEAST_NORM);
    let norm = b.binary(BinaryKind::Max, norm, least)?;
    b.div2(x, norm)
}
