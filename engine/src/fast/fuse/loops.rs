//! The innermost loops of fused operators: the reference's own functions over slices, compiled for each level, so that the
//! compiler makes vectors of the level's width. No loop joins two roundings into one.

use crate::fast::elementary;
use crate::fast::level::{Level, at_every_level};
use crate::float::{self, s2::sum_slice_by};
use crate::ops::binary::BinaryKind;
use crate::ops::reduce::ReduceKind;
use crate::ops::unary::UnaryKind;

/// An operand of a loop.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operand<'a, T = f32> {
    /// As many elements as the result.
    Slice(&'a [T]),
    /// One for all.
    Value(T),
}

#[inline(always)]
fn map(x: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) {
    out.iter_mut().zip(x).for_each(|(o, x)| *o = f(*x));
}

#[inline(always)]
fn zip(a: Operand<'_>, b: Operand<'_>, out: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    match (a, b) {
        (Operand::Slice(a), Operand::Slice(b)) => {
            out.iter_mut().zip(a).zip(b).for_each(|((o, a), b)| *o = f(*a, *b));
        }
        (Operand::Slice(a), Operand::Value(b)) => out.iter_mut().zip(a).for_each(|(o, a)| *o = f(*a, b)),
        (Operand::Value(a), Operand::Slice(b)) => out.iter_mut().zip(b).for_each(|(o, b)| *o = f(a, *b)),
        (Operand::Value(a), Operand::Value(b)) => out.fill(f(a, b)),
    }
}

#[inline(always)]
fn unary_loop(kind: UnaryKind, x: &[f32], out: &mut [f32]) {
    use UnaryKind::*;
    match kind {
        Neg => map(x, out, |x| -x),
        Abs => map(x, out, f32::abs),
        Reciprocal => map(x, out, |x| 1.0 / x),
        Sqrt => map(x, out, f32::sqrt),
        Relu => map(x, out, |x| float::max(x, 0.0)),
        // Not one of f32 gives itself, and none is ever asked for.
        kind => match kind.on_f32() {
            Some(f) => map(x, out, f),
            None => out.copy_from_slice(x),
        },
    }
}

#[inline(always)]
fn binary_loop(kind: BinaryKind, a: Operand<'_>, b: Operand<'_>, out: &mut [f32]) {
    use BinaryKind::*;
    match kind {
        Add => zip(a, b, out, |a, b| a + b),
        Sub => zip(a, b, out, |a, b| a - b),
        Mul => zip(a, b, out, |a, b| a * b),
        Div => zip(a, b, out, |a, b| a / b),
        Min => zip(a, b, out, float::min),
        Max => zip(a, b, out, float::max),
        kind => zip(a, b, out, kind.on_f32().unwrap_or(|a, _| a)),
    }
}

#[inline(always)]
fn select_loop(c: Operand<'_, bool>, a: Operand<'_>, b: Operand<'_>, out: &mut [f32]) {
    let all = |o: Operand<'_>, out: &mut [f32]| match o {
        Operand::Slice(x) => out.copy_from_slice(x),
        Operand::Value(x) => out.fill(x),
    };
    let c = match c {
        Operand::Value(true) => return all(a, out),
        Operand::Value(false) => return all(b, out),
        Operand::Slice(c) => c,
    };
    // All are read, so that lanes can choose.
    let pick = |c: bool, x: f32, y: f32| if c { x } else { y };
    match (a, b) {
        (Operand::Slice(a), Operand::Slice(b)) => {
            let from = c.iter().zip(a).zip(b);
            out.iter_mut().zip(from).for_each(|(o, ((c, x), y))| *o = pick(*c, *x, *y));
        }
        (Operand::Slice(a), Operand::Value(y)) => {
            out.iter_mut().zip(c.iter().zip(a)).for_each(|(o, (c, x))| *o = pick(*c, *x, y));
        }
        (Operand::Value(x), Operand::Slice(b)) => {
            out.iter_mut().zip(c.iter().zip(b)).for_each(|(o, (c, y))| *o = pick(*c, x, *y));
        }
        (Operand::Value(x), Operand::Value(y)) => out.iter_mut().zip(c).for_each(|(o, c)| *o = pick(*c, x, y)),
    }
}

#[inline(always)]
fn reduce_loop(kind: ReduceKind, row: &[f32]) -> f32 {
    match kind {
        ReduceKind::Mean => sum_slice_by(row, |x| x) / row.len() as f32,
        ReduceKind::L1 => sum_slice_by(row, f32::abs),
        ReduceKind::L2 => sum_slice_by(row, |x| x * x).sqrt(),
        ReduceKind::SumSquare => sum_slice_by(row, |x| x * x),
        _ => sum_slice_by(row, |x| x),
    }
}

at_every_level! {
    /// A simple function, or any element by element.
    pub(super) simple(kind: UnaryKind, x: &[f32], out: &mut [f32]) = unary_loop
}
at_every_level! {
    /// `f(a, b)` of each element.
    pub(super) binary(kind: BinaryKind, a: Operand<'_>, b: Operand<'_>, out: &mut [f32]) = binary_loop
}
at_every_level! {
    /// `c ? a : b` of each element.
    pub(super) select(c: Operand<'_, bool>, a: Operand<'_>, b: Operand<'_>, out: &mut [f32]) = select_loop
}
at_every_level! {
    /// One of the reductions that [`reduces`] names, of a row.
    pub(super) reduce(kind: ReduceKind, row: &[f32]) -> f32 = reduce_loop
}

/// Whether [`reduce`] has this kind.
pub(super) fn reduces(kind: ReduceKind) -> bool {
    use ReduceKind::*;
    matches!(kind, Sum | Mean | L1 | L2 | SumSquare)
}

/// A function of each element.
pub(super) fn unary(level: Level, kind: UnaryKind, x: &[f32], out: &mut [f32]) {
    match kind {
        UnaryKind::Exp => elementary::exp(level, x, out),
        UnaryKind::Tanh => elementary::tanh(level, x, out),
        UnaryKind::Erf => elementary::erf(level, x, out),
        UnaryKind::Sigmoid => elementary::sigmoid(level, x, out),
        kind => simple(level, kind, x, out),
    }
}
