//! A plane laid out so that a window's tap is one distance for all positions: then sixteen lanes are any sixteen
//! positions, whatever the line's length.
//!
//! With strides the plane falls into phases, coordinates of one remainder each, which lie one after the other; position
//! (z, y, x) of each of them stands under the output's. Between the output's lines stand sums that mean nothing.

use crate::ops::conv::{Axis, SheetSize};

/// Positions that a kernel computes together.
pub(crate) const STEP: usize = crate::ops::conv::STEP as usize;

/// One plane with its border.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    data: Vec<f32>,
    /// Where the lines of the input start, where some window reaches them.
    lines: Vec<Option<usize>>,
    /// Elements of a line that some window reaches: where they stand in the line, and here.
    elements: Vec<(usize, usize)>,
    /// Elements of a line of the input.
    width: usize,
    places: Vec<usize>,
    output: [usize; 3],
    positions: usize,
    /// Length of a line and number of lines between those of neighbouring z.
    pitch: [usize; 2],
}

/// The coordinates of one axis.
struct Coordinates {
    stride: u64,
    /// Remainders that a tap has, ascending.
    phases: Vec<u64>,
    /// Coordinates of a phase.
    length: usize,
}

impl Coordinates {
    fn new(a: &Axis, length: u64) -> Option<Self> {
        let stride = a.stride.max(1);
        let mut phases = Vec::new();
        // More phases than the stride has there are not.
        for t in 0..a.kernel.min(stride) {
            phases.push(t.checked_mul(a.dilation)? % stride);
        }
        phases.sort_unstable();
        phases.dedup();
        Some(Self { stride, phases, length: usize::try_from(length).ok()? })
    }

    /// Number of the phase, and place in it.
    fn of(&self, coordinate: u64) -> Option<(usize, usize)> {
        let phase = self.phases.binary_search(&(coordinate % self.stride)).ok()?;
        let at = usize::try_from(coordinate / self.stride).ok()?;
        (at < self.length).then_some((phase, at))
    }
}

impl Sheet {
    /// For windows along `axes`; `None` where it, or a window, would hold more than `most` elements. The border has this value.
    pub(crate) fn new(
        axes: &[Axis; 3],
        input: [usize; 3],
        output: [usize; 3],
        border: f32,
        most: usize,
    ) -> Option<Self> {
        // Before anything is as long as a window: a hostile one may be longer than any plane.
        axes.iter().try_fold(1u64, |n, a| n.checked_mul(a.kernel)).filter(|n| *n <= most as u64)?;
        let size = SheetSize::of(axes, output.map(|n| n as u64))?;
        let count = usize::try_from(size.elements).ok().filter(|n| *n <= most)?;
        let [z, y, x] = [0, 1, 2].map(|i| Coordinates::new(&axes[i], size.lengths[i]));
        let c = [z?, y?, x?];
        let phase = c.iter().try_fold(1usize, |n, c| n.checked_mul(c.length))?;
        debug_assert_eq!(count, c.iter().fold(phase, |n, c| n * c.phases.len()));
        let pitch = [c[2].length, c[1].length];
        // What a phase and a place along each axis add to the distance from the start.
        let steps = [
            (c[1].phases.len() * c[2].phases.len() * phase, pitch[0] * pitch[1]),
            (c[2].phases.len() * phase, pitch[0]),
            (phase, 1),
        ];
        let place = |i: usize, coordinate: u64| -> Option<usize> {
            let (p, at) = c[i].of(coordinate)?;
            Some(p * steps[i].0 + at * steps[i].1)
        };
        let of_input = |i: usize, at: usize| place(i, axes[i].begin.checked_add(at as u64)?);
        let mut lines = Vec::new();
        for z in 0..input[0] {
            let z = of_input(0, z);
            lines.extend((0..input[1]).map(|y| Some(z? + of_input(1, y)?)));
        }
        let elements = (0..input[2]).filter_map(|x| Some((x, of_input(2, x)?))).collect();
        let mut places = Vec::new();
        for z in 0..axes[0].kernel {
            for y in 0..axes[1].kernel {
                for x in 0..axes[2].kernel {
                    let at = |i: usize, t: u64| place(i, t.checked_mul(axes[i].dilation)?);
                    places.push(at(0, z)? + at(1, y)? + at(2, x)?);
                }
            }
        }
        let data = vec![border; count + STEP];
        let positions = usize::try_from(size.positions).ok()?;
        Some(Self { data, lines, elements, width: input[2], places, output, pitch, positions })
    }

    /// Takes in a plane of the input.
    pub(crate) fn load(&mut self, plane: &[f32]) {
        let Some(&(first, start)) = self.elements.first() else { return };
        let whole = self.elements.iter().enumerate().all(|(i, e)| *e == (first + i, start + i));
        for (line, to) in plane.chunks_exact(self.width).zip(&self.lines) {
            let Some(to) = *to else { continue };
            if whole {
                let n = self.elements.len();
                self.data[to + start..][..n].copy_from_slice(&line[first..first + n]);
            } else {
                self.elements.iter().for_each(|(from, at)| self.data[to + at] = line[*from]);
            }
        }
    }

    /// The laid out plane: what is `place + i` along it is the tap of position i.
    pub(crate) fn data(&self) -> &[f32] {
        &self.data
    }

    /// The places of the taps, row-major.
    pub(crate) fn places(&self) -> &[usize] {
        &self.places
    }

    /// Positions from the first to the last of the output, in whole steps.
    pub(crate) fn positions(&self) -> usize {
        self.positions
    }

    /// The output's lines among the positions.
    pub(crate) fn lines<'a>(&self, positions: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        let ([_, h, w], [line, lines]) = (self.output, self.pitch);
        (0..self.output[0] * h).map(move |i| &positions[(i / h * lines + i % h) * line..][..w])
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn every_tap_of_every_position_is_the_input_s_or_the_border_s() {
        let rng = &mut ChaCha8Rng::seed_from_u64(5);
        for _ in 0..300 {
            let axes: [Axis; 3] = std::array::from_fn(|_| Axis {
                kernel: rng.random_range(1..4),
                stride: rng.random_range(1..5),
                dilation: rng.random_range(1..4),
                begin: rng.random_range(0..3),
                end: 0,
            });
            let output = [0; 3].map(|_| rng.random_range(1..5usize));
            // Windows may end before the input does, or after it.
            let input = [0; 3].map(|_| rng.random_range(0..9usize));
            let plane: Vec<f32> = (0..input.iter().product()).map(|i| i as f32).collect();
            let mut sheet = Sheet::new(&axes, input, output, -1.0, 1 << 20).unwrap();
            sheet.load(&plane);
            let numbers: Vec<f32> = (0..sheet.positions()).map(|i| i as f32).collect();
            for (line, positions) in sheet.lines(&numbers).enumerate() {
                for (x, position) in positions.iter().enumerate() {
                    for (t, place) in sheet.places().iter().enumerate() {
                        let [_, kh, kw] = axes.map(|a| a.kernel as usize);
                        let windows = [line / output[1], line % output[1], x];
                        let taps = [t / (kh * kw), t / kw % kh, t % kw];
                        let at: Option<Vec<usize>> = (0..3)
                            .map(|i| {
                                let a = axes[i];
                                let at = windows[i] * a.stride as usize + taps[i] * a.dilation as usize;
                                at.checked_sub(a.begin as usize).filter(|at| *at < input[i])
                            })
                            .collect();
                        let want = at.map_or(-1.0, |at| plane[(at[0] * input[1] + at[1]) * input[2] + at[2]]);
                        assert_eq!(sheet.data()[place + *position as usize], want);
                    }
                }
            }
        }
    }

    #[test]
    fn a_window_longer_than_memory_is_no_sheet() {
        let far = Axis { kernel: u64::from(u32::MAX), stride: 1, dilation: 1, begin: 0, end: 0 };
        assert!(Sheet::new(&[far; 3], [1; 3], [1; 3], 0.0, 1 << 16).is_none());
        let wide = Axis { kernel: 2, stride: u64::MAX, dilation: u64::MAX, begin: 0, end: 0 };
        assert!(Sheet::new(&[Axis::UNIT, Axis::UNIT, wide], [1; 3], [1; 3], 0.0, 1 << 16).is_some());
    }
}
