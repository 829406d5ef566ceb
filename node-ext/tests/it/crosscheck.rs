//! The cross-check from outside: candle's opinion, what is written for people, the sample under load, metrics.

use crate::common::{Client, Running, account};
use alloy_primitives::{B256, Bytes};
use alloy_sol_types::SolCall;
use lockstep_engine::{
    DType, Dim, Graph, Input, Limits, Model, Node as GraphNode, Output, ValueId,
    ops::reduce::{Reduce, ReduceKind},
};
use lockstep_node_ext::{NodeConfig, crosscheck::OnDifference, publish};
use lockstep_precompile::abi::{IInference, Tensor};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

const PRECOMPILE: &str = "0x0000000000000000000000000000000000000a11";
const WIDTH: usize = 32;

/// y = the sum of a row.
fn sums() -> Vec<u8> {
    let graph = Graph {
        symbols: vec!["batch".into()],
        inputs: vec![Input {
            name: "x".into(),
            dtype: DType::F32,
            shape: vec![Dim::symbol(0), Dim::Known(WIDTH as u64)],
        }],
        nodes: vec![GraphNode {
            op: Reduce { kind: ReduceKind::Sum, axes: vec![1], keep_dims: false }.into(),
            inputs: vec![Some(ValueId(0))],
        }],
        outputs: vec![Output { name: "y".into(), value: ValueId(1) }],
        ..Graph::default()
    };
    Model::build(graph, &[], Vec::new(), &Limits::default()).unwrap().encode()
}

fn started(config: NodeConfig) -> (Running, B256) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sums.lsm"), sums()).unwrap();
    let id = publish::plan(&sums(), &Default::default()).unwrap().model_id;
    (Running::start(NodeConfig { models_dir: Some(dir.path().to_path_buf()), ..config }), id)
}

fn call(id: B256, row: &[f32]) -> Bytes {
    let data: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
    let inputs = vec![Tensor { dtype: 1, shape: vec![(row.len() / WIDTH) as u32, WIDTH as u32], data: data.into() }];
    IInference::runCall { modelId: id, inputs }.abi_encode().into()
}

fn transact(c: Client, call: &Bytes) -> Value {
    let receipt = c.transact(json!({"from": account(1), "to": PRECOMPILE, "data": call, "gas": "0x400000"}));
    assert_eq!(receipt["status"], "0x1");
    receipt
}

fn coverage(c: Client, done: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let coverage = c.call("lockstep_crossCheck", json!([]));
        if coverage["pending"] == 0 && done(&coverage) {
            return coverage;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{coverage}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// LS1 sums in sixteen lanes: here 1e8 and -1e8 cancel in one of them, and the threes of the others stay. In one line
/// from the left the threes vanish in 1e8. Both are right within what f32 promises of sums.
fn row_that_breaks_every_tolerance() -> Vec<f32> {
    let mut row = vec![0.0; WIDTH];
    row[..16].fill(3.0);
    (row[0], row[16]) = (1e8, -1e8);
    row
}

#[test]
fn a_model_built_to_break_the_tolerance_raises_an_alert_and_stops_nothing() {
    let (node, id) = started(NodeConfig { on_difference: OnDifference::Halt, ..Default::default() });
    let c = node.client;
    transact(c, &call(id, &[0.5; WIDTH]));
    let quiet = coverage(c, |c| c["checked"] == 1);
    assert_eq!((&quiet["alerts"], &quiet["compared"]), (&json!(0), &json!(1)));
    let receipt = transact(c, &call(id, &row_that_breaks_every_tolerance()));
    let loud = coverage(c, |c| c["checked"] == 2);
    assert_eq!((&loud["alerts"], &loud["findings"], &loud["failed"]), (&json!(1), &json!(0), &json!(0)));
    let alert = &c.call("lockstep_alerts", json!([]))[0];
    assert_eq!((&alert["transactionHash"], &alert["modelId"]), (&receipt["transactionHash"], &json!(id)));
    assert_eq!((&alert["node"], &alert["element"]), (&json!(0), &json!(0)));
    assert!(alert["reference"].as_str().unwrap().starts_with("45 "), "{alert}");
    assert_eq!(alert["inputs"][0]["shape"], json!([1, WIDTH]));
    // Nothing stops.
    assert_eq!(c.call("lockstep_care", json!([]))["sealingStopped"], json!(null));
    transact(c, &call(id, &[1.5; WIDTH]));
    assert_eq!(c.call("lockstep_findings", json!([])), json!([]));
}

#[test]
fn a_finding_is_written_as_a_file_that_can_be_replayed() {
    let data = tempfile::tempdir().unwrap();
    let (node, id) = started(NodeConfig { datadir: Some(data.path().to_path_buf()), ..Default::default() });
    let c = node.client;
    c.call("lockstep_injectFault", json!([{"modelId": id, "kernel": 0, "bit": 31}]));
    let receipt = transact(c, &call(id, &[0.25; WIDTH]));
    coverage(c, |c| c["findings"] == 1);
    let files: Vec<_> = std::fs::read_dir(data.path().join("findings")).unwrap().flatten().collect();
    assert_eq!(files.len(), 1);
    let written: Value = serde_json::from_slice(&std::fs::read(files[0].path()).unwrap()).unwrap();
    assert_eq!(written, c.call("lockstep_findings", json!([]))[0]);
    assert_eq!(written["transactionHash"], receipt["transactionHash"]);
}

/// A queue that is full of work: a random part of it is checked, the rest is counted, and the lag is told.
#[test]
fn under_load_a_sample_is_checked_and_the_lag_is_told() {
    let (models, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(models.path().join("sums.lsm"), sums()).unwrap();
    let id = publish::plan(&sums(), &Default::default()).unwrap().model_id;
    let config = || NodeConfig {
        datadir: Some(data.path().to_path_buf()),
        models_dir: Some(models.path().to_path_buf()),
        ..Default::default()
    };
    let node = Running::start(config());
    let c = node.client;
    node.handle().crosscheck().unwrap().stop();
    // A contract that calls the model with its call data a hundred times.
    // PUSH1 100; JUMPDEST; calldatacopy(0, 0, size); staticcall(gas, 0xa11, 0, size, 0, 0); pop; 1 SWAP1 SUB; DUP1; PUSH1 2; JUMPI; STOP
    let code = "60645b365f5f375f5f365f610a115afa5060019003806002575000";
    c.call("anvil_setCode", json!(["0xc0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0", format!("0x{code}")]));
    let (mut sent, row) = (0, call(id, &[2.0; WIDTH]));
    while sent < 2_500 {
        let to = "0xc0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0";
        let receipt = c.transact(json!({"from": account(1), "to": to, "data": row, "gas": "0x900000"}));
        assert_eq!(receipt["status"], "0x1");
        sent += c.call("lockstep_inferences", json!([receipt["blockNumber"]])).as_array().unwrap().len();
    }
    let waiting = c.call("lockstep_crossCheck", json!([]));
    assert_eq!(waiting["pending"], sent);
    assert!(waiting["lag"].as_u64() >= Some(20), "{waiting}");
    let head = c.number("eth_blockNumber", json!([]));
    node.stop();

    let node = Running::start(config());
    let c = node.client;
    let coverage = coverage(c, |c| c["checked"].as_u64() > Some(0));
    let (checked, skipped) = (coverage["checked"].as_u64().unwrap(), coverage["skipped"].as_u64().unwrap());
    assert_eq!(checked + skipped, sent as u64, "{coverage}");
    assert!(skipped > 100 && checked > 1_000, "{coverage}");
    assert_eq!((&coverage["lag"], &coverage["findings"]), (&json!(0), &json!(0)));
    assert_eq!(c.number("eth_blockNumber", json!([])), head);
}

pub(crate) fn get(c: Client, path: &str) -> String {
    let mut stream = TcpStream::connect(c.0).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", c.0).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Every metric and every alarm stands in the operator's page.
#[test]
fn every_metric_and_every_alarm_stands_in_the_operators_page() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../docs/operating.md")).unwrap();
    let (node, id) = started(NodeConfig::default());
    transact(node.client, &call(id, &[0.5; WIDTH]));
    coverage(node.client, |c| c["checked"] == 1);
    let text = get(node.client, "/metrics");
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\nlockstep_crosscheck_checked 1\n"), "{text}");
    let metrics: Vec<&str> =
        text.lines().filter_map(|l| l.strip_prefix("# TYPE ")).filter_map(|l| l.split(' ').next()).collect();
    assert!(metrics.len() >= 20, "{metrics:?}");
    let mut alarms = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for found in std::fs::read_dir(folder).unwrap().flatten() {
            if found.path().is_dir() {
                folders.push(found.path());
                continue;
            }
            let source = std::fs::read_to_string(found.path()).unwrap();
            alarms.extend(source.split("alarm = \"").skip(1).filter_map(|s| s.split('"').next().map(str::to_owned)));
        }
    }
    assert!(alarms.len() >= 7, "{alarms:?}");
    let names = metrics.into_iter().map(str::to_owned).chain(alarms);
    let missing: Vec<String> = names.filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "docs/operating.md has no row for {missing:?}");
}
