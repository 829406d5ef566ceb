//! What forge's tests compare with: one call of each committed model, the scalar reference's answer, its gas.

use alloy_primitives::{B256, U256, hex};
use anyhow::{Result, bail};
use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::{Limits, LoadedModel};
use lockstep_precompile::gas::SCHEDULES;
use lockstep_precompile::registry::Status;
use lockstep_precompile::{CallEnv, ChainLimits, Fatal, Outcome, RecordWord, ResidentModels, execute};
use serde_json::{Map, Value, json};

use crate::models;

/// Where they lie, seen from the project's root.
pub const PATH: &str = "contracts/test/native/models.json";
/// Rows of each call.
const ROWS: usize = 3;

/// The file's content.
pub fn generate() -> Result<String> {
    let mut out = Map::new();
    for m in models::all()? {
        let call = m.call_data(0, ROWS)?;
        let (gas, answer) = reference(&std::fs::read(&m.path)?, &call)?;
        let entry = json!({
            "call": hex::encode_prefixed(&call),
            "answer": hex::encode_prefixed(answer),
            "gas": gas,
        });
        out.insert(m.name.clone(), entry);
    }
    Ok(format!("{:#}\n", Value::Object(out)))
}

/// Gas and answer of a call by the scalar reference.
fn reference(file: &[u8], call: &[u8]) -> Result<(u64, Vec<u8>)> {
    let store = ResidentModels::new();
    store.insert(LoadedModel::from_file(file, &Limits::default())?)?;
    let mut registry = |_: &B256| -> Result<RecordWord, Fatal> {
        let (status, activation_block, ls1_version) = (Status::Activated, 0, 1);
        Ok(RecordWord { status, activation_block, ls1_version, graph_length: 0, weights_length: 0 })
    };
    let mut env = CallEnv {
        block_number: 1,
        schedule: &SCHEDULES[0],
        limits: &ChainLimits::default(),
        registry: &mut registry,
        store: &store,
        value: U256::ZERO,
        delegated_to: None,
        memo: None,
        options: Options { implementation: Implementation::Reference, threads: 1 },
        record: false,
    };
    match execute(&mut env, call, 100_000_000) {
        Outcome::Success { gas_used, output, .. } => Ok((gas_used, output)),
        other => bail!("the reference refuses the call: {other:?}"),
    }
}
