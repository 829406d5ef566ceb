//! The encoder's graph: embeddings, layers of attention and feed-forward, in the published model's order.
//!
//! Rows of the linear maps are the tokens of all texts, (batch * sequence, hidden): one product for all.

use lockstep_engine::ops::binary::BinaryKind;
use lockstep_engine::ops::compare::CompareKind;
use lockstep_engine::ops::contraction::{Gemm, MatMul};
use lockstep_engine::ops::reduce::ReduceKind;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::ops::softmax::Softmax;
use lockstep_engine::ops::unary::UnaryKind;
use lockstep_engine::{DType, Dim, Tensor};

use super::config::{Activation, Config, Head};
use super::pooling;
use super::weights::Weights;
use crate::build::{Builder, Val};
use crate::error::{Lowered, Refusal, refuse};

/// Position of each input.
const INPUT_IDS: usize = 0;
const ATTENTION_MASK: usize = 1;
const TOKEN_TYPE_IDS: usize = 2;

/// The outputs by name; the first is the primary one.
pub(super) fn build(b: &mut Builder, c: &Config, head: &Head, w: &Weights<'_>) -> Lowered<Vec<(String, Val)>> {
    let mut e = Encoder::new(b, c, w)?;
    let mut hidden = e.embeddings(head)?;
    for layer in 0..c.layers {
        hidden = e.layer(hidden, &format!("encoder.layer.{layer}"))?;
    }
    let states = e.tokens(hidden, &[e.hidden.clone()])?;
    match head {
        Head::Sentence { pooling, normalise } => {
            let mask = e.b.input(ATTENTION_MASK);
            let embedding = pooling::pool(e.b, *pooling, states, mask)?;
            let out = if *normalise { pooling::normalise(e.b, embedding)? } else { embedding };
            Ok(vec![("sentence_embedding".into(), out)])
        }
        Head::Hidden => Ok(vec![("last_hidden_state".into(), states)]),
    }
}

struct Encoder<'a, 'w> {
    b: &'a mut Builder,
    c: &'a Config,
    w: &'a Weights<'w>,
    batch: Dim,
    sequence: Dim,
    /// batch * sequence.
    rows: Dim,
    hidden: Dim,
    /// True where a key may be attended to: (batch, 1, 1, sequence).
    mask: Val,
    minus_infinity: Val,
    /// 1 / sqrt(size of a head).
    scale: Val,
}

impl<'a, 'w> Encoder<'a, 'w> {
    fn new(b: &'a mut Builder, c: &'a Config, w: &'a Weights<'w>) -> Lowered<Self> {
        let (batch, sequence) = (Dim::symbol(0), Dim::symbol(1));
        let Some(rows) = batch.mul(&sequence) else { return refuse!("batch * sequence is no dimension") };
        b.set_node_name("attention_mask");
        let mask = b.input(ATTENTION_MASK);
        let mask = b.reshape(mask, &[batch.clone(), Dim::Known(1), Dim::Known(1), sequence.clone()])?;
        let minus_infinity = b.scalar(f32::NEG_INFINITY);
        // One rounding of the true value.
        let scale = b.scalar((1.0 / ((c.hidden / c.heads) as f64).sqrt()) as f32);
        let hidden = Dim::Known(c.hidden as u64);
        Ok(Self { b, c, w, batch, sequence, rows, hidden, mask, minus_infinity, scale })
    }

    /// (batch * sequence, ..) as (batch, sequence, shape).
    fn tokens(&mut self, x: Val, shape: &[Dim]) -> Lowered<Val> {
        let shape = [&[self.batch.clone(), self.sequence.clone()], shape].concat();
        self.b.reshape(x, &shape)
    }

    fn constant(&mut self, name: &str) -> Lowered<Val> {
        let t = self.w.tensor(name)?;
        Ok(self.b.constant(t))
    }

    /// An input of ids, none of which is negative: Gather would count those from the table's end.
    fn natural(&mut self, input: usize) -> Lowered<Val> {
        let (ids, zero) = (self.b.input(input), self.b.scalar_of(DType::I32, 0));
        let natural = self.b.compare(CompareKind::GreaterOrEqual, ids, zero)?;
        self.b.require(ids, &[natural], Requirement::Range)
    }

    /// LayerNorm((word + token type) + position), as rows.
    fn embeddings(&mut self, head: &Head) -> Lowered<Val> {
        let name = "embeddings";
        self.b.set_node_name(name);
        let words = self.constant("embeddings.word_embeddings.weight")?;
        let ids = self.natural(INPUT_IDS)?;
        let word = self.b.gather(words, ids, 0)?;
        let types = self.w.tensor("embeddings.token_type_embeddings.weight")?;
        let kind = if matches!(head, Head::Hidden) {
            let (types, ids) = (self.b.constant(types), self.natural(TOKEN_TYPE_IDS)?);
            self.b.gather(types, ids, 0)?
        } else {
            // One text alone: all its tokens are of the first type.
            let row = types.as_f32().and_then(|v| v.get(..self.c.hidden)).unwrap_or_default().to_vec();
            self.b.constant(Tensor::vector(row))
        };
        let sum = self.b.add2(word, kind)?;
        let positions = self.constant("embeddings.position_embeddings.weight")?;
        let position = self.b.slice_axis(positions, 0, 0, 1, self.sequence.clone())?;
        let sum = self.b.add2(sum, position)?;
        let rows = self.b.reshape(sum, &[self.rows.clone(), self.hidden.clone()])?;
        self.norm(rows, "embeddings.LayerNorm")
    }

    /// One layer: attention and feed-forward, each added to what came in, then normalised.
    fn layer(&mut self, x: Val, name: &str) -> Lowered<Val> {
        let context = self.attention(x, &format!("{name}.attention.self"))?;
        let out = self.linear(context, &format!("{name}.attention.output.dense"))?;
        let sum = self.b.add2(out, x)?;
        let x = self.norm(sum, &format!("{name}.attention.output.LayerNorm"))?;
        let wide = self.linear(x, &format!("{name}.intermediate.dense"))?;
        let wide = self.activation(wide)?;
        let out = self.linear(wide, &format!("{name}.output.dense"))?;
        let sum = self.b.add2(out, x)?;
        self.norm(sum, &format!("{name}.output.LayerNorm"))
    }

    /// softmax(Q K^T / sqrt(d)) V in each head. A key of padding has the score minus infinity and so exactly no share;
    /// a text without a token attends to nothing (OP-6).
    fn attention(&mut self, x: Val, name: &str) -> Lowered<Val> {
        let q = self.linear(x, &format!("{name}.query"))?;
        // The scale on Q: fewer elements than on the scores.
        let q = self.b.mul2(q, self.scale)?;
        let k = self.linear(x, &format!("{name}.key"))?;
        let v = self.linear(x, &format!("{name}.value"))?;
        self.b.set_node_name(name);
        let (q, k, v) = (self.heads(q, [0, 2, 1, 3])?, self.heads(k, [0, 2, 3, 1])?, self.heads(v, [0, 2, 1, 3])?);
        let scores = self.b.push(MatMul {}, &[q, k])?;
        let scores = self.b.select(self.mask, scores, self.minus_infinity)?;
        let shares = self.b.push(Softmax { axis: 3, log: false }, &[scores])?;
        let context = self.b.push(MatMul {}, &[shares, v])?;
        let context = self.b.transpose(context, &[0, 2, 1, 3])?;
        self.b.reshape(context, &[self.rows.clone(), self.hidden.clone()])
    }

    /// Rows split among the heads: axes of (batch, sequence, heads, size) in this order.
    fn heads(&mut self, x: Val, order: [usize; 4]) -> Lowered<Val> {
        let (heads, size) = (self.c.heads as u64, (self.c.hidden / self.c.heads) as u64);
        let x = self.tokens(x, &[Dim::Known(heads), Dim::Known(size)])?;
        self.b.transpose(x, &order)
    }

    /// x W^T + b.
    fn linear(&mut self, x: Val, name: &str) -> Lowered<Val> {
        self.b.set_node_name(name);
        let (w, bias) = (self.constant(&format!("{name}.weight"))?, self.constant(&format!("{name}.bias"))?);
        self.b.push(Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true }, &[x, w, bias])
    }

    /// d = x - mean; (d / sqrt(mean(d * d) + eps)) * weight + bias, over the last axis.
    fn norm(&mut self, x: Val, name: &str) -> Lowered<Val> {
        self.b.set_node_name(name);
        let axis = self.b.rank(x).checked_sub(1).ok_or_else(|| Refusal::new("a scalar has no axis"))?;
        let mean = self.b.reduce(ReduceKind::Mean, x, &[axis], true)?;
        let d = self.b.sub2(x, mean)?;
        let square = self.b.mul2(d, d)?;
        let variance = self.b.reduce(ReduceKind::Mean, square, &[axis], true)?;
        let epsilon = self.b.scalar(self.c.epsilon);
        let sum = self.b.add2(variance, epsilon)?;
        let deviation = self.b.unary(UnaryKind::Sqrt, sum)?;
        let normal = self.b.div2(d, deviation)?;
        let weight = self.constant(&format!("{name}.weight"))?;
        let bias = self.constant(&format!("{name}.bias"))?;
        let scaled = self.b.mul2(normal, weight)?;
        self.b.add2(scaled, bias)
    }

    fn activation(&mut self, x: Val) -> Lowered<Val> {
        let inner = match self.c.activation {
            Activation::Relu => return self.b.unary(UnaryKind::Relu, x),
            Activation::Gelu => {
                let root = self.b.scalar(std::f32::consts::FRAC_1_SQRT_2);
                let scaled = self.b.mul2(x, root)?;
                self.b.unary(UnaryKind::Erf, scaled)?
            }
            Activation::GeluTanh => {
                let square = self.b.mul2(x, x)?;
                let cube = self.b.mul2(square, x)?;
                let small = self.b.scalar(0.044_715);
                let cube = self.b.mul2(small, cube)?;
                let sum = self.b.add2(x, cube)?;
                // sqrt(2 / pi)
                let root = self.b.scalar(0.797_884_6);
                let scaled = self.b.mul2(root, sum)?;
                self.b.unary(UnaryKind::Tanh, scaled)?
            }
        };
        let (half, one) = (self.b.scalar(0.5), self.b.scalar(1.0));
        let shifted = self.b.add2(inner, one)?;
        let halved = self.b.binary(BinaryKind::Mul, x, half)?;
        self.b.mul2(halved, shifted)
    }
}
