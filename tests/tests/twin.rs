//! The twin that genesis holds, run by stock tools on the state of a running node (spec section 11).

use std::process::Command;

use alloy_primitives::{B256, hex};
use anyhow::{Result, ensure};
use lockstep_tests::node::{Node, root};
use serde_json::{Value, json};

/// The first key of the public test mnemonic, which the dev chain funds.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

fn forge(arguments: &[&str]) -> Result<String> {
    forge_beside(arguments, "")
}

/// The same with a node's URL for the test kit.
fn forge_beside(arguments: &[&str], url: &str) -> Result<String> {
    let mut command = Command::new(root().join("node_modules/.bin/forge"));
    let out = command.current_dir(root()).args(arguments).env("LOCKSTEP_RPC", url).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "forge {}: {text}", arguments.join(" "));
    Ok(text)
}

#[test]
fn a_fork_test_gets_the_nodes_answers_without_a_flag() -> Result<()> {
    let node = Node::dev_with_models()?;
    let url = format!("http://127.0.0.1:{}", node.port);
    let text = forge(&["test", "--match-path", "contracts/test/fork/*", "--fork-url", &url])?;
    ensure!(text.contains("[PASS] test_everyModelOfTheNodeAnswersOnAFork"), "{text}");
    Ok(())
}

#[test]
fn the_kit_s_back_end_rpc_has_the_nodes_answers_and_gas() -> Result<()> {
    let node = Node::dev_with_models()?;
    std::fs::create_dir_all(root().join("cache/lockstep-kit"))?;
    let url = format!("http://127.0.0.1:{}", node.port);
    let text = forge_beside(&["test", "--match-path", "contracts/test/rpc/*"], &url)?;
    ensure!(text.contains("[PASS] test_everyModelHasTheNodesAnswerAndGas"), "{text}");
    Ok(())
}

#[test]
fn a_script_that_calls_every_model_is_broadcast_and_mined() -> Result<()> {
    let node = Node::dev_with_models()?;
    let url = format!("http://127.0.0.1:{}", node.port);
    let script = "contracts/script/CallModels.s.sol";
    forge(&["script", script, "--rpc-url", &url, "--broadcast", "--skip-simulation", "--private-key", KEY, "--slow"])?;
    // Every block's transactions succeeded, and one called each model.
    let calls = std::fs::read_to_string(root().join("contracts/test/native/models.json"))?;
    let calls: Value = serde_json::from_str(&calls)?;
    let height = node.rpc.call("eth_blockNumber", json!([]))?;
    let height = u64::from_str_radix(height.as_str().unwrap_or("0x0").trim_start_matches("0x"), 16)?;
    let mut mined = Vec::new();
    for n in 1..=height {
        let block = node.rpc.call("eth_getBlockByNumber", json!([format!("{n:#x}"), true]))?;
        for tx in block["transactions"].as_array().into_iter().flatten() {
            let input = hex::decode(tx["input"].as_str().unwrap_or("0x"))?;
            let receipt = node.rpc.call("eth_getTransactionReceipt", json!([tx["hash"]]))?;
            ensure!(receipt["status"] == "0x1", "transaction {} failed", tx["hash"]);
            mined.push(input);
        }
    }
    for (name, one) in calls.as_object().into_iter().flatten() {
        let call = hex::decode(one["call"].as_str().unwrap_or("0x"))?;
        let id = B256::from_slice(&call[4..36]);
        let seen = mined.iter().any(|input| input.windows(32).any(|w| w == id.as_slice()));
        ensure!(seen, "no transaction calls {name}");
    }
    Ok(())
}
