//! Memory refused: this node's fault, which parks what needs the model, and hurts nobody else.

use super::*;

#[test]
fn a_model_that_gets_no_memory_parks_its_calls_and_nobody_elses() {
    let data = tempfile::tempdir().unwrap();
    let (dir, id) = models_dir();
    let config = |models_dir: Option<&tempfile::TempDir>, model_memory| NodeConfig {
        models_dir: models_dir.map(|dir| dir.path().to_path_buf()),
        datadir: Some(data.path().to_path_buf()),
        model_memory,
        ..Default::default()
    };
    Running::start(config(Some(&dir), None)).stop();
    let node = Running::start(config(None, Some(64)));
    let c = node.client;
    assert_eq!(c.call("lockstep_models", json!([]))[0]["resident"], false);
    let call = json!({"from": account(1), "to": PRECOMPILE, "data": infer(id, 8), "gas": "0x100000"});
    let (code, text) = c.error("eth_call", json!([call, "latest"]));
    assert_eq!(code, -32050, "never a revert: {text}");
    let parked = c.call("eth_sendTransaction", json!([call]));
    assert_eq!(c.call("eth_getTransactionReceipt", json!([parked])), json!(null));
    assert_eq!(c.transact(json!({"from": account(2), "to": account(3), "value": "0x1"}))["status"], "0x1");
    node.stop();
    // With memory the same chain answers.
    let node = Running::start(config(None, None));
    assert_eq!(returned(node.client, &transact(node.client, &infer(id, 8))), sound(8));
    tell("memory refused", "the model is not loaded; its calls are parked or told -32050, never reverted", "nothing");
}
