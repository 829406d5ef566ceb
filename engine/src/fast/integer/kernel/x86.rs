//! The loops in AVX2 and AVX-512 VNNI.

use std::arch::x86_64::*;

use super::{BLOCK_PAIRS, LANES, PAIR, Tile, portable};
use crate::ops::quantized::RowScale;

/// Adds the products of two pairs to 32-bit sums; no sum of two products leaves i32, since no left factor is -2^15.
#[inline]
#[target_feature(enable = "avx2")]
fn add_pairs_avx2(acc: __m256i, x: __m256i, w: __m256i) -> __m256i {
    _mm256_add_epi32(acc, _mm256_madd_epi16(x, w))
}

/// 8 pairs of bytes as 16-bit integers.
///
/// # Safety
/// 16 bytes can be read.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_avx2(from: *const i8) -> __m256i {
    // SAFETY: the caller's.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(from.cast()) })
}

/// 16 pairs of bytes as 16-bit integers.
///
/// # Safety
/// 32 bytes can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn load_vnni(from: *const i8) -> __m512i {
    // SAFETY: the caller's.
    _mm512_cvtepi8_epi16(unsafe { _mm256_loadu_si256(from.cast()) })
}

/// 8 bf16 as f32.
///
/// # Safety
/// 16 bytes can be read.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn scale_avx2(from: *const u16) -> __m256 {
    // SAFETY: the caller's.
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(unsafe { _mm_loadu_si128(from.cast()) })))
}

/// 16 bf16 as f32.
///
/// # Safety
/// 32 bytes can be read.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn scale_vnni(from: *const u16) -> __m512 {
    // SAFETY: the caller's.
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(unsafe { _mm256_loadu_si256(from.cast()) })))
}

/// Where each panel starts.
#[inline(always)]
fn starts<const PANELS: usize>(b: *const i8, stride: usize) -> [*const i8; PANELS] {
    std::array::from_fn(|p| b.wrapping_add(p * stride))
}

/// A tile in registers: `$vectors` vectors for each of PANELS panels and ROWS rows.
macro_rules! kernels {
    (
        $sums:ident, $scaled:ident, $features:literal, $vectors:literal,
        $izero:ident, $set:ident, $load:ident, $add:ident, $istore:ident: $int:ty,
        $scale:ident, $convert:ident, $fma:ident, $fload:ident, $fstore:ident
    ) => {
        /// # Safety
        /// The CPU has the features. `a` has `pairs * ROWS` words to read, `b + p * stride` has `pairs * 32` bytes for
        /// every p < PANELS, and `out` has `ROWS * PANELS * 16` words to write.
        #[target_feature(enable = $features)]
        unsafe fn $sums<const ROWS: usize, const PANELS: usize>(
            pairs: usize,
            a: *const i32,
            b: *const i8,
            stride: usize,
            out: *mut i32,
        ) {
            const WIDTH: usize = LANES / $vectors;
            let (mut a, mut b) = (a, starts::<PANELS>(b, stride));
            let mut acc = [[[$izero(); $vectors]; PANELS]; ROWS];
            for _ in 0..pairs {
                let mut w = [[$izero(); $vectors]; PANELS];
                for p in 0..PANELS {
                    for v in 0..$vectors {
                        // SAFETY: this pair is one of `pairs`, and v * 2 * WIDTH + 2 * WIDTH <= 32: within panel p.
                        w[p][v] = unsafe { $load(b[p].add(v * 2 * WIDTH)) };
                    }
                    b[p] = b[p].wrapping_add(PAIR);
                }
                for r in 0..ROWS {
                    // SAFETY: this pair is one of `pairs`, r < ROWS: within `a`.
                    let x = $set(unsafe { *a.add(r) });
                    for p in 0..PANELS {
                        for v in 0..$vectors {
                            acc[r][p][v] = $add(acc[r][p][v], x, w[p][v]);
                        }
                    }
                }
                a = a.wrapping_add(ROWS);
            }
            for r in 0..ROWS {
                for p in 0..PANELS {
                    for v in 0..$vectors {
                        // SAFETY: within the ROWS * PANELS * 16 words of `out`.
                        unsafe { $istore(out.add((r * PANELS + p) * LANES + v * WIDTH).cast::<$int>(), acc[r][p][v]) };
                    }
                }
            }
        }

        /// # Safety
        /// As the former with floats in `out` to read and write, and `scales + p * scale_stride` has 16 to read for every
        /// block of 16 pairs and every p < PANELS.
        #[target_feature(enable = $features)]
        unsafe fn $scaled<const ROWS: usize, const PANELS: usize>(
            pairs: usize,
            a: *const i32,
            b: *const i8,
            stride: usize,
            scales: *const u16,
            scale_stride: usize,
            out: *mut f32,
        ) {
            const WIDTH: usize = LANES / $vectors;
            let (mut a, mut b) = (a, starts::<PANELS>(b, stride));
            let (mut left, mut scales) = (pairs, scales);
            while left > 0 {
                let length = left.min(BLOCK_PAIRS);
                let mut acc = [[[$izero(); $vectors]; PANELS]; ROWS];
                for _ in 0..length {
                    let mut w = [[$izero(); $vectors]; PANELS];
                    for p in 0..PANELS {
                        for v in 0..$vectors {
                            // SAFETY: this pair is one of `pairs`, and v * 2 * WIDTH + 2 * WIDTH <= 32: within panel p.
                            w[p][v] = unsafe { $load(b[p].add(v * 2 * WIDTH)) };
                        }
                        b[p] = b[p].wrapping_add(PAIR);
                    }
                    for r in 0..ROWS {
                        // SAFETY: this pair is one of `pairs`, r < ROWS: within `a`.
                        let x = $set(unsafe { *a.add(r) });
                        for p in 0..PANELS {
                            for v in 0..$vectors {
                                acc[r][p][v] = $add(acc[r][p][v], x, w[p][v]);
                            }
                        }
                    }
                    a = a.wrapping_add(ROWS);
                }
                for p in 0..PANELS {
                    for v in 0..$vectors {
                        // SAFETY: 16 scales of this block and panel.
                        let s = unsafe { $scale(scales.add(p * scale_stride + v * WIDTH)) };
                        for r in 0..ROWS {
                            // SAFETY: within the ROWS * PANELS * 16 floats of `out`.
                            unsafe {
                                let at = out.add((r * PANELS + p) * LANES + v * WIDTH);
                                $fstore(at, $fma($convert(acc[r][p][v]), s, $fload(at)));
                            }
                        }
                    }
                }
                scales = scales.wrapping_add(LANES);
                left -= length;
            }
        }
    };
}

kernels!(
    avx2_sums, avx2_scaled, "avx2,fma", 2,
    _mm256_setzero_si256, _mm256_set1_epi32, load_avx2, add_pairs_avx2, _mm256_storeu_si256: __m256i,
    scale_avx2, _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_storeu_ps
);
kernels!(
    vnni_sums, vnni_scaled, "avx512f,avx512bw,avx512vnni", 1,
    _mm512_setzero_si512, _mm512_set1_epi32, load_vnni, _mm512_dpwssd_epi32, _mm512_storeu_si512: __m512i,
    scale_vnni, _mm512_cvtepi32_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_storeu_ps
);

/// Calls `$run!(rows, panels)` for the rows and panels of a tile; the caller keeps to those listed.
macro_rules! dispatch {
    ($run:ident, $t:expr, $($panels:literal: $($rows:literal)+;)+) => {
        match ($t.panels, $t.rows) {
            $($(($panels, $rows) => $run!($rows, $panels),)+)+
            _ => unreachable!("a tile beyond max_rows or max_panels"),
        }
    };
}

/// The functions of a level: `$kernels` for the rows and panels that it has.
macro_rules! level {
    ($(#[$doc:meta])* $sums:ident = $sums_kernel:ident, $scaled:ident = $scaled_kernel:ident, $($tiles:tt)+) => {
        $(#[$doc])*
        pub(super) unsafe fn $sums(t: &Tile<'_>, out: &mut [i32]) {
            let (a, b, out) = (t.a.as_ptr(), t.b.as_ptr(), out.as_mut_ptr());
            macro_rules! run {
                ($rows:literal, $panels:literal) => {
                    // SAFETY: the caller's contract is the kernel's, for these rows and panels.
                    unsafe { $sums_kernel::<$rows, $panels>(t.pairs, a, b, t.stride, out) }
                };
            }
            dispatch!(run, t, $($tiles)+)
        }

        $(#[$doc])*
        /// `scales` are as many as [`super::scaled`] checks.
        pub(super) unsafe fn $scaled(t: &Tile<'_>, scales: &[u16], scale_stride: usize, out: &mut [f32]) {
            let (a, b, s, out) = (t.a.as_ptr(), t.b.as_ptr(), scales.as_ptr(), out.as_mut_ptr());
            macro_rules! run {
                ($rows:literal, $panels:literal) => {
                    // SAFETY: as above.
                    unsafe { $scaled_kernel::<$rows, $panels>(t.pairs, a, b, t.stride, s, scale_stride, out) }
                };
            }
            dispatch!(run, t, $($tiles)+)
        }
    };
}

level!(
    /// # Safety
    /// The CPU has AVX2 and FMA; [`Tile::check`] passed.
    sums_avx2 = avx2_sums, scaled_avx2 = avx2_scaled,
    1: 1 2 3 4 5 6; 2: 1 2 3; 4: 1;
);
level!(
    /// # Safety
    /// The CPU has AVX-512 F, BW and VNNI; [`Tile::check`] passed.
    sums_vnni = vnni_sums, scaled_vnni = vnni_scaled,
    1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14; 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14; 4: 1 2 3 4 5 6;
);

/// # Safety
/// The CPU has AVX2 and FMA.
#[allow(clippy::disallowed_methods)] // The feature is on, so this is the instruction and never a library's function.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn join(sums: &[i64], scales: &[f32], totals: &mut [f32]) {
    // An integer below 2^51 plus 1.5 * 2^52 stands in the mantissa of a binary64: so it becomes one exactly, in lanes,
    // and f32 of that is the one rounding.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    for ((total, sum), scale) in totals.iter_mut().zip(sums).zip(scales) {
        let exact = f64::from_bits((SHIFT.to_bits() as i64).wrapping_add(*sum) as u64) - SHIFT;
        *total = (exact as f32).mul_add(*scale, *total);
    }
}

/// # Safety
/// The CPU has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn magnitude(x: &[f32]) -> u32 {
    portable::magnitude(x)
}

/// # Safety
/// The CPU has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn integers(x: &[f32], s: &RowScale, out: &mut [i16]) {
    portable::integers(x, s, out);
}
