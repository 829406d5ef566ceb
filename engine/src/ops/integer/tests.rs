use super::*;
use crate::fast::testing::{any_list, any_type, infer, reference};
use crate::ops::Op;
use proptest::prelude::*;

fn i8s(shape: &[usize], data: &[i8]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::I8(data.to_vec())).unwrap()
}

fn u8s(shape: &[usize], data: &[u8]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::U8(data.to_vec())).unwrap()
}

fn window(axes: usize) -> IntegerConv {
    let ones = vec![1; axes];
    IntegerConv {
        groups: 1,
        strides: ones.clone(),
        dilations: ones,
        pads_begin: vec![0; axes],
        pads_end: vec![0; axes],
    }
}

#[test]
fn the_example_of_onnx() {
    // ONNX's test_matmulinteger.
    let a = u8s(&[4, 3], &[11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0]);
    let b = u8s(&[3, 2], &[1, 4, 2, 5, 3, 6]);
    let y = reference(&IntegerMatMul {}.into(), &[&a, &b, &u8s(&[], &[12]), &u8s(&[], &[0])]);
    assert_eq!(y.data, Data::I32(vec![-38, -83, -44, -98, -50, -113, -56, -128]));
    // A zero point for each row and for each column, and mixed types.
    let b = i8s(&[3, 2], &[1, -4, 2, -5, -128, 127]);
    let y = reference(&IntegerMatMul {}.into(), &[&a, &b, &u8s(&[4], &[1, 2, 3, 4]), &i8s(&[2], &[1, -1])]);
    assert_eq!(
        y.data,
        Data::I32(vec![6 - 258, -30 - 24 + 256, 4, -24 - 16, 2 + 258, -18 - 8 - 256, 4 * 129, -12 - 512])
    );
}

#[test]
fn the_longest_sum_stays_in_i32() {
    let k = MAX_K as usize;
    let (a, b) = (u8s(&[1, k], &vec![255; k]), i8s(&[k, 2], &[127, -128].repeat(k)));
    let y = reference(&IntegerMatMul {}.into(), &[&a, &b, &u8s(&[], &[0]), &i8s(&[2], &[-128, 127])]);
    assert_eq!(y.data, Data::I32(vec![255 * 255 * MAX_K as i32, -255 * 255 * MAX_K as i32]));
    let t = |shape: &[usize]| TensorType::known(DType::U8, shape);
    let e = infer(&IntegerMatMul {}.into(), &[&t(&[1, k + 1]), &t(&[k + 1, 1])]).unwrap_err();
    assert_eq!(e.0, "a contraction of 33026: above 33025 its sum could leave i32");
    let symbolic = |shape: Vec<Dim>| TensorType::new(DType::U8, shape);
    let (n, s) = (Dim::Known(2), Dim::symbol(0));
    let e = infer(&IntegerMatMul {}.into(), &[&symbolic(vec![n.clone(), s.clone()]), &symbolic(vec![s, n])]);
    assert!(e.unwrap_err().0.contains("symbolic"));
    let conv = infer(&window(2).into(), &[&t(&[1, 33_026, 1, 1]), &t(&[1, 33_026, 1, 1])]);
    assert!(conv.is_err());
}

#[test]
fn the_border_adds_nothing() {
    // ONNX's test_convinteger_with_padding, then a weight with a zero point.
    let x = u8s(&[1, 1, 3, 3], &[2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let w = u8s(&[1, 1, 2, 2], &[1, 1, 1, 1]);
    let op: Op = IntegerConv { pads_begin: vec![1, 1], pads_end: vec![1, 1], ..window(2) }.into();
    let y = reference(&op, &[&x, &w, &u8s(&[], &[1])]);
    assert_eq!(y.data, Data::I32(vec![1, 3, 5, 3, 5, 12, 16, 9, 11, 24, 28, 15, 7, 15, 17, 9]));
    let y = reference(&op, &[&x, &w, &u8s(&[], &[1]), &u8s(&[1], &[2])]);
    assert_eq!(y.data, Data::I32(vec![-1, -3, -5, -3, -5, -12, -16, -9, -11, -24, -28, -15, -7, -15, -17, -9]));
}

#[test]
fn groups_have_their_own_channels_and_zero_points() {
    let x = i8s(&[1, 2, 2], &[1, 2, 3, 4]);
    let w = i8s(&[2, 1, 1], &[10, -10]);
    let op: Op = IntegerConv { groups: 2, ..window(1) }.into();
    let y = reference(&op, &[&x, &w, &i8s(&[], &[-1]), &i8s(&[2], &[0, -9])]);
    assert_eq!(y.data, Data::I32(vec![20, 30, -4, -5]));
}

#[test]
fn types_that_do_not_fit_are_refused() {
    let t = TensorType::known;
    let (a, b) = (t(DType::U8, &[2, 3]), t(DType::I8, &[3, 4]));
    let op: Op = IntegerMatMul {}.into();
    assert_eq!(infer(&op, &[&a, &b]).unwrap(), t(DType::I32, &[2, 4]));
    assert!(infer(&op, &[&t(DType::F32, &[2, 3]), &b]).unwrap_err().0.contains("i8 or u8 is expected"));
    assert!(infer(&op, &[&a, &b, &t(DType::I8, &[])]).unwrap_err().0.contains("its operand's u8"));
    assert!(infer(&op, &[&a, &b, &t(DType::U8, &[3])]).is_err());
    assert!(infer(&op, &[&a, &b, &t(DType::U8, &[1, 2])]).is_err());
    assert!(
        infer(&window(1).into(), &[&t(DType::U8, &[1, 1, 4]), &t(DType::U8, &[2, 1, 2]), &t(DType::U8, &[2])]).is_err()
    );
}

proptest! {
    #[test]
    fn infer_never_panics(
        types in proptest::collection::vec(any_type(0..6), 0..5),
        bytes in any::<u8>(),
        (strides, pads) in (any_list(), any_list()),
    ) {
        let mut types = types;
        for (i, t) in types.iter_mut().enumerate() {
            t.dtype = if bytes >> i & 1 == 0 { DType::I8 } else { DType::U8 };
        }
        let types: Vec<_> = types.iter().collect();
        let ones = vec![1; strides.len()];
        let _ = infer(&IntegerMatMul {}.into(), &types);
        let op = IntegerConv { groups: 1, strides, dilations: ones, pads_begin: pads.clone(), pads_end: pads };
        let _ = infer(&op.into(), &types);
    }
}
