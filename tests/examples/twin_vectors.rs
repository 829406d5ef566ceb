//! Writes the vectors that hold the Solidity twin to the engine: `contracts/test/twin/vectors/*.json`.
//!
//! `cargo run --release -p lockstep-tests --example twin_vectors` after `scripts/models.sh`. Each file maps a name to
//! hex: records of big-endian words of 32 bits (64 bits where stated), operands first, then the engine's answer.

use anyhow::{Context, Result};
use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::float::{self, NAN_BITS, elementary as e, fma32};
use lockstep_engine::format::encode_graph;
use lockstep_engine::graph::Constant;
use lockstep_engine::ops::arg_reduce::ArgReduce;
use lockstep_engine::ops::binary::{Binary, BinaryKind};
use lockstep_engine::ops::bit_cast::BitCast;
use lockstep_engine::ops::cast::Cast;
use lockstep_engine::ops::compare::{Compare, CompareKind};
use lockstep_engine::ops::concat::Concat;
use lockstep_engine::ops::contraction::{Gemm, MatMul};
use lockstep_engine::ops::cumulate::{Cumulate, CumulateKind};
use lockstep_engine::ops::gather::Gather;
use lockstep_engine::ops::gather_elements::GatherElements;
use lockstep_engine::ops::gather_nd::GatherND;
use lockstep_engine::ops::integer::{IntegerConv, IntegerMatMul};
use lockstep_engine::ops::quantized::{QuantizedConv, QuantizedMatMul, WeightClass};
use lockstep_engine::ops::reduce::{Reduce, ReduceKind};
use lockstep_engine::ops::require::{Require, Requirement};
use lockstep_engine::ops::reshape::Reshape;
use lockstep_engine::ops::scatter::{ScatterElements, ScatterKind, ScatterND};
use lockstep_engine::ops::select::Select;
use lockstep_engine::ops::softmax::Softmax;
use lockstep_engine::ops::top_k::TopK;
use lockstep_engine::ops::tree::{Aggregate, TreeEnsemble};
use lockstep_engine::ops::unary::{Unary, UnaryKind};
use lockstep_engine::{DType, Data, Dim, Graph, Input, Limits, LoadedModel, Model, Node, Op, Output, Tensor, ValueId};
use lockstep_tests::models::{self, Committed};
use lockstep_tests::node::root;
use serde_json::{Map, Value};

/// SplitMix64: the same vectors on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn bits(&mut self) -> u32 {
        self.next() as u32
    }

    /// A float whose exponent field lies in `low..high`.
    fn around(&mut self, low: u32, high: u32) -> u32 {
        let e = low + self.below(u64::from(high - low)) as u32;
        (self.bits() & 0x807f_ffff) | (e << 23)
    }

    /// A float with few significant bits, near 1: sums and products of such are often ties.
    fn short(&mut self) -> u32 {
        (self.around(120, 136) & !0x3ff) | if self.below(2) == 0 { 1 } else { 0 }
    }

    /// One of everything.
    fn any(&mut self) -> u32 {
        match self.below(8) {
            0 => SPECIAL[self.below(SPECIAL.len() as u64) as usize],
            1 => self.around(0, 2),
            2 | 3 => self.bits(),
            4 => self.short(),
            _ => self.around(110, 144),
        }
    }
}

const SPECIAL: &[u32] = &[
    0,
    0x8000_0000,
    1,
    0x8000_0001,
    2,
    0x007f_ffff,
    0x807f_ffff,
    0x0080_0000,
    0x8080_0000,
    0x0080_0001,
    0x3f80_0000,
    0xbf80_0000,
    0x3f7f_ffff,
    0x3f80_0001,
    0x3f00_0000,
    0x4000_0000,
    0x4b00_0000,
    0x4b80_0000,
    0x4b7f_ffff,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x7f80_0000,
    0xff80_0000,
    NAN_BITS,
    0xffc0_0001,
    0x7f80_0001,
    0x3300_0000,
    0x3380_0000,
    0x3400_0000,
];

fn f(bits: u32) -> f32 {
    f32::from_bits(bits)
}

/// With the canonical NaN, on integers: the compiler may take a NaN for any other while it is a float.
fn bits(x: f32) -> u32 {
    let bits = x.to_bits();
    if bits & 0x7fff_ffff > 0x7f80_0000 { NAN_BITS } else { bits }
}

#[derive(Default)]
struct Record(Vec<u8>);

impl Record {
    fn words(&mut self, w: &[u32]) {
        w.iter().for_each(|w| self.0.extend(w.to_be_bytes()));
    }
}

fn hex(bytes: &[u8]) -> Value {
    Value::String(alloy_primitives::hex::encode_prefixed(bytes))
}

fn write(name: &str, content: Map<String, Value>) -> Result<()> {
    let path = root().join("contracts/test/twin/vectors").join(name);
    let text = serde_json::to_string_pretty(&content)? + "\n";
    anyhow::ensure!(text.len() < 400_000, "{name} has {} bytes", text.len());
    std::fs::write(&path, text).with_context(|| path.display().to_string())
}

/// A binary operation.
type OfTwo = fn(f32, f32) -> f32;

fn arithmetic() -> Result<()> {
    let mut r = Random(1);
    let mut out = Map::new();
    let binary: [(&str, OfTwo); 6] = [
        ("add", |a, b| a + b),
        ("sub", |a, b| a - b),
        ("mul", |a, b| a * b),
        ("div", |a, b| a / b),
        ("max", float::max),
        ("min", float::min),
    ];
    for (name, op) in binary {
        let mut v = Record::default();
        let mut put = |a: u32, b: u32| v.words(&[a, b, bits(op(f(a), f(b)))]);
        SPECIAL.iter().for_each(|a| SPECIAL.iter().for_each(|b| put(*a, *b)));
        for i in 0..1400 {
            let a = r.any();
            let b = match i % 4 {
                // Cancellation, and ties between exponents 24 or 25 apart.
                0 => a ^ 0x8000_0000 ^ r.below(4) as u32,
                1 => ((a & 0x7f80_0000).wrapping_sub((24 + r.below(3) as u32) << 23)) & 0x7f80_0000 | r.below(2) as u32,
                _ => r.any(),
            };
            put(a, b);
        }
        out.insert(name.to_owned(), hex(&v.0));
    }
    write("arithmetic.json", out)?;

    let mut out = Map::new();
    let mut v = Record::default();
    let mut put = |a: u32, b: u32, c: u32| v.words(&[a, b, c, bits(fma32(f(a), f(b), f(c)))]);
    let few = [
        0,
        0x8000_0000,
        1,
        0x8000_0001,
        0x0080_0000,
        0x3f80_0000,
        0xbf80_0000,
        0x7f7f_ffff,
        0x7f80_0000,
        0xff80_0000,
        NAN_BITS,
    ];
    for a in few {
        for b in few {
            few.iter().for_each(|c| put(a, b, *c));
        }
    }
    for i in 0..3000 {
        let (a, b) = (r.any(), r.any());
        let p = f(a) * f(b);
        let c = match i % 6 {
            0 => bits(-p),
            1 => p.to_bits() ^ r.below(4) as u32,
            2 => bits(p * f(0x3380_0000 ^ ((r.below(2) as u32) << 31))),
            3 => bits(p * f(0x4b80_0000 ^ ((r.below(2) as u32) << 31))),
            _ => r.any(),
        };
        put(a, b, c);
    }
    out.insert("fma".to_owned(), hex(&v.0));

    // x, sqrt, floor, ceil, round.
    let mut v = Record::default();
    for i in 0..2400 {
        let a = SPECIAL.get(i).copied().unwrap_or_else(|| if i % 3 == 0 { r.around(126, 152) } else { r.any() });
        let x = f(a);
        v.words(&[a, bits(x.sqrt()), bits(x.floor()), bits(x.ceil()), bits(x.round_ties_even())]);
    }
    out.insert("unary".to_owned(), hex(&v.0));

    // i64 as two words, its f32.
    let mut v = Record::default();
    for i in 0..2000u64 {
        let n = (r.next() as i64) >> (i % 64);
        v.words(&[(n as u64 >> 32) as u32, n as u32, bits(n as f32)]);
    }
    out.insert("fromInt".to_owned(), hex(&v.0));

    // x; as u8, i8, i32, and i64 as two words.
    let mut v = Record::default();
    for i in 0..2000 {
        let a = SPECIAL.get(i).copied().unwrap_or_else(|| if i % 2 == 0 { r.around(125, 192) } else { r.any() });
        let x = f(a);
        let wide = x as i64 as u64;
        v.words(&[a, u32::from(x as u8), (x as i8) as u32, x as i32 as u32, (wide >> 32) as u32, wide as u32]);
    }
    out.insert("toInt".to_owned(), hex(&v.0));
    write("conversions.json", out)
}

/// Name, function, lowest and highest interesting exponent field, arguments that were hard for others.
type Function = (&'static str, fn(f32) -> f32, u32, u32);

fn elementary() -> Result<()> {
    let functions: [Function; 8] = [
        ("exp", e::exp, 100, 135),
        ("expm1", e::expm1, 98, 135),
        ("log", e::log, 0, 255),
        ("log1p", e::log1p, 98, 255),
        ("tanh", e::tanh, 112, 133),
        ("erf", e::erf, 100, 130),
        ("sigmoid", e::sigmoid, 100, 135),
        ("softplus", e::softplus, 100, 135),
    ];
    let mut out = Map::new();
    for (n, (name, function, low, high)) in functions.into_iter().enumerate() {
        let mut r = Random(100 + n as u64);
        let mut v = Record::default();
        let mut put = |a: u32| v.words(&[a, bits(function(f(a)))]);
        SPECIAL.iter().for_each(|a| put(*a));
        put((-0.007_352_583_6f32).to_bits());
        // Both sides of every power of two: where one formula gives way to another.
        for exponent in low..high.min(254) {
            for sign in [0, 1 << 31] {
                put(sign | (exponent << 23));
                put((sign | (exponent << 23)).wrapping_sub(1));
            }
        }
        // The hardest of many: those nearest to a tie of two floats, or to a float.
        for a in hardest(function, &mut r, low, high) {
            put(a);
        }
        for i in 0..1900 {
            put(if i % 8 == 0 { r.bits() } else { r.around(low, high) });
        }
        out.insert(name.to_owned(), hex(&v.0));
    }
    write("elementary.json", out)
}

/// Arguments at which the function (in f64) lies nearest to a tie between two floats.
fn hardest(function: fn(f32) -> f32, r: &mut Random, low: u32, high: u32) -> Vec<u32> {
    let name = function(0.5);
    let wide: fn(f64) -> f64 = match bits(name) {
        b if b == bits(e::exp(0.5)) => f64::exp,
        b if b == bits(e::expm1(0.5)) => f64::exp_m1,
        b if b == bits(e::log(0.5)) => f64::ln,
        b if b == bits(e::log1p(0.5)) => f64::ln_1p,
        b if b == bits(e::tanh(0.5)) => f64::tanh,
        _ => return Vec::new(),
    };
    let mut found: Vec<(u64, u32)> = Vec::new();
    for _ in 0..4_000_000 {
        let a = r.around(low, high.min(254));
        let y = wide(f64::from(f(a)));
        if !y.is_normal() {
            continue;
        }
        // The 29 bits that a float does not have: distance from the tie.
        found.push(((y.to_bits() & 0x1fff_ffff).abs_diff(0x1000_0000), a));
    }
    found.sort_unstable();
    found.truncate(400);
    found.into_iter().map(|(_, a)| a).collect()
}

/// Contractions: length, a, w, S1.
fn contractions() -> Result<()> {
    let mut r = Random(7);
    let mut out = Map::new();
    let mut v = Record::default();
    let lengths = [0usize, 1, 2, 3, 4, 5, 7, 8, 31, 64, 100, 255, 256, 257, 300, 511, 512, 513];
    for n in lengths {
        for kind in 0..5 {
            let mut pick = |i: usize| match kind {
                0 => r.around(110, 130),
                1 => r.around(76, 174),
                2 => {
                    if i.is_multiple_of(3) {
                        0x8000_0000
                    } else {
                        r.short()
                    }
                }
                3 => r.around(60, 140),
                _ => {
                    if n < 40 {
                        r.any()
                    } else {
                        r.around(100, 128)
                    }
                }
            };
            let a: Vec<u32> = (0..n).map(&mut pick).collect();
            let w: Vec<u32> = (0..n).map(&mut pick).collect();
            v.words(&[n as u32]);
            v.words(&a);
            v.words(&w);
            v.words(&[bits(lockstep_engine::ops::contraction::s1(n, |k| (f(a[k]), f(w[k]))))]);
        }
    }
    out.insert("s1".to_owned(), hex(&v.0));
    write("contraction.json", out)
}

fn main() -> Result<()> {
    arithmetic()?;
    elementary()?;
    contractions()?;
    operators()?;
    mutations()?;
    trees()?;
    committed()
}

fn committed() -> Result<()> {
    for c in models::all()? {
        write(&format!("model_{}.json", c.name), model(&c)?)?;
    }
    Ok(())
}

/// The model's sections, and rows with every output: types, shapes and little-endian data.
fn model(c: &Committed) -> Result<Map<String, Value>> {
    let file = std::fs::read(&c.path)?;
    let sections = lockstep_engine::format::Container::decode(&file)?;
    let mut out = Map::new();
    out.insert("graph".to_owned(), hex(sections.graph));
    out.insert("weights".to_owned(), hex(sections.weights));
    let mut calls = Vec::new();
    for (from, to) in [(0, 1), (1, 2), (2, 5)] {
        let inputs = c.slice(from, to.min(c.rows));
        let options = Options { implementation: Implementation::Reference, threads: 1 };
        let outputs = c.compute(inputs.clone(), &options)?;
        let list = |tensors: &[Tensor]| Value::Array(tensors.iter().map(tensor).collect());
        let mut call = Map::new();
        call.insert("inputs".to_owned(), list(&inputs));
        call.insert("outputs".to_owned(), list(&outputs));
        calls.push(Value::Object(call));
    }
    out.insert("calls".to_owned(), Value::Array(calls));
    Ok(out)
}

/// u8 type, u8 rank, u32 dimensions (big-endian), data.
fn packed(t: &Tensor) -> Vec<u8> {
    let mut v = vec![t.dtype().code(), t.shape.len() as u8];
    t.shape.iter().for_each(|d| v.extend((*d as u32).to_be_bytes()));
    v.extend(t.to_le_bytes());
    v
}

fn tensor(t: &Tensor) -> Value {
    hex(&packed(t))
}

/// One-node graphs of every operator that the twin computes. A case is the graph, the number of inputs, each input and
/// the output (nothing where the call fails), each with its length before it.
fn operators() -> Result<()> {
    let mut cases = Vec::new();
    let mut r = Random(11);
    let all = DType::ALL;
    let mut one = |r: &mut Random, op: Op, types: &[(DType, Vec<usize>)]| -> Result<()> {
        cases.extend(case(r, op, types)?);
        Ok(())
    };
    for kind in UnaryKind::ALL.iter().filter(|k| (**k as u8) < 38) {
        for t in all {
            one(&mut r, Unary { kind: *kind }.into(), &[(t, vec![23])])?;
        }
    }
    for kind in BinaryKind::ALL {
        for t in all {
            if (t, *kind) != (DType::F32, BinaryKind::Pow) {
                one(&mut r, Binary { kind: *kind }.into(), &[(t, vec![2, 1, 5]), (t, vec![3, 1])])?;
                one(&mut r, Binary { kind: *kind }.into(), &[(t, vec![11]), (t, vec![11])])?;
            }
        }
    }
    for kind in CompareKind::ALL {
        for t in all {
            one(&mut r, Compare { kind: *kind }.into(), &[(t, vec![4, 1]), (t, vec![5])])?;
        }
    }
    for t in all {
        one(&mut r, Select {}.into(), &[(DType::Bool, vec![2, 1]), (t, vec![3]), (t, vec![1])])?;
        one(&mut r, Concat { axis: 1 }.into(), &[(t, vec![2, 1, 2]), (t, vec![2, 3, 2]), (t, vec![2, 0, 2])])?;
        one(&mut r, Reshape { shape: vec![Dim::Known(3), Dim::Known(2)] }.into(), &[(t, vec![6])])?;
        for to in all {
            one(&mut r, Cast { to }.into(), &[(t, vec![25])])?;
        }
        for (axis, shape) in [(0, vec![3, 2]), (1, vec![2, 3]), (1, vec![2, 2, 2])] {
            for index in [DType::I32, DType::I64] {
                one(&mut r, Gather { axis }.into(), &[(t, shape.clone()), (index, vec![2])])?;
                one(&mut r, Gather { axis }.into(), &[(t, shape.clone()), (index, vec![])])?;
            }
        }
        for (greatest, last) in [(true, false), (false, false), (true, true), (false, true)] {
            one(&mut r, ArgReduce { greatest, axis: 1, keep_dims: last, last }.into(), &[(t, vec![2, 5, 2])])?;
        }
        for kind in ReduceKind::ALL {
            for (axes, keep_dims, shape) in
                [(vec![0, 2], false, vec![2, 2, 9]), (vec![1], true, vec![2, 19]), (vec![1], false, vec![2, 0])]
            {
                one(&mut r, Reduce { kind: *kind, axes, keep_dims }.into(), &[(t, shape)])?;
            }
        }
    }
    for log in [false, true] {
        for (axis, shape) in [(1, vec![3, 18]), (0, vec![3, 2]), (1, vec![2, 3, 2])] {
            one(&mut r, Softmax { axis, log }.into(), &[(DType::F32, shape)])?;
        }
    }
    for (a, b) in [
        (vec![3], vec![3]),
        (vec![3], vec![3, 2]),
        (vec![2, 3], vec![3]),
        (vec![2, 5], vec![5, 3]),
        (vec![2, 1, 2, 3], vec![2, 3, 2]),
        (vec![1, 300], vec![300, 2]),
        (vec![2, 0], vec![0, 2]),
        (vec![2, 3], vec![2, 3]),
    ] {
        for _ in 0..3 {
            one(&mut r, MatMul {}.into(), &[(DType::F32, a.clone()), (DType::F32, b.clone())])?;
        }
    }
    for flags in 0..4 {
        let (trans_a, trans_b) = (flags & 1 == 1, flags & 2 == 2);
        let a = if trans_a { vec![7, 2] } else { vec![2, 7] };
        let b = if trans_b { vec![3, 7] } else { vec![7, 3] };
        for c in [None, Some(vec![3]), Some(vec![2, 1]), Some(vec![2, 3]), Some(vec![])] {
            let mut types = vec![(DType::F32, a.clone()), (DType::F32, b.clone())];
            types.extend(c.map(|c| (DType::F32, c)));
            one(&mut r, Gemm { alpha: 1.0, beta: 1.0, trans_a, trans_b }.into(), &types)?;
            one(&mut r, Gemm { alpha: -0.3, beta: 0.7, trans_a, trans_b }.into(), &types)?;
        }
    }
    selection(&mut one, &mut r)?;
    integers(&mut one, &mut r)?;
    for (i, part) in cases.chunks(250).enumerate() {
        let mut out = Map::new();
        out.insert("cases".to_owned(), hex(&part.concat()));
        write(&format!("operators_{i}.json"), out)?;
    }
    Ok(())
}

/// Adds the case of an operator on operands of these types and shapes.
type Add<'a> = dyn FnMut(&mut Random, Op, &[(DType, Vec<usize>)]) -> Result<()> + 'a;

/// Operators that check, pick, update and order elements.
fn selection(one: &mut Add<'_>, r: &mut Random) -> Result<()> {
    for t in DType::ALL {
        for what in Requirement::ALL {
            for condition in [vec![1], vec![2, 2], vec![0]] {
                one(r, Require { what: *what }.into(), &[(t, vec![3]), (DType::Bool, condition)])?;
            }
        }
        for index in [DType::I32, DType::I64] {
            for (axis, data, indices) in [(0, vec![3], vec![5]), (1, vec![3, 3, 2], vec![2, 4, 2])] {
                one(r, GatherElements { axis }.into(), &[(t, data.clone()), (index, indices.clone())])?;
                for kind in ScatterKind::ALL {
                    let types = [(t, data.clone()), (index, indices.clone()), (t, indices.clone())];
                    one(r, ScatterElements { axis, kind: *kind }.into(), &types)?;
                }
            }
            let shapes =
                [(0, vec![3, 3, 2], vec![2, 1]), (1, vec![2, 3, 3], vec![2, 4, 2]), (0, vec![3, 4], vec![5, 2])];
            for (batch_dims, data, indices) in shapes {
                one(r, GatherND { batch_dims }.into(), &[(t, data), (index, indices)])?;
            }
            for (data, indices, updates) in [
                (vec![3, 3, 2], vec![2, 1], vec![2, 3, 2]),
                (vec![3, 4], vec![2, 2, 2], vec![2, 2]),
                (vec![3, 3], vec![0, 2], vec![0]),
            ] {
                for kind in ScatterKind::ALL {
                    let types = [(t, data.clone()), (index, indices.clone()), (t, updates.clone())];
                    one(r, ScatterND { kind: *kind }.into(), &types)?;
                }
            }
        }
        for greatest in [true, false] {
            for (axis, k, shape) in [(0, 3, vec![7]), (1, 5, vec![2, 5, 2]), (1, 1, vec![3, 6]), (0, 0, vec![4])] {
                one(r, TopK { axis, k: Dim::Known(k), greatest }.into(), &[(t, shape)])?;
            }
        }
        for kind in CumulateKind::ALL {
            for (exclusive, reverse) in [(false, false), (false, true), (true, false), (true, true)] {
                let op = Cumulate { kind: *kind, axis: 1, exclusive, reverse };
                one(r, op.into(), &[(t, vec![2, 5, 2])])?;
            }
        }
        for to in DType::ALL {
            one(r, BitCast { to }.into(), &[(t, vec![9])])?;
        }
    }
    Ok(())
}

/// Products of 8-bit integers, and of rows with quantised weights.
fn integers(one: &mut Add<'_>, r: &mut Random) -> Result<()> {
    for (a, b) in [(DType::I8, DType::U8), (DType::U8, DType::I8), (DType::U8, DType::U8)] {
        for (left, right, zeros) in [
            (vec![3], vec![3], [vec![], vec![]]),
            (vec![2, 5], vec![5, 3], [vec![2], vec![3]]),
            (vec![2, 1, 2, 4], vec![2, 4, 3], [vec![], vec![3]]),
            (vec![2, 0], vec![0, 2], [vec![], vec![]]),
        ] {
            let types = [(a, left), (b, right), (a, zeros[0].clone()), (b, zeros[1].clone())];
            for n in 2..=4 {
                one(r, IntegerMatMul {}.into(), &types[..n])?;
            }
        }
        for (groups, x, w) in [(1, vec![2, 2, 4, 3], vec![3, 2, 3, 2]), (2, vec![1, 4, 5], vec![4, 2, 3])] {
            let axes = w.len() - 2;
            let op = IntegerConv {
                groups,
                strides: vec![2; axes],
                dilations: vec![1; axes],
                pads_begin: vec![1; axes],
                pads_end: vec![2; axes],
            };
            let types = [(a, x), (b, w.clone()), (a, vec![]), (b, vec![w[0]])];
            for n in 2..=4 {
                one(r, op.clone().into(), &types[..n])?;
            }
        }
    }
    for class in WeightClass::ALL {
        for block in [0, class.block()] {
            for (n, k, rows) in [(3, 5usize, vec![2]), (2, 70, vec![1, 2]), (2, 300, vec![])] {
                let blocks = k.div_ceil(class.block() as usize);
                let scale = if block == 0 { (DType::F32, vec![n]) } else { (DType::U8, vec![n, blocks, 2]) };
                let mut types = vec![(DType::F32, [rows, vec![k]].concat()), (DType::I8, vec![n, k]), scale];
                if *class == WeightClass::I16 {
                    types.push((DType::U8, vec![n, k]));
                    one(r, QuantizedMatMul { class: *class, block }.into(), &types)?;
                    types.push((DType::F32, vec![n]));
                }
                for _ in 0..6 {
                    one(r, QuantizedMatMul { class: *class, block }.into(), &types)?;
                }
            }
            for groups in [1, 2] {
                let (n, k) = (4, 4 / groups as usize * 3);
                let blocks = k.div_ceil(class.block() as usize);
                let scale = if block == 0 { (DType::F32, vec![n]) } else { (DType::U8, vec![n, blocks, 2]) };
                let w = vec![n, 4 / groups as usize, 3];
                let mut types = vec![(DType::F32, vec![2, 4, 5]), (DType::I8, w.clone()), scale];
                if *class == WeightClass::I16 {
                    types.extend([(DType::U8, w), (DType::F32, vec![n])]);
                }
                let op = QuantizedConv {
                    class: *class,
                    block,
                    groups,
                    strides: vec![1],
                    dilations: vec![2],
                    pads_begin: vec![2],
                    pads_end: vec![0],
                };
                for _ in 0..6 {
                    one(r, op.clone().into(), &types)?;
                }
            }
        }
    }
    Ok(())
}

/// Values that suit a type: special floats, small and extreme integers.
fn random_tensor(r: &mut Random, dtype: DType, shape: &[usize], tame: bool) -> Result<Tensor> {
    let n = shape.iter().product::<usize>();
    let mut bytes = Vec::new();
    for _ in 0..n {
        let word = match (dtype, r.below(3)) {
            (DType::F32, _) => u64::from(if tame { r.around(118, 131) } else { r.any() }),
            (DType::Bool, _) => r.below(2),
            (_, 0) => r.next(),
            (_, 1) => (1u64 << (dtype.size() * 8 - 1)).wrapping_sub(r.below(2)),
            _ => r.below(7).wrapping_sub(3),
        };
        bytes.extend(&word.to_le_bytes()[..dtype.size()]);
    }
    Tensor::from_le_bytes(dtype, shape.to_vec(), &bytes).context("a tensor")
}

/// `None` where the operator does not take these types at all.
fn case(r: &mut Random, op: Op, types: &[(DType, Vec<usize>)]) -> Result<Option<Vec<u8>>> {
    let index = matches!(
        op,
        Op::Gather(_) | Op::GatherElements(_) | Op::GatherND(_) | Op::ScatterElements(_) | Op::ScatterND(_)
    );
    let tame = r.below(2) == 0;
    let mut inputs = Vec::new();
    for (i, (dtype, shape)) in types.iter().enumerate() {
        let mut t = random_tensor(r, *dtype, shape, tame)?;
        if index && i == 1 {
            let n = t.data.len();
            t.data = match dtype {
                DType::I32 => Data::I32((0..n).map(|_| r.below(5) as i32 - 2).collect()),
                _ => Data::I64((0..n).map(|_| r.below(5) as i64 - 2).collect()),
            };
        }
        inputs.push(t);
    }
    let graph = Graph {
        inputs: inputs
            .iter()
            .enumerate()
            .map(|(i, t)| Input { name: format!("x{i}"), dtype: t.dtype(), shape: t.ty().shape })
            .collect(),
        nodes: vec![Node { op, inputs: (0..inputs.len()).map(|i| Some(ValueId(i as u32))).collect() }],
        outputs: vec![Output { name: "y".to_owned(), value: ValueId(inputs.len() as u32) }],
        ..Graph::default()
    };
    let limits = Limits::default();
    let Ok(model) = Model::build(graph, &[], Vec::new(), &limits) else { return Ok(None) };
    let bytes = encode_graph(&model.graph, 0);
    let model = LoadedModel::new(model, &limits)?;
    let shapes: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = model.plan(&shapes, &limits)?;
    let options = Options { implementation: Implementation::Reference, threads: 1 };
    let mut out = Vec::new();
    let mut put = |part: &[u8]| {
        out.extend((part.len() as u32).to_be_bytes());
        out.extend(part);
    };
    put(&bytes);
    put(&[inputs.len() as u8]);
    inputs.iter().for_each(|t| put(&packed(t)));
    put(&model.run(&plan, inputs, &options).map(|y| packed(&y[0])).unwrap_or_default());
    Ok(Some(out))
}

/// A graph with one byte changed: position, byte, whether it still decodes (u16, u8, u8).
fn mutations() -> Result<()> {
    let mut r = Random(13);
    let mut out = Map::new();
    for name in ["wine_mixed", "breast_cancer_logreg"] {
        let model = Committed::load(name)?;
        let graph = encode_graph(model.graph(), model.model.weights_length);
        let mut v = Vec::new();
        for _ in 0..400 {
            let position = r.below(graph.len() as u64) as usize;
            let byte = if r.below(2) == 0 { r.below(4) as u8 } else { r.bits() as u8 };
            let mut changed = graph.clone();
            changed[position] = byte;
            v.extend((position as u16).to_be_bytes());
            v.extend([byte, u8::from(lockstep_engine::format::decode_graph(&changed).is_ok())]);
        }
        out.insert(name.to_owned(), hex(&v));
    }
    write("mutations.json", out)
}

/// Ensembles of each aggregate with every comparison: graph, weights, input and output, each with its length before it.
fn trees() -> Result<()> {
    let mut r = Random(17);
    let mut cases = Vec::new();
    for i in 0..24 {
        let aggregate = Aggregate::ALL[i % 4];
        // Complete trees of depth 2 over two features: nodes 3t to 3t + 2, leaves 4t to 4t + 3.
        let (trees, targets) = (1 + r.below(3) as usize, 1 + r.below(2) as usize);
        let mut t: [Vec<u8>; 9] = Default::default();
        let i32s = |v: &mut Vec<u8>, w: &[i32]| w.iter().for_each(|w| v.extend(w.to_le_bytes()));
        for tree in 0..trees as i32 {
            let (n, l) = (3 * tree, 4 * tree);
            for _ in 0..3 {
                i32s(&mut t[0], &[r.below(2) as i32]);
                let threshold = [-1.0f32, -0.0, 0.0, 0.5, f32::INFINITY][r.below(5) as usize];
                t[1].extend(threshold.to_le_bytes());
                t[2].push(r.below(6) as u8 + 8 * r.below(2) as u8);
            }
            i32s(&mut t[3], &[n + 1, n + 2, -1 - l, -2 - l, -3 - l, -4 - l]);
            i32s(&mut t[4], &[n]);
        }
        i32s(&mut t[5], &[0]);
        for _ in 0..4 * trees {
            for target in 0..targets as i32 {
                if r.below(4) == 0 {
                    continue;
                }
                i32s(&mut t[6], &[target]);
                t[7].extend(((r.next() as i64) >> (4 + r.below(50))).to_le_bytes());
            }
            let end = (t[6].len() / 4) as i32;
            i32s(&mut t[5], &[end]);
        }
        (0..targets).for_each(|_| t[8].extend(((r.next() as i64) >> 20).to_le_bytes()));
        let mut constants = Vec::new();
        for (v, dtype) in t.iter().zip([3usize, 0, 1, 3, 3, 3, 3, 4, 4].map(|d| DType::ALL[d])) {
            let n = v.len() / dtype.size();
            let shape = if constants.len() == 3 { vec![n / 2, 2] } else { vec![n] };
            constants.push(Tensor::from_le_bytes(dtype, shape, v).context("a table")?);
        }
        let op = TreeEnsemble {
            targets: targets as u32,
            shift: r.below(63) as u8,
            aggregate,
            total_depth: 2 * trees as u32,
            features: 2,
        };
        let corners = [-1.0f32, -0.0, 0.0, 0.5, f32::INFINITY, f32::NAN, 0.25, -7.0];
        let values = (0..12).map(|_| corners[r.below(8) as usize]).collect();
        let x = Tensor::new(vec![6, 2], Data::F32(values)).context("rows")?;
        let graph = Graph {
            inputs: vec![Input { name: "x".to_owned(), dtype: DType::F32, shape: x.ty().shape }],
            constants: constants
                .iter()
                .map(|c| Constant { dtype: c.dtype(), shape: c.shape.iter().map(|d| *d as u32).collect() })
                .collect(),
            nodes: vec![Node { op: op.into(), inputs: (0..10).map(|i| Some(ValueId(i))).collect() }],
            outputs: vec![Output { name: "y".to_owned(), value: ValueId(10) }],
            ..Graph::default()
        };
        let limits = Limits::default();
        let model = Model::build(graph, &constants, Vec::new(), &limits)?;
        let sections = [encode_graph(&model.graph, model.weights.len() as u64), model.weights.clone()];
        let model = LoadedModel::new(model, &limits)?;
        let plan = model.plan(&[(DType::F32, &[6, 2])], &limits)?;
        let y =
            model.run(&plan, vec![x.clone()], &Options { implementation: Implementation::Reference, threads: 1 })?;
        for part in [&sections[0], &sections[1], &packed(&x), &packed(&y[0])] {
            cases.extend((part.len() as u32).to_be_bytes());
            cases.extend(part);
        }
    }
    let mut out = Map::new();
    out.insert("cases".to_owned(), hex(&cases));
    write("trees.json", out)
}
