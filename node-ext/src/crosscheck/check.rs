//! Checking one inference.

use super::{Finding, Job};
use crate::evm::Models;
use lockstep_engine::{
    DType, Limits,
    exec::{Implementation, Options, first_difference},
};
use lockstep_precompile::{ModelStore, sink::tensors_hash};

/// Computes the inference by the reference; a finding where the recorded answer differs.
/// An error: this node cannot compute it.
pub(super) fn check(models: &Models, limits: &Limits, job: &Job) -> Result<Option<Finding>, String> {
    let model = models.get(&job.inference.model_id).map_err(|e| e.to_string())?;
    let types: Vec<(DType, &[usize])> = job.inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = model.plan(&types, limits).map_err(|e| e.to_string())?;
    let reference = Options { implementation: Implementation::Reference, threads: 1 };
    let outputs = model.run(&plan, job.inputs.clone(), &reference);
    // The block says that the call succeeded: a failing reference is a difference too.
    let expected = match &outputs {
        Ok(outputs) => Some(tensors_hash(outputs)),
        Err(error @ lockstep_engine::ComputeError::Environment(_)) => return Err(error.to_string()),
        Err(_) => None,
    };
    if expected == Some(job.inference.outputs_hash) {
        return Ok(None);
    }
    let difference = first_difference(&model, &job.inputs, limits, 1).map_err(|e| e.to_string())?;
    Ok(Some(Finding::new(job, expected, difference)))
}
