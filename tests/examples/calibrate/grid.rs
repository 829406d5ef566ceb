//! What is calibrated: every operator over a grid of shapes that includes the worst.

use lockstep_engine::dim::Dim;
use lockstep_engine::ops::{
    Op, arg_reduce, binary, cast, compare, concat, contraction, conv, expand, gather, integer, pairwise_coupling, pool,
    quantized, reduce, reshape, select, softmax, transpose, tree, unary,
};
use lockstep_engine::{DType, Data, Tensor};

use crate::selection;

/// Seeded floats; kind 1 makes products subnormal.
pub(crate) fn floats(n: usize, kind: u8) -> Data {
    let mut x = 0x9e37_79b9u32;
    Data::F32(
        (0..n)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let v = (x >> 8) as f32 / (1 << 23) as f32 - 1.0;
                if kind == 1 { v * 2f32.powi(-66) } else { v * 4.0 }
            })
            .collect(),
    )
}

/// An operator on some tensors.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) op: Op,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) constants: Vec<Tensor>,
    /// Length of the chain in which each takes the one's before as its first operand.
    pub(crate) repeat: usize,
}

/// A case whose inputs are floats of these shapes and kinds.
pub(crate) fn case(name: &str, op: impl Into<Op>, inputs: &[(&[usize], u8)], constants: Vec<Tensor>) -> Case {
    let inputs = inputs
        .iter()
        .map(|(s, k)| Tensor { shape: s.to_vec(), data: floats(s.iter().product(), *k) })
        .collect::<Vec<_>>();
    let shape: Vec<String> = inputs.iter().map(|t| format!("{:?}", t.shape)).collect();
    Case { name: format!("{name} {}", shape.join(" ")), op: op.into(), inputs, constants, repeat: 1 }
}

pub(crate) fn weights(shape: &[usize]) -> Tensor {
    Tensor { shape: shape.to_vec(), data: floats(shape.iter().product(), 0) }
}

/// Contractions over quantised weights and over bytes. Where the right side is no constant it is laid out in each run.
fn integers(out: &mut Vec<Case>) {
    use quantized::{QuantizedMatMul, WeightClass};
    let bytes = |dtype, shape: &[usize]| {
        let v: Vec<u8> = (0..shape.iter().product::<usize>()).map(|i| (i * 37 % 251) as u8 / 2).collect();
        let data = if dtype == DType::U8 { Data::U8(v) } else { Data::I8(v.into_iter().map(|x| x as i8).collect()) };
        Tensor { shape: shape.to_vec(), data }
    };
    for (m, k, n) in [
        (1usize, 1usize, 1usize),
        (1, 30, 1),
        (1, 4096, 1),
        (1, 768, 768),
        (1, 1024, 4096),
        (64, 768, 768),
        (3, 17, 5),
        (2048, 3, 2),
    ] {
        for class in [WeightClass::I8, WeightClass::I16] {
            for block in [0, class.block()] {
                let op = QuantizedMatMul { class, block };
                let scale = match block {
                    0 => weights(&[n]),
                    b => bytes(DType::U8, &[n, k.div_ceil(b as usize), 2]),
                };
                let scale = match scale.data {
                    Data::F32(s) => Tensor { shape: scale.shape, data: Data::F32(s.iter().map(|s| s.abs()).collect()) },
                    _ => scale,
                };
                let mut right = vec![bytes(DType::I8, &[n, k]), scale];
                if class == WeightClass::I16 {
                    right.push(bytes(DType::U8, &[n, k]));
                }
                let name = format!("QuantizedMatMul {class} {block} N = {n}");
                out.push(case(&name, op.clone(), &[(&[m, k], 0)], right.clone()));
                if m * n > 1 {
                    let mut free = case(&format!("{name} laid out"), op, &[(&[m, k], 0)], vec![]);
                    free.inputs.extend(right);
                    out.push(free);
                }
            }
        }
        let mut product = case(&format!("IntegerMatMul N = {n}"), integer::IntegerMatMul {}, &[], vec![]);
        product.inputs = vec![bytes(DType::U8, &[m, k]), bytes(DType::I8, &[k, n])];
        out.push(product);
    }
    for (x, w, groups) in [
        ([1, 3, 32, 32], [8, 3, 3, 3], 1u32),
        ([1, 16, 28, 28], [16, 1, 3, 3], 16),
        ([4, 32, 14, 14], [64, 32, 3, 3], 1),
    ] {
        let window = (vec![1, 1], vec![1, 1], vec![1, 1], vec![1, 1]);
        let (strides, dilations, pads_begin, pads_end) = window;
        let k = w[1] * w[2] * w[3];
        let right = vec![bytes(DType::I8, &w), bytes(DType::U8, &[w[0], k.div_ceil(32), 2])];
        let (class, block) = (WeightClass::I8, 32);
        let op = quantized::QuantizedConv {
            class,
            block,
            groups,
            strides: strides.clone(),
            dilations: dilations.clone(),
            pads_begin: pads_begin.clone(),
            pads_end: pads_end.clone(),
        };
        out.push(case(&format!("QuantizedConv {w:?}"), op, &[(&x, 0)], right));
        let op = integer::IntegerConv { groups, strides, dilations, pads_begin, pads_end };
        let mut product = case(&format!("IntegerConv {w:?}"), op, &[], vec![bytes(DType::I8, &w)]);
        product.inputs = vec![bytes(DType::U8, &x)];
        out.push(product);
    }
}

/// All cases.
pub(crate) fn grid() -> Vec<Case> {
    use binary::BinaryKind as B;
    use unary::UnaryKind as U;
    let mut out = Vec::new();
    let sizes: [&[usize]; 4] = [&[1, 1], &[1, 64], &[64, 256], &[512, 1024]];
    for s in sizes {
        for kind in [
            U::Neg,
            U::Relu,
            U::Sqrt,
            U::Sigmoid,
            U::Softplus,
            U::Exp,
            U::Log,
            U::Tanh,
            U::Erf,
            U::Sin,
            U::Tan,
            U::Asin,
            U::Acosh,
            U::Floor,
        ] {
            out.push(case(kind.name(), unary::Unary { kind }, &[(s, 0)], vec![]));
        }
        for kind in [B::Add, B::Mul, B::Div, B::Max, B::Pow, B::FMod] {
            out.push(case(kind.name(), binary::Binary { kind }, &[(s, 0), (s, 0)], vec![]));
        }
        for kind in [B::Mul, B::Div] {
            out.push(case(&format!("{} subnormal", kind.name()), binary::Binary { kind }, &[(s, 1), (s, 1)], vec![]));
        }
        out.push(case("Add broadcast columns", binary::Binary { kind: B::Add }, &[(s, 0), (&[s[0], 1], 0)], vec![]));
        out.push(case("Less", compare::Compare { kind: compare::CompareKind::Less }, &[(s, 0), (s, 0)], vec![]));
        out.push(case("Cast", cast::Cast { to: DType::I64 }, &[(s, 0)], vec![]));
        out.push(case("Transpose", transpose::Transpose { perm: vec![1, 0] }, &[(s, 0)], vec![]));
        out.push(case(
            "Reshape",
            reshape::Reshape { shape: vec![Dim::Known((s[0] * s[1]) as u64)] },
            &[(s, 0)],
            vec![],
        ));
        out.push(case("Concat", concat::Concat { axis: 1 }, &[(s, 0), (s, 0)], vec![]));
        for (axes, tag) in [(vec![1], "rows"), (vec![0], "columns"), (vec![0, 1], "all")] {
            for kind in [
                reduce::ReduceKind::Sum,
                reduce::ReduceKind::Mean,
                reduce::ReduceKind::Max,
                reduce::ReduceKind::LogSumExp,
            ] {
                let op = reduce::Reduce { kind, axes: axes.clone(), keep_dims: false };
                out.push(case(&format!("{} {tag}", kind.name()), op, &[(s, 0)], vec![]));
            }
        }
        for axis in [0, 1] {
            out.push(case(&format!("Softmax axis {axis}"), softmax::Softmax { axis, log: false }, &[(s, 0)], vec![]));
            let op = arg_reduce::ArgReduce { greatest: true, axis, keep_dims: false, last: false };
            out.push(case(&format!("ArgMax axis {axis}"), op, &[(s, 0)], vec![]));
        }
        let mask = Tensor { shape: vec![1, 1], data: Data::Bool(vec![true]) };
        let mut select = case("Where", select::Select {}, &[(&[1, 1], 0)], vec![]);
        select.inputs = vec![mask, weights(s), weights(s)];
        out.push(select);
    }
    out.push(case(
        "Expand",
        expand::Expand { shape: vec![Dim::Known(512), Dim::Known(1024)] },
        &[(&[512, 1], 0)],
        vec![],
    ));
    let index =
        Tensor { shape: vec![65_536], data: Data::I64((0..65_536i64).map(|i| (i * 7_919) % 262_144).collect()) };
    out.push(case("Gather far", gather::Gather { axis: 0 }, &[(&[262_144, 4], 0)], vec![index]));
    integers(&mut out);
    selection::cases(&mut out);
    for (m, k, n) in [
        (1, 1, 1),
        (1, 30, 1),
        (1, 64, 10),
        (1, 4096, 1),
        (1, 768, 768),
        (1, 1024, 4096),
        (7, 300, 17),
        (64, 64, 64),
        (128, 768, 768),
        (256, 1024, 256),
        (1024, 4, 1024),
        (4096, 1024, 1),
        (100, 1, 100),
    ] {
        out.push(case(
            &format!("MatMul weights {k}x{n}"),
            contraction::MatMul {},
            &[(&[m, k], 0)],
            vec![weights(&[k, n])],
        ));
        out.push(case("MatMul", contraction::MatMul {}, &[(&[m, k], 0), (&[k, n], 0)], vec![]));
    }
    for (c, m, groups, side, kernel) in [
        (1, 8, 1, 8, 3),
        (16, 16, 16, 8, 3),
        (32, 64, 1, 28, 3),
        (64, 64, 64, 56, 3),
        (3, 32, 1, 112, 7),
        (128, 128, 1, 14, 1),
        (64, 64, 32, 28, 3),
    ] {
        let op = conv::Conv {
            groups,
            strides: vec![1, 1],
            dilations: vec![1, 1],
            pads_begin: vec![kernel as u32 / 2; 2],
            pads_end: vec![kernel as u32 / 2; 2],
        };
        let w = weights(&[m, c / groups as usize, kernel, kernel]);
        out.push(case(
            &format!("Conv {m} of {kernel}x{kernel} groups {groups}"),
            op,
            &[(&[1, c, side, side], 0)],
            vec![w],
        ));
    }
    for kind in [pool::PoolKind::Max, pool::PoolKind::Average] {
        for (side, k) in [(8, 2), (56, 3), (56, 14)] {
            let op = pool::Pool {
                kind,
                kernel: vec![k; 2],
                strides: vec![1; 2],
                dilations: vec![1; 2],
                pads_begin: vec![0; 2],
                pads_end: vec![0; 2],
                ceil: false,
                count_pad: false,
            };
            out.push(case(&format!("Pool {kind:?} {k}x{k}"), op, &[(&[1, 16, side, side], 0)], vec![]));
        }
    }
    for (trees, depth, rows) in [(1, 3, 1), (100, 6, 1), (100, 6, 1000), (1000, 8, 1), (200, 12, 256)] {
        out.push(forest(trees, depth, rows));
    }
    for (classes, pairs) in [(2, 1), (3, 3), (10, 45)] {
        // A NaN never settles: every sweep is made.
        let op = pairwise_coupling::PairwiseCoupling { classes };
        let mut c = case(&format!("PairwiseCoupling {classes}"), op, &[(&[64, pairs], 0)], vec![]);
        c.inputs = vec![Tensor { shape: vec![64, pairs], data: Data::F32(vec![f32::NAN; 64 * pairs]) }];
        out.push(c);
    }
    // Long chains of the smallest operators: the cost of an operator itself.
    let mut chain = case("1000 x Add", binary::Binary { kind: B::Add }, &[(&[1, 1], 0), (&[1, 1], 0)], vec![]);
    chain.repeat = 1000;
    out.push(chain);
    let mut chain = case("1000 x MatMul weights 8x8", contraction::MatMul {}, &[(&[1, 8], 0)], vec![weights(&[8, 8])]);
    chain.repeat = 1000;
    out.push(chain);
    out
}

/// Complete trees with scattered features.
fn forest(trees: usize, depth: u32, rows: usize) -> Case {
    let features = 64;
    let inner = (1usize << depth) - 1;
    let (mut feature, mut threshold, mut children, mut roots) = (vec![], vec![], vec![], vec![]);
    let mut leaves = 0i32;
    let Data::F32(spread) = floats(trees * inner, 0) else {
        return case("", cast::Cast { to: DType::F32 }, &[], vec![]);
    };
    for t in 0..trees {
        let first = (t * inner) as i32;
        roots.push(first);
        for i in 0..inner {
            feature.push(((i * 2_654_435_761 + t) % features) as i32);
            threshold.push(spread[t * inner + i]);
            for child in [2 * i + 1, 2 * i + 2] {
                children.push(if child < inner {
                    first + child as i32
                } else {
                    -1 - (leaves + (child - inner) as i32)
                });
            }
        }
        leaves += inner as i32 + 1;
    }
    let n = feature.len();
    let e = leaves as usize;
    let t = |shape: Vec<usize>, data| Tensor { shape, data };
    let constants = vec![
        t(vec![n], Data::I32(feature)),
        t(vec![n], Data::F32(threshold)),
        t(vec![n], Data::U8(vec![0; n])),
        t(vec![n, 2], Data::I32(children)),
        t(vec![trees], Data::I32(roots)),
        t(vec![e + 1], Data::I32((0..=leaves).collect())),
        t(vec![e], Data::I32(vec![0; e])),
        t(vec![e], Data::I64((0..e as i64).collect())),
        t(vec![1], Data::I64(vec![0])),
    ];
    let op = tree::TreeEnsemble {
        targets: 1,
        shift: 32,
        aggregate: tree::Aggregate::Sum,
        total_depth: depth * trees as u32,
        features: features as u32,
    };
    case(&format!("{trees} trees of depth {depth}"), op, &[(&[rows, features], 0)], constants)
}
