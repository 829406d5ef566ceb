//! QuantizedMatMul and IntegerMatMul.

use super::kernel::quantize;
use super::left::Left;
use super::panels::{BytePanels, LANES, layout};
use super::sums::{Integers, Quantized, Right, product};
use super::{ROWS, kernel};
use crate::fast::fuse::After;
use crate::fast::level::Level;
use crate::fast::{Failure, Threads, spare};
use crate::ops::contraction::Sizes;
use crate::ops::integer::{self, IntegerMatMul};
use crate::ops::quantized::{BIAS, QuantizedMatMul};
use crate::ops::shape::known_shape;
use crate::tensor::{Data, Tensor, TensorType};

/// Columns of a single row that a thread takes at least.
const COLUMNS: usize = 4 * LANES;

const TYPES: Failure = Failure::Environment("a contraction met other types than were inferred");

/// Runs a QuantizedMatMul.
pub(crate) fn quantized_matmul(
    op: &QuantizedMatMul,
    level: Level,
    prepared: Option<&BytePanels>,
    inputs: &[Option<&Tensor>],
    output: &TensorType,
    threads: &Threads,
    after: Option<After<'_>>,
) -> Result<Tensor, Failure> {
    let shape = known_shape(output);
    let mut out = spare::zeroed(shape.iter().product());
    if out.is_empty() {
        return Ok(Tensor { shape, data: Data::F32(out) });
    }
    let x = inputs.first().copied().flatten().and_then(Tensor::as_f32).ok_or(TYPES)?;
    let bias = match inputs.get(BIAS).copied().flatten() {
        Some(b) => Some(b.as_f32().ok_or(TYPES)?),
        None => None,
    };
    let own;
    let panels = match prepared {
        Some(p) => p,
        None => {
            own = layout(&op.clone().into(), inputs).ok_or(TYPES)?;
            &own
        }
    };
    let (k, n) = (panels.k, panels.n);
    let work = (out.len() as u64).saturating_mul(k as u64);
    let right = Quantized(panels);
    // Rows `row..row + rows`, columns `column..`, to rows of `out` that are `columns` long.
    let part = |row: usize, column: usize, columns: usize, out: &mut [f32]| {
        let mut left = Left::default();
        for (start, out) in out.chunks_mut(ROWS * columns).enumerate() {
            let (first, rows) = (row + start * ROWS, out.len() / columns);
            let mut scales = vec![None; rows];
            left.pack(level, rows, k, right.segment(), |r, q| {
                scales[r] = quantize(level, &x[(first + r) * k..(first + r + 1) * k], q);
                if scales[r].is_none() {
                    q.fill(0);
                }
            });
            let range = (column / LANES, (column + columns).div_ceil(LANES));
            product(level, &right, &left, 0, range, |r, c, sums| {
                let at = c - column;
                let line = &mut out[r * columns + at..r * columns + columns.min(at + sums.len())];
                match (scales[r].as_ref(), bias) {
                    (None, _) => line.fill(f32::NAN),
                    (Some(s), None) => line.iter_mut().zip(sums).for_each(|(o, t)| *o = t * s.down),
                    (Some(s), Some(b)) => {
                        line.iter_mut().zip(sums).zip(&b[c..]).for_each(|((o, t), b)| *o = t * s.down + b);
                    }
                }
            });
            if let Some(after) = after {
                after(first * n + column, out);
            }
        }
    };
    let done = if out.len() == n {
        threads.split(&mut out, COLUMNS, work, |first, out| part(0, first * COLUMNS, out.len(), out))
    } else {
        threads.split(&mut out, n, work, |first, out| part(first, 0, n, out))
    };
    done.map_err(Failure::Environment)?;
    Ok(Tensor { shape, data: Data::F32(out) })
}

/// Runs an IntegerMatMul.
pub(crate) fn integer_matmul(
    op: &IntegerMatMul,
    level: Level,
    prepared: Option<&BytePanels>,
    inputs: &[Option<&Tensor>],
    output: &TensorType,
    threads: &Threads,
) -> Result<Tensor, Failure> {
    let shape = known_shape(output);
    let mut out = vec![0i32; shape.iter().product()];
    if out.is_empty() {
        return Ok(Tensor { shape, data: Data::I32(out) });
    }
    let at = |i: usize| inputs.get(i).copied().flatten();
    let (a, b) = (at(0).ok_or(TYPES)?, at(1).ok_or(TYPES)?);
    let (a_zero, b_zero) = (at(2), at(3));
    let own;
    let panels = match prepared {
        Some(p) => p,
        None => {
            own = layout(&op.clone().into(), inputs).ok_or(TYPES)?;
            &own
        }
    };
    let s = Sizes::new(&a.shape, &b.shape);
    let (k, n) = (s.k, s.n);
    let work = (out.len() as u64).saturating_mul(k as u64);
    let right = Integers::new(panels, |_, column| integer::zero(b_zero, column));
    let part = |mut row: usize, out: &mut [i32]| {
        let mut left = Left::default();
        let mut rest = out;
        while !rest.is_empty() {
            // Rows of one product of the batch.
            let (item, first) = (row / s.m, row % s.m);
            let rows = (s.m - first).min(rest.len() / n).min(ROWS);
            let (out, after) = std::mem::take(&mut rest).split_at_mut(rows * n);
            let (i, j) = s.matrices(item);
            left.pack(level, rows, k, right.segment(), |r, q| {
                let zero = integer::zero(a_zero, first + r);
                let start = (i * s.m + first + r) * k;
                match &a.data {
                    Data::I8(v) => kernel::shift(&v[start..start + k], zero, q),
                    Data::U8(v) => kernel::shift(&v[start..start + k], zero, q),
                    _ => {}
                }
            });
            product(level, &right, &left, j, (0, panels.panels()), |r, c, sums| {
                let line = &mut out[r * n + c..r * n + n.min(c + sums.len())];
                line.copy_from_slice(&sums[..line.len()]);
            });
            rest = after;
            row += rows;
        }
    };
    threads.split(&mut out, n, work, part).map_err(Failure::Environment)?;
    Ok(Tensor { shape, data: Data::I32(out) })
}

#[cfg(test)]
mod tests;
