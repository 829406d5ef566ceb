//! A kernel with one wrong bit: found before the node starts; and where it goes wrong later, by the cross-check.

use super::*;
use lockstep_node_ext::{
    LaunchError, Node,
    care::{Defences, SelfTest, Unfit},
    crosscheck::OnDifference,
};
use std::net::SocketAddr;

#[test]
fn a_kernel_with_one_wrong_bit_keeps_the_node_from_starting() {
    let data = tempfile::tempdir().unwrap();
    let self_test = Some(SelfTest { wrong_kernel: Some("Binary.Mul".into()) });
    let config = NodeConfig {
        datadir: Some(data.path().join("chain")),
        http_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        defences: Defences { self_test, ..Default::default() },
        ..Default::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(Node::launch(config)).expect_err("the machine is unfit");
    assert!(matches!(&error, LaunchError::Unfit(Unfit::Conformance(_))), "{error}");
    assert!(error.to_string().contains("Binary.Mul"), "{error}");
    assert!(!data.path().join("chain").exists(), "nothing was written");
    tell("kernel with one wrong bit, at start", "the self-test names the operator; the node does not start", "nothing");
}

/// Without the self-test the same machine makes blocks with wrong answers; the cross-check finds them afterwards, names
/// the operator, and stops the sealing where that is the policy.
#[test]
fn without_the_self_test_a_wrong_kernel_gets_into_a_block_and_the_cross_check_stops_the_node() {
    let (node, id) = started(NodeConfig {
        defences: Defences { self_test: None, ..Default::default() },
        on_difference: OnDifference::Halt,
        ..Default::default()
    });
    let c = node.client;
    assert_eq!(returned(c, &transact(c, &infer(id, 3))), sound(3));
    c.call("lockstep_injectFault", json!([{"modelId": id, "kernel": 0, "bit": 22}]));
    let wrong = transact(c, &infer(id, 4));
    assert_ne!(returned(c, &wrong), sound(4), "the fault is one");
    assert_eq!(checked(c, 2)["findings"], 1);
    let finding = &c.call("lockstep_findings", json!([]))[0];
    assert_eq!((&finding["transactionHash"], &finding["operator"]), (&wrong["transactionHash"], &json!("Mul")));
    // Nothing is sealed any more, whoever asks; calls are answered.
    let head = c.number("eth_blockNumber", json!([]));
    let tx = json!({"from": account(2), "to": account(3), "value": "0x1"});
    let (code, text) = c.error("eth_sendTransaction", json!([tx]));
    assert_eq!(code, -32051, "{text}");
    assert!(text.contains("Mul") && text.contains("lockstep_findings"), "{text}");
    assert_eq!(c.error("evm_mine", json!([])).0, -32051);
    assert_eq!(c.number("eth_blockNumber", json!([])), head);
    assert!(care(c)["sealingStopped"].as_str().unwrap().contains("Mul"));
    c.call("eth_call", json!([tx, "latest"]));
    tell(
        "kernel with one wrong bit, while running",
        "the cross-check names transaction and operator; with --on-difference halt nothing more is sealed",
        "nothing; the block before the halt holds the wrong answer, which every other node refuses",
    );
}
