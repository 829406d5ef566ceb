//! S1 for many outputs: rows from anywhere times panels.

use super::kernel::{MAX_PANELS, MAX_ROWS, Tile, max_panels, max_rows, tile};
use super::level::Level;
use super::panels::{LANES, Lines, Matrix, Panels};
use crate::ops::contraction::BLOCK;

/// Tiles of rows that are laid out at a time; with a block of k their left sides fit the second-level cache.
pub(crate) const TILES: usize = 12;

/// The left side of a contraction.
pub(crate) trait Rows {
    /// Lays out `rows` rows from `row` on, `length` along k from `k` on, as `[k][rows]`.
    fn pack(&self, row: usize, rows: usize, k: usize, length: usize, out: &mut [f32]);
}

impl Rows for Matrix<'_> {
    fn pack(&self, row: usize, rows: usize, k: usize, length: usize, out: &mut [f32]) {
        if rows == 1 && self.column == 1 {
            let at = row * self.row + k;
            out.copy_from_slice(&self.data[at..at + length]);
            return;
        }
        if self.row == 1 {
            for (i, out) in out.chunks_exact_mut(rows).enumerate() {
                let at = row + (k + i) * self.column;
                out.copy_from_slice(&self.data[at..at + rows]);
            }
            return;
        }
        for r in 0..rows {
            let from = &self.data[(row + r) * self.row + k * self.column..];
            let out = out[r..].iter_mut().step_by(rows);
            if self.column == 1 {
                out.zip(&from[..length]).for_each(|(o, x)| *o = *x);
            } else {
                out.zip(from.iter().step_by(self.column)).take(length).for_each(|(o, x)| *o = *x);
            }
        }
    }
}

/// Which outputs a call computes.
pub(crate) struct Part {
    /// First row.
    pub(crate) row: usize,
    /// Number of rows.
    pub(crate) rows: usize,
    /// The matrix on the right.
    pub(crate) matrix: usize,
    /// First panel of it.
    pub(crate) panel: usize,
    /// Number of columns from there.
    pub(crate) columns: usize,
}

/// Memory that calls share.
#[derive(Default)]
pub(crate) struct Scratch(Lines);

/// Writes S1 of `part` to the rows of `out`, which are `stride` apart. A stride of whole panels says that the
/// zero columns of the last panel may be written too; otherwise only `part.columns` of a row are.
pub(crate) fn gemm(
    level: Level,
    a: &impl Rows,
    b: &Panels,
    part: &Part,
    out: &mut [f32],
    stride: usize,
    scratch: &mut Scratch,
) {
    let &Part { row, rows, matrix, panel, columns } = part;
    if b.k() == 0 {
        out.chunks_mut(stride.max(1)).take(rows).for_each(|o| o[..columns].fill(0.0));
        return;
    }
    let writable = if stride.is_multiple_of(LANES) { stride } else { columns };
    let chunk = (TILES * max_rows(level)).min(rows);
    if scratch.0.as_slice().len() < chunk * BLOCK.min(b.k()) {
        scratch.0 = Lines::zeros(chunk * BLOCK.min(b.k()));
    }
    for start in (0..rows).step_by(chunk.max(1)) {
        let chunk = chunk.min(rows - start);
        let tiles = Tiles::new(chunk, max_rows(level));
        let widest = max_panels(level, tiles.longest());
        for k in (0..b.k()).step_by(BLOCK) {
            let length = BLOCK.min(b.k() - k);
            let left = &mut scratch.0.as_mut_slice()[..chunk * length];
            for (r, n) in tiles.iter() {
                a.pack(row + start + r, n, k, length, &mut left[r * length..(r + n) * length]);
            }
            let mut p = 0;
            let end = columns.div_ceil(LANES);
            while p < end {
                // The largest power of two that is left.
                let panels = widest.min(1 << (end - p).ilog2());
                let right = b.block(matrix, k, length, panel + p, panels);
                for (r, n) in tiles.iter() {
                    let a = &left[r * length..(r + n) * length];
                    let t = Tile { rows: n, panels, length, a, step: n, b: right, first: k == 0 };
                    let out = &mut out[(start + r) * stride + p * LANES..];
                    if (p + panels) * LANES <= writable {
                        tile(level, &t, out, stride);
                    } else {
                        edge(level, &t, out, stride, columns - p * LANES);
                    }
                }
                p += panels;
            }
        }
    }
}

/// A tile whose last panel is wider than the output.
pub(crate) fn edge(level: Level, t: &Tile<'_>, out: &mut [f32], stride: usize, columns: usize) {
    const WIDTH: usize = MAX_PANELS * LANES;
    let mut whole = [0.0f32; MAX_ROWS * WIDTH];
    if !t.first {
        for r in 0..t.rows {
            whole[r * WIDTH..r * WIDTH + columns].copy_from_slice(&out[r * stride..r * stride + columns]);
        }
    }
    tile(level, t, &mut whole, WIDTH);
    for r in 0..t.rows {
        out[r * stride..r * stride + columns].copy_from_slice(&whole[r * WIDTH..r * WIDTH + columns]);
    }
}

/// Rows divided into tiles of nearly equal size: thirteen and thirteen rather than fourteen and twelve.
struct Tiles {
    rows: usize,
    count: usize,
}

impl Tiles {
    fn new(rows: usize, most: usize) -> Self {
        Self { rows, count: rows.div_ceil(most) }
    }

    fn longest(&self) -> usize {
        self.rows.div_ceil(self.count.max(1))
    }

    /// First row and number of rows of each; the longer ones first.
    fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        let (each, longer) = (self.rows / self.count.max(1), self.rows % self.count.max(1));
        (0..self.count).map(move |i| (i * each + i.min(longer), each + usize::from(i < longer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_rows_evenly() {
        for rows in 1..60 {
            for most in [4, 6, 14] {
                let tiles = Tiles::new(rows, most);
                let mut next = 0;
                for (r, n) in tiles.iter() {
                    assert_eq!(r, next);
                    assert!(n >= 1 && n <= tiles.longest() && n + 1 >= tiles.longest());
                    next = r + n;
                }
                assert_eq!(next, rows);
                assert!(tiles.longest() <= most);
            }
        }
    }
}
