//! The decoder of calls: refuses, or gives what Solidity's encoder would have written; nothing panics, and no gas is lost.
#![no_main]

use alloy_primitives::B256;
use lockstep_engine::exec::Options;
use lockstep_precompile::gas::SCHEDULES;
use lockstep_precompile::registry::Status;
use lockstep_precompile::{CallEnv, ChainLimits, Fatal, Outcome, RecordWord, ResidentModels, execute};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let store = ResidentModels::new();
    let _ = store.insert_invalid(B256::ZERO, "no weights".into());
    let word = RecordWord { status: Status::Activated, activation_block: 0, ls1_version: 1, graph_length: 0, weights_length: 0 };
    let mut registry = |_: &B256| -> Result<RecordWord, Fatal> { Ok(word) };
    let mut env = CallEnv {
        block_number: 1,
        schedule: &SCHEDULES[0],
        limits: &ChainLimits::default(),
        registry: &mut registry,
        store: &store,
        value: Default::default(),
        delegated_to: None,
        memo: None,
        options: Options::default(),
        record: false,
    };
    let gas = 30_000_000;
    match execute(&mut env, bytes, gas) {
        Outcome::Success { gas_used, .. } | Outcome::Revert { gas_used, .. } => assert!(gas_used <= gas),
        Outcome::OutOfGas => {}
        // A model that the node lacks is this node's fault; nothing else here may be.
        Outcome::Fatal(text) => assert!(!text.contains("panic"), "{text}"),
    }
    let _ = lockstep_precompile::abi::decode(bytes);
});
