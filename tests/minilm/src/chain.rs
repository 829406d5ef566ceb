//! The same on a chain: published by transactions, called by a contract in a mined transaction.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use alloy_primitives::{Address, I256, U256, address};
use alloy_sol_types::{SolCall, SolValue, sol};
use anyhow::{Context, Result, bail, ensure};
use lockstep_cli::tokenizer::{Tokenizer, Tokens};
use lockstep_precompile::wad;
use lockstep_tests::contracts::{Contract, creation_code, eth_call, gas_used};
use lockstep_tests::node::{Node, lockstep, root};
use serde_json::Value;

use crate::encoder::Encoder;

const PRECOMPILE: Address = address!("0000000000000000000000000000000000000A11");

sol! {
    function addTopic(string name, address desk, int32[] tokenIds) external;
    function submit(int32[] tokenIds) external returns (uint256 request, uint256 topic);
}

/// Publishes the model, routes requests by transactions, and holds every answer to this process's own.
///
/// With its weights off chain only the graph is published; the node gets the weights from the publisher's cache.
pub(crate) fn check(class: &str, path: &Path, m: &Encoder, directory: &Path, off_chain: bool) -> Result<()> {
    let tokenizer = Tokenizer::read(directory, None).map_err(|e| anyhow::anyhow!(e.to_text()))?;
    let data = tempfile::tempdir()?;
    let node = Node::start(&["--dev", "--datadir", data.path().to_str().context("the path is not UTF-8")?])?;
    let began = Instant::now();
    let url = format!("http://127.0.0.1:{}", node.port);
    let mut publish = Command::new(lockstep());
    publish.arg("publish").arg(path).args(["--rpc", &url, "--wait", "--json"]);
    let cache = tempfile::tempdir()?;
    if off_chain {
        publish.arg("--weights-off-chain").arg("--cache").arg(cache.path());
    }
    let out = publish.output()?;
    if !out.status.success() {
        bail!("lockstep publish: {}", String::from_utf8_lossy(&out.stderr));
    }
    let published = began.elapsed();
    let report: Value = serde_json::from_slice(&out.stdout)?;

    let support: Value = serde_json::from_slice(&std::fs::read(root().join("contracts/test/native/support.json"))?)?;
    let tokens = |row: &Value| -> Result<Tokens> {
        let t = tokenizer.tokens(row["text"].as_str().context("a text")?).map_err(|e| anyhow::anyhow!(e.to_text()))?;
        let ids: Vec<u64> = row["ids"].as_array().context("ids")?.iter().filter_map(Value::as_u64).collect();
        ensure!(t.ids.iter().map(|i| u64::from(*i)).eq(ids), "support.json has other ids: run tests/minilm/tokens.py");
        Ok(t)
    };
    let list = |key: &str| -> Result<Vec<Value>> { Ok(support[key].as_array().context("a list")?.clone()) };

    let threshold = I256::try_from(100_000_000_000_000_000i64)?;
    let arguments = (U256::from_be_bytes(m.model.id), threshold).abi_encode();
    let router = Contract::deploy(&node.rpc, creation_code("SupportRouter.sol", "SupportRouter")?, &arguments)?;
    let mut topics = Vec::new();
    for (i, row) in list("topics")?.iter().enumerate() {
        let t = tokens(row)?;
        let name = row["name"].as_str().context("a name")?.to_owned();
        let desk = Address::with_last_byte(i as u8 + 1);
        router.send_ok(&addTopicCall { name, desk, tokenIds: ids(&t) }.abi_encode())?;
        topics.push(vector(m, &t)?);
    }
    let mut greatest = 0;
    for row in list("requests")? {
        let t = tokens(&row)?;
        m.check_answer(&eth_call(&node.rpc, PRECOMPILE, &m.call_data(&t))?, &m.embed_one(&t)?)?;
        let receipt = router.send_ok(&submitCall { tokenIds: ids(&t) }.abi_encode())?;
        greatest = greatest.max(gas_used(&receipt)?);
        // RequestRouted(request, topic, desk indexed; similarity, tokens)
        let log = &receipt["logs"][0];
        let data = alloy_primitives::hex::decode(log["data"].as_str().context("a log")?)?;
        let similarity = I256::from_be_bytes::<32>(data.get(..32).context("a similarity")?.try_into()?);
        let request = vector(m, &t)?;
        let nearest = topics.iter().map(|t| dot(&request, t)).max().context("no topic")?;
        ensure!(similarity == nearest, "{}: the chain says {similarity}, this process {nearest}", row["text"]);
        let want = row["topic"].as_i64().context("a topic")?;
        let topic: U256 = log["topics"][2].as_str().context("a topic")?.parse()?;
        let expected = u64::try_from(want).map_or(U256::MAX, U256::from);
        ensure!(topic == expected, "{}: routed to {topic}, {want} is expected", row["text"]);
    }
    let deposit = match report["depositWei"].as_str() {
        Some(wei) => format!(", a deposit of {} ether", alloy_primitives::utils::format_ether(wei.parse::<U256>()?)),
        None => String::new(),
    };
    println!(
        "      {class} {} chain: published in {:.1} s by {} transactions, {} gas{deposit}; a request is routed by a transaction of at most {greatest} gas",
        if off_chain { "with its weights off" } else { "on" },
        published.as_secs_f64(),
        report["transactions"],
        report["gasUsed"],
    );
    Ok(())
}

fn ids(t: &Tokens) -> Vec<i32> {
    t.ids.iter().map(|i| *i as i32).collect()
}

/// The vector as the contract keeps it.
fn vector(m: &Encoder, t: &Tokens) -> Result<Vec<I256>> {
    m.embed_one(t)?.iter().map(|x| wad::from_f32(*x).context("a value without 18 decimals")).collect()
}

/// The contract's own sum, cut off towards zero once.
fn dot(a: &[I256], b: &[I256]) -> I256 {
    let sum = a.iter().zip(b).fold(I256::ZERO, |s, (x, y)| s + *x * *y);
    sum / I256::try_from(1_000_000_000_000_000_000i64).unwrap_or(I256::ONE)
}
