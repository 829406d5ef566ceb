//! Whatever is asked, the node answers, and goes on.

use crate::common::{Running, account, transfer};
use alloy_primitives::Address;
use serde_json::{Value, json};

/// Every method that takes something, those with limits of their own aside.
const METHODS: [&str; 62] = [
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getBlockTransactionCountByNumber",
    "eth_getBlockTransactionCountByHash",
    "eth_getUncleCountByBlockNumber",
    "eth_getUncleCountByBlockHash",
    "eth_getBlockReceipts",
    "eth_getTransactionByHash",
    "eth_getRawTransactionByHash",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionByBlockHashAndIndex",
    "eth_getTransactionReceipt",
    "eth_getBalance",
    "eth_getTransactionCount",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_getStorageValues",
    "eth_getProof",
    "eth_call",
    "eth_createAccessList",
    "eth_estimateGas",
    "eth_simulateV1",
    "eth_feeHistory",
    "eth_getLogs",
    "eth_newFilter",
    "eth_uninstallFilter",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_sendRawTransaction",
    "eth_sendTransaction",
    "eth_signTransaction",
    "eth_sign",
    "personal_sign",
    "debug_traceTransaction",
    "debug_traceBlockByNumber",
    "debug_traceBlockByHash",
    "debug_traceCall",
    "debug_getRawHeader",
    "debug_getRawBlock",
    "debug_getRawReceipts",
    "debug_getRawTransaction",
    "web3_sha3",
    "testing_buildBlockV1",
    "lockstep_models",
    "lockstep_inferences",
    "lockstep_injectFault",
    "lockstep_removeFault",
    "evm_increaseTime",
    "evm_setTime",
    "evm_setNextBlockTimestamp",
    "evm_revert",
    "evm_mine",
    "anvil_setBalance",
    "anvil_setNonce",
    "anvil_setCode",
    "anvil_setStorageAt",
    "anvil_setCoinbase",
    "anvil_dropTransaction",
    "anvil_setBlockTimestampInterval",
    "anvil_impersonateAccount",
    "eth_config",
    "txpool_content",
];

fn values(hash: &Value) -> Vec<Value> {
    let most = format!("0x{}", "f".repeat(64));
    let call = json!({
        "from": account(0), "to": account(1), "value": most, "gas": "0xffffffffffffffff", "nonce": "0xffffffffffffffff",
        "maxFeePerGas": format!("0x{}", "f".repeat(32)), "maxPriorityFeePerGas": format!("0x{}", "f".repeat(32)),
    });
    let tip = json!({"from": account(0), "maxPriorityFeePerGas": format!("0x{}", "f".repeat(32)), "gas": "0x5208"});
    let block = |number: u64| {
        json!({"blockOverrides": {"number": format!("{number:#x}"), "time": "0xffffffffffffffff", "gasLimit": "0x0",
            "baseFeePerGas": most}, "stateOverrides": {Address::ZERO.to_string(): {"balance": most,
            "nonce": "0xffffffffffffffff"}}, "calls": [call, {}]})
    };
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("0x"),
        json!("0xzz"),
        json!("latest"),
        json!("pending"),
        json!("0x0"),
        json!("0xffffffffffffffff"),
        json!(most),
        json!([]),
        json!({}),
        json!([[[[[]]]]]),
        json!(account(0)),
        hash.clone(),
        call.clone(),
        tip,
        json!("x".repeat(100_000)),
        json!({"fromBlock": "0xffffffffffffffff", "toBlock": "0x0"}),
        json!({"topics": [[], null, [null]]}),
        json!({"tracer": "function() {}"}),
        json!({"blockStateCalls": [block(2), block(9)], "validation": true}),
        json!({"blockStateCalls": [{"blockOverrides": {"time": "0xfffffffffffffffe"}}, {}, {}]}),
        json!({"timestamp": "0xffffffffffffffff", "prevRandao": hash, "suggestedFeeRecipient": Address::ZERO}),
        json!({account(0).to_string(): ["0x0", "0x", most, "0x1ff"]}),
    ]
}

#[test]
fn nothing_that_is_asked_breaks_the_node() {
    let node = Running::dev();
    let c = node.client;
    let (hash, raw) = transfer(0, 0, Address::ZERO, 1);
    c.call("eth_sendRawTransaction", json!([raw]));
    let block = c.call("eth_getBlockByNumber", json!(["latest", false]))["hash"].clone();
    let mut broken = Vec::new();
    let mut asked = 0;
    for method in METHODS {
        let mut all: Vec<Value> = values(&block).into_iter().map(|value| json!([value])).collect();
        for second in values(&json!(hash)) {
            for first in [json!(account(0)), block.clone(), json!("latest"), json!("0x1")] {
                all.push(json!([first, second]));
            }
        }
        all.extend([json!([]), json!({}), json!({"a": 1}), json!([block, block, block, block, block])]);
        for params in all {
            asked += 1;
            let answer = c.raw(method, params.clone());
            let fine = answer.as_ref().is_ok_and(|answer| {
                answer.get("result").is_some() || answer["error"]["code"].as_i64().is_some_and(|code| code != -32603)
            });
            if !fine {
                broken.push(format!("{method} {:.200} -> {answer:?}", params.to_string()));
            }
        }
    }
    assert!(broken.is_empty(), "{} of {asked}:\n{}", broken.len(), broken.join("\n"));
    for body in ["", "{", "[]", "[1]", "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}"] {
        let _ = c.post(body);
    }
    // It still makes blocks.
    c.call("evm_mine", json!([]));
    c.call("eth_getBlockByNumber", json!(["latest", true]));
    eprintln!("{asked} requests");
}
