use super::*;
use crate::dim::Dim;
use crate::fast::testing::{any_list, any_type, bits, infer, reference};
use crate::ops::Op;
use proptest::prelude::*;

fn t(shape: &[usize], data: &[f32]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::F32(data.to_vec())).unwrap()
}

fn ty(shape: &[u64]) -> TensorType {
    TensorType::new(DType::F32, shape.iter().map(|d| Dim::Known(*d)).collect())
}

fn pool(kind: PoolKind, kernel: &[u32]) -> Pool {
    let n = kernel.len();
    Pool {
        kind,
        kernel: kernel.to_vec(),
        strides: vec![1; n],
        dilations: vec![1; n],
        pads_begin: vec![0; n],
        pads_end: vec![0; n],
        ceil: false,
        count_pad: false,
    }
}

#[test]
fn max_takes_the_first_of_equals_and_nan_is_greatest() {
    let op: Op = pool(PoolKind::Max, &[2]).into();
    let x = t(&[1, 1, 6], &[-0.0, 0.0, -1.0, f32::NAN, 5.0, f32::INFINITY]);
    let inf = f32::INFINITY.to_bits();
    let nan = crate::float::NAN_BITS;
    assert_eq!(bits(&reference(&op, &[&x])), [0x8000_0000, 0, nan, nan, inf]);
    let x = Tensor { shape: vec![1, 1, 3], data: Data::I8(vec![-128, -3, -7]) };
    assert_eq!(reference(&op, &[&x]).data, Data::I8(vec![-3, -3]));
    let x = Tensor { shape: vec![1, 1, 3], data: Data::U8(vec![255, 0, 7]) };
    assert_eq!(reference(&op, &[&x]).data, Data::U8(vec![255, 7]));
}

#[test]
fn the_border_never_wins() {
    let op = Pool { pads_begin: vec![1, 1], pads_end: vec![1, 1], ..pool(PoolKind::Max, &[2, 2]) };
    let x = t(&[1, 1, 1, 2], &[-3., -5.]);
    assert_eq!(reference(&op.clone().into(), &[&x]), t(&[1, 1, 2, 3], &[-3., -3., -5., -3., -3., -5.]));
    let x = Tensor { shape: vec![1, 1, 1, 1], data: Data::I8(vec![-128]) };
    assert_eq!(reference(&op.into(), &[&x]).data, Data::I8(vec![-128; 4]));
}

#[test]
fn the_mean_divides_by_what_the_mode_counts() {
    let base = Pool { pads_begin: vec![1], pads_end: vec![1], strides: vec![2], ..pool(PoolKind::Average, &[3]) };
    let x = t(&[1, 1, 4], &[1., 2., 3., 4.]);
    assert_eq!(reference(&base.clone().into(), &[&x]), t(&[1, 1, 2], &[1.5, 3.]));
    let counted = Pool { count_pad: true, ..base.clone() };
    assert_eq!(reference(&counted.clone().into(), &[&x]), t(&[1, 1, 2], &[1., 3.]));
    // ceil adds a window at 3..6, of which 3 is inside, 4 is border and 5 is beyond it.
    let ceil = Pool { ceil: true, ..counted };
    assert_eq!(reference(&ceil.into(), &[&x]), t(&[1, 1, 3], &[1., 3., 2.]));
    let ceil = Pool { ceil: true, ..base };
    assert_eq!(reference(&ceil.into(), &[&x]), t(&[1, 1, 3], &[1.5, 3., 4.]));
}

#[test]
fn the_mean_sums_in_sixteen_lanes_over_the_inside() {
    // Seventeen elements: the last joins lane 0. 2^24 + 1 rounds in one lane and not across lanes.
    let mut x = vec![0.0f32; 17];
    (x[0], x[1], x[2], x[16]) = (LARGE, 1.0, 1.0, 1.0);
    let op: Op = pool(PoolKind::Average, &[17]).into();
    let lane0 = LARGE + 1.0;
    assert_eq!(lane0, LARGE);
    // Lanes join 8-4-2-1: lane 0 takes lane 2 before lane 1, which took nothing.
    let want = ((lane0 + 1.0) + 1.0) / 17.0;
    assert_eq!(reference(&op, &[&t(&[1, 1, 17], &x)]).as_f32().unwrap(), [want]);
    // Elements inside are numbered consecutively: with a border before it, the same sum.
    let padded = Pool { pads_begin: vec![3], ..pool(PoolKind::Average, &[20]) };
    assert_eq!(reference(&padded.into(), &[&t(&[1, 1, 17], &x)]).as_f32().unwrap(), [want]);
    assert_eq!(bits(&reference(&pool(PoolKind::Average, &[1]).into(), &[&t(&[1, 1, 1], &[-0.0])])), [0]);
}

#[test]
fn two_and_three_axes_with_dilation() {
    let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let op = Pool { dilations: vec![2, 2], ..pool(PoolKind::Average, &[2, 2]) };
    assert_eq!(reference(&op.into(), &[&t(&[1, 1, 4, 4], &x)]), t(&[1, 1, 2, 2], &[5., 6., 9., 10.]));
    let op = pool(PoolKind::Max, &[2, 2, 2]);
    assert_eq!(reference(&op.into(), &[&t(&[2, 1, 2, 2, 2], &x)]), t(&[2, 1, 1, 1, 1], &[7., 15.]));
}

/// 2^24, from where odd integers have no f32.
const LARGE: f32 = 16_777_216.0;

/// ONNX's text for the number of windows, word by word.
fn windows(a: &Axis, input: u64, ceil: bool) -> Option<u64> {
    let span = (a.kernel - 1) * a.dilation + 1;
    let room = (input + a.begin + a.end).checked_sub(span)?;
    if !ceil {
        return Some(room / a.stride + 1);
    }
    let n = room.div_ceil(a.stride) + 1;
    Some(if (n - 1) * a.stride >= input + a.begin { n - 1 } else { n })
}

#[test]
fn what_has_no_meaning_is_refused() {
    let refused = |op: Pool, x: &[u64]| assert!(infer(&op.into(), &[&ty(x)]).is_err());
    let p = || pool(PoolKind::Max, &[2, 2]);
    assert!(infer(&p().into(), &[&ty(&[1, 1, 2, 2])]).is_ok());
    refused(p(), &[1, 1, 1, 2]);
    refused(p(), &[1, 1, 2]);
    refused(pool(PoolKind::Max, &[]), &[1, 1]);
    refused(pool(PoolKind::Max, &[2, 0]), &[1, 1, 2, 2]);
    refused(Pool { strides: vec![0, 1], ..p() }, &[1, 1, 2, 2]);
    refused(Pool { dilations: vec![0, 1], ..p() }, &[1, 1, 2, 2]);
    refused(Pool { strides: vec![1], ..p() }, &[1, 1, 2, 2]);
    refused(Pool { pads_begin: vec![2, 0], ..p() }, &[1, 1, 2, 2]);
    refused(Pool { pads_end: vec![0, 2], ..p() }, &[1, 1, 2, 2]);
    // Taps at -2 and 1 of an axis of length 1.
    refused(Pool { dilations: vec![3, 1], pads_begin: vec![2, 0], pads_end: vec![3, 0], ..p() }, &[1, 1, 1, 2]);
    let bytes = TensorType::new(DType::I8, ty(&[1, 1, 2, 2]).shape);
    assert!(infer(&pool(PoolKind::Average, &[2, 2]).into(), &[&bytes]).is_err());
}

proptest! {
    #[test]
    fn windows_are_counted_as_onnx_says_and_none_is_empty(
        input in 0u64..20, kernel in 1u64..6, stride in 1u64..6, dilation in 1u64..5, begin in 0u64..12, end in 0u64..12, ceil: bool,
    ) {
        let a = Axis { kernel, stride, dilation, begin, end };
        let mut op = pool(PoolKind::Max, &[kernel as u32]);
        op.strides = vec![stride as u32];
        op.dilations = vec![dilation as u32];
        op.pads_begin = vec![begin as u32];
        op.pads_end = vec![end as u32];
        op.ceil = ceil;
        if let Ok(out) = infer(&op.clone().into(), &[&ty(&[1, 1, input])]) {
            let n = out.shape[2].as_known();
            prop_assert_eq!(n, windows(&a, input, ceil));
            for w in 0..n.unwrap() as usize {
                prop_assert!((0..kernel as usize).any(|t| a.tap(w, t, input as usize).is_some()));
            }
            let symbolic = TensorType::new(DType::F32, vec![Dim::Known(1), Dim::Known(1), Dim::symbol(0)]);
            let out = infer(&op.into(), &[&symbolic]).unwrap();
            prop_assert_eq!(out.shape[2].eval(&[Some(input)]), n);
        }
    }

    #[test]
    fn inference_never_panics(
        x in any_type(0..6), average: bool, kernel in any_list(), strides in any_list(), dilations in any_list(),
        pads_begin in any_list(), pads_end in any_list(), ceil: bool, count_pad: bool,
    ) {
        let kind = if average { PoolKind::Average } else { PoolKind::Max };
        let _ = infer(&Pool { kind, kernel, strides, dilations, pads_begin, pads_end, ceil, count_pad }.into(), &[&x]);
    }

    #[test]
    fn inference_of_matching_ranks_never_panics(
        x in any_type(4..5), a in [any::<u32>(); 2], b in [0u32..4, 0u32..4], ceil: bool,
    ) {
        let pick = |big: bool| if big { a.to_vec() } else { b.to_vec() };
        for i in 0..32u32 {
            let bit = |n: u32| i >> n & 1 == 1;
            let _ = infer(&Pool {
                kind: PoolKind::Max, kernel: pick(bit(0)), strides: pick(bit(1)), dilations: pick(bit(2)),
                pads_begin: pick(bit(3)), pads_end: pick(bit(4)), ceil, count_pad: true,
            }.into(), &[&x]);
        }
    }
}

#[test]
fn scratch_is_the_documented_formula() {
    let scratch = |op: &Pool, x: TensorType| {
        let out = op.infer(&[Some(&x)], &Bindings::SYMBOLIC).unwrap();
        op.scratch(&[Some(&x)], &out)
    };
    let max = pool(PoolKind::Max, &[3, 2]);
    // Lines of 6 + 1, 4 + 2 of them: positions of the last one end at 3 * 7 + 6.
    let one = 4 * (6 * 7 + 32 + 32) + 16 * (6 + 7) + 8 * 6;
    assert_eq!(scratch(&max, ty(&[2, 3, 6, 7])), (2 * 3 + 1) * one);
    assert_eq!(scratch(&max, ty(&[20, 30, 6, 7])), (64 + 1) * one);
    assert_eq!(scratch(&pool(PoolKind::Average, &[3, 2]), ty(&[2, 3, 6, 7])), 0);
    // A window that is longer than a few planes is not laid out.
    let long = Pool { pads_begin: vec![2500], pads_end: vec![2500], ..pool(PoolKind::Max, &[5000]) };
    assert_eq!(scratch(&long, ty(&[2, 3, 3])), 0);
}
