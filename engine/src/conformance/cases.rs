//! The cases of every operator: each type it takes, shapes at which kernels change their way, special values.

mod quantized;

use super::random::{Random, Values};
use crate::dim::Dim;
use crate::ops::Op;
use crate::ops::arg_reduce::ArgReduce;
use crate::ops::binary::{Binary, BinaryKind};
use crate::ops::cast::Cast;
use crate::ops::compare::{Compare, CompareKind};
use crate::ops::concat::Concat;
use crate::ops::contraction::{Gemm, MatMul};
use crate::ops::conv::Conv;
use crate::ops::cumulate::CumulateKind;
use crate::ops::expand::Expand;
use crate::ops::gather::Gather;
use crate::ops::pad::{Pad, PadMode};
use crate::ops::pairwise_coupling::PairwiseCoupling;
use crate::ops::pool::{Pool, PoolKind};
use crate::ops::reduce::{Reduce, ReduceKind};
use crate::ops::reshape::Reshape;
use crate::ops::scatter::ScatterKind;
use crate::ops::select::Select;
use crate::ops::slice::Slice;
use crate::ops::softmax::Softmax;
use crate::ops::transpose::Transpose;
use crate::ops::tree::{Aggregate, Branch, TreeEnsemble};
use crate::ops::unary::{Unary, UnaryKind};
use crate::tensor::{DType, Data, Tensor};
use Values::{Masked, Ordinary, Positive, Special, Wide};

/// One computation.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) op: Op,
    pub(super) operands: Vec<Option<Tensor>>,
    /// Operands from here on are constants of a model.
    pub(super) constants: usize,
    /// Operands whose first axis is the batch, symbol 0; none where the operator joins rows.
    pub(super) batched: Vec<usize>,
}

/// What has one hash: an operator, or one kind of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Subject {
    Unary(UnaryKind),
    Binary(BinaryKind),
    Compare(CompareKind),
    Select,
    Cast(DType),
    MatMul,
    Gemm,
    Conv,
    Pool(PoolKind),
    Reduce(ReduceKind),
    ArgReduce { greatest: bool },
    Softmax { log: bool },
    Reshape,
    Transpose,
    Concat,
    Slice,
    Gather,
    Expand,
    Pad(PadMode),
    TreeEnsemble(Aggregate),
    Require,
    GatherElements,
    GatherND,
    ScatterElements(ScatterKind),
    ScatterND(ScatterKind),
    TopK { greatest: bool },
    Cumulate(CumulateKind),
    IntegerMatMul,
    IntegerConv,
    QuantizedMatMul,
    QuantizedConv,
    BitCast(DType),
    PairwiseCoupling,
}

impl Subject {
    /// All, by opcode.
    pub(super) fn all() -> Vec<Self> {
        Op::TABLE.iter().flat_map(|(_, family)| Self::of(family)).collect()
    }

    /// Those of a family; none for a family that has no cases yet, which a test refuses.
    pub(super) fn of(family: &str) -> Vec<Self> {
        match family {
            "Unary" => UnaryKind::ALL.iter().copied().map(Self::Unary).collect(),
            "Binary" => BinaryKind::ALL.iter().copied().map(Self::Binary).collect(),
            "Compare" => CompareKind::ALL.iter().copied().map(Self::Compare).collect(),
            "Select" => vec![Self::Select],
            "Cast" => DType::ALL.into_iter().map(Self::Cast).collect(),
            "MatMul" => vec![Self::MatMul],
            "Gemm" => vec![Self::Gemm],
            "Conv" => vec![Self::Conv],
            "Pool" => PoolKind::ALL.iter().copied().map(Self::Pool).collect(),
            "Reduce" => ReduceKind::ALL.iter().copied().map(Self::Reduce).collect(),
            "ArgReduce" => [true, false].map(|greatest| Self::ArgReduce { greatest }).to_vec(),
            "Softmax" => [false, true].map(|log| Self::Softmax { log }).to_vec(),
            "Reshape" => vec![Self::Reshape],
            "Transpose" => vec![Self::Transpose],
            "Concat" => vec![Self::Concat],
            "Slice" => vec![Self::Slice],
            "Gather" => vec![Self::Gather],
            "Expand" => vec![Self::Expand],
            "Pad" => PadMode::ALL.iter().copied().map(Self::Pad).collect(),
            "TreeEnsemble" => Aggregate::ALL.iter().copied().map(Self::TreeEnsemble).collect(),
            "Require" => vec![Self::Require],
            "GatherElements" => vec![Self::GatherElements],
            "GatherND" => vec![Self::GatherND],
            "ScatterElements" => ScatterKind::ALL.iter().copied().map(Self::ScatterElements).collect(),
            "ScatterND" => ScatterKind::ALL.iter().copied().map(Self::ScatterND).collect(),
            "TopK" => [true, false].map(|greatest| Self::TopK { greatest }).to_vec(),
            "Cumulate" => CumulateKind::ALL.iter().copied().map(Self::Cumulate).collect(),
            "IntegerMatMul" => vec![Self::IntegerMatMul],
            "IntegerConv" => vec![Self::IntegerConv],
            "QuantizedMatMul" => vec![Self::QuantizedMatMul],
            "QuantizedConv" => vec![Self::QuantizedConv],
            "BitCast" => DType::ALL.into_iter().map(Self::BitCast).collect(),
            "PairwiseCoupling" => vec![Self::PairwiseCoupling],
            _ => Vec::new(),
        }
    }

    /// Name in the file.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Unary(kind) => format!("Unary.{}", kind.name()),
            Self::Binary(kind) => format!("Binary.{}", kind.name()),
            Self::Compare(kind) => format!("Compare.{}", kind.name()),
            Self::Cast(to) => format!("Cast.{to}"),
            Self::Pool(kind) => format!("Pool.{kind:?}"),
            Self::Reduce(kind) => format!("Reduce.{}", kind.name()),
            Self::ArgReduce { greatest: true } => "ArgReduce.ArgMax".into(),
            Self::ArgReduce { greatest: false } => "ArgReduce.ArgMin".into(),
            Self::Softmax { log: false } => "Softmax.Softmax".into(),
            Self::Softmax { log: true } => "Softmax.LogSoftmax".into(),
            Self::Pad(mode) => format!("Pad.{mode:?}"),
            Self::TreeEnsemble(aggregate) => format!("TreeEnsemble.{aggregate:?}"),
            Self::ScatterElements(kind) => format!("ScatterElements.{kind:?}"),
            Self::ScatterND(kind) => format!("ScatterND.{kind:?}"),
            Self::TopK { greatest } => format!("TopK.{}", if *greatest { "Greatest" } else { "Least" }),
            Self::Cumulate(kind) => format!("Cumulate.{kind:?}"),
            Self::BitCast(to) => format!("BitCast.{to}"),
            single => format!("{single:?}"),
        }
    }

    /// The cases that the operator takes.
    pub(super) fn cases(&self) -> Vec<Case> {
        let rng = Random::of(&self.name());
        let mut c = Cases { rng, out: Vec::new() };
        match self {
            Self::Unary(kind) => c.unary(*kind),
            Self::Binary(kind) => c.binary(*kind),
            Self::Compare(kind) => c.broadcast(&Compare { kind: *kind }.into(), Special, true),
            Self::Select => c.select(),
            Self::Cast(to) => c.cast(*to),
            Self::MatMul => c.matmul(),
            Self::Gemm => c.gemm(),
            Self::Conv => c.conv(),
            Self::Pool(kind) => c.pool(*kind),
            Self::Reduce(kind) => c.reduce(*kind),
            Self::ArgReduce { greatest } => c.arg_reduce(*greatest),
            Self::Softmax { log } => c.softmax(*log),
            Self::Reshape => c.reshape(),
            Self::Transpose => c.transpose(),
            Self::Concat => c.concat(),
            Self::Slice => c.slice(),
            Self::Gather => c.gather(),
            Self::Expand => c.expand(),
            Self::Pad(mode) => c.pad(*mode),
            Self::TreeEnsemble(aggregate) => (0..6).for_each(|trees| c.trees(*aggregate, trees)),
            Self::Require => c.require(),
            Self::GatherElements => c.gather_elements(),
            Self::GatherND => c.gather_nd(),
            Self::ScatterElements(kind) => c.scatter_elements(*kind),
            Self::ScatterND(kind) => c.scatter_nd(*kind),
            Self::TopK { greatest } => c.top_k(*greatest),
            Self::Cumulate(kind) => c.cumulate(*kind),
            Self::IntegerMatMul => c.integer_matmul(),
            Self::IntegerConv => c.integer_conv(),
            Self::QuantizedMatMul => c.quantized_matmul(),
            Self::QuantizedConv => c.quantized_conv(),
            Self::BitCast(to) => c.bit_cast(*to),
            Self::PairwiseCoupling => c.pairwise_coupling(),
        }
        c.out
    }
}

/// Cases under construction.
pub(super) struct Cases {
    pub(super) rng: Random,
    out: Vec<Case>,
}

/// Shapes of two operands, and which of them carry the rows of the result.
const PAIRS: [(&[usize], &[usize], &[usize]); 10] = [
    (&[5, 37], &[5, 37], &[0, 1]),
    (&[5, 37], &[], &[0]),
    (&[5, 37], &[37], &[0]),
    (&[1, 37], &[5, 37], &[1]),
    (&[5, 37], &[5, 1], &[0, 1]),
    (&[2, 3, 4, 5], &[3, 1, 1], &[0]),
    (&[2, 3, 4, 5], &[2, 1, 4, 1], &[0, 1]),
    (&[5, 1], &[1, 7], &[0]),
    (&[0, 7], &[7], &[0]),
    (&[3, 200], &[3, 200], &[0, 1]),
];

/// In and out are of every type that moves.
const SHAPES: [&[usize]; 3] = [&[4, 3, 6], &[7, 1, 2], &[3, 0, 2]];

impl Cases {
    pub(super) fn tensor(&mut self, dtype: DType, shape: &[usize], values: Values) -> Option<Tensor> {
        Some(self.rng.tensor(dtype, shape, values))
    }

    /// Adds a case; one that the operator refuses (a type that it does not take) is left out.
    pub(super) fn push(&mut self, op: &Op, operands: Vec<Option<Tensor>>, constants: usize, batched: &[usize]) {
        let case = Case { op: op.clone(), operands, constants, batched: batched.to_vec() };
        let operands: Vec<Option<&Tensor>> = case.operands.iter().map(Option::as_ref).collect();
        let known: Vec<_> = operands.iter().enumerate().map(|(i, t)| t.filter(|_| i >= constants)).collect();
        let taken = case.output(&operands, case.rows()).is_some() && op.definition().check_constants(&known).is_ok();
        if taken {
            self.out.push(case);
        }
    }

    /// One operand of the type, all rows apart.
    pub(super) fn one(&mut self, op: &Op, dtype: DType, shape: &[usize], values: Values) {
        let x = self.tensor(dtype, shape, values);
        self.push(op, vec![x], 1, if shape.is_empty() { &[] } else { &[0] });
    }

    fn unary(&mut self, kind: UnaryKind) {
        let op = Unary { kind }.into();
        for dtype in DType::ALL {
            for (shape, values) in [(&[8, 97][..], Special), (&[3, 61], Ordinary), (&[], Special), (&[0, 3], Wide)] {
                self.one(&op, dtype, shape, values);
            }
        }
        // Every 524,309th f32 there is, a prime apart.
        let every = (0..8192u32).map(|i| f32::from_bits(i.wrapping_mul(524_309))).collect();
        self.push(&op, vec![Some(Tensor { shape: vec![8, 1024], data: Data::F32(every) })], 1, &[0]);
    }

    /// Two operands of every type in every way to repeat; `wild` says whether any value may stand on the right.
    fn broadcast(&mut self, op: &Op, values: Values, wild: bool) {
        for dtype in DType::ALL {
            for (a, b, batched) in PAIRS {
                let right = if wild || dtype == DType::F32 { values } else { Positive };
                let (a, b) = (self.tensor(dtype, a, values), self.tensor(dtype, b, right));
                self.push(op, vec![a, b], 2, batched);
            }
        }
    }

    fn binary(&mut self, kind: BinaryKind) {
        use BinaryKind::{Div, FMod, Mod, Pow};
        let op = Binary { kind }.into();
        // One zero divisor fails a whole call: most cases have none.
        let fails = matches!(kind, Div | FMod | Mod | Pow);
        self.broadcast(&op, Special, !fails);
        self.broadcast(&op, Ordinary, true);
        if kind == Pow {
            let (a, b) = (self.tensor(DType::F32, &[9, 40], Positive), self.tensor(DType::F32, &[9, 40], Ordinary));
            self.push(&op, vec![a, b], 2, &[0, 1]);
        }
    }

    fn select(&mut self) {
        let op = Select {}.into();
        for dtype in DType::ALL {
            for (a, b, batched) in PAIRS {
                let condition = self.tensor(DType::Bool, a, Ordinary);
                let (x, y) = (self.tensor(dtype, b, Special), self.tensor(dtype, &[], Special));
                self.push(&op, vec![condition, x, y], 3, batched);
            }
            let condition = self.tensor(DType::Bool, &[37], Ordinary);
            let (x, y) = (self.tensor(dtype, &[5, 37], Special), self.tensor(dtype, &[5, 1], Special));
            self.push(&op, vec![condition, x, y], 3, &[1, 2]);
        }
    }

    fn cast(&mut self, to: DType) {
        let op = Cast { to }.into();
        for dtype in DType::ALL {
            for (shape, values) in [(&[6, 150][..], Special), (&[3, 50], Wide), (&[], Special), (&[2, 0], Special)] {
                self.one(&op, dtype, shape, values);
            }
        }
    }

    fn matmul(&mut self) {
        let op = MatMul {}.into();
        let shapes: [(&[usize], &[usize], &[usize]); 14] = [
            (&[3, 5], &[5, 4], &[0]),
            (&[1, 1], &[1, 1], &[0]),
            (&[7, 255], &[255, 33], &[0]),
            (&[13, 256], &[256, 16], &[0]),
            (&[5, 257], &[257, 17], &[0]),
            (&[2, 1025], &[1025, 3], &[0]),
            (&[1, 600], &[600, 1], &[0]),
            (&[2, 3, 4, 6], &[6, 5], &[0]),
            (&[2, 3, 4, 6], &[3, 6, 5], &[0]),
            (&[4, 5, 8], &[4, 8, 5], &[0, 1]),
            (&[5, 0], &[0, 3], &[0]),
            (&[300], &[300, 4], &[]),
            (&[4, 300], &[300], &[0]),
            (&[9], &[9], &[]),
        ];
        for (a, b, batched) in shapes {
            for values in [Ordinary, Wide, Special] {
                let (x, y) = (self.tensor(DType::F32, a, values), self.tensor(DType::F32, b, values));
                self.push(&op, vec![x.clone(), y], 2, batched);
                if !batched.contains(&1) {
                    let y = self.tensor(DType::F32, b, if values == Special { Ordinary } else { values });
                    self.push(&op, vec![x, y], 1, batched);
                }
            }
        }
    }

    fn gemm(&mut self) {
        for [m, k, n] in [[3, 5, 4], [1, 300, 17], [6, 513, 33], [4, 0, 3]] {
            for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
                for (c, by_row) in
                    [(None, false), (Some(vec![n]), false), (Some(vec![m, 1]), true), (Some(vec![]), false)]
                {
                    let (alpha, beta) = match self.rng.below(3) {
                        0 => (1.0, 1.0),
                        1 => (-0.5, 3.0),
                        _ => (1.5, 0.0),
                    };
                    let op = Gemm { alpha, beta, trans_a, trans_b }.into();
                    let values = if self.rng.coin() { Wide } else { Ordinary };
                    let a = self.tensor(DType::F32, &if trans_a { [k, m] } else { [m, k] }, values);
                    let b = self.tensor(DType::F32, &if trans_b { [n, k] } else { [k, n] }, values);
                    let c = c.and_then(|shape| self.tensor(DType::F32, &shape, values));
                    let batched: &[usize] = match (trans_a, by_row) {
                        (true, _) => &[],
                        (_, true) => &[0, 2],
                        _ => &[0],
                    };
                    // An operand with the batch is no constant.
                    let constants = if self.rng.coin() || by_row { 3 } else { 1 };
                    self.push(&op, vec![a, b, c], constants, batched);
                }
            }
        }
    }

    fn conv(&mut self) {
        // Input, filters, groups, strides, dilations, borders.
        type Window<'a> = (&'a [usize], &'a [usize], u32, &'a [u32], &'a [u32], [&'a [u32]; 2]);
        let windows: [Window<'_>; 8] = [
            (&[3, 4, 20], &[6, 4, 3], 1, &[1], &[1], [&[1], &[1]]),
            (&[2, 4, 17], &[6, 2, 5], 2, &[2], &[2], [&[3], &[0]]),
            (&[3, 3, 9, 8], &[20, 3, 3, 3], 1, &[1, 1], &[1, 1], [&[1, 1], &[1, 1]]),
            (&[2, 32, 6, 7], &[17, 32, 3, 3], 1, &[2, 1], &[1, 2], [&[0, 2], &[1, 2]]),
            (&[2, 18, 7, 7], &[18, 1, 3, 3], 18, &[1, 1], &[1, 1], [&[1, 1], &[1, 1]]),
            (&[2, 5, 9, 9], &[10, 1, 5, 3], 5, &[2, 3], &[1, 1], [&[2, 0], &[2, 1]]),
            (&[2, 40, 5, 5], &[8, 40, 1, 1], 1, &[1, 1], &[1, 1], [&[0, 0], &[0, 0]]),
            (&[2, 2, 4, 5, 3], &[3, 2, 2, 3, 2], 1, &[1, 2, 1], &[1, 1, 1], [&[0, 1, 1], &[1, 1, 0]]),
        ];
        for (x, w, groups, strides, dilations, [begin, end]) in windows {
            for (values, bias, constants) in
                [(Ordinary, true, 1), (Wide, false, 1), (Wide, true, 3), (Special, true, 3), (Ordinary, false, 3)]
            {
                let op = Conv {
                    groups,
                    strides: strides.to_vec(),
                    dilations: dilations.to_vec(),
                    pads_begin: begin.to_vec(),
                    pads_end: end.to_vec(),
                };
                let filters = self.tensor(DType::F32, w, values);
                let b = if bias { self.tensor(DType::F32, &w[..1], values) } else { None };
                let x = self.tensor(DType::F32, x, values);
                self.push(&op.into(), vec![x, filters, b], constants, &[0]);
            }
        }
    }

    fn pool(&mut self, kind: PoolKind) {
        // Input, window, strides, dilations, borders.
        type Window<'a> = (&'a [usize], &'a [u32], &'a [u32], &'a [u32], [&'a [u32]; 2]);
        let windows: [Window<'_>; 5] = [
            (&[3, 2, 20], &[3], &[2], &[1], [&[1], &[1]]),
            (&[2, 3, 9, 11], &[3, 3], &[2, 2], &[1, 1], [&[1, 1], &[1, 1]]),
            (&[2, 2, 8, 8], &[2, 3], &[1, 3], &[2, 1], [&[0, 0], &[1, 2]]),
            (&[2, 17, 6, 6], &[6, 6], &[1, 1], &[1, 1], [&[0, 0], &[0, 0]]),
            (&[2, 2, 5, 4, 6], &[2, 2, 3], &[2, 1, 2], &[1, 1, 1], [&[1, 0, 1], &[0, 1, 1]]),
        ];
        for dtype in DType::ALL {
            for (x, kernel, strides, dilations, [begin, end]) in windows {
                for (ceil, count_pad, values) in
                    [(false, false, Special), (true, false, Ordinary), (false, true, Wide), (true, true, Special)]
                {
                    let op = Pool {
                        kind,
                        kernel: kernel.to_vec(),
                        strides: strides.to_vec(),
                        dilations: dilations.to_vec(),
                        pads_begin: begin.to_vec(),
                        pads_end: end.to_vec(),
                        ceil,
                        count_pad,
                    };
                    self.one(&op.into(), dtype, x, values);
                }
            }
        }
    }

    fn reduce(&mut self, kind: ReduceKind) {
        for dtype in DType::ALL {
            for (shape, axes) in [
                (&[5, 67][..], &[1][..]),
                (&[5, 16], &[1]),
                (&[40, 3], &[0]),
                (&[4, 3, 50], &[1, 2]),
                (&[4, 3, 50], &[1]),
                (&[2, 3, 5, 7], &[0, 2, 3]),
                (&[3, 0], &[1]),
                (&[300], &[0]),
            ] {
                for values in [Ordinary, Wide, Special] {
                    let op = Reduce { kind, axes: axes.to_vec(), keep_dims: self.rng.coin() }.into();
                    let x = self.tensor(dtype, shape, values);
                    self.push(&op, vec![x], 1, if axes.contains(&0) { &[] } else { &[0] });
                }
            }
        }
    }

    fn arg_reduce(&mut self, greatest: bool) {
        for dtype in DType::ALL {
            for (shape, axis) in [(&[6, 31][..], 1), (&[6, 31], 0), (&[3, 4, 5], 1), (&[40], 0)] {
                for last in [false, true] {
                    for values in [Ordinary, Special, Masked] {
                        let op = ArgReduce { greatest, axis, keep_dims: self.rng.coin(), last }.into();
                        let x = self.tensor(dtype, shape, values);
                        self.push(&op, vec![x], 1, if axis == 0 { &[] } else { &[0] });
                    }
                }
            }
        }
    }

    fn softmax(&mut self, log: bool) {
        for (shape, axis) in [(&[6, 67][..], 1), (&[16, 2], 1), (&[30, 4], 0), (&[3, 20, 5], 1), (&[4, 0], 1)] {
            for values in [Ordinary, Wide, Special, Masked] {
                let x = self.tensor(DType::F32, shape, values);
                self.push(&Softmax { axis, log }.into(), vec![x], 1, if axis == 0 { &[] } else { &[0] });
            }
        }
    }

    fn pairwise_coupling(&mut self) {
        for (classes, pairs) in [(2, 1), (3, 3), (5, 10), (10, 45)] {
            for values in [Ordinary, Special] {
                let x = self.tensor(DType::F32, &[6, pairs], values);
                self.push(&PairwiseCoupling { classes }.into(), vec![x], 1, &[0]);
            }
            // Probabilities, as it is used.
            let v: Vec<f32> = (0..6 * pairs).map(|i| ((i * 37 + 11) % 101) as f32 / 101.0).collect();
            let x = Tensor::new(vec![6, pairs], Data::F32(v)).expect("as many values as the shape has");
            self.push(&PairwiseCoupling { classes }.into(), vec![Some(x)], 1, &[0]);
        }
    }

    fn reshape(&mut self) {
        for dtype in DType::ALL {
            for shape in SHAPES {
                let rest = Dim::Known(shape[1..].iter().product::<usize>() as u64);
                self.one(&Reshape { shape: vec![Dim::symbol(0), rest] }.into(), dtype, shape, Special);
                let all = shape.iter().product::<usize>() as u64;
                let x = self.tensor(dtype, shape, Special);
                self.push(&Reshape { shape: vec![Dim::Known(all)] }.into(), vec![x], 1, &[]);
            }
        }
    }

    fn transpose(&mut self) {
        for dtype in DType::ALL {
            for shape in SHAPES {
                for perm in [[0, 2, 1], [0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
                    let x = self.tensor(dtype, shape, Special);
                    let batched: &[usize] = if perm[0] == 0 { &[0] } else { &[] };
                    self.push(&Transpose { perm: perm.to_vec() }.into(), vec![x], 1, batched);
                }
            }
        }
    }

    fn concat(&mut self) {
        for dtype in DType::ALL {
            for (axis, shapes) in [(1, [[4, 30], [4, 1], [4, 50]]), (0, [[4, 30], [1, 30], [0, 30]])] {
                let operands = shapes.iter().map(|s| self.tensor(dtype, s, Special)).collect();
                self.push(&Concat { axis }.into(), operands, 3, if axis == 0 { &[] } else { &[0, 1, 2] });
            }
        }
    }

    fn slice(&mut self) {
        let known = |n: usize| Dim::Known(n as u64);
        for dtype in DType::ALL {
            for shape in [[4, 9, 6], [3, 12, 5]] {
                let [_, m, n] = shape;
                let op = Slice {
                    start: vec![0, m as u64 - 1, 1],
                    step: vec![1, -2, 3],
                    size: vec![Dim::symbol(0), known(m / 2), known((n + 1) / 3)],
                };
                self.one(&op.into(), dtype, &shape, Special);
                let op = Slice { start: vec![2, 0, 0], step: vec![-1, 1, 1], size: vec![known(3), known(m), known(0)] };
                let x = self.tensor(dtype, &shape, Special);
                self.push(&op.into(), vec![x], 1, &[]);
                let op = Slice { start: vec![2, 3, 0], step: vec![-1, 1, 2], size: vec![known(3), known(4), known(2)] };
                let x = self.tensor(dtype, &shape, Special);
                self.push(&op.into(), vec![x], 1, &[]);
            }
        }
    }

    fn gather(&mut self) {
        for dtype in DType::ALL {
            for axis in [0u8, 1, 2] {
                let shape = [4, 7, 3];
                let n = shape[usize::from(axis)];
                let indices: Vec<i64> = (0..6).map(|_| self.rng.below(2 * n) as i64 - n as i64).collect();
                let wide = Tensor { shape: vec![2, 3], data: Data::I64(indices.clone()) };
                let narrow = Tensor { shape: vec![6], data: Data::I32(indices.iter().map(|i| *i as i32).collect()) };
                let outside = Tensor { shape: vec![], data: Data::I64(vec![n as i64]) };
                for (i, index) in [wide, narrow, outside].into_iter().enumerate() {
                    let x = self.tensor(dtype, &shape, Special);
                    // The rows of the result are those of the data, or of the indices.
                    let batched: &[usize] = match (axis, i) {
                        (0, 0 | 1) => &[1],
                        (0, _) => &[],
                        _ => &[0],
                    };
                    self.push(&Gather { axis }.into(), vec![x, Some(index)], 2, batched);
                }
            }
        }
    }

    fn expand(&mut self) {
        let known = |n: u64| Dim::Known(n);
        for dtype in DType::ALL {
            let op = Expand { shape: vec![Dim::symbol(0), known(5), known(70)] }.into();
            self.one(&op, dtype, &[4, 1, 70], Special);
            for shape in [&[][..], &[3], &[1, 1], &[5, 1]] {
                let x = self.tensor(dtype, shape, Special);
                self.push(&Expand { shape: vec![known(2), known(5), known(3)] }.into(), vec![x], 1, &[]);
            }
        }
    }

    fn pad(&mut self, mode: PadMode) {
        for dtype in DType::ALL {
            for (begin, end, batched) in
                [([0, 2, 1], [0, 1, 2], &[0][..]), ([1, 0, 2], [2, 3, 0], &[]), ([0, 0, 0], [0, 0, 0], &[0])]
            {
                for given in [false, true] {
                    let value = if given { self.tensor(dtype, &[], Special) } else { None };
                    let x = self.tensor(dtype, &[3, 4, 5], Special);
                    let op = Pad { mode, begin: begin.to_vec(), end: end.to_vec() };
                    self.push(&op.into(), vec![x, value], 2, batched);
                }
            }
        }
    }

    /// An ensemble of `trees` + 1 trees over 5 features: every comparison, thresholds that are met exactly, NaNs.
    fn trees(&mut self, aggregate: Aggregate, trees: usize) {
        const FEATURES: usize = 5;
        let targets = 1 + self.rng.below(3);
        let (mut feature, mut threshold, mut mode, mut children) = (vec![], vec![], vec![], vec![]);
        let (mut roots, mut leaves, mut total_depth) = (vec![], 0i32, 0u32);
        for tree in 0..=trees {
            // Nodes of a complete tree, breadth first.
            let (first, depth) = (feature.len() as i32, [3, 0, 1, 5, 2][tree % 5]);
            total_depth += depth;
            roots.push(if depth == 0 { -1 - leaves } else { first });
            let inner = (1i32 << depth) - 1;
            for i in 0..inner {
                feature.push(self.rng.below(FEATURES) as i32);
                threshold.push([-1.0, -0.0, 0.0, 0.5, 1.0, f32::INFINITY][self.rng.below(6)]);
                let branch = Branch::ALL[self.rng.below(Branch::ALL.len())];
                mode.push(branch as u8 + if self.rng.coin() { 8 } else { 0 });
                for child in [2 * i + 1, 2 * i + 2] {
                    children.push(if child < inner { first + child } else { -1 - (leaves + child - inner) });
                }
            }
            leaves += inner + 1;
        }
        let (mut leaf_start, mut leaf_target, mut leaf_value) = (vec![0i32], vec![], vec![]);
        for _ in 0..leaves {
            for target in 0..targets {
                if targets == 1 || self.rng.below(4) > 0 {
                    leaf_target.push(target as i32);
                    leaf_value.push((self.rng.next() >> 20) as i64 - (1 << 43));
                }
            }
            leaf_start.push(leaf_target.len() as i32);
        }
        let base = (0..targets).map(|_| (self.rng.next() >> 40) as i64).collect();
        let op = TreeEnsemble { targets: targets as u32, shift: 32, aggregate, total_depth, features: FEATURES as u32 };
        let mut x = self.rng.tensor(DType::F32, &[23, FEATURES], Special);
        if let Data::F32(v) = &mut x.data {
            // Half of the values are thresholds.
            for v in v.iter_mut() {
                if self.rng.coin() {
                    *v = [-1.0, 0.0, 0.5, 1.0][self.rng.below(4)];
                }
            }
        }
        let vector = |data: Data| Some(Tensor { shape: vec![data.len()], data });
        let pairs = Tensor { shape: vec![children.len() / 2, 2], data: Data::I32(children) };
        let operands = vec![
            Some(x),
            vector(Data::I32(feature)),
            vector(Data::F32(threshold)),
            vector(Data::U8(mode)),
            Some(pairs),
            vector(Data::I32(roots)),
            vector(Data::I32(leaf_start)),
            vector(Data::I32(leaf_target)),
            vector(Data::I64(leaf_value)),
            vector(Data::I64(base)),
        ];
        self.push(&op.into(), operands, 1, &[0]);
    }
}
