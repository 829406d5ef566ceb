//! Lowerings of ai.onnx.ml: decisions as libraries and onnxruntime make them.

use crate::common::*;
use lockstep_engine::{Labels, Tensor};
use lockstep_importer::proto::AttributeProto;

const B: D = D::Unnamed;

fn stump(leaves: &[(i64, i64, f32)], kind: &str, extra: &[AttributeProto]) -> Vec<AttributeProto> {
    let list = |f: fn(&(i64, i64, f32)) -> i64| leaves.iter().map(f).collect::<Vec<_>>();
    let mut a = vec![
        ints("nodes_treeids", &[0, 0, 0]),
        ints("nodes_nodeids", &[0, 1, 2]),
        ints("nodes_featureids", &[0, 0, 0]),
        strings("nodes_modes", &["BRANCH_LEQ", "LEAF", "LEAF"]),
        floats("nodes_values", &[0.0, 0.0, 0.0]),
        ints("nodes_truenodeids", &[1, 0, 0]),
        ints("nodes_falsenodeids", &[2, 0, 0]),
        ints(&format!("{kind}_treeids"), &vec![0; leaves.len()]),
        ints(&format!("{kind}_nodeids"), &list(|l| l.0)),
        ints(&format!("{kind}_ids"), &list(|l| l.1)),
        floats(&format!("{kind}_weights"), &leaves.iter().map(|l| l.2).collect::<Vec<_>>()),
    ];
    a.extend_from_slice(extra);
    a
}

fn classifier(leaves: &[(i64, i64, f32)], labels: &[i64], extra: &[AttributeProto]) -> Onnx {
    let mut a = stump(leaves, "class", extra);
    a.push(ints("classlabels_int64s", labels));
    onnx(17).input("x", F, &[B, D::N(1)]).ml("TreeEnsembleClassifier", &["x"], &["l", "p"], &a).output("l").output("p")
}

fn rows() -> [Tensor; 1] {
    [x(&[2, 1], &[-1.0, 1.0])]
}

#[test]
fn binary_trees_with_weights_of_both_signs_decide_by_sign() {
    let leaves = [(1, 0, -1.5), (2, 0, 2.0)];
    let out = classifier(&leaves, &[5, 9], &[]).run(&rows());
    assert_eq!(i64s(&out[0]), [5, 9]);
    assert_eq!(out[1].as_f32().unwrap(), [1.5, -1.5, -2.0, 2.0]);
    let out = classifier(&leaves, &[5, 9], &[string("post_transform", "LOGISTIC"), floats("base_values", &[1.0])])
        .run(&rows());
    let p = out[1].as_f32().unwrap();
    for (got, want) in p.iter().zip([0.622_459_35, 0.377_540_65, 0.047_425_866, 0.952_574_1]) {
        assert!((got - want).abs() < 1e-6, "{p:?}");
    }
}

#[test]
fn binary_trees_with_positive_weights_are_probabilities() {
    let m = classifier(&[(1, 0, 0.25), (2, 0, 0.75)], &[5, 9], &[]);
    let out = m.run(&rows());
    assert_eq!(i64s(&out[0]), [5, 9]);
    assert_eq!(out[1].as_f32().unwrap(), [0.75, 0.25, 0.25, 0.75]);
    assert_eq!(m.import().unwrap().model.graph.labels, Labels::Ints(vec![5, 9]));
}

#[test]
fn many_classes_decide_by_the_greatest_score() {
    let leaves = [(1, 0, 0.5), (1, 1, 0.5), (1, 2, 0.1), (2, 0, 0.0), (2, 1, 0.2), (2, 2, 0.7)];
    let out = classifier(&leaves, &[5, 9, 7], &[]).run(&rows());
    assert_eq!(i64s(&out[0]), [5, 7], "ties go to the first");
    // Where some leaves leave out a class and weights are negative, no label is defined.
    let partial = classifier(&[(1, 0, -1.0), (2, 2, -2.0)], &[5, 9, 7], &[]);
    assert_eq!(partial.problems()[0].tensor.as_deref(), Some("l"));
}

#[test]
fn two_classes_with_scores_of_their_own_have_no_label() {
    let m = classifier(&[(1, 0, 0.6), (1, 1, 0.4), (2, 0, 0.3), (2, 1, 0.7)], &[5, 9], &[]);
    assert!(m.problems()[0].reason.contains("decide differently"));
}

fn regressor(leaves: &[(i64, i64, f32)], extra: &[AttributeProto]) -> Onnx {
    let a = stump(leaves, "target", extra);
    onnx(17).input("x", F, &[B, D::N(1)]).ml("TreeEnsembleRegressor", &["x"], &["y"], &a).output("y")
}

#[test]
fn regressors_add_the_base_value_and_refuse_a_disputed_transform() {
    let leaves = [(1, 0, -1.5), (2, 0, 2.0)];
    assert_eq!(regressor(&leaves, &[floats("base_values", &[0.25])]).f32(&rows()), [-1.25, 2.25]);
    let m = regressor(&leaves, &[string("aggregate_function", "AVERAGE"), floats("base_values", &[0.25])]);
    assert_eq!(m.f32(&rows()), [-1.25, 2.25]);
    let m = regressor(&leaves, &[string("post_transform", "LOGISTIC")]);
    assert!(m.problems()[0].reason.contains("disagree"));
    // A NaN goes the false way, unless told otherwise.
    let nan = [x(&[1, 1], &[f32::NAN])];
    assert_eq!(regressor(&leaves, &[]).f32(&nan), [2.0]);
    assert_eq!(regressor(&leaves, &[ints("nodes_missing_value_tracks_true", &[1, 0, 0])]).f32(&nan), [-1.5]);
}

#[test]
fn malformed_trees_are_refused() {
    for (name, broken) in [
        ("nodes_truenodeids", ints("nodes_truenodeids", &[7, 0, 0])),
        ("nodes_truenodeids", ints("nodes_truenodeids", &[2, 0, 0])),
        ("nodes_truenodeids", ints("nodes_truenodeids", &[0, 0, 0])),
        ("nodes_featureids", ints("nodes_featureids", &[3, 0, 0])),
        ("nodes_featureids", ints("nodes_featureids", &[-1, 0, 0])),
        ("nodes_values", floats("nodes_values", &[f32::NAN, 0.0, 0.0])),
        ("target_ids", ints("target_ids", &[0, 4])),
        ("target_nodeids", ints("target_nodeids", &[0, 1])),
        ("target_weights", floats("target_weights", &[f32::INFINITY, 0.0])),
        ("nodes_modes", strings("nodes_modes", &["BRANCH_XX", "LEAF", "LEAF"])),
    ] {
        let mut a = stump(&[(1, 0, 1.0), (2, 0, 2.0)], "target", &[]);
        a.retain(|x| x.name.as_deref() != Some(name));
        a.push(broken);
        let m = onnx(17).input("x", F, &[B, D::N(1)]).ml("TreeEnsembleRegressor", &["x"], &["y"], &a).output("y");
        assert_eq!(m.problems().len(), 1, "{name}");
    }
}

fn linear(coefficients: &[f32], intercepts: &[f32], extra: &[AttributeProto]) -> Onnx {
    let mut a = vec![floats("coefficients", coefficients), floats("intercepts", intercepts)];
    a.extend_from_slice(extra);
    onnx(17).input("x", F, &[B, D::N(1)]).ml("LinearClassifier", &["x"], &["l", "p"], &a).output("l").output("p")
}

#[test]
fn linear_classifiers_with_one_score_decide_by_its_sign() {
    let m = linear(&[1.0], &[0.0], &[ints("classlabels_ints", &[5, 9])]);
    let out = m.run(&[x(&[3, 1], &[-2.0, 0.0, 0.25])]);
    assert_eq!(i64s(&out[0]), [5, 5, 9]);
    assert_eq!(out[1].as_f32().unwrap(), [3.0, -2.0, 1.0, 0.0, 0.75, 0.25]);
    let m = linear(
        &[-1.0, 1.0],
        &[0.0, 0.0],
        &[strings("classlabels_strings", &["no", "yes"]), string("post_transform", "SOFTMAX")],
    );
    let out = m.run(&[x(&[3, 1], &[-2.0, 0.0, 0.25])]);
    assert_eq!(i64s(&out[0]), [0, 0, 1]);
    let g = m.import().unwrap().model.graph;
    assert_eq!(g.labels, Labels::Strings(vec!["no".into(), "yes".into()]));
    assert_eq!((g.label_output, g.primary_output), (Some(0), 1));
}

#[test]
fn scalers_and_imputers() {
    let m = onnx(17)
        .input("x", I, &[B, D::N(2)])
        .ml("Scaler", &["x"], &["y"], &[floats("offset", &[1.0, 2.0]), floats("scale", &[0.5, 2.0])])
        .output("y");
    assert_eq!(m.f32(&[xi(&[1, 2], &[3, 4])]), [1.0, 4.0]);
    let m = onnx(17)
        .input("x", F, &[B, D::N(2)])
        .ml(
            "Imputer",
            &["x"],
            &["y"],
            &[floats("imputed_value_floats", &[7.0, 8.0]), float("replaced_value_float", f32::NAN)],
        )
        .output("y");
    assert_eq!(m.f32(&[x(&[2, 2], &[f32::NAN, 1.0, 2.0, f32::NAN])]), [7.0, 1.0, 2.0, 8.0]);
    for (norm, want) in [("L1", [0.25, -0.75, 0.0, 0.0]), ("MAX", [1.0, -3.0, 0.0, 0.0])] {
        let m =
            onnx(17).input("x", F, &[B, D::N(2)]).ml("Normalizer", &["x"], &["y"], &[string("norm", norm)]).output("y");
        assert_eq!(m.f32(&[x(&[2, 2], &[1.0, -3.0, 0.0, 0.0])]), want, "{norm}");
    }
}

#[test]
fn string_columns_are_codes_with_their_own_tables() {
    let m = onnx(17)
        .input("a", S, &[B, D::N(1)])
        .input("b", S, &[B, D::N(1)])
        .node("Concat", &["a", "b"], &["ab"], &[int("axis", 1)])
        .constant("i0", t_i64(&[1], &[0]))
        .constant("i1", t_i64(&[1], &[1]))
        .ml("ArrayFeatureExtractor", &["ab", "i0"], &["c"], &[])
        .ml("ArrayFeatureExtractor", &["ab", "i1"], &["d"], &[])
        .ml("OneHotEncoder", &["c"], &["ch"], &[strings("cats_strings", &["x", "y"]), int("zeros", 1)])
        .ml("OneHotEncoder", &["d"], &["dh"], &[strings("cats_strings", &["y", "z", "x"]), int("zeros", 1)])
        .node("Concat", &["ch", "dh"], &["h"], &[int("axis", 2)])
        .constant("s", t_i64(&[2], &[-1, 5]))
        .node("Reshape", &["h", "s"], &["y"], &[])
        .output("y");
    let imported = m.import().unwrap();
    let tables: Vec<&[String]> = imported.model.graph.features.iter().map(|f| f.categories.as_slice()).collect();
    assert_eq!(tables, [&["x", "y"][..], &["y", "z", "x"]]);
    let out = run(&imported, &[xi(&[2, 1], &[0, -1]), xi(&[2, 1], &[2, 1])]);
    assert_eq!(out[0], x(&[2, 5], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]));
}

#[test]
fn unknown_categories_fail_the_call_where_the_author_says_so() {
    let m = onnx(17)
        .input("a", S, &[B, D::N(1)])
        .ml("OneHotEncoder", &["a"], &["y"], &[strings("cats_strings", &["x", "y"]), int("zeros", 0)])
        .output("y")
        .import()
        .unwrap();
    assert_eq!(run(&m, &[xi(&[1, 1], &[1])])[0], x(&[1, 1, 2], &[0.0, 1.0]));
    assert!(try_run(&m, &[xi(&[1, 1], &[-1])]).unwrap_err().contains("out of range"));
}

#[test]
fn label_encoders_map_numbers_and_strings() {
    let m = onnx(17)
        .input("x", I, &[B])
        .ml(
            "LabelEncoder",
            &["x"],
            &["y"],
            &[ints("keys_int64s", &[3, 1]), floats("values_floats", &[0.5, 1.5]), float("default_float", -1.0)],
        )
        .output("y");
    assert_eq!(m.f32(&[xi(&[3], &[1, 3, 9])]), [1.5, 0.5, -1.0]);
    let m = onnx(17)
        .input("a", S, &[B, D::N(1)])
        .ml("LabelEncoder", &["a"], &["y"], &[strings("keys_strings", &["p", "q"]), ints("values_int64s", &[10, 20])])
        .output("y");
    assert_eq!(i64s(&m.run(&[xi(&[3, 1], &[1, 0, -1])])[0]), [20, 10, -1]);
    // Integer labels that become strings.
    let m = onnx(17)
        .input("x", F, &[B, D::N(2)])
        .node("ArgMax", &["x"], &["i"], &[int("axis", 1), int("keepdims", 0)])
        .ml(
            "LabelEncoder",
            &["i"],
            &["y"],
            &[ints("keys_int64s", &[0, 1]), strings("values_strings", &["no", "yes"]), string("default_string", "no")],
        )
        .output("y");
    assert_eq!(m.import().unwrap().model.graph.labels, Labels::Strings(vec!["no".into(), "yes".into()]));
    assert_eq!(i64s(&m.run(&[x(&[1, 2], &[0.0, 1.0])])[0]), [1]);
}

#[test]
fn float64_thresholds_decide_every_float32_alike() {
    // 0.1 in f64 lies below 0.1f32: x <= t is false for x = 0.1f32.
    let mut a = stump(&[(1, 0, 1.0), (2, 0, 2.0)], "target", &[]);
    a.retain(|x| x.name.as_deref() != Some("nodes_values"));
    a.push(tensor_attribute("nodes_values_as_tensor", t_f64(&[3], &[0.1, 0.0, 0.0])));
    let m = onnx(17).input("x", F, &[B, D::N(1)]).ml("TreeEnsembleRegressor", &["x"], &["y"], &a).output("y");
    let v = 0.1f32;
    assert_eq!(m.f32(&[x(&[2, 1], &[v, v.next_down()])]), [2.0, 1.0]);
}
