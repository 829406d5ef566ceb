use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Group, find};
use crate::exec::{Implementation, Options};
use crate::fast::Level;
use crate::fast::testing::Values;
use crate::graph::{Constant, Graph, Input, Node, Output, ValueId};
use crate::ops::binary::{Binary, BinaryKind};
use crate::ops::compare::{Compare, CompareKind};
use crate::ops::contraction::{Gemm, MatMul};
use crate::ops::conv::Conv;
use crate::ops::reduce::{Reduce, ReduceKind};
use crate::ops::select::Select;
use crate::ops::softmax::Softmax;
use crate::ops::unary::{Unary, UnaryKind};
use crate::{DType, Data, Dim, Limits, LoadedModel, Model, Op, Tensor};

/// A graph under construction: inputs, constants, nodes, by names that become numbers at the end.
#[derive(Default)]
struct Building {
    inputs: Vec<Vec<usize>>,
    constants: Vec<Tensor>,
    nodes: Vec<(Op, Vec<Value>)>,
}

#[derive(Clone, Copy)]
enum Value {
    Input(usize),
    Constant(usize),
    Node(usize),
}

impl Building {
    fn input(&mut self, shape: &[usize]) -> Value {
        self.inputs.push(shape.to_vec());
        Value::Input(self.inputs.len() - 1)
    }

    fn constant(&mut self, t: Tensor) -> Value {
        self.constants.push(t);
        Value::Constant(self.constants.len() - 1)
    }

    fn number(&mut self, x: f32) -> Value {
        self.constant(Tensor { shape: vec![], data: Data::F32(vec![x]) })
    }

    fn node(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Value {
        self.nodes.push((op.into(), inputs.to_vec()));
        Value::Node(self.nodes.len() - 1)
    }

    fn binary(&mut self, kind: BinaryKind, a: Value, b: Value) -> Value {
        self.node(Binary { kind }, &[a, b])
    }

    fn unary(&mut self, kind: UnaryKind, x: Value) -> Value {
        self.node(Unary { kind }, &[x])
    }

    fn load(&self, outputs: &[Value]) -> LoadedModel {
        let limits = Limits::default();
        let id = |v: &Value| {
            ValueId(match v {
                Value::Input(i) => *i,
                Value::Constant(i) => self.inputs.len() + i,
                Value::Node(i) => self.inputs.len() + self.constants.len() + i,
            } as u32)
        };
        let dims = |s: &[usize]| s.iter().map(|d| Dim::Known(*d as u64)).collect();
        let graph = Graph {
            inputs: (self.inputs.iter().enumerate())
                .map(|(i, s)| Input { name: format!("x{i}"), dtype: DType::F32, shape: dims(s) })
                .collect(),
            constants: (self.constants.iter())
                .map(|t| Constant { dtype: t.dtype(), shape: t.shape.iter().map(|d| *d as u32).collect() })
                .collect(),
            nodes: (self.nodes.iter())
                .map(|(op, inputs)| Node { op: op.clone(), inputs: inputs.iter().map(|v| Some(id(v))).collect() })
                .collect(),
            outputs: (outputs.iter().enumerate())
                .map(|(i, v)| Output { name: format!("y{i}"), value: id(v) })
                .collect(),
            ..Graph::default()
        };
        LoadedModel::new(Model::build(graph, &self.constants, Vec::new(), &limits).unwrap(), &limits).unwrap()
    }
}

/// First and last nodes of the groups.
fn groups(m: &LoadedModel) -> Vec<(usize, usize)> {
    find(&m.graph, &m.checked).iter().map(|g: &Group| (g.first, g.last)).collect()
}

/// Asserts that groups give the reference's bits at every level, on one thread and more, and gives the nodes whose results
/// were made on the way.
fn agree(m: &LoadedModel, inputs: &[Tensor]) -> Vec<usize> {
    let types: Vec<_> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = m.plan(&types, &Limits::default()).unwrap();
    let bytes = |v: Vec<Tensor>| v.iter().map(|t| (t.shape.clone(), t.to_le_bytes())).collect::<Vec<_>>();
    let reference = Options { implementation: Implementation::Reference, threads: 1 };
    let want = bytes(m.run(&plan, inputs.to_vec(), &reference).unwrap());
    for level in Level::available() {
        for threads in 1..4 {
            let got = bytes(m.run_at(level, &plan, inputs.to_vec(), threads).unwrap());
            assert!(got == want, "{} on {threads} threads", level.name());
        }
    }
    let mut made = Vec::new();
    m.run_together(&plan, inputs.to_vec(), 2, &mut |n, _| made.push(n)).unwrap();
    made
}

#[test]
fn a_contraction_with_gelu_and_a_residual_is_one() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    for (rows, k, n) in [(1, 40, 70), (7, 300, 19), (200, 16, 33)] {
        for values in [Values::Ordinary, Values::Special] {
            let mut b = Building::default();
            let (x, old) = (b.input(&[rows, k]), b.input(&[rows, n]));
            let (w, c) = (Values::Ordinary.tensor(rng, &[n, k]), Values::Ordinary.tensor(rng, &[n]));
            let (w, c) = (b.constant(w), b.constant(c));
            let y = b.node(Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true }, &[x, w, c]);
            let [root, one, half] = [0.707, 1.0, 0.5].map(|v| b.number(v));
            let scaled = b.binary(BinaryKind::Mul, y, root);
            let erf = b.unary(UnaryKind::Erf, scaled);
            let more = b.binary(BinaryKind::Add, erf, one);
            let part = b.binary(BinaryKind::Mul, y, half);
            let gelu = b.binary(BinaryKind::Mul, part, more);
            let sum = b.binary(BinaryKind::Add, old, gelu);
            let m = b.load(&[sum]);
            assert_eq!(groups(&m), [(0, 6)]);
            let inputs = [values.tensor(rng, &[rows, k]), values.tensor(rng, &[rows, n])];
            assert_eq!(agree(&m, &inputs), [6], "nothing but the last result is made");
        }
    }
}

#[test]
fn a_layer_norm_is_one_with_the_sum_before_it() {
    let rng = &mut ChaCha8Rng::seed_from_u64(2);
    for n in [1, 3, 384, 1030, 5000] {
        let mut b = Building::default();
        let shape = [3, 5, n];
        let (x, y) = (b.input(&shape), b.input(&shape));
        let mean = Reduce { kind: ReduceKind::Mean, axes: vec![2], keep_dims: true };
        let sum = b.binary(BinaryKind::Add, x, y);
        let m = b.node(mean.clone(), &[sum]);
        let d = b.binary(BinaryKind::Sub, sum, m);
        let s = b.binary(BinaryKind::Mul, d, d);
        let v = b.node(mean, &[s]);
        let eps = b.number(1e-5);
        let v = b.binary(BinaryKind::Add, v, eps);
        let v = b.unary(UnaryKind::Sqrt, v);
        let q = b.binary(BinaryKind::Div, d, v);
        let (scale, bias) = (Values::Ordinary.tensor(rng, &[n]), Values::Ordinary.tensor(rng, &[n]));
        let (scale, bias) = (b.constant(scale), b.constant(bias));
        let q = b.binary(BinaryKind::Mul, q, scale);
        let q = b.binary(BinaryKind::Add, q, bias);
        let model = b.load(&[q]);
        assert_eq!(groups(&model), [(0, 9)]);
        for values in [Values::Ordinary, Values::Special] {
            let made = agree(&model, &[values.tensor(rng, &shape), values.tensor(rng, &shape)]);
            // A row that is too long for the cache is computed operator by operator.
            assert_eq!(made.len(), if n > 4096 { 10 } else { 1 }, "{n}");
        }
    }
}

#[test]
fn scale_mask_and_softmax_are_one_with_their_product() {
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    for (batch, heads, length) in [(2, 3, 40), (1, 1, 1), (3, 2, 7)] {
        let mut b = Building::default();
        let shapes = [[batch, heads, length, 8], [batch, heads, 8, length], [batch, 1, 1, length]];
        let [q, k, mask] = shapes.map(|s| b.input(&s));
        let [zero, scale, low] = [0.0, 0.35, -1e9].map(|v| b.number(v));
        let allowed = b.node(Compare { kind: CompareKind::Greater }, &[mask, zero]);
        let y = b.node(MatMul {}, &[q, k]);
        let y = b.binary(BinaryKind::Mul, y, scale);
        let y = b.node(Select {}, &[allowed, y, low]);
        let y = b.node(Softmax { axis: 3, log: false }, &[y]);
        let m = b.load(&[y]);
        assert_eq!(groups(&m), [(1, 4)]);
        for values in [Values::Ordinary, Values::Special] {
            let inputs = shapes.map(|s| values.tensor(rng, &s));
            assert_eq!(agree(&m, &inputs), [0, 4]);
        }
    }
}

#[test]
fn a_convolution_with_its_clip_and_shortcut_is_one() {
    let rng = &mut ChaCha8Rng::seed_from_u64(4);
    for (groups_of, channels, filters, side) in [(1, 5, 20, 9), (6, 1, 6, 11), (1, 40, 33, 17), (1, 3, 16, 2)] {
        for (kernel, stride) in [(1, 1), (3, 1), (3, 2)] {
            let mut b = Building::default();
            let input = [2, groups_of * channels, side, side];
            let x = b.input(&input);
            let w = Values::Ordinary.tensor(rng, &[filters, channels, kernel, kernel]);
            let bias = Values::Ordinary.tensor(rng, &[filters]);
            let (w, bias) = (b.constant(w), b.constant(bias));
            let pad = vec![(kernel as u32 - 1) / 2; 2];
            let op = Conv {
                groups: groups_of as u32,
                strides: vec![stride; 2],
                dilations: vec![1; 2],
                pads_begin: pad.clone(),
                pads_end: pad,
            };
            let out = side.div_ceil(stride as usize);
            let shortcut = b.input(&[2, filters, out, out]);
            let channel = Values::Ordinary.tensor(rng, &[filters, 1, 1]);
            let (channel, six) = (b.constant(channel), b.number(6.0));
            let y = b.node(op, &[x, w, bias]);
            let y = b.binary(BinaryKind::Mul, y, channel);
            let y = b.binary(BinaryKind::Add, shortcut, y);
            let y = b.unary(UnaryKind::Relu, y);
            let y = b.binary(BinaryKind::Min, y, six);
            let m = b.load(&[y]);
            assert_eq!(groups(&m), [(0, 4)]);
            let made =
                agree(&m, &[Values::Special.tensor(rng, &input), Values::Special.tensor(rng, &[2, filters, out, out])]);
            // Planes of a few elements are not worth it.
            assert_eq!(made.len(), if (2..8).contains(&(out * out)) { 5 } else { 1 });
        }
    }
}

#[test]
fn what_is_read_twice_or_given_out_ends_a_group() {
    let mut b = Building::default();
    let x = b.input(&[8]);
    let a = b.unary(UnaryKind::Neg, x);
    let c = b.unary(UnaryKind::Abs, a);
    let d = b.unary(UnaryKind::Sqrt, c);
    let e = b.binary(BinaryKind::Add, d, a);
    // All inside; then c is an output too.
    assert_eq!(groups(&b.load(&[e])), [(0, 3)]);
    assert_eq!(groups(&b.load(&[c, e])), [(0, 0), (1, 1), (2, 3)]);
}

/// Values of an operator that fails a call stay one by one: integers, and everything that is not f32.
#[test]
fn integers_are_never_part_of_a_group() {
    let mut b = Building::default();
    let x = b.input(&[8]);
    let i = b.node(crate::ops::cast::Cast { to: DType::I32 }, &[x]);
    let i = b.binary(BinaryKind::Div, i, i);
    let y = b.node(crate::ops::cast::Cast { to: DType::F32 }, &[i]);
    let y = b.unary(UnaryKind::Neg, y);
    assert_eq!(groups(&b.load(&[y])), [(3, 3)]);
}

/// Random neighbours, with operands that repeat in every way, some results read later.
#[test]
fn random_groups_have_the_reference_s_bits() {
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    let mut long = 0;
    for round in 0..400 {
        let mut b = Building::default();
        let sizes = [[2, 3, 9], [4, 1, 33], [1, 7, 300], [5, 2, 1], [3, 40, 64]];
        let shape = *sizes.choose(rng).unwrap();
        let shapes: Vec<Vec<usize>> =
            (0..3).map(|_| shape.iter().map(|d| if rng.random_ratio(2, 3) { *d } else { 1 }).collect()).collect();
        let mut full = vec![b.input(&shape)];
        let others: Vec<Value> = shapes.iter().map(|s| b.input(s)).collect();
        let flags = Data::Bool((0..shape[2]).map(|_| rng.random()).collect());
        let flags = Tensor { shape: vec![shape[2]], data: flags };
        for _ in 0..rng.random_range(2..14) {
            let x = if rng.random_ratio(3, 4) { full[full.len() - 1] } else { *full.choose(rng).unwrap() };
            let other = if rng.random() { *others.choose(rng).unwrap() } else { *full.choose(rng).unwrap() };
            full.push(match rng.random_range(0..8) {
                0 | 1 => {
                    let kind = *UnaryKind::ALL.choose(rng).unwrap();
                    match kind.on_f32() {
                        Some(_) => b.unary(kind, x),
                        None => continue,
                    }
                }
                2 => {
                    let condition = b.constant(flags.clone());
                    b.node(Select {}, &[condition, x, other])
                }
                3 => b.node(Softmax { axis: 2, log: rng.random() }, &[x]),
                4 => {
                    let kind = *ReduceKind::ALL.choose(rng).unwrap();
                    let axes = if rng.random_ratio(4, 5) { vec![2] } else { vec![1, 2] };
                    let row = b.node(Reduce { kind, axes, keep_dims: true }, &[x]);
                    let row = if rng.random() { b.unary(UnaryKind::Sqrt, row) } else { row };
                    b.binary(BinaryKind::Sub, x, row)
                }
                _ => {
                    let kinds: Vec<_> = BinaryKind::ALL.iter().filter(|k| k.on_f32().is_some()).collect();
                    let kind = **kinds.choose(rng).unwrap();
                    let (p, q) = if rng.random() { (x, other) } else { (other, x) };
                    b.binary(kind, p, q)
                }
            });
        }
        // Everything that nothing reads is an output, and sometimes more.
        let mut read = vec![false; b.nodes.len()];
        for (_, inputs) in &b.nodes {
            inputs.iter().for_each(|v| {
                if let Value::Node(n) = v {
                    read[*n] = true
                }
            });
        }
        let outputs: Vec<Value> =
            (0..b.nodes.len()).filter(|n| !read[*n] || rng.random_ratio(1, 12)).map(Value::Node).collect();
        if outputs.is_empty() {
            continue;
        }
        let m = b.load(&outputs);
        long += groups(&m).iter().filter(|(first, last)| last > first).count();
        let values = if round % 2 == 0 { Values::Special } else { Values::Ordinary };
        let inputs: Vec<Tensor> = b.inputs.iter().map(|s| values.tensor(rng, s)).collect();
        agree(&m, &inputs);
    }
    assert!(long > 400, "{long} groups of several nodes");
}
