//! Shape-like arguments that come from data: right where they say what is declared, else an error of the call.

use crate::common::*;
use lockstep_engine::Tensor;

const REQUIRED: &str = "an argument differs from what the model's declared shapes say";

/// A node whose operand `a` (i64, `n` elements) is an input beside `x`, its result declared.
fn with_argument(
    op: &str,
    x: &[i64],
    n: i64,
    y: &[i64],
    attributes: &[lockstep_importer::proto::AttributeProto],
) -> Onnx {
    let dims = |v: &[i64]| v.iter().map(|d| D::N(*d)).collect::<Vec<_>>();
    let mut m = onnx(18).input("x", F, &dims(x)).input("a", I, &[D::N(n)]).node(op, &["x", "a"], &["y"], attributes);
    m.graph.output.push(info("y", F, Some(&dims(y))));
    m
}

fn counting(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    x(shape, &(0..n).map(|i| i as f32).collect::<Vec<_>>())
}

/// The shape of the result, or the failure.
fn call(m: &Onnx, shape: &[usize], argument: &[i64]) -> Result<Tensor, String> {
    let imported = m.import().unwrap_or_else(|e| panic!("{e}"));
    try_run(&imported, &[counting(shape), xi(&[argument.len()], argument)]).map(|mut v| v.remove(0))
}

#[test]
fn arguments_from_data_have_to_say_what_is_declared() {
    // Operator, operand, declared result, arguments that give it, arguments that do not.
    type Row<'a> = (&'a str, &'a [usize], &'a [i64], &'a [&'a [i64]], &'a [&'a [i64]]);
    let rows: [Row<'_>; 6] = [
        ("Reshape", &[2, 6], &[3, 4], &[&[3, 4], &[-1, 4], &[3, -1]], &[&[4, 3], &[-1, -1], &[0, -1], &[3, -2]]),
        ("Reshape", &[2, 6], &[2, 6], &[&[2, 6], &[0, 0], &[0, -1]], &[&[6, 2], &[1, 12]]),
        ("Expand", &[1, 3], &[2, 3], &[&[2, 3], &[2, 1]], &[&[1, 3], &[3, 3], &[2, 0]]),
        ("Tile", &[1, 3], &[2, 3], &[&[2, 1]], &[&[1, 2], &[2, 2], &[-2, 1]]),
        ("Unsqueeze", &[2, 3], &[2, 1, 3], &[&[1], &[-2]], &[&[0], &[2], &[3]]),
        ("Squeeze", &[2, 1, 3], &[2, 3], &[&[1], &[-2]], &[&[0], &[2], &[5]]),
    ];
    for (op, before, after, right, wrong) in rows {
        let dims: Vec<i64> = before.iter().map(|d| *d as i64).collect();
        for a in right {
            let y = call(&with_argument(op, &dims, a.len() as i64, after, &[]), before, a).unwrap();
            assert_eq!(y.shape.iter().map(|d| *d as i64).collect::<Vec<_>>(), after, "{op} {a:?}");
        }
        for a in wrong {
            let e = call(&with_argument(op, &dims, a.len() as i64, after, &[]), before, a).unwrap_err();
            assert!(e.contains(REQUIRED), "{op} {a:?}: {e}");
        }
    }
}

#[test]
fn axes_that_the_declared_shape_leaves_open_are_chosen_by_the_call() {
    let keep = [int("keepdims", 0)];
    let m = with_argument("ReduceSum", &[2, 3, 3], 1, &[2, 3], &keep);
    let sum = |m: &Onnx, a: i64| call(m, &[2, 3, 3], &[a]).map(|t| t.as_f32().unwrap().to_vec());
    assert_eq!(sum(&m, 1).unwrap(), [9.0, 12.0, 15.0, 36.0, 39.0, 42.0]);
    assert_eq!(sum(&m, -1).unwrap(), [3.0, 12.0, 21.0, 30.0, 39.0, 48.0]);
    assert!(sum(&m, 0).unwrap_err().contains(REQUIRED));
    assert!(sum(&m, 3).unwrap_err().contains(REQUIRED));
    let twice = with_argument("ReduceSum", &[2, 3, 3], 2, &[2, 1, 1], &[]);
    assert!(call(&twice, &[2, 3, 3], &[1, 2]).is_ok());
    assert!(call(&twice, &[2, 3, 3], &[1, 1]).unwrap_err().contains(REQUIRED), "an axis that is named twice");
}

#[test]
fn an_empty_result_is_checked_as_well() {
    let m = with_argument("Reshape", &[0, 4], 2, &[4, 0], &[int("allowzero", 1)]);
    assert_eq!(call(&m, &[0, 4], &[4, 0]).unwrap().shape, [4, 0]);
    assert!(call(&m, &[0, 4], &[2, 0]).unwrap_err().contains(REQUIRED));
}

#[test]
fn parts_and_borders_are_placed_while_running() {
    let mut m = onnx(13).input("x", F, &[D::N(6)]);
    for name in ["s", "e", "a", "t"] {
        m = m.input(name, I, &[D::N(1)]);
    }
    let mut m = m.node("Slice", &["x", "s", "e", "a", "t"], &["y"], &[]);
    m.graph.output.push(info("y", F, Some(&[D::N(3)])));
    let m = m.import().unwrap();
    let slice = |v: [i64; 4]| {
        let mut inputs = vec![counting(&[6])];
        inputs.extend(v.iter().map(|n| xi(&[1], &[*n])));
        try_run(&m, &inputs).map(|t| t[0].as_f32().unwrap().to_vec())
    };
    assert_eq!(slice([0, 3, 0, 1]).unwrap(), [0.0, 1.0, 2.0]);
    assert_eq!(slice([-3, i64::MAX, -1, 1]).unwrap(), [3.0, 4.0, 5.0]);
    assert_eq!(slice([5, i64::MIN, 0, -2]).unwrap(), [5.0, 3.0, 1.0]);
    assert_eq!(slice([1, 99, 0, 2]).unwrap(), [1.0, 3.0, 5.0]);
    assert!(slice([0, 4, 0, 1]).unwrap_err().contains(REQUIRED));
    assert!(slice([0, 3, 0, 0]).unwrap_err().contains("division by zero"), "a step of 0");
    assert!(slice([0, 3, 1, 1]).is_err(), "an axis that is not there");

    let pad = |mode: &str, a: &[i64]| {
        let m = with_argument("Pad", &[4], 2, &[6], &[string("mode", mode)]);
        call(&m, &[4], a).map(|t| t.as_f32().unwrap().to_vec())
    };
    assert_eq!(pad("constant", &[1, 1]).unwrap(), [0.0, 0.0, 1.0, 2.0, 3.0, 0.0]);
    assert_eq!(pad("constant", &[3, -1]).unwrap(), [0.0, 0.0, 0.0, 0.0, 1.0, 2.0]);
    assert_eq!(pad("edge", &[2, 0]).unwrap(), [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
    assert_eq!(pad("reflect", &[2, 0]).unwrap(), [2.0, 1.0, 0.0, 1.0, 2.0, 3.0]);
    assert_eq!(pad("reflect", &[0, 2]).unwrap(), [0.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
    assert_eq!(pad("wrap", &[2, 0]).unwrap(), [2.0, 3.0, 0.0, 1.0, 2.0, 3.0]);
    assert!(pad("constant", &[1, 2]).unwrap_err().contains(REQUIRED));
    assert!(pad("edge", &[3, -1]).unwrap_err().contains(REQUIRED));
}

#[test]
fn without_a_declared_shape_such_an_argument_is_refused() {
    for op in ["Reshape", "Expand", "Tile", "Squeeze", "ReduceSum", "TopK"] {
        let m = onnx(18)
            .input("x", F, &[D::N(2), D::N(1)])
            .input("a", I, &[D::N(1)])
            .node(op, &["x", "a"], &["y"], &[])
            .output("y");
        let p = m.problems();
        let advice = p[0].advice.as_deref().unwrap_or("");
        assert!(p[0].reason.contains("declares no shape") && advice.contains("onnx.shape_inference"), "{op}: {p:?}");
    }
    let impossible = with_argument("ReduceSum", &[2, 3], 1, &[7, 3], &[]);
    assert!(impossible.problems()[0].reason.contains("no axes"));
}

#[test]
fn a_symbolic_declaration_follows_the_call() {
    let mut m = onnx(18).input("x", F, &[D::S("batch"), D::N(4)]).input("a", I, &[D::N(3)]).node(
        "Reshape",
        &["x", "a"],
        &["y"],
        &[],
    );
    m.graph.output.push(info("y", F, Some(&[D::S("batch"), D::N(2), D::N(2)])));
    for rows in [1, 3] {
        assert_eq!(call(&m, &[rows, 4], &[rows as i64, 2, 2]).unwrap().shape, [rows, 2, 2]);
        assert_eq!(call(&m, &[rows, 4], &[0, 2, -1]).unwrap().shape, [rows, 2, 2]);
        assert!(call(&m, &[rows, 4], &[7, 2, 2]).unwrap_err().contains(REQUIRED));
    }
}

#[test]
fn ranges_round_their_length_up() {
    let range = |n: i64, v: [i64; 3]| {
        let mut m = onnx(13);
        for name in ["a", "b", "c"] {
            m = m.input(name, I, &[]);
        }
        let mut m = m.node("Range", &["a", "b", "c"], &["y"], &[]);
        m.graph.output.push(info("y", I, Some(&[D::N(n)])));
        try_run(&m.import().unwrap(), &v.map(|k| xi(&[], &[k]))).map(|t| i64s(&t[0]).to_vec())
    };
    assert_eq!(range(3, [0, 5, 2]).unwrap(), [0, 2, 4]);
    assert_eq!(range(2, [10, 6, -3]).unwrap(), [10, 7]);
    assert_eq!(range(0, [0, -1, 2]).unwrap(), [0i64; 0]);
    assert!(range(2, [0, 5, 2]).unwrap_err().contains(REQUIRED));
    let constant = |v: [i64; 3]| {
        let mut m = onnx(13).input("x", I, &[D::S("n")]);
        for (name, k) in ["a", "b", "c"].iter().zip(v) {
            m = m.constant(name, t_i64(&[], &[k]));
        }
        let m = m.node("Range", &["a", "b", "c"], &["r"], &[]).node("Size", &["r"], &["y"], &[]).output("y");
        i64s(&m.run(&[xi(&[1], &[0])])[0]).to_vec()
    };
    assert_eq!([constant([0, 5, 2]), constant([0, -1, 2]), constant([5, 0, -2])], [[3], [0], [3]]);
}

#[test]
fn results_of_declared_length() {
    let m = |op: &str, y: &[D]| {
        let mut m = onnx(18).input("x", F, &[D::N(4)]).input("c", 9, &[D::N(4)]);
        let inputs: &[&str] = if op == "Compress" { &["x", "c"] } else { &["c"] };
        m = m.node(op, inputs, &["y"], &[]);
        m.graph.output.push(info("y", if op == "Compress" { F } else { I }, Some(y)));
        m.import().unwrap()
    };
    let condition = |v: [bool; 4]| Tensor::new(vec![4], lockstep_engine::Data::Bool(v.to_vec())).unwrap();
    let compress = m("Compress", &[D::N(2)]);
    let y = try_run(&compress, &[counting(&[4]), condition([false, true, false, true])]).unwrap();
    assert_eq!(y[0].as_f32().unwrap(), [1.0, 3.0]);
    let more = try_run(&compress, &[counting(&[4]), condition([true; 4])]).unwrap_err();
    assert!(more.contains(REQUIRED), "{more}");
    let non_zero = m("NonZero", &[D::N(1), D::N(3)]);
    let y = try_run(&non_zero, &[counting(&[4]), condition([true, true, false, true])]).unwrap();
    assert_eq!((y[0].shape.as_slice(), i64s(&y[0])), (&[1, 3][..], &[0, 1, 3][..]));
}

#[test]
fn top_k_takes_the_lowest_index_of_equals() {
    let m = onnx(11)
        .input("x", F, &[D::S("batch"), D::N(5)])
        .constant("k", t_i64(&[1], &[3]))
        .node("TopK", &["x", "k"], &["v", "i"], &[])
        .output("v")
        .output("i");
    let out = m.run(&[x(&[1, 5], &[1.0, 7.0, f32::NAN, 7.0, 1.0])]);
    assert!(out[0].as_f32().unwrap()[0].is_nan());
    assert_eq!((&out[0].as_f32().unwrap()[1..], i64s(&out[1])), (&[7.0, 7.0][..], &[2, 1, 3][..]));
}

#[test]
fn losses_weigh_and_ignore() {
    let m = |reduction: &str| {
        onnx(13)
            .input("x", F, &[D::N(3), D::N(2)])
            .input("t", I, &[D::N(3)])
            .constant("w", t_f32(&[2], &[1.0, 3.0]))
            .node(
                "NegativeLogLikelihoodLoss",
                &["x", "t", "w"],
                &["y"],
                &[string("reduction", reduction), int("ignore_index", -1)],
            )
            .output("y")
            .f32(&[x(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), xi(&[3], &[0, 1, -1])])
    };
    assert_eq!(m("none"), [-1.0, -12.0, 0.0]);
    assert_eq!(m("sum"), [-13.0]);
    assert_eq!(m("mean"), [-13.0 / 4.0]);
}

#[test]
fn positions_of_maxima_lead_back() {
    let window = [ints("kernel_shape", &[2]), ints("strides", &[2])];
    let m = onnx(12)
        .input("x", F, &[D::S("b"), D::N(1), D::N(4)])
        .node("MaxPool", &["x"], &["v", "i"], &window)
        .node("MaxUnpool", &["v", "i"], &["y"], &window)
        .output("i")
        .output("y");
    let infinity = f32::NEG_INFINITY;
    let out = m.run(&[x(&[2, 1, 4], &[1.0, 2.0, 4.0, 3.0, infinity, infinity, f32::NAN, 5.0])]);
    assert_eq!(i64s(&out[0]), [1, 2, 4, 6]);
    let y = out[1].as_f32().unwrap();
    assert_eq!((&y[..6], y[7]), (&[0.0, 2.0, 4.0, 0.0, infinity, 0.0][..], 0.0));
    let padded = [ints("kernel_shape", &[3]), ints("pads", &[1, 1])];
    let m =
        onnx(12).input("x", F, &[D::N(1), D::N(1), D::N(2)]).node("MaxPool", &["x"], &["v", "i"], &padded).output("i");
    assert_eq!(i64s(&m.run(&[x(&[1, 1, 2], &[infinity; 2])])[0]), [0, 0], "the border never wins");
}
