//! What a node refuses to start with, and what it says.

use crate::common::{Running, tiny_model, transfer};
use alloy_genesis::Genesis;
use alloy_primitives::Address;
use lockstep_node_ext::{
    GenesisSource, Node, NodeConfig,
    chain::genesis::{dev_genesis, plain_dev_genesis},
};
use serde_json::json;
use std::net::{SocketAddr, TcpListener};

fn refused(config: NodeConfig) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = match config.http_addr.port() {
        8545 => NodeConfig { http_addr: ([127, 0, 0, 1], 0).into(), ..config },
        _ => config,
    };
    runtime.block_on(Node::launch(config)).expect_err("the start is refused").to_string()
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

fn inline(genesis: Genesis) -> NodeConfig {
    NodeConfig { genesis: GenesisSource::Inline { genesis: Box::new(genesis), dev: true }, ..Default::default() }
}

#[test]
fn a_bad_genesis_is_refused_by_its_fault() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("genesis.json");
    let from = |text: &str| {
        std::fs::write(&path, text).unwrap();
        refused(NodeConfig { genesis: GenesisSource::File(path.clone()), ..Default::default() })
    };
    let absent = NodeConfig { genesis: GenesisSource::File(dir.path().join("absent.json")), ..Default::default() };
    says(&refused(absent), &["absent.json", "No such file"]);
    says(&from("{"), &["genesis.json is no genesis", "line 1"]);
    says(&from("{}"), &["gasLimit = 0"]);
    says(&from("{\"alloc\": 7}"), &["genesis.json is no genesis", "alloc"]);

    says(&refused(inline(Genesis { number: Some(7), ..plain_dev_genesis() })), &["number = 7", "block 0"]);
    says(&refused(inline(Genesis { gas_limit: 1, ..plain_dev_genesis() })), &["gasLimit = 1"]);
    says(&refused(inline(Genesis { base_fee_per_gas: Some(u128::MAX), ..plain_dev_genesis() })), &["baseFeePerGas"]);
    let mut genesis = plain_dev_genesis();
    genesis.config.chain_id = 0;
    says(&refused(inline(genesis)), &["config.chainId = 0"]);
    let mut genesis = plain_dev_genesis();
    genesis.alloc.remove(&alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
    says(&refused(inline(genesis)), &["EIP-7002", "add the contract to `alloc`"]);
    let mut genesis = plain_dev_genesis();
    genesis.config.extra_fields.insert(
        "lockstep".into(),
        json!({"activation": 0, "ls1": [1, 2], "gasSchedule": 1, "headerRule": "none", "foreignInterfaces": []}),
    );
    says(&refused(inline(genesis)), &["ls1"]);
    // The registry is not there.
    let mut genesis = plain_dev_genesis();
    genesis.config.extra_fields.insert(
        "lockstep".into(),
        json!({"activation": 0, "ls1": [1], "gasSchedule": 1, "headerRule": "none", "foreignInterfaces": []}),
    );
    says(&refused(inline(genesis)), &["registry", "lockstep genesis"]);
}

#[test]
fn a_port_in_use_is_named_before_anything_is_written() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let datadir = dir.path().join("data");
    let http_addr = other.local_addr().unwrap();
    let text = refused(NodeConfig { http_addr, datadir: Some(datadir.clone()), ..Default::default() });
    says(&text, &[&http_addr.to_string(), "--http-port"]);
    assert!(!datadir.exists(), "nothing was written");
}

#[test]
fn it_listens_on_this_machine_alone() {
    assert!(NodeConfig::default().http_addr.ip().is_loopback());
    let node = Running::start(NodeConfig::default());
    let port = node.client.0.port();
    assert!(node.client.0.ip().is_loopback());
    // Another address of this machine does not answer.
    let elsewhere = SocketAddr::from(([127, 0, 0, 2], port));
    assert!(std::net::TcpStream::connect(elsewhere).is_err());
}

#[test]
fn two_nodes_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let config = || NodeConfig { datadir: Some(dir.path().to_path_buf()), ..Default::default() };
    let node = Running::start(config());
    says(&refused(config()), &["in use by another node", "--datadir"]);
    // The first one is not disturbed.
    node.client.call("eth_sendRawTransaction", json!([transfer(0, 0, Address::ZERO, 1).1]));
    node.stop();
    Running::start(config()).stop();
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    says(&refused(NodeConfig { datadir: Some(file.clone()), ..Default::default() }), &["file", "--datadir"]);
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("lockstep.redb"), "this is a letter").unwrap();
    let text = refused(NodeConfig { datadir: Some(data), ..Default::default() });
    says(&text, &["lockstep.redb", "is no database", "--datadir"]);
}

#[test]
fn models_that_cannot_be_published_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = |models: &std::path::Path| NodeConfig { models_dir: Some(models.into()), ..Default::default() };
    says(&refused(config(&dir.path().join("none"))), &["none", "No such file", "--models takes a folder"]);
    let file = dir.path().join("a.lsm");
    std::fs::write(&file, tiny_model([1.0, 2.0], [0.0, 0.0])).unwrap();
    says(&refused(config(&file)), &["a.lsm", "--models takes a folder"]);

    // One broken file among good ones: nothing is published.
    let data = tempfile::tempdir().unwrap();
    let mut broken = tiny_model([3.0, 2.0], [0.0, 0.0]);
    broken.truncate(broken.len() - 1);
    std::fs::write(dir.path().join("b.lsm"), broken).unwrap();
    std::fs::write(dir.path().join("c.lsm"), "\u{80}pickle").unwrap();
    let with_data = NodeConfig { datadir: Some(data.path().into()), ..config(dir.path()) };
    says(&refused(with_data.clone()), &["b.lsm", "the model file is refused"]);
    std::fs::remove_file(dir.path().join("b.lsm")).unwrap();
    says(&refused(with_data), &["c.lsm", "the model file is refused"]);
    let node = Running::start(NodeConfig { datadir: Some(data.path().into()), ..Default::default() });
    assert_eq!(node.client.call("eth_blockNumber", json!([])), "0x0");
    node.stop();

    let plain = GenesisSource::Inline { genesis: Box::new(plain_dev_genesis()), dev: true };
    says(&refused(NodeConfig { genesis: plain, ..config(dir.path()) }), &["config.lockstep"]);
    let follower = GenesisSource::Inline { genesis: Box::new(dev_genesis().unwrap()), dev: false };
    says(&refused(NodeConfig { genesis: follower, ..config(dir.path()) }), &["--models needs --dev"]);

    // An empty folder is no error.
    let empty = tempfile::tempdir().unwrap();
    let node = Running::start(config(empty.path()));
    assert!(node.handle().published().is_empty());
}
