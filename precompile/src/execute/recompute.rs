//! An inference computed again from its decoded inputs, apart from chain, gas and registry: for whoever checks a proof.

use alloy_primitives::{B256, hex, keccak256};
use alloy_sol_types::SolCall as _;
use lockstep_engine::exec::Options;
use lockstep_engine::{ComputeError, DType, Limits, LoadedModel, Plan, Tensor};

use super::classify::Classifier;
use super::encode;
use super::prepare::Shape;
use super::stop::{Stop, guarded};
use crate::abi::IInference as E;
use crate::sink::tensors_hash;

/// What an inference gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Recomputed {
    /// All outputs of the model.
    pub outputs: Vec<Tensor>,
    /// [`tensors_hash`] of them.
    pub outputs_hash: B256,
    /// The bytes that the call returns.
    pub returned: Vec<u8>,
    /// keccak256 of them.
    pub returned_hash: B256,
}

/// Why an inference gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecomputeError {
    /// Not one of infer, classify, run.
    #[error("selector {} is no inference function: infer, classify or run is expected", hex::encode_prefixed(.0))]
    Selector([u8; 4]),
    /// The call would revert.
    #[error("such a call reverts with {0}")]
    Reverts(String),
    /// This machine cannot compute it.
    #[error("this machine cannot compute it: {0}")]
    Fatal(String),
}

/// Runs the model on the inputs and encodes what the function with this selector returns of it.
pub fn recompute(
    model: &LoadedModel,
    selector: [u8; 4],
    inputs: Vec<Tensor>,
    limits: &Limits,
    options: &Options,
) -> Result<Recomputed, RecomputeError> {
    recompute_by(model, selector, inputs, limits, |plan, inputs| model.run(plan, inputs, options))
}

/// As [`recompute`], where the caller runs the model, and can look on.
pub fn recompute_by(
    model: &LoadedModel,
    selector: [u8; 4],
    inputs: Vec<Tensor>,
    limits: &Limits,
    run: impl FnOnce(&Plan, Vec<Tensor>) -> Result<Vec<Tensor>, ComputeError>,
) -> Result<Recomputed, RecomputeError> {
    if ![E::inferCall::SELECTOR, E::classifyCall::SELECTOR, E::runCall::SELECTOR].contains(&selector) {
        return Err(RecomputeError::Selector(selector));
    }
    let compute = || -> Result<Recomputed, Stop> {
        let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
        let plan = model.plan(&types, limits)?;
        let shape = match selector {
            E::inferCall::SELECTOR => Shape::Infer,
            E::classifyCall::SELECTOR => {
                let rows = inputs.first().and_then(|t| t.shape.first()).copied().filter(|rows| *rows > 0);
                let id = B256::from(model.id);
                let rows = rows.ok_or_else(|| Stop::revert(&E::NotAClassifier { modelId: id }))?;
                Shape::Classify(Classifier::of(&model.graph, &plan, &id, rows)?)
            }
            _ => Shape::Run,
        };
        let outputs = run(&plan, inputs)?;
        let (_, returned) = encode(model, &shape, &outputs)?;
        Ok(Recomputed { outputs_hash: tensors_hash(&outputs), returned_hash: keccak256(&returned), outputs, returned })
    };
    guarded(compute).and_then(|computed| computed).map_err(|stop| match stop {
        Stop::Revert(data) => RecomputeError::Reverts(hex::encode_prefixed(data)),
        Stop::OutOfGas => RecomputeError::Fatal("out of gas".to_owned()),
        Stop::Fatal(reason) => RecomputeError::Fatal(reason),
    })
}
