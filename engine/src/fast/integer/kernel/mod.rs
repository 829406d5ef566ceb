//! The innermost loops over integers: a tile of rows times panels.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::panels::{LANES, PAIR};
use crate::fast::level::{Kind, Level};
use crate::ops::quantized::RowScale;

/// Most outputs of a tile.
pub(crate) const MOST: usize = 28 * LANES;
/// Pairs of k that have one scale in class I8.
pub(crate) const BLOCK_PAIRS: usize = 16;

/// The instructions that a level means here: AVX-512 without VNNI has nothing over AVX2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

fn way(level: Level) -> Way {
    match level.kind() {
        Kind::Portable => Way::Portable,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => Way::Avx2,
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => {
            let has =
                std::arch::is_x86_feature_detected!("avx512bw") && std::arch::is_x86_feature_detected!("avx512vnni");
            if has { Way::Vnni } else { Way::Avx2 }
        }
    }
}

/// Most rows of a tile.
pub(crate) fn max_rows(level: Level) -> usize {
    match way(level) {
        Way::Portable => 4,
        #[cfg(target_arch = "x86_64")]
        Way::Avx2 => 6,
        #[cfg(target_arch = "x86_64")]
        Way::Vnni => 14,
    }
}

/// Most panels of a tile with so many rows, a power of two.
pub(crate) fn max_panels(level: Level, rows: usize) -> usize {
    match (way(level), rows) {
        (Way::Portable, _) => 1,
        #[cfg(target_arch = "x86_64")]
        (Way::Avx2, 1) => 4,
        #[cfg(target_arch = "x86_64")]
        (Way::Avx2, 2..=3) => 2,
        #[cfg(target_arch = "x86_64")]
        (Way::Avx2, _) => 1,
        #[cfg(target_arch = "x86_64")]
        (Way::Vnni, 1..=6) => 4,
        #[cfg(target_arch = "x86_64")]
        (Way::Vnni, _) => 2,
    }
}

/// One tile.
pub(crate) struct Tile<'a> {
    /// Rows, 1 to [`max_rows`].
    pub(crate) rows: usize,
    /// Panels, a power of two up to [`max_panels`].
    pub(crate) panels: usize,
    /// Pairs of k.
    pub(crate) pairs: usize,
    /// Left side, `[pair][row]`.
    pub(crate) a: &'a [i32],
    /// Right side: the first pair of the first panel.
    pub(crate) b: &'a [i8],
    /// Bytes from one panel to the next.
    pub(crate) stride: usize,
}

impl Tile<'_> {
    /// What the kernels' unsafe code relies on.
    fn check(&self, level: Level, out: usize) {
        assert!((1..=max_rows(level)).contains(&self.rows) && self.panels.is_power_of_two());
        assert!(self.panels <= max_panels(level, self.rows));
        assert!(self.a.len() >= self.pairs * self.rows);
        assert!(self.b.len() >= (self.panels - 1) * self.stride + self.pairs * PAIR);
        assert!(out >= self.rows * self.panels * LANES);
    }
}

/// Writes sums to `out`, `[row][panel][16]`. Exact where no sum leaves i32: 512 terms of a 16-bit and an 8-bit factor.
pub(crate) fn sums(level: Level, t: &Tile<'_>, out: &mut [i32]) {
    t.check(level, out.len());
    match way(level) {
        Way::Portable => portable::sums(t, out),
        // SAFETY: the features were detected, the lengths checked.
        #[cfg(target_arch = "x86_64")]
        Way::Avx2 => unsafe { x86::sums_avx2(t, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Way::Vnni => unsafe { x86::sums_vnni(t, out) },
    }
}

/// Adds blocks of 32 to `out`, `[row][panel][16]`: `out = fma(f32(sum), scale, out)`, ascending.
/// `scales` are bf16, `[block][16]` for a panel, `scale_stride` of them from one panel to the next.
pub(crate) fn scaled(level: Level, t: &Tile<'_>, scales: &[u16], scale_stride: usize, out: &mut [f32]) {
    t.check(level, out.len());
    let blocks = t.pairs.div_ceil(BLOCK_PAIRS);
    assert!(scales.len() >= (t.panels - 1) * scale_stride + blocks * LANES);
    match way(level) {
        Way::Portable => portable::scaled(t, scales, scale_stride, out),
        // SAFETY: the features were detected, the lengths checked.
        #[cfg(target_arch = "x86_64")]
        Way::Avx2 => unsafe { x86::scaled_avx2(t, scales, scale_stride, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Way::Vnni => unsafe { x86::scaled_vnni(t, scales, scale_stride, out) },
    }
}

/// `total = fma(f32(sum), scale, total)` for |sum| < 2^51.
pub(crate) fn join(level: Level, sums: &[i64], scales: &[f32], totals: &mut [f32]) {
    match way(level) {
        Way::Portable => portable::join(sums, scales, totals),
        // SAFETY: the features were detected; AVX-512 comes with AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Way::Avx2 | Way::Vnni => unsafe { x86::join(sums, scales, totals) },
    }
}

/// The scale of a row, its values as integers; `None`, and no integers, where one is NaN or infinite.
pub(crate) fn quantize(level: Level, x: &[f32], out: &mut [i16]) -> Option<RowScale> {
    let s = magnitude(level, x)?;
    integers(level, x, &s, out);
    Some(s)
}

/// The scale of a row.
pub(crate) fn magnitude(level: Level, x: &[f32]) -> Option<RowScale> {
    RowScale::of_magnitude(match way(level) {
        Way::Portable => portable::magnitude(x),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Way::Avx2 | Way::Vnni => unsafe { x86::magnitude(x) },
    })
}

/// Values as integers.
pub(crate) fn integers(level: Level, x: &[f32], s: &RowScale, out: &mut [i16]) {
    match way(level) {
        Way::Portable => portable::integers(x, s, out),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Way::Avx2 | Way::Vnni => unsafe { x86::integers(x, s, out) },
    }
}

/// Bytes less a zero point, which both fit in 9 bits: nothing wraps.
pub(crate) fn shift<T: Copy + Into<i16>>(x: &[T], zero: i32, out: &mut [i16]) {
    let zero = zero as i16;
    out.iter_mut().zip(x).for_each(|(o, x)| *o = (*x).into().wrapping_sub(zero));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn every_tile_of_every_level_sums_exactly() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(12);
        for level in Level::available() {
            for rows in 1..=max_rows(level) {
                for panels in [1, 2, 4].into_iter().filter(|p| *p <= max_panels(level, rows)) {
                    for pairs in [0, 1, 16, 17, 40, 256] {
                        // The ends of the ranges: 512 terms of 32767 * -128 just fit.
                        let word = |rng: &mut rand_chacha::ChaCha8Rng| match rng.random_range(0..3) {
                            0 => [32_767, 32_767],
                            1 => [-32_767, 32_767],
                            _ => [rng.random_range(-32_767..=32_767), rng.random_range(-255..=255)],
                        };
                        let x: Vec<[i16; 2]> = (0..pairs * rows).map(|_| word(&mut rng)).collect();
                        let a: Vec<i32> = x.iter().map(|x| i32::from(x[0] as u16) | i32::from(x[1]) << 16).collect();
                        let stride = pairs * PAIR + 32;
                        let b: Vec<i8> =
                            (0..panels * stride).map(|_| if rng.random() { -128 } else { rng.random() }).collect();
                        let t = Tile { rows, panels, pairs, a: &a, b: &b, stride };
                        let sum = |r: usize, c: usize, from: usize, to: usize| -> i64 {
                            (from..to)
                                .map(|p| {
                                    let at = c / LANES * stride + p * PAIR + c % LANES * 2;
                                    let [x, y] = x[p * rows + r];
                                    i64::from(x) * i64::from(b[at]) + i64::from(y) * i64::from(b[at + 1])
                                })
                                .sum()
                        };
                        let mut out = vec![7; rows * panels * LANES];
                        sums(level, &t, &mut out);
                        let blocks = pairs.div_ceil(BLOCK_PAIRS);
                        let scale_stride = blocks * LANES + 16;
                        let scales: Vec<u16> =
                            (0..panels * scale_stride).map(|_| rng.random_range(0x3c00..0x4200)).collect();
                        let mut totals = vec![0.25f32; rows * panels * LANES];
                        scaled(level, &t, &scales, scale_stride, &mut totals);
                        for r in 0..rows {
                            for c in 0..panels * LANES {
                                let i = r * panels * LANES + c;
                                assert_eq!(i64::from(out[i]), sum(r, c, 0, pairs), "{} {rows}x{panels}", level.name());
                                let want = (0..blocks).fold(0.25f32, |t, k| {
                                    let s = scales[c / LANES * scale_stride + k * LANES + c % LANES];
                                    let part = sum(r, c, k * BLOCK_PAIRS, pairs.min((k + 1) * BLOCK_PAIRS));
                                    crate::float::fma32(part as f32, f32::from_bits(u32::from(s) << 16), t)
                                });
                                assert_eq!(totals[i].to_bits(), want.to_bits(), "{} {rows}x{panels}", level.name());
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn rows_become_the_same_integers_at_every_level() {
        use crate::fast::testing::Values;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(13);
        for values in [Values::Ordinary, Values::Wide, Values::Special] {
            for n in [0, 1, 7, 16, 33, 300] {
                let mut x: Vec<f32> = (0..n).map(|_| values.draw(&mut rng)).collect();
                // Halves of a unit, and what rounds up to 2^15.
                x.extend(
                    [0.5f32, 1.5, -2.5, 32_767.5, -32_767.5, 32_766.5].map(|v| v * (1.0 / 32_768.0)).iter().take(n),
                );
                let want = RowScale::of(&x);
                for level in Level::available() {
                    let mut out = vec![0i16; x.len()];
                    assert_eq!(quantize(level, &x, &mut out), want);
                    if let Some(s) = want {
                        let all: Vec<i32> = x.iter().map(|x| s.quantize(*x)).collect();
                        assert_eq!(out.iter().map(|q| i32::from(*q)).collect::<Vec<_>>(), all, "{}", level.name());
                    }
                }
            }
        }
    }

    #[test]
    fn sums_join_with_one_rounding_each() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(14);
        let sums: Vec<i64> = (0..100).map(|i| rng.random_range(-(1i64 << 50)..1 << 50) >> (i % 50)).collect();
        let scales: Vec<f32> = (0..100).map(|_| rng.random_range(0.0..2.0)).collect();
        let start: Vec<f32> = (0..100).map(|_| rng.random_range(-9.0..9.0)).collect();
        for level in Level::available() {
            let mut totals = start.clone();
            join(level, &sums, &scales, &mut totals);
            for (i, total) in totals.iter().enumerate() {
                let want = crate::float::fma32(sums[i] as f32, scales[i], start[i]);
                assert_eq!(total.to_bits(), want.to_bits(), "{}", level.name());
            }
        }
    }
}
