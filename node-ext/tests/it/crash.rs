//! A node killed at any moment keeps every block it acknowledged.

use crate::common::{Client, account, transfer};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::Decodable;
use lockstep_node_ext::{
    Node, NodeConfig,
    chain::{Chain, genesis::dev_genesis},
    primitives::Block,
    storage::Store,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

const DATADIR: &str = "LOCKSTEP_TEST_CHILD_DATADIR";

/// Not a test: the process that is killed.
#[test]
#[ignore = "the child process of the test below"]
fn child() {
    let datadir = Some(std::env::var_os(DATADIR).expect("started by the test below").into());
    let http_addr = ([127, 0, 0, 1], 0).into();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let node = runtime.block_on(Node::launch(NodeConfig { datadir, http_addr, ..Default::default() })).unwrap();
    eprintln!("listening {}", node.http_addr());
    loop {
        std::thread::park();
    }
}

fn spawn(datadir: &Path) -> (Child, Client) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--ignored", "--nocapture"])
        .env(DATADIR, datadir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().expect("the node starts").unwrap();
        if let Some(address) = line.strip_prefix("listening ") {
            break address.parse().unwrap();
        }
    };
    // Keep reading, so that the child never blocks on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (child, Client(address))
}

/// Sends transfers until the node dies; reports each acknowledged one with its receipt.
fn send_until_killed(client: Client, from: usize, acknowledged: mpsc::Sender<(B256, Value)>) {
    let count = client.raw("eth_getTransactionCount", json!([account(from), "latest"]));
    let Ok(count) = count else { return };
    let mut nonce = crate::common::quantity(&count["result"]);
    loop {
        let (hash, raw) = transfer(from, nonce, Address::repeat_byte(0xdd), 1);
        match client.raw("eth_sendRawTransaction", json!([raw])) {
            Ok(answer) if answer["result"] == json!(hash) => {}
            Ok(answer) => panic!("refused: {answer}"),
            Err(_) => return,
        }
        match client.raw("eth_getTransactionReceipt", json!([hash])) {
            Ok(answer) if answer["result"].is_object() => {
                let _ = acknowledged.send((hash, answer["result"].clone()));
            }
            Ok(answer) => panic!("acknowledged without a receipt: {answer}"),
            Err(_) => return,
        }
        nonce += 1;
    }
}

#[test]
fn every_acknowledged_block_survives_kills() {
    let kills = std::env::var("LOCKSTEP_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let dir = tempfile::tempdir().unwrap();
    let mut all: Vec<(B256, Value)> = Vec::new();
    let mut wait = 7u64;
    for _ in 0..kills {
        let (mut child, client) = spawn(dir.path());
        check(client, &all);
        let (sender, receiver) = mpsc::channel();
        let senders: Vec<_> = (0..3)
            .map(|from| {
                let sender = sender.clone();
                std::thread::spawn(move || send_until_killed(client, from, sender))
            })
            .collect();
        drop(sender);
        // Kill at no particular moment.
        wait = wait.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        std::thread::sleep(Duration::from_millis(30 + (wait >> 33) % 170));
        child.kill().unwrap();
        child.wait().unwrap();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        all.extend(receiver);
    }
    assert!(all.len() >= kills, "{} transactions acknowledged over {kills} kills", all.len());

    let (mut child, client) = spawn(dir.path());
    check(client, &all);
    // Every block is valid from genesis on, its state root included, for a node that has seen none of it.
    let other = Chain::open(Store::open(None).unwrap(), dev_genesis().unwrap(), Default::default()).unwrap();
    let head = client.number("eth_blockNumber", json!([]));
    for number in 1..=head {
        let raw: Bytes =
            serde_json::from_value(client.call("debug_getRawBlock", json!([format!("{number:#x}")]))).unwrap();
        let hash = other.import(Block::decode(&mut raw.as_ref()).unwrap()).unwrap();
        other.set_head(hash).unwrap();
    }
    let latest = client.call("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(latest["hash"], json!(other.head().hash));
    child.kill().unwrap();
    child.wait().unwrap();
    eprintln!("{} transactions acknowledged, {head} blocks, {kills} kills: nothing lost", all.len());
}

fn check(client: Client, acknowledged: &[(B256, Value)]) {
    for (hash, receipt) in acknowledged {
        assert_eq!(&client.call("eth_getTransactionReceipt", json!([hash])), receipt);
    }
    let received = client.call("eth_getBalance", json!([Address::repeat_byte(0xdd), "latest"]));
    assert!(crate::common::quantity(&received) >= acknowledged.len() as u64);
}
