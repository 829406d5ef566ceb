//! Gas: known before the work, exact, and blind to what is warm (spec section 6).

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use alloy_primitives::{B256, U256, keccak256};
use lockstep_engine::exec::Options;
use lockstep_engine::format::encode_graph;
use lockstep_engine::ops::binary::BinaryKind;
use lockstep_engine::ops::unary::UnaryKind;
use lockstep_engine::{DType, LoadedModel, Tensor};
use lockstep_precompile::registry::{Status, record_slot};
use lockstep_precompile::sink::tensors_hash;
use lockstep_precompile::{
    CallEnv, ChainLimits, Fatal, GasSchedule, InferenceRecord, InferenceSink, ModelFault, ModelStore, Outcome,
    REGISTRY_ADDRESS, RecordWord, RegistryView, execute,
};
use proptest::prelude::*;

use crate::chain::models::{self, Builder, n};
use crate::chain::*;

#[test]
fn every_stage_is_charged_before_the_next() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let data = infer(id, &[1.0, 2.0, 3.0]);
    let words = (data.len() as u64).div_ceil(32);
    // Two nodes with three elements each; five words of result.
    let charges = [700, 16 * words, 2_600, 15 * 8, 65 + 8 * 5];
    let mut sum = 0;
    for (stage, charge) in charges.iter().enumerate() {
        sum += charge;
        let last = stage + 1 == charges.len();
        for gas in [sum - 1, sum] {
            let (seen, out) = chain.call(&data, gas).unwrap();
            let enough = last && gas == sum;
            assert_eq!((seen.ok, seen.used, out.is_empty()), (enough, gas, !enough), "stage {}", stage + 1);
        }
    }
    assert_eq!(chain.ok(&data).0, sum);
}

#[test]
fn describe_pays_for_its_names_and_its_words() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let data = describe(id);
    let (used, out) = chain.ok(&data);
    // 2 nodes with 2 operands each, an input, an output, 3 features.
    assert_eq!(used, 700 + 16 * 2 + 2_600 + 15 * 11 + 8 * out.len() as u64 / 32);
    let question = quote(&data);
    let (cost, out) = chain.ok(&question);
    assert_eq!((quoted(&out), cost), (used, 700 + 16 * 5 + 2_600 + 15 * 11));
}

struct Panics;

impl RegistryView for Panics {
    fn record(&mut self, _: &B256) -> Result<RecordWord, Fatal> {
        panic!("the registry was read before it was paid for");
    }
}

impl ModelStore for Panics {
    fn get(&self, _: &B256) -> Result<Arc<LoadedModel>, ModelFault> {
        panic!("the store was asked");
    }
}

struct Registry(Cell<u32>);

impl RegistryView for Registry {
    fn record(&mut self, _: &B256) -> Result<RecordWord, Fatal> {
        self.0.set(self.0.get() + 1);
        Ok(RecordWord { status: Status::Activated, ..Default::default() })
    }
}

fn core(registry: &mut dyn RegistryView, store: &dyn ModelStore, data: &[u8], gas: u64) -> Outcome {
    let limits = ChainLimits::default();
    let mut env = CallEnv {
        block_number: BLOCK,
        schedule: GasSchedule::by_version(1).unwrap(),
        limits: &limits,
        registry,
        store,
        value: U256::ZERO,
        delegated_to: None,
        memo: None,
        options: Options::default(),
        record: false,
    };
    execute(&mut env, data, gas)
}

#[test]
fn the_registry_is_not_read_before_it_is_paid_for() {
    let data = infer(B256::ZERO, &[1.0]);
    let before = 700 + 16 * (data.len() as u64).div_ceil(32) + 2_600;
    assert_eq!(core(&mut Panics, &Panics, &data, before - 1), Outcome::OutOfGas);
    let Outcome::Fatal(text) = core(&mut Panics, &Panics, &data, before) else { panic!("not fatal") };
    assert!(text.contains("panicked: the registry was read"), "a panic is this node's fault: {text}");
}

#[test]
fn a_call_reads_the_registry_once() {
    let store = lockstep_precompile::ResidentModels::new();
    let id = store.insert(models::affine()).unwrap();
    for data in [infer(id, &[1.0; 3]), describe(id), quote(&infer(id, &[1.0; 3])), quote(&describe(id))] {
        let mut registry = Registry(Cell::new(0));
        assert!(matches!(core(&mut registry, &store, &data, PLENTY), Outcome::Success { .. }));
        assert_eq!(registry.0.get(), 1);
    }
}

#[test]
fn looking_a_model_up_leaves_no_warmth() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let model = ask(&infer(id, &[1.0, 2.0, 3.0]), PLENTY);
    // The registry's code here loads the slot that it is given.
    let slot: [u8; 32] = record_slot(&id).to_be_bytes();
    let load = Step { target: REGISTRY_ADDRESS, data: slot.to_vec(), ..ask(&[], 100_000) };
    let (alone, _) = chain.probe(std::slice::from_ref(&load)).unwrap();
    let (seen, _) = chain.probe(&[model.clone(), load.clone(), model.clone(), load.clone()]).unwrap();
    assert_eq!(seen[1], alone[0], "as cold as without a look-up");
    assert_eq!(seen[0], seen[2], "the same when the caller has warmed account and slot");
    assert_eq!(seen[1].used - seen[3].used, 2_500 + 2_000, "the caller's own warmth stays");
    // A look-up that reverts, too.
    let unknown = ask(&infer(B256::ZERO, &[]), PLENTY);
    assert_eq!(chain.probe(&[unknown, load]).unwrap().0[1], alone[0]);
}

#[test]
fn calls_change_no_state_whether_they_succeed_or_fail() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let good = infer(id, &[1.0, 2.0, 3.0]);
    let steps = [ask(&good, PLENTY), ask(&good, 100), ask(&infer(id, &[1.0]), PLENTY), ask(&quote(&good), PLENTY)];
    let (seen, _) = chain.probe(&steps).unwrap();
    assert_eq!(seen.iter().map(|s| s.ok).collect::<Vec<_>>(), [true, false, false, true]);
    let result = chain.transact(PROBE, 0, steps.iter().flat_map(|s| s.data.clone()).collect()).unwrap();
    for (address, account) in &result.state {
        assert!(account.storage.values().all(|s| s.original_value == s.present_value), "{address}");
        let before = chain.db.cache.accounts.get(address).map(|a| a.info.clone()).unwrap_or_default();
        assert_eq!(account.info.balance, before.balance, "{address}");
        assert_eq!(account.info.code_hash, before.code_hash, "{address}");
        assert!(account.info.nonce == before.nonce || *address == CALLER);
    }
}

#[derive(Default)]
struct Records(Mutex<Vec<InferenceRecord>>);

impl InferenceSink for Records {
    fn record(&self, record: InferenceRecord) {
        self.0.lock().unwrap().push(record);
    }
}

#[test]
fn a_sink_gets_each_successful_inference_in_order() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let sink = Arc::new(Records::default());
    let good = infer(id, &[1.0, 2.0, 3.0]);
    let (gas, out) = chain.ok(&good);
    chain.sink = Some(sink.clone());
    let calls =
        [good.clone(), quote(&good), infer(id, &[1.0]), describe(id), run(id, vec![floats(&[1, 3], &[0.0; 3])])];
    let steps: Vec<Step> = calls.iter().map(|c| ask(c, PLENTY)).collect();
    chain.probe(&steps).unwrap();
    let records = sink.0.lock().unwrap();
    assert_eq!(records.len(), 2, "infer and run; not quote, describe, or what failed");
    let input = Tensor::new(vec![1, 3], lockstep_engine::Data::F32(vec![1.0, 2.0, 3.0])).unwrap();
    let output = Tensor::new(vec![1, 3], lockstep_engine::Data::F32(vec![1.5, 4.5, 9.5])).unwrap();
    let first = InferenceRecord {
        model_id: id,
        selector: good[..4].try_into().unwrap(),
        inputs: Arc::new(vec![input]),
        outputs_hash: tensors_hash(&[output]),
        returned_hash: keccak256(&out),
        gas,
    };
    assert_eq!(records[0], first);
    assert_eq!(records[1].selector, run(id, vec![])[..4]);
}

/// A chain of operators over rows of `width`, with all kinds of prices.
fn random_model(width: u64, ops: &[u8]) -> LoadedModel {
    let mut b = Builder::new(&["rows"]);
    let x = b.input("x", DType::F32, &[n(), width.into()]);
    let c = b.constant(models::vector(&[1.25]));
    let mut v = b.binary(BinaryKind::Mul, x, c);
    for op in ops {
        v = match op % 8 {
            0 => b.unary(UnaryKind::Neg, v),
            1 => b.unary(UnaryKind::Abs, v),
            2 => b.unary(UnaryKind::Atan, v),
            3 => b.unary(UnaryKind::Sigmoid, v),
            4 => b.binary(BinaryKind::Add, v, c),
            5 => b.binary(BinaryKind::Min, v, c),
            6 => b.binary(BinaryKind::Max, x, v),
            _ => b.binary(BinaryKind::Div, v, c),
        };
        if op & 64 != 0 {
            b.output(&format!("o{}", b.graph.outputs.len()), v);
        }
    }
    b.output("y", v);
    b.load()
}

proptest! {
    #[test]
    fn quote_is_what_is_charged_warm_or_cold(
        width in 1u64..6,
        rows in 1u32..9,
        ops in prop::collection::vec(any::<u8>(), 0..12),
        values in prop::collection::vec(-2000.0f32..2000.0, 48),
    ) {
        let model = random_model(width, &ops);
        let graph = encode_graph(&model.graph, model.weights_length);
        let mut chain = Chain::new();
        let id = chain.add(model);
        let n = width as usize * rows as usize;
        let x: Vec<f64> = values[..n].iter().map(|v| f64::from(*v)).collect();
        let calls = [
            infer(id, &x),
            classify(id, &x),
            run(id, vec![floats(&[rows, width as u32], &values[..n])]),
            describe(id),
            validate(&graph),
        ];
        for call in &calls {
            let question = quote(call);
            // Asked before, between and after, in one transaction and in others.
            let steps = [ask(&question, PLENTY), ask(call, PLENTY), ask(call, PLENTY), ask(&question, PLENTY)];
            let (seen, out) = chain.probe(&steps).unwrap();
            prop_assert!(seen.iter().all(|s| s.ok));
            prop_assert_eq!(seen[1].used, quoted(&out));
            prop_assert_eq!(&seen[1], &seen[2]);
            prop_assert_eq!(&seen[0], &seen[3]);
            prop_assert_eq!(chain.ok(call).0, quoted(&out));
            prop_assert_eq!(quoted(&chain.ok(&question).1), quoted(&out));
            // Exactly that much is enough, one less is not.
            prop_assert!(chain.call(call, quoted(&out)).unwrap().0.ok);
            prop_assert!(!chain.call(call, quoted(&out) - 1).unwrap().0.ok);
        }
    }

    /// Whatever comes, the answer is a result, a revert or out of gas, within the gas; twice the same.
    #[test]
    fn no_call_data_panics(
        seed in 0usize..8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        body in prop::collection::vec(any::<u8>(), 0..200),
        gas in 0u64..20_000,
    ) {
        let store = lockstep_precompile::ResidentModels::new();
        let id = store.insert(models::all_types()).unwrap();
        let add = store.insert(models::add()).unwrap();
        let graph = encode_graph(&models::affine().graph, 128);
        let mut data = match seed {
            0 => infer(id, &[0.5, 2.0, -3.0, 4.0, 5.0, 1.0]),
            1 => classify(id, &[0.5, 2.0, -3.0, 4.0, 5.0, 1.0]),
            2 => run(add, vec![floats(&[1, 2], &[1.0; 2]), floats(&[1, 2], &[2.0; 2])]),
            3 => quote(&run(add, vec![floats(&[2, 1], &[1.0; 2]), floats(&[2, 1], &[2.0; 2])])),
            4 => describe(id),
            5 => validate(&graph),
            6 => [&infer(id, &[])[..4], &body].concat(),
            _ => body,
        };
        for (at, byte) in &changes {
            if !data.is_empty() {
                let at = at.index(data.len());
                data[at] = *byte;
            }
        }
        if changes.len() == 3 {
            data.truncate(cut.index(data.len() + 1));
        }
        // Ids that the mutation made up are known to this registry but not to the store: this node's fault.
        let made_up = |o: &Outcome| matches!(o, Outcome::Fatal(t) if t.contains("does not hold"));
        for gas in [gas, PLENTY] {
            let mut registry = Registry(Cell::new(0));
            let first = core(&mut registry, &store, &data, gas);
            match &first {
                Outcome::Success { gas_used, .. } | Outcome::Revert { gas_used, .. } => prop_assert!(*gas_used <= gas),
                Outcome::OutOfGas => {}
                Outcome::Fatal(t) => prop_assert!(made_up(&first), "{t}"),
            }
            prop_assert_eq!(core(&mut registry, &store, &data, gas), first);
        }
    }
}
