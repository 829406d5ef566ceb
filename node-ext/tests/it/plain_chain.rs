//! A genesis without `config.lockstep` is a plain Ethereum chain.

use crate::common::{Running, account};
use lockstep_node_ext::{GenesisSource, LaunchError, Node, NodeConfig, chain::genesis::plain_dev_genesis};
use serde_json::json;

#[test]
fn without_config_the_addresses_are_ordinary_accounts() {
    let genesis = GenesisSource::Inline { genesis: Box::new(plain_dev_genesis()), dev: true };
    let node = Running::start(NodeConfig { genesis, ..Default::default() });
    let c = node.client;
    let precompile = "0x0000000000000000000000000000000000000a11";
    assert_eq!(c.call("eth_getCode", json!([precompile, "latest"])), "0x");
    assert_eq!(c.call("eth_call", json!([{"to": precompile, "data": "0x12345678"}, "latest"])), "0x");
    let receipt = c.transact(json!({"from": account(0), "to": precompile, "value": "0x1"}));
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["gasUsed"], "0x5208");
    assert_eq!(c.call("lockstep_models", json!([])), json!([]));
    assert_eq!(c.call("lockstep_crossCheck", json!([])), json!(null));
}

#[test]
fn unknown_rules_are_refused_at_start_by_name() {
    let mut genesis = plain_dev_genesis();
    genesis.config.extra_fields.insert("lockstep".into(), json!({"activation": 0, "surprise": 1}));
    let genesis = GenesisSource::Inline { genesis: Box::new(genesis), dev: true };
    let config = NodeConfig { genesis, http_addr: ([127, 0, 0, 1], 0).into(), ..Default::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(Node::launch(config)).expect_err("the genesis is refused");
    assert!(matches!(error, LaunchError::Chain(_)));
    assert!(error.to_string().contains("surprise"), "{error}");
}
