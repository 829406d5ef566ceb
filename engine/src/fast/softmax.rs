//! Softmax and its logarithm over rows that lie together, with exp in lanes.

use super::level::at_every_level;
use super::{Failure, Level, Threads, elementary, spare};
use crate::float::{self, elementary as scalar, s2};
use crate::ops::softmax::Softmax;
use crate::tensor::{Data, Tensor};

/// Multiply-adds that take as long as one element, for [`Threads::split`].
const ELEMENT: u64 = 96;
/// Elements of a row that are computed together, in the first cache.
const PART: usize = 1024;

/// Runs the operator; `None` where the axis is not the last one.
pub(crate) fn run(op: &Softmax, level: Level, x: &Tensor, threads: &Threads) -> Option<Result<Tensor, Failure>> {
    let x_values = x.as_f32()?;
    let n = *x.shape.last()?;
    if usize::from(op.axis) + 1 != x.shape.len() || n == 0 {
        return None;
    }
    let mut y = spare::zeroed(x_values.len());
    y.copy_from_slice(x_values);
    let work = (y.len() as u64).saturating_mul(ELEMENT);
    let done = threads.split(&mut y, n, work, |_, rows| {
        rows.chunks_exact_mut(n).for_each(|y| row(level, op.log, y));
    });
    Some(done.map(|()| Tensor { shape: x.shape.clone(), data: Data::F32(y) }).map_err(Failure::Environment))
}

/// Softmax of a row, or its logarithm, in place.
pub(crate) fn row(level: Level, log: bool, row: &mut [f32]) {
    match log {
        true => logarithms(level, row),
        false => shares(level, row),
    }
}

/// exp(x - max) / sum.
fn shares(level: Level, row: &mut [f32]) {
    let max = greatest(level, row);
    if max == f32::NEG_INFINITY {
        return row.fill(0.0);
    }
    elementary::exp_less(level, max, row);
    divide(level, row);
}

#[inline(always)]
fn divide_loop(row: &mut [f32]) {
    let sum = s2::sum_slice(row);
    row.iter_mut().for_each(|y| *y /= sum);
}

at_every_level! {
    /// Divides a row by its sum.
    divide(row: &mut [f32]) = divide_loop
}
at_every_level! {
    /// The maximum in any order: it has one value, whatever the order.
    greatest(row: &[f32]) -> f32 = greatest_loop
}

/// (x - max) - log(sum of exp(x - max)).
fn logarithms(level: Level, row: &mut [f32]) {
    let max = greatest(level, row);
    if max == f32::NEG_INFINITY {
        return;
    }
    row.iter_mut().for_each(|x| *x -= max);
    // The lanes of S2 go on from part to part, since a part is a multiple of them.
    let mut lanes = [0.0; s2::LANES];
    let mut exps = [0.0; PART];
    for part in row.chunks(PART) {
        let exps = &mut exps[..part.len()];
        elementary::exp(level, part, exps);
        for block in exps.chunks(s2::LANES) {
            lanes.iter_mut().zip(block).for_each(|(l, e)| *l += e);
        }
    }
    let log = scalar::log(s2::join(lanes, |a, b| a + b));
    row.iter_mut().for_each(|x| *x -= log);
}

#[inline(always)]
fn greatest_loop(row: &[f32]) -> f32 {
    let (mut lanes, mut unordered) = ([f32::NEG_INFINITY; s2::LANES], [0u32; s2::LANES]);
    let (blocks, rest) = row.as_chunks::<{ s2::LANES }>();
    for block in blocks {
        for ((l, u), x) in lanes.iter_mut().zip(&mut unordered).zip(block) {
            *l = if *x > *l { *x } else { *l };
            *u |= u32::from(x.is_nan());
        }
    }
    for ((l, u), x) in lanes.iter_mut().zip(&mut unordered).zip(rest) {
        *l = if *x > *l { *x } else { *l };
        *u |= u32::from(x.is_nan());
    }
    let max = s2::join(lanes, |a, b| if b > a { b } else { a });
    match unordered.iter().any(|u| *u != 0) {
        true => f32::NAN,
        // +0 is greater than -0.
        false if max == 0.0 => row.iter().fold(f32::NEG_INFINITY, |m, x| float::max(m, *x)),
        false => max,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::fast::testing::{Values, agree};

    #[test]
    fn rows_of_every_length_have_the_reference_s_bits() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        for shape in
            [&[1][..], &[7], &[3, 16], &[5, 17], &[2, 3, 33], &[2, 1024], &[2, 1025], &[1, 2500], &[0, 5], &[5, 0]]
        {
            for log in [false, true] {
                let op = Softmax { axis: shape.len() as u8 - 1, log };
                for values in [Values::Special, Values::Ordinary] {
                    agree(&op.clone().into(), &[&values.tensor(rng, shape)], 1);
                }
            }
        }
    }

    #[test]
    fn the_greatest_of_zeros_is_positive_and_nan_wins() {
        for level in Level::available() {
            for n in 1..40 {
                let mut row = vec![-0.0f32; n];
                assert_eq!(greatest(level, &row).to_bits(), (-0.0f32).to_bits());
                row[n / 2] = 0.0;
                assert_eq!(greatest(level, &row).to_bits(), 0);
                row[n - 1] = 3.0;
                assert_eq!(greatest(level, &row), 3.0);
                row[n / 3] = f32::NAN;
                assert!(greatest(level, &row).is_nan());
            }
        }
    }

    #[test]
    fn rows_of_minus_infinity_are_zeros_and_stay() {
        let mut row = [f32::NEG_INFINITY; 20];
        logarithms(Level::detect(), &mut row);
        assert_eq!(row, [f32::NEG_INFINITY; 20]);
        shares(Level::detect(), &mut row);
        assert_eq!(row, [0.0; 20]);
    }
}
