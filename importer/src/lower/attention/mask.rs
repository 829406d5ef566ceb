//! Which keys a query of an Attention may see.

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::pad::{Pad, PadMode};
use lockstep_engine::{DType, Data, Dim, Tensor};

use super::super::{Call, known};
use crate::build::Val;
use crate::error::{Lowered, refuse};

/// Elements of a mask that is written as a constant.
const MAX_CONSTANT: usize = 1 << 24;

/// The scores of one head: queries, keys, and how many of the keys are older than the queries' own.
pub(super) struct Frame {
    pub(super) rows: Dim,
    pub(super) columns: Dim,
    pub(super) past: Dim,
}

/// Score + float mask, then -inf where a key may not be seen.
pub(super) fn apply(c: &mut Call<'_>, mut score: Val, frame: &Frame) -> Lowered<Val> {
    let mut seen = window(c, frame)?;
    if let Some(mask) = c.opt(3)? {
        let mask = padded(c, mask, &frame.columns)?;
        match c.b.dtype(mask) {
            DType::Bool => seen = Some(both(c, seen, mask)?),
            DType::F32 => score = c.b.add2(score, mask)?,
            other => return refuse!("a mask of {other}, bool or f32 is expected"),
        }
    }
    let Some(seen) = seen else { return Ok(score) };
    let hidden = c.b.scalar(f32::NEG_INFINITY);
    let shape = c.b.shape(score);
    let masked = c.b.select(seen, score, hidden)?;
    if c.b.shape(masked) == shape { Ok(masked) } else { refuse!("the mask is larger than the scores") }
}

fn both(c: &mut Call<'_>, a: Option<Val>, b: Val) -> Lowered<Val> {
    match a {
        Some(a) => c.b.binary(B::And, a, b),
        None => Ok(b),
    }
}

/// A mask that is shorter than the keys hides the rest of them.
fn padded(c: &mut Call<'_>, mask: Val, columns: &Dim) -> Lowered<Val> {
    let shape = c.b.shape(mask);
    let Some(last) = shape.last() else { return refuse!("a mask without dimensions") };
    let missing = match (last.as_known(), columns.as_known()) {
        (Some(n), Some(all)) if n < all => all - n,
        _ => return Ok(mask),
    };
    let Ok(missing) = u32::try_from(missing) else { return refuse!("a mask that is too short") };
    let value = match c.b.dtype(mask) {
        DType::F32 => c.b.scalar(f32::NEG_INFINITY),
        other => c.b.scalar_of(other, 0),
    };
    let mut end = vec![0; shape.len()];
    if let Some(e) = end.last_mut() {
        *e = missing;
    }
    c.b.push(Pad { mode: PadMode::Constant, begin: vec![0; shape.len()], end }, &[mask, value])
}

/// What causality, windows and padded keys leave: key j, seen from query i at position p = offset + i, where
/// p + low <= j <= p + high and j is no padding.
fn window(c: &mut Call<'_>, frame: &Frame) -> Lowered<Option<Val>> {
    let causal = c.attrs.flag("is_causal", false)?;
    let (left, right) = (c.attrs.int("left_window_size", -1)?, c.attrs.int("right_window_size", -1)?);
    if left < -1 || right < -1 {
        return refuse!("a window of {left} to the left and {right} to the right, -1 or more is expected");
    }
    let high = if causal { Some(0) } else { Some(right).filter(|r| *r >= 0) };
    let low = Some(left).filter(|l| *l >= 0).map(|l| -l);
    if !c.has(6) {
        if high.is_none() && low.is_none() {
            return Ok(None);
        }
        let all = known(&[frame.rows.clone(), frame.columns.clone(), frame.past.clone()]);
        if let Some(&[rows, columns, past]) = all.as_deref()
            && rows.saturating_mul(columns) <= MAX_CONSTANT
        {
            return Ok(Some(constant(c, [rows, columns, past], low, high)));
        }
    }
    let keys = c.b.iota(&frame.columns)?;
    let mut seen = None;
    let offset = if c.has(6) {
        let valid = c.x(6)?;
        let valid = c.b.cast(valid, DType::I64)?;
        let batch = c.b.shape(valid);
        let [batch] = batch.as_slice() else { return refuse!("nonpad_kv_seqlen: a vector is expected") };
        let one = Dim::Known(1);
        let valid = c.b.reshape(valid, &[batch.clone(), one.clone(), one.clone(), one])?;
        seen = Some(c.b.compare(K::Less, keys, valid)?);
        let rows = c.b.dims_vector(std::slice::from_ref(&frame.rows))?;
        c.b.sub2(valid, rows)?
    } else {
        c.b.dims_vector(std::slice::from_ref(&frame.past))?
    };
    if high.is_none() && low.is_none() {
        return Ok(seen);
    }
    let query = c.b.iota(&frame.rows)?;
    let query = c.b.unsqueeze(query, &[1])?;
    let position = c.b.add2(query, offset)?;
    for (bound, kind) in [(high, K::LessOrEqual), (low, K::GreaterOrEqual)] {
        let Some(bound) = bound else { continue };
        let bound = c.b.scalar_of(DType::I64, bound);
        let edge = c.b.add2(position, bound)?;
        let inside = c.b.compare(kind, keys, edge)?;
        seen = Some(both(c, seen, inside)?);
    }
    Ok(seen)
}

fn constant(c: &mut Call<'_>, [rows, columns, past]: [usize; 3], low: Option<i64>, high: Option<i64>) -> Val {
    let mut seen = Vec::with_capacity(rows * columns);
    for i in 0..rows {
        let p = (past + i) as i64;
        seen.extend((0..columns as i64).map(|j| {
            let distance = j - p;
            low.is_none_or(|l| distance >= l) && high.is_none_or(|h| distance <= h)
        }));
    }
    c.b.constant(Tensor { shape: vec![rows, columns], data: Data::Bool(seen) })
}
