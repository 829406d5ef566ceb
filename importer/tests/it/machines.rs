//! Support vector machines, distances, trees by membership: values from onnxruntime and ONNX's own cases.

use crate::common::*;
use lockstep_engine::Labels;
use lockstep_importer::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

const B: D = D::Unnamed;
const ROWS: [f32; 5] = [-2.0, -0.3, 0.0, 0.3, 2.0];

fn close(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= 2e-6 * w.abs().max(1.0), "{got:?}\n{want:?}");
    }
}

fn svc(support: &[f32], coefficients: &[f32], rho: &[f32], labels: &[i64], more: &[AttributeProto]) -> Onnx {
    let mut a = vec![
        ints("vectors_per_class", &vec![1; labels.len()]),
        floats("support_vectors", support),
        floats("coefficients", coefficients),
        floats("rho", rho),
        ints("classlabels_ints", labels),
    ];
    a.extend_from_slice(more);
    onnx(17).input("x", F, &[B, D::N(1)]).ml("SVMClassifier", &["x"], &["l", "s"], &a).output("l").output("s")
}

#[test]
fn two_classes_have_one_decision_and_its_negative() {
    let m = svc(&[1.0, -1.0], &[1.0, -1.0], &[0.1], &[5, 9], &[]);
    let out = m.run(&[x(&[5, 1], &ROWS)]);
    assert_eq!(i64s(&out[0]), [9, 9, 5, 5, 5]);
    close(out[1].as_f32().unwrap(), &[3.9, -3.9, 0.5, -0.5, -0.1, 0.1, -0.7, 0.7, -4.1, 4.1]);
    assert_eq!(m.import().unwrap().model.graph.labels, Labels::Ints(vec![5, 9]));
    let m = svc(&[1.0, -1.0], &[1.0, -1.0], &[0.1], &[5, 9], &[string("post_transform", "LOGISTIC")]);
    let out = m.run(&[x(&[2, 1], &ROWS[..2])]);
    close(out[1].as_f32().unwrap(), &[0.980_159_76, 0.019_840_24, 0.622_459_35, 0.377_540_65]);
}

#[test]
fn many_classes_vote_by_pairs() {
    let m = svc(&[1.0, -1.0, 0.5], &[1.0, -1.0, 0.5, 0.2, 0.3, -0.7], &[0.1, 0.2, -0.3], &[5, 6, 7], &[]);
    let out = m.run(&[x(&[5, 1], &ROWS)]);
    assert_eq!(i64s(&out[0]), [6, 5, 5, 5, 5]);
    let want = [[-3.9, -0.7, 1.0], [-0.5, 0.065, -0.105], [0.1, 0.2, -0.3], [0.7, 0.335, -0.495], [4.1, 1.1, -1.6]];
    close(out[1].as_f32().unwrap(), want.as_flattened());
}

#[test]
fn probabilities_are_coupled_from_pairs() {
    let proba = [floats("prob_a", &[-1.0, -2.0, -1.0]), floats("prob_b", &[0.2, 0.0, 0.1])];
    let m = svc(&[1.0, -1.0, 0.5], &[1.0, -1.0, 0.5, 0.2, 0.3, -0.7], &[0.1, 0.2, -0.3], &[5, 6, 7], &proba);
    let out = m.run(&[x(&[5, 1], &ROWS)]);
    assert_eq!(i64s(&out[0]), [6, 5, 5, 5, 5]);
    let want = [
        [0.034_718_856, 0.691_821_1, 0.273_460_1],
        [0.271_101_68, 0.377_865_7, 0.351_032_6],
        [0.369_463_74, 0.304_698_88, 0.325_837_34],
        [0.478_287_28, 0.230_407_6, 0.291_305_18],
        [0.884_113_1, 0.017_920_524, 0.097_966_336],
    ];
    close(out[1].as_f32().unwrap(), want.as_flattened());
    let two = [floats("prob_a", &[-1.0]), floats("prob_b", &[0.2])];
    let out = svc(&[1.0, -1.0], &[1.0, -1.0], &[0.1], &[5, 9], &two).run(&[x(&[2, 1], &ROWS[..2])]);
    assert_eq!(i64s(&out[0]), [9, 9]);
    // The decisions are -3.9 and -0.5.
    close(out[1].as_f32().unwrap(), &[0.016_299_065, 0.983_700_93, 0.331_812_2, 0.668_187_7]);
    let bad = [floats("prob_a", &[-1.0]), floats("prob_b", &[])];
    assert!(svc(&[1.0, -1.0], &[1.0, 1.0], &[0.1], &[5, 9], &bad).problems()[0].reason.contains("prob_b"));
}

#[test]
fn kernels_as_onnx_names_them() {
    let svr = |kernel: &str, more: &[AttributeProto]| {
        let mut a = vec![
            string("kernel_type", kernel),
            floats("kernel_params", &[0.5, 0.25, 3.0]),
            floats("support_vectors", &[1.0, 2.0, -1.0, 0.5]),
            floats("coefficients", &[2.0, -3.0]),
            floats("rho", &[0.125]),
            int("n_supports", 2),
        ];
        a.extend_from_slice(more);
        let m = onnx(17).input("x", F, &[B, D::N(2)]).ml("SVMRegressor", &["x"], &["y"], &a).output("y");
        m.run(&[x(&[2, 2], &[1.0, -1.0, 0.5, 2.0])])[0].as_f32().unwrap().to_vec()
    };
    // Dots: -1 and -1.5; 4.5 and 0.5. Squared distances: 9 and 6.25; 0.25 and 4.5.
    let f = |k: &dyn Fn(f64, f64) -> f64| {
        [[(-1.0, 9.0), (-1.5, 6.25)], [(4.5, 0.25), (0.5, 4.5)]]
            .map(|[a, b]| (2.0 * k(a.0, a.1) - 3.0 * k(b.0, b.1) + 0.125) as f32)
    };
    close(&svr("LINEAR", &[]), &f(&|dot, _| dot));
    close(&svr("POLY", &[]), &f(&|dot, _| (0.5 * dot + 0.25).powi(3)));
    close(&svr("RBF", &[]), &f(&|_, d| (-0.5 * d).exp()));
    close(&svr("SIGMOID", &[]), &f(&|dot, _| (0.5 * dot + 0.25).tanh()));
    assert_eq!(svr("LINEAR", &[int("one_class", 1)]), [1.0, 1.0]);
    assert_eq!(svr("POLY", &[int("one_class", 1)]), [1.0, 1.0]);
    assert_eq!(svr("RBF", &[int("one_class", 1)]), [1.0, 1.0]);
}

#[test]
fn machines_without_sense_are_refused() {
    let reason = |m: Onnx| m.problems()[0].reason.clone();
    assert!(reason(svc(&[1.0, -1.0], &[1.0], &[0.1], &[5, 9], &[])).contains("1 coefficients"));
    assert!(reason(svc(&[1.0, -1.0], &[1.0, 1.0], &[0.1, 0.2], &[5, 9], &[])).contains("2 values of rho"));
    assert!(reason(svc(&[1.0, -1.0, 2.0], &[1.0, 1.0], &[0.1], &[5, 9], &[])).contains("3 values of 2 support"));
    let kernel = [string("kernel_type", "PRECOMPUTED")];
    assert!(reason(svc(&[1.0, -1.0], &[1.0, 1.0], &[0.1], &[5, 9], &kernel)).contains("PRECOMPUTED"));
    let softmax = [string("post_transform", "SOFTMAX")];
    assert!(reason(svc(&[1.0, -1.0], &[1.0, 1.0], &[0.1], &[5, 9], &softmax)).contains("disagree"));
}

#[test]
fn distances_of_all_pairs_of_rows() {
    let y = t_f32(&[2, 2], &[0.0, 0.0, 3.0, 4.0]);
    let m = |metric: &str| {
        let mut m = onnx(17)
            .input("x", F, &[B, D::N(2)])
            .constant("y", y.clone())
            .domain_node("com.microsoft", "CDist", &["x", "y"], &["d"], &[string("metric", metric)])
            .output("d");
        m.opset = 17;
        m
    };
    let rows = [x(&[3, 2], &[0.0, 0.0, 3.0, 4.0, 3.0, 0.0])];
    assert_eq!(run_microsoft(&m("euclidean"), &rows), [0.0, 5.0, 5.0, 0.0, 3.0, 4.0]);
    assert_eq!(run_microsoft(&m("sqeuclidean"), &rows), [0.0, 25.0, 25.0, 0.0, 9.0, 16.0]);
}

fn run_microsoft(m: &Onnx, inputs: &[lockstep_engine::Tensor]) -> Vec<f32> {
    use lockstep_importer::proto::OperatorSetId;
    use prost::Message;
    let mut p = m.proto();
    p.opset_import.push(OperatorSetId { domain: Some("com.microsoft".into()), version: Some(1) });
    let imported = lockstep_importer::import(&p.encode_to_vec(), &lockstep_importer::ImportOptions::default());
    run(&imported.unwrap_or_else(|e| panic!("{e}")), inputs)[0].as_f32().unwrap().to_vec()
}

fn body_node(op: &str, inputs: &[&str], output: &str, attributes: &[AttributeProto]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|s| (*s).to_owned()).collect(),
        output: vec![output.into()],
        attribute: attributes.to_vec(),
        ..NodeProto::default()
    }
}

fn scan(state: NodeProto) -> Onnx {
    let named = |s: &str| info(s, F, None);
    let body = GraphProto {
        input: vec![named("table"), named("row")],
        output: vec![named("table_out"), named("distance")],
        initializer: vec![TensorProto { name: Some("axes".into()), ..t_i64(&[1], &[1]) }],
        node: vec![
            state,
            body_node("Sub", &["table", "row"], "d", &[]),
            body_node("ReduceSumSquare", &["d", "axes"], "s", &[int("keepdims", 0)]),
            body_node("Identity", &["s"], "distance", &[]),
        ],
        ..GraphProto::default()
    };
    onnx(18)
        .input("x", F, &[B, D::N(2)])
        .constant("y", t_f32(&[3, 2], &[0.0, 0.0, 3.0, 4.0, 1.0, 1.0]))
        .node("Scan", &["y", "x"], &["", "z"], &[graph_attribute("body", body), int("num_scan_inputs", 1)])
        .output("z")
}

#[test]
fn a_scan_that_keeps_its_state_is_one_computation() {
    let m = scan(body_node("Identity", &["table"], "table_out", &[]));
    let got = m.f32(&[x(&[2, 2], &[0.0, 0.0, 3.0, 0.0])]);
    assert_eq!(got, [0.0, 25.0, 2.0, 9.0, 16.0, 5.0]);
    let carried = scan(body_node("Neg", &["table"], "table_out", &[]));
    assert!(carried.import().is_err());
}

#[test]
fn membership_in_a_set_decides() {
    // ONNX's own case test_ai_onnx_ml_tree_ensemble_set_membership.
    let a = [
        int("aggregate_function", 1),
        ints("leaf_targetids", &[0, 1, 2, 3]),
        tensor_attribute("leaf_weights", t_f32(&[4], &[1.0, 10.0, 1000.0, 100.0])),
        tensor_attribute("membership_values", t_f32(&[8], &[1.2, 3.7, 8.0, 9.0, f32::NAN, 12.0, 7.0, f32::NAN])),
        int("n_targets", 4),
        ints("nodes_falseleafs", &[1, 0, 1]),
        ints("nodes_falsenodeids", &[2, 2, 3]),
        ints("nodes_featureids", &[0, 0, 0]),
        tensor_attribute("nodes_modes", TensorProto { data_type: Some(2), raw_data: Some(vec![0, 6, 6]), ..t_u8() }),
        tensor_attribute("nodes_splits", t_f32(&[3], &[11.0, 232_344.0, f32::NAN])),
        ints("nodes_trueleafs", &[0, 1, 1]),
        ints("nodes_truenodeids", &[1, 0, 1]),
        int("post_transform", 0),
        ints("tree_roots", &[0]),
    ];
    let mut m = onnx(17).input("x", F, &[B, D::N(1)]).ml("TreeEnsemble", &["x"], &["y"], &a).output("y");
    m.ml = 5;
    let got = m.f32(&[x(&[6, 1], &[1.2, 3.4, -0.12, f32::NAN, 12.0, 7.0])]);
    let want: [[f32; 4]; 6] = [
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 100.0],
        [0.0, 0.0, 0.0, 100.0],
        [0.0, 0.0, 1000.0, 0.0],
        [0.0, 0.0, 1000.0, 0.0],
        [0.0, 10.0, 0.0, 0.0],
    ];
    assert_eq!(got, want.as_flattened());
}

fn t_u8() -> TensorProto {
    TensorProto { dims: vec![3], ..TensorProto::default() }
}

#[test]
fn categories_map_both_ways() {
    let a = [strings("cats_strings", &["a", "b"]), ints("cats_int64s", &[7, 9]), int("default_int64", 3)];
    let m = onnx(17).input("x", I, &[B, D::N(1)]).ml("CategoryMapper", &["x"], &["y"], &a).output("y");
    let out = m.run(&[xi(&[3, 1], &[9, 7, 8])]);
    assert_eq!(i64s(&out[0]), [1, 0, 2]);
    let m = onnx(17).input("x", S, &[B, D::N(1)]).ml("CategoryMapper", &["x"], &["y"], &a).output("y");
    // Codes of the column: a 0, b 1, unknown -1.
    assert_eq!(i64s(&m.run(&[xi(&[3, 1], &[1, 0, -1])])[0]), [9, 7, 3]);
    let mut m = onnx(17)
        .input("x", S, &[B, D::N(1)])
        .ml("LabelEncoder", &["x"], &["y"], &[strings("classes_strings", &["u", "v"])])
        .output("y");
    m.ml = 1;
    assert_eq!(i64s(&m.run(&[xi(&[3, 1], &[1, 0, -1])])[0]), [1, 0, -1]);
}
