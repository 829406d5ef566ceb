//! The Solidity twin against the precompile (spec section 11): random graphs and calls in one EVM state, once with the
//! precompile and once with the code that genesis stores at its address. Every byte of every answer and error is compared,
//! `quote` included.
//!
//! `TWIN_CALLS=10000` compares so many calls; with `TWIN_OUT=FOLDER` they are written there too, for forge
//! (contracts/test/twin/TwinFuzz.t.sol). scripts/twin_differential.sh does both.

#![allow(clippy::disallowed_methods)] // a test: it reads files and the environment

#[path = "../../engine/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_evm::{Evm, EvmEnv, EvmFactory};
use alloy_primitives::{Address, B256, Bytes, I256, U256, hex, keccak256};
use alloy_sol_types::{SolCall, SolError};
use lockstep_engine::format::encode_graph;
use lockstep_engine::graph::Graph;
use lockstep_engine::ops::Op;
use lockstep_engine::ops::binary::BinaryKind;
use lockstep_engine::{DType, Labels, Limits, LoadedModel, Model};
use lockstep_precompile::abi::{IInference as E, Tensor};
use lockstep_precompile::registry::{CHUNK_DATA, Status, element_slot, record_slot};
use lockstep_precompile::{
    LockstepConfig, LockstepEvmFactory, PRECOMPILE_ADDRESS, REGISTRY_ADDRESS, RecordWord, ResidentModels,
};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, Output};
use revm::database::InMemoryDB;
use revm::primitives::TxKind;
use revm::state::{AccountInfo, Bytecode};

/// The EVM state that both sides see.
struct Chain {
    db: InMemoryDB,
    models: Arc<ResidentModels>,
}

/// What comes of a call.
type Answer = (bool, Bytes);

fn committed(file: &str) -> serde_json::Value {
    let path = format!("{}/../contracts/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

impl Chain {
    fn new() -> Self {
        let mut chain = Self { db: InMemoryDB::default(), models: Arc::new(ResidentModels::new()) };
        let twin = committed("twin.json");
        let registry = committed("predeploys.json")["registry"].clone();
        for module in twin["modules"].as_array().unwrap().iter().chain([&registry]) {
            let address: Address = module["address"].as_str().unwrap().parse().unwrap();
            chain.place(address, hex::decode(module["code"].as_str().unwrap()).unwrap());
        }
        chain
    }

    fn place(&mut self, at: Address, code: Vec<u8>) {
        let mut info = AccountInfo::from_bytecode(Bytecode::new_raw(code.into()));
        info.nonce = 1;
        self.db.insert_account_info(at, info);
    }

    /// Registers a model as the registry does, and activates it.
    fn add(&mut self, model: Model) -> B256 {
        let graph = encode_graph(&model.graph, model.weights.len() as u64);
        let word = RecordWord {
            status: Status::Activated,
            activation_block: 1,
            ls1_version: 1,
            graph_length: graph.len() as u32,
            weights_length: model.weights.len() as u64,
        };
        let weights = model.weights.clone();
        let id = self.models.insert(LoadedModel::new(model, &Limits::default()).unwrap()).unwrap();
        let slot = record_slot(&id);
        self.store(slot, word.pack());
        for (n, data) in [(3u64, graph), (4, weights)] {
            let list = slot + U256::from(n);
            self.store(list, U256::from(data.len().div_ceil(CHUNK_DATA)));
            for (i, part) in data.chunks(CHUNK_DATA).enumerate() {
                let chunk = Address::from_word(keccak256(part));
                self.place(chunk, [&[0], part].concat());
                self.store(element_slot(list, i as u64), chunk.into_word().into());
            }
        }
        id
    }

    fn store(&mut self, slot: U256, value: U256) {
        self.db.insert_account_storage(REGISTRY_ADDRESS, slot, value).unwrap();
    }

    fn call(&mut self, factory: &LockstepEvmFactory, data: &[u8]) -> Answer {
        let mut env: EvmEnv = EvmEnv::default();
        env.block_env.number = U256::from(100);
        env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
        env.block_env.gas_limit = u64::MAX;
        let tx = TxEnv {
            gas_limit: 1 << 40,
            kind: TxKind::Call(PRECOMPILE_ADDRESS),
            data: data.to_vec().into(),
            ..Default::default()
        };
        match factory.create_evm(&mut self.db, env).transact_raw(tx).unwrap().result {
            ExecutionResult::Success { output: Output::Call(output), .. } => (true, output),
            ExecutionResult::Revert { output, .. } => (false, output),
            other => panic!("{other:?} of {}", hex::encode(data)),
        }
    }

    /// The precompile's answer and the twin's.
    fn both(&mut self, data: &[u8]) -> (Answer, Answer) {
        let config = Some(Arc::new(LockstepConfig::default()));
        let native = LockstepEvmFactory::new(config, self.models.clone());
        let plain = LockstepEvmFactory::new(None, self.models.clone());
        (self.call(&native, data), self.call(&plain, data))
    }
}

/// Whether the graph has an operator that the twin does not compute.
fn beyond_the_twin(graph: &Graph) -> bool {
    graph.nodes.iter().any(|n| match &n.op {
        Op::Unary(u) => u.kind as u8 >= 38,
        // Powers of integers it has; types are not looked at here.
        Op::Binary(b) => b.kind == BinaryKind::Pow,
        op => matches!(op, Op::PairwiseCoupling(_)),
    })
}

/// A random model with random roles of its outputs.
fn model(seed: u64, rng: &mut ChaCha8Rng) -> Model {
    let model = support::random_model(seed, rng.random_range(1..6));
    let mut graph = model.graph.clone();
    graph.primary_output = rng.random_range(0..graph.outputs.len()) as u16;
    if rng.random() {
        graph.label_output = Some(rng.random_range(0..graph.outputs.len()) as u16);
    }
    graph.labels = match rng.random_range(0..3) {
        0 => Labels::None,
        1 => Labels::Ints(vec![0, 2, -1, 1]),
        _ => Labels::Strings(vec!["a".into(), "b".into(), "c".into()]),
    };
    let sections = |g: &Graph| encode_graph(g, model.weights.len() as u64);
    let limits = Limits::default();
    // Not every output can hold labels.
    Model::from_sections(&sections(&graph), model.weights.clone(), Vec::new(), &limits).unwrap_or_else(|_| {
        graph.label_output = None;
        Model::from_sections(&sections(&graph), model.weights.clone(), Vec::new(), &limits).unwrap()
    })
}

fn wad(rng: &mut ChaCha8Rng, integer: bool) -> I256 {
    let one = I256::try_from(1_000_000_000_000_000_000i128).unwrap();
    let small = I256::try_from(rng.random_range(-5i64..6)).unwrap() * one;
    match rng.random_range(0..if integer { 400 } else { 60 }) {
        0 => I256::try_from(rng.random::<i64>()).unwrap(),
        1 => I256::try_from(rng.random::<i128>()).unwrap() >> rng.random_range(0..100usize),
        2 => *[I256::ZERO, I256::MAX, I256::MIN, I256::MINUS_ONE, one, I256::ONE].choose(rng).unwrap(),
        3..40 if !integer => {
            I256::try_from(rng.random_range(-4_000_000_000_000_000_000i128..4_000_000_000_000_000_000)).unwrap()
        }
        _ => small,
    }
}

/// Calls of a model: good ones, ones whose arguments do not fit, and broken encodings.
fn calls(id: B256, graph: &Graph, seed: u64, rng: &mut ChaCha8Rng) -> Vec<Vec<u8>> {
    let rows = rng.random_range(1..4usize);
    let special = *[0, 3, 30].choose(rng).unwrap();
    let tensors: Vec<Tensor> = support::random_inputs(graph, rows, seed, special)
        .iter()
        .map(|t| Tensor {
            dtype: t.dtype().code(),
            shape: t.shape.iter().map(|d| *d as u32).collect(),
            data: t.to_le_bytes().into(),
        })
        .collect();
    let run = E::runCall { modelId: id, inputs: tensors.clone() }.abi_encode();
    let features = graph.row_features().unwrap_or(3) as usize;
    let integer = graph.inputs.iter().any(|i| i.dtype != DType::F32);
    let x: Vec<I256> = (0..rows * features).map(|_| wad(rng, integer)).collect();
    let infer = E::inferCall { modelId: id, x: x.clone() }.abi_encode();
    let classify = E::classifyCall { modelId: id, x: x.clone() }.abi_encode();
    let mut list = vec![run.clone(), infer.clone(), classify.clone()];
    let good = list.clone();
    list.extend(good.iter().map(|c| E::quoteCall { call: c.clone().into() }.abi_encode()));

    // Arguments that do not fit.
    let mut wrong = tensors.clone();
    let i = rng.random_range(0..wrong.len());
    match rng.random_range(0..6) {
        0 => wrong[i].dtype = *[1u8, 2, 3, 6, 7, 9, 0, 200].choose(rng).unwrap(),
        1 => drop(wrong.remove(i)),
        2 => wrong[i].shape.push(1),
        3 => {
            let axis = rng.random_range(0..wrong[i].shape.len());
            wrong[i].shape[axis] = *[0, 1, 2, u32::MAX].choose(rng).unwrap();
        }
        4 => wrong[i].data = wrong[i].data.slice(..wrong[i].data.len() - 1),
        _ => {
            // Bytes widen where the model takes f32.
            let n = wrong[i].shape.iter().map(|d| *d as usize).product();
            wrong[i].dtype = *[2u8, 3].choose(rng).unwrap();
            wrong[i].data = (0..n).map(|_| rng.random::<u8>()).collect::<Vec<_>>().into();
        }
    }
    list.push(E::runCall { modelId: id, inputs: wrong }.abi_encode());
    list.push(E::inferCall { modelId: id, x: x[..rng.random_range(0..x.len())].to_vec() }.abi_encode());

    // Broken encodings, of which few are another call.
    for _ in 0..2 {
        let mut data = [&run, &infer, &classify, &list[3]][rng.random_range(0..4)].clone();
        let word = 4 + 32 * rng.random_range(0..data.len() / 32);
        match rng.random_range(0..5) {
            0 => {
                let bit = rng.random_range(0..data.len() * 8);
                data[bit / 8] ^= 1 << (bit % 8);
            }
            1 => {
                data[word..word + 32].fill(0);
                data[word + 31] = *[0u8, 32, 64, 96, 128, 160].choose(rng).unwrap();
            }
            2 => data[word..word + 32].fill(0xff),
            3 => data.truncate(rng.random_range(0..data.len())),
            _ => data.extend((0..rng.random_range(1..40)).map(|_| rng.random::<u8>())),
        }
        list.push(data);
    }
    list
}

#[test]
fn the_twin_answers_as_the_precompile() {
    let number = |name| std::env::var(name).ok().and_then(|n: String| n.parse::<usize>().ok());
    let wanted = number("TWIN_CALLS").unwrap_or(400);
    let mut rng = ChaCha8Rng::seed_from_u64(0x7717);
    let mut chain = Chain::new();
    let (mut compared, mut beyond, mut succeeded) = (0, 0, 0);
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let mut files = Files { folder: std::env::var_os("TWIN_OUT").map(Into::into), ..Files::default() };
    for seed in number("TWIN_SEED").unwrap_or(0) as u64.. {
        if compared >= wanted {
            break;
        }
        let model = model(seed, &mut rng);
        if beyond_the_twin(&model.graph) {
            beyond += 1;
            // One in ten is called nevertheless: it must say that it cannot.
            if seed % 10 != 0 {
                continue;
            }
        }
        let (graph, weights) = (model.graph.clone(), model.weights.clone());
        let id = chain.add(model);
        let mut cases = Vec::new();
        for data in calls(id, &graph, seed, &mut rng) {
            let (native, twin) = chain.both(&data);
            if !twin.0 && twin.1.starts_with(&E::TwinCannotRun::SELECTOR) {
                assert!(beyond_the_twin(&graph), "seed {seed}: {}", String::from_utf8_lossy(&twin.1));
                *outcomes.entry("TwinCannotRun".into()).or_default() += 1;
                continue;
            }
            if native.1.starts_with(&E::LimitExceeded::SELECTOR) && !native.0 {
                // The chain's limits are no part of its state (spec TWIN-3): the twin must only not answer.
                assert!(!twin.0, "seed {seed}: an answer above a limit");
                *outcomes.entry("LimitExceeded".into()).or_default() += 1;
                continue;
            }
            let said = |a: &Answer| format!("{} {}", a.0, a.1);
            assert_eq!(said(&native), said(&twin), "seed {seed}, call {}", hex::encode(&data));
            compared += 1;
            succeeded += usize::from(native.0);
            *outcomes.entry(name(&native)).or_default() += 1;
            cases.push((data, native));
        }
        let section = encode_graph(&graph, weights.len() as u64);
        files.add([&id[..], &section, &weights], &cases);
    }
    files.flush();
    println!("{compared} calls compared, {succeeded} with a result; {beyond} graphs beyond the twin; {outcomes:?}");
    assert!(succeeded * 4 > compared, "too few calls have a result");
}

/// Cases for forge: files of about so many bytes.
#[derive(Default)]
struct Files {
    folder: Option<std::path::PathBuf>,
    bytes: Vec<u8>,
    number: usize,
}

impl Files {
    const SIZE: usize = 100_000;

    fn part(&mut self, part: &[u8]) {
        self.bytes.extend((part.len() as u32).to_be_bytes());
        self.bytes.extend(part);
    }

    /// A graph and its calls: call data, success as one byte or none, answer.
    fn add(&mut self, model: [&[u8]; 3], cases: &[(Vec<u8>, Answer)]) {
        if self.folder.is_none() || cases.is_empty() {
            return;
        }
        model.iter().for_each(|p| self.part(p));
        self.bytes.extend((cases.len() as u32).to_be_bytes());
        for (data, (ok, answer)) in cases {
            self.part(data);
            self.part(if *ok { &[1] } else { &[] });
            self.part(answer);
        }
        if self.bytes.len() >= Self::SIZE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let Some(folder) = self.folder.as_ref().filter(|_| !self.bytes.is_empty()) else { return };
        let text = serde_json::json!({ "cases": hex::encode_prefixed(&self.bytes) });
        std::fs::write(folder.join(format!("fuzz_{}.json", self.number)), format!("{text}\n")).unwrap();
        self.number += 1;
        self.bytes.clear();
    }
}

fn name(answer: &Answer) -> String {
    use alloy_sol_types::SolInterface;
    if answer.0 {
        return "a result".to_owned();
    }
    let error = E::IInferenceErrors::abi_decode(&answer.1).map_or_else(|_| "?".to_owned(), |e| format!("{e:?}"));
    error.split(['(', ' ']).next().unwrap_or_default().to_owned()
}
