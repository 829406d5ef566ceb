//! A bit flipped in resident weights: found by their sum before a block or a verdict rests on them, and by hashing.

use super::*;
use alloy_primitives::hex;
use alloy_rlp::Decodable;
use lockstep_node_ext::{
    GenesisSource,
    care::Defences,
    chain::{ChainError, genesis::dev_genesis},
    primitives::Block,
};

/// Forwards its call data to the precompile and logs what comes back: the answer is part of the receipt.
const LOG: &str = "365f5f375f5f365f610a115afa503d5f5f3e3d5fa000";

fn flip(c: Client, id: B256) {
    // Bit 31 of the second constant's first element: the sign of the bias.
    c.call("lockstep_injectFault", json!([{"modelId": id, "tensor": 1, "bit": 31, "weights": "overwritten"}]));
}

#[test]
fn a_bit_flipped_in_resident_weights_never_enters_a_block() {
    let (node, id) = started(NodeConfig::default());
    let c = node.client;
    flip(c, id);
    let receipt = transact(c, &infer(id, 5));
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(returned(c, &receipt), sound(5));
    assert_eq!(checked(c, 1)["findings"], 0);
    let care = care(c);
    assert_eq!((&care["damaged"], &care["reloaded"], &care["sealingStopped"]), (&json!(1), &json!(1), &json!(null)));
    tell(
        "bit flipped in resident weights",
        "the sum over the weights that the block used; the model is loaded again, the block built again",
        "nothing",
    );
}

/// The flipped bit makes the bias infinite, so that the call fails: a wrong failure is a wrong answer.
#[test]
fn a_flipped_bit_that_makes_calls_fail_never_enters_a_block() {
    for (resident_sum, status) in [(true, "0x1"), (false, "0x0")] {
        let defences = Defences { resident_sum, ..Default::default() };
        let (node, id) = started(NodeConfig { defences, ..Default::default() });
        let c = node.client;
        c.call("lockstep_injectFault", json!([{"modelId": id, "tensor": 1, "bit": 30, "weights": "overwritten"}]));
        assert_eq!(transact(c, &infer(id, 5))["status"], status);
    }
}

#[test]
fn without_the_sum_a_flipped_bit_gets_into_a_block() {
    let defences = Defences { resident_sum: false, ..Default::default() };
    let (node, id) = started(NodeConfig { defences, ..Default::default() });
    let c = node.client;
    flip(c, id);
    assert_ne!(returned(c, &transact(c, &infer(id, 5))), sound(5));
    assert_eq!(checked(c, 1)["findings"], 1, "the cross-check comes after");
}

/// Nobody calls the model: the flip is found all the same, also one that its sum does not show.
#[test]
fn hashing_again_finds_a_flipped_bit_before_anybody_asks() {
    for guard in ["overwritten", "forged"] {
        for scrub_every in [Some(Duration::from_millis(10)), None] {
            let defences = Defences { scrub_every, ..Default::default() };
            let (node, id) = started(NodeConfig { defences, ..Default::default() });
            let c = node.client;
            c.call("lockstep_injectFault", json!([{"modelId": id, "tensor": 0, "bit": 3, "weights": guard}]));
            if scrub_every.is_some() {
                wait(|| (care(c)["reloaded"] == 1).then_some(()));
                assert_eq!(returned(c, &transact(c, &infer(id, 6))), sound(6));
                assert_eq!(checked(c, 1)["findings"], 0);
            } else {
                std::thread::sleep(Duration::from_millis(300));
                assert_eq!((&care(c)["scrubbed"], &care(c)["damaged"]), (&json!(0), &json!(0)), "it lies there");
            }
        }
    }
    tell("bit flipped in weights that nobody uses", "resident models are hashed again, one a minute", "nothing");
}

/// A validator whose weights were flipped must not call a good block bad.
#[test]
fn a_verdict_never_rests_on_flipped_weights() {
    let (miner, id) = started(NodeConfig::default());
    let c = miner.client;
    let length = LOG.len() / 2;
    let init = format!("0x60{length:02x}600c5f3960{length:02x}5ff30000{LOG}");
    let deployed = c.transact(json!({"from": account(1), "data": init}));
    let logger = &deployed["contractAddress"];
    let receipt = c.transact(json!({"from": account(1), "to": logger, "data": infer(id, 7), "gas": "0x100000"}));
    assert_eq!(receipt["logs"].as_array().map(Vec::len), Some(1));
    let block = |number: u64| {
        let raw = c.call("debug_getRawBlock", json!([format!("{number:#x}")]));
        Block::decode(&mut hex::decode(raw.as_str().unwrap()).unwrap().as_slice()).unwrap()
    };
    let last = crate::common::quantity(&receipt["blockNumber"]);
    for resident_sum in [true, false] {
        let genesis = GenesisSource::Inline { genesis: Box::new(dev_genesis().unwrap()), dev: false };
        let defences = Defences { resident_sum, ..Default::default() };
        let follower = Running::start(NodeConfig { genesis, defences, ..Default::default() });
        let chain = follower.handle().chain();
        for number in 1..last {
            chain.set_head(chain.import(block(number)).unwrap()).unwrap();
        }
        let models = follower.handle().models();
        let model = lockstep_precompile::ModelStore::get(models.as_ref(), &id).unwrap();
        models.insert_as(id, std::sync::Arc::new(model.with_flipped_bit(1, 31).unwrap())).unwrap();
        let error = chain.import(block(last)).expect_err("the weights are wrong");
        if resident_sum {
            assert!(matches!(error, ChainError::Stalled { .. }), "no verdict: {error}");
            wait(|| (follower.handle().care().counts().reloaded == 1).then_some(()));
            chain.set_head(chain.import(block(last)).unwrap()).unwrap();
        } else {
            assert!(matches!(error, ChainError::Invalid { .. }), "without the sum a good block is called bad: {error}");
        }
    }
    tell(
        "bit flipped in a validator's weights",
        "the sum: no verdict on the block until the model is loaded again",
        "nothing",
    );
}

/// The head's state does not know the model: it is loaded again from the branch that activated it.
#[test]
fn a_damaged_model_of_a_side_branch_is_loaded_again() {
    let (miner, id) = started(NodeConfig::default());
    let c = miner.client;
    let last = c.number("eth_blockNumber", json!([]));
    let genesis = GenesisSource::Inline { genesis: Box::new(dev_genesis().unwrap()), dev: false };
    let defences = Defences { scrub_every: Some(Duration::from_millis(10)), ..Default::default() };
    let other = Running::start(NodeConfig { genesis, defences, ..Default::default() });
    let chain = other.handle().chain();
    for number in 1..=last {
        chain.import(crate::consensus::block_of(c, number)).unwrap();
    }
    assert_eq!(chain.head().header.number, 0, "it is no head's branch");
    let models = other.handle().models();
    let model = lockstep_precompile::ModelStore::get(models.as_ref(), &id).unwrap();
    models.insert_as(id, std::sync::Arc::new(model.with_flipped_bit(1, 31).unwrap())).unwrap();
    wait(|| (other.handle().care().counts().reloaded == 1).then_some(()));
    let again = lockstep_precompile::ModelStore::get(models.as_ref(), &id).unwrap();
    again.check_content().unwrap();
}
