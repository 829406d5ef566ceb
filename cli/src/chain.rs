//! The precompile without a chain: given models count as active, and calls are answered by its own pure core.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, I256, U256};
use alloy_sol_types::{SolCall, SolInterface};
use lockstep_engine::exec::Options;
use lockstep_engine::{DType, Data, LoadedModel, Tensor};
use lockstep_precompile::abi::{IInference, Tensor as AbiTensor};
use lockstep_precompile::registry::Status;
use lockstep_precompile::{
    CallEnv, ChainLimits, Fatal, LockstepConfig, Outcome, RecordWord, RegistryView, ResidentModels, execute, wad,
};

use crate::failure::Failure;

/// Models that can be called.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    store: ResidentModels,
    records: BTreeMap<B256, RecordWord>,
    limits: ChainLimits,
}

struct Records<'a>(&'a BTreeMap<B256, RecordWord>);

impl RegistryView for Records<'_> {
    fn record(&mut self, model_id: &B256) -> Result<RecordWord, Fatal> {
        Ok(self.0.get(model_id).copied().unwrap_or_default())
    }
}

impl Chain {
    /// Adds a model, active from block 0 on.
    pub(crate) fn add(&mut self, model: Arc<LoadedModel>) -> Result<B256, Failure> {
        let word = RecordWord {
            status: Status::Activated,
            activation_block: 0,
            ls1_version: lockstep_engine::LS1_VERSION,
            graph_length: model.graph_length as u32,
            weights_length: model.weights_length,
        };
        let id = self.store.insert(model).map_err(|e| Failure::Other(anyhow::anyhow!("{e}")))?;
        self.records.insert(id, word);
        Ok(id)
    }

    /// Carries out a call as a node would.
    pub(crate) fn call(&self, data: &[u8], gas: u64, value: U256, delegated_to: Option<Address>) -> Outcome {
        self.carry_out(&self.limits, data, gas, value, delegated_to)
    }

    fn carry_out(
        &self,
        limits: &ChainLimits,
        data: &[u8],
        gas: u64,
        value: U256,
        delegated_to: Option<Address>,
    ) -> Outcome {
        let config = LockstepConfig::default();
        let Some(schedule) = config.schedule() else { return Outcome::Fatal("no gas table".into()) };
        let mut env = CallEnv {
            block_number: 1,
            schedule,
            limits,
            registry: &mut Records(&self.records),
            store: &self.store,
            value,
            delegated_to,
            memo: None,
            options: Options::default(),
            record: false,
        };
        execute(&mut env, data, gas)
    }

    /// The gas that the precompile charges for a call, by its own `quote`.
    pub(crate) fn quote(&self, call: Vec<u8>) -> Result<u64, Failure> {
        if call.len() as u64 > self.limits.max_call_data {
            let (actual, most) = (call.len(), self.limits.max_call_data);
            return Err(Failure::refused(
                "this call",
                format!("it takes {actual} bytes of call data, maxCallData is {most}"),
            ));
        }
        let data = IInference::quoteCall { call: Bytes::from(call) }.abi_encode();
        // The quote wraps the call: its own call data is longer and not what is asked about.
        let limits = ChainLimits { max_call_data: u64::MAX, ..self.limits };
        match self.carry_out(&limits, &data, u64::MAX, U256::ZERO, None) {
            Outcome::Success { output, .. } => {
                let gas = IInference::quoteCall::abi_decode_returns(&output).map_err(anyhow::Error::from)?;
                Ok(u64::try_from(gas).unwrap_or(u64::MAX))
            }
            Outcome::Revert { data, .. } => Err(Failure::refused("this call", error_text(&data))),
            Outcome::OutOfGas => Err(Failure::refused("this call", "no amount of gas pays for it")),
            Outcome::Fatal(e) => Err(Failure::Other(anyhow::anyhow!("{e}"))),
        }
    }
}

/// An ABI error of the precompile in words.
pub(crate) fn error_text(data: &[u8]) -> String {
    match IInference::IInferenceErrors::abi_decode(data) {
        Ok(e) => {
            let text = format!("{e:?}");
            // `NotTabular(NotTabular { modelId: 0x… })`: the inner name is enough.
            let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(&text);
            format!("the precompile reverts {inner}")
        }
        Err(_) => format!("the precompile reverts {}", crate::report::number::hex(data)),
    }
}

/// A value as Solidity passes it: 18 decimals; `None` for NaN and infinity.
pub(crate) fn to_wad(data: &Data, k: usize) -> Option<I256> {
    match data {
        Data::F32(v) => wad::from_f32(v[k]),
        Data::U8(v) => Some(wad::from_integer(v[k].into())),
        Data::I8(v) => Some(wad::from_integer(v[k].into())),
        Data::I32(v) => Some(wad::from_integer(v[k].into())),
        Data::I64(v) => Some(wad::from_integer(v[k])),
        Data::Bool(v) => Some(wad::from_integer(v[k].into())),
    }
}

/// The rows of a tabular model's inputs as `infer` takes them; `None` where a value has no 18-decimal form.
pub(crate) fn wad_rows(inputs: &[Tensor]) -> Option<Vec<I256>> {
    let rows = inputs.first()?.shape.first().copied()?;
    let mut out = Vec::new();
    for row in 0..rows {
        for t in inputs {
            let width: usize = t.shape.iter().skip(1).product();
            for k in row * width..(row + 1) * width {
                out.push(to_wad(&t.data, k)?);
            }
        }
    }
    Some(out)
}

/// The call of `infer`.
pub(crate) fn infer_call(id: B256, x: Vec<I256>) -> Vec<u8> {
    IInference::inferCall { modelId: id, x }.abi_encode()
}

/// The call of `classify`.
pub(crate) fn classify_call(id: B256, x: Vec<I256>) -> Vec<u8> {
    IInference::classifyCall { modelId: id, x }.abi_encode()
}

/// The call of `run`.
pub(crate) fn run_call(id: B256, inputs: &[Tensor]) -> Vec<u8> {
    let inputs = inputs
        .iter()
        .map(|t| AbiTensor {
            dtype: t.dtype().code(),
            shape: t.shape.iter().map(|d| *d as u32).collect(),
            data: t.to_le_bytes().into(),
        })
        .collect();
    IInference::runCall { modelId: id, inputs }.abi_encode()
}

/// A tensor of zeros.
pub(crate) fn zeros(dtype: DType, shape: Vec<usize>) -> Tensor {
    let n = shape.iter().product();
    let data = match dtype {
        DType::F32 => Data::F32(vec![0.0; n]),
        DType::U8 => Data::U8(vec![0; n]),
        DType::I8 => Data::I8(vec![0; n]),
        DType::I32 => Data::I32(vec![0; n]),
        DType::I64 => Data::I64(vec![0; n]),
        DType::Bool => Data::Bool(vec![false; n]),
    };
    Tensor { shape, data }
}
