//! Attention and what stands around it in transformers: ONNX Attention, RotaryEmbedding, LinearAttention,
//! CausalConvWithState.

mod causal_conv;
mod linear;
mod mask;
mod rotary;

use lockstep_engine::Dim;
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::ops::softmax::Softmax;
use lockstep_engine::ops::unary::UnaryKind as U;

pub(super) use causal_conv::causal_conv_with_state;
pub(super) use linear::linear_attention;
pub(super) use rotary::rotary_embedding;

use super::{Call, Outputs};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};
use crate::slot::Slot;

/// Numbers of heads, and whether the operands hold them side by side: (batch, sequence, heads * size).
struct Heads {
    query: u64,
    key: u64,
    packed: bool,
}

impl Heads {
    fn read(c: &Call<'_>, q: Val, k: Val, v: Val) -> Lowered<Self> {
        let ranks = [c.b.rank(q), c.b.rank(k), c.b.rank(v)];
        let stated = [c.attrs.int_opt("q_num_heads")?, c.attrs.int_opt("kv_num_heads")?];
        let (query, key, packed) = match (ranks, stated) {
            ([3, 3, 3], [Some(a), Some(b)]) => (u64::try_from(a).ok(), u64::try_from(b).ok(), true),
            ([3, 3, 3], _) => return refuse!("q_num_heads and kv_num_heads are expected with operands of rank 3"),
            ([4, 4, 4], _) => (c.b.shape(q)[1].as_known(), c.b.shape(k)[1].as_known(), false),
            _ => return refuse!("query, key and value of one rank, 3 or 4, are expected, {ranks:?} came"),
        };
        match (query, key) {
            (Some(query), Some(key)) if key > 0 && query.is_multiple_of(key) => Ok(Self { query, key, packed }),
            _ => refuse!("{query:?} heads of the query for {key:?} of the key, a known multiple is expected"),
        }
    }
}

/// (batch, sequence, heads * size) as (batch, sequence, heads, size).
fn unpack(c: &mut Call<'_>, x: Val, heads: u64) -> Lowered<Val> {
    let s = c.b.shape(x);
    let size = s[2]
        .div_exact(&Dim::Known(heads))
        .ok_or_else(|| Refusal::new(format!("a last dimension that is no known multiple of {heads} heads")))?;
    c.b.reshape(x, &[s[0].clone(), s[1].clone(), Dim::Known(heads), size])
}

/// As (batch, heads, sequence, size).
fn by_head(c: &mut Call<'_>, x: Val, heads: u64, packed: bool) -> Lowered<Val> {
    if !packed {
        return Ok(x);
    }
    let x = unpack(c, x, heads)?;
    c.b.transpose(x, &[0, 2, 1, 3])
}

/// (batch, key heads * n, a, b) as (batch, key heads, n * a, b), and back: the query heads that share a key head
/// are more rows for it.
fn regroup(c: &mut Call<'_>, x: Val, heads: u64, rows: &Dim) -> Lowered<Val> {
    let s = c.b.shape(x);
    c.b.reshape(x, &[s[0].clone(), Dim::Known(heads), rows.clone(), s[3].clone()])
}

fn scaled(c: &mut Call<'_>, x: Val, by: f32) -> Lowered<Val> {
    if by == 1.0 {
        return Ok(x);
    }
    let by = c.b.scalar(by);
    c.b.mul2(x, by)
}

/// softmax(softcap((Q * sqrt(scale)) (K * sqrt(scale))^T) + mask) V. A key that may not be seen has the score
/// -inf, so that a row without any is zero.
pub(super) fn attention(c: &mut Call<'_>) -> Outputs {
    let (q, k, v) = (c.f32(0)?, c.f32(1)?, c.f32(2)?);
    let heads = Heads::read(c, q, k, v)?;
    match c.attrs.int("softmax_precision", 0)? {
        0 | 1 => {}
        11 => c.b.note("Attention asks for a softmax in float64: it is computed in float32"),
        other => return refuse!("softmax_precision {other}: this arithmetic is float32"),
    }
    let mode = c.attrs.int("qk_matmul_output_mode", 0)?;
    if !(0..=3).contains(&mode) {
        return refuse!("qk_matmul_output_mode {mode}, 0 to 3 is expected");
    }
    let q = by_head(c, q, heads.query, heads.packed)?;
    let mut k = by_head(c, k, heads.key, heads.packed)?;
    let mut v = by_head(c, v, heads.key, heads.packed)?;
    let mut past = Dim::Known(0);
    if c.has(4) != c.has(5) || (c.has(4) && c.has(6)) {
        return refuse!("past_key and past_value go together, and not with nonpad_kv_seqlen");
    }
    if c.has(4) {
        let (past_key, past_value) = (c.f32(4)?, c.f32(5)?);
        if c.b.rank(past_key) != 4 || c.b.rank(past_value) != 4 {
            return refuse!("past_key and past_value of rank 4 are expected");
        }
        past = c.b.shape(past_key)[2].clone();
        k = c.b.concat(&[past_key, k], 2)?;
        v = c.b.concat(&[past_value, v], 2)?;
    }

    let (qs, ks) = (c.b.shape(q), c.b.shape(k));
    let scale = match c.attrs.float_opt("scale")? {
        Some(s) if s >= 0.0 => f64::from(s),
        Some(s) => return refuse!("a scale of {s}"),
        None => match qs[3].as_known() {
            Some(n) if n > 0 => 1.0 / (n as f64).sqrt(),
            _ => return refuse!("a size of the heads that is 0 or symbolic"),
        },
    };
    let root = scale.sqrt() as f32;
    let each = heads.query / heads.key;
    let rows = qs[2].mul(&Dim::Known(each)).ok_or_else(|| Refusal::new("the sequence is too long"))?;
    let grouped = regroup(c, q, heads.key, &rows)?;
    let grouped = scaled(c, grouped, root)?;
    let columns = c.b.transpose(k, &[0, 1, 3, 2])?;
    let columns = scaled(c, columns, root)?;
    let product = c.b.push(MatMul {}, &[grouped, columns])?;
    let mut score = regroup(c, product, heads.query, &qs[2])?;
    let mut shown = score;

    let softcap = c.attrs.float("softcap", 0.0)?;
    if softcap > 0.0 {
        let cap = c.b.scalar(softcap);
        score = c.b.div2(score, cap)?;
        score = c.b.unary(U::Tanh, score)?;
        score = c.b.mul2(score, cap)?;
    }
    if mode == 1 {
        shown = score;
    }
    score = mask::apply(c, score, &mask::Frame { rows: qs[2].clone(), columns: ks[2].clone(), past })?;
    if mode == 2 {
        shown = score;
    }
    let weights = c.b.push(Softmax { axis: 3, log: false }, &[score])?;
    if mode == 3 {
        shown = weights;
    }
    let weights = regroup(c, weights, heads.key, &rows)?;
    let y = c.b.push(MatMul {}, &[weights, v])?;
    let mut y = regroup(c, y, heads.query, &qs[2])?;
    if heads.packed {
        y = c.b.transpose(y, &[0, 2, 1, 3])?;
        let s = c.b.shape(y);
        let width = s[2].mul(&s[3]).ok_or_else(|| Refusal::new("a row is too long"))?;
        y = c.b.reshape(y, &[s[0].clone(), s[1].clone(), width])?;
    }
    Ok([y, k, v, shown].into_iter().map(Slot::Tensor).collect())
}
