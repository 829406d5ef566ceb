//! Random graphs: every operator of the table, small shapes, special values.

#![allow(dead_code)]

mod selection;

use lockstep_engine::dim::{Bindings, Dim};
use lockstep_engine::graph::{Constant, Graph, Input, Node, Output, ValueId};
use lockstep_engine::ops::{
    Op, arg_reduce, binary, cast, compare, concat, contraction, conv, expand, gather, integer, pad, pairwise_coupling,
    pool, quantized, reduce, reshape, select, slice, softmax, transpose, tree, unary,
};
use lockstep_engine::{DType, Data, Limits, Model, Tensor, TensorType};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Floats that break kernels: zeros of both signs, infinities, NaN, subnormals, extremes.
pub(crate) const SPECIAL: [f32; 12] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    1.0e-40,
    -1.0e-44,
    f32::MAX,
    f32::MIN_POSITIVE,
    16_777_217.0,
];

/// Random elements; one in `special` of the floats is a special value.
pub(crate) fn random_tensor(rng: &mut ChaCha8Rng, dtype: DType, shape: &[usize], special: u32) -> Tensor {
    let n: usize = shape.iter().product();
    let data = match dtype {
        DType::F32 => Data::F32(
            (0..n)
                .map(|_| {
                    if special > 0 && rng.random_ratio(1, special) {
                        *SPECIAL.choose(rng).unwrap()
                    } else {
                        rng.random_range(-4.0f32..4.0)
                    }
                })
                .collect(),
        ),
        DType::U8 => Data::U8((0..n).map(|_| rng.random()).collect()),
        DType::I8 => Data::I8((0..n).map(|_| rng.random()).collect()),
        DType::I32 => Data::I32((0..n).map(|_| rng.random_range(-5..6)).collect()),
        DType::I64 => Data::I64((0..n).map(|_| rng.random_range(-3..4)).collect()),
        DType::Bool => Data::Bool((0..n).map(|_| rng.random()).collect()),
    };
    Tensor { shape: shape.to_vec(), data }
}

/// A graph under construction.
struct Growing {
    rng: ChaCha8Rng,
    inputs: Vec<Input>,
    constants: Vec<Tensor>,
    nodes: Vec<(Op, Vec<Option<Ref>>)>,
    types: Vec<(Ref, TensorType)>,
}

/// A value before its final number is known.
#[derive(Clone, Copy, PartialEq)]
enum Ref {
    Input(usize),
    Constant(usize),
    Node(usize),
}

/// A random model with one or two inputs, a symbolic batch, and up to `nodes` operators.
pub(crate) fn random_model(seed: u64, nodes: usize) -> Model {
    let mut g = Growing {
        rng: ChaCha8Rng::seed_from_u64(seed),
        inputs: Vec::new(),
        constants: Vec::new(),
        nodes: Vec::new(),
        types: Vec::new(),
    };
    for i in 0..g.rng.random_range(1..3usize) {
        let mut shape = vec![Dim::symbol(0)];
        for _ in 0..g.rng.random_range(1..4) {
            shape.push(Dim::Known(g.rng.random_range(1..7)));
        }
        let dtype = if i == 0 { DType::F32 } else { *[DType::F32, DType::I64, DType::U8].choose(&mut g.rng).unwrap() };
        g.types.push((Ref::Input(i), TensorType::new(dtype, shape.clone())));
        g.inputs.push(Input { name: format!("x{i}"), dtype, shape });
    }
    for _ in 0..nodes * 6 {
        if g.nodes.len() < nodes {
            g.grow();
        }
    }
    if g.nodes.is_empty() {
        let relu = unary::Unary { kind: unary::UnaryKind::Relu };
        g.push(relu.into(), vec![Some(Ref::Input(0))]);
    }
    g.finish()
}

impl Growing {
    fn pick(&mut self) -> (Ref, TensorType) {
        // Recent values make deep graphs.
        let n = self.types.len();
        let i = if self.rng.random_ratio(2, 3) { n - 1 } else { self.rng.random_range(0..n) };
        self.types[i].clone()
    }

    fn constant(&mut self, dtype: DType, shape: &[usize], special: u32) -> Ref {
        let t = random_tensor(&mut self.rng, dtype, shape, special);
        self.constants.push(t);
        Ref::Constant(self.constants.len() - 1)
    }

    fn type_of(&self, r: Ref) -> TensorType {
        match r {
            Ref::Constant(c) => self.constants[c].ty(),
            _ => self.types.iter().find(|(q, _)| *q == r).map(|(_, t)| t.clone()).unwrap(),
        }
    }

    fn push(&mut self, op: Op, operands: Vec<Option<Ref>>) {
        let constants_before = operands.iter().flatten().filter(|r| matches!(r, Ref::Constant(_))).count();
        let types: Vec<Option<TensorType>> = operands.iter().map(|r| r.map(|r| self.type_of(r))).collect();
        let refs: Vec<Option<&TensorType>> = types.iter().map(Option::as_ref).collect();
        match op.definition().infer(&refs, &Bindings::SYMBOLIC) {
            Ok(out) if out[0].elements().is_none_or(|n| n < 5_000) && out[0].rank() <= 6 => {
                let n = self.nodes.len();
                self.nodes.push((op, operands));
                self.types.push((Ref::Node(n), out[0].clone()));
            }
            // The constants made for a node that does not fit go with it.
            _ => self.constants.truncate(self.constants.len() - constants_before),
        }
    }

    fn grow(&mut self) {
        let (x, t) = self.pick();
        let rank = t.rank();
        let known: Vec<usize> = t.shape.iter().map(|d| d.as_known().unwrap_or(1) as usize).collect();
        let axis = if rank == 0 { 0 } else { self.rng.random_range(0..rank) as u8 };
        let last = known.last().copied().unwrap_or(1);
        match self.rng.random_range(0..29u32) {
            0 | 1 => {
                let kind = *unary::UnaryKind::ALL.choose(&mut self.rng).unwrap();
                self.push(unary::Unary { kind }.into(), vec![Some(x)]);
            }
            2 | 3 => {
                let kind = *binary::BinaryKind::ALL.choose(&mut self.rng).unwrap();
                let y = match self.rng.random_range(0..4) {
                    0 => self.pick().0,
                    1 => self.constant(t.dtype, &[], 20),
                    2 => self.constant(t.dtype, &[last], 20),
                    _ => self.constant(t.dtype, &known, 20),
                };
                self.push(binary::Binary { kind }.into(), vec![Some(x), Some(y)]);
            }
            4 => {
                let kind = *compare::CompareKind::ALL.choose(&mut self.rng).unwrap();
                let y = self.constant(t.dtype, &[last], 20);
                self.push(compare::Compare { kind }.into(), vec![Some(x), Some(y)]);
            }
            5 => {
                let c = self.constant(DType::Bool, &[last], 0);
                let y = self.constant(t.dtype, &[], 20);
                self.push(select::Select {}.into(), vec![Some(c), Some(x), Some(y)]);
            }
            6 => {
                let to = *DType::ALL.choose(&mut self.rng).unwrap();
                self.push(cast::Cast { to }.into(), vec![Some(x)]);
            }
            7 => {
                let n = self.rng.random_range(1..9);
                let w = self.constant(DType::F32, &[last, n], 0);
                self.push(contraction::MatMul {}.into(), vec![Some(x), Some(w)]);
            }
            8 => {
                let n = self.rng.random_range(1..20);
                let trans_b = self.rng.random();
                let shape = if trans_b { [n, last] } else { [last, n] };
                let w = self.constant(DType::F32, &shape, 0);
                let c = self.constant(DType::F32, &[n], 0);
                let gemm = contraction::Gemm { alpha: 1.5, beta: -0.5, trans_a: false, trans_b };
                self.push(gemm.into(), vec![Some(x), Some(w), Some(c)]);
            }
            9 if rank >= 3 => {
                let spatial = rank - 2;
                let groups = *[1, known[1]].choose(&mut self.rng).unwrap();
                let mut shape = vec![groups * self.rng.random_range(1..4), known[1] / groups];
                shape.extend((0..spatial).map(|_| self.rng.random_range(1..4usize)));
                let w = self.constant(DType::F32, &shape, 0);
                let b = self.constant(DType::F32, &[shape[0]], 0);
                let c = conv::Conv {
                    groups: groups as u32,
                    strides: (0..spatial).map(|_| self.rng.random_range(1..3)).collect(),
                    dilations: (0..spatial).map(|_| self.rng.random_range(1..3)).collect(),
                    pads_begin: (0..spatial).map(|_| self.rng.random_range(0..3)).collect(),
                    pads_end: (0..spatial).map(|_| self.rng.random_range(0..3)).collect(),
                };
                self.push(c.into(), vec![Some(x), Some(w), Some(b)]);
            }
            10 if rank >= 3 => {
                let spatial = rank - 2;
                let p = pool::Pool {
                    kind: *pool::PoolKind::ALL.choose(&mut self.rng).unwrap(),
                    kernel: (0..spatial).map(|_| self.rng.random_range(1..4)).collect(),
                    strides: (0..spatial).map(|_| self.rng.random_range(1..3)).collect(),
                    dilations: vec![1; spatial],
                    pads_begin: (0..spatial).map(|_| self.rng.random_range(0..2)).collect(),
                    pads_end: (0..spatial).map(|_| self.rng.random_range(0..2)).collect(),
                    ceil: self.rng.random(),
                    count_pad: self.rng.random(),
                };
                self.push(p.into(), vec![Some(x)]);
            }
            11 => {
                let kind = *reduce::ReduceKind::ALL.choose(&mut self.rng).unwrap();
                let r = reduce::Reduce { kind, axes: vec![axis.max(1)], keep_dims: self.rng.random() };
                self.push(r.into(), vec![Some(x)]);
            }
            12 => {
                let a = arg_reduce::ArgReduce {
                    greatest: self.rng.random(),
                    axis: axis.max(1),
                    keep_dims: self.rng.random(),
                    last: self.rng.random(),
                };
                self.push(a.into(), vec![Some(x)]);
            }
            13 => {
                let log = self.rng.random();
                self.push(softmax::Softmax { axis, log }.into(), vec![Some(x)]);
            }
            14 if rank >= 2 => {
                let rest: usize = known[1..].iter().product();
                let shape = vec![t.shape[0].clone(), Dim::Known(rest as u64)];
                self.push(reshape::Reshape { shape }.into(), vec![Some(x)]);
            }
            15 if rank >= 2 => {
                // The batch stays in front, so that rows remain independent.
                let mut perm: Vec<u8> = (1..rank as u8).rev().collect();
                perm.insert(0, 0);
                self.push(transpose::Transpose { perm }.into(), vec![Some(x)]);
            }
            16 if axis > 0 => {
                let y = self.pick().0;
                self.push(concat::Concat { axis }.into(), vec![Some(x), Some(y), Some(x)]);
            }
            17 if rank >= 2 => {
                let mut s = slice::Slice { start: vec![0; rank], step: vec![1; rank], size: t.shape.clone() };
                let n = known[rank - 1];
                s.start[rank - 1] = n as u64 - 1;
                s.step[rank - 1] = -1;
                s.size[rank - 1] = Dim::Known(self.rng.random_range(1..=n as u64));
                self.push(s.into(), vec![Some(x)]);
            }
            18 if axis > 0 => {
                let n = known[usize::from(axis)] as i64;
                let index = (0..3).map(|_| self.rng.random_range(-n..n)).collect();
                self.constants.push(Tensor { shape: vec![3], data: Data::I64(index) });
                let i = Ref::Constant(self.constants.len() - 1);
                self.push(gather::Gather { axis }.into(), vec![Some(x), Some(i)]);
            }
            19 if rank >= 2 => {
                if self.rng.random() {
                    let mut begin = vec![0; rank];
                    begin[rank - 1] = self.rng.random_range(0..3);
                    let mut end = vec![0; rank];
                    end[rank - 1] = self.rng.random_range(0..3);
                    let mode = *pad::PadMode::ALL.choose(&mut self.rng).unwrap();
                    self.push(pad::Pad { mode, begin, end }.into(), vec![Some(x)]);
                } else {
                    let mut shape = t.shape.clone();
                    if last == 1 {
                        shape[rank - 1] = Dim::Known(3);
                    }
                    self.push(expand::Expand { shape }.into(), vec![Some(x)]);
                }
            }
            20 if rank == 2 && t.dtype == DType::F32 => self.grow_trees(x, last),
            21 if t.dtype == DType::F32 => {
                let n = self.rng.random_range(1..40);
                let (class, block, operands) = self.quantized_weights(x, &[n, last]);
                self.push(quantized::QuantizedMatMul { class, block }.into(), operands);
            }
            22 if rank >= 3 && t.dtype == DType::F32 => {
                let spatial = rank - 2;
                let groups = *[1, known[1]].choose(&mut self.rng).unwrap();
                let mut shape = vec![groups * self.rng.random_range(1..4), known[1] / groups];
                shape.extend((0..spatial).map(|_| self.rng.random_range(1..4usize)));
                let (class, block, operands) = self.quantized_weights(x, &shape);
                let c = quantized::QuantizedConv {
                    class,
                    block,
                    groups: groups as u32,
                    strides: (0..spatial).map(|_| self.rng.random_range(1..3)).collect(),
                    dilations: (0..spatial).map(|_| self.rng.random_range(1..3)).collect(),
                    pads_begin: (0..spatial).map(|_| self.rng.random_range(0..3)).collect(),
                    pads_end: (0..spatial).map(|_| self.rng.random_range(0..3)).collect(),
                };
                self.push(c.into(), operands);
            }
            23 if rank >= 1 => {
                let bytes = self.bytes(x, &t);
                let dtype = self.type_of(bytes).dtype;
                let n = self.rng.random_range(1..20);
                let w = self.constant(DType::I8, &[last, n], 0);
                let (a, b) = (self.constant(dtype, &[], 0), self.constant(DType::I8, &[n], 0));
                self.push(integer::IntegerMatMul {}.into(), vec![Some(bytes), Some(w), Some(a), Some(b)]);
            }
            24 if rank >= 3 => {
                let bytes = self.bytes(x, &t);
                let dtype = self.type_of(bytes).dtype;
                let spatial = rank - 2;
                let mut shape = vec![self.rng.random_range(1..20usize), known[1]];
                shape.extend((0..spatial).map(|_| self.rng.random_range(1..4usize)));
                let w = self.constant(DType::U8, &shape, 0);
                let (a, b) = (self.constant(dtype, &[], 0), self.constant(DType::U8, &shape[..1], 0));
                let c = integer::IntegerConv {
                    groups: 1,
                    strides: vec![self.rng.random_range(1..3); spatial],
                    dilations: vec![1; spatial],
                    pads_begin: vec![self.rng.random_range(0..3); spatial],
                    pads_end: vec![1; spatial],
                };
                self.push(c.into(), vec![Some(bytes), Some(w), Some(a), Some(b)]);
            }
            25 if rank == 2 => {
                let classes = if last == 1 { 2 } else { 3 };
                self.push(pairwise_coupling::PairwiseCoupling { classes }.into(), vec![Some(x)]);
            }
            26..29 => self.grow_selection(x, &t, &known),
            _ => {}
        }
    }

    /// x as i8 or u8.
    fn bytes(&mut self, x: Ref, t: &TensorType) -> Ref {
        if matches!(t.dtype, DType::I8 | DType::U8) {
            return x;
        }
        let before = self.nodes.len();
        let to = *[DType::I8, DType::U8].choose(&mut self.rng).unwrap();
        self.push(cast::Cast { to }.into(), vec![Some(x)]);
        if self.nodes.len() > before { Ref::Node(before) } else { x }
    }

    /// Class, blocks, and the operands x, weight, scale, low bytes and bias, for weights of this shape, channels first.
    fn quantized_weights(&mut self, x: Ref, shape: &[usize]) -> (quantized::WeightClass, u32, Vec<Option<Ref>>) {
        let class = *quantized::WeightClass::ALL.choose(&mut self.rng).unwrap();
        let block = *[0, class.block()].choose(&mut self.rng).unwrap();
        let (k, bias) = (shape[1..].iter().product::<usize>(), self.rng.random());
        let mut keep = |t: Tensor| {
            self.constants.push(t);
            Some(Ref::Constant(self.constants.len() - 1))
        };
        let mut draw = |n: usize| (0..n).map(|_| self.rng.random_range(-127i8..=127)).collect::<Vec<_>>();
        let high = draw(shape.iter().product());
        let low = draw(high.len()).into_iter().map(|l| l as u8 | 1).collect();
        let scale = match block {
            0 => Tensor::vector(draw(shape[0]).into_iter().map(|s| f32::from(s.unsigned_abs()) / 64.0).collect()),
            b => {
                let blocks = k.div_ceil(b as usize);
                let bytes = draw(shape[0] * blocks).into_iter().flat_map(|s| [s as u8, 0x3c | s as u8 & 3]).collect();
                Tensor { shape: vec![shape[0], blocks, 2], data: Data::U8(bytes) }
            }
        };
        let mut operands = vec![Some(x), keep(Tensor { shape: shape.to_vec(), data: Data::I8(high) }), keep(scale)];
        match class {
            quantized::WeightClass::I8 if bias => operands.push(None),
            quantized::WeightClass::I8 => {}
            quantized::WeightClass::I16 => operands.push(keep(Tensor { shape: shape.to_vec(), data: Data::U8(low) })),
        }
        if bias {
            operands.push(keep(Tensor::vector(vec![0.25; shape[0]])));
        }
        (class, block, operands)
    }

    /// A few random trees over `features` columns; NaN, equality and every comparison included.
    fn grow_trees(&mut self, x: Ref, features: usize) {
        let targets = self.rng.random_range(1..4usize);
        let (mut feature, mut threshold, mut mode, mut children) = (vec![], vec![], vec![], vec![]);
        let (mut roots, mut total_depth, mut leaves) = (Vec::new(), 0u32, 0i32);
        for _ in 0..self.rng.random_range(1..4) {
            // Nodes of a complete tree in breadth-first order: children come later.
            let (first, depth) = (feature.len() as i32, self.rng.random_range(0..4u32));
            total_depth += depth;
            if depth == 0 {
                roots.push(-1 - leaves);
                leaves += 1;
                continue;
            }
            roots.push(first);
            let inner = (1 << depth) - 1;
            for i in 0..inner {
                feature.push(self.rng.random_range(0..features) as i32);
                threshold.push(if self.rng.random_ratio(1, 4) { 0.0 } else { self.rng.random_range(-3.0..3.0) });
                mode.push(self.rng.random_range(0..6u8) + 8 * self.rng.random_range(0..2u8));
                for child in [2 * i + 1, 2 * i + 2] {
                    children.push(if child < inner { first + child } else { -1 - (leaves + child - inner) });
                }
            }
            leaves += inner + 1;
        }
        if feature.is_empty() {
            return;
        }
        let mut leaf_start = vec![0i32];
        let (mut leaf_target, mut leaf_value) = (Vec::new(), Vec::new());
        for _ in 0..leaves {
            for target in 0..targets {
                if target > 0 && self.rng.random() {
                    continue;
                }
                leaf_target.push(target as i32);
                leaf_value.push(self.rng.random_range(-(1i64 << 40)..1 << 40));
            }
            leaf_start.push(leaf_target.len() as i32);
        }
        let base: Vec<i64> = (0..targets).map(|_| self.rng.random_range(-1000..1000)).collect();
        let nodes = feature.len();
        let mut operands = vec![Some(x)];
        for t in [
            Tensor { shape: vec![nodes], data: Data::I32(feature) },
            Tensor { shape: vec![nodes], data: Data::F32(threshold) },
            Tensor { shape: vec![nodes], data: Data::U8(mode) },
            Tensor { shape: vec![nodes, 2], data: Data::I32(children) },
            Tensor { shape: vec![roots.len()], data: Data::I32(roots) },
            Tensor { shape: vec![leaf_start.len()], data: Data::I32(leaf_start) },
            Tensor { shape: vec![leaf_target.len()], data: Data::I32(leaf_target) },
            Tensor { shape: vec![leaf_value.len()], data: Data::I64(leaf_value) },
            Tensor { shape: vec![targets], data: Data::I64(base) },
        ] {
            self.constants.push(t);
            operands.push(Some(Ref::Constant(self.constants.len() - 1)));
        }
        let ensemble = tree::TreeEnsemble {
            targets: targets as u32,
            shift: 32,
            aggregate: *tree::Aggregate::ALL.choose(&mut self.rng).unwrap(),
            total_depth,
            features: features as u32,
        };
        self.push(ensemble.into(), operands);
    }

    fn finish(self) -> Model {
        let mut graph = Graph { symbols: vec!["batch".into()], inputs: self.inputs, ..Graph::default() };
        graph.constants = self
            .constants
            .iter()
            .map(|t| Constant { dtype: t.dtype(), shape: t.shape.iter().map(|d| *d as u32).collect() })
            .collect();
        let (inputs, constants) = (graph.inputs.len(), graph.constants.len());
        let number = |r: Ref| {
            ValueId(match r {
                Ref::Input(i) => i,
                Ref::Constant(c) => inputs + c,
                Ref::Node(n) => inputs + constants + n,
            } as u32)
        };
        let mut used = vec![false; inputs + constants + self.nodes.len()];
        for (op, operands) in self.nodes {
            let inputs: Vec<Option<ValueId>> = operands.into_iter().map(|r| r.map(number)).collect();
            inputs.iter().flatten().for_each(|v| used[v.0 as usize] = true);
            graph.nodes.push(Node { op, inputs });
        }
        // What nothing takes is an output, so that every operator's bits are looked at.
        for (i, u) in used.iter().enumerate().skip(inputs + constants) {
            if !u {
                graph.outputs.push(Output { name: format!("y{i}"), value: ValueId(i as u32) });
            }
        }
        Model::build(graph, &self.constants, Vec::new(), &Limits::default()).expect("the generator makes valid graphs")
    }
}

/// Random inputs for `rows` rows.
pub(crate) fn random_inputs(model: &Graph, rows: usize, seed: u64, special: u32) -> Vec<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    model
        .inputs
        .iter()
        .map(|i| {
            let shape: Vec<usize> = i.shape.iter().map(|d| d.as_known().map_or(rows, |n| n as usize)).collect();
            random_tensor(&mut rng, i.dtype, &shape, special)
        })
        .collect()
}
