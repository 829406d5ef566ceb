//! The left side of a contraction of integers: rows of 16-bit integers, pairs along k in 32-bit words.

use super::kernel::max_rows;
use crate::fast::level::Level;

/// Some rows, tile after tile, each `[pair][row of the tile]`.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// First row and number of rows of each tile.
    pub(crate) tiles: Vec<(usize, usize)>,
    pairs: usize,
    words: Vec<i32>,
    /// Sums of each row's segments, `[row][segment]`.
    sums: Vec<i32>,
    segments: usize,
}

impl Left {
    /// Lays out `rows` rows of `k` integers; `fill(row, out)` writes one. `segment`: length along k of the parts whose sums
    /// are wanted, 0 for none.
    pub(crate) fn pack(
        &mut self,
        level: Level,
        rows: usize,
        k: usize,
        segment: usize,
        mut fill: impl FnMut(usize, &mut [i16]),
    ) {
        let pairs = k.div_ceil(2);
        self.pairs = pairs;
        self.segments = if segment == 0 { 0 } else { k.div_ceil(segment) };
        self.tiles.clear();
        self.sums.clear();
        self.words.resize(rows * pairs, 0);
        let count = rows.div_ceil(max_rows(level));
        // Tiles of nearly equal size: thirteen and thirteen rather than fourteen and twelve.
        let mut next = 0;
        for i in 0..count {
            let n = rows / count + usize::from(i < rows % count);
            self.tiles.push((next, n));
            next += n;
        }
        let mut row = vec![0i16; 2 * pairs];
        for &(first, n) in &self.tiles {
            let tile = &mut self.words[first * pairs..(first + n) * pairs];
            for r in 0..n {
                fill(first + r, &mut row[..k]);
                if segment > 0 {
                    self.sums.extend(row[..k].chunks(segment).map(sum));
                }
                let words = tile.iter_mut().skip(r).step_by(n);
                for (word, pair) in words.zip(row.as_chunks::<2>().0) {
                    *word = i32::from(pair[0] as u16) | i32::from(pair[1]) << 16;
                }
            }
        }
    }

    /// The words of a tile from pair `pair` on.
    pub(crate) fn tile(&self, (first, n): (usize, usize), pair: usize) -> &[i32] {
        &self.words[first * self.pairs + pair * n..(first + n) * self.pairs]
    }

    /// The sum of a segment of a row.
    pub(crate) fn sum(&self, row: usize, segment: usize) -> i32 {
        self.sums[row * self.segments + segment]
    }
}

/// The sum of a segment: at most 256 values of 16 bits, or 33,025 of 9 bits, so that nothing wraps.
fn sum(values: &[i16]) -> i32 {
    values.iter().fold(0, |sum, x| sum.wrapping_add(i32::from(*x)))
}
