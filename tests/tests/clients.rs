//! Tools that people use, against a started node: forge, cast, ethers, viem, web3.py, with the commands that the documents give.

use std::process::Command;

use alloy_primitives::hex;
use alloy_sol_types::{SolCall, SolValue};
use anyhow::{Context, Result, ensure};
use lockstep_precompile::abi::IInference;
use lockstep_tests::models::{Committed, Expected};
use lockstep_tests::node::{Node, root};
use serde_json::{Value, json};

/// The first account of the public test mnemonic.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ACCOUNT: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// Runs a program in the project's root; its standard output.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let path = format!("{}:{}", root().join("node_modules/.bin").display(), std::env::var("PATH")?);
    let out = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .env("PATH", path)
        .output()
        .with_context(|| program.to_owned())?;
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    ensure!(out.status.success(), "{program} {arguments:?}\n{text}\n{}", String::from_utf8_lossy(&out.stderr));
    Ok(text)
}

fn first_class(m: &Committed) -> Result<u64> {
    match m.expected()? {
        Expected::Classes(c) => Ok(c[0]),
        Expected::Values(_) => anyhow::bail!("a classifier is needed"),
    }
}

#[test]
fn ethers_viem_and_web3_run_a_session() -> Result<()> {
    let node = Node::dev_with_models()?;
    let m = Committed::load("breast_cancer_logreg")?;
    let row: Vec<String> = m.words(0, 1)?.iter().map(ToString::to_string).collect();
    let row = serde_json::to_string(&row)?;
    let chain_id = lockstep_tests::rpc::quantity(&node.rpc.call("eth_chainId", json!([]))?)?;
    for client in ["ethers", "viem", "web3"] {
        let (url, id) = (node.rpc.url(), m.id().to_string());
        let out = match client {
            "web3" => run("scripts/outside.sh", &["web3", url, &id, &row])?,
            script => run("node", &[&format!("tests/clients/{script}.mjs"), url, &id, &row])?,
        };
        let seen: Value = serde_json::from_str(&out)?;
        let class = json!([first_class(&m)?.to_string()]);
        assert_eq!(seen["status"], 1, "{client}: {out}");
        assert_eq!(seen["enough"], true, "{client}: {out}");
        assert_eq!((&seen["event"], &seen["called"]), (&class, &class), "{client}");
        assert_eq!(seen["error"], "WrongLength", "{client}");
        let id = seen["chainId"].as_str().map_or_else(|| seen["chainId"].as_u64(), |s| s.parse().ok());
        assert_eq!(id, Some(chain_id), "{client}");
    }
    Ok(())
}

#[test]
fn cast_and_forge_create_work() -> Result<()> {
    let node = Node::dev_with_models()?;
    let url = node.rpc.url().to_owned();
    let m = Committed::load("breast_cancer_logreg")?;
    let created = run(
        "forge",
        &[
            "create",
            "contracts/examples/ModelConsumer.sol:ModelConsumer",
            "--rpc-url",
            &url,
            "--private-key",
            KEY,
            "--broadcast",
            "--json",
        ],
    )?;
    let created: Value = serde_json::from_str(&created[created.find('{').context("no JSON")?..])?;
    let consumer = created["deployedTo"].as_str().context("no address")?.to_owned();

    let words: Vec<String> = m.words(0, 1)?.iter().map(ToString::to_string).collect();
    let (id, row) = (m.id().to_string(), format!("[{}]", words.join(",")));
    let signature = "classify(bytes32,int256[])(uint256[],int256[])";
    let precompile = "0x0000000000000000000000000000000000000A11";
    let direct = run("cast", &["call", precompile, signature, &id, &row, "--rpc-url", &url])?;
    assert!(direct.starts_with(&format!("[{}]", first_class(&m)?)), "{direct}");

    let estimate = run(
        "cast",
        &["estimate", &consumer, "classify(bytes32,int256[])", &id, &row, "--from", ACCOUNT, "--rpc-url", &url],
    )?;
    let sent = run(
        "cast",
        &[
            "send",
            &consumer,
            "classify(bytes32,int256[])",
            &id,
            &row,
            "--rpc-url",
            &url,
            "--private-key",
            KEY,
            "--gas-limit",
            &estimate,
            "--json",
        ],
    )?;
    let sent: Value = serde_json::from_str(&sent)?;
    assert_eq!(sent["status"], "0x1", "the estimate {estimate} suffices");
    let hash = sent["transactionHash"].as_str().context("no hash")?;
    let status = run("cast", &["receipt", hash, "status", "--rpc-url", &url])?;
    assert!(status.starts_with("true") || status.starts_with('1'), "{status}");
    let logs = run(
        "cast",
        &["logs", "--from-block", "0", "Classified(bytes32 indexed,uint256[],int256[])", "--rpc-url", &url, "--json"],
    )?;
    let logs: Value = serde_json::from_str(&logs)?;
    assert_eq!(logs.as_array().map(Vec::len), Some(1));
    Ok(())
}

/// The command that DeployExample.s.sol documents, then a swap whose fee is the model's.
#[test]
fn the_documented_script_deploys_the_pool() -> Result<()> {
    let node = Node::dev_with_models()?;
    let m = Committed::load("volatility_mlp")?;
    let out = Command::new(root().join("node_modules/.bin/forge"))
        .args([
            "script",
            "contracts/script/DeployExample.s.sol",
            "--rpc-url",
            node.rpc.url(),
            "--broadcast",
            "--private-key",
            KEY,
        ])
        .env("VOLATILITY_MODEL_ID", m.id().to_string())
        .current_dir(root())
        .output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "{text}");
    assert!(text.contains("ONCHAIN EXECUTION COMPLETE & SUCCESSFUL"), "{text}");
    // Four contracts: two tokens, the pool, the consumer; the pool knows its model.
    let count = run("cast", &["nonce", ACCOUNT, "--rpc-url", node.rpc.url()])?;
    assert!(count.parse::<u64>()? >= 4);
    Ok(())
}

/// What `cast call` says of a call that the precompile refuses names the error.
#[test]
fn quote_by_cast_equals_the_cli() -> Result<()> {
    let node = Node::dev_with_models()?;
    let m = Committed::load("iris_forest")?;
    let call = IInference::classifyCall { modelId: m.id(), x: m.words(0, 1)? }.abi_encode();
    let quoted = run(
        "cast",
        &[
            "call",
            "0x0000000000000000000000000000000000000A11",
            "quote(bytes)(uint256)",
            &hex::encode_prefixed(&call),
            "--rpc-url",
            node.rpc.url(),
        ],
    )?;
    let quoted: u64 = quoted.split_whitespace().next().context("no number")?.parse()?;
    let kit = lockstep_tests::kit::call(&m.path, &call, 10_000_000)?;
    assert_eq!(kit.gas, quoted);
    assert!(<(Vec<alloy_primitives::U256>, Vec<alloy_primitives::I256>)>::abi_decode_params(&kit.data).is_ok());
    Ok(())
}
