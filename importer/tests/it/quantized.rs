//! ONNX's quantised operators against numbers worked out by hand or by ONNX's own examples.

use crate::common::*;
use lockstep_engine::{Data, Tensor};
use lockstep_importer::proto::{TensorProto, data_type};

fn raw(elem: i32, shape: &[i64], bytes: Vec<u8>) -> TensorProto {
    TensorProto { data_type: Some(elem), dims: shape.to_vec(), raw_data: Some(bytes), ..TensorProto::default() }
}

fn u8s(shape: &[i64], v: &[u8]) -> TensorProto {
    raw(data_type::UINT8, shape, v.to_vec())
}

fn i8s(shape: &[i64], v: &[i8]) -> TensorProto {
    raw(data_type::INT8, shape, v.iter().map(|x| *x as u8).collect())
}

fn i32s(shape: &[i64], v: &[i32]) -> TensorProto {
    raw(data_type::INT32, shape, v.iter().flat_map(|x| x.to_le_bytes()).collect())
}

fn bytes(shape: &[usize], v: &[u8]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::U8(v.to_vec())).unwrap()
}

#[test]
fn quantise_rounds_to_even_adds_the_zero_point_and_saturates() {
    let m = onnx(13)
        .input("x", F, &[D::N(8)])
        .constant("s", t_f32(&[], &[2.0]))
        .constant("z", u8s(&[], &[128]))
        .node("QuantizeLinear", &["x", "s", "z"], &["y"], &[])
        .output("y");
    let v = [0.0, 2.0, 3.0, 5.0, -1000.0, 1000.0, f32::INFINITY, f32::NEG_INFINITY];
    assert_eq!(m.run(&[x(&[8], &v)])[0].data, Data::U8(vec![128, 129, 130, 130, 0, 255, 255, 0]));
}

#[test]
fn scales_lie_along_an_axis_or_in_blocks() {
    let m = onnx(13)
        .input("x", F, &[D::S("n"), D::N(2), D::N(2)])
        .constant("s", t_f32(&[2], &[1.0, 10.0]))
        .constant("z", i8s(&[2], &[0, -100]))
        .node("QuantizeLinear", &["x", "s", "z"], &["q"], &[])
        .node("DequantizeLinear", &["q", "s", "z"], &["y"], &[int("axis", -2)])
        .output("q")
        .output("y");
    let out = m.run(&[x(&[1, 2, 2], &[1.4, -200.0, 14.0, 26.0])]);
    assert_eq!(out[0].data, Data::I8(vec![1, -128, -99, -97]));
    assert_eq!(out[1].data, Data::F32(vec![1.0, -128.0, 10.0, 30.0]));
    // Blocks of 2 along an axis of 3, the last one short.
    let m = onnx(21)
        .input("x", F, &[D::N(2), D::N(3)])
        .constant("s", t_f32(&[2, 2], &[1.0, 2.0, 3.0, 4.0]))
        .node("QuantizeLinear", &["x", "s"], &["y"], &[int("axis", 1), int("block_size", 2)])
        .output("y");
    assert_eq!(m.run(&[x(&[2, 3], &[12.0; 6])])[0].data, Data::U8(vec![12, 12, 6, 4, 4, 3]));
}

#[test]
fn constants_are_dequantised_at_import_whatever_their_size() {
    let n = 300 * 400;
    let w: Vec<i8> = (0..n).map(|i| (i % 251) as u8 as i8).collect();
    let m = onnx(13)
        .input("x", F, &[D::S("n"), D::N(300)])
        .constant("w", i8s(&[300, 400], &w))
        .constant("s", t_f32(&[], &[0.1]))
        .node("DequantizeLinear", &["w", "s"], &["f"], &[])
        .node("MatMul", &["x", "f"], &["y"], &[])
        .output("y");
    let graph = m.import().unwrap().model.graph;
    assert_eq!(graph.nodes.len(), 1, "only the product is left");
    let mut row = vec![0.0; 300];
    row[1] = 1.0;
    assert_eq!(m.f32(&[x(&[1, 300], &row)])[..2], [f32::from(w[400]) * 0.1, f32::from(w[401]) * 0.1]);
}

#[test]
fn the_dynamic_form_is_onnx_s_function() {
    // ONNX's test_dynamicquantizelinear.
    let m = onnx(11)
        .input("x", F, &[D::N(6)])
        .node("DynamicQuantizeLinear", &["x"], &["y", "s", "z"], &[])
        .output("y")
        .output("s")
        .output("z");
    let out = m.run(&[x(&[6], &[0.0, 2.0, -3.0, -2.5, 1.34, 0.5])]);
    assert_eq!(out[0].data, Data::U8(vec![153, 255, 0, 26, 221, 179]));
    assert_eq!(out[1].data, Data::F32(vec![5.0 / 255.0]));
    assert_eq!(out[2].data, Data::U8(vec![153]));
    // All zeros: no scale, and zeros again.
    assert_eq!(m.run(&[x(&[6], &[0.0; 6])])[0].data, Data::U8(vec![0; 6]));
}

#[test]
fn products_and_convolutions_of_integers() {
    let m = onnx(10)
        .input("a", data_type::UINT8, &[D::S("n"), D::N(3)])
        .constant("b", u8s(&[3, 2], &[1, 4, 2, 5, 3, 6]))
        .constant("za", u8s(&[1], &[12]))
        .constant("zb", u8s(&[1], &[0]))
        .node("MatMulInteger", &["a", "b", "za", "zb"], &["y"], &[])
        .output("y");
    let out = m.run(&[bytes(&[2, 3], &[11, 7, 3, 10, 6, 2])]);
    assert_eq!(out[0].data, Data::I32(vec![-38, -83, -44, -98]));
    let m = onnx(10)
        .input("x", data_type::UINT8, &[D::S("n"), D::N(1), D::N(3), D::N(3)])
        .constant("w", u8s(&[1, 1, 2, 2], &[1; 4]))
        .constant("z", u8s(&[], &[1]))
        .node("ConvInteger", &["x", "w", "z"], &["y"], &[])
        .output("y");
    let out = m.run(&[bytes(&[1, 1, 3, 3], &[2, 3, 4, 5, 6, 7, 8, 9, 10])]);
    assert_eq!(out[0].data, Data::I32(vec![12, 16, 24, 28]));
}

#[test]
fn results_are_scaled_by_one_factor() {
    // m = (0.5 * 0.25) / 0.1; row sums of (a - 2) * b.
    let m = onnx(10)
        .input("a", data_type::UINT8, &[D::S("n"), D::N(2)])
        .constant("sa", t_f32(&[], &[0.5]))
        .constant("za", u8s(&[], &[2]))
        .constant("b", i8s(&[2, 2], &[1, -3, 2, 4]))
        .constant("sb", t_f32(&[2], &[0.25, 0.5]))
        .constant("zb", i8s(&[2], &[0, 0]))
        .constant("sy", t_f32(&[], &[0.1]))
        .constant("zy", u8s(&[], &[10]))
        .node("QLinearMatMul", &["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], &["y"], &[])
        .output("y");
    let out = m.run(&[bytes(&[2, 2], &[3, 5, 0, 2])]);
    // Sums 7, 9 and -2, 6: times 1.25 and 2.5, rounded to even, plus 10.
    assert_eq!(out[0].data, Data::U8(vec![19, 32, 8, 25]));
    let conv = |bias: i32| {
        onnx(10)
            .input("x", data_type::UINT8, &[D::S("n"), D::N(1), D::N(2)])
            .constant("sx", t_f32(&[], &[0.5]))
            .constant("zx", u8s(&[], &[1]))
            .constant("w", i8s(&[2, 1, 1], &[2, -2]))
            .constant("sw", t_f32(&[2], &[1.0, 2.0]))
            .constant("zw", i8s(&[2], &[0, 0]))
            .constant("sy", t_f32(&[], &[1.0]))
            .constant("zy", i8s(&[], &[3]))
            .constant("bias", i32s(&[2], &[5, bias]))
            .node("QLinearConv", &["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "bias"], &["y"], &[])
            .output("y")
    };
    let out = conv(-7).run(&[bytes(&[1, 1, 2], &[2, 101])]);
    // (1 * 2 + 5) / 2 = 3.5 -> 4, + 3; (200 + 5) / 2 -> 102, + 3; -2 - 7, + 3; -207 saturates.
    assert_eq!(out[0].data, Data::I8(vec![7, 105, -6, -128]));
    let p = conv(i32::MAX).problems();
    assert!(p[0].reason.contains("could leave int32"), "{p:?}");
}

#[test]
fn a_product_with_bias_of_onnxruntime() {
    let m = |with_result: bool| {
        let names = ["a", "sa", "za", "b", "sb", "zb", "c", "sy", "zy"];
        let mut m = onnx(13)
            .input("a", data_type::UINT8, &[D::S("n"), D::N(2)])
            .constant("sa", t_f32(&[], &[0.5]))
            .constant("za", u8s(&[], &[2]))
            .constant("b", i8s(&[2, 2], &[1, 2, -3, 4]))
            .constant("sb", t_f32(&[], &[0.5]))
            .constant("zb", i8s(&[], &[0]))
            .constant("c", i32s(&[2], &[100, -100]))
            .constant("sy", t_f32(&[], &[2.0]))
            .constant("zy", u8s(&[], &[1]));
        m = m.domain_node(
            "com.microsoft",
            "QGemm",
            &names[..if with_result { 9 } else { 7 }],
            &["y"],
            &[float("alpha", 1.0), int("transA", 0), int("transB", 1)],
        );
        m.output("y")
    };
    let a = bytes(&[1, 2], &[3, 5]);
    // (1, 3) x ((1, 2), (-3, 4)) = 7, 9; + 100, - 100; times 0.25, or 0.125 and + 1.
    assert_eq!(m(false).f32(std::slice::from_ref(&a)), [26.75, -22.75]);
    assert_eq!(m(true).run(&[a])[0].data, Data::U8(vec![14, 0]));
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let m = onnx(21)
        .input("x", F, &[D::N(2)])
        .constant("s", t_f32(&[], &[1.0]))
        .node("QuantizeLinear", &["x", "s"], &["y"], &[int("output_dtype", i64::from(data_type::INT16))])
        .output("y");
    assert!(m.problems()[0].reason.contains("int16"), "{:?}", m.problems());
    let k = 33_026;
    let m = onnx(10)
        .input("a", data_type::UINT8, &[D::S("n"), D::N(k)])
        .constant("b", u8s(&[k, 1], &vec![1; k as usize]))
        .node("MatMulInteger", &["a", "b"], &["y"], &[])
        .output("y");
    assert!(m.problems()[0].reason.contains("could leave i32"));
}
