//! Bytes from anywhere: never a panic, never a model that the engine does not accept.

use std::path::PathBuf;

use crate::common::*;
use lockstep_engine::{Limits, LoadedModel};
use lockstep_importer::{ImportOptions, import};
use proptest::prelude::*;

fn model(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models").join(name).join("model.onnx");
    std::fs::read(path).expect("a model")
}

/// Imports; what is accepted has to load.
fn survive(bytes: &[u8]) {
    if let Ok(m) = import(bytes, &ImportOptions::default()) {
        let _ = LoadedModel::new(m.model, &Limits::default());
    }
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn mutated_models_are_refused_or_imported(
        which in 0usize..4,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = model(["wine_mixed", "digits_mlp", "iris_forest", "volatility_mlp"][which]);
        for (at, value) in edits {
            let i = at.index(bytes.len());
            bytes[i] = value;
        }
        if let Some(at) = cut {
            bytes.truncate(at.index(bytes.len()));
        }
        survive(&bytes);
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(import(&bytes, &ImportOptions::default()).is_err());
    }

    #[test]
    fn wild_numbers_in_attributes_and_shapes(
        op in 0usize..OPERATORS.len(),
        dims in prop::collection::vec(wild(), 0..5),
        numbers in prop::collection::vec(wild(), 0..6),
        attribute in wild(),
        opset in prop::sample::select(vec![1i64, 6, 9, 11, 13, 18, 23]),
    ) {
        let (name, lists, scalars) = OPERATORS[op];
        let shape: Vec<D> = dims.iter().map(|d| D::N(*d)).collect();
        let mut attributes: Vec<_> = lists.iter().map(|n| ints(n, &numbers)).collect();
        attributes.extend(scalars.iter().map(|n| int(n, attribute)));
        let m = onnx(opset)
            .input("x", F, &shape)
            .constant("n", t_i64(&[numbers.len() as i64], &numbers))
            .constant("k", t_i64(&[1], &[attribute]))
            .constant("v", t_f32(&[2], &[0.0, 1.0]));
        for operands in [&["x"][..], &["x", "n"], &["x", "n", "n"], &["n", "k", "v"], &["n"], &["x", "x"]] {
            survive(&m.clone().node(name, operands, &["y"], &attributes).output("y").bytes());
        }
    }
}

/// Each node doubles its constant: folded only while that is small.
#[test]
fn folding_does_not_multiply_constants() {
    let mut m = onnx(13).input("x", F, &[D::N(1)]).constant("c0", t_f32(&[1024], &[1.0; 1024]));
    for i in 0..40 {
        m = m.node("Concat", &[&format!("c{i}"), &format!("c{i}")], &[&format!("c{}", i + 1)], &[int("axis", 0)]);
    }
    let m = m
        .node("ReduceMax", &["c40"], &["top"], &[int("keepdims", 0)])
        .node("Add", &["x", "top"], &["y"], &[])
        .output("y");
    let imported = m.import().expect("a graph whose dimensions are large, and refused at the call");
    assert!(imported.model.weights.len() <= 1 << 20, "{}", imported.model.weights.len());
    assert!(try_run(&imported, &[x(&[1], &[0.0])]).is_err());
}

fn wild() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => -4i64..9,
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, i64::MIN + 1, 1 << 31, 1 << 32, 1 << 40, 1 << 62, -(1 << 31)]),
    ]
}

/// Operators with the attributes that are lists of integers, and those that are integers.
const OPERATORS: &[(&str, &[&str], &[&str])] = &[
    ("Reshape", &[], &["allowzero"]),
    ("Slice", &["starts", "ends", "axes"], &[]),
    ("Tile", &[], &[]),
    ("Expand", &[], &[]),
    ("Pad", &["pads"], &[]),
    ("Transpose", &["perm"], &[]),
    ("Squeeze", &["axes"], &[]),
    ("Unsqueeze", &["axes"], &[]),
    ("Split", &["split"], &["axis"]),
    ("Concat", &[], &["axis"]),
    ("Gather", &[], &["axis"]),
    ("OneHot", &[], &["axis"]),
    ("Trilu", &[], &["upper"]),
    ("ConstantOfShape", &[], &[]),
    ("EyeLike", &[], &["k", "dtype"]),
    ("Flatten", &[], &["axis"]),
    ("Softmax", &[], &["axis"]),
    ("Hardmax", &[], &["axis"]),
    ("ReduceSum", &["axes"], &[]),
    ("ArgMax", &[], &["axis"]),
    ("MaxPool", &["kernel_shape", "strides", "pads", "dilations"], &[]),
    ("AveragePool", &["kernel_shape"], &[]),
    ("Conv", &["kernel_shape", "strides"], &["group"]),
    ("LRN", &[], &["size"]),
    ("DepthToSpace", &[], &["blocksize"]),
    ("SpaceToDepth", &[], &["blocksize"]),
    ("LayerNormalization", &[], &["axis"]),
    ("GroupNormalization", &[], &["num_groups"]),
    ("Shape", &[], &["start", "end"]),
    ("Range", &[], &[]),
];
