//! Faults of the machine, one at a time: each is caught, named and survived, and has a companion without the defence, in
//! which it gets through. `make faults` prints what they tell.

mod cache;
mod kernel;
mod memory;
mod weights;

use crate::common::{Client, Running, account, tiny_model};
use alloy_primitives::{B256, Bytes, I256};
use alloy_sol_types::SolCall;
use lockstep_node_ext::{NodeConfig, publish};
use lockstep_precompile::abi::IInference;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PRECOMPILE: &str = "0x0000000000000000000000000000000000000a11";

/// A row of the table.
pub(crate) fn tell(fault: &str, caught: &str, lost: &str) {
    eprintln!("FAULT|{fault}|{caught}|{lost}");
}

/// A folder with the model y = x * (2, 3) + (1, -1).
fn models_dir() -> (tempfile::TempDir, B256) {
    let dir = tempfile::tempdir().unwrap();
    let file = tiny_model([2.0, 3.0], [1.0, -1.0]);
    let id = publish::plan(&file, &Default::default()).unwrap().model_id;
    std::fs::write(dir.path().join("tiny.lsm"), file).unwrap();
    (dir, id)
}

/// A dev chain with that model.
fn started(config: NodeConfig) -> (Running, B256) {
    let (dir, id) = models_dir();
    (Running::start(NodeConfig { models_dir: Some(dir.path().to_path_buf()), ..config }), id)
}

/// A call of the model with inputs of its own, so that no memory has the answer.
fn infer(id: B256, x: i64) -> Bytes {
    let wad = |n: i64| I256::try_from(n).unwrap() * I256::try_from(10u64.pow(18)).unwrap();
    IInference::inferCall { modelId: id, x: vec![wad(x), wad(20)] }.abi_encode().into()
}

/// Sends it, and waits for its receipt.
fn transact(c: Client, call: &Bytes) -> Value {
    let hash =
        c.call("eth_sendTransaction", json!([{"from": account(1), "to": PRECOMPILE, "data": call, "gas": "0x100000"}]));
    wait(|| Some(c.call("eth_getTransactionReceipt", json!([hash]))).filter(Value::is_object))
}

/// The hash of what the first inference of a receipt's block returned.
fn returned(c: Client, receipt: &Value) -> Value {
    c.call("lockstep_inferences", json!([receipt["blockNumber"]]))[0]["returnedHash"].clone()
}

/// keccak256 of what the sound model returns for [`infer`] of the same x.
fn sound(x: i64) -> Value {
    let wad = |n: i64| I256::try_from(n).unwrap() * I256::try_from(10u64.pow(18)).unwrap();
    let output = IInference::inferCall::abi_encode_returns(&vec![wad(2 * x + 1), wad(59)]);
    json!(alloy_primitives::keccak256(output))
}

fn care(c: Client) -> Value {
    c.call("lockstep_care", json!([]))
}

/// Coverage of the cross-check when it has checked so many.
fn checked(c: Client, at_least: u64) -> Value {
    wait(|| {
        let coverage = c.call("lockstep_crossCheck", json!([]));
        (coverage["checked"].as_u64() >= Some(at_least) && coverage["pending"] == 0).then_some(coverage)
    })
}

/// Waits for something that comes.
fn wait<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}
