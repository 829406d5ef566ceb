//! Elementwise operators on f32 as straight loops that the compiler vectorises.
//!
//! What is computed of an element is the reference's own function. Operands that do not repeat in one of the usual ways
//! (a scalar, a row, a channel) are left to the reference.

use super::{Failure, Level, Threads, elementary, spare};
use crate::float;
use crate::ops::Op;
use crate::ops::binary::{Binary, BinaryKind};
use crate::ops::compare::{Compare, CompareKind};
use crate::ops::shape::{broadcast_strides, known_shape};
use crate::ops::unary::{Unary, UnaryKind};
use crate::tensor::{Data, Tensor, TensorType};

/// Multiply-adds that take as long as one simple element, for [`Threads::split`].
const SIMPLE: u64 = 16;
/// The same for a function evaluated in lanes.
const LANES: u64 = 64;
/// The same for a function evaluated element by element.
const FUNCTION: u64 = 256;

/// Runs an operator; `None` where it is not for this file.
pub(crate) fn run(
    op: &Op,
    level: Level,
    inputs: &[Option<&Tensor>],
    output: &TensorType,
    threads: &Threads,
) -> Option<Result<Tensor, Failure>> {
    let operand = |i: usize| inputs.get(i).copied().flatten();
    let shape = known_shape(output);
    let data = match op {
        Op::Unary(u) => unary(u, level, operand(0)?.as_f32()?, threads)?.map(Data::F32),
        Op::Binary(b) => binary(b, operand(0)?, operand(1)?, &shape, threads)?.map(Data::F32),
        Op::Compare(c) => compare(c, operand(0)?, operand(1)?, &shape, threads)?.map(Data::Bool),
        Op::Select(_) => select(operand(0)?, operand(1)?, operand(2)?, &shape, threads)?.map(Data::F32),
        _ => return None,
    };
    Some(data.map(|data| Tensor { shape, data }).map_err(Failure::Environment))
}

type Outcome<T> = Option<Result<Vec<T>, &'static str>>;

fn unary(op: &Unary, level: Level, x: &[f32], threads: &Threads) -> Outcome<f32> {
    use UnaryKind::*;
    macro_rules! parts {
        ($cost:expr, $f:expr) => {{
            let f = $f;
            let mut out = spare::zeroed(x.len());
            let done = threads.split(&mut out, 1, x.len() as u64 * $cost, |first, out| {
                let end = first + out.len();
                f(&x[first..end], out)
            });
            Some(done.map(|()| out))
        }};
    }
    macro_rules! map {
        ($cost:expr, $f:expr) => {{
            let f = $f;
            parts!($cost, |x: &[f32], out: &mut [f32]| out.iter_mut().zip(x).for_each(|(o, x)| *o = f(*x)))
        }};
    }
    match op.kind {
        Neg => map!(SIMPLE, |x: f32| -x),
        Abs => map!(SIMPLE, f32::abs),
        Reciprocal => map!(SIMPLE, |x: f32| 1.0 / x),
        Sqrt => map!(SIMPLE, f32::sqrt),
        Relu => map!(SIMPLE, |x: f32| float::max(x, 0.0)),
        Exp => parts!(LANES, |x: &[f32], out: &mut [f32]| elementary::exp(level, x, out)),
        Tanh => parts!(LANES, |x: &[f32], out: &mut [f32]| elementary::tanh(level, x, out)),
        Erf => parts!(LANES, |x: &[f32], out: &mut [f32]| elementary::erf(level, x, out)),
        Sigmoid => parts!(LANES, |x: &[f32], out: &mut [f32]| elementary::sigmoid(level, x, out)),
        kind => {
            let f = kind.on_f32()?;
            map!(FUNCTION, f)
        }
    }
}

/// Elements of a result, and where their memory comes from.
trait Memory: Copy + Send {
    fn zeroed(n: usize) -> Vec<Self>;
}

impl Memory for f32 {
    fn zeroed(n: usize) -> Vec<Self> {
        spare::zeroed(n)
    }
}

impl Memory for bool {
    fn zeroed(n: usize) -> Vec<Self> {
        vec![false; n]
    }
}

/// How an operand repeats under the elements of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Not at all.
    Never,
    /// Each of `length` elements stands under `times` neighbours; after the last it begins anew.
    Cycle { length: usize, times: usize },
}

impl Repeat {
    /// `None` for other ways.
    fn of(shape: &[usize], out: &[usize]) -> Option<Self> {
        let lead = out.len().checked_sub(shape.len())?;
        if shape.iter().product::<usize>() == out.iter().product() {
            return Some(Self::Never);
        }
        let Some(first) = shape.iter().position(|d| *d != 1) else {
            return Some(Self::Cycle { length: 1, times: out.iter().product() });
        };
        let last = shape.iter().rposition(|d| *d != 1).unwrap_or(first);
        (shape[first..=last] == out[lead + first..=lead + last]).then(|| Self::Cycle {
            length: shape[first..=last].iter().product(),
            times: out[lead + last + 1..].iter().product(),
        })
    }
}

/// `f(x, y)` for operands of which one has the result's elements and the other may repeat.
fn zip<T: Copy + Sync, R: Memory>(
    a: (&[T], Repeat),
    b: (&[T], Repeat),
    count: usize,
    threads: &Threads,
    cost: u64,
    f: impl Fn(T, T) -> R + Sync,
) -> Outcome<R> {
    match (a.1, b.1) {
        (Repeat::Never, _) => Some(one_side(a.0, b, count, threads, cost, f)),
        (_, Repeat::Never) => Some(one_side(b.0, a, count, threads, cost, |x, y| f(y, x))),
        _ => None,
    }
}

fn one_side<T: Copy + Sync, R: Memory>(
    x: &[T],
    (y, repeat): (&[T], Repeat),
    count: usize,
    threads: &Threads,
    cost: u64,
    f: impl Fn(T, T) -> R + Sync,
) -> Result<Vec<R>, &'static str> {
    let mut out = R::zeroed(count);
    let work = (count as u64).saturating_mul(cost);
    let line = |out: &mut [R], x: &[T], y: &[T]| {
        out.iter_mut().zip(x).zip(y).for_each(|((o, x), y)| *o = f(*x, *y));
    };
    match repeat {
        _ if count == 0 => {}
        Repeat::Never => threads.split(&mut out, 1, work, |first, out| line(out, &x[first..], &y[first..]))?,
        Repeat::Cycle { length: 1, .. } => threads.split(&mut out, 1, work, |first, out| {
            let y = y[0];
            out.iter_mut().zip(&x[first..]).for_each(|(o, x)| *o = f(*x, y));
        })?,
        Repeat::Cycle { length, times: 1 } => threads.split(&mut out, length, work, |first, out| {
            let x = x[first * length..].chunks(length);
            out.chunks_mut(length).zip(x).for_each(|(o, x)| line(o, x, y));
        })?,
        Repeat::Cycle { length, times } => threads.split(&mut out, times, work, |first, out| {
            let x = x[first * times..].chunks(times);
            for (i, (o, x)) in out.chunks_mut(times).zip(x).enumerate() {
                let y = y[(first + i) % length];
                o.iter_mut().zip(x).for_each(|(o, x)| *o = f(*x, y));
            }
        })?,
    }
    Ok(out)
}

fn binary(op: &Binary, a: &Tensor, b: &Tensor, shape: &[usize], threads: &Threads) -> Outcome<f32> {
    use BinaryKind::*;
    let count = shape.iter().product();
    let a = (a.as_f32()?, Repeat::of(&a.shape, shape)?);
    let b = (b.as_f32()?, Repeat::of(&b.shape, shape)?);
    match op.kind {
        Add => zip(a, b, count, threads, SIMPLE, |x, y| x + y),
        Sub => zip(a, b, count, threads, SIMPLE, |x, y| x - y),
        Mul => zip(a, b, count, threads, SIMPLE, |x, y| x * y),
        Div => zip(a, b, count, threads, SIMPLE, |x, y| x / y),
        Min => zip(a, b, count, threads, SIMPLE, float::min),
        Max => zip(a, b, count, threads, SIMPLE, float::max),
        kind => zip(a, b, count, threads, FUNCTION, kind.on_f32()?),
    }
}

fn compare(op: &Compare, a: &Tensor, b: &Tensor, shape: &[usize], threads: &Threads) -> Outcome<bool> {
    use CompareKind::*;
    let count = shape.iter().product();
    let a = (a.as_f32()?, Repeat::of(&a.shape, shape)?);
    let b = (b.as_f32()?, Repeat::of(&b.shape, shape)?);
    match op.kind {
        Equal => zip(a, b, count, threads, SIMPLE, |x, y| x == y),
        Less => zip(a, b, count, threads, SIMPLE, |x, y| x < y),
        LessOrEqual => zip(a, b, count, threads, SIMPLE, |x, y| x <= y),
        Greater => zip(a, b, count, threads, SIMPLE, |x, y| x > y),
        GreaterOrEqual => zip(a, b, count, threads, SIMPLE, |x, y| x >= y),
    }
}

fn select(c: &Tensor, a: &Tensor, b: &Tensor, shape: &[usize], threads: &Threads) -> Outcome<f32> {
    let Data::Bool(condition) = &c.data else { return None };
    let (x, y) = (a.as_f32()?, b.as_f32()?);
    let count: usize = shape.iter().product();
    if count == 0 {
        return None;
    }
    let fits = |n: usize| n == count || n == 1;
    if condition.len() != count || !fits(x.len()) || !fits(y.len()) {
        return select_rows([c, a, b], (condition, x, y), shape, threads);
    }
    let mut out = spare::zeroed(count);
    let done = threads.split(&mut out, 1, count as u64 * SIMPLE, |first, out| {
        let condition = &condition[first..];
        let of = |v: &[f32], i: usize| if v.len() == 1 { v[0] } else { v[first + i] };
        for (i, (o, c)) in out.iter_mut().zip(condition).enumerate() {
            *o = if *c { of(x, i) } else { of(y, i) };
        }
    });
    Some(done.map(|()| out))
}

/// Operands that repeat in any way (the mask of attention under all heads), row by row of the last axis.
fn select_rows(
    operands: [&Tensor; 3],
    (condition, x, y): (&[bool], &[f32], &[f32]),
    shape: &[usize],
    threads: &Threads,
) -> Outcome<f32> {
    /// Below it, finding a row costs more than the row.
    const LEAST: usize = 8;
    let (length, lead) = shape.split_last()?;
    if *length < LEAST {
        return None;
    }
    let strides = operands.map(|t| broadcast_strides(&t.shape, shape));
    let count = lead.iter().product::<usize>() * length;
    let mut out = spare::zeroed(count);
    let done = threads.split(&mut out, *length, count as u64 * SIMPLE, |first, out| {
        for (r, out) in out.chunks_mut(*length).enumerate() {
            let mut at = [0usize; 3];
            let mut rest = first + r;
            for axis in (0..lead.len()).rev() {
                let k = rest % lead[axis];
                rest /= lead[axis];
                at.iter_mut().zip(&strides).for_each(|(o, s)| *o += k * s[axis]);
            }
            // Along the last axis an operand advances or stays.
            let [c, a, b] = at;
            let steps = [&strides[0], &strides[1], &strides[2]].map(|s| s[lead.len()]);
            match steps {
                [1, 1, 0] => {
                    let y = y[b];
                    // All are read, so that lanes can choose.
                    let pick = |c: bool, x: f32| if c { x } else { y };
                    out.iter_mut().zip(&condition[c..]).zip(&x[a..]).for_each(|((o, c), x)| *o = pick(*c, *x));
                }
                [0, 1, 1] => out.copy_from_slice(&(if condition[c] { &x[a..] } else { &y[b..] })[..*length]),
                [0, 1, 0] if condition[c] => out.copy_from_slice(&x[a..a + length]),
                [0, 1, 0] => out.fill(y[b]),
                [i, j, k] => out.iter_mut().enumerate().for_each(|(n, o)| {
                    *o = if condition[c + n * i] { x[a + n * j] } else { y[b + n * k] };
                }),
            }
        }
    });
    Some(done.map(|()| out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::testing::{Values, agree};
    use crate::ops::select::Select;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const SHAPES: [[&[usize]; 2]; 12] = [
        [&[5, 7], &[5, 7]],
        [&[5, 7], &[]],
        [&[5, 7], &[1, 1]],
        [&[5, 7], &[7]],
        [&[5, 7], &[5, 1]],
        [&[2, 3, 4, 5], &[3, 1, 1]],
        [&[2, 3, 4, 5], &[1, 3, 4, 1]],
        [&[2, 3, 4, 5], &[2, 1, 4, 1]],
        [&[5, 1], &[1, 7]],
        [&[0, 7], &[7]],
        [&[1, 1], &[1]],
        [&[3, 1], &[1, 0]],
    ];

    #[test]
    fn every_function_of_one_operand() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        for kind in UnaryKind::ALL {
            if matches!(kind, UnaryKind::Not | UnaryKind::BitNot) {
                continue;
            }
            for shape in [&[][..], &[0], &[3, 67]] {
                agree(&Unary { kind: *kind }.into(), &[&Values::Special.tensor(rng, shape)], 1);
            }
        }
    }

    #[test]
    fn every_function_of_two_operands_in_every_way_to_repeat() {
        let rng = &mut ChaCha8Rng::seed_from_u64(2);
        for [a, b] in SHAPES {
            let (a, b) = (Values::Special.tensor(rng, a), Values::Special.tensor(rng, b));
            for kind in BinaryKind::ALL.iter().filter(|k| k.on_f32().is_some()) {
                agree(&Binary { kind: *kind }.into(), &[&a, &b], 2);
                agree(&Binary { kind: *kind }.into(), &[&b, &a], 2);
            }
            for kind in CompareKind::ALL {
                agree(&Compare { kind: *kind }.into(), &[&a, &b], 2);
                agree(&Compare { kind: *kind }.into(), &[&b, &a], 2);
            }
        }
    }

    #[test]
    fn selections() {
        let rng = &mut ChaCha8Rng::seed_from_u64(3);
        for [a, b] in SHAPES {
            let condition = a.iter().product();
            let data = Data::Bool((0..condition).map(|_| rng.random()).collect());
            let condition = Tensor { shape: a.to_vec(), data };
            let (a, b) = (Values::Special.tensor(rng, a), Values::Special.tensor(rng, b));
            agree(&Select {}.into(), &[&condition, &a, &b], 3);
            agree(&Select {}.into(), &[&condition, &b, &b], 3);
        }
        // All ways in which three operands can repeat along three axes.
        let repeated = |mask: usize| -> Vec<usize> {
            [3, 2, 19].iter().enumerate().map(|(i, n)| if mask >> i & 1 == 1 { *n } else { 1 }).collect()
        };
        for mask in 0..512usize {
            let shape = repeated(mask & 7);
            let n = shape.iter().product();
            let data = Data::Bool((0..n).map(|_| rng.random()).collect());
            let condition = Tensor { shape, data };
            let [a, b] = [mask >> 3 & 7, mask >> 6].map(|m| Values::Special.tensor(rng, &repeated(m)));
            agree(&Select {}.into(), &[&condition, &a, &b], 2);
        }
    }
}
