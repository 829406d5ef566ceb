//! Softmax and its relatives; before operator set 13 over the flattened trailing axes.

use lockstep_engine::ops::arg_reduce::ArgReduce;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::softmax::Softmax;
use lockstep_engine::{DType, Dim};

use super::{Call, Outputs, known, one, product};
use crate::build::Val;
use crate::error::{Lowered, refuse};

/// The operand as these operators see it, and the axis along which they work.
fn operand(c: &mut Call<'_>) -> Lowered<(Val, usize)> {
    let x = c.f32(0)?;
    let rank = c.b.rank(x);
    if c.version >= 13 {
        let axis = c.b.axis(c.attrs.int("axis", -1)?, rank)?;
        return Ok((x, axis));
    }
    let axis = c.attrs.int("axis", 1)?;
    let axis = if axis == rank as i64 { rank } else { c.b.axis(axis, rank)? };
    if axis + 1 == rank {
        return Ok((x, axis));
    }
    let shape = c.b.shape(x);
    let flat = [product(&shape[..axis])?, product(&shape[axis..])?];
    Ok((c.b.reshape(x, &flat)?, 1))
}

pub(super) fn softmax(c: &mut Call<'_>) -> Outputs {
    let shape = c.x(0).map(|x| c.b.shape(x))?;
    let (x, axis) = operand(c)?;
    let y = c.b.push(Softmax { axis: axis as u8, log: c.op == "LogSoftmax" }, &[x])?;
    one(c.b.reshape(y, &shape)?)
}

pub(super) fn hardmax(c: &mut Call<'_>) -> Outputs {
    let shape = c.x(0).map(|x| c.b.shape(x))?;
    let (x, axis) = operand(c)?;
    let flat = c.b.shape(x);
    let Some(n) = flat.get(axis).and_then(|d| known(std::slice::from_ref(d))).and_then(|v| v.first().copied()) else {
        return refuse!("Hardmax along a symbolic dimension");
    };
    if n > 1 << 24 {
        return refuse!("Hardmax over {n} elements");
    }
    let position = c.b.push(ArgReduce { greatest: true, axis: axis as u8, keep_dims: true, last: false }, &[x])?;
    let index = c.b.vector_i64((0..n as i64).collect());
    let mut along = vec![Dim::Known(1); flat.len()];
    along[axis] = Dim::Known(n as u64);
    let index = c.b.reshape(index, &along)?;
    let hit = c.b.compare(K::Equal, index, position)?;
    let y = c.b.cast(hit, DType::F32)?;
    one(c.b.reshape(y, &shape)?)
}
