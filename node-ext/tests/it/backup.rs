//! A backup of a node that is at work.

use crate::{
    common::{Client, Running, account, transfer},
    consensus::{Consensus, block_of, driven},
};
use alloy_primitives::Address;
use lockstep_node_ext::{
    NodeConfig,
    chain::{Chain, genesis::dev_genesis},
    storage::Store,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

fn dev(datadir: &Path) -> Running {
    Running::start(NodeConfig { datadir: Some(datadir.into()), ..Default::default() })
}

fn path(backup: &Value) -> PathBuf {
    backup["path"].as_str().unwrap().into()
}

#[test]
fn a_backup_of_a_node_at_work_is_the_chain_of_one_moment_and_restores() {
    let dir = tempfile::tempdir().unwrap();
    let node = dev(dir.path());
    let c = node.client;
    let done = AtomicBool::new(false);
    let send = |c: Client, from: usize| {
        let mut nonce = 0;
        while !done.load(Ordering::Acquire) {
            c.call("eth_sendRawTransaction", json!([transfer(from, nonce, Address::repeat_byte(0xdd), 1).1]));
            nonce += 1;
        }
        nonce
    };
    let (backups, sent) = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..3).map(|from| scope.spawn(move || send(c, from))).collect();
        let backups: Vec<Value> = (0..4)
            .map(|n| {
                std::thread::sleep(std::time::Duration::from_millis(150));
                c.call("lockstep_backup", json!([format!("number-{n}")]))
            })
            .collect();
        done.store(true, Ordering::Release);
        (backups, senders.into_iter().map(|sender| sender.join().unwrap()).sum::<u64>())
    });
    let numbers: Vec<u64> = backups.iter().map(|backup| backup["number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers[0] < numbers[3] && numbers[3] < sent + 1, "{numbers:?} of {sent}");

    for backup in &backups {
        let number = backup["number"].as_u64().unwrap();
        let restored = dev(&path(backup));
        let r = restored.client;
        assert_eq!(r.number("eth_blockNumber", json!([])), number);
        let latest = r.call("eth_getBlockByNumber", json!(["latest", true]));
        assert_eq!(latest["hash"], backup["hash"]);
        assert_eq!(latest["stateRoot"], backup["state"]["root"]);
        assert_eq!(r.call("lockstep_verifyState", json!([])), backup["state"]);
        assert_eq!(latest, c.call("eth_getBlockByNumber", json!([format!("{number:#x}"), true])));
        // Every block of it is valid for a chain that has seen none of it: the copy lacks nothing.
        let oracle = Chain::open(Store::open(None).unwrap(), dev_genesis().unwrap(), Default::default()).unwrap();
        for number in 1..=number {
            oracle.set_head(oracle.import(block_of(r, number)).unwrap()).unwrap();
        }
        assert_eq!(json!(oracle.head().hash), backup["hash"]);
        let balance = |c: Client, block: Value| c.call("eth_getBalance", json!([account(0), block]));
        assert_eq!(balance(r, json!("latest")), balance(c, json!(format!("{number:#x}"))));
        // It goes on from there.
        let receipt = r.transact(json!({"from": account(5), "to": account(6), "value": "0x1"}));
        assert_eq!(receipt["status"], "0x1");
        restored.stop();
    }
    let (code, message) = c.error("lockstep_backup", json!(["number-0"]));
    assert!(code == -32602 && message.contains("already"), "{message}");
    assert_eq!(c.error("lockstep_backup", json!(["../elsewhere"])).0, -32602);
    let named = c.call("lockstep_backup", json!([]));
    assert!(path(&named).file_name().unwrap().to_string_lossy().starts_with("block-"), "{named}");
    node.stop();
}

#[test]
fn backups_are_for_whoever_runs_the_node() {
    let c = Running::dev();
    assert!(c.client.error("lockstep_backup", json!(["x"])).1.contains("--datadir"));

    // A port that others reach does not offer it; the authenticated one does.
    let dir = tempfile::tempdir().unwrap();
    let public = lockstep_node_ext::GenesisSource::Dev;
    let config = NodeConfig { genesis: public, datadir: Some(dir.path().into()), ..Default::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let http_addr = ([0, 0, 0, 0], 0).into();
    let node = runtime.block_on(lockstep_node_ext::Node::launch(NodeConfig { http_addr, ..config })).unwrap();
    let client = Client(([127, 0, 0, 1], node.http_addr().port()).into());
    for method in ["lockstep_backup", "lockstep_verifyState"] {
        assert_eq!(client.error(method, json!(["latest"])).0, -32601);
    }
    runtime.block_on(node.stop());

    let dir = tempfile::tempdir().unwrap();
    let node = driven(Some(dir.path()));
    let cl = Consensus::of(&node);
    let first = cl.extend(node.handle().chain().genesis_hash(), 1, Address::ZERO);
    let backup = cl.call("lockstep_backup", json!(["x"]));
    assert_eq!(backup["hash"], json!(first.hash()));
    node.stop();
    let restored = driven(Some(&path(&backup)));
    assert_eq!(restored.client.number("eth_blockNumber", json!([])), 1);
    restored.stop();
}
