//! Weights of the classes I8 and I16: a pass over a finished model, whatever it was imported from (spec IMP-8).
//!
//! MatMul, Gemm and Conv whose weight is a constant become QuantizedMatMul and QuantizedConv; everything else
//! stays as it is. Nothing but the weights themselves is looked at, so that the same model gives the same result.

mod weights;

use std::collections::BTreeMap;

use lockstep_engine::graph::Constant;
use lockstep_engine::ops::binary::{Binary, BinaryKind};
use lockstep_engine::ops::contraction::Gemm;
use lockstep_engine::ops::conv::Conv;
pub use lockstep_engine::ops::quantized::WeightClass;
use lockstep_engine::ops::quantized::{QuantizedConv, QuantizedMatMul};
use lockstep_engine::ops::transpose::Transpose;
use lockstep_engine::{Data, Limits, LoadedModel, Model, Node, Op, Tensor, ValueId};

use crate::error::{ImportError, Problem};
use crate::options::Imported;
pub use weights::Loss;

/// Shortest contraction that is converted.
pub const LEAST_K: usize = 16;
/// Fewest output channels that are converted.
pub const LEAST_N: usize = 8;

/// A layer whose weight was converted.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Number of its node in the new graph.
    pub node: usize,
    /// The source file's name of it.
    pub name: String,
    /// The operator that it was: `MatMul`, `Gemm` or `Conv`.
    pub operator: &'static str,
    /// Output channels.
    pub channels: usize,
    /// Weights of one of them.
    pub length: usize,
    /// What rounding did to the weights.
    pub loss: Loss,
}

/// A model with quantised weights.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// The model.
    pub imported: Imported,
    /// The layers that were converted, in the graph's order.
    pub layers: Vec<Layer>,
}

/// Converts the weights of a model's contractions to a class, in its blocks (32 for I8, 256 for I16).
///
/// A weight is converted where a contraction has at least [`LEAST_K`] terms and [`LEAST_N`] outputs; on the right of
/// MatMul and Gemm, and of Conv. Tables that Gather reads, biases and everything else stay f32.
///
/// # Errors
/// [`ImportError::Refused`] where no weight is large enough, or the new model is outside the limits.
pub fn quantize(imported: &Imported, class: WeightClass, limits: &Limits) -> Result<Quantized, ImportError> {
    let refused = |reason: String, advice: Option<&str>| {
        ImportError::Refused(vec![Problem::of_file(None, reason, advice.map(str::to_owned))])
    };
    // The f32 model may be larger than what a chain takes: it is only read here.
    let wide = Limits { max_weight_bytes: u64::MAX, ..*limits };
    let old = LoadedModel::new(imported.model.clone(), &wide).map_err(|e| refused(e.to_string(), None))?;
    let mut pass = Pass::new(&old, class);
    for n in 0..old.graph.nodes.len() {
        pass.node(n, imported.node_names.get(n).map_or("", String::as_str));
    }
    if pass.layers.is_empty() {
        let reason = format!(
            "no weight can be {class}: no MatMul, Gemm or Conv with a constant weight has {LEAST_K} terms and {LEAST_N} outputs"
        );
        return Err(refused(reason, Some("import it with --weights f32")));
    }
    let (layers, node_names) = (std::mem::take(&mut pass.layers), std::mem::take(&mut pass.names));
    let (graph, constants) = pass.finish();
    let mut card = imported.card.clone();
    card.weights = Some(format!("{class}, blocks of {}", class.block()));
    card.node_names.clone_from(&node_names);
    // What the example says was answered by the f32 weights.
    card.example = None;
    let model = Model::build(graph, &constants, card.to_json(), limits).map_err(|e| refused(e.to_string(), None))?;
    Model::decode(&model.encode(), limits).map_err(|e| refused(e.to_string(), None))?;
    let imported = Imported { model, card, notes: imported.notes.clone(), node_names, inputs: imported.inputs.clone() };
    Ok(Quantized { imported, layers })
}

/// A value of the new graph before constants are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Input(usize),
    Constant(usize),
    Node(usize),
}

/// A weight as operands: high bytes, scale, low bytes.
#[derive(Debug, Clone, Copy)]
struct Operands {
    high: Value,
    scale: Value,
    low: Option<Value>,
    loss: Loss,
}

struct Pass<'a> {
    old: &'a LoadedModel,
    class: WeightClass,
    constants: Vec<Tensor>,
    /// Constants of the old graph that the new one has.
    kept: BTreeMap<usize, Value>,
    /// Weights already converted, by constant and whether its columns are the channels.
    converted: BTreeMap<(usize, bool), Operands>,
    nodes: Vec<(Op, Vec<Option<Value>>)>,
    names: Vec<String>,
    /// The new value of each old node.
    place: Vec<Value>,
    layers: Vec<Layer>,
}

impl<'a> Pass<'a> {
    fn new(old: &'a LoadedModel, class: WeightClass) -> Self {
        Self {
            old,
            class,
            constants: Vec::new(),
            kept: BTreeMap::new(),
            converted: BTreeMap::new(),
            nodes: Vec::new(),
            names: Vec::new(),
            place: Vec::new(),
            layers: Vec::new(),
        }
    }

    fn constant(&mut self, t: Tensor) -> Value {
        self.constants.push(t);
        Value::Constant(self.constants.len() - 1)
    }

    fn push(&mut self, name: &str, op: impl Into<Op>, inputs: Vec<Option<Value>>) -> Value {
        self.nodes.push((op.into(), inputs));
        self.names.push(name.to_owned());
        Value::Node(self.nodes.len() - 1)
    }

    /// The new value of an old one.
    fn value(&mut self, v: ValueId) -> Value {
        let graph = &self.old.graph;
        if let Some(c) = graph.as_constant(v) {
            if let Some(known) = self.kept.get(&c) {
                return *known;
            }
            let new = self.constant((*self.old.constants()[c]).clone());
            self.kept.insert(c, new);
            return new;
        }
        match graph.defining_node(v) {
            Some(n) => self.place[n],
            None => Value::Input(v.0 as usize),
        }
    }

    fn node(&mut self, n: usize, name: &str) {
        let node = self.old.graph.nodes[n].clone();
        let new = match &node.op {
            Op::MatMul(_) => self.matmul(&node, name),
            Op::Gemm(g) => self.gemm(g, &node, name),
            Op::Conv(c) => self.conv(c, &node, name),
            _ => None,
        };
        let new = new.unwrap_or_else(|| {
            let inputs = node.inputs.iter().map(|v| v.map(|v| self.value(v))).collect();
            self.push(name, node.op.clone(), inputs)
        });
        self.place.push(new);
    }

    /// Operand `i`, where it is a constant.
    fn operand(&self, node: &Node, i: usize) -> Option<(usize, &'a Tensor)> {
        let c = self.old.graph.as_constant(node.inputs.get(i).copied().flatten()?)?;
        Some((c, &self.old.constants()[c]))
    }

    /// The weight at operand 1 as channels of `length` weights, where it is worth it; `columns`: channels are its columns.
    fn weight(&mut self, node: &Node, columns: bool, shape: &[usize]) -> Option<Operands> {
        let (c, t) = self.operand(node, 1)?;
        let data = t.as_f32()?;
        let (n, k) = (shape[0], shape[1..].iter().product::<usize>());
        if n < LEAST_N || k < LEAST_K {
            return None;
        }
        if let Some(known) = self.converted.get(&(c, columns)) {
            return Some(*known);
        }
        let at = |channel: usize, i: usize| if columns { data[i * n + channel] } else { data[channel * k + i] };
        let q = weights::quantize(self.class, n, k, at);
        let high = self.constant(Tensor { shape: shape.to_vec(), data: Data::I8(q.high) });
        let blocks = k.div_ceil(self.class.block() as usize);
        let scale = self.constant(Tensor { shape: vec![n, blocks, 2], data: Data::U8(q.scale) });
        let low = q.low.map(|low| self.constant(Tensor { shape: shape.to_vec(), data: Data::U8(low) }));
        let operands = Operands { high, scale, low, loss: q.loss };
        self.converted.insert((c, columns), operands);
        Some(operands)
    }

    fn layer(&mut self, name: &str, operator: &'static str, shape: &[usize], loss: Loss) {
        let (channels, length) = (shape[0], shape[1..].iter().product());
        self.layers.push(Layer { node: self.nodes.len(), name: name.to_owned(), operator, channels, length, loss });
    }

    /// Rows times a converted weight, and a bias.
    fn product(&mut self, name: &str, x: Value, w: Operands, bias: Option<Value>) -> Value {
        let op = QuantizedMatMul { class: self.class, block: self.class.block() };
        let mut inputs = vec![Some(x), Some(w.high), Some(w.scale), w.low, bias];
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        self.push(name, op, inputs)
    }

    fn matmul(&mut self, node: &Node, name: &str) -> Option<Value> {
        let [k, n] = *self.operand(node, 1)?.1.shape.as_slice() else { return None };
        let w = self.weight(node, true, &[n, k])?;
        let x = self.value(node.inputs[0]?);
        self.layer(name, "MatMul", &[n, k], w.loss);
        Some(self.product(name, x, w, None))
    }

    fn gemm(&mut self, g: &Gemm, node: &Node, name: &str) -> Option<Value> {
        let [rows, columns] = *self.operand(node, 1)?.1.shape.as_slice() else { return None };
        let [n, k] = if g.trans_b { [rows, columns] } else { [columns, rows] };
        let w = self.weight(node, !g.trans_b, &[n, k])?;
        let mut x = self.value(node.inputs[0]?);
        if g.trans_a {
            x = self.push(name, Transpose { perm: vec![1, 0] }, vec![Some(x)]);
        }
        let addend = node.inputs.get(2).copied().flatten();
        // beta * C by the engine's multiplication, once and for all where C is constant.
        let bias = self.operand(node, 2).and_then(|(_, c)| bias(c, g.beta, n)).filter(|_| g.alpha == 1.0);
        self.layer(name, "Gemm", &[n, k], w.loss);
        if let Some(bias) = bias {
            let bias = self.constant(bias);
            return Some(self.product(name, x, w, Some(bias)));
        }
        let mut y = self.product(name, x, w, None);
        if g.alpha != 1.0 {
            let alpha = self.constant(Tensor { shape: Vec::new(), data: Data::F32(vec![g.alpha]) });
            y = self.push(name, Binary { kind: BinaryKind::Mul }, vec![Some(y), Some(alpha)]);
        }
        if let Some(c) = addend {
            let mut c = self.value(c);
            if g.beta != 1.0 {
                let beta = self.constant(Tensor { shape: Vec::new(), data: Data::F32(vec![g.beta]) });
                c = self.push(name, Binary { kind: BinaryKind::Mul }, vec![Some(c), Some(beta)]);
            }
            y = self.push(name, Binary { kind: BinaryKind::Add }, vec![Some(y), Some(c)]);
        }
        Some(y)
    }

    fn conv(&mut self, c: &Conv, node: &Node, name: &str) -> Option<Value> {
        let shape = self.operand(node, 1)?.1.shape.clone();
        let w = self.weight(node, false, &shape)?;
        let x = self.value(node.inputs[0]?);
        let bias = node.inputs.get(2).copied().flatten().map(|b| self.value(b));
        let op = QuantizedConv {
            class: self.class,
            block: self.class.block(),
            groups: c.groups,
            strides: c.strides.clone(),
            dilations: c.dilations.clone(),
            pads_begin: c.pads_begin.clone(),
            pads_end: c.pads_end.clone(),
        };
        let mut inputs = vec![Some(x), Some(w.high), Some(w.scale), w.low, bias];
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        self.layer(name, "Conv", &shape, w.loss);
        Some(self.push(name, op, inputs))
    }

    /// The new graph: constants in order of first use, those of outputs last.
    fn finish(mut self) -> (lockstep_engine::Graph, Vec<Tensor>) {
        let mut graph = self.old.graph.clone();
        let outputs: Vec<Value> = self.old.graph.outputs.iter().map(|o| o.value).map(|v| self.value(v)).collect();
        let (mut order, mut number) = (Vec::new(), BTreeMap::new());
        for v in self.nodes.iter().flat_map(|(_, inputs)| inputs.iter().flatten()).chain(&outputs) {
            if let Value::Constant(c) = v {
                number.entry(*c).or_insert_with(|| {
                    order.push(*c);
                    order.len() - 1
                });
            }
        }
        let (inputs, constants) = (graph.inputs.len(), order.len());
        let id = |v: Value| {
            ValueId(match v {
                Value::Input(i) => i,
                Value::Constant(c) => inputs + number[&c],
                Value::Node(n) => inputs + constants + n,
            } as u32)
        };
        let tensors: Vec<Tensor> = order.iter().map(|c| self.constants[*c].clone()).collect();
        graph.constants = tensors
            .iter()
            .map(|t| Constant { dtype: t.dtype(), shape: t.shape.iter().map(|d| *d as u32).collect() })
            .collect();
        graph.nodes = self
            .nodes
            .into_iter()
            .map(|(op, inputs)| Node { op, inputs: inputs.into_iter().map(|v| v.map(id)).collect() })
            .collect();
        graph.outputs.iter_mut().zip(outputs).for_each(|(o, v)| o.value = id(v));
        (graph, tensors)
    }
}

/// beta * C as a vector of `n`, where C is the same for every row.
fn bias(c: &Tensor, beta: f32, n: usize) -> Option<Tensor> {
    let data = c.as_f32()?;
    if c.shape.iter().rev().skip(1).any(|d| *d != 1) {
        return None;
    }
    let all: Vec<f32> = match data {
        [one] => vec![beta * one; n],
        many if many.len() == n => many.iter().map(|x| beta * x).collect(),
        _ => return None,
    };
    all.iter().all(|x| x.is_finite()).then(|| Tensor::vector(all))
}

#[cfg(test)]
mod tests;
