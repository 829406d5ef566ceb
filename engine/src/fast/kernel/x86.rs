//! The tiles in AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::Tile;
use crate::fast::panels::LANES;
use crate::fast::sheet::STEP;

/// One tile in registers: `$vectors` vectors of `$width` lanes for each of PANELS panels and ROWS rows.
macro_rules! kernel {
    ($name:ident, $features:literal, $vector:ty, $vectors:literal, $zero:ident, $load:ident, $set:ident, $fma:ident, $add:ident, $store:ident) => {
        /// # Safety
        /// The CPU has the features. `a + k * step` has ROWS floats to read for every k < `length`, `b` has `length * PANELS * 16`, and
        /// `out + r * stride` has `PANELS * 16` to read and write for every r < ROWS.
        #[target_feature(enable = $features)]
        unsafe fn $name<const ROWS: usize, const PANELS: usize>(
            length: usize,
            a: *const f32,
            step: usize,
            b: *const f32,
            first: bool,
            out: *mut f32,
            stride: usize,
        ) {
            const WIDTH: usize = LANES / $vectors;
            let mut acc = [[[$zero(); $vectors]; PANELS]; ROWS];
            for k in 0..length {
                // One step of every panel stays in registers for all rows.
                let mut w = [[$zero(); $vectors]; PANELS];
                for p in 0..PANELS {
                    for v in 0..$vectors {
                        // SAFETY: p < PANELS, k < length, v * WIDTH + WIDTH <= 16: within `b`.
                        w[p][v] = unsafe { $load(b.add((p * length + k) * LANES + v * WIDTH)) };
                    }
                }
                for r in 0..ROWS {
                    // SAFETY: k < length, r < ROWS: within `a`.
                    let x = $set(unsafe { *a.add(k * step + r) });
                    for p in 0..PANELS {
                        for v in 0..$vectors {
                            acc[r][p][v] = $fma(x, w[p][v], acc[r][p][v]);
                        }
                    }
                }
            }
            for r in 0..ROWS {
                for p in 0..PANELS {
                    for v in 0..$vectors {
                        // SAFETY: r < ROWS and p * 16 + v * WIDTH + WIDTH <= PANELS * 16: within row r of `out`.
                        unsafe {
                            let at = out.add(r * stride + p * LANES + v * WIDTH);
                            let sum = if first { acc[r][p][v] } else { $add($load(at), acc[r][p][v]) };
                            $store(at, sum);
                        }
                    }
                }
            }
        }
    };
}

kernel!(
    avx2,
    "avx2,fma",
    __m256,
    2,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_storeu_ps
);
kernel!(
    avx512,
    "avx512f",
    __m512,
    1,
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_storeu_ps
);

/// Calls the kernel of these rows and panels; the caller keeps to those listed.
macro_rules! dispatch {
    ($kernel:ident, $t:expr, $out:expr, $stride:expr, $($panels:literal: $($rows:literal)+;)+) => {
        match ($t.panels, $t.rows) {
            $($(($panels, $rows) => {
                let (a, b) = ($t.a.as_ptr(), $t.b.as_ptr());
                // SAFETY: the caller's contract is the kernel's, for these rows and panels.
                unsafe { $kernel::<$rows, $panels>($t.length, a, $t.step, b, $t.first, $out.as_mut_ptr(), $stride) }
            })+)+
            _ => unreachable!("a tile beyond max_rows or max_panels"),
        }
    };
}

/// # Safety
/// The CPU has AVX2 and FMA; `t.a` and `t.b` have the lengths that [`Tile`] says; `out` has `t.panels * 16`
/// floats from `r * stride` on for each of `t.rows` rows.
pub(super) unsafe fn tile_avx2(t: &Tile<'_>, out: &mut [f32], stride: usize) {
    dispatch!(avx2, t, out, stride, 1: 1 2 3 4 5 6; 2: 1 2; 4: 1;)
}

/// # Safety
/// As [`tile_avx2`], with AVX-512 F.
pub(super) unsafe fn tile_avx512(t: &Tile<'_>, out: &mut [f32], stride: usize) {
    dispatch!(avx512, t, out, stride,
        1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14; 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14; 4: 1 2 3 4 5 6;)
}

/// # Safety
/// The CPU has AVX2 and FMA; `out` is whole steps; `places[t] + out.len() <= x.len()` for every t.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn sliding_sums(x: &[f32], places: &[usize], weights: &[f32], out: &mut [f32]) {
    for (i, out) in out.as_chunks_mut::<STEP>().0.iter_mut().enumerate() {
        let mut sums = [_mm256_setzero_ps(); STEP / 8];
        for (place, w) in places.iter().zip(weights) {
            let w = _mm256_set1_ps(*w);
            // SAFETY: the step's last element is before `place + out.len()`.
            let from = unsafe { x.as_ptr().add(place + i * STEP) };
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: as above.
                *sum = _mm256_fmadd_ps(unsafe { _mm256_loadu_ps(from.add(8 * v)) }, w, *sum);
            }
        }
        for (v, sum) in sums.iter().enumerate() {
            // SAFETY: within the step.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(8 * v), *sum) };
        }
    }
}

/// # Safety
/// As [`sliding_sums`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn sliding_greatest(x: &[f32], places: &[usize], out: &mut [f32]) {
    for (i, out) in out.as_chunks_mut::<STEP>().0.iter_mut().enumerate() {
        let mut best = [_mm256_set1_ps(f32::NEG_INFINITY); STEP / 8];
        for place in places {
            // SAFETY: the step's last element is before `place + out.len()`.
            let from = unsafe { x.as_ptr().add(place + i * STEP) };
            for (v, best) in best.iter_mut().enumerate() {
                // SAFETY: as above.
                let x = unsafe { _mm256_loadu_ps(from.add(8 * v)) };
                let first_nan =
                    _mm256_and_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x), _mm256_cmp_ps::<_CMP_ORD_Q>(*best, *best));
                let greater = _mm256_or_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(x, *best), first_nan);
                *best = _mm256_blendv_ps(*best, x, greater);
            }
        }
        for (v, best) in best.iter().enumerate() {
            // SAFETY: within the step.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(8 * v), *best) };
        }
    }
}
