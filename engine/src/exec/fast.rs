//! The fast executor: prepared kernels, values freed after their last use.

use super::Observer;
use crate::error::ComputeError;
use crate::fast::{self, Threads};
use crate::model::{LoadedModel, Plan};
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
        let out = if let Some(empty) = super::empty_result(&node.op, &plan.types[n]) {
            empty
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
        observer(n, &out);
        results.push(Some(out));
        for v in node.inputs.iter().flatten() {
            let i = v.0 as usize;
            if model.checked.last_use[i] == n as u32 {
                match i.checked_sub(first_node) {
                    Some(r) => results[r] = None,
                    None if i < input_count => inputs[i] = None,
                    None => {}
                }
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
