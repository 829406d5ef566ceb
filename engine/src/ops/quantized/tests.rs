use super::*;
use crate::dim::Bindings;
use crate::fast::testing::{Values, any_list, any_type, bits, reference};
use crate::ops::{Op, Operator};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn matmul(class: WeightClass, block: u32) -> Op {
    QuantizedMatMul { class, block }.into()
}

fn f32s(shape: &[usize], data: &[f32]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::F32(data.to_vec())).unwrap()
}

fn i8s(shape: &[usize], data: &[i8]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::I8(data.to_vec())).unwrap()
}

fn u8s(shape: &[usize], data: &[u8]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::U8(data.to_vec())).unwrap()
}

#[test]
fn the_exponent_is_the_least_that_holds_the_row() {
    for (x, e) in [
        (1.0f32, 1),
        (0.999_999_94, 0),
        (-1.5, 1),
        (2.0, 2),
        (f32::MAX, 128),
        (f32::MIN_POSITIVE, -111),
        (1e-45, -111),
        (0.0, -111),
        (1.6e-34, -111),
        (5e-34, -110),
    ] {
        let s = RowScale::of(&[0.0, x, -0.0]).unwrap();
        assert_eq!((s.up, s.down), (2f64.powi(15 - e) as f32, 2f64.powi(e - 15) as f32), "{x}");
        assert!(e == -111 || (f64::from(x.abs()) < 2f64.powi(e) && f64::from(x.abs()) >= 2f64.powi(e - 1)));
    }
    for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(RowScale::of(&[1.0, x]), None);
    }
    assert!(RowScale::of(&[]).is_some());
}

#[test]
fn values_round_to_even_and_saturate() {
    let s = RowScale::of(&[1.0 - 2f32.powi(-24)]).unwrap();
    let unit = 2f32.powi(-15);
    for (x, q) in [(0.5, 16_384), (1.5 * unit, 2), (2.5 * unit, 2), (-2.5 * unit, -2), (0.999_999_94, 32_767)] {
        assert_eq!(s.quantize(x), q);
    }
    assert_eq!(s.quantize(-0.999_999_94), -32_767);
}

#[test]
fn a_product_by_hand() {
    // Row 0: e = 1, q = (16384, -24576).
    let x = f32s(&[2, 2], &[1.0, -1.5, 0.0, 0.0]);
    let w = i8s(&[3, 2], &[1, 2, -127, 0, 3, 4]);
    // bf16 of 1, 0.5, 2.
    let scale = u8s(&[3, 1, 2], &[0x80, 0x3f, 0x00, 0x3f, 0x00, 0x40]);
    let bias = f32s(&[3], &[0.25, 0.0, -1.0]);
    let op = matmul(WeightClass::I8, 32)
        .definition()
        .reference(&[Some(&x), Some(&w), Some(&scale), None, Some(&bias)], &[TensorType::known(DType::F32, &[2, 3])]);
    let y = op.unwrap().remove(0);
    assert_eq!(y.as_f32().unwrap(), [1.0 - 3.0 + 0.25, -63.5, 2.0 * (3.0 - 6.0) - 1.0, 0.25, 0.0, -1.0]);
    // One scale a channel.
    let y = reference(&matmul(WeightClass::I8, 0), &[&x, &w, &f32s(&[3], &[1.0, 0.5, 2.0])]);
    assert_eq!(y.as_f32().unwrap()[..3], [-2.0, -63.5, -6.0]);
}

/// The definition written out a second time, in 128-bit integers.
#[allow(clippy::disallowed_methods)] // The point is another implementation than the engine's own.
fn explicit(x: &[f32], w: &[i32], scales: &[f32], block: usize) -> f32 {
    if x.iter().any(|x| !x.is_finite()) {
        return f32::NAN;
    }
    let most = x.iter().fold(0f64, |m, x| m.max(f64::from(x.abs())));
    let mut e = -111;
    while most >= 2f64.powi(e) {
        e += 1;
    }
    let q: Vec<i128> = x
        .iter()
        .map(|x| {
            let scaled = f64::from(*x) * 2f64.powi(15 - e);
            scaled.round_ties_even().clamp(-32767.0, 32767.0) as i128
        })
        .collect();
    let mut total = 0f32;
    for (b, (q, w)) in q.chunks(block).zip(w.chunks(block)).enumerate() {
        let sum: i128 = q.iter().zip(w).map(|(q, w)| q * i128::from(*w)).sum();
        total = (sum as f32).mul_add(scales[b], total);
    }
    total * 2f64.powi(e - 15) as f32
}

/// Weights, scales as operands and as numbers: (high, low, scale operand, weights, scales).
fn draw(
    rng: &mut ChaCha8Rng,
    class: WeightClass,
    block: u32,
    n: usize,
    k: usize,
) -> (Tensor, Option<Tensor>, Tensor, Vec<i32>, Vec<Vec<f32>>) {
    let most = class.most();
    let w: Vec<i32> = (0..n * k)
        .map(|_| {
            if rng.random_ratio(1, 6) {
                most * (1 - 2 * rng.random_range(0..2))
            } else {
                rng.random_range(-most..=most)
            }
        })
        .collect();
    let (high, low) = match class {
        WeightClass::I8 => (w.iter().map(|w| *w as i8).collect::<Vec<_>>(), None),
        WeightClass::I16 => {
            (w.iter().map(|w| (w >> 8) as i8).collect(), Some(w.iter().map(|w| (w & 255) as u8).collect::<Vec<_>>()))
        }
    };
    let blocks = if block == 0 { 1 } else { k.div_ceil(block as usize) };
    let mut bytes = Vec::new();
    let scales: Vec<Vec<f32>> = (0..n)
        .map(|_| {
            (0..blocks)
                .map(|_| {
                    let s = f32::from_bits((rng.random_range(0x3800..0x4000u32) + rng.random_range(0..2u32)) << 16);
                    bytes.extend(((s.to_bits() >> 16) as u16).to_le_bytes());
                    s
                })
                .collect()
        })
        .collect();
    let scale = match block {
        0 => f32s(&[n], &scales.concat()),
        _ => u8s(&[n, blocks, 2], &bytes),
    };
    (i8s(&[n, k], &high), low.map(|l| u8s(&[n, k], &l)), scale, w, scales)
}

#[test]
fn blocks_are_exact_and_join_by_one_fma_each() {
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    for (class, block) in [(WeightClass::I8, 32), (WeightClass::I8, 0), (WeightClass::I16, 256), (WeightClass::I16, 0)]
    {
        for k in [0, 1, 31, 32, 33, 255, 256, 257, 600] {
            for values in [Values::Ordinary, Values::Wide, Values::Special] {
                let (m, n) = (3, 4);
                let (high, low, scale, w, scales) = draw(rng, class, block, n, k);
                let x = values.tensor(rng, &[m, k]);
                let out = [TensorType::known(DType::F32, &[m, n])];
                let operands = [Some(&x), Some(&high), Some(&scale), low.as_ref()];
                let op = matmul(class, block);
                let types: Vec<_> = operands.iter().map(|t| t.map(Tensor::ty)).collect();
                let types: Vec<_> = types.iter().map(Option::as_ref).collect();
                assert_eq!(op.definition().infer(&types, &Bindings::SYMBOLIC).unwrap(), out);
                op.definition().check_constants(&operands).unwrap();
                let y = op.definition().reference(&operands, &out).unwrap().remove(0);
                let length = if block == 0 { k.max(1) } else { block as usize };
                for r in 0..m {
                    for (c, scales) in scales.iter().enumerate() {
                        let row = &x.as_f32().unwrap()[r * k..(r + 1) * k];
                        let want = explicit(row, &w[c * k..(c + 1) * k], scales, length);
                        let got = bits(&y)[r * n + c];
                        assert_eq!(got, crate::float::canonical_bits(want), "{class} {block} K = {k}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_with_nan_or_infinity_is_nan_alone() {
    let rng = &mut ChaCha8Rng::seed_from_u64(4);
    let (w, _, scale, _, _) = draw(rng, WeightClass::I8, 32, 2, 40);
    let mut x = vec![0.5f32; 120];
    (x[3], x[80]) = (f32::NAN, f32::NEG_INFINITY);
    let y = reference(&matmul(WeightClass::I8, 32), &[&f32s(&[3, 40], &x), &w, &scale]);
    let nan: Vec<bool> = y.as_f32().unwrap().iter().map(|y| y.is_nan()).collect();
    assert_eq!(nan, [true, true, false, false, true, true]);
}

#[test]
fn convolution_is_the_product_with_its_unfolded_sample() {
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    for (class, block) in [(WeightClass::I8, 32), (WeightClass::I16, 0)] {
        // 2 groups of 3 channels, 3 x 3 taps, a border of 1: K = 27.
        let (groups, channels, filters, side) = (2usize, 3usize, 4usize, 5usize);
        let (high, low, scale, w, scales) = draw(rng, class, block, groups * filters, channels * 9);
        let shape = vec![groups * filters, channels, 3, 3];
        let turn = |t: Tensor| Tensor { shape: shape.clone(), data: t.data };
        let (high, low) = (turn(high), low.map(turn));
        let x = Values::Ordinary.tensor(rng, &[2, groups * channels, side, side]);
        let op = QuantizedConv {
            class,
            block,
            groups: groups as u32,
            strides: vec![2, 1],
            dilations: vec![1, 1],
            pads_begin: vec![1, 1],
            pads_end: vec![1, 1],
        };
        let operands = [Some(&x), Some(&high), Some(&scale), low.as_ref()];
        let types: Vec<_> = operands.iter().map(|t| t.map(Tensor::ty)).collect();
        let types: Vec<_> = types.iter().map(Option::as_ref).collect();
        let out = op.infer(&types, &Bindings::SYMBOLIC).unwrap();
        assert_eq!(out, [TensorType::known(DType::F32, &[2, 8, 3, 5])]);
        let y = op.reference(&operands, &out).unwrap().remove(0);
        let sample = groups * channels * side * side;
        let mut i = 0;
        for image in 0..2 {
            let data = &x.as_f32().unwrap()[image * sample..(image + 1) * sample];
            for (filter, scales) in scales.iter().enumerate() {
                for oy in 0..3usize {
                    for ox in 0..5usize {
                        let mut row = Vec::new();
                        for c in 0..channels {
                            for t in 0..9 {
                                let (y, x) = ((oy * 2 + t / 3) as i64 - 1, (ox + t % 3) as i64 - 1);
                                let inside = (0..5).contains(&y) && (0..5).contains(&x);
                                let plane = (filter / filters * channels + c) * 25;
                                row.push(if inside { data[plane + (y * 5 + x) as usize] } else { 0.0 });
                            }
                        }
                        // The exponent is the whole sample's: its greatest value stands beside the row, with weight 0.
                        let most = data.iter().fold(0f32, |m, x| if x.abs() > m { x.abs() } else { m });
                        let k = row.len();
                        let length = if block == 0 { k } else { block as usize };
                        let mut weights = w[filter * k..(filter + 1) * k].to_vec();
                        let pad = k.next_multiple_of(length) - k;
                        row.extend(vec![0.0; pad]);
                        weights.extend(vec![0; pad]);
                        let mut s = scales.clone();
                        row.push(most);
                        weights.push(0);
                        s.push(0.0);
                        let want = explicit(&row, &weights, &s, length);
                        assert_eq!(bits(&y)[i], crate::float::canonical_bits(want));
                        i += 1;
                    }
                }
            }
        }
    }
}

#[test]
fn constants_that_no_import_makes_are_refused() {
    let check = |class, block, operands: &[Option<&Tensor>]| {
        matmul(class, block).definition().check_constants(operands).map_err(|e| e.0)
    };
    let (good, scale) = (i8s(&[1, 2], &[127, -127]), u8s(&[1, 1, 2], &[0x80, 0x3f]));
    check(WeightClass::I8, 32, &[None, Some(&good), Some(&scale)]).unwrap();
    let low = i8s(&[1, 2], &[0, -128]);
    assert_eq!(
        check(WeightClass::I8, 32, &[None, Some(&low), Some(&scale)]).unwrap_err(),
        "weight 1 is -128, at least -127 is expected"
    );
    let planes = |bytes: &[u8]| check(WeightClass::I16, 0, &[None, Some(&low), None, Some(&u8s(&[1, 2], bytes))]);
    assert_eq!(planes(&[0, 0]).unwrap_err(), "weight 1 is -32768, at least -32767 is expected");
    planes(&[0, 1]).unwrap();
    for bad in [[0x80, 0x7f], [0xc0, 0x7f], [0x80, 0xbf], [0x00, 0x80]] {
        let e = check(WeightClass::I8, 32, &[None, Some(&good), Some(&u8s(&[1, 1, 2], &bad))]).unwrap_err();
        assert_eq!(e, "scale 0 is neither +0 nor positive and finite");
    }
    for bad in [f32::NAN, f32::INFINITY, -1.0, -0.0] {
        assert!(check(WeightClass::I8, 0, &[None, Some(&good), Some(&f32s(&[1], &[bad]))]).is_err());
    }
    check(WeightClass::I8, 0, &[None, Some(&good), Some(&f32s(&[1], &[0.0]))]).unwrap();
    let bias = f32s(&[1], &[f32::INFINITY]);
    assert!(check(WeightClass::I8, 32, &[None, Some(&good), Some(&scale), None, Some(&bias)]).is_err());
}

#[test]
fn types_that_do_not_fit_are_refused() {
    let infer = |op: &Op, types: &[Option<TensorType>]| {
        let types: Vec<_> = types.iter().map(Option::as_ref).collect();
        op.definition().infer(&types, &Bindings::SYMBOLIC).map_err(|e| e.0)
    };
    let t = |d, shape: &[usize]| Some(TensorType::known(d, shape));
    let x = t(DType::F32, &[5, 40]);
    let w = t(DType::I8, &[3, 40]);
    let op = matmul(WeightClass::I8, 32);
    infer(&op, &[x.clone(), w.clone(), t(DType::U8, &[3, 2, 2])]).unwrap();
    assert_eq!(
        infer(&op, &[x.clone(), w.clone(), t(DType::U8, &[3, 1, 2])]).unwrap_err(),
        "the scale is u8 [3, 1, 2], u8 [3, 2, 2] with known dimensions is expected"
    );
    let block = infer(&matmul(WeightClass::I8, 64), &[x.clone(), w.clone(), t(DType::U8, &[3, 1, 2])]).unwrap_err();
    assert_eq!(block, "I8 weights have blocks of 32, or 0 for one scale a channel; 64 came");
    assert!(infer(&op, &[x.clone(), t(DType::I8, &[3, 41]), t(DType::U8, &[3, 2, 2])]).is_err());
    let scales = t(DType::F32, &[3]);
    let wide = matmul(WeightClass::I16, 0);
    infer(&wide, &[x.clone(), w.clone(), scales.clone(), t(DType::U8, &[3, 40])]).unwrap();
    assert!(infer(&wide, &[x.clone(), w.clone(), scales.clone()]).is_err(), "low bytes are missing");
    assert!(
        infer(&matmul(WeightClass::I8, 0), &[x.clone(), w.clone(), scales.clone(), t(DType::U8, &[3, 40])]).is_err()
    );
    assert!(
        infer(&matmul(WeightClass::I8, 0), &[x.clone(), w.clone(), scales.clone(), None, t(DType::F32, &[4])]).is_err()
    );
    let symbolic = Some(TensorType::new(DType::I8, vec![Dim::symbol(0), Dim::Known(40)]));
    assert!(infer(&matmul(WeightClass::I8, 0), &[x, symbolic, scales]).is_err());
}

proptest! {
    #[test]
    fn infer_never_panics(
        types in proptest::collection::vec(proptest::option::of(any_type(0..6)), 0..6),
        (class, block) in (proptest::sample::select(WeightClass::ALL), proptest::sample::select(&[0u32, 32, 256, 7][..])),
        (strides, pads) in (any_list(), any_list()),
        groups in 0u32..4,
    ) {
        let window = QuantizedConv {
            class, block, groups,
            strides: strides.clone(), dilations: vec![1; strides.len()], pads_begin: pads.clone(), pads_end: pads,
        };
        for op in [matmul(class, block), window.into()] {
            let refs: Vec<_> = types.iter().map(Option::as_ref).collect();
            if let Ok(out) = op.definition().infer(&refs, &Bindings::SYMBOLIC) {
                op.definition().work(&refs, &out);
                op.definition().scratch(&refs, &out);
            }
        }
    }
}
