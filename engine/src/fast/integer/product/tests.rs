use crate::fast::testing::{Values, agree_optional, pick};
use crate::ops::Op;
use crate::ops::integer::{IntegerConv, IntegerMatMul};
use crate::ops::quantized::{QuantizedConv, QuantizedMatMul, WeightClass};
use crate::tensor::{DType, Data, Tensor};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Any bytes, the ends of the range often.
fn bytes(rng: &mut ChaCha8Rng, dtype: DType, shape: &[usize]) -> Tensor {
    let n = shape.iter().product();
    let mut draw = || if rng.random_ratio(1, 4) { pick(rng, &[0u8, 127, 128, 255]) } else { rng.random() };
    let v: Vec<u8> = (0..n).map(|_| draw()).collect();
    let data = if dtype == DType::U8 { Data::U8(v) } else { Data::I8(v.into_iter().map(|b| b as i8).collect()) };
    Tensor { shape: shape.to_vec(), data }
}

/// Weight, scales and low bytes of a format for channels of `k`, in the weight's shape; any bits at all.
fn weights(rng: &mut ChaCha8Rng, (class, block): (WeightClass, u32), shape: &[usize]) -> [Option<Tensor>; 3] {
    let (n, k) = (shape[0], shape[1..].iter().product::<usize>());
    let scale = match block {
        0 => Values::Special.tensor(rng, &[n]),
        b => bytes(rng, DType::U8, &[n, k.div_ceil(b as usize), 2]),
    };
    let low = (class == WeightClass::I16).then(|| bytes(rng, DType::U8, shape));
    [Some(bytes(rng, DType::I8, shape)), Some(scale), low]
}

fn format(rng: &mut ChaCha8Rng) -> (WeightClass, u32) {
    let class = pick(rng, WeightClass::ALL);
    (class, pick(rng, &[0, class.block()]))
}

fn agree(op: &Op, operands: &[Option<Tensor>], constants: usize) -> Vec<u32> {
    let operands: Vec<Option<&Tensor>> = operands.iter().map(Option::as_ref).collect();
    agree_optional(op, &operands, constants)
}

/// Strides, dilations and borders, and spatial sizes that hold the kernel.
struct Window {
    strides: Vec<u32>,
    dilations: Vec<u32>,
    pads_begin: Vec<u32>,
    pads_end: Vec<u32>,
    kernel: Vec<usize>,
    spatial: Vec<usize>,
}

fn window(rng: &mut ChaCha8Rng) -> Window {
    let axes = rng.random_range(1..4usize);
    let mut draw = |low: u32, high: u32| (0..axes).map(|_| rng.random_range(low..high)).collect::<Vec<_>>();
    let (kernel, strides, dilations) = (draw(1, 4), draw(1, 4), draw(1, 3));
    let (pads_begin, pads_end) = (draw(0, 3), draw(0, 3));
    let spatial = (0..axes)
        .map(|i| {
            let span = (kernel[i] - 1) * dilations[i] + 1;
            let least = span.saturating_sub(pads_begin[i] + pads_end[i]);
            rng.random_range(least..least.max(1) + [60, 11, 5][axes - 1]) as usize
        })
        .collect();
    let kernel = kernel.into_iter().map(|k| k as usize).collect();
    Window { strides, dilations, pads_begin, pads_end, kernel, spatial }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn quantized_matmul_has_the_references_bits(seed: u64) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let (m, n) = (rng.random_range(0..30), rng.random_range(0..70));
        let k = pick(rng, &[0, 1, 31, 32, 33, 64, 255, 257, 512, 513, 1100]);
        let (class, block) = format(rng);
        let values = pick(rng, &[Values::Ordinary, Values::Wide, Values::Special]);
        let shape = pick(rng, &[vec![m, k], vec![1, k], vec![k], vec![2, 3, k]]);
        let x = values.tensor(rng, &shape);
        let [w, s, low] = weights(rng, (class, block), &[n, k]);
        let bias = rng.random::<bool>().then(|| values.tensor(rng, &[n]));
        agree(&QuantizedMatMul { class, block }.into(), &[Some(x), w, s, low, bias], 1);
    }

    #[test]
    fn quantized_conv_has_the_references_bits(seed: u64) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let (class, block) = format(rng);
        let w = window(rng);
        let groups = pick(rng, &[1usize, 1, 2, 3]);
        let (channels, filters) = (rng.random_range(0..20usize), rng.random_range(0..20usize));
        let images = rng.random_range(0..3);
        let values = pick(rng, &[Values::Ordinary, Values::Wide, Values::Special]);
        let x = values.tensor(rng, &[&[images, groups * channels], &w.spatial[..]].concat());
        let [high, s, low] = weights(rng, (class, block), &[&[groups * filters, channels], &w.kernel[..]].concat());
        let bias = rng.random::<bool>().then(|| values.tensor(rng, &[groups * filters]));
        let op = QuantizedConv {
            class, block, groups: groups as u32, strides: w.strides, dilations: w.dilations,
            pads_begin: w.pads_begin, pads_end: w.pads_end,
        };
        agree(&op.into(), &[Some(x), high, s, low, bias], 1);
    }

    #[test]
    fn integer_matmul_has_the_references_bits(seed: u64) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let (m, n) = (rng.random_range(0..30), rng.random_range(0..70));
        let k = pick(rng, &[0, 1, 2, 31, 257, 1000]);
        let (left, right) = (pick(rng, &[DType::I8, DType::U8]), pick(rng, &[DType::I8, DType::U8]));
        let (a, b) = match rng.random_range(0..6) {
            0 => (vec![k], vec![k, n]),
            1 => (vec![m, k], vec![k]),
            2 => (vec![3, m, k], vec![k, n]),
            3 => (vec![2, 1, m, k], vec![3, k, n]),
            4 => (vec![m, k], vec![2, k, n]),
            _ => (vec![m, k], vec![k, n]),
        };
        let (rows, columns) = (a.len() > 1 && rng.random(), b.len() > 1 && rng.random());
        let zero_a = rng.random::<bool>().then(|| bytes(rng, left, &vec![m; usize::from(rows)]));
        let zero_b = rng.random::<bool>().then(|| bytes(rng, right, &vec![n; usize::from(columns)]));
        let (x, y) = (bytes(rng, left, &a), bytes(rng, right, &b));
        agree(&IntegerMatMul {}.into(), &[Some(x), Some(y), zero_a, zero_b], 1);
    }

    #[test]
    fn integer_conv_has_the_references_bits(seed: u64) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let w = window(rng);
        let groups = pick(rng, &[1usize, 1, 2, 3]);
        let (channels, filters) = (rng.random_range(0..20usize), rng.random_range(0..20usize));
        let (left, right) = (pick(rng, &[DType::I8, DType::U8]), pick(rng, &[DType::I8, DType::U8]));
        let images = rng.random_range(0..3);
        let x = bytes(rng, left, &[&[images, groups * channels], &w.spatial[..]].concat());
        let filter = bytes(rng, right, &[&[groups * filters, channels], &w.kernel[..]].concat());
        let zero_x = rng.random::<bool>().then(|| bytes(rng, left, &[]));
        let zero_w = rng.random::<bool>().then(|| bytes(rng, right, &[groups * filters]));
        let op = IntegerConv {
            groups: groups as u32, strides: w.strides, dilations: w.dilations,
            pads_begin: w.pads_begin, pads_end: w.pads_end,
        };
        agree(&op.into(), &[Some(x), Some(filter), zero_x, zero_w], 1);
    }
}

#[test]
fn a_row_alone_is_the_row_in_its_batch() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    for (class, block) in [(WeightClass::I8, 32), (WeightClass::I16, 256)] {
        let (k, n) = (300, 37);
        let x = Values::Wide.tensor(rng, &[200, k]);
        let [w, s, low] = weights(rng, (class, block), &[n, k]);
        let op: Op = QuantizedMatMul { class, block }.into();
        let all = agree(&op, &[Some(x.clone()), w.clone(), s.clone(), low.clone()], 1);
        for r in [0, 1, 13, 14, 167, 168, 199] {
            let row = x.as_f32().unwrap()[r * k..(r + 1) * k].to_vec();
            let row = Tensor { shape: vec![1, k], data: Data::F32(row) };
            assert_eq!(agree(&op, &[Some(row), w.clone(), s.clone(), low.clone()], 1), all[r * n..(r + 1) * n]);
        }
    }
}

#[test]
fn the_longest_contraction_is_exact() {
    let k = crate::ops::integer::MAX_K as usize;
    for (x, w, zx, zw) in [(255u8, 0u8, 0u8, 255u8), (0, 255, 255, 0), (255, 255, 0, 0), (0, 0, 255, 255)] {
        let full = |v: u8, shape: &[usize]| {
            Some(Tensor { shape: shape.to_vec(), data: Data::U8(vec![v; shape.iter().product()]) })
        };
        agree(&IntegerMatMul {}.into(), &[full(x, &[2, k]), full(w, &[k, 3]), full(zx, &[]), full(zw, &[])], 1);
    }
}
