//! Stages 3 and 4: which model, and whether the call fits it.

use std::sync::Arc;

use alloy_primitives::B256;
use lockstep_engine::cost::Work;
use lockstep_engine::{DType, LoadedModel, Plan, Tensor};

use super::CallEnv;
use super::classify::Classifier;
use super::describe;
use super::inputs::{InputTypes, Rows, run_tensors, run_types};
use super::stop::{Stop, reason};
use crate::abi::{self, Call, IInference as E, ModelInfo};
use crate::gas::{GasSchedule, Meter};
use crate::registry::{RecordWord, Status};
use crate::store::ModelFault;

/// An inference that fits its model: what remains is to pay and to run.
pub(super) struct Prepared {
    pub(super) model_id: B256,
    pub(super) model: Arc<LoadedModel>,
    pub(super) plan: Plan,
    pub(super) inputs: Vec<Tensor>,
    pub(super) shape: Shape,
}

/// What the answer looks like.
pub(super) enum Shape {
    Infer,
    Classify(Classifier),
    Run,
}

impl Prepared {
    /// Stage 5: the work of the run and the words of its result.
    pub(super) fn price(&self, schedule: &GasSchedule) -> u64 {
        let mut work: Work = self.plan.work;
        let bytes = match &self.shape {
            Shape::Infer => {
                let primary = self.plan.outputs.get(usize::from(self.model.graph.primary_output));
                abi::int_array_size(primary.and_then(|t| t.elements()).unwrap_or(u64::MAX))
            }
            Shape::Classify(classifier) => {
                work.add(&classifier.work(&self.model.graph));
                abi::arrays_size(classifier.rows() as u64)
            }
            Shape::Run => abi::tensor_array_size(&self.plan.outputs),
        };
        schedule.price(&work, bytes)
    }
}

/// Stage 3: the chain decides whether the model can be called, then this node must have it.
fn look_up(env: &mut CallEnv<'_>, meter: &mut Meter, id: &B256) -> Result<(RecordWord, Arc<LoadedModel>), Stop> {
    meter.charge(env.schedule.registry)?;
    let record = env.registry.record(id)?;
    if record.status == Status::Unknown {
        return Err(Stop::revert(&E::UnknownModel { modelId: *id }));
    }
    if !record.is_active(env.block_number) {
        let activation_block = if record.status == Status::Activated { record.activation_block } else { 0 };
        return Err(Stop::revert(&E::ModelNotActive { modelId: *id, activationBlock: activation_block }));
    }
    match env.store.get(id) {
        Ok(model) => Ok((record, model)),
        Err(ModelFault::InvalidWeights(why)) => Err(Stop::revert(&E::InvalidWeights { reason: reason(why) })),
        Err(fault) => Err(Stop::Fatal(fault.to_string())),
    }
}

/// Stages 3 and 4 of `describe`.
pub(super) fn describe(env: &mut CallEnv<'_>, meter: &mut Meter, id: &B256) -> Result<ModelInfo, Stop> {
    let (record, model) = look_up(env, meter, id)?;
    meter.charge(env.schedule.shapes(describe::items(&model)))?;
    Ok(describe::info(&model, &record))
}

/// Stages 3 and 4 of an inference. The order of the checks decides which error a call with two faults gets:
/// rows or count and types, then shapes, then the graph, then the classifier, then lengths and values.
pub(super) fn inference(env: &mut CallEnv<'_>, meter: &mut Meter, call: &Call<'_>) -> Result<Prepared, Stop> {
    let no_inference = || Stop::Fatal("a call that infers nothing was prepared as an inference".to_owned());
    let (Call::Infer { model_id, .. } | Call::Classify { model_id, .. } | Call::Run { model_id, .. }) = call else {
        return Err(no_inference());
    };
    let (_, model) = look_up(env, meter, model_id)?;
    let graph = &model.graph;
    meter.charge(env.schedule.shapes(graph.shape_items()))?;
    let (plan, inputs, shape) = match call {
        Call::Infer { x, .. } => {
            let rows = Rows::of(graph, model_id, x.len())?;
            let types = rows.types(graph);
            let plan = plan(env, &model, &types)?;
            (plan, rows.tensors(types, *x)?, Shape::Infer)
        }
        Call::Classify { x, .. } => {
            let rows = Rows::of(graph, model_id, x.len())?;
            let types = rows.types(graph);
            let plan = plan(env, &model, &types)?;
            let classifier = Classifier::of(graph, &plan, model_id, rows.count)?;
            (plan, rows.tensors(types, *x)?, Shape::Classify(classifier))
        }
        Call::Run { inputs, .. } => {
            let types = run_types(graph, inputs)?;
            let plan = plan(env, &model, &types)?;
            (plan, run_tensors(types, inputs)?, Shape::Run)
        }
        Call::Quote { .. } | Call::Describe { .. } | Call::Validate { .. } => return Err(no_inference()),
    };
    Ok(Prepared { model_id: *model_id, model, plan, inputs, shape })
}

fn plan(env: &CallEnv<'_>, model: &LoadedModel, types: &InputTypes) -> Result<Plan, Stop> {
    let types: Vec<(DType, &[usize])> = types.iter().map(|(t, s)| (*t, s.as_slice())).collect();
    Ok(model.plan(&types, &env.limits.engine())?)
}
