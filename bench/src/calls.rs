//! Calls of the precompile, apart from the EVM: decoding, charging, shapes, engine, encoding.

use std::path::Path;

use alloy_primitives::{I256, U256};
use alloy_sol_types::{SolCall, sol};
use anyhow::{Result, bail};
use lockstep_engine::LS1_VERSION;
use lockstep_engine::exec::Options;
use lockstep_node_ext::memo::NodeMemo;
use lockstep_precompile::gas::SCHEDULES;
use lockstep_precompile::registry::Status;
use lockstep_precompile::{CallEnv, ChainLimits, Memo, Outcome, RecordWord, ResidentModels, execute};

use crate::cases::{Bench, Row};
use crate::measure::{Contender, in_turn, median};
use crate::ours;

sol! {
    function infer(bytes32 modelId, int256[] calldata x) external view returns (int256[] memory y);
}

/// The committed models: time of a call of one row, and gas a second.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models");
    let mut models: Vec<_> = std::fs::read_dir(&folder)?.flatten().map(|e| e.path().join("model.onnx")).collect();
    models.retain(|p| p.exists());
    models.sort();
    for path in models {
        let name = path.parent().and_then(|p| p.file_name()).unwrap_or_default().to_string_lossy().into_owned();
        if bench.wanted(&format!("call {name}")) {
            one(bench, &name, &path)?;
        }
    }
    Ok(())
}

fn one(bench: &mut Bench, name: &str, path: &Path) -> Result<()> {
    let model = ours::loaded(ours::imported(path)?.model)?;
    let row: usize = model
        .graph
        .inputs
        .iter()
        .map(|i| i.shape[1..].iter().filter_map(|d| d.as_known()).product::<u64>() as usize)
        .sum();
    let store = ResidentModels::new();
    let id = store.insert(model)?;
    // One in 18 decimals: also a category's code.
    let call = inferCall { modelId: id, x: vec![I256::from_raw(U256::from(10u64.pow(18))); row] }.abi_encode();
    let limits = ChainLimits::default();
    let active = RecordWord { status: Status::Activated, ls1_version: LS1_VERSION, ..RecordWord::default() };
    let memo = NodeMemo::default().for_blocks();
    let once = |memo: Option<&dyn Memo>| {
        let mut registry = |_: &_| Ok(active);
        let mut env = CallEnv {
            block_number: 1,
            schedule: &SCHEDULES[0],
            limits: &limits,
            registry: &mut registry,
            store: &store,
            value: U256::ZERO,
            delegated_to: None,
            memo,
            options: Options::default(),
            record: false,
        };
        match execute(&mut env, &call, u64::MAX) {
            Outcome::Success { gas_used, .. } => Ok(gas_used),
            other => bail!("{name}: {other:?}"),
        }
    };
    let gas = once(Some(&*memo))?;
    let mut contenders = [
        Contender::new("engine", || once(None).map(|_| ())),
        Contender::new("remembered", || once(Some(&*memo)).map(|_| ())),
    ];
    let samples = in_turn(&mut contenders, bench.rounds, bench.seconds / 4.0)?;
    let (seconds, remembered) = (median(&samples[0]), median(&samples[1]));
    let tiny = (name == "breast_cancer_logreg").then_some(5.0);
    let line = |name: String, ours: f64, unit: &str, target: Option<f64>, met: Option<bool>| Row {
        name,
        ours,
        theirs: None,
        peer: None,
        unit: unit.into(),
        ratio: None,
        target,
        met,
    };
    let micros = 1e6 * seconds;
    bench.note(line(format!("call {name}, 1 row"), micros, "microseconds", tiny, tiny.map(|t| micros <= t)));
    bench.note(line(format!("call {name}, remembered"), 1e6 * remembered, "microseconds", None, None));
    let rate = gas as f64 / seconds / 1e6;
    bench.note(line(format!("gas {name}, 1 row"), rate, "Mgas/s", Some(100.0), Some(rate >= 100.0)));
    Ok(())
}
