//! The innermost loop of S1: one block of k for a tile of rows times panels.
//!
//! Every level keeps one accumulator for each output and walks k upwards, so it rounds as the reference does;
//! levels differ in how many outputs they hold in registers.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::level::{Kind, Level};
use super::panels::LANES;
use super::sheet::STEP;
use crate::float::fma32;

/// Most rows that a tile of any level has.
pub(crate) const MAX_ROWS: usize = 14;
/// Most panels that a tile of any level has.
pub(crate) const MAX_PANELS: usize = 4;

/// Most rows of a tile.
pub(crate) fn max_rows(level: Level) -> usize {
    match level.kind() {
        Kind::Portable => 4,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => 6,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => MAX_ROWS,
    }
}

/// Most panels of a tile with so many rows: few rows leave registers for more panels, and hide the latency of the
/// chains behind each other. A power of two.
pub(crate) fn max_panels(level: Level, rows: usize) -> usize {
    match (level.kind(), rows) {
        (Kind::Portable, _) => 1,
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx2, 1) => 4,
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx2, 2) => 2,
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx2, _) => 1,
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx512, 1..=6) => MAX_PANELS,
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx512, _) => 2,
    }
}

/// One tile of one block.
pub(crate) struct Tile<'a> {
    /// Rows, 1 to [`max_rows`].
    pub(crate) rows: usize,
    /// Panels, a power of two up to [`max_panels`].
    pub(crate) panels: usize,
    /// Length of the block.
    pub(crate) length: usize,
    /// Left side, `[k][step]`, of which the first `rows` are read; the last may be short.
    pub(crate) a: &'a [f32],
    /// Elements of the left side from one k to the next.
    pub(crate) step: usize,
    /// Right side, `[panel][k][16]`.
    pub(crate) b: &'a [f32],
    /// Whether this is the first block: its sum is the total, later ones are added to it.
    pub(crate) first: bool,
}

/// Computes a tile into the rows of `out`, which are `stride` apart.
pub(crate) fn tile(level: Level, t: &Tile<'_>, out: &mut [f32], stride: usize) {
    // What the kernels' unsafe code relies on; sums cannot overflow, since slices of f32 end below 2^61 elements
    // and rows and panels are small.
    assert!((1..=max_rows(level)).contains(&t.rows) && t.panels.is_power_of_two());
    assert!(t.panels <= max_panels(level, t.rows));
    assert!(t.step >= t.rows && t.b.len() == t.length * t.panels * LANES);
    let left = t.length.checked_sub(1).map_or(Some(0), |n| n.checked_mul(t.step)?.checked_add(t.rows));
    assert!(left.is_some_and(|n| n <= t.a.len()));
    assert!(out.len() >= stride.checked_mul(t.rows - 1).expect("a stride within a slice") + t.panels * LANES);
    match level.kind() {
        Kind::Portable => portable::tile(t, out, stride),
        // SAFETY: a `Level` exists only where its instructions do; the lengths were checked above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { x86::tile_avx2(t, out, stride) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => unsafe { x86::tile_avx512(t, out, stride) },
    }
}

/// `out[i] = fma(x[places[t] + i], weights[t], out[i])` from +0, t ascending. Whole steps of positions.
pub(crate) fn sliding_sums(level: Level, x: &[f32], places: &[usize], weights: &[f32], out: &mut [f32]) {
    check_sliding(x, places, out);
    match level.kind() {
        Kind::Portable => {
            out.fill(0.0);
            for (place, w) in places.iter().zip(weights) {
                out.iter_mut().zip(&x[*place..]).for_each(|(o, x)| *o = fma32(*x, *w, *o));
            }
        }
        // SAFETY: a `Level` exists only where its instructions do; AVX-512 comes with AVX2 and FMA. The lengths were checked.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 | Kind::Avx512 => unsafe { x86::sliding_sums(x, places, weights, out) },
    }
}

/// `out[i]` is the first of the greatest `x[places[t] + i]` above -infinity, a NaN where there is one. Whole steps of positions.
pub(crate) fn sliding_greatest(level: Level, x: &[f32], places: &[usize], out: &mut [f32]) {
    check_sliding(x, places, out);
    match level.kind() {
        Kind::Portable => {
            out.fill(f32::NEG_INFINITY);
            for place in places {
                for (best, x) in out.iter_mut().zip(&x[*place..]) {
                    let greater = (*x > *best) | (x.is_nan() & !best.is_nan());
                    *best = if greater { *x } else { *best };
                }
            }
        }
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 | Kind::Avx512 => unsafe { x86::sliding_greatest(x, places, out) },
    }
}

/// What the kernels' unsafe code relies on.
fn check_sliding(x: &[f32], places: &[usize], out: &[f32]) {
    let last = places.iter().max().copied().unwrap_or(0);
    assert!(out.len().is_multiple_of(STEP) && last.checked_add(out.len()).is_some_and(|n| n <= x.len()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::testing::Values;
    use crate::float::canonical;
    use rand::SeedableRng;

    #[test]
    fn every_tile_of_every_level_is_the_written_loop() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
        for level in Level::available() {
            for rows in 1..=max_rows(level) {
                for panels in [1, 2, 4].into_iter().filter(|p| *p <= max_panels(level, rows)) {
                    for (length, first, more) in
                        [(0, true, 0), (1, true, 3), (1, false, 0), (37, false, 5), (256, true, 0), (256, true, 2)]
                    {
                        let mut draw = |n: usize| (0..n).map(|_| Values::Special.draw(&mut rng)).collect::<Vec<_>>();
                        let step = rows + more;
                        // The last k has only what is read.
                        let left = if length == 0 { 0 } else { (length - 1) * step + rows };
                        let (a, b) = (draw(left), draw(length * panels * LANES));
                        let stride = panels * LANES + 3;
                        let mut out = draw(rows * stride);
                        let before = out.clone();
                        let t = Tile { rows, panels, length, a: &a, step, b: &b, first };
                        tile(level, &t, &mut out, stride);
                        for (i, x) in out.iter().enumerate() {
                            let (r, c) = (i / stride, i % stride);
                            let want = if c >= panels * LANES {
                                before[i]
                            } else {
                                let acc = (0..length).fold(0.0, |acc, k| {
                                    let b = b[(c / LANES * length + k) * LANES + c % LANES];
                                    fma32(a[k * step + r], b, acc)
                                });
                                if first { acc } else { before[i] + acc }
                            };
                            let same = canonical(*x).to_bits() == canonical(want).to_bits();
                            assert!(same, "{} {rows}x{panels} {length}: {x:e} {want:e}", level.name());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sliding_kernels_of_every_level_are_the_written_loops() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(12);
        let mut draw = |n: usize| (0..n).map(|_| Values::Special.draw(&mut rng)).collect::<Vec<_>>();
        for (steps, taps) in [(0, 3), (1, 0), (1, 9), (3, 25)] {
            let (n, places) = (steps * STEP, (0..taps).map(|t| t * 7 % 19).collect::<Vec<_>>());
            let (x, w) = (draw(n + 19), draw(taps));
            let (mut sums, mut best) = (vec![7.0; n], vec![7.0; n]);
            for level in Level::available() {
                sliding_sums(level, &x, &places, &w, &mut sums);
                sliding_greatest(level, &x, &places, &mut best);
                for i in 0..n {
                    let sum = places.iter().zip(&w).fold(0.0, |s, (p, w)| fma32(x[p + i], *w, s));
                    let later = |b: f32, x: f32| if x > b || (x.is_nan() && !b.is_nan()) { x } else { b };
                    let most = places.iter().fold(f32::NEG_INFINITY, |b, p| later(b, x[p + i]));
                    assert_eq!(canonical(sums[i]).to_bits(), canonical(sum).to_bits(), "{}", level.name());
                    assert_eq!(canonical(best[i]).to_bits(), canonical(most).to_bits(), "{}", level.name());
                }
            }
        }
    }
}
