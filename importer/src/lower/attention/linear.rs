//! Linear attention, one step after the other (ONNX LinearAttention, operator set 27).

use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{Data, Dim, Tensor};

use super::super::{Call, Outputs};
use super::{Heads, by_head, regroup, scaled, unpack};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};
use crate::slot::Slot;

/// Steps that are written one by one.
const MAX_STEPS: u64 = 64;

/// With S the state: S = S * exp(decay); v = beta * (v - S^T k) where the rule corrects; S = S + (k v^T);
/// output = scale * (S^T q).
pub(in super::super) fn linear_attention(c: &mut Call<'_>) -> Outputs {
    let (q, k, v) = (c.f32(0)?, c.f32(1)?, c.f32(2)?);
    let heads = Heads::read(c, q, k, v)?;
    if !heads.packed {
        return refuse!("operands of rank 3 are expected");
    }
    c.attrs.ignore(&["chunk_size"]);
    let (gated, corrected) = match c.attrs.string("update_rule", "gated_delta")?.as_str() {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return refuse!("update_rule '{other}'"),
    };
    if c.has(4) != gated || c.has(5) != corrected {
        return refuse!("decay goes with a gated rule, beta with a delta rule");
    }
    let steps = match c.b.shape(q)[1].as_known() {
        Some(n) if (1..=MAX_STEPS).contains(&n) => n,
        other => return refuse!("{other:?} steps, a known number of 1 to {MAX_STEPS} is supported"),
    };
    let q = by_head(c, q, heads.query, true)?;
    let k = by_head(c, k, heads.key, true)?;
    let v = by_head(c, v, heads.key, true)?;
    let (ks, vs) = (c.b.shape(k), c.b.shape(v));
    let scale = match (c.attrs.float("scale", 0.0)?, ks[3].as_known()) {
        (0.0, Some(n)) if n > 0 => (1.0 / (n as f64).sqrt()) as f32,
        (0.0, _) => return refuse!("a size of the keys that is 0 or symbolic"),
        (s, _) => s,
    };
    // Per step (batch, heads, 1 or size, 1), so that they broadcast over the state.
    let decay = match c.opt(4)? {
        Some(g) => {
            let g = unpack(c, g, heads.key)?;
            let g = c.b.unary(U::Exp, g)?;
            Some(c.b.transpose(g, &[0, 2, 3, 1])?)
        }
        None => None,
    };
    let beta = match c.opt(5)? {
        Some(b) if c.b.rank(b) == 3 => {
            let b = c.b.transpose(b, &[0, 2, 1])?;
            Some(c.b.unsqueeze(b, &[3])?)
        }
        Some(_) => return refuse!("beta of rank 3 is expected"),
        None => None,
    };
    let mut state = match c.opt(3)? {
        Some(s) => c.f32(3).map(|_| s)?,
        None => {
            let zero = c.b.constant(Tensor { shape: vec![1; 4], data: Data::F32(vec![0.0]) });
            c.b.expand(zero, &[ks[0].clone(), ks[1].clone(), ks[3].clone(), vs[3].clone()])?
        }
    };
    let rows = Dim::Known(heads.query / heads.key);
    let keys = c.b.transpose(k, &[0, 1, 3, 2])?;
    let mut out = Vec::new();
    for t in 0..steps {
        let mut at = |x: Val, axis: usize| -> Lowered<Val> { c.b.slice_axis(x, axis, t, 1, Dim::Known(1)) };
        let (row, key, column, mut value) = (at(q, 2)?, at(k, 2)?, at(keys, 3)?, at(v, 2)?);
        let decay = decay.map(|g| at(g, 3)).transpose()?;
        let beta = beta.map(|b| at(b, 2)).transpose()?;
        if let Some(g) = decay {
            state = c.b.mul2(state, g)?;
        }
        if let Some(b) = beta {
            let known = c.b.push(MatMul {}, &[key, state])?;
            let news = c.b.sub2(value, known)?;
            value = c.b.mul2(b, news)?;
        }
        let product = c.b.mul2(column, value)?;
        state = c.b.add2(state, product)?;
        // Query heads that share a key head are rows of one product.
        let grouped = regroup(c, row, heads.key, &rows)?;
        let y = c.b.push(MatMul {}, &[grouped, state])?;
        out.push(regroup(c, y, heads.query, &Dim::Known(1))?);
    }
    let y = c.b.concat(&out, 2)?;
    let y = scaled(c, y, scale)?;
    let y = c.b.transpose(y, &[0, 2, 1, 3])?;
    let s = c.b.shape(y);
    let width = s[2].mul(&s[3]).ok_or_else(|| Refusal::new("a row is too long"))?;
    let y = c.b.reshape(y, &[s[0].clone(), s[1].clone(), width])?;
    Ok(vec![Slot::Tensor(y), Slot::Tensor(state)])
}
