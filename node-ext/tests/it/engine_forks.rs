//! The Engine API: branches, finality, blocks out of order, weights that lack.

use crate::{
    common::{Running, account, signed, tiny_model, transfer},
    consensus::{Consensus, Payload, block_of, driven, state},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, address};
use alloy_sol_types::{SolCall, sol};
use lockstep_node_ext::NodeConfig;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const A: Address = Address::repeat_byte(0xaa);
const B: Address = Address::repeat_byte(0xbb);
const PRECOMPILE: Address = address!("0000000000000000000000000000000000000a11");

sol! {
    function infer(bytes32 modelId, int256[] x) external view returns (int256[] y);
}

#[test]
fn the_head_goes_to_any_branch_that_is_not_finalised_away() {
    let dir = tempfile::tempdir().unwrap();
    let node = driven(Some(dir.path()));
    let (c, cl) = (node.client, Consensus::of(&node));
    let genesis = node.handle().chain().genesis_hash();
    let latest = || c.call("eth_getBlockByNumber", json!(["latest", false]))["hash"].clone();
    assert_eq!(c.call("eth_getBlockByNumber", json!(["finalized", false])), json!(null), "nothing is final yet");

    let (hash, raw) = transfer(0, 0, A, 1);
    c.call("eth_sendRawTransaction", json!([raw]));
    let a1 = cl.extend(genesis, 1, A);
    let a2 = cl.extend(a1.hash(), 2, A);
    let a3 = cl.extend(a2.hash(), 3, A);
    assert_eq!(c.call("eth_getTransactionReceipt", json!([hash]))["blockHash"], json!(a1.hash()));

    // Building on an older block moves the head to it: the transaction waits again, and is taken by the other branch.
    let b1 = cl.build(genesis, 5, B);
    assert_eq!((latest(), b1.transactions()), (json!(genesis), 1));
    cl.import(&b1);
    cl.choose(b1.hash());
    assert_eq!(c.call("eth_getTransactionReceipt", json!([hash]))["blockHash"], json!(b1.hash()));
    let b2 = cl.extend(b1.hash(), 6, B);
    cl.choose(a3.hash());
    assert_eq!(c.call("eth_getTransactionReceipt", json!([hash]))["blockHash"], json!(a1.hash()));
    assert_eq!(c.call("txpool_status", json!([])), json!({"pending": "0x0", "queued": "0x0"}));

    // Safe and final must be of the head's branch.
    let error = |head: &Payload, safe: B256, last: B256| {
        cl.error("engine_forkchoiceUpdatedV3", json!([state(head.hash(), safe, last), null]))
    };
    assert_eq!(error(&a3, B256::ZERO, b1.hash()), -38002);
    assert_eq!(error(&a3, b1.hash(), B256::ZERO), -38002);
    assert_eq!(error(&a2, a3.hash(), B256::ZERO), -38002, "a descendant is no ancestor");
    assert_eq!(error(&a3, B256::ZERO, B256::repeat_byte(9)), -38002, "not known");
    assert_eq!(latest(), json!(a3.hash()));

    cl.choose_all(a3.hash(), a2.hash(), a1.hash());
    let tag = |tag: &str| c.call("eth_getBlockByNumber", json!([tag, false]))["hash"].clone();
    assert_eq!((tag("safe"), tag("finalized")), (json!(a2.hash()), json!(a1.hash())));
    // Below it nothing moves any more; on it everything may.
    assert_eq!(error(&b2, B256::ZERO, B256::ZERO), -38002);
    assert_eq!(cl.error("engine_forkchoiceUpdatedV3", json!([state(genesis, B256::ZERO, B256::ZERO), null])), -38002);
    assert_eq!(latest(), json!(a3.hash()));
    assert_eq!(cl.choose(a1.hash())["status"], "VALID");
    assert_eq!(latest(), json!(a1.hash()));
    let c2 = cl.extend(a1.hash(), 9, B);
    assert_eq!(tag("safe"), tag("finalized"), "a safe block that was left is safe no more");

    // All of it is on disk.
    node.stop();
    let node = driven(Some(dir.path()));
    let (c, cl) = (node.client, Consensus::of(&node));
    assert_eq!(c.call("eth_getBlockByNumber", json!(["latest", false]))["hash"], json!(c2.hash()));
    assert_eq!(c.call("eth_getBlockByNumber", json!(["finalized", false]))["hash"], json!(a1.hash()));
    assert_eq!(cl.choose(a3.hash())["status"], "VALID", "the left branch is still known");
    assert_eq!(cl.error("engine_forkchoiceUpdatedV3", json!([state(b2.hash(), B256::ZERO, B256::ZERO), null])), -38002);
    node.stop();
}

#[test]
fn blocks_that_come_out_of_order_wait_for_their_parents() {
    let (maker, node) = (driven(None), driven(None));
    let theirs = Consensus::of(&maker);
    let mut blocks = Vec::new();
    let mut parent = maker.handle().chain().genesis_hash();
    for time in 1..=5 {
        maker.client.call("eth_sendRawTransaction", json!([transfer(0, time - 1, A, 1).1]));
        let block = theirs.extend(parent, time, A);
        parent = block.hash();
        blocks.push(block);
    }
    let cl = Consensus::of(&node);
    let syncing = json!({"status": "SYNCING", "latestValidHash": null, "validationError": null});
    assert_eq!(cl.choose(blocks[4].hash()), syncing, "never heard of");
    for block in [&blocks[4], &blocks[2], &blocks[3], &blocks[1]] {
        assert_eq!(cl.new_payload(block), syncing);
    }
    assert_eq!(cl.choose(blocks[4].hash()), syncing);
    assert_eq!(node.client.number("eth_blockNumber", json!([])), 0);
    cl.import(&blocks[0]);
    assert_eq!(cl.choose(blocks[4].hash())["status"], "VALID", "the gap is closed");
    assert_eq!(node.client.number("eth_getBalance", json!([A, "latest"])), 5 + 5 * 21_000 * 1_000_000_000);
}

/// A dev chain with a model, as seen by its blocks; the model; the block from which it is active.
fn published() -> (Vec<Payload>, B256, u64) {
    let models = tempfile::tempdir().unwrap();
    std::fs::write(models.path().join("tiny.lsm"), tiny_model([2.0, 3.0], [0.5, -1.0])).unwrap();
    let dev = Running::start(NodeConfig { models_dir: Some(models.path().into()), ..Default::default() });
    let record = &dev.client.call("lockstep_models", json!([]))[0];
    let id: B256 = serde_json::from_value(record["modelId"].clone()).unwrap();
    let active = crate::common::quantity(&record["activationBlock"]);
    let blocks = (1..active).map(|number| Payload::of_block(block_of(dev.client, number))).collect();
    (blocks, id, active)
}

fn infer(from: usize, nonce: u64, id: B256) -> (B256, String) {
    let one = alloy_primitives::I256::try_from(10i128.pow(18)).unwrap();
    let input = Bytes::from(inferCall { modelId: id, x: vec![one, one] }.abi_encode());
    signed(from, nonce, TxKind::Call(PRECOMPILE), 0, input, (20_000_000_000, 1_000_000_000))
}

#[test]
fn an_inference_has_the_result_of_its_branch() {
    let (blocks, id, active) = published();
    let node = driven(None);
    let (c, cl) = (node.client, Consensus::of(&node));
    for block in &blocks {
        cl.import(block);
    }
    // The head never saw the branch that registered the model; the model is in memory all the same.
    let (last, before) = (&blocks[blocks.len() - 1], &blocks[blocks.len() - 2]);
    assert_eq!(c.number("eth_blockNumber", json!([])), 0);
    assert!(node.handle().models().contains(&id));
    let time = |payload: &Payload| crate::common::quantity(&payload.json["timestamp"]);

    // One transaction: too early on one branch, answered on the other.
    let (hash, raw) = infer(5, 0, id);
    cl.choose(before.hash());
    c.call("eth_sendRawTransaction", json!([raw]));
    let early = cl.build(before.hash(), time(last) + 1, A);
    assert_eq!(early.transactions(), 1);
    cl.choose(last.hash());
    let late = cl.build(last.hash(), time(last) + 1, B);
    assert_eq!(late.transactions(), 1);
    assert_eq!(crate::common::quantity(&late.json["blockNumber"]), active);
    for payload in [&early, &late] {
        cl.import(payload);
    }
    for (branch, status, count) in [(&late, "0x1", 1), (&early, "0x0", 0), (&late, "0x1", 1)] {
        cl.choose(branch.hash());
        let receipt = c.call("eth_getTransactionReceipt", json!([hash]));
        assert_eq!((&receipt["status"], &receipt["blockHash"]), (&json!(status), &json!(branch.hash())));
        let inferences = c.call("lockstep_inferences", json!(["latest"]));
        assert_eq!(inferences.as_array().map(Vec::len), Some(count));
    }

    // Another node hears the blocks from this one, in one go, and agrees.
    let other = driven(None);
    let theirs = Consensus::of(&other);
    for payload in blocks.iter().chain([&early, &late]) {
        theirs.import(payload);
    }
    theirs.choose(late.hash());
    let receipt = c.call("eth_getTransactionReceipt", json!([hash]));
    assert_eq!(other.client.call("eth_getTransactionReceipt", json!([hash])), receipt);
}

#[test]
fn a_node_that_lacks_weights_is_syncing_and_fetches_them() {
    let (blocks, id, _) = published();
    let maker = driven(None);
    let theirs = Consensus::of(&maker);
    for block in &blocks {
        theirs.import(block);
    }
    let last = blocks.last().unwrap();
    theirs.choose(last.hash());
    maker.client.call("eth_sendRawTransaction", json!([infer(5, 0, id).1]));
    let time = crate::common::quantity(&last.json["timestamp"]);
    let with_inference = theirs.extend(last.hash(), time + 1, A);
    assert_eq!(with_inference.transactions(), 1);
    let after = theirs.extend(with_inference.hash(), time + 2, A);

    let node = driven(None);
    let cl = Consensus::of(&node);
    for block in &blocks {
        cl.import(block);
    }
    node.handle().models().remove(&id).unwrap().expect("it was in memory");
    let status = cl.new_payload(&with_inference);
    assert_eq!((&status["status"], &status["latestValidHash"]), (&json!("SYNCING"), &Value::Null));
    // It reads the model from its own state, without being told; blocks on top wait with the first.
    let began = Instant::now();
    while cl.new_payload(&after)["status"] != "VALID" {
        assert!(began.elapsed() < Duration::from_secs(20), "the model never came back");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(node.handle().models().contains(&id));
    assert_eq!(cl.choose(after.hash())["status"], "VALID");
    assert_eq!(node.client.number("eth_getTransactionCount", json!([account(5), "latest"])), 1);
}
