//! The chain goes elsewhere.

use crate::common::{Running, quantity, transfer};
use alloy_primitives::{Address, hex};
use alloy_rlp::Decodable;
use lockstep_node_ext::{GenesisSource, NodeConfig, chain::genesis::dev_genesis, primitives::Block};
use serde_json::json;

#[test]
fn transactions_of_blocks_taken_back_return_to_the_pool() {
    let node = Running::dev();
    let c = node.client;
    let to = Address::repeat_byte(0x42);
    let hashes: Vec<_> = (0..3)
        .map(|nonce| {
            let (hash, raw) = transfer(0, nonce, to, 1);
            c.call("eth_sendRawTransaction", json!([raw]));
            hash
        })
        .collect();
    let chain = node.handle().chain();
    let kept = chain.store().canonical_hash(1).unwrap().unwrap();
    chain.set_head(kept).unwrap();
    assert_eq!(c.call("txpool_status", json!([])), json!({"pending": "0x2", "queued": "0x0"}));
    assert_eq!(c.call("eth_getTransactionReceipt", json!([hashes[2]])), json!(null));
    c.call("evm_mine", json!([]));
    for hash in &hashes {
        assert_eq!(c.call("eth_getTransactionReceipt", json!([hash]))["status"], "0x1");
    }
    assert_eq!(quantity(&c.call("eth_getBalance", json!([to, "latest"]))), 3);
    assert_eq!(c.call("txpool_status", json!([])), json!({"pending": "0x0", "queued": "0x0"}));
}

#[test]
fn what_another_nodes_block_took_leaves_the_pool() {
    let miner = Running::dev();
    let genesis = GenesisSource::Inline { genesis: Box::new(dev_genesis().unwrap()), dev: false };
    let follower = Running::start(NodeConfig { genesis, ..Default::default() });
    let (_, raw) = transfer(0, 0, Address::repeat_byte(0x42), 1);
    follower.client.call("eth_sendRawTransaction", json!([raw]));
    assert_eq!(follower.client.call("txpool_status", json!([]))["pending"], "0x1");
    miner.client.call("eth_sendRawTransaction", json!([raw]));
    let block = miner.client.call("debug_getRawBlock", json!(["0x1"]));
    let block = Block::decode(&mut hex::decode(block.as_str().unwrap()).unwrap().as_slice()).unwrap();
    let chain = follower.handle().chain();
    chain.set_head(chain.import(block).unwrap()).unwrap();
    assert_eq!(follower.client.call("txpool_status", json!([]))["pending"], "0x0");
}
