//! Checking one inference.

use super::{
    Alert, Finding, Job,
    candle::{Opinion, opinion},
};
use crate::evm::Models;
use lockstep_engine::{
    DType, Limits, LoadedModel, Tensor,
    exec::{Implementation, Options, first_difference},
};
use lockstep_precompile::{ModelStore, sink::tensors_hash};

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
/// each operator too. An error: this node cannot compute it.
pub(super) fn check(models: &Models, limits: &Limits, job: &Job, ask: bool) -> Result<Checked, String> {
    let model = models.get(&job.inference.model_id).map_err(|e| e.to_string())?;
    let types: Vec<(DType, &[usize])> = job.inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = model.plan(&types, limits).map_err(|e| e.to_string())?;
    let reference = Options { implementation: Implementation::Reference, threads: 1 };
    let mut second = SecondOpinion { model: &model, job, results: Vec::new(), checked: Checked::default() };
    let outputs = model.run_observed(&plan, job.inputs.clone(), &reference, &mut |node, result| {
        if ask {
            second.node(node, result);
        }
    });
    let mut checked = second.checked;
    // The block says that the call succeeded: a failing reference is a difference too.
    let expected = match &outputs {
        Ok(outputs) => Some(tensors_hash(outputs)),
        Err(error @ lockstep_engine::ComputeError::Environment(_)) => return Err(error.to_string()),
        Err(_) => None,
    };
    if expected != Some(job.inference.outputs_hash) {
        let difference = first_difference(&model, &job.inputs, limits, 1).map_err(|e| e.to_string())?;
        checked.finding = Some(Box::new(Finding::new(job, expected, difference)));
    }
    Ok(checked)
}

/// Follows the reference and asks candle of each operator, with the reference's operands.
struct SecondOpinion<'a> {
    model: &'a LoadedModel,
    job: &'a Job,
    results: Vec<Option<Tensor>>,
    checked: Checked,
}

impl SecondOpinion<'_> {
    fn node(&mut self, node: usize, result: &Tensor) {
        let graph = &self.model.graph;
        let (inputs, constants) = (graph.inputs.len(), self.model.constants());
        let value = |value: usize| match value.checked_sub(inputs + constants.len()) {
            Some(before) => self.results.get(before).and_then(Option::as_ref),
            None if value < inputs => self.job.inputs.get(value),
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
                    self.checked.alert = Some(Box::new(Alert::new(self.job, node, place.op.name(), element, values)));
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
