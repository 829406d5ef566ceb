//! The call, apart from any EVM: charges and failures in the order of spec section 6.

mod classify;
mod describe;
mod inputs;
mod outputs;
mod prepare;
mod recompute;
mod stop;

pub use recompute::{RecomputeError, Recomputed, recompute, recompute_by};

use std::fmt;
use std::sync::Arc;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use lockstep_engine::cost::Work;
use lockstep_engine::exec::Options;
use lockstep_engine::model::check_graph;
use lockstep_engine::{ComputeError, LoadedModel, Tensor};

use self::prepare::{Prepared, Shape};
use self::stop::{Stop, guarded, reason};
use crate::abi::{self, Call, IInference as E};
use crate::config::ChainLimits;
use crate::gas::{GasSchedule, Meter};
use crate::memo::{Computed, Memo, MemoKey};
use crate::registry::RegistryView;
use crate::sink::InferenceRecord;
use crate::store::ModelStore;

/// What a call depends on besides its call data and gas.
pub struct CallEnv<'a> {
    /// Number of the block.
    pub block_number: u64,
    /// The gas table.
    pub schedule: &'a GasSchedule,
    /// The chain's limits.
    pub limits: &'a ChainLimits,
    /// Record words.
    pub registry: &'a mut dyn RegistryView,
    /// Models.
    pub store: &'a dyn ModelStore,
    /// Ether sent along.
    pub value: U256,
    /// The account whose context the call runs in, where that is not the precompile's own (DELEGATECALL, CALLCODE).
    pub delegated_to: Option<Address>,
    /// Answers computed before; `None`: the engine runs every time.
    pub memo: Option<&'a dyn Memo>,
    /// How the engine runs; never what it computes.
    pub options: Options,
    /// Whether a successful inference is wanted as a record.
    pub record: bool,
}

impl fmt::Debug for CallEnv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallEnv")
            .field("block_number", &self.block_number)
            .field("value", &self.value)
            .field("delegated_to", &self.delegated_to)
            .finish_non_exhaustive()
    }
}

/// What comes of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A result.
    Success {
        /// Gas charged.
        gas_used: u64,
        /// The encoded result.
        output: Vec<u8>,
        /// The record, where it was wanted and the function is an inference.
        inference: Option<InferenceRecord>,
    },
    /// The caller's fault.
    Revert {
        /// Gas charged; the rest is given back.
        gas_used: u64,
        /// The encoded error.
        data: Vec<u8>,
    },
    /// All gas of the call is gone.
    OutOfGas,
    /// This node's fault.
    Fatal(String),
}

/// Carries out a call.
pub fn execute(env: &mut CallEnv<'_>, call_data: &[u8], gas: u64) -> Outcome {
    let mut meter = Meter::new(gas);
    match guarded(|| call(env, &mut meter, call_data)).and_then(|answer| answer) {
        Ok((output, mut inference)) => {
            let gas_used = meter.used();
            if let Some(record) = &mut inference {
                record.gas = gas_used;
            }
            Outcome::Success { gas_used, output, inference }
        }
        Err(Stop::Revert(data)) => Outcome::Revert { gas_used: meter.used(), data },
        Err(Stop::OutOfGas) => Outcome::OutOfGas,
        Err(Stop::Fatal(reason)) => Outcome::Fatal(reason),
    }
}

type Answer = (Vec<u8>, Option<InferenceRecord>);

fn call(env: &mut CallEnv<'_>, meter: &mut Meter, data: &[u8]) -> Result<Answer, Stop> {
    // Stage 1. The value of a delegated call is the outer one's: it was not sent here.
    meter.charge(env.schedule.base)?;
    if let Some(target) = env.delegated_to {
        return Err(Stop::revert(&E::DelegateCall { target }));
    }
    if !env.value.is_zero() {
        return Err(Stop::revert(&E::ValueNotAccepted { value: env.value }));
    }
    // Stage 2.
    meter.charge(env.schedule.call_data(data.len()))?;
    if data.len() as u64 > env.limits.max_call_data {
        return Err(Stop::limit("maxCallData", env.limits.max_call_data, data.len() as u64));
    }
    match abi::decode(data)? {
        Call::Quote { call } => {
            let gas = quote(env, meter, call)?;
            Ok((U256::from(gas).abi_encode(), None))
        }
        Call::Validate { graph } => {
            meter.charge(env.schedule.graph(graph.len()))?;
            let limits = env.limits.engine();
            let checked = check_graph(graph, &limits);
            let (_, weights_length) =
                checked.map_err(|e| Stop::revert(&E::InvalidGraph { reason: reason(e.to_string()) }))?;
            Ok((abi::validate_result(lockstep_engine::LS1_VERSION, weights_length), None))
        }
        Call::Describe { model_id } => {
            let info = prepare::describe(env, meter, &model_id)?;
            meter.charge(describe_price(env.schedule, &info))?;
            Ok((E::describeCall::abi_encode_returns(&info), None))
        }
        inference => {
            let prepared = prepare::inference(env, meter, &inference)?;
            let price = prepared.price(env.schedule);
            meter.charge(price)?;
            run(env, prepared, price)
        }
    }
}

/// The gas of a call that succeeds (spec ABI-9). Its stages 3 and 4 are carried out, and charged, here.
fn quote(env: &mut CallEnv<'_>, meter: &mut Meter, data: &[u8]) -> Result<u64, Stop> {
    let schedule = env.schedule;
    let before = meter.used();
    let price = match abi::decode(data)? {
        Call::Quote { .. } => {
            return Err(Stop::revert(&E::UnknownSelector { selector: E::quoteCall::SELECTOR.into() }));
        }
        Call::Validate { graph } => schedule.graph(graph.len()),
        Call::Describe { model_id } => describe_price(schedule, &prepare::describe(env, meter, &model_id)?),
        inference => prepare::inference(env, meter, &inference)?.price(schedule),
    };
    let shared = meter.used() - before;
    let own = schedule.base.saturating_add(schedule.call_data(data.len()));
    Ok(own.saturating_add(shared).saturating_add(price))
}

fn describe_price(schedule: &GasSchedule, info: &abi::ModelInfo) -> u64 {
    schedule.price(&Work::default(), info.abi_encoded_size() as u64)
}

/// Stage 5, paid for: the model's answer, remembered or computed, encoded. What a model computes depends on the model and
/// the decoded inputs alone; what is made of it depends on the function called, and is made every time.
fn run(env: &CallEnv<'_>, prepared: Prepared, price: u64) -> Result<Answer, Stop> {
    let Prepared { model_id, model, plan, inputs, shape } = prepared;
    let key = env.memo.map(|_| MemoKey::new(model_id, &inputs));
    let (mut given, mut kept) = (Some(inputs), None);
    let mut compute = || {
        let inputs = given.take().ok_or(ComputeError::Environment("the memory of answers computed twice"))?;
        kept = env.record.then(|| Arc::new(inputs.clone()));
        let outputs = model.run(&plan, inputs, &env.options)?;
        // Nobody reads the hash of what is neither remembered nor recorded.
        let hashed = env.record || env.memo.is_some();
        Ok(Arc::new(if hashed { Computed::new(outputs) } else { Computed { outputs, hash: B256::ZERO } }))
    };
    let computed = match (env.memo, key) {
        (Some(memo), Some(key)) => memo.answer(key, price, &mut compute)?,
        _ => compute()?,
    };
    let (selector, output) = encode(&model, &shape, &computed.outputs)?;
    let inference = env.record.then(|| InferenceRecord {
        model_id,
        selector,
        inputs: kept.or_else(|| given.map(Arc::new)).unwrap_or_default(),
        outputs_hash: computed.hash,
        returned_hash: keccak256(&output),
        gas: 0,
    });
    Ok((output, inference))
}

/// What the function called returns of a model's outputs.
fn encode(model: &LoadedModel, shape: &Shape, outputs: &[Tensor]) -> Result<([u8; 4], Vec<u8>), Stop> {
    Ok(match shape {
        Shape::Infer => {
            let primary = usize::from(model.graph.primary_output);
            let tensor = outputs.get(primary).ok_or_else(|| Stop::Fatal("no primary output".to_owned()))?;
            (E::inferCall::SELECTOR, abi::int_array(&outputs::values(tensor, primary)?))
        }
        Shape::Classify(classifier) => {
            let (classes, scores) = classifier.decide(&model.graph, outputs, &B256::from(model.id))?;
            (E::classifyCall::SELECTOR, abi::classify_result(&classes, &scores))
        }
        Shape::Run => {
            outputs::no_nan(outputs)?;
            (E::runCall::SELECTOR, abi::tensor_array(outputs))
        }
    })
}
