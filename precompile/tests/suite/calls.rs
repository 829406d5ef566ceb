//! Answers, through a real EVM.

use crate::chain::models::{self, Builder, n};
use crate::chain::*;
use std::sync::Arc;

use alloy_evm::EvmInternals;
use alloy_evm::precompiles::{Precompile, PrecompileInput};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall;
use lockstep_engine::format::encode_graph;
use lockstep_engine::ops::unary::UnaryKind;
use lockstep_engine::{DType, Labels};
use lockstep_precompile::abi::IInference as E;
use lockstep_precompile::abi::Tensor;
use lockstep_precompile::{PRECOMPILE_ADDRESS, ResidentModels, precompiles};
use revm::{Context, MainContext};

fn ints(out: &[u8]) -> Vec<f64> {
    let y = E::inferCall::abi_decode_returns_validate(out).unwrap();
    y.iter().map(|v| f64::from(lockstep_precompile::wad::to_f32(*v).unwrap())).collect()
}

fn classes(out: &[u8]) -> (Vec<u64>, Vec<f64>) {
    let r = E::classifyCall::abi_decode_returns_validate(out).unwrap();
    let scores = r.score.iter().map(|v| f64::from(lockstep_precompile::wad::to_f32(*v).unwrap())).collect();
    (r.classIndex.iter().map(|c| c.to()).collect(), scores)
}

#[test]
fn infer_returns_the_primary_output_row_by_row() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let (_, out) = chain.ok(&infer(id, &[1.0, 2.0, 3.0, -1.0, 0.25, 0.0]));
    assert_eq!(ints(&out), [1.5, 4.5, 9.5, -0.5, 1.0, 0.5]);
    let id = chain.add(models::fixed_rows());
    assert_eq!(ints(&chain.ok(&infer(id, &[1.0, 2.0, 3.0, 4.0])).1), [-1.0, -2.0, -3.0, -4.0]);
}

#[test]
fn a_row_is_each_input_s_part_in_model_order() {
    let mut chain = Chain::new();
    let id = chain.add(models::all_types());
    // f32, u8, i8, i32, i64, bool, of two rows.
    let (_, out) = chain.ok(&infer(id, &[0.5, 200.0, -3.0, 4.0, 5.0, 1.0, -0.5, 1.0, 2.0, -9.0, 7.0, 0.0]));
    assert_eq!(ints(&out), [0.5, 200.0, -3.0, 4.0, 5.0, 1.0, -0.5, 1.0, 2.0, -9.0, 7.0, 0.0]);
}

#[test]
fn classify_takes_the_label_from_the_model_or_the_greatest_score() {
    let mut chain = Chain::new();
    let table = chain.add(models::labelled(3, Labels::Ints(vec![10, -20, 30])));
    let (_, out) = chain.ok(&classify(table, &[0.1, 0.2, 0.7, -20.0, 0.5, 0.25, 0.25, 10.0]));
    assert_eq!(classes(&out), (vec![1, 0], vec![f64::from(0.2f32), 0.5]), "the label decides, not the score");
    let strings = chain.add(models::labelled(2, Labels::Strings(vec!["no".into(), "yes".into()])));
    assert_eq!(classes(&chain.ok(&classify(strings, &[0.75, 0.25, 1.0])).1), (vec![1], vec![0.25]));
    let single = chain.add(models::labelled(1, Labels::None));
    assert_eq!(classes(&chain.ok(&classify(single, &[0.75, 5.0])).1), (vec![5], vec![0.75]), "the only column");
    let scores = chain.add(models::scores(3));
    assert_eq!(classes(&chain.ok(&classify(scores, &[1.0, 3.0, 3.0, 4.0, 0.0, 2.0])).1), (vec![1, 0], vec![3.0, 4.0]));
}

#[test]
fn run_returns_all_outputs_and_widens_bytes() {
    let mut chain = Chain::new();
    let id = chain.add(models::all_types());
    let inputs = vec![
        floats(&[1, 1], &[1.5]),
        tensor(DType::U8, &[1, 1], vec![7]),
        tensor(DType::I8, &[1, 1], vec![0xff]),
        tensor(DType::I32, &[1, 1], vec![1, 0, 0, 0]),
        tensor(DType::I64, &[1, 1], vec![0xff; 8]),
        tensor(DType::Bool, &[1, 1], vec![1]),
    ];
    let (_, out) = chain.ok(&run(id, inputs.clone()));
    let outputs = E::runCall::abi_decode_returns_validate(&out).unwrap();
    assert_eq!(outputs[0], floats(&[1, 6], &[1.5, 7.0, -1.0, 1.0, -1.0, 1.0]));
    assert_eq!(outputs[1..], inputs);

    let id = chain.add(models::affine());
    for (dtype, byte, value) in [(DType::U8, 200u8, 200.0), (DType::I8, 0x80, -128.0)] {
        let (_, out) = chain.ok(&run(id, vec![tensor(dtype, &[1, 3], vec![byte; 3])]));
        let y = E::runCall::abi_decode_returns_validate(&out).unwrap();
        assert_eq!(y, [floats(&[1, 3], &[value + 0.5, value * 2.0 + 0.5, value * 3.0 + 0.5])]);
    }
}

#[test]
fn run_returns_infinities_and_takes_empty_tensors() {
    let mut chain = Chain::new();
    let id = chain.add(models::function(UnaryKind::Exp));
    let decode = |out: &[u8]| -> Vec<Tensor> { E::runCall::abi_decode_returns_validate(out).unwrap() };
    let (_, out) = chain.ok(&run(id, vec![floats(&[2, 1], &[1000.0, f32::NEG_INFINITY])]));
    assert_eq!(decode(&out), [floats(&[2, 1], &[f32::INFINITY, 0.0])]);
    let (_, out) = chain.ok(&run(id, vec![floats(&[0, 1], &[])]));
    assert_eq!(decode(&out), [floats(&[0, 1], &[])]);
}

#[test]
fn describe_says_what_the_graph_says() {
    let mut chain = Chain::new();
    let model = models::affine();
    let (graph_hash, root) = (model.graph_hash, model.weights_root);
    let id = chain.add(model);
    let info = E::describeCall::abi_decode_returns_validate(&chain.ok(&describe(id)).1).unwrap();
    assert_eq!((info.graphHash, info.weightsRoot), (B256::from(graph_hash), B256::from(root)));
    assert_eq!((info.ls1Version, info.activationBlock, info.rowFeatures), (1, BLOCK, 3));
    assert_eq!((info.primaryOutput, info.labelOutput), (0, u32::MAX));
    assert_eq!(info.weightsLength, 128);
    assert_eq!((info.inputs[0].name.as_str(), info.inputs[0].dtype), ("x", 1));
    assert_eq!(info.inputs[0].shape, ["rows", "3"]);
    assert_eq!(
        (info.outputs[0].name.as_str(), info.outputs[0].shape.as_slice()),
        ("y", ["rows", "3"].map(String::from).as_slice())
    );
    assert_eq!(info.features.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    let id = chain.add(models::labelled(2, Labels::Ints(vec![3, -4])));
    let info = E::describeCall::abi_decode_returns_validate(&chain.ok(&describe(id)).1).unwrap();
    assert_eq!((info.labelOutput, info.labels), (1, vec!["3".to_owned(), "-4".to_owned()]));
    let id = chain.add(models::add());
    let info = E::describeCall::abi_decode_returns_validate(&chain.ok(&describe(id)).1).unwrap();
    assert_eq!(info.rowFeatures, 0, "not tabular");
}

#[test]
fn validate_needs_no_registry_and_no_weights() {
    let mut chain = Chain::new();
    let model = models::affine();
    let graph = encode_graph(&model.graph, model.weights_length);
    let (gas, out) = chain.ok(&validate(&graph));
    let r = E::validateCall::abi_decode_returns_validate(&out).unwrap();
    assert_eq!((r.ls1Version, r.weightsLength), (1, 128));
    let words = (validate(&graph).len() as u64).div_ceil(32);
    assert_eq!(gas, 700 + 16 * words + 16 * graph.len() as u64);
}

#[test]
fn every_call_scheme_but_delegation_gets_the_same_answer() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let data = infer(id, &[1.0, 2.0, 3.0]);
    let call = Step { opcode: CALL, ..ask(&data, PLENTY) };
    let (seen, out) = chain.probe(&[ask(&data, PLENTY), call]).unwrap();
    assert_eq!(seen[0], seen[1]);
    // Straight from a transaction, too.
    let direct = chain.transact(lockstep_precompile::PRECOMPILE_ADDRESS, 0, data).unwrap();
    assert_eq!(direct.result.output(), Some(&out));
}

#[test]
fn the_state_gas_reservoir_is_handed_back() {
    let models = Arc::new(ResidentModels::new());
    let list = precompiles(Arc::default(), models);
    assert_eq!(list[0].0, PRECOMPILE_ADDRESS);
    assert!(!list[0].1.supports_caching(), "answers depend on the registry");
    let mut context = Context::mainnet();
    // Out of gas, a revert, a result.
    for (data, gas, used) in [(vec![], 10, 10), (vec![], 1_000, 700), (quote(&validate(&[])), 2_000, 796)] {
        let input = PrecompileInput {
            data: &data,
            gas,
            reservoir: 77,
            caller: CALLER,
            value: U256::ZERO,
            target_address: PRECOMPILE_ADDRESS,
            is_static: true,
            bytecode_address: PRECOMPILE_ADDRESS,
            internals: EvmInternals::from_context(&mut context),
        };
        let output = list[0].1.call(input).unwrap();
        assert_eq!((output.gas_used, output.reservoir, output.state_gas_used), (used, 77, 0));
    }
}

#[test]
fn before_activation_the_address_is_an_ordinary_account() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    chain.config.activation = BLOCK + 1;
    let (_, out) = chain.call(&infer(id, &[1.0, 2.0, 3.0]), PLENTY).unwrap();
    assert_eq!(U256::from_be_slice(&out), U256::from(42), "the marker's code ran");
    chain.block = BLOCK + 1;
    chain.ok(&infer(id, &[1.0, 2.0, 3.0]));
}

#[test]
fn the_model_of_one_hundred_nodes_is_charged_for_each() {
    let mut chain = Chain::new();
    let deep = |nodes: usize| {
        let mut b = Builder::new(&["rows"]);
        let mut v = b.input("x", DType::F32, &[n(), 1.into()]);
        for _ in 0..nodes {
            v = b.unary(UnaryKind::Neg, v);
        }
        b.output("y", v);
        b.load()
    };
    let (short, long) = (chain.add(deep(10)), chain.add(deep(110)));
    let gas = |c: &mut Chain, id| c.ok(&infer(id, &[1.0])).0;
    let difference = gas(&mut chain, long) - gas(&mut chain, short);
    // Shapes (a node and its operand), and a node with one element each.
    assert_eq!(difference, 100 * 2 * 15 + 100 * 30_700 / 1000);
}
