//! The memory of answers and pre-execution, from outside.

use crate::common::{Client, Running, account, deep_model, quantity, tiny_model};
use alloy_primitives::{Address, B256, Bytes, I256};
use alloy_sol_types::{SolCall, sol};
use lockstep_node_ext::{NodeConfig, publish};
use lockstep_precompile::abi::{IInference, Tensor};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

sol! {
    function infer(bytes32 modelId, int256[] x) external view returns (int256[] y);
}

const PRECOMPILE: &str = "0x0000000000000000000000000000000000000a11";

fn started(file: &[u8], threads: usize) -> (Running, B256) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("model.lsm"), file).unwrap();
    let id = publish::plan(file, &Default::default()).unwrap().model_id;
    let models_dir = Some(dir.path().to_path_buf());
    (Running::start(NodeConfig { models_dir, pre_execution_threads: threads, ..Default::default() }), id)
}

fn tiny() -> (Running, B256) {
    started(&tiny_model([2.0, 3.0], [1.0, -1.0]), 0)
}

fn infer(id: B256) -> Bytes {
    let wad = |n: i64| I256::try_from(n).unwrap() * I256::try_from(10u64.pow(18)).unwrap();
    inferCall { modelId: id, x: vec![wad(10), wad(20)] }.abi_encode().into()
}

fn transact(c: Client, id: B256) -> Value {
    let receipt = c.transact(json!({"from": account(1), "to": PRECOMPILE, "data": infer(id)}));
    assert_eq!(receipt["status"], "0x1");
    receipt
}

fn memo(c: Client) -> Value {
    c.call("lockstep_memo", json!([]))
}

fn returned(c: Client, receipt: &Value) -> Value {
    c.call("lockstep_inferences", json!([receipt["blockNumber"]]))[0]["returnedHash"].clone()
}

/// Findings of the cross-check when it has checked so many inferences.
fn findings(c: Client, checked: u64) -> u64 {
    let began = Instant::now();
    loop {
        let coverage = c.call("lockstep_crossCheck", json!([]));
        if coverage["checked"].as_u64().unwrap() >= checked && coverage["pending"] == 0 {
            return coverage["findings"].as_u64().unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{coverage}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_remembered_answer_costs_the_same_gas() {
    let (node, id) = tiny();
    let c = node.client;
    let (first, second) = (transact(c, id), transact(c, id));
    assert_eq!(first["gasUsed"], second["gasUsed"]);
    assert_eq!(returned(c, &first), returned(c, &second));
    let counts = memo(c);
    assert_eq!((&counts["blocks"]["misses"], &counts["blocks"]["hits"]), (&json!(1), &json!(1)));
    // A call reads what blocks remember, and writes only its own memory.
    c.call("eth_call", json!([{"to": PRECOMPILE, "data": infer(id)}, "latest"]));
    let after = memo(c);
    assert_eq!(after["blocks"], counts["blocks"]);
    assert!(after["calls"]["hits"].as_u64() > counts["calls"]["hits"].as_u64());
    assert_eq!(findings(c, 2), 0, "the cross-check computes past the memory");
}

#[test]
fn an_overwritten_answer_never_enters_a_block() {
    let (node, id) = tiny();
    let c = node.client;
    let first = transact(c, id);
    let fault = json!([{"modelId": id, "bit": 31, "memo": "overwritten"}]);
    assert!(c.call("lockstep_injectFault", fault)["changed"].as_u64() >= Some(1));
    let second = transact(c, id);
    assert_eq!(returned(c, &first), returned(c, &second));
    assert_eq!(memo(c)["blocks"]["corrupted"], 1);
    assert_eq!(findings(c, 2), 0);
    let caught = "its hash does not fit at the next hit: it is computed again";
    crate::faults::tell("memo entry overwritten", caught, "nothing");
}

/// What the hash of an answer is for: with one that fits, the wrong answer gets into a block.
#[test]
fn a_forged_answer_is_found_by_the_cross_check() {
    let (node, id) = tiny();
    let c = node.client;
    let first = transact(c, id);
    let fault = json!([{"modelId": id, "bit": 31, "memo": "forged"}]);
    assert!(c.call("lockstep_injectFault", fault)["changed"].as_u64() >= Some(1));
    let second = transact(c, id);
    assert_ne!(returned(c, &first), returned(c, &second), "the fault is one");
    assert_eq!(findings(c, 2), 1);
    let finding = &c.call("lockstep_findings", json!([]))[0];
    assert_eq!(finding["transactionHash"], second["transactionHash"]);
    assert_eq!(finding["operator"], json!(null), "both implementations compute the same; the memory did not");
}

/// Sends inferences of several senders with inputs of their own and makes the block; how long that took.
fn block(node: &Running, id: B256, width: usize, rows: usize, wait: bool) -> (Duration, Value) {
    let c = node.client;
    c.call("evm_setAutomine", json!([false]));
    let mut hashes = Vec::new();
    for sender in 0..6u8 {
        let data: Vec<u8> =
            (0..rows * width).flat_map(|i| ((i % 97) as f32 + f32::from(sender)).to_le_bytes()).collect();
        let inputs = vec![Tensor { dtype: 1, shape: vec![rows as u32, width as u32], data: data.into() }];
        let call = Bytes::from(IInference::runCall { modelId: id, inputs }.abi_encode());
        let to: Address = PRECOMPILE.parse().unwrap();
        let tx = json!({"from": account(1 + usize::from(sender)), "to": to, "data": call, "gas": "0x980000"});
        hashes.push(c.call("eth_sendTransaction", json!([tx])));
    }
    let began = Instant::now();
    while wait && memo(c)["preExecution"]["transactions"].as_u64() < Some(6) {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", memo(c));
        std::thread::sleep(Duration::from_millis(5));
    }
    let began = Instant::now();
    c.call("anvil_mine", json!([]));
    let took = began.elapsed();
    for hash in &hashes {
        let receipt = c.call("eth_getTransactionReceipt", json!([hash]));
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        assert_eq!(quantity(&receipt["blockNumber"]), c.number("eth_blockNumber", json!([])));
    }
    (took, memo(c))
}

#[test]
fn pending_transactions_run_ahead_of_their_block() {
    let (width, rows) = (512, 16);
    let file = deep_model(24, 1, width);
    let (without, id) = started(&file, 0);
    let (slow, counts) = block(&without, id, width, rows, false);
    assert_eq!((&counts["blocks"]["misses"], &counts["preExecution"]), (&json!(6), &json!(null)));
    let (with, _) = started(&file, 2);
    let (quick, counts) = block(&with, id, width, rows, true);
    eprintln!(
        "a block of 6 inferences of 101 million multiply-adds each: {slow:?} without pre-execution, {quick:?} with it"
    );
    let blocks = &counts["blocks"];
    assert_eq!(blocks["misses"], 6, "each computed once, ahead or in the block: {blocks}");
    assert_eq!(blocks["hits"].as_u64().unwrap() + blocks["joined"].as_u64().unwrap(), 6, "{blocks}");
}
