//! The loops without intrinsics, and the bodies that other levels compile with their features.

use super::{BLOCK_PAIRS, LANES, PAIR, Tile};
use crate::float::fma32;
use crate::ops::quantized::{MOST, RowScale};

/// Sums of pairs `first..last` of a panel for one row.
fn dot(t: &Tile<'_>, row: usize, panel: usize, first: usize, last: usize) -> [i32; LANES] {
    let mut acc = [0i32; LANES];
    let b = &t.b[panel * t.stride..];
    for p in first..last {
        let word = t.a[p * t.rows + row];
        let (x, y) = (i32::from(word as i16), word >> 16);
        for (acc, w) in acc.iter_mut().zip(b[p * PAIR..(p + 1) * PAIR].as_chunks::<2>().0) {
            // Nothing wraps, as `sums` says; without checks the compiler uses lanes.
            let pair = x.wrapping_mul(w[0].into()).wrapping_add(y.wrapping_mul(w[1].into()));
            *acc = acc.wrapping_add(pair);
        }
    }
    acc
}

pub(super) fn sums(t: &Tile<'_>, out: &mut [i32]) {
    for (i, out) in out.chunks_exact_mut(LANES).take(t.rows * t.panels).enumerate() {
        out.copy_from_slice(&dot(t, i / t.panels, i % t.panels, 0, t.pairs));
    }
}

pub(super) fn scaled(t: &Tile<'_>, scales: &[u16], scale_stride: usize, out: &mut [f32]) {
    for (i, out) in out.chunks_exact_mut(LANES).take(t.rows * t.panels).enumerate() {
        let (row, panel) = (i / t.panels, i % t.panels);
        for (b, first) in (0..t.pairs).step_by(BLOCK_PAIRS).enumerate() {
            let acc = dot(t, row, panel, first, t.pairs.min(first + BLOCK_PAIRS));
            let scales = &scales[panel * scale_stride + b * LANES..][..LANES];
            for ((total, sum), scale) in out.iter_mut().zip(acc).zip(scales) {
                *total = fma32(sum as f32, f32::from_bits(u32::from(*scale) << 16), *total);
            }
        }
    }
}

pub(super) fn join(sums: &[i64], scales: &[f32], totals: &mut [f32]) {
    for ((total, sum), scale) in totals.iter_mut().zip(sums).zip(scales) {
        *total = fma32(*sum as f32, *scale, *total);
    }
}

/// The bits of the greatest magnitude.
#[inline(always)]
pub(super) fn magnitude(x: &[f32]) -> u32 {
    x.iter().fold(0, |most, x| most.max(x.to_bits() & 0x7fff_ffff))
}

/// Values as integers. |x * 2^(15 - e)| is at most 2^15, so that adding 1.5 * 2^23 rounds it to an integer, to even.
#[inline(always)]
pub(super) fn integers(x: &[f32], s: &RowScale, out: &mut [i16]) {
    const ROUND: f32 = 12_582_912.0;
    let up = s.up;
    for (q, x) in out.iter_mut().zip(x) {
        let n = ((x * up + ROUND).to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
        *q = n.clamp(-MOST, MOST) as i16;
    }
}
