use super::*;
use crate::fast::testing::{Values, any_type, bits, infer, reference};
use crate::ops::Op;
use crate::tensor::TensorType;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn t(shape: &[usize], data: &[f32]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::F32(data.to_vec())).unwrap()
}

fn gemm(alpha: f32, beta: f32, trans_a: bool, trans_b: bool) -> Op {
    Gemm { alpha, beta, trans_a, trans_b }.into()
}

fn ty(shape: &[u64]) -> TensorType {
    TensorType::new(DType::F32, shape.iter().map(|d| Dim::Known(*d)).collect())
}

/// 2^-24, half a unit in the last place of 1.
const TINY: f32 = 1.0 / 16_777_216.0;

/// S1 written out a second time: an explicit loop over the platform's fused multiply-add (glibc's and the
/// hardware's are correctly rounded).
#[allow(clippy::disallowed_methods)] // The point is another implementation than the engine's own.
fn oracle(a: &[f32], w: &[f32]) -> f32 {
    let (mut total, mut acc) = (None, 0.0f32);
    for k in 0..a.len() {
        acc = a[k].mul_add(w[k], acc);
        if k % 256 == 255 || k + 1 == a.len() {
            total = Some(total.map_or(acc, |t: f32| t + acc));
            acc = 0.0;
        }
    }
    total.unwrap_or(0.0)
}

#[test]
fn s1_is_the_written_loop() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for values in [Values::Ordinary, Values::Wide, Values::Special] {
        for k in [0, 1, 2, 255, 256, 257, 511, 512, 513, 600] {
            for _ in 0..20 {
                let a: Vec<f32> = (0..k).map(|_| values.draw(&mut rng)).collect();
                let w: Vec<f32> = (0..k).map(|_| values.draw(&mut rng)).collect();
                let (x, y) = (s1(k, |k| (a[k], w[k])), oracle(&a, &w));
                assert_eq!(crate::float::canonical(x).to_bits(), crate::float::canonical(y).to_bits(), "K = {k}");
            }
        }
    }
}

#[test]
fn s1_of_small_integers_is_exact() {
    let factors = |k: usize| ((k % 13) as f32 - 6.0, (k % 7) as f32 - 3.0);
    let exact: f64 = (0..600).map(|k| f64::from(factors(k).0) * f64::from(factors(k).1)).sum();
    assert_eq!(f64::from(s1(600, factors)), exact);
}

#[test]
fn blocks_are_summed_apart_and_restart_from_plus_zero() {
    // In one chain 1 + 2^-24 + 2^-24 stays 1 (two ties to even); the second block holds both halves together.
    let a = |k: usize| match k {
        0 => 1.0,
        256 | 257 => TINY,
        _ => 0.0,
    };
    assert_eq!(s1(258, |k| (a(k), 1.0)), 1.0 + 2.0 * TINY);
    assert_eq!(s1(0, |_| (f32::NAN, f32::NAN)).to_bits(), 0, "no k gives +0");
    assert_eq!(s1(1, |_| (-0.0, 1.0)).to_bits(), 0, "+0 + -0 is +0");
    assert_eq!(s1(1, |_| (1e-30, -1e-30)).to_bits(), 0x8000_0000, "a product that underflows keeps its sign");
    assert_eq!(s1(257, |k| if k == 0 { (1e-30, -1e-30) } else { (0.0, 1.0) }).to_bits(), 0);
}

#[test]
fn matmul_follows_numpy() {
    let op: Op = MatMul {}.into();
    let a = t(&[2, 3], &[1., 2., 3., 4., 5., 6.]);
    let b = t(&[3, 2], &[7., 8., 9., 10., 11., 12.]);
    assert_eq!(reference(&op, &[&a, &b]), t(&[2, 2], &[58., 64., 139., 154.]));
    let (row, column) = (t(&[2], &[1., -1.]), t(&[3], &[1., 0., 2.]));
    assert_eq!(reference(&op, &[&row, &a]), t(&[3], &[-3., -3., -3.]));
    assert_eq!(reference(&op, &[&a, &column]), t(&[2], &[7., 16.]));
    assert_eq!(reference(&op, &[&column, &column]), t(&[], &[5.]));
    // (2, 1, 1, 2) @ (3, 2, 1): leading axes (2, 1) and (3) broadcast to (2, 3).
    let a = t(&[2, 1, 1, 2], &[1., 2., 3., 4.]);
    let b = t(&[3, 2, 1], &[1., 0., 0., 1., 1., 1.]);
    assert_eq!(reference(&op, &[&a, &b]), t(&[2, 3, 1, 1], &[1., 2., 3., 3., 4., 7.]));
    let empty = reference(&op, &[&t(&[2, 0], &[]), &t(&[0, 3], &[])]);
    assert_eq!(bits(&empty), [0; 6]);
    assert_eq!(reference(&op, &[&t(&[0, 2], &[]), &t(&[2, 3], &[0.; 6])]).shape, [0, 3]);
}

#[test]
fn gemm_scales_and_adds_with_one_rounding_each() {
    let a = t(&[2, 3], &[1., 2., 3., 4., 5., 6.]);
    let b = t(&[3, 2], &[7., 8., 9., 10., 11., 12.]);
    assert_eq!(reference(&gemm(0.5, 1., false, false), &[&a, &b]), t(&[2, 2], &[29., 32., 69.5, 77.]));
    for (c, want) in [
        (t(&[], &[1.]), [60., 66., 141., 156.]),
        (t(&[2], &[1., 2.]), [60., 68., 141., 158.]),
        (t(&[1, 2], &[1., 2.]), [60., 68., 141., 158.]),
        (t(&[2, 1], &[1., 2.]), [60., 66., 143., 158.]),
        (t(&[2, 2], &[1., 2., 3., 4.]), [60., 68., 145., 162.]),
    ] {
        assert_eq!(reference(&gemm(1., 2., false, false), &[&a, &b, &c]), t(&[2, 2], &want));
    }
    // Not fused: 3 * 2^-24 * (1 + 2^-23) and the sum are rounded apart.
    let (x, y) = (1.0 + 2.0 * TINY, 3.0 * TINY);
    let one = t(&[1, 1], &[1.]);
    let out = reference(&gemm(1., y, false, false), &[&one, &one, &t(&[1], &[x])]);
    assert_eq!(bits(&out), [(1.0 + y * x).to_bits()]);
    // A factor of zero still multiplies.
    let out = reference(&gemm(1., 0., false, false), &[&one, &one, &t(&[1], &[f32::INFINITY])]);
    assert!(out.as_f32().unwrap()[0].is_nan());
}

#[test]
fn gemm_transposes() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (m, k, n) = (3, 5, 4);
    let a = Values::Wide.tensor(&mut rng, &[m, k]);
    let b = Values::Wide.tensor(&mut rng, &[k, n]);
    let flip = |t: &Tensor| {
        let (r, c, v) = (t.shape[0], t.shape[1], t.as_f32().unwrap());
        let data = (0..c * r).map(|i| v[i % r * c + i / r]).collect();
        Tensor { shape: vec![c, r], data: Data::F32(data) }
    };
    let (at, bt) = (flip(&a), flip(&b));
    let want = bits(&reference(&MatMul {}.into(), &[&a, &b]));
    for (op, x, y) in [
        (gemm(1., 1., false, false), &a, &b),
        (gemm(1., 1., true, false), &at, &b),
        (gemm(1., 1., false, true), &a, &bt),
        (gemm(1., 1., true, true), &at, &bt),
    ] {
        assert_eq!(bits(&reference(&op, &[x, y])), want);
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    let mm: Op = MatMul {}.into();
    assert!(infer(&mm, &[&ty(&[]), &ty(&[1])]).is_err());
    assert!(infer(&mm, &[&ty(&[2, 3]), &ty(&[2, 3])]).is_err());
    assert!(infer(&mm, &[&ty(&[2, 2, 3]), &ty(&[3, 3, 2])]).is_err());
    let g = gemm(1., 1., false, false);
    assert!(infer(&g, &[&ty(&[2, 3]), &ty(&[3])]).is_err());
    assert!(infer(&g, &[&ty(&[2, 3]), &ty(&[3, 4]), &ty(&[3])]).is_err(), "C is 1 or 4 wide");
    assert!(infer(&g, &[&ty(&[2, 3]), &ty(&[3, 4]), &ty(&[1, 2, 4])]).is_err());
    assert!(infer(&gemm(f32::NAN, 1., false, false), &[&ty(&[2, 3]), &ty(&[3, 4])]).is_err());
    let bad = t(&[2], &[1., f32::INFINITY]);
    assert!(MatMul {}.check_constants(&[None, Some(&bad)]).is_err());
}

#[test]
fn symbols_pass_through() {
    let (b, s) = (Dim::symbol(0), Dim::symbol(1));
    let x = TensorType::new(DType::F32, vec![b.clone(), s.clone(), Dim::Known(8)]);
    let out = infer(&MatMul {}.into(), &[&x, &ty(&[8, 3])]).unwrap();
    assert_eq!(out.shape, [b.clone(), s, Dim::Known(3)]);
    let x = TensorType::new(DType::F32, vec![b.clone(), Dim::Known(8)]);
    let out = infer(&gemm(1., 1., false, true), &[&x, &ty(&[3, 8]), &ty(&[3])]).unwrap();
    assert_eq!(out.shape, [b, Dim::Known(3)]);
}

#[test]
fn work_and_scratch_are_the_documented_formulas() {
    let types = [ty(&[2, 5, 300]), ty(&[300, 17])];
    let inputs = [Some(&types[0]), Some(&types[1])];
    let out = [ty(&[2, 5, 17])];
    let w = MatMul {}.work(&inputs, &out);
    assert_eq!(w.get(Unit::MultiplyAdd), 2 * 8 * 32 * 300);
    assert_eq!(w.get(Unit::Element), 300 * 17 + 2 * 5 * 17);
    assert_eq!(MatMul {}.scratch(&inputs, &out), 32 * 300 * 4 + 64 * 256 * 4);
    let types = [ty(&[5, 30]), ty(&[17, 30])];
    let inputs = [Some(&types[0]), Some(&types[1])];
    let g = Gemm { alpha: 1., beta: 1., trans_a: false, trans_b: true };
    let w = g.work(&inputs, &[ty(&[5, 17])]);
    assert_eq!(w.get(Unit::MultiplyAdd), 8 * 32 * 30);
    assert_eq!(w.get(Unit::Element), 30 * 17 + 2 * 5 * 17);
    assert_eq!(g.scratch(&inputs, &[ty(&[5, 17])]), 32 * 30 * 4 + 64 * 30 * 4);
}

proptest! {
    #[test]
    fn inference_never_panics(a in any_type(0..6), b in any_type(0..6), c in any_type(0..4), ta: bool, tb: bool, alpha: f32) {
        let _ = infer(&MatMul {}.into(), &[&a, &b]);
        let _ = infer(&gemm(alpha, 1.0, ta, tb), &[&a, &b]);
        let _ = infer(&gemm(1.0, alpha, ta, tb), &[&a, &b, &c]);
    }
}
