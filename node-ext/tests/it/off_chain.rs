//! Weights that the chain only names: published, attested, fetched by other nodes, called, retired.

use crate::{
    common::{Running, account, affine_model, mlp_model, quantity, signed},
    consensus::{Consensus, Payload, SECRET, block_of},
    publish::{Cut, assert_answers},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, SolError, sol};
use lockstep_engine::Limits;
use lockstep_node_ext::{
    EngineConfig, GenesisSource, NodeConfig,
    cache::Cache,
    chain::genesis::dev_genesis,
    dev::dev_accounts,
    evm::{PRECOMPILE_ADDRESS, REGISTRY_ADDRESS},
    publish::off_chain::{self, Duties, Holder},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

sol! {
    function infer(bytes32 modelId, int256[] x) external view returns (int256[] y);
    error ModelNotActive(bytes32 modelId, uint64 activationBlock);
}

const WIDTH: usize = 64;
const CHAIN: u64 = 1212;

/// A model of five leaves, in a cache.
fn cached() -> (tempfile::TempDir, B256, Vec<u8>) {
    let file = mlp_model(6, WIDTH);
    let dir = tempfile::tempdir().unwrap();
    let id = Cache::open(dir.path(), None).unwrap().add(&file, &Limits::default()).unwrap();
    (dir, id, file)
}

fn dev(cache: &Path) -> Running {
    Running::start(NodeConfig { cache: Some(cache.into()), ..Default::default() })
}

/// Publishes without weights, by dev account 0, which is the attester; the first block in which it can be called.
fn publish(node: &Running, cache: &Path, id: B256, file: &[u8]) -> (u64, usize) {
    let plan = off_chain::plan(file, &Limits::default()).unwrap();
    let model = Cache::open(cache, None).unwrap().read(id).unwrap();
    let holder = Holder { chain_id: CHAIN, signer: &dev_accounts()[0], model: &model };
    let mut transport = Cut { node, from: account(0), left: usize::MAX, sent: 0 };
    let done = off_chain::publish(&plan, &holder, &mut transport, &mut |_| {}).unwrap();
    assert_eq!(transport.sent, done.transactions);
    (done.activation_block, done.transactions)
}

fn mine_until(node: &Running, number: u64) {
    let head = node.client.number("eth_blockNumber", json!([]));
    if head < number {
        node.client.call("anvil_mine", json!([format!("{:#x}", number - head)]));
    }
}

fn registry<C: SolCall>(node: &Running, from: usize, call: &C, value: U256) -> Value {
    let data = Bytes::from(call.abi_encode());
    let tx = json!({"from": account(from), "to": REGISTRY_ADDRESS, "data": data, "value": value, "gas": "0xf4240"});
    node.client.transact(tx)
}

fn read<C: SolCall>(node: &Running, call: &C) -> C::Return {
    let data = Bytes::from(call.abi_encode());
    let answer = node.client.call("eth_call", json!([{"to": REGISTRY_ADDRESS, "data": data}, "latest"]));
    let answer: Bytes = serde_json::from_value(answer).unwrap();
    C::abi_decode_returns(&answer).unwrap()
}

fn call_data(id: B256) -> Bytes {
    inferCall { modelId: id, x: vec![alloy_primitives::I256::ONE; WIDTH] }.abi_encode().into()
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(40), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What it costs, what the registry holds, that nothing is sent twice, and that a restart finds the weights again.
#[test]
fn weights_off_chain_are_published_attested_and_called() {
    let (cache, id, file) = cached();
    let data = tempfile::tempdir().unwrap();
    let config =
        || NodeConfig { cache: Some(cache.path().into()), datadir: Some(data.path().into()), ..Default::default() };
    let node = Running::start(config());
    let (active, transactions) = publish(&node, cache.path(), id, &file);
    let plan = off_chain::plan(&file, &Limits::default()).unwrap();
    assert_eq!(transactions, plan.cost.transactions);
    assert_eq!(plan.chunks.len(), 1, "the graph alone");
    assert_eq!(publish(&node, cache.path(), id, &file), (active, 0), "it is there");
    mine_until(&node, active);
    assert_answers(&node, &file, id, WIDTH);
    let listed = &node.client.call("lockstep_models", json!([]))[0];
    assert_eq!(
        (&listed["status"], &listed["weightsOnChain"], &listed["resident"]),
        (&json!("active"), &json!(false), &json!(true))
    );
    let deposit = U256::from(51) * U256::from(10).pow(U256::from(16));
    assert_eq!(listed["deposit"], json!(deposit), "half an ether, and a hundredth for the MiB begun");
    assert_eq!(node.client.call("eth_getBalance", json!([REGISTRY_ADDRESS, "latest"])), json!(deposit));
    // An ordinary transaction that calls it.
    let receipt = node.client.transact(json!({"from": account(3), "to": PRECOMPILE_ADDRESS, "data": call_data(id)}));
    assert_eq!(receipt["status"], "0x1");
    node.stop();
    let node = Running::start(config());
    assert_answers(&node, &file, id, WIDTH);
    // The cache is pinned while it is needed.
    let entries = Cache::open(cache.path(), None).unwrap().list().unwrap();
    assert!(entries[0].pinned);
}

/// A run that is cut is taken up by the same call, wherever it was cut.
#[test]
fn publishing_off_chain_is_resumed() {
    let (cache, id, file) = cached();
    let node = dev(cache.path());
    let plan = off_chain::plan(&file, &Limits::default()).unwrap();
    let model = Cache::open(cache.path(), None).unwrap().read(id).unwrap();
    let signer = &dev_accounts()[0];
    let holder = Holder { chain_id: CHAIN, signer, model: &model };
    for step in 0..plan.cost.transactions {
        let mut cut = Cut { node: &node, from: account(step), left: 1, sent: 0 };
        let done = off_chain::publish(&plan, &holder, &mut cut, &mut |_| {});
        assert_eq!(done.is_ok(), step + 1 == plan.cost.transactions, "step {step}: {done:?}");
    }
    let mut again = Cut { node: &node, from: account(9), left: 0, sent: 0 };
    assert!(off_chain::publish(&plan, &holder, &mut again, &mut |_| {}).unwrap().activation_block > 0);
    // Somebody who is no attester asks, and cannot go on alone.
    let other = affine_model(&[1.0; 30], &[2.0; 30]);
    let others = tempfile::tempdir().unwrap();
    let store = Cache::open(others.path(), None).unwrap();
    let model = store.read(store.add(&other, &Limits::default()).unwrap()).unwrap();
    let plan = off_chain::plan(&other, &Limits::default()).unwrap();
    let mut transport = Cut { node: &node, from: account(5), left: usize::MAX, sent: 0 };
    let stranger = Holder { chain_id: CHAIN, signer: &dev_accounts()[5], model: &model };
    let done = off_chain::publish(&plan, &stranger, &mut transport, &mut |_| {}).unwrap();
    assert_eq!((done.activation_block, done.transactions), (0, 3));
    assert!(off_chain::attest(&stranger, &mut transport).unwrap_err().to_string().contains("is no attester"));
    // The attester attests from its own machine; then the stranger goes on.
    let attester = Holder { chain_id: CHAIN, signer, model: &model };
    assert!(off_chain::attest(&attester, &mut transport).unwrap().is_some());
    assert!(off_chain::attest(&attester, &mut transport).unwrap().is_none(), "it has signed");
    assert!(off_chain::publish(&plan, &stranger, &mut transport, &mut |_| {}).unwrap().activation_block > 0);
}

/// A node of the same chain that a consensus side drives.
fn follower(cache: &Path, sources: Vec<String>) -> Running {
    Running::start(NodeConfig {
        genesis: GenesisSource::Inline { genesis: Box::new(dev_genesis().unwrap()), dev: false },
        engine: Some(EngineConfig { address: ([127, 0, 0, 1], 0).into(), secret: SECRET }),
        cache: Some(cache.into()),
        model_sources: sources,
        ..Default::default()
    })
}

#[test]
fn a_second_node_fetches_the_weights_from_the_first_and_imports() {
    let (cache, id, file) = cached();
    let node = dev(cache.path());
    let (active, _) = publish(&node, cache.path(), id, &file);
    mine_until(&node, active);
    let (hash, raw) = signed(5, 0, TxKind::Call(PRECOMPILE_ADDRESS), 0, call_data(id), (20_000_000_000, 1_000_000_000));
    node.client.call("eth_sendRawTransaction", json!([raw]));
    let called = quantity(&node.client.call("eth_getTransactionReceipt", json!([hash]))["blockNumber"]);
    let blocks: Vec<Payload> = (1..=called).map(|n| Payload::of_block(block_of(node.client, n))).collect();
    let (last, before) = blocks.split_last().unwrap();

    let (theirs, lone) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let peer = format!("peer:http://{}", node.handle().http_addr());
    let second = follower(theirs.path(), vec![peer.clone()]);
    let third = follower(lone.path(), Vec::new());
    for other in [&second, &third] {
        for block in before {
            Consensus::of(other).import(block);
        }
        Consensus::of(other).choose(before[before.len() - 1].hash());
    }
    // The one has a source, and fetches by itself.
    let verdict = |other: &Running| Consensus::of(other).new_payload(last)["status"].clone();
    wait("the second node has no weights", || verdict(&second) == "VALID");
    assert!(Cache::open(theirs.path(), None).unwrap().contains(id));
    // The other stalls: it says nothing of the block, neither valid nor invalid.
    assert_eq!(verdict(&third), "SYNCING");
    assert!(!third.handle().models().contains(&id));
    let refused = third.client.error("lockstep_modelPart", json!([id, "weights", 0, 10]));
    assert!(refused.1.contains("not in the cache"), "{refused:?}");
    // Until whoever runs it names a source.
    let fetched = Consensus::of(&third)
        .call("lockstep_fetchModel", json!([id, [format!("peer:http://{}", second.handle().http_addr())]]));
    let weights = off_chain::plan(&file, &Limits::default()).unwrap().weights_length as u64;
    assert_eq!(fetched["bytes"], json!(weights));
    wait("the third node does not go on", || verdict(&third) == "VALID");
    assert_eq!(Consensus::of(&third).choose(last.hash())["status"], "VALID");
    let receipt = |node: &Running| node.client.call("eth_getTransactionReceipt", json!([hash]));
    assert_eq!(receipt(&third), receipt(&node));
}

#[test]
fn a_builder_without_the_weights_parks_what_calls_them() {
    let (cache, id, file) = cached();
    let node = dev(cache.path());
    let (active, _) = publish(&node, cache.path(), id, &file);
    mine_until(&node, active);
    // Gone from memory and from the disk.
    node.handle().models().remove(&id).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::rename(cache.path().join(id.to_string()), elsewhere.path().join(id.to_string())).unwrap();
    let send = |from: usize, to: Address, data: Bytes| {
        let (hash, raw) = signed(from, 0, TxKind::Call(to), 0, data, (20_000_000_000, 1_000_000_000));
        node.client.call("eth_sendRawTransaction", json!([raw]));
        hash
    };
    let receipt = |hash: B256| node.client.call("eth_getTransactionReceipt", json!([hash]));
    let waits = send(6, PRECOMPILE_ADDRESS, call_data(id));
    let goes = send(7, account(1), Bytes::new());
    wait("the block does not go on", || !receipt(goes).is_null());
    assert!(receipt(waits).is_null());
    let call = json!([{"to": PRECOMPILE_ADDRESS, "data": call_data(id)}, "latest"]);
    assert_eq!(node.client.error("eth_call", call).0, -32050);
    let source = elsewhere.path().to_str().unwrap().to_owned();
    node.client.call("lockstep_fetchModel", json!([id, [source]]));
    wait("the parked transaction never ran", || !receipt(waits).is_null());
    assert_eq!(receipt(waits)["status"], "0x1");
}

#[test]
fn a_model_is_retired_after_its_notice_and_may_come_back() {
    let (cache, id, file) = cached();
    let node = dev(cache.path());
    let (active, _) = publish(&node, cache.path(), id, &file);
    mine_until(&node, active);
    assert_eq!(
        registry(&node, 1, &Duties::announceEndCall { modelId: id }, U256::ZERO)["status"],
        "0x0",
        "not its depositor"
    );
    assert_eq!(registry(&node, 0, &Duties::announceEndCall { modelId: id }, U256::ZERO)["status"], "0x1");
    let listed = || node.client.call("lockstep_models", json!([]))[0].clone();
    let end = quantity(&listed()["noticeEnd"]);
    assert_eq!(end, active + 2 + 100);
    mine_until(&node, end - 2);
    assert_eq!(registry(&node, 1, &Duties::retireCall { modelId: id }, U256::ZERO)["status"], "0x0", "the notice runs");
    assert_answers(&node, &file, id, WIDTH);
    assert_eq!(registry(&node, 1, &Duties::retireCall { modelId: id }, U256::ZERO)["status"], "0x1");
    assert_eq!(listed()["status"], "registered");
    // Whether it is in memory still makes no difference to anybody.
    let refusal = |id: B256| {
        let answer = node.client.raw("eth_call", json!([{"to": PRECOMPILE_ADDRESS, "data": call_data(id)}, "latest"]));
        let data: Bytes = serde_json::from_value(answer.unwrap()["error"]["data"].clone()).unwrap();
        ModelNotActive::abi_decode(&data).unwrap()
    };
    assert!(node.handle().models().contains(&id));
    assert_eq!((refusal(id).modelId, refusal(id).activationBlock), (id, 0));
    mine_until(&node, end + 70);
    assert!(!node.handle().models().contains(&id), "it left memory");
    assert_eq!(refusal(id).activationBlock, 0);
    assert!(!Cache::open(cache.path(), None).unwrap().list().unwrap()[0].pinned);
    // The deposit is the depositor's.
    let deposit = read(&node, &Duties::creditCall { account: account(0) });
    assert_eq!(deposit, read(&node, &Duties::depositForCall { modelId: id }));
    let receipt = registry(&node, 0, &Duties::withdrawCall { to: Address::repeat_byte(7) }, U256::ZERO);
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(node.client.call("eth_getBalance", json!([Address::repeat_byte(7), "latest"])), json!(deposit));
    // Attested again it is what it was.
    let (again, transactions) = publish(&node, cache.path(), id, &file);
    assert_eq!(transactions, 3, "asked, attested, activated");
    mine_until(&node, again);
    wait("it is not loaded", || node.handle().models().contains(&id));
    assert_answers(&node, &file, id, WIDTH);
}
