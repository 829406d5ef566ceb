//! The plain executor: every value is kept, every operator is its scalar definition.

use super::Observer;
use crate::error::ComputeError;
use crate::model::{LoadedModel, Plan};
use crate::tensor::Tensor;

pub(super) fn run(
    model: &LoadedModel,
    plan: &Plan,
    inputs: Vec<Tensor>,
    observer: Observer<'_>,
) -> Result<Vec<Tensor>, ComputeError> {
    let graph = &model.graph;
    let mut values = inputs;
    values.extend(model.constants.iter().map(|c| (**c).clone()));
    for (n, node) in graph.nodes.iter().enumerate() {
        let operands: Vec<Option<&Tensor>> =
            node.inputs.iter().map(|v| v.and_then(|v| values.get(v.0 as usize))).collect();
        let fail = |reason| ComputeError::Value { node: n, operator: node.op.name(), reason };
        let out = match super::empty_result(&node.op, &plan.types[n]) {
            Some(empty) => empty,
            None => {
                let out = node.op.definition().reference(&operands, &plan.types[n..=n]).map_err(fail)?;
                out.into_iter().next().ok_or(ComputeError::Environment("an operator gave no result"))?
            }
        };
        observer(n, &out);
        values.push(out);
    }
    Ok(graph.outputs.iter().filter_map(|o| values.get(o.value.0 as usize).cloned()).collect())
}
