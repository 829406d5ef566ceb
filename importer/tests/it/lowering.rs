//! Lowerings of ai.onnx: what they compute, and what they leave in the graph.

use crate::common::*;
use lockstep_engine::{Data, Tensor};

const B: D = D::S("batch");

fn unary(opset: i64, op: &str, attributes: &[lockstep_importer::proto::AttributeProto], v: &[f32]) -> Vec<f32> {
    let m = onnx(opset).input("x", F, &[D::N(v.len() as i64)]).node(op, &["x"], &["y"], attributes).output("y");
    m.f32(&[x(&[v.len()], v)])
}

fn near(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= 1e-6 * w.abs().max(1.0) || (g.is_nan() && w.is_nan()), "{got:?} {want:?}");
    }
}

#[test]
fn activations() {
    let v = [-2.0, -0.5, 0.0, 0.5, 2.0];
    near(&unary(16, "LeakyRelu", &[float("alpha", 0.1)], &v), &[-0.2, -0.05, 0.0, 0.5, 2.0]);
    near(&unary(6, "Elu", &[float("alpha", 2.0)], &v), &[-1.729_329_4, -0.786_938_7, 0.0, 0.5, 2.0]);
    near(&unary(6, "HardSigmoid", &[], &v), &[0.1, 0.4, 0.5, 0.6, 0.9]);
    near(&unary(14, "HardSwish", &[], &v), &[-0.333_333_34, -0.208_333_33, 0.0, 0.291_666_66, 1.666_666_6]);
    near(&unary(10, "ThresholdedRelu", &[float("alpha", 0.4)], &v), &[0.0, 0.0, 0.0, 0.5, 2.0]);
    near(&unary(9, "Shrink", &[float("lambd", 1.0), float("bias", 0.5)], &v), &[-1.5, 0.0, 0.0, 0.0, 1.5]);
    near(&unary(20, "Gelu", &[], &v), &[-0.045_500_26, -0.154_268_77, 0.0, 0.345_731_23, 1.954_499_7]);
    near(&unary(24, "Swish", &[], &v), &[-0.238_405_84, -0.188_770_33, 0.0, 0.311_229_67, 1.761_594_2]);
    near(&unary(6, "Clip", &[float("min", -1.0), float("max", 1.0)], &v), &[-1.0, -0.5, 0.0, 0.5, 1.0]);
    near(&unary(18, "Mish", &[], &[f32::NAN, 0.0]), &[f32::NAN, 0.0]);
}

#[test]
fn broadcasting_before_operator_set_7_follows_axis() {
    let m = onnx(6)
        .input("x", F, &[D::N(2), D::N(3), D::N(1)])
        .constant("b", t_f32(&[3], &[10.0, 20.0, 30.0]))
        .node("Add", &["x", "b"], &["y"], &[int("broadcast", 1), int("axis", 1)])
        .output("y");
    let got = m.f32(&[x(&[2, 3, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
    assert_eq!(got, [11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);
    let without = onnx(6)
        .input("x", F, &[D::N(2), D::N(3)])
        .constant("b", t_f32(&[3], &[1.0; 3]))
        .node("Add", &["x", "b"], &["y"], &[])
        .output("y");
    assert!(without.problems()[0].reason.contains("equal shapes"));
}

#[test]
fn softmax_before_operator_set_13_takes_all_trailing_axes() {
    let m = |opset| {
        onnx(opset)
            .input("x", F, &[D::N(1), D::N(2), D::N(2)])
            .node("Softmax", &["x"], &["y"], &[int("axis", 1)])
            .output("y")
    };
    let v = x(&[1, 2, 2], &[0.0; 4]);
    assert_eq!(m(11).f32(std::slice::from_ref(&v)), [0.25; 4]);
    assert_eq!(m(13).f32(&[v]), [0.5; 4]);
}

#[test]
fn batch_normalisation_is_four_operators_with_a_folded_root() {
    let m = onnx(15)
        .input("x", F, &[B, D::N(2)])
        .constant("s", t_f32(&[2], &[2.0, 1.0]))
        .constant("b", t_f32(&[2], &[0.5, 0.0]))
        .constant("m", t_f32(&[2], &[1.0, 0.0]))
        .constant("v", t_f32(&[2], &[4.0, 1.0]))
        .node("BatchNormalization", &["x", "s", "b", "m", "v"], &["y"], &[float("epsilon", 0.0)])
        .output("y");
    assert_eq!(m.import().unwrap().model.graph.nodes.len(), 4);
    assert_eq!(m.f32(&[x(&[1, 2], &[3.0, 7.0])]), [2.5, 7.0]);
    let training = onnx(15)
        .input("x", F, &[B, D::N(2)])
        .constant("s", t_f32(&[2], &[1.0; 2]))
        .node("BatchNormalization", &["x", "s", "s", "s", "s"], &["y"], &[int("training_mode", 1)])
        .output("y");
    // By the batch's own mean and variance, which a caller is told.
    let v = x(&[2, 2], &[1.0, 0.0, 3.0, 4.0]);
    let y = training.f32(&[v]);
    near(&y, &[1.0 - 0.999_995, 1.0 - 0.999_998_75, 1.999_995, 1.999_998_8]);
    assert!(training.import().unwrap().notes.iter().any(|n| n.contains("training mode")));
    let old = Onnx { opset: 13, ..training };
    assert!(old.problems()[0].reason.contains("training"));
}

#[test]
fn layer_normalisation_survives_a_large_mean() {
    let m = onnx(17)
        .input("x", F, &[B, D::N(4)])
        .constant("s", t_f32(&[4], &[1.0; 4]))
        .node("LayerNormalization", &["x", "s"], &["y", "mean", "inv"], &[float("epsilon", 0.0)])
        .output("y")
        .output("mean")
        .output("inv");
    let out = m.run(&[x(&[1, 4], &[10_000.0, 10_001.0, 10_002.0, 10_003.0])]);
    near(out[0].as_f32().unwrap(), &[-1.341_640_8, -0.447_213_6, 0.447_213_6, 1.341_640_8]);
    assert_eq!(out[1], x(&[1, 1], &[10_001.5]));
    near(out[2].as_f32().unwrap(), &[0.894_427_2]);
}

/// x.view(x.size(0), x.size(1) * 2, -1), as exporters write it.
#[test]
fn shapes_are_followed_through_arithmetic() {
    let m = onnx(17)
        .input("x", F, &[B, D::S("seq"), D::N(8)])
        .node("Shape", &["x"], &["s"], &[])
        .constant("i0", t_i64(&[], &[0]))
        .constant("i1", t_i64(&[], &[1]))
        .constant("two", t_i64(&[], &[2]))
        .constant("axis", t_i64(&[1], &[0]))
        .constant("rest", t_i64(&[1], &[-1]))
        .node("Gather", &["s", "i0"], &["b"], &[])
        .node("Gather", &["s", "i1"], &["t"], &[])
        .node("Mul", &["t", "two"], &["t2"], &[])
        .node("Unsqueeze", &["b", "axis"], &["bu"], &[])
        .node("Unsqueeze", &["t2", "axis"], &["tu"], &[])
        .node("Concat", &["bu", "tu", "rest"], &["shape"], &[int("axis", 0)])
        .node("Reshape", &["x", "shape"], &["y"], &[])
        .output("y");
    let imported = m.import().unwrap();
    assert_eq!(imported.model.graph.nodes.len(), 1, "only the reshape is left");
    for (batch, seq) in [(1, 1), (2, 3)] {
        let n = batch * seq * 8;
        let out = run(&imported, &[x(&[batch, seq, 8], &vec![1.0; n])]);
        assert_eq!(out[0].shape, [batch, seq * 2, 4]);
    }
}

#[test]
fn a_dimension_can_be_a_number() {
    let m = onnx(17)
        .input("x", F, &[B, D::N(1)])
        .node("Shape", &["x"], &["s"], &[])
        .node("Cast", &["s"], &["f"], &[int("to", 1)])
        .constant("zero", t_i64(&[], &[0]))
        .node("Gather", &["f", "zero"], &["n"], &[])
        .constant("axes", t_i64(&[1], &[0]))
        .node("ReduceSum", &["x", "axes"], &["sum"], &[])
        .node("Div", &["sum", "n"], &["y"], &[])
        .output("y");
    assert_eq!(m.f32(&[x(&[3, 1], &[1.0, 2.0, 6.0])]), [3.0]);
}

#[test]
fn slices_of_symbolic_axes() {
    let part = |start: i64, end: i64| {
        onnx(13)
            .input("x", F, &[B, D::S("seq")])
            .constant("a", t_i64(&[1], &[start]))
            .constant("b", t_i64(&[1], &[end]))
            .constant("axes", t_i64(&[1], &[1]))
            .node("Slice", &["x", "a", "b", "axes"], &["y"], &[])
            .output("y")
    };
    let v = x(&[1, 4], &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(part(1, i64::MAX).f32(std::slice::from_ref(&v)), [2.0, 3.0, 4.0]);
    assert_eq!(part(0, -1).f32(std::slice::from_ref(&v)), [1.0, 2.0, 3.0]);
    assert_eq!(part(-1, i64::MAX).f32(std::slice::from_ref(&v)), [4.0]);
    assert_eq!(part(-2, i64::MAX).f32(&[v]), [3.0, 4.0]);
}

#[test]
fn constants_fold_and_are_kept_once() {
    let m = onnx(13)
        .input("x", F, &[B, D::N(2)])
        .constant("a", t_f32(&[2], &[1.0, 2.0]))
        .constant("b", t_f32(&[2], &[0.5, 1.0]))
        .constant("c", t_f32(&[2], &[1.5, 3.0]))
        .constant("unused", t_f32(&[9], &[0.0; 9]))
        .node("Add", &["a", "b"], &["ab"], &[])
        .node("Mul", &["x", "ab"], &["p"], &[])
        .node("Add", &["p", "c"], &["y"], &[])
        .output("y");
    let g = m.import().unwrap().model.graph;
    assert_eq!((g.nodes.len(), g.constants.len()), (2, 1), "1 + 0.5 equals the constant 1.5");
    assert_eq!(m.f32(&[x(&[1, 2], &[2.0, 2.0])]), [4.5, 9.0]);
}

#[test]
fn what_no_output_needs_is_not_looked_at() {
    let m =
        onnx(13).input("x", F, &[B]).node("Loop", &["x"], &["dead"], &[]).node("Relu", &["x"], &["y"], &[]).output("y");
    assert_eq!(m.f32(&[x(&[2], &[-1.0, 1.0])]), [0.0, 1.0]);
}

#[test]
fn float64_constants_round_once_and_widening_is_undone() {
    let m = onnx(13)
        .input("x", F, &[B])
        .constant("c", t_f64(&[], &[0.1]))
        .node("Cast", &["c"], &["f"], &[int("to", 1)])
        .node("Cast", &["x"], &["d"], &[int("to", 11)])
        .node("Cast", &["d"], &["back"], &[int("to", 1)])
        .node("Add", &["back", "f"], &["y"], &[])
        .output("y");
    assert_eq!(m.f32(&[x(&[1], &[0.0])]), [0.1]);
    let computed = onnx(13)
        .input("x", F, &[B])
        .node("Cast", &["x"], &["d"], &[int("to", 11)])
        .node("Exp", &["d"], &["e"], &[])
        .node("Cast", &["e"], &["y"], &[int("to", 1)])
        .output("y");
    assert!(computed.problems()[0].reason.contains("float64"));
}

#[test]
fn functions_and_constant_branches_are_inlined() {
    use lockstep_importer::proto::*;
    let mut p = onnx(17)
        .input("x", F, &[B])
        .domain_node("my", "Scale", &["x"], &["s"], &[float("by", 3.0)])
        .output("y")
        .proto();
    let branch = |op: &str| GraphProto {
        node: onnx(17).node(op, &["s"], &["out"], &[]).graph.node,
        output: vec![info("out", F, None)],
        ..GraphProto::default()
    };
    let g = p.graph.as_mut().unwrap();
    g.initializer.push(TensorProto { name: Some("c".into()), ..t_bool(&[], &[0]) });
    let branches = [graph_attribute("then_branch", branch("Exp")), graph_attribute("else_branch", branch("Neg"))];
    g.node.extend(onnx(17).node("If", &["c"], &["y"], &branches).graph.node);
    let mut body = onnx(17).node("Constant", &[], &["k"], &[]).node("Mul", &["a", "k"], &["b"], &[]).graph.node;
    body[0].attribute.push(AttributeProto {
        ref_attr_name: Some("by".into()),
        ..AttributeProto { name: Some("value_float".into()), r#type: Some(attribute_type::FLOAT), ..Default::default() }
    });
    p.functions.push(FunctionProto {
        name: Some("Scale".into()),
        domain: Some("my".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        attribute: vec!["by".into()],
        node: body,
        opset_import: p.opset_import.clone(),
        ..FunctionProto::default()
    });
    p.opset_import.push(OperatorSetId { domain: Some("my".into()), version: Some(1) });
    let bytes = prost::Message::encode_to_vec(&p);
    let m = lockstep_importer::import(&bytes, &Default::default()).unwrap();
    assert_eq!(m.node_names, ["n0/n1", "n0/n0"]);
    assert_eq!(run(&m, &[x(&[2], &[1.0, -2.0])])[0], x(&[2], &[-3.0, 6.0]));
}

#[test]
fn layouts() {
    let v: Vec<f32> = (0..8).map(|i| i as f32).collect();
    let shape = [D::N(1), D::N(4), D::N(1), D::N(2)];
    let m = |op: &str, a: &[lockstep_importer::proto::AttributeProto]| {
        onnx(13).input("x", F, &shape).node(op, &["x"], &["y"], a).output("y")
    };
    let t = x(&[1, 4, 1, 2], &v);
    assert_eq!(
        m("DepthToSpace", &[int("blocksize", 2)]).f32(std::slice::from_ref(&t)),
        [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]
    );
    let tile = onnx(13)
        .input("x", F, &[B, D::N(2)])
        .constant("r", t_i64(&[2], &[1, 2]))
        .node("Tile", &["x", "r"], &["y"], &[])
        .output("y");
    assert_eq!(tile.f32(&[x(&[2, 2], &[1.0, 2.0, 3.0, 4.0])]), [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
    let up = onnx(11)
        .input("x", F, &[D::N(1), D::N(1), D::N(1), D::N(2)])
        .constant("s", t_f32(&[4], &[1.0, 1.0, 2.0, 2.0]))
        .node(
            "Resize",
            &["x", "", "s"],
            &["y"],
            &[
                string("mode", "nearest"),
                string("coordinate_transformation_mode", "asymmetric"),
                string("nearest_mode", "floor"),
            ],
        )
        .output("y");
    assert_eq!(up.f32(&[x(&[1, 1, 1, 2], &[1.0, 2.0])]), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    let tri = onnx(14).input("x", F, &[D::N(2), D::N(2)]).node("Trilu", &["x"], &["y"], &[int("upper", 0)]).output("y");
    assert_eq!(tri.f32(&[x(&[2, 2], &[1.0, 2.0, 3.0, 4.0])]), [1.0, 0.0, 3.0, 4.0]);
    let hot = onnx(11)
        .input("i", I, &[B])
        .constant("d", t_i64(&[], &[3]))
        .constant("v", t_f32(&[2], &[0.0, 1.0]))
        .node("OneHot", &["i", "d", "v"], &["y"], &[])
        .output("y");
    assert_eq!(hot.f32(&[xi(&[3], &[1, -1, 7])]), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn split_gives_the_last_part_the_rest() {
    let m = onnx(18)
        .input("x", F, &[D::N(7)])
        .node("Split", &["x"], &["a", "b", "c", "d"], &[int("num_outputs", 4)])
        .output("d");
    assert_eq!(m.f32(&[x(&[7], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])]), [7.0]);
}

#[test]
fn powers_of_two_are_products() {
    let m = onnx(13)
        .input("x", F, &[B])
        .constant("two", t_f32(&[], &[2.0]))
        .node("Pow", &["x", "two"], &["y"], &[])
        .output("y");
    assert_eq!(m.import().unwrap().model.graph.nodes[0].op.name(), "Mul");
    assert_eq!(m.f32(&[x(&[2], &[-3.0, 0.5])]), [9.0, 0.25]);
}

#[test]
fn inputs_that_are_initialisers_are_constants() {
    let m = onnx(8)
        .input("x", F, &[B])
        .input("w", F, &[D::N(1)])
        .constant("w", t_f32(&[1], &[2.0]))
        .node("Mul", &["x", "w"], &["y"], &[])
        .output("y");
    let imported = m.import().unwrap();
    assert_eq!(imported.model.graph.inputs.len(), 1);
    assert_eq!(run(&imported, &[x(&[1], &[3.0])])[0].data, Data::F32(vec![6.0]));
}

#[test]
fn labels_and_primary_outputs() {
    let m = onnx(13)
        .input("x", F, &[B, D::N(3)])
        .node("ArgMax", &["x"], &["label"], &[int("axis", 1), int("keepdims", 0)])
        .node("Softmax", &["x"], &["p"], &[])
        .output("label")
        .output("p");
    let g = m.import().unwrap().model.graph;
    assert_eq!((g.label_output, g.primary_output), (Some(0), 1));
    let out: Vec<Tensor> = m.run(&[x(&[1, 3], &[0.0, 2.0, 1.0])]);
    assert_eq!(i64s(&out[0]), [1]);
}
