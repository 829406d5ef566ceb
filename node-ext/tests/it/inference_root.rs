//! Blocks commit to their inferences: in headers, at import, in proofs.

use crate::{
    common::{Client, Running, account, quantity, tiny_model},
    consensus::block_of,
};
use alloy_primitives::{B256, Bytes, I256, hex};
use alloy_sol_types::{SolCall, sol};
use lockstep_engine::{Limits, LoadedModel, Model, exec::Options};
use lockstep_node_ext::{
    GenesisSource, NodeConfig,
    chain::{
        Chain, ChainError,
        genesis::{dev_genesis, plain_dev_genesis},
    },
    inference::{InferenceProof, ProofError},
    storage::Store,
};
use lockstep_precompile::commitment;
use serde_json::{Value, json};

sol! {
    function infer(bytes32 modelId, int256[] x) external view returns (int256[] y);
}

const PRECOMPILE: &str = "0x0000000000000000000000000000000000000a11";
/// Calls the precompile twice with its call data, then reverts.
const TWICE_THEN_REVERT: &str = "365f5f375f5f365f610a115afa505f5f365f610a115afa505f5ffd";

fn model() -> Vec<u8> {
    tiny_model([2.0, 3.0], [0.5, -1.0])
}

/// A dev chain with the model, and the model's name.
fn node() -> (Running, B256) {
    let models = tempfile::tempdir().unwrap();
    std::fs::write(models.path().join("tiny.lsm"), model()).unwrap();
    let node = Running::start(NodeConfig { models_dir: Some(models.path().into()), ..Default::default() });
    let id = serde_json::from_value(node.client.call("lockstep_models", json!([]))[0]["modelId"].clone()).unwrap();
    (node, id)
}

fn infer(id: B256, values: [i64; 2]) -> Bytes {
    let wad = |v| I256::try_from(v).unwrap() * I256::try_from(10u64.pow(18)).unwrap();
    inferCall { modelId: id, x: values.map(wad).to_vec() }.abi_encode().into()
}

fn send(c: Client, to: &Value, data: &Bytes) -> Value {
    c.transact(json!({"from": account(1), "to": to, "data": data, "gas": "0x40000"}))
}

fn proof(c: Client, transaction: &Value, nth: usize) -> InferenceProof {
    serde_json::from_value(c.call("lockstep_getInferenceProof", json!([transaction, nth]))).unwrap()
}

fn extra_data(c: Client, number: u64) -> B256 {
    let block = c.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false]));
    serde_json::from_value(block["extraData"].clone()).unwrap()
}

#[test]
fn a_proof_leads_from_an_answer_to_its_header() {
    let (node, id) = node();
    let c = node.client;
    let receipt = send(c, &json!(PRECOMPILE), &infer(id, [10, 20]));
    let number = quantity(&receipt["blockNumber"]);
    let proof = proof(c, &receipt["transactionHash"], 0);
    let header = proof.check_commitment().unwrap();
    assert_eq!((header.number, json!(proof.block_hash)), (number, receipt["blockHash"].clone()));
    assert_eq!(B256::from_slice(&header.extra_data), extra_data(c, number));
    assert_eq!((proof.path.count, proof.path.index, proof.path.siblings.len()), (1, 0, 0));

    // The answer, computed again from the proof and the file alone.
    let load =
        |bytes: &[u8]| LoadedModel::new(Model::decode(bytes, &Limits::default()).unwrap(), &Limits::default()).unwrap();
    let computed = proof.check_answer(&load(&model()), &Limits::default(), &Options::default()).unwrap();
    let called = c.call("eth_call", json!([{"to": PRECOMPILE, "data": infer(id, [10, 20])}, "latest"]));
    assert_eq!(called, json!(hex::encode_prefixed(&computed.returned)));
    let check = |proof: &InferenceProof, bytes: &[u8]| {
        proof.check_answer(&load(bytes), &Limits::default(), &Options::default()).unwrap_err()
    };
    let other = tiny_model([2.0, 3.0], [0.5, -2.0]);
    assert!(matches!(check(&proof, &other), ProofError::Model { .. }));
    let mut changed = proof.clone();
    changed.inputs[0].data = Bytes::from(vec![0u8; changed.inputs[0].data.len()]);
    assert!(matches!(check(&changed, &model()), ProofError::Inputs { .. }));
    // What a person reads is what is proven.
    let other = InferenceProof { function: "classify".into(), ..proof.clone() };
    assert!(matches!(other.check_commitment(), Err(ProofError::Function { .. })));
    // A block that lies about the answer is found out.
    let mut lie = proof.clone();
    lie.leaf.outputs_hash = B256::ZERO;
    assert!(matches!(check(&lie, &model()), ProofError::Outputs { .. }));
    let mut lie = proof.clone();
    lie.leaf.returned_hash = B256::ZERO;
    assert!(matches!(check(&lie, &model()), ProofError::Returned { .. }));

    assert_eq!(c.call("lockstep_getInferenceProof", json!([B256::ZERO])), json!(null));
    assert!(c.error("lockstep_getInferenceProof", json!([receipt["transactionHash"], 1])).1.contains("number 1"));
}

#[test]
fn every_inference_of_a_block_is_counted_in_order_also_where_a_frame_reverts() {
    let (node, id) = node();
    let c = node.client;
    let code = hex::decode(TWICE_THEN_REVERT).unwrap();
    let size = code.len() as u8;
    let init = [&[0x60, size, 0x60, 0x0c, 0x5f, 0x39, 0x60, size, 0x5f, 0xf3, 0, 0], &code[..]].concat();
    let contract =
        c.transact(json!({"from": account(1), "data": hex::encode_prefixed(init)}))["contractAddress"].clone();
    c.call("evm_setAutomine", json!([false]));
    let mut sent = Vec::new();
    for (from, to, data) in [
        (2, contract.clone(), infer(id, [1, 2])),
        (3, json!(PRECOMPILE), infer(id, [3, 4])),
        (4, json!(PRECOMPILE), infer(B256::ZERO, [3, 4])),
        (5, json!(account(9)), Bytes::new()),
    ] {
        // Falling tips: this is the order of the block.
        let tip = format!("{:#x}", (10 - from as u64) * 1_000_000_000);
        let tx = json!({"from": account(from), "to": to, "data": data, "gas": "0x40000", "maxPriorityFeePerGas": tip, "maxFeePerGas": "0x2540be4000"});
        sent.push(c.call("eth_sendTransaction", json!([tx])));
    }
    c.call("evm_mine", json!([]));
    let receipts: Vec<Value> = sent.iter().map(|hash| c.call("eth_getTransactionReceipt", json!([hash]))).collect();
    let statuses: Vec<&Value> = receipts.iter().map(|receipt| &receipt["status"]).collect();
    assert_eq!(statuses, ["0x0", "0x1", "0x0", "0x1"]);
    let proofs = [proof(c, &sent[0], 0), proof(c, &sent[0], 1), proof(c, &sent[1], 0)];
    for (index, proof) in proofs.iter().enumerate() {
        proof.check_commitment().unwrap();
        assert_eq!((proof.path.count, proof.path.index), (3, index as u64));
    }
    assert_eq!(proofs[0].leaf, proofs[1].leaf, "the same call twice in one transaction");
    assert_eq!((proofs[0].leaf.transaction_index, proofs[2].leaf.transaction_index), (0, 1));
    for none in [&sent[2], &sent[3]] {
        assert_eq!(c.error("lockstep_getInferenceProof", json!([none])).0, -32602);
    }
    // Calls that are no part of a block count for nothing.
    let number = c.number("eth_blockNumber", json!([]));
    c.call("eth_call", json!([{"to": PRECOMPILE, "data": infer(id, [5, 6])}, "latest"]));
    c.call("debug_traceTransaction", json!([sent[1]]));
    c.call("evm_mine", json!([]));
    assert_eq!(extra_data(c, number + 1), commitment::of_leaves(&[]));
}

#[test]
fn a_block_that_commits_to_something_else_is_invalid() {
    let (node, id) = node();
    let c = node.client;
    let last = quantity(&send(c, &json!(PRECOMPILE), &infer(id, [10, 20]))["blockNumber"]);
    let genesis = GenesisSource::Inline { genesis: Box::new(dev_genesis().unwrap()), dev: false };
    let follower = Running::start(NodeConfig { genesis, ..Default::default() });
    let chain = follower.handle().chain();
    for number in 1..last {
        chain.set_head(chain.import(block_of(c, number)).unwrap()).unwrap();
    }
    let good = block_of(c, last);
    let empty = commitment::of_leaves(&[]);
    for wrong in [Bytes::new(), Bytes::from(vec![0u8; 32]), empty.into(), Bytes::from_static(b"hello")] {
        let mut block = good.clone();
        block.header.extra_data = wrong;
        let error = chain.import(block).unwrap_err();
        assert!(matches!(&error, ChainError::Invalid { reason, .. } if reason.contains("commitment")), "{error}");
    }
    chain.set_head(chain.import(good).unwrap()).unwrap();
}

#[test]
fn other_chains_leave_the_proposer_his_words() {
    let genesis = |rule: Option<(&str, u64)>| {
        let mut genesis = plain_dev_genesis();
        if let Some((rule, activation)) = rule {
            genesis = dev_genesis().unwrap();
            let config = genesis.config.extra_fields.get_mut("lockstep").unwrap();
            config["headerRule"] = json!(rule);
            config["activation"] = json!(activation);
        }
        genesis
    };
    for (rule, commits) in [
        (None, [false, false]),
        (Some(("none", 0)), [false, false]),
        (Some(("inferenceRoot", 2)), [false, true]),
        (Some(("inferenceRoot", 0)), [true, true]),
    ] {
        let source = GenesisSource::Inline { genesis: Box::new(genesis(rule)), dev: true };
        let node = Running::start(NodeConfig { genesis: source, ..Default::default() });
        let importer = Chain::open(Store::open(None).unwrap(), genesis(rule), Default::default()).unwrap();
        for (number, commits) in (1..).zip(commits) {
            let receipt = node.client.transact(json!({"from": account(1), "to": account(2), "value": "0x1"}));
            let block = block_of(node.client, number);
            assert_eq!(block.header.extra_data.len(), if commits { 32 } else { 0 }, "{rule:?}, block {number}");
            let mut words = block.clone();
            words.header.extra_data = Bytes::from_static(b"words");
            let accepted = importer.import(words);
            assert_eq!(accepted.is_ok(), !commits, "{rule:?}, block {number}: {accepted:?}");
            importer.set_head(importer.import(block).unwrap()).unwrap();
            if !commits {
                let error = node.client.error("lockstep_getInferenceProof", json!([receipt["transactionHash"]]));
                assert!(error.1.contains("do not commit"), "{error:?}");
            }
        }
    }
}
