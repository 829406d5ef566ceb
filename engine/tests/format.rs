//! The model file: what decodes re-encodes to the same bytes; nothing else decodes; nothing panics.

mod support;

use lockstep_engine::format::{decode_graph, encode_graph};
use lockstep_engine::{Limits, LoadedModel, Model};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn files_round_trip(seed: u64, card in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut model = support::random_model(seed, 10);
        model.card = card;
        let bytes = model.encode();
        let again = Model::decode(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(&again.encode(), &bytes);
        prop_assert_eq!(again.id(), model.id());
    }

    /// A mutated file is refused or is itself canonical.
    #[test]
    fn mutations_are_refused_or_canonical(seed: u64, at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = support::random_model(seed, 6).encode();
        let i = at.index(bytes.len());
        bytes[i] ^= 1 << bit;
        if let Ok(m) = Model::decode(&bytes, &Limits::default()) {
            prop_assert_eq!(m.encode(), bytes);
            let _ = LoadedModel::new(m, &Limits::default());
        }
    }

    #[test]
    fn truncated_and_extended_files_are_refused(seed: u64, at: prop::sample::Index) {
        let bytes = support::random_model(seed, 6).encode();
        prop_assert!(Model::decode(&bytes[..at.index(bytes.len())], &Limits::default()).is_err());
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert!(Model::decode(&longer, &Limits::default()).is_err());
    }

    #[test]
    fn random_graph_sections_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok((g, n)) = decode_graph(&bytes) {
            prop_assert_eq!(encode_graph(&g, n), bytes);
            let _ = g.check(&Limits::default());
        }
    }
}

/// Counts that state billions of items are refused by the bytes that are not there.
#[test]
fn stated_counts_allocate_nothing() {
    let good = support::random_model(7, 3);
    let bytes = encode_graph(&good.graph, good.weights.len() as u64);
    for i in 0..bytes.len().saturating_sub(4) {
        let mut b = bytes.clone();
        b[i..i + 4].fill(0xff);
        let _ = decode_graph(&b);
    }
}

/// Another graph, another label, another weight: another model.
#[test]
fn identity_follows_content() {
    let m = support::random_model(3, 5);
    let mut labelled = m.clone();
    labelled.graph.labels = lockstep_engine::Labels::Strings(vec!["no".into(), "yes".into()]);
    let mut swapped = m.clone();
    swapped.graph.labels = lockstep_engine::Labels::Strings(vec!["yes".into(), "no".into()]);
    let mut card = m.clone();
    card.card = b"{}".to_vec();
    assert_ne!(m.id(), labelled.id());
    assert_ne!(labelled.id(), swapped.id());
    assert_eq!(m.id(), card.id(), "the card is no part of the identity");
}

/// MOD-7: what stands in the weights must be values of its type, zero-padded, and finite where a contraction reads it.
#[test]
fn weights_that_are_no_values_are_refused() {
    use lockstep_engine::graph::{Constant, Graph, Input, Node, Output, ValueId};
    use lockstep_engine::ops::{Op, binary, contraction, select};
    use lockstep_engine::{DType, Data, Dim, Tensor};
    let load = |op: Op, operands: &[u32], constants: &[Tensor], edit: &dyn Fn(&mut Vec<u8>)| {
        let g = Graph {
            inputs: vec![Input { name: "x".into(), dtype: DType::F32, shape: vec![Dim::Known(1), Dim::Known(2)] }],
            constants: constants
                .iter()
                .map(|t| Constant { dtype: t.dtype(), shape: t.shape.iter().map(|d| *d as u32).collect() })
                .collect(),
            nodes: vec![Node { op, inputs: operands.iter().map(|v| Some(ValueId(*v))).collect() }],
            outputs: vec![Output { name: "y".into(), value: ValueId(1 + constants.len() as u32) }],
            ..Graph::default()
        };
        let mut model = Model::build(g, constants, Vec::new(), &Limits::default()).unwrap();
        edit(&mut model.weights);
        LoadedModel::new(model, &Limits::default())
    };
    let floats = |v: [f32; 2], shape: &[usize]| Tensor { shape: shape.to_vec(), data: Data::F32(v.to_vec()) };
    let add = || Op::from(binary::Binary { kind: binary::BinaryKind::Add });
    let row = [floats([1.0, 2.0], &[2])];
    assert!(load(add(), &[0, 1], &row, &|_| {}).is_ok());
    assert!(load(add(), &[0, 1], &row, &|w| w[8] = 1).is_err(), "padding is zero");
    assert!(load(add(), &[0, 1], &row, &|w| w[..4].copy_from_slice(&[0, 0, 0xc0, 0xff])).is_err(), "another NaN");
    assert!(load(add(), &[0, 1], &row, &|w| w.truncate(32)).is_err(), "the section ends early");
    let choice = [Tensor { shape: vec![2], data: Data::Bool(vec![true, false]) }];
    assert!(load(select::Select {}.into(), &[1, 0, 0], &choice, &|_| {}).is_ok());
    assert!(load(select::Select {}.into(), &[1, 0, 0], &choice, &|w| w[0] = 2).is_err(), "a bool is 0 or 1");
    let infinite = [floats([1.0, f32::INFINITY], &[2, 1])];
    assert!(load(add(), &[0, 1], &[floats([1.0, f32::INFINITY], &[2])], &|_| {}).is_ok());
    assert!(load(contraction::MatMul {}.into(), &[0, 1], &infinite, &|_| {}).is_err(), "weights are finite");
}
