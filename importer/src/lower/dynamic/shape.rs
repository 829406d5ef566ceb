//! Shapes, sizes and counts from data: the declared shape gives them, the graph checks them.

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{DType, Dim};

use crate::build::{Builder, Val};
use crate::error::{Lowered, Refusal, refuse};
use crate::lower::{Call, product};

/// `x`, required: operand `i` is a vector (or a scalar) of these numbers.
pub(crate) fn sizes(c: &mut Call<'_>, x: Val, i: usize, expected: &[Dim]) -> Lowered<Val> {
    let (v, n) = c.vector(i)?;
    if n != expected.len() {
        return refuse!("an argument of {n} elements, {} follow from the declared shape", expected.len());
    }
    let expected = c.b.dims_vector(expected)?;
    let equal = c.b.compare(K::Equal, v, expected)?;
    c.b.require(x, &[equal], Requirement::Argument)
}

/// The declared shape of the result of a Reshape; one open dimension is what is left.
fn reshaped(x: &[Dim], declared: Vec<Option<Dim>>) -> Lowered<Vec<Dim>> {
    let rest: Vec<Dim> = declared.iter().flatten().cloned().collect();
    if rest.len() + 1 < declared.len() {
        return refuse!("the file leaves more than one dimension of the result open");
    }
    let (all, rest) = (product(x)?, product(&rest)?);
    let left = || all.div_exact(&rest).ok_or_else(|| Refusal::new("the open dimension of the result is not known"));
    declared.into_iter().map(|d| d.map_or_else(left, Ok)).collect()
}

pub(crate) fn reshape(c: &mut Call<'_>, x: Val, allow_zero: bool) -> Lowered<Val> {
    let before = c.b.shape(x);
    let shape = reshaped(&before, c.declared(0)?)?;
    let (v, n) = c.vector(1)?;
    if n != shape.len() {
        return refuse!("a shape of {n} dimensions, the result is declared with {}", shape.len());
    }
    let expected = c.b.dims_vector(&shape)?;
    let [zero, minus, one] = [0, -1, 1].map(|k| c.b.scalar_of(DType::I64, k));
    let mut fits = c.b.compare(K::Equal, v, expected)?;
    let allow = |b: &mut Builder, fits: Val, is: Val, at: Vec<bool>| -> Lowered<Val> {
        let at = b.bools(at);
        let both = b.binary(B::And, is, at)?;
        b.binary(B::Or, fits, both)
    };
    if !allow_zero {
        // 0 copies the operand's dimension.
        let copies = shape.iter().enumerate().map(|(i, d)| before.get(i) == Some(d)).collect();
        let is_zero = c.b.compare(K::Equal, v, zero)?;
        fits = allow(c.b, fits, is_zero, copies)?;
    }
    // One -1 takes what is left, where the others leave something to tell.
    let tells = |i: usize| shape.iter().enumerate().all(|(j, d)| j == i || *d != Dim::Known(0));
    let is_open = c.b.compare(K::Equal, v, minus)?;
    fits = allow(c.b, fits, is_open, (0..n).map(tells).collect())?;
    let open = c.b.cast(is_open, DType::I64)?;
    let open = c.b.reduce(R::Sum, open, &[0], false)?;
    let once = c.b.compare(K::LessOrEqual, open, one)?;
    let x = c.b.require(x, &[fits, once], Requirement::Argument)?;
    c.b.reshape(x, &shape)
}

pub(crate) fn expand(c: &mut Call<'_>, x: Val) -> Lowered<Val> {
    let (before, shape) = (c.b.shape(x), c.declared_fully(0)?);
    let (v, n) = c.vector(1)?;
    let Some(lead) = shape.len().checked_sub(n).filter(|_| before.len() <= shape.len()) else {
        return refuse!("a shape of {n} dimensions, the result is declared with {}", shape.len());
    };
    let own = |i: usize| (i + before.len()).checked_sub(shape.len()).map_or(Dim::Known(1), |j| before[j].clone());
    if let Some(i) = (0..lead).find(|i| own(*i) != shape[*i]) {
        return refuse!("axis {i} is declared with another length than it keeps");
    }
    // 1 leaves the operand's dimension.
    let expected = c.b.dims_vector(&shape[lead..])?;
    let one = c.b.scalar_of(DType::I64, 1);
    let (equal, is_one) = (c.b.compare(K::Equal, v, expected)?, c.b.compare(K::Equal, v, one)?);
    let kept = c.b.bools((lead..shape.len()).map(|i| own(i) == shape[i]).collect());
    let left = c.b.binary(B::And, is_one, kept)?;
    let fits = c.b.binary(B::Or, equal, left)?;
    let x = c.b.require(x, &[fits], Requirement::Argument)?;
    c.b.expand(x, &shape)
}

pub(crate) fn constant_of_shape(c: &mut Call<'_>, value: Val) -> Lowered<Val> {
    let shape = c.declared_fully(0)?;
    let value = sizes(c, value, 0, &shape)?;
    c.b.expand(value, &shape)
}

/// The repeats that give the declared shape, checked; the operand to repeat comes with them.
pub(crate) fn tile(c: &mut Call<'_>, x: Val) -> Lowered<(Val, Vec<Dim>)> {
    let (before, after) = (c.b.shape(x), c.declared_fully(0)?);
    let repeats: Option<Vec<Dim>> = before.iter().zip(&after).map(|(b, a)| a.div_exact(b)).collect();
    let Some(repeats) = repeats.filter(|_| before.len() == after.len()) else {
        return refuse!("no repeats give the declared shape");
    };
    Ok((sizes(c, x, 1, &repeats)?, repeats))
}

/// The sizes of the parts along an axis, checked; the operand to split comes with them.
pub(crate) fn split(c: &mut Call<'_>, x: Val, axis: usize) -> Lowered<(Val, Vec<i64>)> {
    let mut parts = Vec::with_capacity(c.outputs.len());
    for k in 0..c.outputs.len() {
        match c.declared(k)?.get(axis) {
            Some(Some(Dim::Known(n))) => parts.push(Dim::Known(*n)),
            _ => return refuse!("the sizes of the parts come from data: the declared shapes have to give them"),
        }
    }
    let x = sizes(c, x, 1, &parts)?;
    Ok((x, parts.iter().filter_map(|d| i64::try_from(d.as_known()?).ok()).collect()))
}

/// start, start + step, ... up to the limit: the declared number of elements, required.
pub(crate) fn range(c: &mut Call<'_>) -> Lowered<Val> {
    let [n] = c.declared_fully(0)?.try_into().map_err(|_| Refusal::new("a range is declared with one dimension"))?;
    let mut bounds = [c.x(0)?, c.x(1)?, c.x(2)?];
    let dtype = c.b.dtype(bounds[0]);
    for v in &mut bounds {
        if c.b.dtype(*v) != dtype || !matches!(dtype, DType::F32 | DType::I32 | DType::I64) {
            return refuse!("bounds of one of the types f32, i32, i64 are expected");
        }
        *v = c.b.reshape(*v, &[])?;
    }
    let [start, limit, step] = bounds;
    let expected = c.b.dims_vector(std::slice::from_ref(&n))?;
    let count = if dtype == DType::F32 {
        let distance = c.b.sub2(limit, start)?;
        let count = c.b.div2(distance, step)?;
        let count = c.b.unary(U::Ceil, count)?;
        c.b.cast(count, DType::I64)?
    } else {
        // The quotient rounded up: truncated, and one more where a rest of the step's sign is left.
        let (from, to) = (c.b.cast(start, DType::I64)?, c.b.cast(limit, DType::I64)?);
        let (distance, step) = (c.b.sub2(to, from)?, c.b.cast(step, DType::I64)?);
        let zero = c.b.scalar_of(DType::I64, 0);
        let whole = c.b.div2(distance, step)?;
        let rest = c.b.binary(B::FMod, distance, step)?;
        let product = c.b.mul2(rest, step)?;
        let more = c.b.compare(K::Greater, product, zero)?;
        let more = c.b.cast(more, DType::I64)?;
        c.b.add2(whole, more)?
    };
    let zero = c.b.scalar_of(DType::I64, 0);
    let count = c.b.binary(B::Max, count, zero)?;
    let fits = c.b.compare(K::Equal, count, expected)?;
    let start = c.b.require(start, &[fits], Requirement::Argument)?;
    let steps = c.b.iota(&n)?;
    let steps = c.b.cast(steps, dtype)?;
    let offset = c.b.mul2(steps, step)?;
    c.b.add2(start, offset)
}
