//! The Engine API: building, importing, its refusals.

use crate::{
    common::{Running, transfer},
    consensus::{Consensus, Payload, driven, state},
};
use alloy_primitives::{Address, B256, U256, keccak256};
use lockstep_node_ext::{EngineConfig, LaunchError, Node, NodeConfig, care::Stop};
use serde_json::{Value, json};

const TIP_TO: Address = Address::repeat_byte(0xfe);

fn genesis(node: &Running) -> B256 {
    node.handle().chain().genesis_hash()
}

#[test]
fn blocks_are_built_imported_and_chosen() {
    let node = driven(None);
    let (c, cl) = (node.client, Consensus::of(&node));
    let to = Address::repeat_byte(0x42);
    let (hash, raw) = transfer(0, 0, to, 5);
    c.call("eth_sendRawTransaction", json!([raw]));
    assert_eq!(c.call("eth_getTransactionReceipt", json!([hash])), json!(null), "nobody mines here");

    let built = cl.build(genesis(&node), 1, TIP_TO);
    assert_eq!((built.transactions(), &built.json["blockNumber"]), (1, &json!("0x1")));
    assert_eq!(c.number("eth_blockNumber", json!([])), 0, "a block that is built is not imported");
    let block = cl.import(&built);
    assert_eq!(c.number("eth_blockNumber", json!([])), 0, "a block that is imported is not the head");
    assert_eq!(cl.import(&built), block, "a known block is valid");
    assert_eq!(cl.choose(block), json!({"status": "VALID", "latestValidHash": block, "validationError": null}));
    assert_eq!(c.call("eth_getTransactionReceipt", json!([hash]))["blockHash"], json!(block));
    let header = c.call("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(header["miner"], json!(TIP_TO));
    assert_eq!(header["parentBeaconBlockRoot"], json!(built.beacon_root));

    // The value of a block is what its fee recipient gains.
    let (_, raw) = transfer(0, 1, to, 5);
    c.call("eth_sendRawTransaction", json!([raw]));
    let before: U256 = serde_json::from_value(c.call("eth_getBalance", json!([TIP_TO, "latest"]))).unwrap();
    let attributes = json!({"timestamp": "0x5", "prevRandao": B256::ZERO, "suggestedFeeRecipient": TIP_TO, "withdrawals": [
        {"index": "0x0", "validatorIndex": "0x1", "address": to, "amount": "0x3"}], "parentBeaconBlockRoot": B256::ZERO});
    let begun = json!([state(block, B256::ZERO, B256::ZERO), attributes]);
    let id = cl.call("engine_forkchoiceUpdatedV3", begun.clone())["payloadId"].clone();
    assert_eq!(cl.call("engine_forkchoiceUpdatedV3", begun)["payloadId"], id, "the same request has the same name");
    let answer = cl.call("engine_getPayloadV5", json!([id]));
    let next = Payload { json: answer["executionPayload"].clone(), beacon_root: B256::ZERO, requests: Vec::new() };
    cl.import(&next);
    cl.choose(next.hash());
    let after: U256 = serde_json::from_value(c.call("eth_getBalance", json!([TIP_TO, "latest"]))).unwrap();
    assert_eq!(answer["blockValue"], json!(after - before));
    assert!(after > before);
    assert_eq!(c.number("eth_getBalance", json!([to, "latest"])), 10 + 3_000_000_000, "the withdrawal is in gwei");

    let bodies = cl.call("engine_getPayloadBodiesByRangeV1", json!(["0x1", "0x9"]));
    assert_eq!(bodies.as_array().map(Vec::len), Some(2), "no further than the head");
    assert_eq!(bodies[0]["transactions"], built.json["transactions"]);
    let by_hash = cl.call("engine_getPayloadBodiesByHashV1", json!([[next.hash(), B256::ZERO]]));
    assert_eq!(by_hash, json!([bodies[1], null]));
}

#[test]
fn a_node_that_must_not_seal_hands_out_no_payload() {
    let node = driven(None);
    let cl = Consensus::of(&node);
    let begin = |time: &str| {
        let attributes = json!({"timestamp": time, "prevRandao": B256::ZERO, "suggestedFeeRecipient": TIP_TO,
            "withdrawals": [], "parentBeaconBlockRoot": B256::ZERO});
        cl.call("engine_forkchoiceUpdatedV3", json!([state(genesis(&node), B256::ZERO, B256::ZERO), attributes]))
            ["payloadId"]
            .clone()
    };
    let (asked_for, before) = (begin("0x1"), begin("0x2"));
    cl.call("engine_getPayloadV5", json!([asked_for]));
    std::thread::sleep(std::time::Duration::from_millis(500));
    node.handle().care().duty().stop(Stop::Environment("the test says so"));
    // One that was built before, and one that is to be built.
    for id in [before, begin("0x3")] {
        let answer = cl.raw("engine_getPayloadV5", json!([id]));
        let error = &answer["error"];
        assert!(error["message"].as_str().is_some_and(|m| m.contains("seals nothing: the test says so")), "{answer}");
    }
    node.stop();
}

#[test]
fn a_block_takes_what_arrives_while_it_is_built() {
    let node = driven(None);
    let (c, cl) = (node.client, Consensus::of(&node));
    let attributes = json!({"timestamp": "0x1", "prevRandao": B256::ZERO, "suggestedFeeRecipient": TIP_TO,
        "withdrawals": [], "parentBeaconBlockRoot": B256::ZERO});
    let begun = json!([state(genesis(&node), B256::ZERO, B256::ZERO), attributes]);
    let id = cl.call("engine_forkchoiceUpdatedV3", begun)["payloadId"].clone();
    c.call("eth_sendRawTransaction", json!([transfer(0, 0, TIP_TO, 1).1]));
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let built = cl.call("engine_getPayloadV5", json!([id]));
    assert_eq!(built["executionPayload"]["transactions"].as_array().map(Vec::len), Some(1));
    // What was told is not taken back.
    c.call("eth_sendRawTransaction", json!([transfer(0, 1, TIP_TO, 1).1]));
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(cl.call("engine_getPayloadV5", json!([id])), built);
    node.stop();
}

#[test]
fn invalid_blocks_are_told_with_their_last_valid_ancestor_and_remembered() {
    let node = driven(None);
    let cl = Consensus::of(&node);
    let first = cl.extend(genesis(&node), 1, TIP_TO);
    let good = cl.build(first.hash(), 2, TIP_TO);

    // A wrong state root, with the hash that such a block has.
    let wrong = with_hash(&good, |payload| payload["stateRoot"] = json!(B256::repeat_byte(1)));
    let status = cl.new_payload(&wrong);
    assert_eq!((&status["status"], &status["latestValidHash"]), (&json!("INVALID"), &json!(first.hash())));
    assert!(status["validationError"].as_str().unwrap().contains("state root"), "{status}");
    assert_eq!(cl.new_payload(&wrong), status, "it is remembered");
    assert_eq!(cl.choose(wrong.hash()), status, "it cannot be chosen");

    // What stands on it is invalid too, in whatever order it comes.
    let child = with_hash(&good, |payload| {
        payload["parentHash"] = json!(wrong.hash());
        payload["blockNumber"] = json!("0x3");
        payload["timestamp"] = json!("0x3");
    });
    let grandchild = with_hash(&good, |payload| {
        payload["parentHash"] = json!(child.hash());
        payload["blockNumber"] = json!("0x4");
        payload["timestamp"] = json!("0x4");
    });
    assert_eq!(cl.new_payload(&grandchild)["status"], "SYNCING");
    assert_eq!(cl.new_payload(&child), status);
    assert_eq!(cl.new_payload(&grandchild), status);
    assert_eq!(cl.choose(grandchild.hash()), status);

    // A payload that lies about its own hash says nothing about the block of that hash.
    let mut liar = good.clone();
    liar.json["gasUsed"] = json!("0x1");
    let status = cl.new_payload(&liar);
    assert_eq!((&status["status"], &status["latestValidHash"]), (&json!("INVALID"), &Value::Null));
    let other = json!([good.json, [B256::repeat_byte(1)], good.beacon_root, good.requests]);
    assert_eq!(cl.call("engine_newPayloadV4", other)["status"], "INVALID", "blob hashes that no transaction has");
    cl.import(&good);
    assert_eq!(cl.choose(good.hash())["status"], "VALID");
}

/// The payload changed, with the hash of the changed block.
fn with_hash(payload: &Payload, change: impl FnOnce(&mut Value)) -> Payload {
    let mut changed = payload.clone();
    change(&mut changed.json);
    let parsed: alloy_rpc_types_engine::ExecutionPayloadV3 = serde_json::from_value(changed.json.clone()).unwrap();
    let mut block: lockstep_node_ext::primitives::Block = parsed.try_into_block().unwrap();
    block.header.parent_beacon_block_root = Some(changed.beacon_root);
    block.header.requests_hash = Some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH);
    changed.json["blockHash"] = json!(keccak256(alloy_rlp::encode(&block.header)));
    changed
}

#[test]
fn versions_belong_to_forks_and_malformed_requests_are_refused() {
    let node = driven(None);
    let cl = Consensus::of(&node);
    let head = genesis(&node);
    let block = cl.build(head, 1, TIP_TO);
    let (none, zero) = (Value::Null, B256::ZERO);
    // The chain is at Osaka.
    let mut old = block.json.clone();
    old.as_object_mut().unwrap().retain(|key, _| !key.contains("lobGas"));
    assert_eq!(cl.error("engine_newPayloadV2", json!([old])), -38005);
    old.as_object_mut().unwrap().remove("withdrawals");
    assert_eq!(cl.error("engine_newPayloadV1", json!([old])), -38005);
    assert_eq!(cl.error("engine_newPayloadV3", json!([block.json, [], block.beacon_root])), -38005);
    // Amsterdam, whose rules this binary does not have, has no method here either.
    assert_eq!(cl.error("engine_newPayloadV5", json!([block.json, [], block.beacon_root, []])), -32601);
    assert_eq!(cl.error("engine_newPayloadV4", json!([block.json, [], none, []])), -32602);
    assert_eq!(cl.error("engine_newPayloadV4", json!([block.json, [], block.beacon_root, none])), -32602);
    for requests in [json!(["0x"]), json!(["0x01"]), json!(["0x0201", "0x0101"]), json!(["0x0101", "0x0102"])] {
        assert_eq!(cl.error("engine_newPayloadV4", json!([block.json, [], block.beacon_root, requests])), -32602);
    }
    let attributes = |time: u64, withdrawals: Value, root: Value| {
        let mut all = json!({"timestamp": format!("{time:#x}"), "prevRandao": zero, "suggestedFeeRecipient": TIP_TO});
        for (key, value) in [("withdrawals", withdrawals), ("parentBeaconBlockRoot", root)] {
            if !value.is_null() {
                all[key] = value;
            }
        }
        json!([state(head, zero, zero), all])
    };
    let v3 = "engine_forkchoiceUpdatedV3";
    assert_eq!(cl.error(v3, attributes(1, json!([]), none.clone())), -38003);
    assert_eq!(cl.error(v3, attributes(1, none.clone(), json!(zero))), -38003);
    assert_eq!(cl.error(v3, attributes(0, json!([]), json!(zero))), -38003, "not after the head");
    assert_eq!(cl.error("engine_forkchoiceUpdatedV2", attributes(1, json!([]), none.clone())), -38005);
    assert_eq!(cl.error("engine_forkchoiceUpdatedV1", attributes(1, none.clone(), none.clone())), -38005);
    assert_eq!(cl.error("engine_getPayloadV5", json!(["0x0000000000000001"])), -38001);
    let id = cl.call(v3, attributes(1, json!([]), json!(zero)))["payloadId"].clone();
    for old in ["engine_getPayloadV1", "engine_getPayloadV2", "engine_getPayloadV3", "engine_getPayloadV4"] {
        assert_eq!(cl.error(old, json!([id])), -38005, "{old}");
    }
    assert_eq!(cl.error("engine_getPayloadBodiesByRangeV1", json!(["0x0", "0x1"])), -32602);
    assert_eq!(cl.error("engine_getPayloadBodiesByRangeV1", json!(["0x1", "0x401"])), -38004);

    let capabilities = cl.call("engine_exchangeCapabilities", json!([["engine_newPayloadV4"]]));
    for method in capabilities.as_array().unwrap() {
        let code = cl.raw(method.as_str().unwrap(), json!([]))["error"]["code"].as_i64();
        assert_ne!(code, Some(-32601), "{method} is offered");
    }
    assert_eq!(cl.call("engine_getClientVersionV1", json!([{}]))[0]["name"], "Lockstep");
    assert_eq!(cl.call("eth_chainId", json!([])), "0x4bc", "a consensus client asks this port for more");
}

#[test]
fn the_port_wants_a_token_and_the_other_port_has_no_engine() {
    let node = driven(None);
    let cl = Consensus::of(&node);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).to_string();
    let error = cl.0.post(&body).unwrap_err().to_string();
    assert!(error.contains("401") && error.contains("Authorization"), "{error}");
    let old = format!("authorization: Bearer {}\r\n", crate::consensus::SECRET.token(1));
    assert!(cl.0.post_with(&old, &body).unwrap_err().to_string().contains("401"));
    let (code, _) = node.client.error("engine_getClientVersionV1", json!([{}]));
    assert_eq!(code, -32601);

    let engine = Some(EngineConfig { address: ([127, 0, 0, 1], 0).into(), secret: crate::consensus::SECRET });
    let config = NodeConfig { http_addr: ([127, 0, 0, 1], 0).into(), engine, ..Default::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(Node::launch(config)).expect_err("a dev chain has a miner");
    assert!(matches!(error, LaunchError::EngineOnDev));
}
