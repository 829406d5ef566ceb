//! The methods that wallets and tools use.

use crate::common::{Running, account, quantity, signed, transfer};
use alloy_primitives::{Address, Bytes, TxKind};
use serde_json::json;

#[test]
fn a_transfer_is_in_a_block_when_it_is_acknowledged() {
    let node = Running::dev();
    let c = node.client;
    let to = Address::repeat_byte(0x77);
    let (hash, raw) = transfer(0, 0, to, 5);
    assert_eq!(c.call("eth_sendRawTransaction", json!([raw])), json!(hash));
    let receipt = c.call("eth_getTransactionReceipt", json!([hash]));
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["gasUsed"], "0x5208");
    assert_eq!(receipt["from"], json!(account(0)));
    assert_eq!(c.call("eth_getBalance", json!([to, "latest"])), "0x5");
    // Older states stay readable.
    assert_eq!(c.call("eth_getBalance", json!([to, "0x0"])), "0x0");
    assert_eq!(c.call("eth_getTransactionCount", json!([account(0), "latest"])), "0x1");
    let block = c.call("eth_getBlockByNumber", json!(["0x1", true]));
    assert_eq!(block["transactions"][0]["hash"], json!(hash));
    assert_eq!(c.call("eth_getBlockByHash", json!([block["hash"], false]))["transactions"], json!([hash]));
    assert_eq!(c.call("eth_getTransactionByHash", json!([hash]))["blockNumber"], "0x1");
    assert_eq!(c.call("eth_getBlockReceipts", json!(["latest"]))[0], receipt);
    assert_eq!(c.call("eth_getTransactionReceipt", json!([alloy_primitives::B256::ZERO])), json!(null));
}

#[test]
fn contracts_are_deployed_called_and_their_logs_found() {
    let node = Running::dev();
    let c = node.client;
    let filter = c.call("eth_newFilter", json!([{}]));
    let blocks = c.call("eth_newBlockFilter", json!([]));
    // Code that logs the block number.
    let init = "0x6007600c60003960076000f3435f5260205fa0";
    let receipt = c.transact(json!({"from": account(1), "data": init}));
    let contract = receipt["contractAddress"].clone();
    assert_eq!(c.call("eth_getCode", json!([contract, "latest"])), "0x435f5260205fa0");
    let call = c.transact(json!({"from": account(1), "to": contract}));
    let logs = c.call("eth_getLogs", json!([{"fromBlock": "0x0", "address": contract}]));
    assert_eq!(logs.as_array().unwrap().len(), 1);
    assert_eq!(logs[0]["transactionHash"], call["transactionHash"]);
    assert_eq!(quantity(&logs[0]["data"]), 2, "the block number");
    assert_eq!(c.call("eth_getLogs", json!([{"blockHash": call["blockHash"]}])), logs);
    assert_eq!(c.call("eth_getFilterChanges", json!([filter])), logs);
    assert_eq!(c.call("eth_getFilterChanges", json!([filter])), json!([]));
    assert_eq!(c.call("eth_getFilterChanges", json!([blocks])).as_array().unwrap().len(), 2);
    assert_eq!(c.call("eth_uninstallFilter", json!([filter])), true);
    assert_eq!(c.error("eth_getFilterChanges", json!([filter])).0, -32001);
    let trace = c.call("debug_traceTransaction", json!([call["transactionHash"], {"tracer": "callTracer"}]));
    assert_eq!(trace["to"], contract);
}

#[test]
fn reverts_carry_their_data() {
    let node = Running::dev();
    let c = node.client;
    // MSTORE(0, 0x2a), REVERT(0, 32)
    let overrides = json!({"0x00000000000000000000000000000000000000cc": {"code": "0x602a5f5260205ffd"}});
    let call = json!({"to": "0x00000000000000000000000000000000000000cc"});
    let answer = c.raw("eth_call", json!([call, "latest", overrides])).unwrap();
    assert_eq!(answer["error"]["code"], 3);
    assert_eq!(answer["error"]["message"], "execution reverted");
    assert_eq!(answer["error"]["data"], format!("0x{:064x}", 0x2a));
    assert_eq!(c.error("eth_estimateGas", json!([call, "latest", overrides])).0, 3);
}

#[test]
fn what_is_asked_wrongly_is_answered_by_its_code() {
    let node = Running::dev();
    let c = node.client;
    assert_eq!(c.error("eth_noSuchMethod", json!([])).0, -32601);
    assert_eq!(c.error("eth_getBalance", json!(["0x12"])).0, -32602);
    assert_eq!(c.error("eth_getBalance", json!([])).0, -32602);
    assert_eq!(c.error("eth_getBalance", json!([account(0), "0x999"])).0, -32001);
    assert_eq!(c.error("eth_getLogs", json!([{"fromBlock": "0x5", "toBlock": "0x1"}])).0, -32602);
    let batch = format!("[{}]", vec![r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#; 300].join(","));
    assert!(c.post(&batch).unwrap()["error"]["message"].as_str().unwrap().contains("batch"));
}

#[test]
fn the_pool_refuses_in_words_that_tools_know() {
    let node = Running::dev();
    let c = node.client;
    let send = |raw: String| c.error("eth_sendRawTransaction", json!([raw])).1;
    let to = TxKind::Call(Address::ZERO);
    assert!(send("0x1234".into()).contains("does not decode"));
    let fees = (20_000_000_000, 1);
    assert!(send(signed(0, 0, to, u64::MAX, Bytes::new(), (u128::MAX >> 8, 1)).1).contains("insufficient funds"));
    assert!(send(signed(0, 0, to, 0, Bytes::new(), (1, 1)).1).contains("max fee per gas less than block base fee"));
    assert!(
        send(signed(0, 0, to, 0, Bytes::new(), (20_000_000_000, 30_000_000_000)).1).contains("higher than max fee")
    );
    assert!(send(signed(0, 0, to, 0, vec![1; 20_000].into(), fees).1).contains("intrinsic gas too low"));
    assert!(send(signed(0, 0, TxKind::Create, 0, vec![0; 50_000].into(), fees).1).contains("max initcode size"));
    c.call("eth_sendRawTransaction", json!([transfer(0, 0, Address::ZERO, 1).1]));
    assert!(send(transfer(0, 0, Address::ZERO, 2).1).contains("nonce too low"));
}

#[test]
fn gaps_wait_and_replacements_pay_more() {
    let node = Running::dev();
    let c = node.client;
    let sink = Address::repeat_byte(0x55);
    let (later, raw) = transfer(2, 1, sink, 1);
    c.call("eth_sendRawTransaction", json!([raw]));
    assert_eq!(c.call("eth_getTransactionReceipt", json!([later])), json!(null));
    assert_eq!(c.call("txpool_status", json!([])), json!({"pending": "0x0", "queued": "0x1"}));
    assert_eq!(c.error("eth_sendRawTransaction", json!([raw])).1, "already known");
    let replace = |percent: u128| {
        let fees = (20_000_000_000 * percent / 100, 1_000_000_000 * percent / 100);
        signed(2, 1, TxKind::Call(sink), 2, Bytes::new(), fees)
    };
    assert!(c.error("eth_sendRawTransaction", json!([replace(109).1])).1.contains("underpriced"));
    let (replacement, raw) = replace(110);
    c.call("eth_sendRawTransaction", json!([raw]));
    assert_eq!(c.call("eth_getTransactionByHash", json!([later])), json!(null));
    // The gap closes: both go into one block.
    let (first, raw) = transfer(2, 0, sink, 7);
    c.call("eth_sendRawTransaction", json!([raw]));
    let (a, b) = (
        c.call("eth_getTransactionReceipt", json!([first])),
        c.call("eth_getTransactionReceipt", json!([replacement])),
    );
    assert_eq!(a["blockHash"], b["blockHash"]);
    assert_eq!(c.call("eth_getBalance", json!([sink, "latest"])), "0x9");
}

#[test]
fn higher_tips_go_first() {
    let node = Running::dev();
    let c = node.client;
    c.call("evm_setAutomine", json!([false]));
    let fees = |tip| (20_000_000_000, tip);
    let send = |from, tip| {
        let (hash, raw) = signed(from, 0, TxKind::Call(Address::ZERO), 0, Bytes::new(), fees(tip));
        c.call("eth_sendRawTransaction", json!([raw]));
        hash
    };
    let (low, high, middle) = (send(1, 1), send(2, 3_000_000_000), send(3, 2_000_000_000));
    assert_eq!(c.call("eth_getBlockByNumber", json!(["pending", false]))["transactions"], json!([high, middle, low]));
    assert_eq!(c.call("eth_getTransactionCount", json!([account(1), "pending"])), "0x1");
    c.call("evm_mine", json!([]));
    assert_eq!(c.call("eth_getBlockByNumber", json!(["latest", false]))["transactions"], json!([high, middle, low]));
}

#[test]
fn proofs_verify_against_the_header() {
    use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
    let node = Running::dev();
    let c = node.client;
    let address: Address = "0x0000000000000000000000000000000000000A12".parse().unwrap();
    let proof = c.call("eth_getProof", json!([address, ["0x3"], "latest"]));
    let root = c.call("eth_getBlockByNumber", json!(["latest", false]))["stateRoot"].as_str().unwrap().parse().unwrap();
    let nodes: Vec<Bytes> = serde_json::from_value(proof["accountProof"].clone()).unwrap();
    let account = TrieAccount {
        nonce: quantity(&proof["nonce"]),
        balance: serde_json::from_value(proof["balance"].clone()).unwrap(),
        storage_root: serde_json::from_value(proof["storageHash"].clone()).unwrap(),
        code_hash: serde_json::from_value(proof["codeHash"].clone()).unwrap(),
    };
    let key = Nibbles::unpack(alloy_primitives::keccak256(address));
    verify_proof(root, key, Some(alloy_rlp::encode(account)), &nodes).unwrap();
    let slot: alloy_primitives::U256 = serde_json::from_value(proof["storageProof"][0]["value"].clone()).unwrap();
    let nodes: Vec<Bytes> = serde_json::from_value(proof["storageProof"][0]["proof"].clone()).unwrap();
    let key = Nibbles::unpack(alloy_primitives::keccak256(alloy_primitives::B256::with_last_byte(3)));
    verify_proof(account.storage_root, key, Some(alloy_rlp::encode(slot)), &nodes).unwrap();
}

/// Two requests at a time from one account get two nonces.
#[test]
fn transactions_sent_at_once_do_not_meet() {
    let node = Running::dev();
    let c = node.client;
    let tx = json!({"from": account(3), "to": Address::repeat_byte(5), "value": "0x1", "gas": "0x5208"});
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let tx = tx.clone();
            scope.spawn(move || (0..5).for_each(|_| drop(c.call("eth_sendTransaction", json!([tx])))));
        }
    });
    assert_eq!(c.call("eth_getBalance", json!([Address::repeat_byte(5), "latest"])), "0x14");
}

/// A fee below the tip that this node would propose takes the whole fee for the tip.
#[test]
fn a_low_fee_needs_no_tip() {
    let node = Running::dev();
    let c = node.client;
    c.call("anvil_mine", json!(["0x20"]));
    let tx = json!({"from": account(3), "to": account(4), "value": "0x1", "maxFeePerGas": "0x1dcd6500"});
    assert_eq!(c.transact(tx)["status"], "0x1");
}
