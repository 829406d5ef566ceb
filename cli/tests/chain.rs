//! A node of the command line, and publishing to it.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use alloy_primitives::{B256, I256, hex};
use alloy_sol_types::SolCall;
use common::{command, import, lockstep, text};
use lockstep_precompile::abi::IInference;
use serde_json::{Value, json};

/// A running `lockstep node`, killed at the end.
struct Node {
    child: Child,
    url: String,
    banner: String,
}

impl Node {
    fn start(args: &[&str]) -> Self {
        let mut child = command().args(["node", "--http-port", "0"]).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut banner = String::new();
        let mut url = String::new();
        // The banner comes in one write and ends with the models.
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_, rest)) = line.split_once("JSON-RPC at ") {
                url = rest.split(',').next().unwrap().to_owned();
            }
            banner.push_str(&line);
            banner.push('\n');
            if line.contains("cast call") || line.contains("none yet") {
                break;
            }
        }
        assert!(url.starts_with("http://127.0.0.1:"), "{banner}");
        Self { child, url, banner }
    }

    /// As Ctrl-C does; the exit status.
    fn stop(mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn models_are_published_at_start_and_later_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    std::fs::create_dir(&models).unwrap();
    let (_, iris) = import("iris_forest", &models);
    let (wine, wine_report) = import("wine_mixed", dir.path());
    let data = text(dir.path().join("chain"));

    let node = Node::start(&["--dev", "--models", &text(&models), "--datadir", &data]);
    assert!(node.banner.contains("EVERYBODY HAS THESE KEYS"), "{}", node.banner);
    assert!(node.banner.contains(iris["modelId"].as_str().unwrap()), "{}", node.banner);
    assert!(node.banner.contains("cast call 0x0000000000000000000000000000000000000A11"), "{}", node.banner);

    let dry = lockstep(["publish", &text(&wine), "--rpc", &node.url, "--dry-run", "--json"]).json();
    assert_eq!(dry["chunksStored"], 0);
    let done = lockstep(["publish", &text(&wine), "--rpc", &node.url, "--wait", "--json"]).json();
    assert_eq!(done["modelId"], wine_report["modelId"]);
    assert!(done["gasUsed"].as_u64().unwrap() > 100_000, "{done}");
    let planned = done["plan"]["gas"]["total"].as_u64().unwrap();
    let used = done["gasUsed"].as_u64().unwrap();
    assert!(used <= planned + planned / 10, "planned {planned}, used {used}");
    let dry = lockstep(["publish", &text(&wine), "--rpc", &node.url, "--dry-run", "--json"]).json();
    assert_eq!(dry["chunksStored"], done["plan"]["chunks"]);
    // Again: nothing is left to do.
    let again = lockstep(["publish", &text(&wine), "--rpc", &node.url]);
    assert_eq!(again.status, 0, "{again:?}");
    assert!(again.stdout.contains("on the chain already") && again.stdout.contains("cast call"), "{again:?}");

    assert_eq!(node.stop(), 0, "Ctrl-C is a clean end");
    let node = Node::start(&["--dev", "--datadir", &data]);
    assert!(node.banner.contains(wine_report["modelId"].as_str().unwrap()), "{}", node.banner);
}

/// The publisher has one cache, the node another; an attester of a chain of one's own signs with its keystore.
#[test]
fn weights_off_chain_by_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let (file, report) = import("digits_mlp", dir.path());
    let id = report["modelId"].as_str().unwrap();
    let (own, theirs) = (text(dir.path().join("own")), text(dir.path().join("theirs")));
    let node = Node::start(&["--dev", "--cache", &theirs]);
    let publish = |extra: &[&str]| {
        let base = ["publish", &text(&file), "--rpc", &node.url, "--weights-off-chain", "--cache", &own, "--json"]
            .map(str::to_owned);
        lockstep(base.into_iter().chain(extra.iter().map(|e| (*e).to_owned()))).json()
    };
    let dry = publish(&["--dry-run"]);
    assert_eq!((&dry["plan"]["chunks"], &dry["depositWei"]), (&json!(1), &json!("510000000000000000")));
    let done = publish(&["--wait"]);
    assert_eq!((&done["modelId"], &done["warnings"]), (&json!(id), &json!([])));
    let (planned, used) = (done["plan"]["gas"]["total"].as_u64().unwrap(), done["gasUsed"].as_u64().unwrap());
    assert!(used <= planned, "planned {planned}, used {used}");
    let x = vec![I256::ONE; 64];
    let data = hex::encode_prefixed(IInference::classifyCall { modelId: id.parse().unwrap(), x }.abi_encode());
    let call = json!([{"to": "0x0000000000000000000000000000000000000a11", "data": data}, "latest"]);
    rpc(&node.url, "eth_call", call.clone());

    let models = |args: &[&str]| {
        let args = ["models", "--cache", &own, "--json"].into_iter().chain(args.iter().copied());
        lockstep(args.chain(["--rpc", &node.url]))
    };
    let duty = models(&["duty", id]).json();
    assert_eq!((&duty["weightsOffChain"], &duty["depositWei"]), (&json!(true), &json!("510000000000000000")));
    models(&["announce-end", id]).json();
    assert!(models(&["duty", id]).json()["noticeEnd"].as_u64().unwrap() > 100);
    models(&["extend", id]).json();
    assert_eq!(models(&["duty", id]).json()["noticeEnd"], json!(null));
    models(&["announce-end", id]).json();
    let early = models(&["retire", id]);
    assert!(early.status != 0 && early.stderr.contains("that retires the model"), "{early:?}");
    rpc(&node.url, "anvil_mine", json!(["0x64"]));
    models(&["retire", id]).json();
    assert_eq!(models(&["withdraw"]).json()["valueWei"], "0");
    assert_eq!(models(&["withdraw"]).status, 2, "nothing is owed any more");
    // Nobody can call it; nobody has asked for it again.
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": call});
    let answer: Value = ureq::post(&node.url).send_json(&body).unwrap().body_mut().read_json().unwrap();
    assert!(answer["error"]["data"].is_string(), "{answer}");
    let attest = models(&["attest", id]);
    assert!(attest.stderr.contains("nothing is asked"), "{attest:?}");
}

#[test]
fn a_genesis_names_its_attesters_and_prices() {
    let genesis = |args: &[&str]| -> Value {
        let run = lockstep(["genesis"].into_iter().chain(args.iter().copied()));
        assert_eq!(run.status, 0, "{run:?}");
        serde_json::from_str(&run.stdout).unwrap()
    };
    let attesters = [1u8, 2, 3].map(|n| alloy_primitives::Address::repeat_byte(n).to_string());
    let mut args = vec!["--slot-deposit", "2.5", "--notice-blocks", "7"];
    for one in &attesters {
        args.extend(["--attester", one]);
    }
    let made = genesis(&args);
    let config = &made["config"]["lockstep"];
    assert_eq!((&config["attestation"]["quorum"], &config["limits"]["noticeBlocks"]), (&json!(2), &json!(7)));
    assert_eq!(config["limits"]["slotDeposit"], "0x22b1c8c1227a0000");
    assert_eq!(genesis(&["--no-attesters"])["config"]["lockstep"]["attestation"]["quorum"], 0);
    assert_eq!(lockstep(["genesis", "--attester", &attesters[0], "--quorum", "2"]).status, 2);
    // The node takes it: what the registry's storage holds is what the configuration says.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("genesis.json");
    std::fs::write(&file, made.to_string()).unwrap();
    let node = Node::start(&["--genesis", &text(&file)]);
    assert!(!node.banner.contains("plain"), "{}", node.banner);
}

/// The result of a method.
fn rpc(url: &str, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer: Value = ureq::post(url).send_json(&body).unwrap().body_mut().read_json().unwrap();
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

#[test]
fn a_proof_is_checked_without_a_node() {
    let dir = tempfile::tempdir().unwrap();
    let (file, iris) = import("iris_forest", dir.path());
    let node = Node::start(&["--dev", "--models", &text(dir.path())]);
    let id: B256 = iris["modelId"].as_str().unwrap().parse().unwrap();
    let x = [51, 35, 14, 2].map(|v| I256::try_from(v * 10i128.pow(17)).unwrap());
    let call = IInference::classifyCall { modelId: id, x: x.to_vec() }.abi_encode();
    let to = "0x0000000000000000000000000000000000000a11";
    let from = rpc(&node.url, "eth_accounts", json!([]))[0].clone();
    let tx = json!({"from": from, "to": to, "data": hex::encode_prefixed(call), "gas": "0x100000"});
    let hash = rpc(&node.url, "eth_sendTransaction", json!([tx]));
    let returned = rpc(&node.url, "eth_call", json!([tx, "latest"]));
    let proof = rpc(&node.url, "lockstep_getInferenceProof", json!([hash]));
    drop(node);

    let path = text(dir.path().join("proof.json"));
    let write = |proof: &Value| std::fs::write(&path, proof.to_string()).unwrap();
    write(&proof);
    let block = proof["blockHash"].as_str().unwrap();
    for implementation in ["fast", "reference"] {
        let checked = lockstep([
            "verify",
            &path,
            "--model",
            &text(&file),
            "--block-hash",
            block,
            "--implementation",
            implementation,
            "--json",
        ])
        .json();
        assert_eq!((&checked["recomputed"], &checked["returned"]), (&json!(true), &returned));
        assert_eq!(checked["leaf"]["transactionHash"], hash);
    }
    let shown = lockstep(["verify", &path]);
    assert!(shown.status == 0 && shown.stdout.contains("NOT COMPUTED AGAIN"), "{shown:?}");
    let other = lockstep(["verify", &path, "--block-hash", &format!("{:#x}", B256::ZERO)]);
    assert!(other.status == 1 && other.stderr.contains(block), "{other:?}");

    for (key, value) in [("gas", json!(1)), ("outputsHash", json!(B256::ZERO))] {
        let mut forged = proof.clone();
        forged["leaf"][key] = value;
        write(&forged);
        let run = lockstep(["verify", &path, "--model", &text(&file)]);
        assert!(run.status == 1 && run.stderr.contains("extraData"), "{run:?}");
    }
    write(&json!({"header": "0x"}));
    let run = lockstep(["verify", &path]);
    assert!(run.status == 3 && run.stderr.contains("lockstep_getInferenceProof"), "{run:?}");
}

#[test]
fn the_engine_api_is_on_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = text(dir.path().join("genesis.json"));
    assert_eq!(lockstep(["genesis", "-o", &genesis]).status, 0);
    let data = text(dir.path().join("chain"));
    let node = Node::start(&["--genesis", &genesis, "--datadir", &data, "--authrpc-port", "0"]);
    let (_, address) = node.banner.split_once("Engine API at ").expect(&node.banner);
    let address = address.lines().next().unwrap();
    assert!(ureq::get(address).call().is_err(), "without a token");
    let secret = std::fs::read_to_string(dir.path().join("chain/jwt.hex")).unwrap();
    assert_eq!(secret.len(), 64);

    let usage = lockstep(["node", "--genesis", &genesis, "--authrpc-port", "0"]);
    assert!(usage.status == 2 && usage.stderr.contains("--jwt-secret"), "{usage:?}");
    let usage = lockstep(["node", "--dev", "--authrpc-port", "0", "--datadir", &data]);
    assert!(usage.status == 2 && usage.stderr.contains("--genesis"), "{usage:?}");
}

#[test]
fn a_chain_of_ones_own_starts_from_the_printed_genesis() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = text(dir.path().join("genesis.json"));
    assert_eq!(lockstep(["genesis", "--chain-id", "4711", "-o", &genesis]).status, 0);
    let node = Node::start(&["--genesis", &genesis]);
    assert!(node.banner.contains("chain 4711"), "{}", node.banner);
    assert!(!node.banner.contains("accounts"), "{}", node.banner);
    let (model, _) = import("iris_forest", dir.path());
    let run = lockstep(["publish", &text(&model), "--rpc", &node.url]);
    assert_eq!(run.status, 2, "no account is taken on a chain that is not the dev chain: {run:?}");
}

#[test]
fn what_does_not_go_together_is_wrong_usage() {
    assert_eq!(lockstep(["node"]).status, 2);
    assert_eq!(lockstep(["node", "--dev", "--genesis", "g.json"]).status, 2);
    assert_eq!(lockstep(["node", "--genesis", "g.json", "--models", "."]).status, 2);
    assert_eq!(lockstep(["node", "--dev", "--models", "/nonexistent"]).status, 2);
    assert_eq!(lockstep(["node", "--genesis", "/nonexistent.json"]).status, 1);
    let run = lockstep(["publish", "/nonexistent.lsm", "--rpc", "http://127.0.0.1:1", "--alias", "x"]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("not available yet"), "{run:?}");
}
