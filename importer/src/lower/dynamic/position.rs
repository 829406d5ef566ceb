//! Positions from data: parts and borders whose sizes are declared and whose places are computed while running.

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::pad::PadMode;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{DType, Dim};

use super::{by_axis, counts, element, hits};
use crate::build::Val;
use crate::error::{Lowered, refuse};
use crate::lower::{Call, Outputs, one};

/// Axes as constants where they are, and as a value.
struct Axes {
    known: Option<Vec<usize>>,
    val: Val,
    n: usize,
}

impl Axes {
    /// Operand `at`, or the first `n` axes.
    fn read(c: &mut Call<'_>, at: usize, n: usize, rank: usize) -> Lowered<Self> {
        if !c.has(at) {
            let val = c.b.vector_i64((0..n as i64).collect());
            return Ok(Self { known: Some((0..n).collect()), val, n });
        }
        let (val, length) = c.vector(at)?;
        if length != n {
            return refuse!("{length} axes for {n} values");
        }
        let known = match c.is_data(at) {
            true => None,
            false => Some(c.ints(at, "the list of axes")?.iter().map(|a| c.b.axis(*a, rank)).collect::<Lowered<_>>()?),
        };
        Ok(Self { known, val, n })
    }

    /// Whether axis `a` is certainly not named.
    fn leave(&self, a: usize) -> bool {
        self.known.as_ref().is_some_and(|k| !k.contains(&a))
    }
}

/// A part whose starts, ends, axes or steps come from data: as numpy, positions clamped; the declared length is
/// required, start and step are computed, and the elements gathered.
pub(crate) fn slice(c: &mut Call<'_>, x: Val) -> Outputs {
    let shape = c.b.shape(x);
    let rank = shape.len();
    let declared = c.declared_fully(0)?;
    if declared.len() != rank {
        return refuse!("a part of rank {} of a tensor of rank {rank}", declared.len());
    }
    let ((starts, n), (ends, m)) = (c.vector(1)?, c.vector(2)?);
    let axes = Axes::read(c, 3, n, rank)?;
    let steps = if c.has(4) { c.vector(4)?.0 } else { c.b.vector_i64(vec![1; n]) };
    if m != n || c.b.shape(steps) != [Dim::Known(n as u64)] {
        return refuse!("starts, ends and steps of different lengths");
    }
    let all = c.b.dims_vector(&shape)?;
    let lengths = c.b.gather(all, axes.val, 0)?;
    let [zero, one_, minus] = [0, 1, -1].map(|k| c.b.scalar_of(DType::I64, k));
    let forward = c.b.compare(K::Greater, steps, zero)?;
    let before = c.b.sub2(lengths, one_)?;
    let (low, high) = (c.b.select(forward, zero, minus)?, c.b.select(forward, lengths, before)?);
    let at = |c: &mut Call<'_>, v: Val| -> Lowered<Val> {
        let v = c.b.wrapped(v, lengths)?;
        c.b.clamp(v, low, high)
    };
    let (start, end) = (at(c, starts)?, at(c, ends)?);
    // Elements from start to end, in steps.
    let (up, down) = (c.b.sub2(end, start)?, c.b.sub2(start, end)?);
    let span = c.b.select(forward, up, down)?;
    let size = c.b.unary(U::Neg, steps)?;
    let size = c.b.select(forward, steps, size)?;
    let some = c.b.compare(K::Greater, span, zero)?;
    let count = c.b.sub2(span, one_)?;
    let count = c.b.div2(count, size)?;
    let count = c.b.add2(count, one_)?;
    let count = c.b.select(some, count, zero)?;

    let hits = hits(c.b, axes.val, axes.n, rank)?;
    let named = counts(c.b, hits)?;
    let start = by_axis(c.b, hits, named, start, n, zero)?;
    let step = by_axis(c.b, hits, named, steps, n, one_)?;
    let count = by_axis(c.b, hits, named, count, n, all)?;
    let expected = c.b.dims_vector(&declared)?;
    let (fits, once) = (c.b.compare(K::Equal, count, expected)?, c.b.compare(K::LessOrEqual, named, one_)?);
    let start = c.b.require(start, &[fits, once], Requirement::Argument)?;
    let mut out = x;
    for a in 0..rank {
        if axes.leave(a) {
            if shape[a] != declared[a] {
                return refuse!("axis {a} is left as it is and declared with another length");
            }
            continue;
        }
        let (from, by) = (element(c.b, start, a)?, element(c.b, step, a)?);
        let steps = c.b.iota(&declared[a])?;
        let offset = c.b.mul2(steps, by)?;
        let index = c.b.add2(offset, from)?;
        out = c.b.gather(out, index, a)?;
    }
    one(out)
}

/// A border whose widths or axes come from data: their sum is required, where they lie is computed.
pub(crate) fn pad(c: &mut Call<'_>, x: Val, mode: PadMode, value: Option<Val>) -> Outputs {
    let shape = c.b.shape(x);
    let rank = shape.len();
    let declared = c.declared_fully(0)?;
    if declared.len() != rank || shape.contains(&Dim::Known(0)) {
        return refuse!("a border from data around a tensor without elements, or of another rank than declared");
    }
    let (pads, n) = c.vector(1)?;
    let axes = Axes::read(c, 3, n / 2, rank)?;
    if n != 2 * axes.n {
        return refuse!("{n} pads for {} axes", axes.n);
    }
    let half = Dim::Known(axes.n as u64);
    let begin = c.b.slice_axis(pads, 0, 0, 1, half.clone())?;
    let end = c.b.slice_axis(pads, 0, axes.n as u64, 1, half)?;
    let [zero, one_] = [0, 1].map(|k| c.b.scalar_of(DType::I64, k));
    let hits = hits(c.b, axes.val, axes.n, rank)?;
    let named = counts(c.b, hits)?;
    let begin = by_axis(c.b, hits, named, begin, axes.n, zero)?;
    let end = by_axis(c.b, hits, named, end, axes.n, zero)?;
    // What is added is what is declared; only constant borders may cut, and then not more than there is.
    let (before, after) = (c.b.dims_vector(&shape)?, c.b.dims_vector(&declared)?);
    let sum = c.b.add2(begin, end)?;
    let added = c.b.sub2(after, before)?;
    let least = if mode == PadMode::Constant { c.b.unary(U::Neg, before)? } else { zero };
    let conditions = [
        c.b.compare(K::Equal, sum, added)?,
        c.b.compare(K::LessOrEqual, named, one_)?,
        c.b.compare(K::GreaterOrEqual, begin, least)?,
        c.b.compare(K::GreaterOrEqual, end, least)?,
    ];
    let begin = c.b.require(begin, &conditions, Requirement::Argument)?;
    let mut out = x;
    let mut inside: Option<Val> = None;
    for a in 0..rank {
        if axes.leave(a) {
            if shape[a] != declared[a] {
                return refuse!("axis {a} has no border and is declared with another length");
            }
            continue;
        }
        let (from, length) = (element(c.b, begin, a)?, element(c.b, before, a)?);
        let steps = c.b.iota(&declared[a])?;
        let at = c.b.sub2(steps, from)?;
        let last = c.b.sub2(length, one_)?;
        let index = match mode {
            PadMode::Constant | PadMode::Edge => c.b.clamp(at, zero, last)?,
            PadMode::Wrap => c.b.binary(B::Mod, at, length)?,
            PadMode::Reflect => {
                let there_and_back = c.b.add2(last, last)?;
                let period = c.b.binary(B::Max, there_and_back, one_)?;
                let folded = c.b.binary(B::Mod, at, period)?;
                let back = c.b.sub2(period, folded)?;
                c.b.binary(B::Min, folded, back)?
            }
        };
        out = c.b.gather(out, index, a)?;
        if mode == PadMode::Constant {
            let here = c.b.between(at, zero, length)?;
            let here = c.b.along(here, a, rank)?;
            inside = Some(match inside {
                None => here,
                Some(v) => c.b.binary(B::And, v, here)?,
            });
        }
    }
    if let Some(inside) = inside {
        let dtype = c.b.dtype(x);
        let value = match value {
            Some(v) => c.b.reshape(v, &[])?,
            None => c.b.scalar_of(dtype, 0),
        };
        out = c.b.select(inside, out, value)?;
    }
    one(out)
}
