//! Checking one inference.

use super::{
    Alert, Finding, Job,
    candle::{Opinion, opinion},
};
use crate::inference::selector_of;
use lockstep_engine::{
    ComputeError, Limits, LoadedModel, Tensor,
    exec::{Implementation, Options, first_difference},
};
use lockstep_precompile::{RecomputeError, recompute_by};

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// The recorded answer is not the reference's.
    pub(super) finding: Option<Box<Finding>>,
    /// candle's answer of an operator lies outside the tolerance.
    pub(super) alert: Option<Box<Alert>>,
    /// Operators of which candle had an opinion.
    pub(super) compared: u64,
    /// Operators of which it had none.
    pub(super) without: u64,
}

/// Computes the inference by the reference; a finding where the recorded answer differs. `ask`: candle is asked about
/// each operator too. An error: it cannot be computed here.
pub(super) fn check(
    model: &LoadedModel,
    inputs: &[Tensor],
    limits: &Limits,
    job: &Job,
    ask: bool,
) -> Result<Checked, String> {
    let function = &job.inference.function;
    let selector = selector_of(function).ok_or_else(|| format!("'{function}' is no inference function"))?;
    let options = Options { implementation: Implementation::Reference, threads: 1 };
    let mut second = SecondOpinion { model, job, inputs, results: Vec::new(), checked: Checked::default() };
    let computed = recompute_by(model, selector, inputs.to_vec(), limits, |plan, inputs| {
        model.run_observed(plan, inputs, &options, &mut |node, result| {
            if ask {
                second.node(node, result);
            }
        })
    });
    let mut checked = second.checked;
    // The block says that the call succeeded: a failing reference is a difference too.
    let reference = match &computed {
        Ok(computed) => Some((computed.outputs_hash, computed.returned_hash)),
        Err(RecomputeError::Fatal(reason)) => return Err(reason.clone()),
        Err(RecomputeError::Reverts(_) | RecomputeError::Selector(_)) => None,
    };
    if reference != Some((job.inference.outputs_hash, job.inference.returned_hash)) {
        // Inputs that no implementation takes have no operator that differs.
        let difference = match first_difference(model, inputs, limits, 1) {
            Err(error @ ComputeError::Environment(_)) => return Err(error.to_string()),
            compared => compared.unwrap_or_default(),
        };
        checked.finding = Some(Box::new(Finding::new(job, inputs, reference, difference)));
    }
    Ok(checked)
}

/// Follows the reference and asks candle of each operator, with the reference's operands.
struct SecondOpinion<'a> {
    model: &'a LoadedModel,
    job: &'a Job,
    inputs: &'a [Tensor],
    results: Vec<Option<Tensor>>,
    checked: Checked,
}

impl SecondOpinion<'_> {
    fn node(&mut self, node: usize, result: &Tensor) {
        let graph = &self.model.graph;
        let (inputs, constants) = (graph.inputs.len(), self.model.constants());
        let value = |value: usize| match value.checked_sub(inputs + constants.len()) {
            Some(before) => self.results.get(before).and_then(Option::as_ref),
            None if value < inputs => self.inputs.get(value),
            None => constants.get(value - inputs).map(AsRef::as_ref),
        };
        let Some(place) = graph.nodes.get(node) else { return };
        let operands: Vec<Option<&Tensor>> = place.inputs.iter().map(|v| value((*v)?.0 as usize)).collect();
        match opinion(&place.op, &operands, result) {
            Opinion::None => self.checked.without += 1,
            Opinion::Agrees => self.checked.compared += 1,
            Opinion::Doubts { element, candle, reference, allowed } => {
                self.checked.compared += 1;
                if self.checked.alert.is_none() {
                    let values = [candle, reference, allowed];
                    self.checked.alert =
                        Some(Box::new(Alert::new(self.job, self.inputs, node, place.op.name(), element, values)));
                }
            }
        }
        // Nodes come in order; what nobody takes any more is dropped.
        self.results.resize_with(node, || None);
        self.results.push(Some(result.clone()));
        for taken in place.inputs.iter().flatten() {
            let taken = taken.0 as usize;
            let last = self.model.checked.last_use.get(taken) == Some(&(node as u32));
            if let Some(before) = taken.checked_sub(inputs + constants.len()).filter(|_| last) {
                self.results[before] = None;
            }
        }
    }
}
