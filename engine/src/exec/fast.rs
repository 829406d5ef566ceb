//! The fast executor: prepared kernels, values freed after their last use.

use super::Observer;
use crate::error::ComputeError;
use crate::fast::{self, Level, Threads, fuse, spare};
use crate::graph::ValueId;
use crate::model::{LoadedModel, Plan};
use crate::ops::Op;
use crate::ops::shape::known_shape;
use crate::tensor::{Data, Tensor};

/// How the fast path runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) level: Level,
    pub(super) threads: usize,
    /// Whether operators are computed together; the observer then sees the results that are made.
    pub(super) together: bool,
}

pub(super) fn run(
    model: &LoadedModel,
    plan: &Plan,
    inputs: Vec<Tensor>,
    way: Way,
    observer: Observer<'_>,
) -> Result<Vec<Tensor>, ComputeError> {
    let graph = &model.graph;
    let input_count = graph.inputs.len();
    let first_node = input_count + graph.constants.len();
    let threads = Threads::new(way.threads);
    // Inputs and results; constants are read in place.
    let mut inputs: Vec<Option<Tensor>> = inputs.into_iter().map(Some).collect();
    let mut results: Vec<Option<Tensor>> = Vec::with_capacity(graph.nodes.len());
    let mut groups = model.groups.iter().peekable();
    while results.len() < graph.nodes.len() {
        let n = results.len();
        let node = &graph.nodes[n];
        while groups.next_if(|g| g.first < n).is_some() {}
        let failed = |e| match e {
            fast::Failure::Value(reason) => ComputeError::Value { node: n, operator: node.op.name(), reason },
            fast::Failure::Environment(e) => ComputeError::Environment(e),
        };
        // A kernel that is wrong on purpose is one operator's.
        let whole = |g: &fuse::Group| model.wrong_kernel.is_none_or(|(w, _)| !(g.first..=g.last).contains(&w));
        let group = groups.next_if(|g| way.together && g.first == n && whole(g));
        let together = group.and_then(|g| {
            let operand = |v| value(model, &inputs, &results, v);
            let done = fuse::run(way.level, g, &graph.nodes, &model.prepared, operand, &plan.types, &threads);
            Some((g.last, done?))
        });
        let (last, out) = if let Some((last, out)) = together {
            (last, out.map_err(failed)?)
        } else if let Some(empty) = super::empty_result(&node.op, &plan.types[n]) {
            (n, empty)
        } else if let Some(data) = moved(model, &mut results, first_node, n) {
            (n, Tensor { shape: known_shape(&plan.types[n]), data })
        } else {
            let operands: Vec<Option<&Tensor>> =
                node.inputs.iter().map(|v| value(model, &inputs, &results, (*v)?)).collect();
            let prepared = &model.prepared[n];
            (n, fast::run_at(way.level, &node.op, prepared, &operands, &plan.types[n], &threads).map_err(failed)?)
        };
        let out = match model.wrong_kernel {
            Some((node, bit)) if node == n => crate::resident::flip(out, bit),
            _ => out,
        };
        observer(last, &out);
        // What was made on the way to it is nowhere.
        results.extend((n..last).map(|_| None));
        results.push(Some(out));
        for v in graph.nodes[n..=last].iter().flat_map(|node| node.inputs.iter().flatten()) {
            let i = v.0 as usize;
            if (n..=last).contains(&(model.checked.last_use[i] as usize)) {
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

/// A value that is alive.
fn value<'a>(
    model: &'a LoadedModel,
    inputs: &'a [Option<Tensor>],
    results: &'a [Option<Tensor>],
    v: ValueId,
) -> Option<&'a Tensor> {
    let constants = &model.fast_constants;
    let i = v.0 as usize;
    match i.checked_sub(inputs.len() + constants.len()) {
        Some(r) => results.get(r)?.as_ref(),
        None if i < inputs.len() => inputs[i].as_ref(),
        None => Some(&*constants[i - inputs.len()]),
    }
}

/// The elements of a Reshape's operand, where nothing else reads it: its memory goes over.
fn moved(model: &LoadedModel, results: &mut [Option<Tensor>], first_node: usize, n: usize) -> Option<Data> {
    let node = &model.graph.nodes[n];
    match (&node.op, &node.inputs[..]) {
        (Op::Reshape(_), [Some(v)]) if model.checked.last_use[v.0 as usize] == n as u32 => {
            let r = (v.0 as usize).checked_sub(first_node)?;
            results[r].take().map(|t| t.data)
        }
        _ => None,
    }
}
