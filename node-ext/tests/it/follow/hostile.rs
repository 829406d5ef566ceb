//! A watched node that lies, hides, hangs and floods: each is told by name, and none gets past.

use super::{
    proxy::{Answer, Proxy},
    *,
};
use alloy_consensus::Header;
use alloy_primitives::U64;
use lockstep_node_ext::inference::BlockInference;
use lockstep_precompile::{InferenceLeaf, commitment};

/// A node with one inference in its last block, whose number is given.
fn with_one() -> (Running, B256, u64) {
    let (node, id) = node();
    ask(node.client, id, 1);
    let head = node.client.number("eth_blockNumber", json!([]));
    (node, id, head)
}

/// Follows a node that lies until it is told so; gives the kinds of its faults, and the directory.
fn faults_of(
    node: Client,
    lie: impl Fn(&str, &Value, Value) -> Answer + Send + Sync + 'static,
) -> (Follow, Vec<FaultKind>, tempfile::TempDir) {
    let proxy = Proxy::start(node, lie);
    let dir = tempfile::tempdir().unwrap();
    let follow = Follow::start(config(proxy.url(), dir.path())).unwrap();
    until(&follow, |s| s.faults > 0);
    let kinds = follow.faults().unwrap().iter().map(|fault| fault.kind).collect();
    (follow, kinds, dir)
}

fn is(method: &str, expected: &str, block: &Value, number: u64) -> bool {
    method == expected && block["number"].as_str() == Some(format!("{number:#x}").as_str())
}

#[test]
fn a_header_that_has_not_its_hash_is_told() {
    let (node, _, head) = with_one();
    let (follow, kinds, _dir) = faults_of(node.client, move |method, _, mut result| {
        if is(method, "eth_getBlockByNumber", &result, head) {
            result["stateRoot"] = json!(B256::repeat_byte(1));
        }
        Answer::Result(result)
    });
    assert_eq!(kinds, [FaultKind::HeaderHash]);
    assert!(follow.status().unwrap().read < Some(head), "nothing rests on it");
}

#[test]
fn another_block_than_asked_for_is_told() {
    let (node, _, head) = with_one();
    let c = node.client;
    let (_follow, kinds, _dir) = faults_of(c, move |method, params, result| {
        let asked = method == "eth_getBlockByNumber" && params[0] == json!(format!("{:#x}", head - 1));
        Answer::Result(if asked { c.call(method, json!(["0x1", false])) } else { result })
    });
    assert_eq!(kinds, [FaultKind::BlockNumber]);
}

#[test]
fn an_inference_that_is_hidden_added_or_changed_is_told() {
    let (node, _, head) = with_one();
    for lie in 0..4 {
        let (follow, kinds, _dir) = faults_of(node.client, move |method, _, mut result| {
            if method == "lockstep_inferences" && result[0].is_object() {
                match lie {
                    0 => result = json!([]),
                    1 => result[0]["outputsHash"] = json!(B256::repeat_byte(7)),
                    2 => result[0]["function"] = json!("somethingElse"),
                    _ => result = json!([result[0], result[0]]),
                }
            }
            Answer::Result(result)
        });
        assert_eq!(kinds, [FaultKind::InferenceRoot], "lie {lie}");
        // It goes on: the header is right, the list is nobody's.
        let status = finished(&follow, head);
        assert_eq!((status.checks.checked, status.checks.findings), (0, 0));
        assert!(!follow.verdicts(head, 1).unwrap()[0].root_right);
    }
    tell("record hidden by a watched node", "the list does not give what the header commits to", "nothing");
}

/// What the root is for: where headers are not taken to commit to inferences, the same lie is the truth.
#[test]
fn without_the_root_a_hidden_record_is_not_noticed() {
    let (node, _, head) = with_one();
    let proxy = Proxy::start(node.client, |method, _, result| {
        Answer::Result(if method == "lockstep_inferences" { json!([]) } else { result })
    });
    let mut genesis = lockstep_node_ext::chain::genesis::dev_genesis().unwrap();
    genesis.config.extra_fields.get_mut("lockstep").unwrap()["activation"] = json!(1_000_000);
    let dir = tempfile::tempdir().unwrap();
    let with = FollowConfig { genesis: Some(Box::new(genesis)), ..config(proxy.url(), dir.path()) };
    let follow = Follow::start(with).unwrap();
    let status = finished(&follow, head);
    assert_eq!((status.faults, status.roots, status.checks.checked), (0, 0, 0));
}

/// Heights at the end of what a number holds.
#[test]
fn a_head_beyond_everything_breaks_nothing() {
    let (node, _, head) = with_one();
    let c = node.client;
    let proxy = Proxy::start(c, move |method, params, mut result| {
        if method == "lockstep_inferences" {
            result = json!([]);
        }
        if method == "eth_getBlockByNumber" && params[0] != json!("0x0") {
            result = c.call(method, json!([format!("{head:#x}"), false]));
            result["number"] = json!(U64::MAX);
            let header: Header = serde_json::from_value(result.clone()).unwrap();
            result["hash"] = json!(header.hash_slow());
        }
        Answer::Result(result)
    });
    let dir = tempfile::tempdir().unwrap();
    let follow = Follow::start(FollowConfig { from: None, ..config(proxy.url(), dir.path()) }).unwrap();
    // Its list does not fit, and there is nothing above it.
    let status = until(&follow, |s| s.read == Some(u64::MAX));
    assert_eq!(status.head, u64::MAX);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(follow.status().unwrap().read, Some(u64::MAX));
    drop(follow);
    let follow = Follow::start(config(proxy.url(), dir.path())).unwrap();
    until(&follow, |s| s.head == u64::MAX);
}

/// Header and list are changed together, so that everything fits but the answer.
#[test]
fn a_lie_that_fits_the_header_is_found_by_computing() {
    let (node, _, head) = with_one();
    let c = node.client;
    let lie = json!(B256::repeat_byte(7));
    let block = c.call("eth_getBlockByNumber", json!([format!("{head:#x}"), false]));
    let mut list = c.call("lockstep_inferences", json!([block["hash"]]));
    list[0]["outputsHash"] = lie;
    let one: BlockInference = serde_json::from_value(list[0].clone()).unwrap();
    let leaf = InferenceLeaf {
        transaction_index: one.transaction_index.to(),
        transaction_hash: one.transaction_hash,
        model_id: one.model_id,
        selector: IInference::inferCall::SELECTOR.into(),
        inputs_hash: one.inputs_hash,
        outputs_hash: one.outputs_hash,
        returned_hash: one.returned_hash,
        gas: one.gas.to(),
    };
    let mut header: Header = serde_json::from_value(block.clone()).unwrap();
    header.extra_data = commitment::of_leaves(&[leaf]).into();
    let mut forged = block;
    forged["extraData"] = json!(header.extra_data);
    forged["hash"] = json!(header.hash_slow());
    let proxy = Proxy::start(c, move |method, params, result| {
        Answer::Result(match method {
            "eth_getBlockByNumber" if result["number"] == json!(U64::from(head)) => forged.clone(),
            "lockstep_inferences" if params[0] == forged["hash"] => list.clone(),
            _ => result,
        })
    });
    let dir = tempfile::tempdir().unwrap();
    let follow = Follow::start(config(proxy.url(), dir.path())).unwrap();
    let status = finished(&follow, head);
    assert_eq!(status.checks.findings, 1);
    assert_eq!(follow.findings().unwrap()[0]["outputsHash"], json!(B256::repeat_byte(7)));
    assert_eq!(follow.verdicts(head, 1).unwrap()[0].wrong, 1);
    tell("lying root of a watched node", "the sidecar recomputes what the header commits to", "nothing");
}

#[test]
fn inputs_that_are_wrong_or_withheld_are_told() {
    let (node, _, head) = with_one();
    for (lie, expected) in [
        (0, FaultKind::WrongInputs),
        (1, FaultKind::WithheldInputs),
        (2, FaultKind::WithheldInputs),
        (3, FaultKind::WrongProof),
    ] {
        let (follow, kinds, _dir) = faults_of(node.client, move |method, _, mut result| {
            if method == "lockstep_getInferenceProof" {
                match lie {
                    0 => result["inputs"][0]["data"] = json!(Bytes::from(vec![0u8; 8])),
                    1 => return Answer::Result(Value::Null),
                    2 => return Answer::Raw(br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#.to_vec()),
                    _ => result["leaf"]["gas"] = json!(1),
                }
            }
            Answer::Result(result)
        });
        assert_eq!(kinds, [expected], "lie {lie}");
        let status = finished(&follow, head);
        // A wrong proof with the right inputs is told, and checked.
        let expected = if lie == 3 { (1, 0) } else { (0, 1) };
        assert_eq!((status.checks.checked, status.checks.failed), expected, "lie {lie}");
    }
}

#[test]
fn a_missing_block_and_a_chain_that_does_not_hang_together_are_told() {
    let (node, _, head) = with_one();
    let c = node.client;
    let (_follow, kinds, _dir) = faults_of(c, move |method, params, result| {
        let hidden = method == "eth_getBlockByNumber" && params[0] == json!(format!("{:#x}", head - 1));
        Answer::Result(if hidden { Value::Null } else { result })
    });
    assert_eq!(kinds, [FaultKind::MissingBlock]);
    let (_follow, kinds, _dir) = faults_of(c, move |method, _, result| {
        if method == "lockstep_inferences" {
            return Answer::Raw(br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"not you"}}"#.to_vec());
        }
        Answer::Result(result)
    });
    assert_eq!(kinds, [FaultKind::MissingBlock]);
    let (_follow, kinds, _dir) = faults_of(c, move |method, _, mut result| {
        if is(method, "eth_getBlockByNumber", &result, head) {
            result["parentHash"] = json!(B256::repeat_byte(3));
            let header: Header = serde_json::from_value(result.clone()).unwrap();
            result["hash"] = json!(header.hash_slow());
        }
        Answer::Result(result)
    });
    assert_eq!(kinds, [FaultKind::BrokenChain]);
}

#[test]
fn another_chain_behind_the_same_address_is_told() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static SWITCHED: AtomicBool = AtomicBool::new(false);
    let (node, _, head) = with_one();
    let proxy = Proxy::start(node.client, |method, params, mut result| {
        if SWITCHED.load(Ordering::Acquire) && method == "eth_getBlockByNumber" {
            if params[0] == json!("latest") {
                return Answer::Raw(b"restarting".to_vec());
            }
            result["extraData"] = json!("0x1234");
            let header: Header = serde_json::from_value(result.clone()).unwrap();
            result["hash"] = json!(header.hash_slow());
        }
        Answer::Result(result)
    });
    let dir = tempfile::tempdir().unwrap();
    let follow = Follow::start(config(proxy.url(), dir.path())).unwrap();
    finished(&follow, head);
    SWITCHED.store(true, Ordering::Release);
    until(&follow, |s| s.faults > 0);
    assert_eq!(follow.faults().unwrap()[0].kind, FaultKind::OtherChain);
}

#[test]
fn a_final_block_that_is_taken_back_is_told() {
    let (node, id) = node();
    let c = node.client;
    ask(c, id, 1);
    let snapshot = c.call("evm_snapshot", json!([]));
    ask(c, id, 2);
    let head = c.number("eth_blockNumber", json!([]));
    // It calls each block final at once.
    let proxy = Proxy::start(c, move |method, params, result| {
        let asked = method == "eth_getBlockByNumber" && params[0] == json!("finalized");
        Answer::Result(if asked { c.call(method, json!(["latest", false])) } else { result })
    });
    let dir = tempfile::tempdir().unwrap();
    let follow = Follow::start(config(proxy.url(), dir.path())).unwrap();
    finished(&follow, head);
    // It asks for what is final when it has read everything.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(follow.faults().unwrap(), []);
    c.call("evm_revert", json!([snapshot]));
    c.call("evm_mine", json!([]));
    until(&follow, |s| s.faults > 0);
    assert_eq!(follow.faults().unwrap()[0].kind, FaultKind::Finality);
}

/// Silence, floods, nonsense and being sent elsewhere: nothing is believed, nothing is waited for without an end, and it
/// goes on when the node answers.
#[test]
fn a_node_that_hangs_floods_or_babbles_is_told_and_waited_for() {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };
    let (node, _, head) = with_one();
    for kind in 0..5 {
        let ill = Arc::new(AtomicBool::new(true));
        let sick = ill.clone();
        let proxy = Proxy::start(node.client, move |method, _, result| {
            if method != "lockstep_inferences" || !sick.load(Ordering::Acquire) {
                return Answer::Result(result);
            }
            match kind {
                0 => Answer::Silence,
                1 => Answer::Raw(vec![b' '; 70 << 20]),
                2 => Answer::Raw(b"hello".to_vec()),
                3 => Answer::Raw([vec![b'['; 100_000], vec![b']'; 100_000]].concat()),
                _ => Answer::Elsewhere("http://169.254.169.254/".into()),
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let stall = Duration::from_secs(if kind == 0 { 1 } else { 20 });
        let follow = Follow::start(FollowConfig { stall, ..config(proxy.url(), dir.path()) }).unwrap();
        let status = until(&follow, |s| s.troubles > 0);
        assert_eq!((status.read, status.faults), (None, 0), "kind {kind}");
        ill.store(false, Ordering::Release);
        assert_eq!(finished(&follow, head).checks.checked, 1, "kind {kind}");
    }
    tell(
        "watched node that hangs or floods",
        "limits on time and bytes of each answer; told as follow_no_answer",
        "nothing",
    );
}

#[test]
fn a_node_that_is_not_there_and_addresses_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("http://{port}"), format!("ws://{port}")] {
        let error = Follow::start(config(url, dir.path())).unwrap_err();
        assert!(matches!(error, FollowError::Wire(_)), "{error}");
    }
    for url in ["ftp://x", "localhost:8545", "", "http://"] {
        let error = Follow::start(config(url.into(), dir.path())).unwrap_err();
        assert!(matches!(error, FollowError::Url(_)), "{url}: {error}");
    }
}

/// What the reference refuses cannot have had success: a block that says so is wrong, not unchecked.
#[test]
fn a_success_that_the_reference_refuses_is_a_finding() {
    let (node, id, head) = with_one();
    let c = node.client;
    let block = c.call("eth_getBlockByNumber", json!([format!("{head:#x}"), false]));
    let list = c.call("lockstep_inferences", json!([block["hash"]]));
    let mut one: BlockInference = serde_json::from_value(list[0].clone()).unwrap();
    // Three values in a row where the model takes two.
    let inputs = lockstep_engine::Tensor::new(vec![1, 3], lockstep_engine::Data::F32(vec![1.0; 3])).unwrap();
    one.inputs_hash = lockstep_precompile::sink::tensors_hash(std::slice::from_ref(&inputs));
    let leaf = InferenceLeaf {
        transaction_index: one.transaction_index.to(),
        transaction_hash: one.transaction_hash,
        model_id: id,
        selector: IInference::inferCall::SELECTOR.into(),
        inputs_hash: one.inputs_hash,
        outputs_hash: one.outputs_hash,
        returned_hash: one.returned_hash,
        gas: one.gas.to(),
    };
    let mut header: Header = serde_json::from_value(block.clone()).unwrap();
    header.extra_data = commitment::of_leaves(&[leaf]).into();
    let mut forged = block;
    forged["extraData"] = json!(header.extra_data);
    forged["hash"] = json!(header.hash_slow());
    let (list, given) = (json!([one]), json!([lockstep_node_ext::crosscheck::FindingTensor::from(&inputs)]));
    let proxy = Proxy::start(c, move |method, params, mut result| {
        Answer::Result(match method {
            "eth_getBlockByNumber" if result["number"] == json!(U64::from(head)) => forged.clone(),
            "lockstep_inferences" if params[0] == forged["hash"] => list.clone(),
            "lockstep_getInferenceProof" => {
                result["inputs"] = given.clone();
                result
            }
            _ => result,
        })
    });
    let dir = tempfile::tempdir().unwrap();
    let follow = Follow::start(config(proxy.url(), dir.path())).unwrap();
    let status = finished(&follow, head);
    assert_eq!((status.checks.findings, status.checks.failed), (1, 0));
    assert_eq!(follow.findings().unwrap()[0]["referenceOutputsHash"], json!(null));
}
