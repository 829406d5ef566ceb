//! What a call costs besides the engine: `cargo run --release -p lockstep-node-ext --example call_overhead`.
//!
//! Microseconds for a call of the precompile's core (decoding, charges, shapes, answer, encoding; without the EVM's own
//! call): by the engine each time, with a memory that has not seen the inputs, and with one that has.

use alloy_primitives::{B256, I256, U256};
use lockstep_engine::{
    DType, Data, Dim, Graph, Input, LS1_VERSION, Limits, LoadedModel, Model, Node, Output, Tensor, ValueId,
    exec::Options,
    graph::Constant,
    ops::{
        contraction::MatMul,
        unary::{Unary, UnaryKind},
    },
};
use lockstep_node_ext::memo::NodeMemo;
use lockstep_precompile::{
    CallEnv, Fatal, LockstepConfig, Memo, Outcome, RecordWord, ResidentModels, abi::IInference, execute,
    registry::Status, wad,
};
use std::{sync::Arc, time::Instant};

type Failed = Box<dyn std::error::Error>;

/// x (rows, features) · w, then a sigmoid: logistic regression where there is one output.
fn model(features: usize, outputs: usize) -> Result<LoadedModel, Failed> {
    let weights = (0..features * outputs).map(|i| (i % 13) as f32 / 64.0 - 0.1).collect();
    let weights = Tensor::new(vec![features, outputs], Data::F32(weights)).ok_or("weights")?;
    let node = |op, inputs: &[u32]| Node { op, inputs: inputs.iter().map(|v| Some(ValueId(*v))).collect() };
    let graph = Graph {
        symbols: vec!["rows".into()],
        inputs: vec![Input {
            name: "x".into(),
            dtype: DType::F32,
            shape: vec![Dim::symbol(0), Dim::Known(features as u64)],
        }],
        constants: vec![Constant { dtype: DType::F32, shape: vec![features as u32, outputs as u32] }],
        nodes: vec![node(MatMul {}.into(), &[0, 1]), node(Unary { kind: UnaryKind::Sigmoid }.into(), &[2])],
        outputs: vec![Output { name: "y".into(), value: ValueId(3) }],
        ..Graph::default()
    };
    let limits = Limits::default();
    Ok(LoadedModel::new(Model::build(graph, &[weights], Vec::new(), &limits)?, &limits)?)
}

/// Median microseconds of a call; the k-th call has input number `input(k)`.
fn measure(model: &Arc<LoadedModel>, memo: Option<&dyn Memo>, input: impl Fn(usize) -> usize) -> Result<f64, Failed> {
    const CALLS: usize = 2_000;
    let store = ResidentModels::new();
    let id = store.insert(model.clone())?;
    let config = LockstepConfig::default();
    let schedule = config.schedule().ok_or("no schedule")?;
    let word = RecordWord { status: Status::Activated, ls1_version: LS1_VERSION, ..RecordWord::default() };
    let features = model.graph.row_features().ok_or("no rows")? as usize;
    let mut times = Vec::with_capacity(CALLS);
    for k in 0..CALLS {
        let x: Option<Vec<I256>> = (0..features).map(|i| wad::from_f32((i + input(k)) as f32 / 8.0)).collect();
        let call = alloy_sol_types::SolCall::abi_encode(&IInference::inferCall { modelId: id, x: x.ok_or("range")? });
        let mut registry = |_: &B256| Ok::<_, Fatal>(word);
        let began = Instant::now();
        let mut env = CallEnv {
            block_number: 1,
            schedule,
            limits: &config.limits,
            registry: &mut registry,
            store: &store,
            value: U256::ZERO,
            delegated_to: None,
            memo,
            options: Options::default(),
            record: false,
        };
        let outcome = execute(&mut env, &call, u64::MAX);
        times.push(began.elapsed());
        if !matches!(outcome, Outcome::Success { .. }) {
            return Err(format!("{outcome:?}").into());
        }
    }
    times.sort_unstable();
    Ok(times[CALLS / 2].as_nanos() as f64 / 1000.0)
}

fn main() -> Result<(), Failed> {
    println!("{:>20}  {:>9}  {:>9}  {:>9}   microseconds", "model", "engine", "first", "again");
    for (features, outputs) in [(30, 1), (512, 512), (2048, 2048)] {
        let model = Arc::new(model(features, outputs)?);
        let memo = NodeMemo::default().for_blocks();
        let engine = measure(&model, None, |_| 0)?;
        let first = measure(&model, Some(&*memo), |k| k + 1)?;
        let again = measure(&model, Some(&*memo), |_| 0)?;
        println!("{:>20}  {engine:>9.1}  {first:>9.1}  {again:>9.1}", format!("{features} to {outputs}"));
    }
    Ok(())
}
