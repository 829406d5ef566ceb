//! The demo: real models, real data, a started chain, one table.
//!
//! Run by scripts/demo.sh, which builds and imports first. `KEEP=1` leaves the node running.

use std::io::Write;
use std::time::{Duration, Instant};

use alloy_primitives::{I256, hex};
use alloy_sol_types::{SolCall, SolEvent, sol};
use anyhow::{Context, Result, ensure};
use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::ops::Op;
use lockstep_engine::{Data, Tensor};
use lockstep_precompile::abi::IInference;
use lockstep_precompile::wad;
use lockstep_tests::contracts::{Contract, creation_code, gas_used};
use lockstep_tests::models::{self, Committed, Expected};
use lockstep_tests::node::{Node, root};
use lockstep_tests::probe::Probe;
use lockstep_tests::pure_solidity::{self, PureSolidity};
use serde_json::{Value, json};

sol! {
    event Inferred(bytes32 indexed modelId, int256[] y);
    event Classified(bytes32 indexed modelId, uint256[] classIndex, int256[] score);
    struct OutTensor { uint8 dtype; uint32[] shape; bytes data; }
    event Ran(bytes32 indexed modelId, OutTensor[] outputs);
}

/// Rows of one transaction.
const BATCH: usize = 50;

/// One line of the table.
struct Line {
    name: String,
    rows: usize,
    /// Rows on which the contract says what the author's library says.
    library: usize,
    /// Rows on which the contract has the bits of the scalar reference.
    reference: usize,
    /// Gas of the precompile for one row.
    gas: u64,
    /// Gas of pure Solidity for one row.
    pure: Option<u64>,
}

fn main() -> Result<()> {
    let began = Instant::now();
    step("starting a dev chain; the models are published by transactions");
    let node = Node::dev_with_models()?;
    let height = node.rpc.call("eth_blockNumber", json!([]))?;
    done(format!("{} after {} ms, block {}", node.rpc.url(), began.elapsed().as_millis(), number(&height)));

    step("deploying the example: a pool whose fee follows a volatility model, and a consumer");
    let pool = deploy_pool(&node)?;
    let consumer = Contract::deploy(&node.rpc, creation_code("ModelConsumer.sol", "ModelConsumer")?, &[])?;
    let probe = Probe::deploy(&node.rpc)?;
    done(format!("pool {pool}"));

    let mut lines = Vec::new();
    for m in models::all()? {
        step(&format!("{}: {} rows of its test split, in transactions", m.name, m.rows));
        let line = measure(&node, &consumer, &probe, &m)?;
        done(format!("{} of {} as its library", line.library, line.rows));
        lines.push(line);
    }
    print_table(&lines);
    flip_a_bit(&node, &consumer)?;
    try_next(&node)?;
    println!("\n{:.0} s.", began.elapsed().as_secs_f32());
    let failed = lines.iter().any(|l| l.library != l.rows || l.reference != l.rows);
    if std::env::var("KEEP").is_ok_and(|k| k == "1") {
        let url = node.rpc.url().to_owned();
        println!("The node stays up at {url} (process {}).", node.leave());
    } else {
        println!("The node is stopped; KEEP=1 make demo leaves it running.");
    }
    ensure!(!failed, "a row differs: see the table");
    Ok(())
}

fn step(text: &str) {
    print!("  {text} … ");
    let _ = std::io::stdout().flush();
}

fn done(text: String) {
    println!("{text}");
}

fn number(v: &Value) -> u64 {
    lockstep_tests::rpc::quantity(v).unwrap_or(0)
}

/// Deploys the example by the documented forge script; the pool's address.
fn deploy_pool(node: &Node) -> Result<String> {
    let m = Committed::load("volatility_mlp")?;
    let out = std::process::Command::new(root().join("node_modules/.bin/forge"))
        .args(["script", "contracts/script/DeployExample.s.sol", "--rpc-url", node.rpc.url(), "--broadcast"])
        // The first account of the public test mnemonic.
        .args(["--private-key", "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"])
        .env("VOLATILITY_MODEL_ID", m.id().to_string())
        .current_dir(root())
        .output()
        .context("forge does not start: run scripts/setup.sh")?;
    let text = String::from_utf8_lossy(&out.stdout);
    ensure!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    let line = text.lines().find(|l| l.contains("pool:")).unwrap_or_default();
    Ok(line.split_whitespace().last().unwrap_or("deployed").to_owned())
}

/// Sends the whole test split through transactions and compares.
fn measure(node: &Node, consumer: &Contract, probe: &Probe, m: &Committed) -> Result<Line> {
    let options = Options { implementation: Implementation::Reference, threads: 1 };
    let mut line = Line { name: m.name.clone(), rows: m.rows, library: 0, reference: 0, gas: 0, pure: None };
    let expected = m.expected()?;
    for from in (0..m.rows).step_by(BATCH) {
        let to = (from + BATCH).min(m.rows);
        let receipt = consumer.send_ok(&m.call_data(from, to)?)?;
        let data = hex::decode(receipt["logs"][0]["data"].as_str().context("no log")?)?;
        let outputs = m.compute(m.slice(from, to), &options)?;
        let reference = m.decide(&outputs)?;
        let primary = &outputs[usize::from(m.graph().primary_output)];
        let Data::F32(values) = &primary.data else { anyhow::bail!("the primary output is f32") };
        let columns = values.len() / (to - from);
        for r in from..to {
            let i = r - from;
            // The word or bytes that the contract saw, beside the reference's.
            let (said, same_bits) = answer(m, &data, i, &reference, &values[i * columns..(i + 1) * columns])?;
            let agrees = match (&expected, said) {
                (Expected::Classes(want), Said::Class(c)) => want[r] == c,
                (Expected::Values(want), Said::Value(v)) => (want[r] - v).abs() <= 1e-6 * Committed::range(want),
                _ => false,
            };
            line.library += usize::from(agrees);
            line.reference += usize::from(same_bits);
        }
    }
    line.gas = probe.measure(&m.call_data(0, 1)?)?.gas;
    if let Some(pure) = pure(node, m)? {
        let row = if m.needs_run() { complete_row(m) } else { m.words(0, 1)? };
        let seen = probe.measure_at(pure.contract.address, &pure.call_data(row))?;
        line.pure = seen.success.then_some(seen.gas);
    }
    Ok(line)
}

enum Said {
    Class(u64),
    Value(f64),
}

/// What the contract's event says of row `i`, and whether its number is bit for bit the reference's.
fn answer(m: &Committed, log: &[u8], i: usize, reference: &Expected, row: &[f32]) -> Result<(Said, bool)> {
    let exact = |x: f32| wad::from_f32(x);
    if m.needs_run() {
        let outputs = Ran::abi_decode_data(log)?.0;
        let primary = &outputs[usize::from(m.graph().primary_output)];
        let bytes = primary.data.chunks(4 * row.len()).nth(i).context("a row is missing")?;
        let same = bytes == row.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
        let tensors: Vec<Tensor> = outputs
            .iter()
            .filter_map(|t| {
                let shape = t.shape.iter().map(|d| *d as usize).collect();
                Tensor::from_le_bytes(lockstep_engine::DType::from_code(t.dtype)?, shape, &t.data)
            })
            .collect();
        return Ok(match m.decide(&tensors)? {
            Expected::Classes(c) => (Said::Class(c[i]), same),
            Expected::Values(v) => (Said::Value(v[i]), same),
        });
    }
    if let Expected::Classes(classes) = reference {
        let (index, score) = Classified::abi_decode_data(log)?;
        let class = index[i].saturating_to::<u64>();
        let column = if row.len() == 1 { 0 } else { classes[i] as usize };
        return Ok((Said::Class(class), class == classes[i] && Some(score[i]) == exact(row[column])));
    }
    let y = Inferred::abi_decode_data(log)?.0;
    let value = wad::to_f32(y[i]).map(f64::from).context("a value that is no f32")?;
    Ok((Said::Value(value), Some(y[i]) == exact(row[0])))
}

/// A row without missing values, for a contract that has no notion of them: a missing one is 0.
fn complete_row(m: &Committed) -> Vec<I256> {
    let mut out = Vec::new();
    for t in m.slice(0, 1) {
        match &t.data {
            Data::F32(v) => out.extend(v.iter().map(|x| wad::from_f32(*x).unwrap_or(I256::ZERO))),
            Data::I64(v) => out.extend(v.iter().map(|x| wad::from_integer(*x))),
            _ => {}
        }
    }
    out
}

/// The model in pure Solidity, where one of the three contracts fits it.
fn pure(node: &Node, m: &Committed) -> Result<Option<PureSolidity>> {
    if m.name != "breast_cancer_logreg" {
        return PureSolidity::deploy(&node.rpc, &m.model);
    }
    // Scaler and weights, folded as an engineer would: (x - mean) * scale * w + b.
    let g = m.graph();
    let constant = |node: usize, operand: usize| -> Result<&[f32]> {
        let v = g.nodes[node].inputs[operand].context("operand")?;
        m.model.constants()[g.as_constant(v).context("a constant")?].as_f32().context("f32")
    };
    let gemm = g.nodes.iter().position(|n| matches!(n.op, Op::Gemm(_))).context("a Gemm")?;
    let (mean, scale, w, b) = (constant(0, 1)?, constant(1, 1)?, constant(gemm, 1)?, constant(gemm, 2)?);
    let transposed = matches!(&g.nodes[gemm].op, Op::Gemm(o) if o.trans_b);
    let n = mean.len();
    // The column (or row) of the positive class.
    let column = |i: usize| if transposed { w[n + i] } else { w[2 * i + 1] };
    let weights: Vec<f32> = (0..n).map(|i| scale[i] * column(i)).collect();
    let bias = (0..n).fold(b[1], |sum, i| sum - mean[i] * weights[i]);
    pure_solidity::logistic_regression(&node.rpc, &weights, bias).map(Some)
}

fn print_table(lines: &[Line]) {
    println!(
        "\n  {:<22} {:>5} {:>18} {:>22} {:>11} {:>14} {:>7}",
        "model", "rows", "contract=library", "contract=reference", "gas, 1 row", "pure Solidity", "times"
    );
    for l in lines {
        let (pure, times) = l.pure.map_or_else(
            || ("-".to_owned(), String::new()),
            |p| (group(p), format!("{:.0}x", p as f64 / l.gas as f64)),
        );
        println!(
            "  {:<22} {:>5} {:>18} {:>22} {:>11} {:>14} {:>7}",
            l.name,
            l.rows,
            share(l.library, l.rows),
            share(l.reference, l.rows),
            group(l.gas),
            pure,
            times
        );
    }
    println!(
        "  contract=library: the class that the author's library gives (numbers within 1e-6 of their range); contract=reference: the very bits of"
    );
    println!(
        "  the scalar reference. Pure Solidity: the same trees and linear model in fixed point, and a perceptron of the same widths without its tanh."
    );
}

fn share(n: usize, of: usize) -> String {
    if n == of { "100 %".to_owned() } else { format!("{n} of {of}") }
}

fn group(n: u64) -> String {
    let s = n.to_string();
    let parts: Vec<&str> = s.as_bytes().rchunks(3).rev().map(|c| std::str::from_utf8(c).unwrap_or("")).collect();
    parts.join(",")
}

/// Flips one bit of one weight in the copy that answers calls, and shows that the node notices and names the operator.
fn flip_a_bit(node: &Node, consumer: &Contract) -> Result<()> {
    let m = Committed::load("digits_mlp")?;
    // The first matrix product's weights.
    let g = m.graph();
    let weights = g.nodes.iter().find(|n| matches!(n.op, Op::MatMul(_) | Op::Gemm(_))).context("a matrix product")?;
    let tensor = g.as_constant(weights.inputs[1].context("weights")?).context("a constant")?;
    // The top bit of the fraction of element 200: the answer keeps its class, but not its bits.
    let bit = 32 * 200 + 22;
    println!(
        "\n  One bit of one weight of {} is flipped in this node's memory (constant {tensor}, bit {bit}).",
        m.name
    );
    node.rpc.call("lockstep_injectFault", json!([{"modelId": m.id(), "tensor": tensor, "bit": bit}]))?;
    let before = node.rpc.call("lockstep_findings", json!([]))?.as_array().map_or(0, Vec::len);
    let receipt = consumer.send_ok(&IInference::classifyCall { modelId: m.id(), x: m.words(0, 20)? }.abi_encode())?;
    let until = Instant::now() + Duration::from_secs(10);
    let finding = loop {
        let findings = node.rpc.call("lockstep_findings", json!([]))?;
        if let Some(f) = findings.as_array().filter(|f| f.len() > before).and_then(|f| f.last()) {
            break f.clone();
        }
        ensure!(Instant::now() < until, "the cross-check did not notice");
        std::thread::sleep(Duration::from_millis(20));
    };
    let text = |k: &str| finding[k].as_str().map_or_else(|| finding[k].to_string(), str::to_owned);
    println!(
        "  The node's cross-check: block {}, transaction {}…, node {} ({}): fast path {}, reference {}.",
        number(&receipt["blockNumber"]),
        &receipt["transactionHash"].as_str().unwrap_or_default()[..10],
        text("node"),
        text("operator"),
        text("fast"),
        text("reference"),
    );
    node.rpc.call("lockstep_removeFault", json!([m.id()]))?;
    println!("  The fault is removed; the transaction had used {} gas, as ever.", group(gas_used(&receipt)?));
    Ok(())
}

fn try_next(node: &Node) -> Result<()> {
    let m = Committed::load("iris_forest")?;
    let row: Vec<String> = m.words(0, 1)?.iter().map(ToString::to_string).collect();
    println!("\n  Try next (KEEP=1 for the first):");
    println!(
        "    npx cast call 0x0000000000000000000000000000000000000A11 'classify(bytes32,int256[])(uint256[],int256[])' {} '[{}]' --rpc-url {}",
        m.id(),
        row.join(","),
        node.rpc.url()
    );
    println!("    target/release/lockstep import your-model.onnx -o your-model.lsm --data your-test-split.npz");
    println!(
        "    npx forge test --match-contract VolatilityFeePool -vv     # the pool, with the model's real answers and gas"
    );
    Ok(())
}
