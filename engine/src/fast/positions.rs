//! Conv whose SIMD lanes are output positions: sums stand as the result's planes do, so that nothing has to be turned. For
//! planes that fill whole vectors; the others are computed with channels in the lanes.
//!
//! The left side are the filters, as they stand in their panels; the right side is the input, unfolded block by block into
//! panels of sixteen positions, as runs of neighbours wherever positions have their taps side by side.

use super::gemm::edge;
use super::kernel::{Tile, max_panels, max_rows, tile};
use super::level::Level;
use super::panels::{LANES, Lines, Panels};
use crate::ops::contraction::BLOCK;

/// Positions that are unfolded at a time: whole panels, at most as many as [`crate::ops::conv::POSITIONS`] counts.
const TOGETHER: usize = 160;

/// Whether planes of so many positions fill their vectors, and there are filters enough to be worth unfolding them.
pub(super) fn applies(positions: usize, filters: usize) -> bool {
    let lanes = positions.next_multiple_of(LANES);
    positions >= 4 * LANES && filters >= 8 && positions * 10 >= lanes * 9
}

/// Planes of the input, with their border.
pub(super) struct Planes<'a> {
    pub(super) data: &'a [f32],
    /// Where the taps of a position lie, from its first one.
    pub(super) taps: &'a [usize],
}

/// Which outputs a call computes: all positions of some filters of a group, from a whole panel on.
pub(super) struct Part {
    pub(super) group: usize,
    pub(super) panel: usize,
    pub(super) filters: usize,
    pub(super) positions: usize,
}

/// Neighbours in a panel whose taps lie side by side.
#[derive(Debug, Clone, Copy)]
struct Run {
    lane: usize,
    length: usize,
    from: usize,
}

/// Writes S1 of `part` to the planes of `out`; `place` tells where the first tap of a position lies.
pub(super) fn run(
    level: Level,
    planes: &Planes<'_>,
    weights: &Panels,
    part: &Part,
    place: impl Fn(usize) -> usize,
    out: &mut [f32],
) {
    let (k_total, stride) = (weights.k(), part.positions);
    let most = TOGETHER.min(part.positions.next_multiple_of(LANES));
    // What a run writes beyond its panel is written again, but for the last one's.
    let mut right = Lines::zeros(most * BLOCK.min(k_total) + LANES);
    let rows = match max_rows(level) {
        0..8 => 4,
        _ => 8,
    };
    let widest = max_panels(level, rows);
    let mut runs: Vec<Vec<Run>> = Vec::new();
    for start in (0..part.positions).step_by(TOGETHER) {
        let count = TOGETHER.min(part.positions - start);
        runs.clear();
        runs.extend((0..count).step_by(LANES).map(|p| of_panel(start + p, LANES.min(count - p), &place)));
        for k in (0..k_total).step_by(BLOCK) {
            let length = BLOCK.min(k_total - k);
            let taps = &planes.taps[k..k + length];
            for (p, runs) in runs.iter().enumerate() {
                let to = &mut right.as_mut_slice()[p * length * LANES..][..(length + 1) * LANES];
                unfold(level, planes.data, taps, runs, to);
            }
            for row in (0..part.filters).step_by(rows) {
                let filters = weights.block(part.group, k, length, part.panel + row / LANES, 1);
                let rows = rows.min(part.filters - row);
                let mut p = 0;
                while p < runs.len() {
                    // The largest power of two that is left.
                    let panels = widest.min(1 << (runs.len() - p).ilog2());
                    let b = &right.as_slice()[p * length * LANES..(p + panels) * length * LANES];
                    let a = &filters[row % LANES..];
                    let t = Tile { rows, panels, length, a, step: LANES, b, first: k == 0 };
                    let out = &mut out[row * stride + start + p * LANES..];
                    let columns = count - p * LANES;
                    if columns >= panels * LANES {
                        tile(level, &t, out, stride);
                    } else {
                        edge(level, &t, out, stride, columns);
                    }
                    p += panels;
                }
            }
        }
    }
}

/// The runs of the panel from position `first` on.
fn of_panel(first: usize, positions: usize, place: impl Fn(usize) -> usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for lane in 0..positions {
        let from = place(first + lane);
        match runs.last_mut() {
            Some(r) if r.from + r.length == from => r.length += 1,
            _ => runs.push(Run { lane, length: 1, from }),
        }
    }
    runs
}

#[inline(always)]
fn unfold_loop(data: &[f32], taps: &[usize], runs: &[Run], out: &mut [f32]) {
    let apart = runs.iter().all(|r| r.length == 1);
    for (i, tap) in taps.iter().enumerate() {
        // Room for a whole vector from any lane on; what lies beyond is written later.
        let out = &mut out[i * LANES..(i + 2) * LANES];
        if apart {
            out.iter_mut().zip(runs).for_each(|(o, r)| *o = data[tap + r.from]);
            continue;
        }
        for r in runs {
            let from = tap + r.from;
            match data.get(from..from + LANES) {
                Some(x) => out[r.lane..r.lane + LANES].copy_from_slice(x),
                None => out[r.lane..r.lane + r.length].copy_from_slice(&data[from..from + r.length]),
            }
        }
    }
}

super::level::at_every_level! {
    /// One panel of one block: `out` is `[k][16]` and a line more.
    unfold(data: &[f32], taps: &[usize], runs: &[Run], out: &mut [f32]) = unfold_loop
}
