//! A sidecar beside a node: blocks, reorganisations, restarts, and a node that computes something else.

mod hostile;
mod proxy;

use crate::{
    common::{Client, Running, account, tiny_model},
    faults::tell,
};
use alloy_primitives::{B256, Bytes, I256};
use alloy_sol_types::SolCall;
use lockstep_node_ext::{
    NodeConfig,
    follow::{End, FaultKind, Follow, FollowConfig, FollowError, OnFinding, Serving, Status},
    publish,
};
use lockstep_precompile::abi::IInference;
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const PRECOMPILE: &str = "0x0000000000000000000000000000000000000a11";
/// Calls the precompile twice with its call data, then reverts.
const TWICE_THEN_REVERT: &str = "365f5f375f5f365f610a115afa505f5f365f610a115afa505f5ffd";

/// A dev chain with the model y = x * (2, 3) + (1, -1).
fn node() -> (Running, B256) {
    let dir = tempfile::tempdir().unwrap();
    let file = tiny_model([2.0, 3.0], [1.0, -1.0]);
    let id = publish::plan(&file, &Default::default()).unwrap().model_id;
    std::fs::write(dir.path().join("tiny.lsm"), file).unwrap();
    (Running::start(NodeConfig { models_dir: Some(dir.path().to_path_buf()), ..Default::default() }), id)
}

fn infer(id: B256, x: i64) -> Bytes {
    let wad = |n: i64| I256::try_from(n).unwrap() * I256::try_from(10u64.pow(18)).unwrap();
    IInference::inferCall { modelId: id, x: vec![wad(x), wad(20)] }.abi_encode().into()
}

fn send(c: Client, to: &Value, data: &Bytes) -> Value {
    c.transact(json!({"from": account(1), "to": to, "data": data, "gas": "0x100000"}))
}

fn ask(c: Client, id: B256, x: i64) -> Value {
    let receipt = send(c, &json!(PRECOMPILE), &infer(id, x));
    assert_eq!(receipt["status"], "0x1");
    receipt
}

/// Follows from block 1 on, quickly.
fn config(url: String, dir: &Path) -> FollowConfig {
    let poll = Duration::from_millis(20);
    FollowConfig { from: Some(1), poll, stall: Duration::from_secs(20), ..FollowConfig::new(url, dir) }
}

fn http(c: Client) -> String {
    format!("http://{}", c.0)
}

/// The status, when it is as wanted.
fn until(follow: &Follow, done: impl Fn(&Status) -> bool) -> Status {
    let began = Instant::now();
    loop {
        let status = follow.status().unwrap();
        if done(&status) {
            return status;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{status:?} {:?}", follow.faults());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Everything up to this block is checked.
fn finished(follow: &Follow, block: u64) -> Status {
    until(follow, |s| s.finished >= Some(block) && s.checks.pending == 0)
}

fn end(follow: &Follow) -> End {
    follow.wait(Duration::from_secs(60)).expect("it ends by itself")
}

#[test]
fn a_node_that_does_right_has_nothing_to_fear() {
    let (node, id) = node();
    let c = node.client;
    let length = TWICE_THEN_REVERT.len() / 2;
    let init = format!("0x60{length:02x}600c5f3960{length:02x}5ff30000{TWICE_THEN_REVERT}");
    let contract = c.transact(json!({"from": account(1), "data": init}))["contractAddress"].clone();
    for url in [http(c), format!("ws://{}", c.0)] {
        let dir = tempfile::tempdir().unwrap();
        let follow = Follow::start(config(url, dir.path())).unwrap();
        ask(c, id, 3);
        send(c, &contract, &infer(id, 4));
        // A call that fails, and a block without any.
        assert_eq!(send(c, &json!(PRECOMPILE), &infer(B256::ZERO, 4))["status"], "0x0");
        c.call("evm_mine", json!([]));
        let head = c.number("eth_blockNumber", json!([]));
        let status = finished(&follow, head);
        assert_eq!((status.roots, status.read, status.lag, status.faults), (head, Some(head), 0, 0));
        let checks = status.checks;
        assert_eq!(checks.checked % 3, 0, "also where a frame reverts: {checks:?}");
        assert_eq!((checks.findings, checks.failed, checks.gone, checks.skipped), (0, 0, 0, 0));
        assert!(checks.compared > 0, "candle was asked");
        let verdicts = follow.verdicts(head - 3, 10).unwrap();
        let counts: Vec<(u64, u64)> = verdicts.iter().map(|v| (v.inferences, v.right)).collect();
        assert_eq!(counts, [(1, 1), (2, 2), (0, 0), (0, 0)]);
        assert!(verdicts.iter().all(|v| v.root_right));
    }
}

/// The node's own cross-check is not asked, and would be stopped with it: somebody else has to look.
#[test]
fn a_wrong_kernel_of_the_watched_node_is_found() {
    let (node, id) = node();
    let c = node.client;
    ask(c, id, 3);
    let dir = tempfile::tempdir().unwrap();
    let follow = Follow::start(FollowConfig { on_finding: OnFinding::Exit, ..config(http(c), dir.path()) }).unwrap();
    // Later it cannot prove this one any more: it would compute something else.
    finished(&follow, c.number("eth_blockNumber", json!([])));
    c.call("lockstep_injectFault", json!([{"modelId": id, "kernel": 0, "bit": 22}]));
    let wrong = ask(c, id, 4);
    let End::Found(why) = end(&follow) else { panic!("it was found") };
    assert!(why.contains(wrong["transactionHash"].as_str().unwrap()), "{why}");
    let findings = follow.findings().unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0]["transactionHash"], wrong["transactionHash"]);
    assert_eq!(findings[0]["operator"], json!(null), "here both implementations agree");
    assert_ne!(findings[0]["outputsHash"], findings[0]["referenceOutputsHash"]);
    assert_eq!(follow.faults().unwrap(), [], "its header commits to the wrong answer, and its proof fits");
    // What a person needs to see it again lies together.
    let names: Vec<String> = std::fs::read_dir(dir.path().join("findings"))
        .unwrap()
        .flatten()
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.contains(&format!("{id}.lsm")) && names.iter().any(|name| name.ends_with(".json")), "{names:?}");
    tell(
        "kernel with one wrong bit in a watched node",
        "the sidecar recomputes the inference; --on-finding exit ends it with status 1",
        "nothing here; the watched chain holds the wrong answer",
    );
}

#[test]
fn a_forged_memo_of_the_watched_node_is_found() {
    let (node, id) = node();
    let c = node.client;
    ask(c, id, 3);
    let fault = json!([{"modelId": id, "bit": 31, "memo": "forged"}]);
    assert!(c.call("lockstep_injectFault", fault)["changed"].as_u64() >= Some(1));
    let wrong = ask(c, id, 3);
    let dir = tempfile::tempdir().unwrap();
    let follow = Follow::start(config(http(c), dir.path())).unwrap();
    let head = c.number("eth_blockNumber", json!([]));
    assert_eq!(finished(&follow, head).checks.findings, 1);
    assert_eq!(follow.findings().unwrap()[0]["transactionHash"], wrong["transactionHash"]);
    tell(
        "memo entry forged in a watched node",
        "the sidecar recomputes past any memory",
        "nothing here; the watched chain holds the wrong answer",
    );
}

#[test]
fn a_branch_that_the_node_leaves_is_left() {
    let (node, id) = node();
    let c = node.client;
    ask(c, id, 1);
    let snapshot = c.call("evm_snapshot", json!([]));
    let fork = c.number("eth_blockNumber", json!([]));
    for x in 2..5 {
        ask(c, id, x);
    }
    // A dev chain calls each block final at once; this one has no opinion.
    let proxy = proxy::Proxy::start(c, |method, params, result| {
        let asked = method == "eth_getBlockByNumber" && params[0] == json!("finalized");
        proxy::Answer::Result(if asked { Value::Null } else { result })
    });
    let dir = tempfile::tempdir().unwrap();
    let follow = Follow::start(config(proxy.url(), dir.path())).unwrap();
    finished(&follow, fork + 3);
    let before = follow.verdicts(fork + 1, 9).unwrap();
    // Shorter first, then longer than it was.
    assert_eq!(c.call("evm_revert", json!([snapshot])), json!(true));
    c.call("evm_mine", json!([]));
    until(&follow, |s| s.reorganised == 3 && s.read == Some(fork + 1));
    for x in 12..16 {
        ask(c, id, x);
    }
    let status = finished(&follow, fork + 5);
    let faults = follow.faults().unwrap();
    assert_eq!((status.faults, status.checks.findings, status.reorganised), (0, 0, 3), "{faults:?}");
    let after = follow.verdicts(fork + 1, 9).unwrap();
    assert_eq!((before.len(), after.len()), (3, 5));
    assert!(before.iter().all(|verdict| !after.contains(verdict)));
    let hash: B256 =
        serde_json::from_value(c.call("eth_getBlockByNumber", json!(["latest", false]))["hash"].clone()).unwrap();
    assert_eq!(after.last().map(|verdict| verdict.block_hash), Some(hash));
}

#[test]
fn it_goes_on_where_it_ended() {
    let (node, id) = node();
    let c = node.client;
    let dir = tempfile::tempdir().unwrap();
    let first = {
        let follow = Follow::start(config(http(c), dir.path())).unwrap();
        ask(c, id, 1);
        let head = c.number("eth_blockNumber", json!([]));
        finished(&follow, head);
        let second = Follow::start(config(http(c), dir.path()));
        assert!(matches!(second, Err(FollowError::Storage(_))), "one process at a time");
        head
    };
    for x in 2..6 {
        ask(c, id, x);
    }
    let head = c.number("eth_blockNumber", json!([]));
    let follow = Follow::start(FollowConfig { once: true, ..config(http(c), dir.path()) }).unwrap();
    assert_eq!(end(&follow), End::CaughtUp);
    let status = follow.status().unwrap();
    assert_eq!((status.roots, status.checks.checked, status.finished), (head - first, 4, Some(head)), "nothing twice");
    drop(follow);
    // Another chain in the same directory is refused.
    let other = Running::start(NodeConfig {
        genesis: lockstep_node_ext::GenesisSource::Inline {
            genesis: Box::new(lockstep_node_ext::chain::genesis::plain_dev_genesis()),
            dev: true,
        },
        ..Default::default()
    });
    let error = Follow::start(config(http(other.client), dir.path())).unwrap_err();
    assert!(matches!(error, FollowError::OtherChain { .. }), "{error}");
}

#[test]
fn rules_come_from_the_genesis_where_one_is_given() {
    let (node, _) = node();
    let dir = tempfile::tempdir().unwrap();
    let with = |genesis| FollowConfig { genesis: Some(Box::new(genesis)), ..config(http(node.client), dir.path()) };
    let dev = lockstep_node_ext::chain::genesis::dev_genesis().unwrap();
    Follow::start(with(dev.clone())).unwrap();
    let mut none = dev.clone();
    none.config.extra_fields.get_mut("lockstep").unwrap()["headerRule"] = json!("none");
    assert!(matches!(Follow::start(with(none)), Err(FollowError::NoCommitment)));
    let mut other = dev;
    other.timestamp += 1;
    let error = Follow::start(with(other)).unwrap_err();
    assert!(matches!(&error, FollowError::Node(_)) && error.to_string().contains("other_chain"), "{error}");
}

/// The model comes from a source that lies, then from the node; where nobody gives it, that is told and counted.
#[test]
fn a_model_that_nobody_gives_is_told_and_holds_nothing_up() {
    let (node, id) = node();
    let c = node.client;
    ask(c, id, 1);
    let head = c.number("eth_blockNumber", json!([]));
    let (empty, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sources = vec![empty.path().display().to_string()];
    let follow = Follow::start(FollowConfig { sources, ..config(http(c), dir.path()) }).unwrap();
    assert_eq!(finished(&follow, head).checks.checked, 1);
    drop(follow);
    let dir = tempfile::tempdir().unwrap();
    let follow = Follow::start(FollowConfig { model_memory: 1, ..config(http(c), dir.path()) }).unwrap();
    let status = finished(&follow, head);
    assert_eq!((status.checks.checked, status.checks.failed, status.models), (0, 1, 0));
    assert_eq!(follow.verdicts(head, 1).unwrap()[0].failed, 1);
}

/// Every metric of a sidecar, and every fault that it can name.
#[test]
fn every_metric_and_every_fault_of_a_sidecar_stands_in_the_operators_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (node, id) = node();
    ask(node.client, id, 1);
    let head = node.client.number("eth_blockNumber", json!([]));
    let dir = tempfile::tempdir().unwrap();
    let follow = std::sync::Arc::new(Follow::start(config(http(node.client), dir.path())).unwrap());
    finished(&follow, head);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let serving = runtime.block_on(Serving::start(follow.clone(), ([127, 0, 0, 1], 0).into())).unwrap();
    let c = Client(serving.address);
    let text = crate::crosscheck::get(c, "/metrics");
    assert!(text.contains(&format!("\nlockstep_follow_finished {head}\n")), "{text}");
    let metrics: Vec<&str> =
        text.lines().filter_map(|l| l.strip_prefix("# TYPE ")).filter_map(|l| l.split(' ').next()).collect();
    let names = metrics.iter().copied().chain(FaultKind::ALL.iter().map(|kind| kind.name()));
    let missing: Vec<&str> = names.filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty() && metrics.len() > 15, "docs/operating.md has no row for {missing:?}");
    // The same by JSON-RPC.
    let status = c.call("lockstep_follow", json!([]));
    assert_eq!((&status["finished"], &status["checks"]["checked"]), (&json!(head), &json!(1)));
    assert_eq!(c.call("lockstep_verdicts", json!([head, 5]))[0]["right"], 1);
    for list in ["lockstep_findings", "lockstep_alerts", "lockstep_faults"] {
        assert_eq!(c.call(list, json!([])), json!([]));
    }
    runtime.block_on(serving.stop());
}
