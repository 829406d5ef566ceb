//! The right side of a contraction, laid out so that SIMD lanes are outputs.
//!
//! Columns stand in panels of 16. For each block of 256 along k, one panel after the other:
//! `[block][panel][k in block][16]`. The last panel is filled with zero columns, whose sums nobody reads;
//! k is never filled, because an added zero could change the sign of a sum.

use crate::ops::contraction::BLOCK;

/// Columns of a panel, on every CPU.
pub(crate) const LANES: usize = 16;

/// Sixteen floats on a cache line of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// Floats that start on a cache line.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    /// At least `floats` zeros.
    pub(crate) fn zeros(floats: usize) -> Self {
        Self(vec![Line([0.0; LANES]); floats.div_ceil(LANES)])
    }

    /// The floats.
    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: `Line` is repr(C) with the one field [f32; 16], 64 bytes of size and alignment, so it has no padding, and
        // n of them in a Vec are 16 n initialised floats in one allocation, borrowed as long as `self` is.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }

    /// The floats.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and `self` is borrowed mutably as long as the slice lives.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}

/// A matrix somewhere in a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    /// The slice, from the first element on.
    pub(crate) data: &'a [f32],
    /// Distance of rows.
    pub(crate) row: usize,
    /// Distance of columns.
    pub(crate) column: usize,
}

/// One or more matrices (K, N) in panels.
#[derive(Debug)]
pub struct Panels {
    k: usize,
    n: usize,
    lines: Lines,
}

impl Panels {
    /// Lays out `count` matrices of k rows and n columns, given by their number.
    pub(crate) fn pack<'a>(count: usize, k: usize, n: usize, matrix: impl Fn(usize) -> Matrix<'a>) -> Self {
        let width = n.div_ceil(LANES) * LANES;
        let mut lines = Lines::zeros(count * k * width);
        let all = lines.as_mut_slice();
        if k * width > 0 {
            for (i, out) in all.chunks_exact_mut(k * width).enumerate() {
                let m = matrix(i);
                for (b, block) in out.chunks_mut(BLOCK * width).enumerate() {
                    let length = block.len() / width;
                    for (p, panel) in block.chunks_exact_mut(length * LANES).enumerate() {
                        pack_panel(&m, b * BLOCK, p * LANES, LANES.min(n - p * LANES), panel);
                    }
                }
            }
        }
        Self { k, n, lines }
    }

    pub(crate) fn add_to(&self, sum: &mut crate::resident::Sum) {
        sum.take(self.lines.as_slice(), |x| x.to_bits());
    }

    /// Bytes that [`Self::pack`] takes.
    pub(crate) fn bytes(count: usize, k: usize, n: usize) -> u64 {
        let width = (n as u64).div_ceil(LANES as u64) * 4 * LANES as u64;
        width.saturating_mul(k as u64).saturating_mul(count as u64)
    }

    /// Length of the contraction.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// Columns.
    pub(crate) fn n(&self) -> usize {
        self.n
    }

    /// Panels of one matrix.
    pub(crate) fn panels(&self) -> usize {
        self.n.div_ceil(LANES)
    }

    /// `panels` panels from `panel` on, of the block of `length` rows that starts at row `start`.
    pub(crate) fn block(&self, matrix: usize, start: usize, length: usize, panel: usize, panels: usize) -> &[f32] {
        let width = self.panels() * LANES;
        let at = (matrix * self.k + start) * width + panel * length * LANES;
        &self.lines.as_slice()[at..at + panels * length * LANES]
    }
}

/// One panel of one block: `out` is `[k][16]`, zero where there is no column.
fn pack_panel(m: &Matrix<'_>, row: usize, column: usize, columns: usize, out: &mut [f32]) {
    if m.column == 1 {
        for (k, line) in out.chunks_exact_mut(LANES).enumerate() {
            let at = (row + k) * m.row + column;
            line[..columns].copy_from_slice(&m.data[at..at + columns]);
        }
    } else {
        for c in 0..columns {
            let at = row * m.row + (column + c) * m.column;
            for (k, line) in out.chunks_exact_mut(LANES).enumerate() {
                line[c] = m.data[at + k * m.row];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_panels_of_each_block() {
        let (k, n) = (258, 18);
        let data: Vec<f32> = (0..2 * k * n).map(|i| i as f32 + 1.0).collect();
        let p = Panels::pack(2, k, n, |i| Matrix { data: &data[i * k * n..], row: n, column: 1 });
        assert_eq!((p.k(), p.n(), p.panels()), (258, 18, 2));
        let at = |m: usize, row: usize, column: usize| data[(m * k + row) * n + column];
        for (m, start, length) in [(0, 0, 256), (1, 256, 2)] {
            for panel in 0..2 {
                let b = p.block(m, start, length, panel, 1);
                for r in 0..length {
                    for c in 0..16 {
                        let column = panel * 16 + c;
                        let want = if column < n { at(m, start + r, column) } else { 0.0 };
                        assert_eq!(b[r * 16 + c], want);
                    }
                }
            }
        }
        assert_eq!(p.lines.as_slice().as_ptr() as usize % 64, 0);
        // The transposed reading of a transposed matrix gives the same.
        let flipped: Vec<f32> = (0..k * n).map(|i| at(0, i % k, i / k)).collect();
        let q = Panels::pack(1, k, n, |_| Matrix { data: &flipped, row: 1, column: k });
        assert_eq!(q.lines.as_slice(), &p.lines.as_slice()[..k * 32]);
    }

    #[test]
    fn empty_matrices() {
        for (count, k, n) in [(0, 3, 3), (1, 0, 3), (1, 3, 0)] {
            let p = Panels::pack(count, k, n, |_| Matrix { data: &[], row: n, column: 1 });
            assert!(p.lines.as_slice().is_empty());
        }
    }
}
