//! Every committed model, through the precompile, in mined transactions of a started node.

use alloy_primitives::{B256, I256, U256, hex};
use alloy_sol_types::{SolCall, SolEvent, SolValue, sol};
use anyhow::{Context, Result, ensure};
use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::{DType, Tensor};
use lockstep_precompile::PRECOMPILE_ADDRESS;
use lockstep_precompile::abi::{self, IInference};
use lockstep_precompile::wad;
use lockstep_tests::contracts::{Contract, creation_code, eth_call};
use lockstep_tests::models::{self, Committed, Expected};
use lockstep_tests::node::Node;
use lockstep_tests::probe::Probe;
use serde_json::{Value, json};

sol! {
    struct OutTensor { uint8 dtype; uint32[] shape; bytes data; }
    interface IModelConsumer {
        event Inferred(bytes32 indexed modelId, int256[] y);
        event Classified(bytes32 indexed modelId, uint256[] classIndex, int256[] score);
        event Ran(bytes32 indexed modelId, OutTensor[] outputs);
    }
}

/// Data of the receipt's first log.
fn log_data(receipt: &Value) -> Result<Vec<u8>> {
    let log = &receipt["logs"][0];
    Ok(hex::decode(log["data"].as_str().with_context(|| format!("no log in {receipt}"))?)?)
}

/// Rows of one transaction.
const BATCH: usize = 50;

/// The answers of a contract, for the whole test split, through mined transactions.
fn on_chain(m: &Committed, consumer: &Contract) -> Result<(Expected, Vec<I256>)> {
    let (mut classes, mut values, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for from in (0..m.rows).step_by(BATCH) {
        let to = (from + BATCH).min(m.rows);
        // The consumer's functions have the precompile's selectors and arguments.
        let receipt = consumer.send_ok(&m.call_data(from, to)?)?;
        let data = log_data(&receipt)?;
        if m.needs_run() {
            let ran = IModelConsumer::Ran::abi_decode_data(&data)?;
            let outputs: Vec<Tensor> = ran
                .0
                .iter()
                .map(|t| {
                    let shape = t.shape.iter().map(|d| *d as usize).collect();
                    let dtype = DType::from_code(t.dtype).context("an unknown type")?;
                    Tensor::from_le_bytes(dtype, shape, &t.data).context("data that does not fit its shape")
                })
                .collect::<Result<_>>()?;
            match m.decide(&outputs)? {
                Expected::Classes(c) => classes.extend(c),
                Expected::Values(v) => values.extend(v),
            }
            let primary = &outputs[usize::from(m.graph().primary_output)];
            raw.extend(primary.as_f32().context("f32")?.iter().filter_map(|x| wad::from_f32(*x)));
        } else if m.is_classifier() {
            let c = IModelConsumer::Classified::abi_decode_data(&data)?;
            classes.extend(c.0.iter().map(|i| i.saturating_to::<u64>()));
            raw.extend(c.1);
        } else {
            let y = IModelConsumer::Inferred::abi_decode_data(&data)?.0;
            values.extend(y.iter().filter_map(|v| wad::to_f32(*v)).map(f64::from));
            raw.extend(y);
        }
    }
    Ok((if m.is_classifier() { Expected::Classes(classes) } else { Expected::Values(values) }, raw))
}

#[test]
fn every_model_answers_in_mined_transactions_as_its_library_does() -> Result<()> {
    let node = Node::dev_with_models()?;
    let consumer = Contract::deploy(&node.rpc, creation_code("ModelConsumer.sol", "ModelConsumer")?, &[])?;
    for m in models::all()? {
        let (answers, _) = on_chain(&m, &consumer)?;
        match (answers, m.expected()?) {
            (Expected::Classes(got), Expected::Classes(want)) => {
                let wrong = got.iter().zip(&want).filter(|(a, b)| a != b).count();
                assert_eq!((wrong, got.len()), (0, m.rows), "{}: rows with another class", m.name);
            }
            (Expected::Values(got), Expected::Values(want)) => {
                assert_eq!(got.len(), want.len(), "{}", m.name);
                let range = Committed::range(&want);
                let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst <= 1e-6 * range, "{}: off by {worst:e} of a range of {range}", m.name);
            }
            _ => panic!("{}: classes against values", m.name),
        }
    }
    Ok(())
}

/// Reference, fast path, 1 and 2 threads, batch 1 and batch N, and the contract: one set of bits.
#[test]
fn every_way_to_compute_gives_the_same_bits() -> Result<()> {
    let node = Node::dev_with_models()?;
    for m in models::all()? {
        let run = |inputs: Vec<Tensor>, implementation, threads| -> Result<Vec<Vec<u8>>> {
            let out = m.compute(inputs, &Options { implementation, threads })?;
            Ok(out.iter().map(Tensor::to_le_bytes).collect())
        };
        let whole = run(m.inputs.clone(), Implementation::Reference, 1)?;
        for threads in [1, 2] {
            assert_eq!(run(m.inputs.clone(), Implementation::Fast, threads)?, whole, "{}: {threads} threads", m.name);
        }
        for r in 0..m.rows {
            for implementation in [Implementation::Fast, Implementation::Reference] {
                let one = run(m.slice(r, r + 1), implementation, 1)?;
                for (o, w) in one.iter().zip(&whole) {
                    let n = w.len() / m.rows;
                    assert_eq!(o, &w[r * n..(r + 1) * n], "{}: row {r} alone, {implementation:?}", m.name);
                }
            }
        }
        // Through the EVM: `run` returns the very bytes.
        for (from, to) in [(0, 1), (1, 2), (0, m.rows.min(BATCH)), (m.rows - 3, m.rows)] {
            let call = IInference::runCall { modelId: m.id(), inputs: m.tensors(from, to) }.abi_encode();
            let out = eth_call(&node.rpc, PRECOMPILE_ADDRESS, &call)?;
            let outputs = IInference::runCall::abi_decode_returns(&out)?;
            for (t, w) in outputs.iter().zip(&whole) {
                let n = w.len() / m.rows;
                assert_eq!(t.data, w[from * n..to * n], "{}: rows {from}..{to} through the precompile", m.name);
            }
        }
    }
    Ok(())
}

/// For every model and several shapes: quote, the gas measured inside the EVM, the kit's gas. Calls before do not matter.
#[test]
fn quote_is_the_gas_charged_for_every_model_and_shape() -> Result<()> {
    let node = Node::dev_with_models()?;
    let probe = Probe::deploy(&node.rpc)?;
    for m in models::all()? {
        let id = m.id();
        let mut calls = vec![IInference::describeCall { modelId: id }.abi_encode()];
        for rows in [1, 2, 7, 16] {
            calls.push(m.call_data(0, rows)?);
            calls.push(IInference::runCall { modelId: id, inputs: m.tensors(0, rows) }.abi_encode());
        }
        for call in calls {
            let quoted = eth_call(
                &node.rpc,
                PRECOMPILE_ADDRESS,
                &IInference::quoteCall { call: call.clone().into() }.abi_encode(),
            )?;
            let quoted = U256::abi_decode(&quoted)?.saturating_to::<u64>();
            for attempt in ["first", "again"] {
                let p = probe.measure(&call)?;
                ensure!(p.success, "{}: {:?}", m.name, p.output);
                assert_eq!(p.gas, quoted, "{}: {attempt} call of {} bytes", m.name, call.len());
            }
            let kit = lockstep_tests::kit::call(&m.path, &call, 15_000_000)?;
            assert_eq!((kit.status, kit.gas), (0, quoted), "{}: the test kit's gas", m.name);
            // The description tells the activation block, which a kit does not have.
            let described = call.starts_with(&IInference::describeCall::SELECTOR);
            assert!(described || kit.data == probe.measure(&call)?.output, "{}: the test kit's answer", m.name);
        }
    }
    Ok(())
}

/// eth_estimateGas suffices, and is not wasteful, for transactions that infer.
#[test]
fn estimated_gas_suffices_for_every_model() -> Result<()> {
    let node = Node::dev_with_models()?;
    let consumer = Contract::deploy(&node.rpc, creation_code("ModelConsumer.sol", "ModelConsumer")?, &[])?;
    for m in models::all()? {
        let data = hex::encode_prefixed(m.call_data(0, 5)?);
        let tx = json!({"from": consumer.from, "to": consumer.address, "data": data});
        let estimate = node.rpc.call("eth_estimateGas", json!([tx]))?;
        let receipt =
            node.rpc.transact(json!({"from": consumer.from, "to": consumer.address, "data": data, "gas": estimate}))?;
        assert_eq!(receipt["status"], "0x1", "{}: {estimate} is too little", m.name);
        let (used, limit) = (lockstep_tests::contracts::gas_used(&receipt)?, lockstep_tests::rpc::quantity(&estimate)?);
        assert!(limit <= used + used / 16, "{}: estimated {limit}, used {used}", m.name);
    }
    Ok(())
}

/// What a caller gets wrong comes back as an ABI error with the numbers, in a transaction too, and costs no more than it used.
#[test]
fn mistakes_come_back_as_errors_that_say_what_to_do() -> Result<()> {
    let node = Node::dev_with_models()?;
    let m = Committed::load("breast_cancer_logreg")?;
    let consumer = Contract::deploy(&node.rpc, creation_code("ModelConsumer.sol", "ModelConsumer")?, &[])?;
    let reverts = |call: Vec<u8>| -> Result<Vec<u8>> {
        let answer = node
            .rpc
            .raw("eth_call", json!([{"to": consumer.address, "data": hex::encode_prefixed(&call)}, "latest"]))?;
        assert_eq!(answer["error"]["code"], 3, "{answer}");
        let receipt = consumer.send(&call)?;
        assert_eq!(receipt["status"], "0x0");
        assert_eq!(receipt["logs"], json!([]));
        Ok(hex::decode(answer["error"]["data"].as_str().context("no data")?)?)
    };
    let classify = |id: B256, x: Vec<I256>| IInference::classifyCall { modelId: id, x }.abi_encode();
    let error = |data: &[u8]| IInference::IInferenceErrors::abi_decode_checked(data);

    let unknown = B256::repeat_byte(7);
    let e = error(&reverts(classify(unknown, m.words(0, 1)?))?)?;
    assert!(matches!(e, IInference::IInferenceErrors::UnknownModel(e) if e.modelId == unknown));

    let mut short = m.words(0, 1)?;
    short.pop();
    let e = error(&reverts(classify(m.id(), short))?)?;
    assert!(matches!(e, IInference::IInferenceErrors::WrongLength(e) if e.actual == U256::from(29)));

    let mut huge = m.words(0, 1)?;
    huge[3] = I256::MAX;
    let e = error(&reverts(classify(m.id(), huge))?)?;
    assert!(matches!(e, IInference::IInferenceErrors::OutOfRange(e) if e.position == U256::from(3)));

    let mut tensor = m.tensors(0, 1);
    tensor[0].dtype = 7;
    let e = error(&reverts(IInference::runCall { modelId: m.id(), inputs: tensor }.abi_encode())?)?;
    assert!(matches!(e, IInference::IInferenceErrors::WrongType(_) | IInference::IInferenceErrors::WrongLength(_)));
    Ok(())
}

trait Checked: Sized {
    fn abi_decode_checked(data: &[u8]) -> Result<Self>;
}

impl Checked for IInference::IInferenceErrors {
    fn abi_decode_checked(data: &[u8]) -> Result<Self> {
        use alloy_sol_types::SolInterface;
        Ok(Self::abi_decode(data)?)
    }
}

/// The model's description on chain is the model's.
#[test]
fn describe_tells_names_shapes_and_labels() -> Result<()> {
    let node = Node::dev_with_models()?;
    for m in models::all()? {
        let out = eth_call(&node.rpc, PRECOMPILE_ADDRESS, &IInference::describeCall { modelId: m.id() }.abi_encode())?;
        let info: abi::ModelInfo = IInference::describeCall::abi_decode_returns(&out)?;
        let g = m.graph();
        assert_eq!(info.labels, g.labels.to_strings());
        assert_eq!(info.rowFeatures, g.row_features().unwrap_or(0));
        assert_eq!(
            info.inputs.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(),
            g.inputs.iter().map(|i| i.name.as_str()).collect::<Vec<_>>()
        );
        assert_eq!(info.weightsRoot, m.model.weights_root);
        assert_eq!(info.graphHash, m.model.graph_hash);
    }
    Ok(())
}

/// The fixture of forge's tests is what the scalar reference answers now.
#[test]
fn forges_fixture_is_the_references_answer() -> Result<()> {
    let path = lockstep_tests::node::root().join(lockstep_tests::fixtures::PATH);
    let stored = std::fs::read_to_string(&path)?;
    ensure!(
        stored == lockstep_tests::fixtures::generate()?,
        "{}: run `cargo run --release -p lockstep-tests --example forge_models` if the change is meant",
        path.display()
    );
    Ok(())
}
