//! Operators that are computed together, without going through memory between them (spec OP-1).
//!
//! Each element goes through the same operations in the written order, so that no bit depends on what is together; only the
//! fast path does it: neither model file nor price nor reference know of it.

mod chain;
mod groups;
mod loops;
#[cfg(test)]
mod tests;

pub(crate) use groups::{Group, find};

use super::{Failure, Level, Prepared, Threads, spare};
use crate::graph::{Node, ValueId};
use crate::ops::Op;
use crate::ops::shape::known_shape;
use crate::tensor::{Data, Tensor, TensorType};
use chain::Chain;

/// Elements below which one operator alone has no use for blocks.
const LEAST: usize = 1 << 12;

/// What is done to the outputs of a contraction while they are in a cache: the number of the first element, and the elements.
pub(crate) type After<'a> = &'a (dyn Fn(usize, &mut [f32]) + Sync);

/// Computes the result of a group's last node; `None` where its nodes have to run one by one. `operand` finds a tensor,
/// `types` are the results of all nodes.
pub(crate) fn run<'a>(
    level: Level,
    group: &'a Group,
    nodes: &[Node],
    prepared: &[Prepared],
    operand: impl Fn(ValueId) -> Option<&'a Tensor>,
    types: &[TensorType],
    threads: &Threads,
) -> Option<Result<Tensor, Failure>> {
    let output = &types[group.last];
    let shape = known_shape(output);
    let count: usize = shape.iter().product();
    let alone = group.first == group.last;
    if count == 0 || (alone && count < LEAST) {
        return None;
    }
    let externals: Vec<&Tensor> = group.externals.iter().map(|v| operand(*v)).collect::<Option<_>>()?;
    let chain = Chain::bind(level, group, &externals, &shape)?;
    let work = group.steps.iter().fold(0u64, |n, s| n.saturating_add(chain::cost(&s.task)));
    let work = work.saturating_mul(count as u64);
    let unit = chain.unit();
    let apart = |out: &mut [f32]| threads.split(out, unit, work, |first, out| chain.run(first * unit, out));
    if group.head.is_none() {
        let mut out = spare::zeroed(count);
        let done = apart(&mut out).map_err(Failure::Environment);
        return Some(done.map(|()| Tensor { shape, data: Data::F32(out) }));
    }
    let node = &nodes[group.first];
    let inputs: Vec<Option<&Tensor>> = node.inputs.iter().map(|v| operand((*v)?)).collect();
    // Rows of a matrix product are the parts it is computed in; planes of a convolution may be cut anywhere.
    let fits = match &node.op {
        Op::Conv(_) | Op::QuantizedConv(_) => unit == 1,
        // With a vector on the right a row of the product is one element.
        Op::MatMul(_) if inputs.get(1).is_some_and(|b| b.is_some_and(|b| b.shape.len() < 2)) => unit == 1,
        _ => unit == 1 || (shape.last() == Some(&unit) && count > unit),
    };
    let after: After<'_> = &|first, out| chain.run(first, out);
    let head = super::contraction_at(
        level,
        &node.op,
        &prepared[group.first],
        &inputs,
        &types[group.first],
        threads,
        fits.then_some(after),
    )?;
    Some(head.and_then(|mut t| {
        if let (false, Data::F32(out)) = (fits, &mut t.data) {
            apart(out).map_err(Failure::Environment)?;
        }
        Ok(t)
    }))
}
