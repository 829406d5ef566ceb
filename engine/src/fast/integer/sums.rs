//! Tiles of sums for the two kinds of right side: quantised weights, and integers with zero points.

use std::ops::Range;

use super::kernel::{MOST, Tile, join, max_panels, scaled, sums};
use super::left::Left;
use super::panels::{BytePanels, LANES, Scales};
use crate::fast::level::Level;
use crate::float::fma32;

/// Terms of an exact sum in i32: 512 * 32767 * 128 < 2^31.
const SEGMENT: usize = 512;
/// Terms that an I16 weight's sums have at a time, its blocks' length.
const WIDE_SEGMENT: usize = 256;

/// Where a tile lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) matrix: usize,
    pub(crate) panel: usize,
    pub(crate) panels: usize,
    /// First row and number of rows.
    pub(crate) rows: (usize, usize),
}

/// A kind of right side.
pub(crate) trait Right: Sync {
    /// An output before what depends on its row: zero.
    type Sum: Copy + Default;
    /// The panels.
    fn panels(&self) -> &BytePanels;
    /// Length of the segments of the left side whose sums it needs; 0: none.
    fn segment(&self) -> usize;
    /// Writes one tile, `[row][panel][16]`; `out` is zero.
    fn tile(&self, level: Level, left: &Left, at: Place, out: &mut [Self::Sum]);
}

/// Computes columns from panel `first` to `end`; `each(row, column, sums)` gets the sums of a row from a column on, of whole
/// panels: those beyond the last column mean nothing.
pub(crate) fn product<R: Right>(
    level: Level,
    right: &R,
    left: &Left,
    matrix: usize,
    (first, end): (usize, usize),
    mut each: impl FnMut(usize, usize, &[R::Sum]),
) {
    let longest = left.tiles.iter().map(|t| t.1).max().unwrap_or(1);
    let widest = max_panels(level, longest);
    let mut out = [R::Sum::default(); MOST];
    let mut panel = first;
    while panel < end {
        // The largest power of two that is left.
        let panels = widest.min(1 << (end - panel).ilog2());
        for rows in &left.tiles {
            let out = &mut out[..rows.1 * panels * LANES];
            out.fill(R::Sum::default());
            right.tile(level, left, Place { matrix, panel, panels, rows: *rows }, out);
            for (r, sums) in out.chunks_exact(panels * LANES).enumerate() {
                each(rows.0 + r, panel * LANES, sums);
            }
        }
        panel += panels;
    }
}

/// Quantised weights: the totals of spec NUM-14 before 2^(e - 15) and the bias.
pub(crate) struct Quantized<'a>(pub(crate) &'a BytePanels);

impl Quantized<'_> {
    /// The sums of some pairs in a plane.
    fn plane(&self, level: Level, left: &Left, at: Place, plane: usize, pairs: Range<usize>, out: &mut [i32]) {
        let b = self.0.plane(plane, at.matrix, at.panel, at.panels, pairs.start);
        let a = left.tile(at.rows, pairs.start);
        let pairs = pairs.len();
        sums(level, &Tile { rows: at.rows.1, panels: at.panels, pairs, a, b, stride: self.0.stride() }, out);
    }

    /// Scales of block `block` of a panel, or those of its channels.
    fn scales(&self, matrix: usize, panel: usize, block: usize) -> [f32; LANES] {
        let at = matrix * self.0.panels() + panel;
        let mut out = [0.0; LANES];
        match &self.0.scales {
            Scales::None { .. } => {}
            Scales::Channels(s) => out.copy_from_slice(&s[at * LANES..][..LANES]),
            Scales::Blocks { length, bits } => {
                let bits = &bits[(at * self.0.k.div_ceil(*length) + block) * LANES..][..LANES];
                out.iter_mut().zip(bits).for_each(|(o, b)| *o = f32::from_bits(u32::from(*b) << 16));
            }
        }
        out
    }
}

impl Right for Quantized<'_> {
    type Sum = f32;

    fn panels(&self) -> &BytePanels {
        self.0
    }

    fn segment(&self) -> usize {
        if self.0.planes() > 1 { WIDE_SEGMENT } else { 0 }
    }

    fn tile(&self, level: Level, left: &Left, at: Place, out: &mut [f32]) {
        let (p, rows, width) = (self.0, at.rows.1, at.panels * LANES);
        let wide = p.planes() > 1;
        if let (Scales::Blocks { length: 32, bits }, false) = (&p.scales, wide) {
            let scale_stride = p.k.div_ceil(32) * LANES;
            let first = (at.matrix * p.panels() + at.panel) * scale_stride;
            let b = p.plane(0, at.matrix, at.panel, at.panels, 0);
            let t = Tile { rows, panels: at.panels, pairs: p.pairs(), a: left.tile(at.rows, 0), b, stride: p.stride() };
            return scaled(level, &t, &bits[first..first + at.panels * scale_stride], scale_stride, out);
        }
        let segment = if wide { WIDE_SEGMENT } else { SEGMENT };
        let blocks = matches!(p.scales, Scales::Blocks { .. });
        let (mut high, mut low, mut exact) = ([0i32; MOST], [0i32; MOST], [0i64; MOST]);
        let n = rows * width;
        for (s, k) in (0..p.k).step_by(segment).enumerate() {
            let pairs = k / 2..(k + segment).min(p.k).div_ceil(2);
            self.plane(level, left, at, 0, pairs.clone(), &mut high[..n]);
            if wide {
                // w = 256 * high + (low - 128) + 128; below 2^31 * K, so that nothing wraps.
                self.plane(level, left, at, 1, pairs, &mut low[..n]);
                for r in 0..rows {
                    let row = 128 * i64::from(left.sum(at.rows.0 + r, s));
                    let parts = high[r * width..].iter().zip(&low[r * width..]);
                    for (e, (h, l)) in exact[r * width..(r + 1) * width].iter_mut().zip(parts) {
                        *e = e.wrapping_add((i64::from(*h) << 8).wrapping_add(i64::from(*l)).wrapping_add(row));
                    }
                }
            } else {
                exact[..n].iter_mut().zip(&high).for_each(|(e, h)| *e = e.wrapping_add(i64::from(*h)));
            }
            if blocks {
                for panel in 0..at.panels {
                    let scales = self.scales(at.matrix, at.panel + panel, s);
                    for r in 0..rows {
                        let i = r * width + panel * LANES;
                        join(level, &exact[i..i + LANES], &scales, &mut out[i..i + LANES]);
                    }
                }
                exact[..n].fill(0);
            }
        }
        if !blocks && p.k > 0 {
            for panel in 0..at.panels {
                let scales = self.scales(at.matrix, at.panel + panel, 0);
                for r in 0..rows {
                    for (c, scale) in scales.iter().enumerate() {
                        let i = r * width + panel * LANES + c;
                        out[i] = fma32(exact[i] as f32, *scale, 0.0);
                    }
                }
            }
        }
    }
}

/// Integers: sums of the left side's values times (b - zero point), exact in i32 for the lengths that are allowed.
pub(crate) struct Integers<'a> {
    pub(crate) panels: &'a BytePanels,
    /// Zero points of the columns of each matrix, as many as those have panels of 16.
    pub(crate) zeros: Vec<i32>,
}

impl<'a> Integers<'a> {
    /// `zero(matrix, column)` is the zero point as the operand has it.
    pub(crate) fn new(panels: &'a BytePanels, zero: impl Fn(usize, usize) -> i32) -> Self {
        let offset = match panels.scales {
            Scales::None { offset } => offset,
            _ => 0,
        };
        let width = panels.panels() * LANES;
        let mut zeros = vec![0; panels.count * width];
        for (i, z) in zeros.iter_mut().enumerate() {
            if i % width < panels.n {
                *z = zero(i / width, i % width) - offset;
            }
        }
        Self { panels, zeros }
    }
}

impl Right for Integers<'_> {
    type Sum = i32;

    fn panels(&self) -> &BytePanels {
        self.panels
    }

    fn segment(&self) -> usize {
        self.panels.k
    }

    fn tile(&self, level: Level, left: &Left, at: Place, out: &mut [i32]) {
        let p = self.panels;
        let b = p.plane(0, at.matrix, at.panel, at.panels, 0);
        let (a, rows) = (left.tile(at.rows, 0), at.rows.1);
        sums(level, &Tile { rows, panels: at.panels, pairs: p.pairs(), a, b, stride: p.stride() }, out);
        if p.k == 0 {
            return;
        }
        let width = at.panels * LANES;
        let zeros = &self.zeros[(at.matrix * p.panels() + at.panel) * LANES..][..width];
        for (r, out) in out.chunks_exact_mut(width).enumerate() {
            // |row| <= 255 * 33,025 and |zero| <= 255: exact; sums are at most 255 * 128 * 33,025 before.
            let row = left.sum(at.rows.0 + r, 0);
            out.iter_mut().zip(zeros).for_each(|(o, z)| *o = o.wrapping_sub(row.wrapping_mul(*z)));
        }
    }
}
