//! The decoder of calls: exactly what `abi.encode` writes is accepted (spec ABI-2).

use alloy_primitives::{B256, I256};
use alloy_sol_types::SolCall;
use lockstep_precompile::abi::IInference::{
    IInferenceCalls, classifyCall, describeCall, inferCall, quoteCall, runCall, validateCall,
};
use lockstep_precompile::abi::{Call, DecodeError, NotCanonical, Tensor, decode};
use proptest::prelude::*;

fn encode_again(call: &Call<'_>) -> Vec<u8> {
    let ints = |x: &lockstep_precompile::abi::Words<'_>| x.iter().map(|w| I256::from_be_bytes(*w)).collect();
    match call {
        Call::Infer { model_id, x } => inferCall { modelId: *model_id, x: ints(x) }.abi_encode(),
        Call::Classify { model_id, x } => classifyCall { modelId: *model_id, x: ints(x) }.abi_encode(),
        Call::Run { model_id, inputs } => {
            let inputs = inputs
                .iter()
                .map(|t| Tensor { dtype: t.dtype, shape: t.shape.iter_u32().collect(), data: t.data.to_vec().into() })
                .collect();
            runCall { modelId: *model_id, inputs }.abi_encode()
        }
        Call::Quote { call } => quoteCall { call: call.to_vec().into() }.abi_encode(),
        Call::Describe { model_id } => describeCall { modelId: *model_id }.abi_encode(),
        Call::Validate { graph } => validateCall { graph: graph.to_vec().into() }.abi_encode(),
    }
}

fn any_call() -> impl Strategy<Value = Vec<u8>> {
    let id = || any::<[u8; 32]>().prop_map(B256::from);
    let ints = || prop::collection::vec(any::<[u8; 32]>().prop_map(I256::from_be_bytes), 0..6);
    let tensor = (any::<u8>(), prop::collection::vec(any::<u32>(), 0..4), prop::collection::vec(any::<u8>(), 0..70))
        .prop_map(|(dtype, shape, data)| Tensor { dtype, shape, data: data.into() });
    let bytes = || prop::collection::vec(any::<u8>(), 0..100);
    prop_oneof![
        (id(), ints()).prop_map(|(id, x)| inferCall { modelId: id, x }.abi_encode()),
        (id(), ints()).prop_map(|(id, x)| classifyCall { modelId: id, x }.abi_encode()),
        (id(), prop::collection::vec(tensor, 0..4))
            .prop_map(|(id, inputs)| runCall { modelId: id, inputs }.abi_encode()),
        bytes().prop_map(|b| quoteCall { call: b.into() }.abi_encode()),
        bytes().prop_map(|b| validateCall { graph: b.into() }.abi_encode()),
        id().prop_map(|id| describeCall { modelId: id }.abi_encode()),
    ]
}

/// Either a call that encodes to the same bytes, or refused at an offset within the data.
fn refused_or_itself(data: &[u8]) {
    match decode(data) {
        Ok(call) => assert_eq!(encode_again(&call), data),
        Err(DecodeError::NotCanonical(NotCanonical(at))) => {
            assert!(at >= 4 && at <= data.len() && at % 32 == 4 || at == data.len(), "{at} of {}", data.len());
        }
        Err(DecodeError::UnknownSelector(s)) => {
            assert!(data.len() < 4 || data[..4] == s && !IInferenceCalls::SELECTORS.contains(&s));
        }
    }
}

proptest! {
    #[test]
    fn what_alloy_encodes_decodes_to_itself(data in any_call()) {
        prop_assert_eq!(encode_again(&decode(&data).unwrap()), data);
    }

    #[test]
    fn every_flipped_bit_is_refused_or_another_call(data in any_call()) {
        for bit in 0..data.len() * 8 {
            let mut d = data.clone();
            d[bit / 8] ^= 1 << (bit % 8);
            refused_or_itself(&d);
        }
    }

    #[test]
    fn every_replaced_word_is_refused_or_another_call(data in any_call(), word: [u8; 32], small in 0u64..400) {
        let mut small_word = [0u8; 32];
        small_word[24..].copy_from_slice(&small.to_be_bytes());
        for at in (4..data.len()).step_by(32) {
            for w in [&word, &small_word, &[0xff; 32], &[0; 32]] {
                let mut d = data.clone();
                d[at..at + 32].copy_from_slice(w);
                refused_or_itself(&d);
            }
        }
    }

    #[test]
    fn every_cut_and_every_extension_is_refused(data in any_call(), tail in prop::collection::vec(any::<u8>(), 1..70)) {
        for n in 4..data.len() {
            prop_assert!(matches!(decode(&data[..n]), Err(DecodeError::NotCanonical(_))));
        }
        let longer = [data.as_slice(), &tail].concat();
        prop_assert_eq!(decode(&longer), Err(NotCanonical(data.len()).into()));
    }

    #[test]
    fn words_removed_and_doubled_are_refused_or_another_call(data in any_call()) {
        for at in (4..data.len()).step_by(32) {
            refused_or_itself(&[&data[..at], &data[at + 32..]].concat());
            refused_or_itself(&[&data[..at + 32], &data[at..]].concat());
        }
    }

    #[test]
    fn random_bytes_never_panic(selector in 0usize..6, body in prop::collection::vec(any::<u8>(), 0..300)) {
        refused_or_itself(&[&IInferenceCalls::SELECTORS[selector][..], &body].concat());
        refused_or_itself(&body);
    }
}

/// `run` with two tensors: offsets from the selector of each word are in the comments.
fn two_tensors() -> Vec<u8> {
    let t = |shape: Vec<u32>, data: Vec<u8>| Tensor { dtype: 2, shape, data: data.into() };
    // id 4, offset 36, count 68, offsets 100 132; tensor 0: dtype 164, offsets 196 228, rank 260, dim 292,
    // length 324, data 356; tensor 1: dtype 388, offsets 420 452, rank 484, length 516.
    runCall { modelId: B256::ZERO, inputs: vec![t(vec![5], vec![1; 5]), t(vec![], vec![])] }.abi_encode()
}

fn with_word(data: &[u8], at: usize, value: u64) -> Vec<u8> {
    let mut d = data.to_vec();
    d[at..at + 32].fill(0);
    d[at + 24..at + 32].copy_from_slice(&value.to_be_bytes());
    d
}

#[test]
fn the_first_offending_word_is_named() {
    let good = two_tensors();
    assert_eq!(good.len(), 548);
    assert!(decode(&good).is_ok());
    let at = |d: &[u8]| match decode(d) {
        Err(DecodeError::NotCanonical(NotCanonical(at))) => at,
        other => panic!("{other:?}"),
    };
    // Offsets: aliased, swapped, padded.
    assert_eq!(at(&with_word(&good, 36, 0x60)), 36);
    assert_eq!(at(&with_word(&good, 132, 0x40)), 132, "an alias of tensor 0");
    assert_eq!(at(&with_word(&good, 100, 0x120)), 100, "out of order");
    assert_eq!(at(&with_word(&good, 196, 0x80)), 196);
    assert_eq!(at(&with_word(&good, 228, 0x60)), 228, "data aliased to the shape");
    // Lengths that exceed what remains.
    assert_eq!(at(&with_word(&good, 68, 1 << 40)), 68);
    assert_eq!(at(&with_word(&good, 260, 1 << 20)), 260);
    assert_eq!(at(&with_word(&good, 324, u64::MAX)), 324);
    // Integers outside their type.
    assert_eq!(at(&with_word(&good, 164, 256)), 164);
    assert_eq!(at(&with_word(&good, 292, 1 << 32)), 292);
    // Padding.
    let mut dirty = good.clone();
    dirty[356 + 31] = 1;
    assert_eq!(at(&dirty), 356);
    // Trailing bytes, and a cut in the middle of a word.
    assert_eq!(at(&[good.as_slice(), &[0; 32]].concat()), 548);
    assert_eq!(at(&good[..530]), 516);
    assert_eq!(at(&good[..4]), 4);
}

#[test]
fn selectors_are_taken_from_what_there_is() {
    assert_eq!(decode(&[]), Err(DecodeError::UnknownSelector([0; 4])));
    assert_eq!(decode(&[1, 2]), Err(DecodeError::UnknownSelector([1, 2, 0, 0])));
    for selector in IInferenceCalls::SELECTORS {
        // Known, so that only its arguments are missing.
        assert_eq!(decode(selector), Err(NotCanonical(4).into()), "{selector:x?} is not dispatched");
    }
}
