//! Models on a dev chain: published, active, called, checked.

use crate::common::{Client, Running, account, affine_model, quantity, tiny_model};
use alloy_primitives::{Address, B256, Bytes, I256, U256, hex};
use alloy_rlp::Decodable;
use alloy_sol_types::{SolCall, sol};
use lockstep_node_ext::{
    GenesisSource, NodeConfig,
    care::Defences,
    chain::{ChainError, genesis::dev_genesis},
    primitives::Block,
    publish,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

sol! {
    function infer(bytes32 modelId, int256[] x) external view returns (int256[] y);
    function quote(bytes call) external view returns (uint256 gas);
}

const PRECOMPILE: &str = "0x0000000000000000000000000000000000000a11";
/// Forwards its call data to the precompile and returns what comes back; if that fails, reverts with it.
const FORWARD: &str = "0x365f5f375f5f365f610a115afa3d5f5f3e6017573d5ffd5b3d5ff3";
/// As FORWARD, but goes on where the call failed: returns 32 zero bytes.
const TRY: &str = "0x365f5f375f5f365f610a115afa60145760205ff35b3d5f5f3e3d5ff3";

fn wad(value: i64) -> I256 {
    I256::try_from(value).unwrap() * I256::try_from(10u64.pow(18)).unwrap()
}

fn models_dir() -> (tempfile::TempDir, B256) {
    let dir = tempfile::tempdir().unwrap();
    let file = tiny_model([2.0, 3.0], [1.0, -1.0]);
    let id = publish::plan(&file, &Default::default()).unwrap().model_id;
    std::fs::write(dir.path().join("tiny.lsm"), file).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "not a model").unwrap();
    (dir, id)
}

fn infer_call(id: B256) -> Bytes {
    inferCall { modelId: id, x: vec![wad(10), wad(20)] }.abi_encode().into()
}

fn with_models(dir: &tempfile::TempDir) -> Running {
    Running::start(NodeConfig { models_dir: Some(dir.path().to_path_buf()), ..Default::default() })
}

fn coverage(client: Client, checked: u64) -> Value {
    let began = Instant::now();
    loop {
        let coverage = client.call("lockstep_crossCheck", json!([]));
        if coverage["checked"].as_u64().unwrap() >= checked && coverage["pending"] == 0 {
            return coverage;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{coverage}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_published_model_answers_calls_and_transactions() {
    let (dir, id) = models_dir();
    let node = with_models(&dir);
    let c = node.client;
    let models = c.call("lockstep_models", json!([]));
    assert_eq!(models[0]["modelId"], json!(id));
    assert_eq!((&models[0]["status"], &models[0]["resident"]), (&json!("active"), &json!(true)));
    let answer: Bytes =
        serde_json::from_value(c.call("eth_call", json!([{"to": PRECOMPILE, "data": infer_call(id)}, "latest"])))
            .unwrap();
    assert_eq!(inferCall::abi_decode_returns(&answer).unwrap(), vec![wad(21), wad(59)]);

    let receipt = c.transact(json!({"from": account(1), "to": PRECOMPILE, "data": infer_call(id)}));
    assert_eq!(receipt["status"], "0x1");
    let inferences = c.call("lockstep_inferences", json!([receipt["blockNumber"]]));
    assert_eq!(inferences.as_array().unwrap().len(), 1);
    assert_eq!(inferences[0]["modelId"], json!(id));
    assert_eq!(inferences[0]["function"], "infer");
    assert_eq!(inferences[0]["transactionHash"], receipt["transactionHash"]);
    let quote = quoteCall { call: infer_call(id) }.abi_encode();
    let quote: Bytes = serde_json::from_value(
        c.call("eth_call", json!([{"to": PRECOMPILE, "data": hex::encode_prefixed(quote)}, "latest"])),
    )
    .unwrap();
    let quote = quoteCall::abi_decode_returns(&quote).unwrap();
    assert_eq!(quote, U256::from(quantity(&inferences[0]["gas"])));
    let coverage = coverage(c, 1);
    assert_eq!((&coverage["findings"], &coverage["skipped"]), (&json!(0), &json!(0)));
    assert_eq!(c.call("lockstep_findings", json!([])), json!([]));
}

#[test]
fn publishing_again_sends_nothing() {
    let (models, id) = models_dir();
    let data = tempfile::tempdir().unwrap();
    let config = || NodeConfig {
        models_dir: Some(models.path().to_path_buf()),
        datadir: Some(data.path().to_path_buf()),
        // What is timed here is the chain's opening.
        defences: Defences { self_test: None, ..Default::default() },
        ..Default::default()
    };
    let node = Running::start(config());
    assert!(node.handle().published()[0].published.gas_used > 0);
    let head = node.client.number("eth_blockNumber", json!([]));
    node.stop();
    let began = Instant::now();
    let node = Running::start(config());
    assert!(began.elapsed() < Duration::from_secs(2), "a restart is quick");
    assert_eq!(node.handle().published()[0].published.transactions, 0);
    assert_eq!(node.client.number("eth_blockNumber", json!([])), head);
    assert!(node.handle().models().contains(&id), "active models are resident after a restart");
}

/// The estimate, sent as the limit, gives the answer that plenty of gas gives, also through a contract that would go
/// on without it.
#[test]
fn an_estimate_pays_for_the_inference() {
    let (dir, id) = models_dir();
    let node = with_models(&dir);
    let c = node.client;
    for (index, code) in [FORWARD, TRY].into_iter().enumerate() {
        let contract = Address::repeat_byte(0xc0 + index as u8);
        c.call("anvil_setCode", json!([contract, code]));
        let tx = json!({"from": account(2), "to": contract, "data": infer_call(id)});
        let expected = c.call("eth_call", json!([tx, "latest"]));
        let gas = c.call("eth_estimateGas", json!([tx]));
        let limited = json!({"from": account(2), "to": contract, "data": infer_call(id), "gas": gas});
        assert_eq!(c.call("eth_call", json!([limited, "latest"])), expected);
        let receipt = c.transact(limited);
        assert_eq!(receipt["status"], "0x1");
        assert_eq!(c.call("lockstep_inferences", json!([receipt["blockNumber"]])).as_array().unwrap().len(), 1);
        // It is close: a little less is too little for the inference.
        let (gas, used) = (quantity(&gas), quantity(&receipt["gasUsed"]));
        assert!(gas <= used + used / 50 + 5_000, "estimate {gas}, used {used}");
    }
    let direct = json!({"from": account(2), "to": PRECOMPILE, "data": infer_call(id)});
    let gas = c.call("eth_estimateGas", json!([direct]));
    let receipt = c.transact(json!({"from": account(2), "to": PRECOMPILE, "data": infer_call(id), "gas": gas}));
    assert_eq!(receipt["status"], "0x1");
}

#[test]
fn errors_of_the_precompile_reach_the_caller() {
    let (dir, _) = models_dir();
    let node = with_models(&dir);
    let c = node.client;
    let unknown = infer_call(B256::repeat_byte(9));
    let answer = c.raw("eth_call", json!([{"to": PRECOMPILE, "data": unknown}, "latest"])).unwrap();
    assert_eq!(answer["error"]["code"], 3);
    let selector = &alloy_primitives::keccak256("UnknownModel(bytes32)")[..4];
    assert!(answer["error"]["data"].as_str().unwrap().starts_with(&hex::encode_prefixed(selector)));
}

/// One flipped bit in the copy that answers calls: the block's answer is wrong, and the node says which operator.
#[test]
fn a_flipped_bit_is_noticed_and_named() {
    let (dir, id) = models_dir();
    let node = with_models(&dir);
    let c = node.client;
    // Bit 31 of the second constant's first element: the sign of the bias.
    let injected = c.call("lockstep_injectFault", json!([{"modelId": id, "tensor": 1, "bit": 31}]));
    assert_eq!((&injected["before"], &injected["after"]), (&json!("1 (0x3f800000)"), &json!("-1 (0xbf800000)")));
    let receipt = c.transact(json!({"from": account(1), "to": PRECOMPILE, "data": infer_call(id)}));
    assert_eq!(coverage(c, 1)["findings"], 1);
    let findings = c.call("lockstep_findings", json!([]));
    let finding = &findings[0];
    assert_eq!(finding["transactionHash"], receipt["transactionHash"]);
    assert_eq!((&finding["operator"], &finding["node"], &finding["element"]), (&json!("Add"), &json!(1), &json!(0)));
    assert_eq!(finding["fast"], "19 (0x41980000)");
    assert_eq!(finding["reference"], "21 (0x41a80000)");
    assert_eq!(finding["inputs"][0]["shape"], json!([1, 2]));

    c.call("lockstep_removeFault", json!([id]));
    c.transact(json!({"from": account(1), "to": PRECOMPILE, "data": infer_call(id)}));
    assert_eq!(coverage(c, 2)["findings"], 1);
    assert_eq!(c.error("lockstep_removeFault", json!([id])).0, -32602);
    assert!(c.error("lockstep_injectFault", json!([{"modelId": id, "tensor": 7}])).1.contains("no bit"));
}

/// A node that lacks the weights says so; it parks the transaction, and runs it when the model is back.
#[test]
fn a_model_that_is_missing_parks_its_transactions() {
    let (dir, id) = models_dir();
    let node = with_models(&dir);
    let c = node.client;
    let model = node.handle().models().remove(&id).unwrap().unwrap();
    let call = json!({"to": PRECOMPILE, "data": infer_call(id)});
    assert_eq!(c.error("eth_call", json!([call, "latest"])).0, -32050);
    let tx = json!({"from": account(1), "to": PRECOMPILE, "data": infer_call(id), "gas": "0x100000"});
    let parked = c.call("eth_sendTransaction", json!([tx]));
    assert_eq!(c.call("eth_getTransactionReceipt", json!([parked])), json!(null));
    // Others go on.
    let other = c.transact(json!({"from": account(2), "to": account(3), "value": "0x1"}));
    assert_eq!(other["status"], "0x1");
    node.handle().models().insert(model).unwrap();
    node.handle().retry_parked();
    assert_eq!(c.call("eth_getTransactionReceipt", json!([parked]))["status"], "0x1");
}

/// A model of several hundred chunks: published in batches, loaded beside the chain, its cost known before.
#[test]
fn a_large_model_is_published_and_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..640 * 1024).map(|i| i as f32).collect();
    let file = affine_model(&values, &values.iter().map(|v| v * 0.5).collect::<Vec<_>>());
    let plan = publish::plan(&file, &Default::default()).unwrap();
    std::fs::write(dir.path().join("large.lsm"), file).unwrap();
    let began = Instant::now();
    let node = with_models(&dir);
    let published = &node.handle().published()[0].published;
    assert_eq!(published.transactions, plan.chunks.len() + 2);
    eprintln!(
        "{} bytes in {} transactions, {} gas (planned {}), {:?}",
        plan.weights_length,
        published.transactions,
        published.gas_used,
        plan.cost.total(),
        began.elapsed()
    );
    // The plan's cost is an upper bound within a few percent.
    let (used, planned) = (published.gas_used, plan.cost.total());
    assert!(used <= planned && planned <= used + used / 20, "planned {planned}, used {used}");
    assert_eq!(node.client.call("lockstep_models", json!([]))[0]["resident"], true);
    assert_eq!(plan.cost.delay, 1 + (plan.graph_length as u64 + plan.weights_length as u64) / (1 << 20));
}

/// What was not checked when the node died is checked by the next one.
#[test]
fn unchecked_inferences_survive_a_restart() {
    let (models, id) = models_dir();
    let data = tempfile::tempdir().unwrap();
    let config = || NodeConfig {
        models_dir: Some(models.path().to_path_buf()),
        datadir: Some(data.path().to_path_buf()),
        ..Default::default()
    };
    let node = Running::start(config());
    let c = node.client;
    // The check is over before the inferences come.
    node.handle().crosscheck().unwrap().stop();
    c.call("lockstep_injectFault", json!([{"modelId": id, "tensor": 1, "bit": 31}]));
    let receipt = c.transact(json!({"from": account(1), "to": PRECOMPILE, "data": infer_call(id)}));
    let coverage = |c: Client| c.call("lockstep_crossCheck", json!([]));
    assert_eq!((&coverage(c)["pending"], &coverage(c)["checked"]), (&json!(1), &json!(0)));
    node.stop();

    let node = Running::start(config());
    let c = node.client;
    assert_eq!(self::coverage(c, 1)["findings"], 1);
    let finding = &c.call("lockstep_findings", json!([]))[0];
    assert_eq!(finding["transactionHash"], receipt["transactionHash"]);
    assert_eq!(finding["operator"], json!(null), "the fault is over: both implementations agree now");
    node.stop();
    let node = Running::start(config());
    assert_eq!(coverage(node.client)["pending"], 0);
    assert_eq!(node.client.call("lockstep_findings", json!([])).as_array().unwrap().len(), 1);
}

/// A transaction runs in the next block, so an estimate counts models that become active there.
#[test]
fn an_estimate_sees_what_the_next_block_activates() {
    let (dir, id) = models_dir();
    let node = with_models(&dir);
    let c = node.client;
    let active = quantity(&c.call("lockstep_models", json!([]))[0]["activationBlock"]);
    let chain = node.handle().chain();
    chain.set_head(chain.store().canonical_hash(active - 1).unwrap().unwrap()).unwrap();
    let tx = json!({"from": account(2), "to": PRECOMPILE, "data": infer_call(id)});
    assert_eq!(c.error("eth_estimateGas", json!([tx, "latest"])).0, 3);
    let gas = c.call("eth_estimateGas", json!([tx]));
    let receipt = c.transact(json!({"from": account(2), "to": PRECOMPILE, "data": infer_call(id), "gas": gas}));
    assert_eq!((&receipt["status"], quantity(&receipt["blockNumber"])), (&json!("0x1"), active));
}

/// A contract that would go on without the answer cannot: the transaction waits, and so does a block made elsewhere.
#[test]
fn a_missing_model_is_never_an_answer_nor_a_verdict() {
    let (dir, id) = models_dir();
    let miner = with_models(&dir);
    let c = miner.client;
    // TRY, deployed by a transaction: every node can run these blocks.
    let code = hex::decode(TRY).unwrap();
    let init = [&[0x60, code.len() as u8, 0x60, 0x0c, 0x5f, 0x39, 0x60, code.len() as u8, 0x5f, 0xf3, 0, 0], &code[..]]
        .concat();
    let deployed = c.transact(json!({"from": account(1), "data": hex::encode_prefixed(init)}));
    assert_eq!(c.call("eth_getCode", json!([deployed["contractAddress"], "latest"])), json!(TRY));

    let before = c.number("eth_blockNumber", json!([]));
    let model = miner.handle().models().remove(&id).unwrap().unwrap();
    let tx = json!({"from": account(4), "to": deployed["contractAddress"], "data": infer_call(id), "gas": "0x100000"});
    assert_eq!(c.error("eth_call", json!([tx, "latest"])).0, -32050);
    assert_eq!(c.error("eth_estimateGas", json!([tx])).0, -32050);
    let parked = c.call("eth_sendTransaction", json!([tx]));
    assert_eq!(c.call("eth_getTransactionReceipt", json!([parked])), json!(null));
    miner.handle().models().insert(model).unwrap();
    miner.handle().retry_parked();
    let receipt = c.call("eth_getTransactionReceipt", json!([parked]));
    assert_eq!(receipt["status"], "0x1");

    // Another node gets the blocks and loses the model before the last one.
    let genesis = dev_genesis().unwrap();
    let genesis = GenesisSource::Inline { genesis: Box::new(genesis), dev: false };
    let follower = Running::start(NodeConfig { genesis, ..Default::default() });
    let chain = follower.handle().chain();
    let block = |number: u64| {
        let raw = c.call("debug_getRawBlock", json!([format!("{number:#x}")]));
        Block::decode(&mut hex::decode(raw.as_str().unwrap()).unwrap().as_slice()).unwrap()
    };
    let last = quantity(&receipt["blockNumber"]);
    assert!(last > before);
    for number in 1..last {
        chain.set_head(chain.import(block(number)).unwrap()).unwrap();
    }
    let model = follower.handle().models().remove(&id).unwrap().expect("it was loaded when it became active");
    let error = chain.import(block(last)).expect_err("the model is gone");
    assert!(matches!(error, ChainError::Stalled { .. }), "{error}");
    follower.handle().models().insert(model).unwrap();
    chain.set_head(chain.import(block(last)).unwrap()).unwrap();
    assert_eq!(follower.client.call("eth_getTransactionReceipt", json!([parked])), receipt);
}
