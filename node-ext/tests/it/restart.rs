//! What was acknowledged is there after a restart.

use crate::common::{Running, transfer};
use alloy_primitives::Address;
use lockstep_node_ext::{GenesisSource, LaunchError, Node, NodeConfig, chain::genesis::plain_dev_genesis};
use serde_json::json;

#[test]
fn a_data_directory_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = || NodeConfig { datadir: Some(dir.path().to_path_buf()), ..Default::default() };
    let to = Address::repeat_byte(0x42);
    let node = Running::start(config());
    let mut receipts = Vec::new();
    for nonce in 0..5 {
        let (hash, raw) = transfer(0, nonce, to, 1);
        node.client.call("eth_sendRawTransaction", json!([raw]));
        receipts.push((hash, node.client.call("eth_getTransactionReceipt", json!([hash]))));
    }
    let head = node.client.call("eth_getBlockByNumber", json!(["latest", false]));
    node.stop();

    let node = Running::start(config());
    assert_eq!(node.client.call("eth_getBlockByNumber", json!(["latest", false])), head);
    for (hash, receipt) in receipts {
        assert_eq!(node.client.call("eth_getTransactionReceipt", json!([hash])), receipt);
    }
    assert_eq!(node.client.call("eth_getBalance", json!([to, "latest"])), "0x5");
    assert_eq!(node.client.call("eth_getBalance", json!([to, "0x2"])), "0x2");
    node.client.call("eth_sendRawTransaction", json!([transfer(0, 5, to, 1).1]));
    assert_eq!(node.client.call("eth_getBalance", json!([to, "latest"])), "0x6");
}

#[test]
fn another_chains_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let datadir = Some(dir.path().to_path_buf());
    Running::start(NodeConfig { datadir: datadir.clone(), ..Default::default() }).stop();
    let genesis = GenesisSource::Inline { genesis: Box::new(plain_dev_genesis()), dev: true };
    let config = NodeConfig { genesis, datadir, http_addr: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(Node::launch(config)).expect_err("the directory is refused");
    assert!(matches!(error, LaunchError::Chain(_)));
    assert!(error.to_string().contains("choose another --datadir"), "{error}");
}
