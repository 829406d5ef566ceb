//! The fast executor: prepared kernels, values freed after their last use.

use super::Observer;
use crate::error::ComputeError;
use crate::fast::{self, Threads, spare};
use crate::model::{LoadedModel, Plan};
use crate::ops::Op;
use crate::ops::shape::known_shape;
use crate::tensor::Tensor;

pub(super) fn run(
    model: &LoadedModel,
    plan: &Plan,
    inputs: Vec<Tensor>,
    threads: usize,
    observer: Observer<'_>,
) -> Result<Vec<Tensor>, ComputeError> {
    let graph = &model.graph;
    let input_count = graph.inputs.len();
    let first_node = input_count + graph.constants.len();
    let threads = Threads::new(threads);
    // Inputs and results; constants are read in place.
    let mut inputs: Vec<Option<Tensor>> = inputs.into_iter().map(Some).collect();
    let mut results: Vec<Option<Tensor>> = Vec::with_capacity(graph.nodes.len());
    for (n, node) in graph.nodes.iter().enumerate() {
        // The operand of a Reshape, where nothing else reads it: its memory goes over.
        let moved = match (&node.op, &node.inputs[..]) {
            (Op::Reshape(_), [Some(v)]) if model.checked.last_use[v.0 as usize] == n as u32 => {
                (v.0 as usize).checked_sub(first_node).and_then(|r| results[r].take())
            }
            _ => None,
        };
        let out = if let Some(empty) = super::empty_result(&node.op, &plan.types[n]) {
            empty
        } else if let Some(x) = moved {
            Tensor { shape: known_shape(&plan.types[n]), data: x.data }
        } else {
            let operands: Vec<Option<&Tensor>> = node
                .inputs
                .iter()
                .map(|v| {
                    let i = (*v)?.0 as usize;
                    match i.checked_sub(first_node) {
                        Some(r) => results[r].as_ref(),
                        None if i < input_count => inputs[i].as_ref(),
                        None => Some(&*model.fast_constants[i - input_count]),
                    }
                })
                .collect();
            fast::run(&node.op, &model.prepared[n], &operands, &plan.types[n], &threads).map_err(|e| match e {
                fast::Failure::Value(reason) => ComputeError::Value { node: n, operator: node.op.name(), reason },
                fast::Failure::Environment(e) => ComputeError::Environment(e),
            })?
        };
        let out = match model.wrong_kernel {
            Some((node, bit)) if node == n => crate::resident::flip(out, bit),
            _ => out,
        };
        observer(n, &out);
        results.push(Some(out));
        for v in node.inputs.iter().flatten() {
            let i = v.0 as usize;
            if model.checked.last_use[i] == n as u32 {
                let dead = match i.checked_sub(first_node) {
                    Some(r) => results[r].take(),
                    None if i < input_count => inputs[i].take(),
                    None => None,
                };
                dead.into_iter().for_each(spare::keep);
            }
        }
    }
    let missing = ComputeError::Environment("an output was freed too early");
    graph
        .outputs
        .iter()
        .enumerate()
        .map(|(k, o)| {
            let i = o.value.0 as usize;
            let again = graph.outputs[k + 1..].iter().any(|p| p.value == o.value);
            let slot = match i.checked_sub(first_node) {
                Some(r) => &mut results[r],
                None if i < input_count => &mut inputs[i],
                None => return Ok((*model.fast_constants[i - input_count]).clone()),
            };
            // A value that is two outputs is copied for all but the last.
            if again { slot.clone() } else { slot.take() }.ok_or_else(|| missing.clone())
        })
        .collect()
}
