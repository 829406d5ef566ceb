//! Blocks from a file.

use crate::common::{Running, account, affine_model, transfer};
use alloy_primitives::{Address, Bytes, hex};
use alloy_rlp::Decodable;
use alloy_sol_types::{SolCall, sol};
use lockstep_node_ext::{
    GenesisSource, Node, NodeConfig,
    chain::{Chain, ChainError, genesis::dev_genesis},
    primitives::Block,
    publish,
    storage::Store,
};
use serde_json::json;
use std::path::Path;

sol! {
    function infer(bytes32 modelId, int256[] x) external view returns (int256[] y);
}

/// Writes the blocks of a node to a file.
fn export(node: &Running, path: &Path) -> u64 {
    let head = node.client.number("eth_blockNumber", json!([]));
    let mut all = Vec::new();
    for number in 1..=head {
        let raw = node.client.call("debug_getRawBlock", json!([format!("{number:#x}")]));
        all.extend_from_slice(&hex::decode(raw.as_str().unwrap()).unwrap());
    }
    std::fs::write(path, all).unwrap();
    head
}

fn dev_genesis_without_miner() -> GenesisSource {
    GenesisSource::Inline { genesis: Box::new(dev_genesis().unwrap()), dev: false }
}

/// A block that calls a model whose loading takes a while waits for it.
#[test]
fn an_import_waits_for_models_that_load() {
    let dir = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..640 * 1024).map(|i| i as f32).collect();
    let file = affine_model(&values, &values);
    let id = publish::plan(&file, &Default::default()).unwrap().model_id;
    std::fs::write(dir.path().join("large.lsm"), file).unwrap();
    let miner = Running::start(NodeConfig { models_dir: Some(dir.path().into()), ..Default::default() });
    // Refused for its length: the shapes are checked by the loaded model, at once after activation.
    let call: Bytes = inferCall { modelId: id, x: vec![] }.abi_encode().into();
    let tx = json!({"from": account(1), "to": "0x0000000000000000000000000000000000000a11", "data": call, "gas": "0x100000"});
    assert_eq!(miner.client.transact(tx)["status"], "0x0");
    let blocks = dir.path().join("blocks.rlp");
    let head = export(&miner, &blocks);
    let follower = NodeConfig { genesis: dev_genesis_without_miner(), import: Some(blocks), ..Default::default() };
    let follower = Running::start(follower);
    assert_eq!(follower.client.number("eth_blockNumber", json!([])), head);
}

/// Starting again with the same file does not take back what came after it.
#[test]
fn importing_again_keeps_later_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let miner = Running::dev();
    let file = |nonce: u64| {
        miner.client.call("eth_sendRawTransaction", json!([transfer(0, nonce, Address::repeat_byte(9), 1).1]));
        let path = dir.path().join(format!("{nonce}.rlp"));
        export(&miner, &path);
        path
    };
    let (one, two) = (file(0), file(1));
    let config = |import| NodeConfig {
        genesis: dev_genesis_without_miner(),
        datadir: Some(dir.path().join("data")),
        import: Some(import),
        ..Default::default()
    };
    for (import, head) in [(one.clone(), 1), (two, 2), (one, 2)] {
        let node = Running::start(config(import));
        assert_eq!(node.client.number("eth_blockNumber", json!([])), head);
        assert_eq!(
            node.client.call("eth_getBlockByNumber", json!(["finalized", false]))["number"],
            format!("{head:#x}")
        );
        node.stop();
    }
}

#[test]
fn a_file_that_does_not_import_is_named_with_the_block() {
    let dir = tempfile::tempdir().unwrap();
    let miner = Running::dev();
    miner.client.call("eth_sendRawTransaction", json!([transfer(0, 0, Address::repeat_byte(9), 1).1]));
    let good = dir.path().join("good.rlp");
    export(&miner, &good);
    let bytes = std::fs::read(&good).unwrap();
    let start = |content: &[u8]| {
        let path = dir.path().join("blocks.rlp");
        std::fs::write(&path, content).unwrap();
        let config = NodeConfig {
            genesis: dev_genesis_without_miner(),
            import: Some(path),
            http_addr: ([127, 0, 0, 1], 0).into(),
            ..Default::default()
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(Node::launch(config)).expect_err("refused").to_string()
    };
    assert!(start(&[&bytes[..], b"junk"].concat()).contains("block 1 of"));
    assert!(start(&bytes[..bytes.len() - 1]).contains("block 0 of"));
    let mut block = Block::decode(&mut bytes.as_slice()).unwrap();
    block.header.gas_used += 1;
    assert!(start(&alloy_rlp::encode(&block)).contains("invalid block"));
    block.header.parent_hash = Default::default();
    assert!(start(&alloy_rlp::encode(&block)).contains("unknown parent"));
    let other = Block { header: Default::default(), body: Default::default() };
    assert!(start(&alloy_rlp::encode(&other)).contains("genesis of another chain"));
}

/// A node whose database lacks something says nothing about the block.
#[test]
fn damage_of_this_node_is_no_fault_of_the_block() {
    let miner = Running::dev();
    miner.client.call("eth_sendRawTransaction", json!([transfer(0, 0, Address::repeat_byte(9), 1).1]));
    let raw = miner.client.call("debug_getRawBlock", json!(["0x1"]));
    let block = Block::decode(&mut hex::decode(raw.as_str().unwrap()).unwrap().as_slice()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    drop(Chain::open(Store::open(Some(dir.path())).unwrap(), dev_genesis().unwrap(), Default::default()).unwrap());
    {
        // The code of the system contracts is lost: the first thing that a block runs is one of them.
        let db = redb::Database::create(dir.path().join("lockstep.redb")).unwrap();
        let tx = db.begin_write().unwrap();
        let codes: redb::TableDefinition<'_, &[u8; 32], &[u8]> = redb::TableDefinition::new("codes");
        tx.open_table(codes).unwrap().retain(|_, _| false).unwrap();
        tx.commit().unwrap();
    }
    let chain =
        Chain::open(Store::open(Some(dir.path())).unwrap(), dev_genesis().unwrap(), Default::default()).unwrap();
    let error = chain.import(block).expect_err("the code is gone");
    assert!(matches!(error, ChainError::Stalled { .. } | ChainError::Storage(_)), "{error}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}
