//! Models that one transaction cannot register: in steps, cut at any of them, taken up by somebody else.

use crate::common::{Running, account, mlp_model, quantity};
use alloy_primitives::{Address, B256, Bytes, I256, hex};
use alloy_sol_types::{SolCall, sol};
use lockstep_engine::{DType, Data, Limits, LoadedModel, Tensor, exec::Options};
use lockstep_node_ext::{
    NodeConfig,
    evm::REGISTRY_ADDRESS,
    publish::{self, Included, Outgoing, Plan, PublishError, Registration, Transport},
};
use lockstep_precompile::wad;
use serde_json::json;
use std::time::{Duration, Instant};

sol! {
    function infer(bytes32 modelId, int256[] x) external view returns (int256[] y);
    function weightsAppended(bytes32 modelId) external view returns (uint256 appended, uint256 all);
}

const PRECOMPILE: &str = "0x0000000000000000000000000000000000000a11";

/// A dev account that sends so many more transactions, then is cut off.
pub(crate) struct Cut<'a> {
    pub(crate) node: &'a Running,
    pub(crate) from: Address,
    pub(crate) left: usize,
    pub(crate) sent: usize,
}

impl Transport for Cut<'_> {
    fn have_code(&mut self, addresses: &[Address]) -> Result<Vec<bool>, PublishError> {
        let state = self.node.handle().chain().head_state().unwrap();
        Ok(addresses.iter().map(|address| !state.code(*address).unwrap().is_empty()).collect())
    }

    fn call(&mut self, data: Bytes) -> Result<Bytes, PublishError> {
        let answer = self.node.client.call("eth_call", json!([{"to": REGISTRY_ADDRESS, "data": data}, "latest"]));
        Ok(serde_json::from_value(answer).unwrap())
    }

    fn block_number(&mut self) -> Result<u64, PublishError> {
        Ok(self.node.handle().chain().head().header.number)
    }

    fn block_gas(&mut self) -> Result<u64, PublishError> {
        Ok(self.node.handle().chain().head().header.gas_limit)
    }

    fn send(&mut self, transactions: Vec<Outgoing>) -> Result<Vec<Included>, PublishError> {
        let mut included = Vec::new();
        for outgoing in transactions {
            if self.left == 0 {
                return Err(PublishError::Transport("cut".into()));
            }
            (self.left, self.sent) = (self.left - 1, self.sent + 1);
            let mut tx =
                json!({"from": self.from, "to": REGISTRY_ADDRESS, "data": outgoing.data, "value": outgoing.value});
            if let Some(gas) = outgoing.gas {
                tx["gas"] = json!(format!("{gas:#x}"));
            }
            let receipt = self.node.client.transact(tx);
            included.push(Included {
                hash: serde_json::from_value(receipt["transactionHash"].clone()).unwrap(),
                success: receipt["status"] == "0x1",
                gas_used: quantity(&receipt["gasUsed"]),
            });
        }
        Ok(included)
    }
}

fn steps(plan: &Plan) -> usize {
    match &plan.registration {
        Registration::InSteps(staged) => staged.all().div_ceil(256),
        Registration::AtOnce(_) | Registration::OffChain(_) => {
            panic!("the model is meant to be too large for one transaction")
        }
    }
}

/// The node answers with the bits of the file's model.
pub(crate) fn assert_answers(node: &Running, file: &[u8], id: B256, width: usize) {
    let words: Vec<I256> = (0..width).map(|i| wad::from_f32(i as f32 / width as f32).unwrap()).collect();
    let x: Vec<f32> = words.iter().map(|word| wad::to_f32(*word).unwrap()).collect();
    let call = Bytes::from(inferCall { modelId: id, x: words }.abi_encode());
    let answer = node.client.call("eth_call", json!([{"to": PRECOMPILE, "data": call}, "latest"]));
    let answer = hex::decode(answer.as_str().unwrap()).unwrap();
    let limits = Limits::default();
    let model = LoadedModel::from_file(file, &limits).unwrap();
    let plan = model.plan(&[(DType::F32, &[1, width])], &limits).unwrap();
    let y = model.run(&plan, vec![Tensor::new(vec![1, width], Data::F32(x)).unwrap()], &Options::default()).unwrap();
    let y: Vec<I256> = y[0].as_f32().unwrap().iter().map(|v| wad::from_f32(*v).unwrap()).collect();
    assert_eq!(inferCall::abi_decode_returns(&answer).unwrap(), y);
}

/// Wherever it is cut, the next run goes on, with another account, and sends nothing twice.
#[test]
fn registration_in_steps_is_taken_up_by_anyone() {
    let node = Running::dev();
    let file = mlp_model(13, 512);
    let plan = publish::plan(&file, &Default::default()).unwrap();
    assert_eq!(steps(&plan), 3);
    assert_eq!(plan.cost.transactions, plan.chunks.len() + 1 + 3 + 1);
    // Cut among the chunks, before and after opening, between the lists, before the activation.
    let chunks = plan.chunks.len();
    let cuts = [100, chunks - 100, 1, 1, 1, 1, 1];
    let mut sent = 0;
    for (k, left) in cuts.into_iter().enumerate() {
        let mut cut = Cut { node: &node, from: account(k), left, sent: 0 };
        let done = publish::publish(&plan, &mut cut, &mut |_| {});
        assert_eq!(cut.sent, left, "{done:?}");
        sent += left;
        assert_eq!(done.is_ok(), sent == plan.cost.transactions, "{done:?}");
        let call = weightsAppendedCall { modelId: plan.model_id }.abi_encode();
        let answer = weightsAppendedCall::abi_decode_returns(&cut.call(call.into()).unwrap()).unwrap();
        let listed = (sent.saturating_sub(chunks + 1) * 256).min(chunks - 1);
        assert_eq!(answer.appended.to::<usize>(), listed, "after {sent} transactions");
    }
    assert_eq!(sent, plan.cost.transactions);
    let mut again = Cut { node: &node, from: account(9), left: 0, sent: 0 };
    let done = publish::publish(&plan, &mut again, &mut |_| {}).unwrap();
    node.client.call("anvil_mine", json!([done.activation_block]));
    let began = Instant::now();
    while !node.handle().models().contains(&plan.model_id) {
        assert!(began.elapsed() < Duration::from_secs(60), "the model is not loaded");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_answers(&node, &file, plan.model_id, 512);
}

/// More than 30 MB: every chunk on the chain, the cost known before, resident and right, also after a restart.
#[test]
fn thirty_megabytes_are_published_loaded_and_answer() {
    let (models, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = mlp_model(8, 1024);
    let plan = publish::plan(&file, &Default::default()).unwrap();
    std::fs::write(models.path().join("mlp.lsm"), &file).unwrap();
    let config = || NodeConfig {
        models_dir: Some(models.path().to_path_buf()),
        datadir: Some(data.path().to_path_buf()),
        ..Default::default()
    };
    let began = Instant::now();
    let node = Running::start(config());
    let published = &node.handle().published()[0].published;
    eprintln!(
        "{} bytes in {} transactions and {} blocks, {} gas (planned {}), {:?}",
        plan.weights_length,
        published.transactions,
        node.client.number("eth_blockNumber", json!([])),
        published.gas_used,
        plan.cost.total(),
        began.elapsed()
    );
    assert_eq!(published.transactions, plan.cost.transactions);
    let (used, planned) = (published.gas_used, plan.cost.total());
    assert!(used <= planned && planned <= used + used / 20, "planned {planned}, used {used}");
    // Half full blocks do not raise the base fee.
    let head = node.client.call("eth_getBlockByNumber", json!(["latest", false]));
    assert!(quantity(&head["baseFeePerGas"]) <= 1_000_000_000, "{head}");
    assert_eq!(node.client.call("lockstep_models", json!([]))[0]["resident"], true);
    assert_answers(&node, &file, plan.model_id, 1024);
    node.stop();
    let node = Running::start(config());
    assert_eq!(node.handle().published()[0].published.transactions, 0);
    assert_answers(&node, &file, plan.model_id, 1024);
}
