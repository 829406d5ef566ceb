//! What anvil's and hardhat's users expect of a dev chain.

use crate::common::{Running, account, quantity, transfer};
use alloy_primitives::{Address, U256};
use lockstep_node_ext::NodeConfig;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn time_can_be_set_and_shifted() {
    let node = Running::dev();
    let c = node.client;
    let time = || quantity(&c.call("eth_getBlockByNumber", json!(["latest", false]))["timestamp"]);
    c.call("evm_mine", json!([]));
    let start = time();
    c.call("evm_setNextBlockTimestamp", json!([start + 1000]));
    c.call("evm_mine", json!([]));
    assert_eq!(time(), start + 1000);
    c.call("evm_increaseTime", json!(["0x3e8"]));
    c.call("evm_mine", json!([]));
    assert!((start + 2000..start + 2010).contains(&time()));
    assert_eq!(c.error("evm_setNextBlockTimestamp", json!([start])).0, -32602);
    let before = c.number("eth_blockNumber", json!([]));
    c.call("hardhat_mine", json!(["0x10", "0x3c"]));
    assert_eq!(c.number("eth_blockNumber", json!([])), before + 16);
}

#[test]
fn state_can_be_written_and_every_root_stays_true() {
    let node = Running::dev();
    let c = node.client;
    let who = Address::repeat_byte(0x99);
    c.call("anvil_setBalance", json!([who, "0x1234"]));
    c.call("hardhat_setCode", json!([who, "0x5f5ff3"]));
    c.call("anvil_setStorageAt", json!([who, "0x1", format!("{:#066x}", 7)]));
    c.call("anvil_setNonce", json!([who, "0x5"]));
    assert_eq!(c.call("eth_getBalance", json!([who, "latest"])), "0x1234");
    assert_eq!(c.call("eth_getCode", json!([who, "latest"])), "0x5f5ff3");
    assert_eq!(quantity(&c.call("eth_getStorageAt", json!([who, "0x1", "latest"]))), 7);
    assert_eq!(c.call("eth_getTransactionCount", json!([who, "latest"])), "0x5");
    let proof = c.call("eth_getProof", json!([who, [], "latest"]));
    assert_eq!(proof["balance"], "0x1234");
}

#[test]
fn a_snapshot_brings_everything_back() {
    let node = Running::dev();
    let c = node.client;
    let who = Address::repeat_byte(0x98);
    let head = c.call("eth_getBlockByNumber", json!(["latest", false]));
    let snapshot = c.call("evm_snapshot", json!([]));
    let (hash, raw) = transfer(0, 0, who, 1);
    c.call("eth_sendRawTransaction", json!([raw]));
    assert_eq!(c.call("evm_revert", json!([snapshot])), true);
    assert_eq!(c.call("eth_getBlockByNumber", json!(["latest", false])), head);
    assert_eq!(c.call("eth_getBalance", json!([who, "latest"])), "0x0");
    assert_eq!(c.call("eth_getTransactionReceipt", json!([hash])), json!(null));
    assert_eq!(c.call("evm_revert", json!([snapshot])), false, "a snapshot is used up");
    c.call("eth_sendRawTransaction", json!([transfer(0, 0, who, 2).1]));
    assert_eq!(c.call("eth_getBalance", json!([who, "latest"])), "0x2");
}

#[test]
fn the_dev_accounts_sign() {
    let node = Running::dev();
    let c = node.client;
    let accounts: Vec<Address> = serde_json::from_value(c.call("eth_accounts", json!([]))).unwrap();
    assert_eq!(accounts.len(), 10);
    assert_eq!(accounts[0], account(0), "in the mnemonic's order");
    let ether = U256::from(10).pow(U256::from(18));
    for account in &accounts {
        let balance: U256 = serde_json::from_value(c.call("eth_getBalance", json!([account, "latest"]))).unwrap();
        assert_eq!(balance, U256::from(10_000) * ether);
    }
    let signature = c.call("personal_sign", json!(["0x6869", account(0)]));
    let signature: alloy_primitives::Signature = signature.as_str().unwrap().parse().unwrap();
    assert_eq!(signature.recover_address_from_msg("hi").unwrap(), account(0));
    assert!(c.error("eth_sign", json!([Address::ZERO, "0x00"])).1.contains("unknown account"));
}

#[test]
fn blocks_come_by_the_clock_with_a_block_time() {
    let node = Running::start(NodeConfig { block_time: Some(Duration::from_millis(200)), ..Default::default() });
    let c = node.client;
    let (hash, raw) = transfer(0, 0, Address::ZERO, 1);
    c.call("eth_sendRawTransaction", json!([raw]));
    let began = Instant::now();
    while c.call("eth_getTransactionReceipt", json!([hash])).is_null() {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(c.number("eth_blockNumber", json!([])) >= 1);
}

#[test]
fn any_account_can_be_impersonated() {
    let node = Running::dev();
    let c = node.client;
    let whale = Address::repeat_byte(0x77);
    let tx = json!({"from": whale, "to": Address::repeat_byte(1), "value": "0x5"});
    assert!(c.error("eth_sendTransaction", json!([tx])).1.contains("unknown account"));
    c.call("anvil_setBalance", json!([whale, "0xde0b6b3a7640000"]));
    // Even a contract.
    c.call("anvil_setCode", json!([whale, "0x00"]));
    c.call("anvil_impersonateAccount", json!([whale]));
    let receipt = c.transact(tx.clone());
    assert_eq!((&receipt["from"], &receipt["status"]), (&json!(whale), &json!("0x1")));
    assert_eq!(c.call("eth_getBalance", json!([Address::repeat_byte(1), "latest"])), "0x5");
    let found = c.call("eth_getTransactionByHash", json!([receipt["transactionHash"]]));
    assert_eq!(found["from"], json!(whale));
    let trace = c.call("debug_traceTransaction", json!([receipt["transactionHash"], {"tracer": "callTracer"}]));
    assert_eq!(trace["from"], json!(whale));
    c.call("hardhat_stopImpersonatingAccount", json!([whale]));
    assert!(c.error("eth_sendTransaction", json!([tx])).1.contains("unknown account"));
    c.call("anvil_autoImpersonateAccount", json!([true]));
    c.transact(tx);
}
