use super::*;
use crate::fast::testing::{Values, any_list, any_type, bits, infer, reference};
use crate::ops::Op;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn t(shape: &[usize], data: &[f32]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::F32(data.to_vec())).unwrap()
}

fn ty(shape: &[u64]) -> TensorType {
    TensorType::new(DType::F32, shape.iter().map(|d| Dim::Known(*d)).collect())
}

fn conv(axes: usize) -> Conv {
    Conv {
        groups: 1,
        strides: vec![1; axes],
        dilations: vec![1; axes],
        pads_begin: vec![0; axes],
        pads_end: vec![0; axes],
    }
}

#[test]
fn a_small_convolution_by_hand() {
    let x = t(&[1, 1, 3, 3], &[1., 2., 3., 4., 5., 6., 7., 8., 9.]);
    let w = t(&[1, 1, 2, 2], &[1., 0., 0., -1.]);
    assert_eq!(reference(&conv(2).into(), &[&x, &w]), t(&[1, 1, 2, 2], &[-4., -4., -4., -4.]));
    // Pads 1 before the rows and 1 after the columns, stride 2, bias last.
    let op = Conv { strides: vec![2, 2], pads_begin: vec![1, 0], pads_end: vec![0, 1], ..conv(2) };
    let out = reference(&op.into(), &[&x, &w, &t(&[1], &[0.5])]);
    assert_eq!(out, t(&[1, 1, 2, 2], &[-1.5, 0.5, -3.5, 6.5]));
}

#[test]
fn one_and_three_axes() {
    let op = Conv { dilations: vec![2], ..conv(1) };
    let out = reference(&op.into(), &[&t(&[1, 1, 4], &[1., 2., 3., 4.]), &t(&[1, 1, 2], &[1., 10.])]);
    assert_eq!(out, t(&[1, 1, 2], &[31., 42.]));
    let x: Vec<f32> = (0..8).map(|i| i as f32).collect();
    let out = reference(&conv(3).into(), &[&t(&[1, 1, 2, 2, 2], &x), &t(&[1, 1, 2, 2, 2], &[1.; 8])]);
    assert_eq!(out, t(&[1, 1, 1, 1, 1], &[28.]));
}

#[test]
fn taps_on_the_border_are_multiplied() {
    // fma(+0, w, -0) is +0 for positive w: the zero of the border decides the sign.
    let op = Conv { pads_end: vec![1], ..conv(1) };
    let out = reference(&op.clone().into(), &[&t(&[1, 1, 1], &[1e-30]), &t(&[1, 1, 2], &[-1e-30, 1.])]);
    assert_eq!(bits(&out), [0]);
    let out = reference(&op.into(), &[&t(&[1, 1, 1], &[1.]), &t(&[1, 1, 2], &[1., f32::INFINITY])]);
    assert!(out.as_f32().unwrap()[0].is_nan(), "0 * infinity");
}

/// The definition written out once more, for two axes: gather the taps, then blocks of 256.
#[allow(clippy::disallowed_methods)] // The point is another implementation than the engine's own.
fn explicit(op: &Conv, x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Vec<f32> {
    let (xs, ws) = (&x.shape, &w.shape);
    let (xv, wv) = (x.as_f32().unwrap(), w.as_f32().unwrap());
    let out = |i: usize| {
        let span = (ws[2 + i] - 1) * op.dilations[i] as usize + 1;
        (xs[2 + i] + (op.pads_begin[i] + op.pads_end[i]) as usize - span) / op.strides[i] as usize + 1
    };
    let mut result = Vec::new();
    let per_group = ws[0] / op.groups as usize;
    for n in 0..xs[0] {
        for m in 0..ws[0] {
            for oy in 0..out(0) {
                for ox in 0..out(1) {
                    let mut products = Vec::new();
                    for c in 0..ws[1] {
                        for ky in 0..ws[2] {
                            for kx in 0..ws[3] {
                                let y = (oy * op.strides[0] as usize + ky * op.dilations[0] as usize) as i64
                                    - i64::from(op.pads_begin[0]);
                                let z = (ox * op.strides[1] as usize + kx * op.dilations[1] as usize) as i64
                                    - i64::from(op.pads_begin[1]);
                                let inside = (0..xs[2] as i64).contains(&y) && (0..xs[3] as i64).contains(&z);
                                let channel = m / per_group * ws[1] + c;
                                let v = if inside {
                                    xv[((n * xs[1] + channel) * xs[2] + y as usize) * xs[3] + z as usize]
                                } else {
                                    0.0
                                };
                                products.push((v, wv[((m * ws[1] + c) * ws[2] + ky) * ws[3] + kx]));
                            }
                        }
                    }
                    let blocks: Vec<f32> =
                        products.chunks(256).map(|b| b.iter().fold(0.0f32, |acc, (x, w)| x.mul_add(*w, acc))).collect();
                    let sum = blocks.into_iter().reduce(|a, b| a + b).unwrap_or(0.0);
                    result.push(bias.map_or(sum, |b| sum + b.as_f32().unwrap()[m]));
                }
            }
        }
    }
    result
}

#[test]
fn it_is_the_explicit_loop() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (groups, channels, filters, kernel, stride, dilation) in
        [(1, 3, 4, [3, 3], 1, 1), (2, 4, 6, [1, 2], 2, 1), (3, 3, 3, [3, 2], 1, 2), (1, 32, 2, [3, 3], 1, 1)]
    {
        for values in [Values::Ordinary, Values::Wide, Values::Special] {
            let op = Conv {
                groups: groups as u32,
                strides: vec![stride, 1],
                dilations: vec![1, dilation],
                pads_begin: vec![1, 0],
                pads_end: vec![0, 2],
            };
            let x = values.tensor(&mut rng, &[2, channels, 5, 6]);
            let w = values.tensor(&mut rng, &[filters, channels / groups, kernel[0], kernel[1]]);
            let bias = values.tensor(&mut rng, &[filters]);
            let want = explicit(&op, &x, &w, Some(&bias));
            let out = reference(&op.clone().into(), &[&x, &w, &bias]);
            assert_eq!(bits(&out), bits(&Tensor::vector(want)));
            let want = explicit(&op, &x, &w, None);
            assert_eq!(bits(&reference(&op.into(), &[&x, &w])), bits(&Tensor::vector(want)));
        }
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    let refused = |op: Conv, x: &[u64], w: &[u64]| assert!(infer(&op.into(), &[&ty(x), &ty(w)]).is_err());
    let (x, w) = ([1, 4, 5, 5], [8, 4, 3, 3]);
    assert!(infer(&conv(2).into(), &[&ty(&x), &ty(&w)]).is_ok());
    refused(Conv { groups: 0, ..conv(2) }, &x, &w);
    refused(Conv { groups: 3, ..conv(2) }, &x, &w);
    refused(Conv { strides: vec![0, 1], ..conv(2) }, &x, &w);
    refused(Conv { dilations: vec![1, 0], ..conv(2) }, &x, &w);
    refused(Conv { strides: vec![1], ..conv(2) }, &x, &w);
    refused(Conv { pads_end: vec![1, 1, 1], ..conv(2) }, &x, &w);
    refused(Conv { dilations: vec![3, 1], ..conv(2) }, &x, &w);
    refused(conv(2), &x, &[8, 4, 0, 3]);
    refused(conv(2), &x, &[8, 3, 3, 3]);
    refused(conv(2), &x, &[8, 4, 3]);
    refused(conv(0), &[1, 4], &[8, 4]);
    refused(conv(4), &[1, 4, 5, 5, 5, 5], &[8, 4, 1, 1, 1, 1]);
    let short = ty(&[7]);
    assert!(infer(&conv(2).into(), &[&ty(&x), &ty(&w), &short]).is_err());
}

#[test]
fn symbolic_axes() {
    let (b, h) = (Dim::symbol(0), Dim::symbol(1));
    let x = TensorType::new(DType::F32, vec![b.clone(), Dim::Known(4), h.clone(), Dim::Known(9)]);
    let op: Op = Conv { strides: vec![2, 2], pads_begin: vec![1, 1], pads_end: vec![1, 1], ..conv(2) }.into();
    let out = infer(&op, &[&x, &ty(&[8, 4, 3, 3])]).unwrap();
    assert_eq!(out.shape[..2], [b, Dim::Known(8)]);
    assert_eq!(out.shape[3], Dim::Known(5));
    for n in 1..20 {
        let known = infer(&op, &[&ty(&[1, 4, n, 9]), &ty(&[8, 4, 3, 3])]).unwrap();
        assert_eq!(out.shape[2].eval(&[None, Some(n)]), known.shape[2].as_known());
    }
}

#[test]
fn work_and_scratch_are_the_documented_formulas() {
    let op = Conv { groups: 2, pads_begin: vec![1, 1], ..conv(2) };
    let types = [ty(&[3, 4, 6, 6]), ty(&[10, 2, 3, 3])];
    let inputs = [Some(&types[0]), Some(&types[1])];
    let out = op.infer(&inputs, &Bindings::SYMBOLIC).unwrap();
    assert_eq!(out, [ty(&[3, 10, 5, 5])]);
    let w = op.work(&inputs, &out);
    let padded = 3 * 4 * 7 * 7;
    assert_eq!(w.get(Unit::MultiplyAdd), 3 * 2 * 28 * 16 * 18);
    assert_eq!(w.get(Unit::Element), 3 * 2 * 25 * 18 + 10 * 18 + 3 * 10 * 25 + padded);
    assert_eq!(op.scratch(&inputs, &out), 4 * (2 * 16 * 18 + padded + 3 * 2 * 32 * (18 + 16)) + 8 * 18);
}

#[test]
fn one_channel_a_group_counts_the_planes_laid_out() {
    // 5 of 7 with a border of 1 and a stride of 2: taps have both remainders, 4 coordinates each.
    let op = Conv { groups: 5, pads_begin: vec![1], pads_end: vec![1], strides: vec![2], ..conv(1) };
    let types = [ty(&[2, 5, 7]), ty(&[5, 1, 3])];
    let inputs = [Some(&types[0]), Some(&types[1])];
    let out = op.infer(&inputs, &Bindings::SYMBOLIC).unwrap();
    assert_eq!(out, [ty(&[2, 5, 4])]);
    let one = 4 * (2 * (4 + 1) + 32 + 32) + 16 * (1 + 7) + 8 * 3;
    assert_eq!(op.scratch(&inputs, &out), (2 * 5 + 1) * one);
    // Hostile windows are counted without being walked through.
    let far = Conv { groups: 1, pads_begin: vec![u32::MAX], dilations: vec![u32::MAX], ..conv(1) };
    let types = [ty(&[1, 1, 1 << 33]), ty(&[1, 1, 3])];
    let inputs = [Some(&types[0]), Some(&types[1])];
    let out = far.infer(&inputs, &Bindings::SYMBOLIC).unwrap();
    assert!(far.scratch(&inputs, &out) > 1 << 35);
}

proptest! {
    #[test]
    fn inference_never_panics(
        x in any_type(0..6), w in any_type(0..6), bias in any_type(0..3), groups in prop_oneof![0u32..4, any::<u32>()],
        strides in any_list(), dilations in any_list(), pads_begin in any_list(), pads_end in any_list(),
    ) {
        let op: Op = Conv { groups, strides, dilations, pads_begin, pads_end }.into();
        let _ = infer(&op, &[&x, &w]);
        let _ = infer(&op, &[&x, &w, &bias]);
    }

    #[test]
    fn inference_of_matching_ranks_never_panics(
        x in any_type(4..5), w in any_type(4..5), groups in 0u32..3, a in [any::<u32>(); 2], b in [0u32..4, 0u32..4],
    ) {
        let pick = |big: bool| if big { a.to_vec() } else { b.to_vec() };
        for i in 0..16u32 {
            let bit = |n: u32| i >> n & 1 == 1;
            let op = Conv {
                groups, strides: pick(bit(0)), dilations: pick(bit(1)), pads_begin: pick(bit(2)), pads_end: pick(bit(3)),
            };
            let _ = infer(&op.into(), &[&x, &w]);
        }
    }
}
