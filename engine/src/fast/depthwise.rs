//! Conv with one channel a group in and out: SIMD lanes are output positions of a line.

use super::Threads;
use super::conv::Padded;
use super::kernel;
use super::level::Level;
use crate::ops::contraction::BLOCK;
use crate::ops::conv::Sizes;

/// Positions of a line that are computed at a time; three such lines fit the first-level cache.
const POSITIONS: usize = 512;

/// Whether a convolution is of this kind.
pub(crate) fn applies(groups: usize, channels: usize, filters: usize) -> bool {
    channels == 1 && groups == filters
}

/// Writes all planes of the output.
pub(crate) fn run(
    level: Level,
    s: &Sizes,
    x: &Padded<'_>,
    weight: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
    threads: &Threads,
) -> Result<(), &'static str> {
    let positions: usize = s.output.iter().product();
    let work = (out.len() as u64).saturating_mul(s.k() as u64);
    let plane: usize = x.size.iter().product();
    let k = s.k();
    threads.split(out, positions, work, |first, out| {
        let mut line = Line::new(s.output[2].min(POSITIONS));
        for (i, out) in out.chunks_exact_mut(positions).enumerate() {
            let (number, channel) = (first + i, (first + i) % s.groups);
            let x_plane = &x.data[number * plane..][..plane];
            let weight = &weight[channel * k..][..k];
            for (l, out) in out.chunks_exact_mut(s.output[2]).enumerate() {
                let (z, y) = (l / s.output[1], l % s.output[1]);
                for (part, out) in out.chunks_mut(POSITIONS).enumerate() {
                    line.run(level, s, x, x_plane, weight, [z, y, part * POSITIONS], out);
                }
            }
            if let Some(b) = bias {
                out.iter_mut().for_each(|o| *o += b[channel]);
            }
        }
    })
}

/// Memory for a part of a line of the output.
struct Line {
    /// Inputs of one tap, where they do not lie side by side.
    gathered: Vec<f32>,
    /// Sums of the block under way.
    block: Vec<f32>,
}

impl Line {
    fn new(length: usize) -> Self {
        Self { gathered: vec![0.0; length], block: vec![0.0; length] }
    }

    /// S1 of a part of one line: blocks of taps, each from +0, each then added to the total.
    #[allow(clippy::too_many_arguments)]
    fn run(
        &mut self,
        level: Level,
        s: &Sizes,
        x: &Padded<'_>,
        plane: &[f32],
        weight: &[f32],
        [z, y, first]: [usize; 3],
        out: &mut [f32],
    ) {
        let [_, kh, kw] = s.axes.map(|a| a.kernel as usize);
        let [az, ay, ax] = s.axes;
        let stride = ax.stride as usize;
        for (b, taps) in weight.chunks(BLOCK).enumerate() {
            let length = out.len();
            let sums = if b == 0 { &mut *out } else { &mut self.block[..length] };
            sums.fill(0.0);
            for (i, w) in taps.iter().enumerate() {
                let k = b * BLOCK + i;
                let row = z * az.stride as usize + k / (kh * kw) * az.dilation as usize;
                let column = y * ay.stride as usize + k / kw % kh * ay.dilation as usize;
                let at = (row * x.size[1] + column) * x.size[2] + first * stride + k % kw * ax.dilation as usize;
                if stride == 1 {
                    kernel::multiply_add(level, &plane[at..at + sums.len()], *w, sums);
                } else {
                    let from = plane[at..].iter().step_by(stride);
                    let gathered = &mut self.gathered[..length];
                    gathered.iter_mut().zip(from).for_each(|(g, x)| *g = *x);
                    kernel::multiply_add(level, gathered, *w, sums);
                }
            }
            if b > 0 {
                out.iter_mut().zip(&self.block).for_each(|(o, x)| *o += *x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fast::testing::{Values, agree};
    use crate::ops::conv::Conv;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn one_channel_a_group() {
        let rng = &mut ChaCha8Rng::seed_from_u64(4);
        for (kernel, stride, dilation, pad, width) in [
            (3, 1, 1, 1, 40),
            (3, 2, 1, 1, 41),
            (5, 1, 2, 4, 19),
            (17, 1, 1, 8, 20),
            (1, 3, 1, 0, 50),
            (2, 1, 1, 0, 600),
            (2, 2, 1, 1, 1300),
        ] {
            for values in [Values::Wide, Values::Special] {
                let op = Conv {
                    groups: 3,
                    strides: vec![1, stride],
                    dilations: vec![1, dilation],
                    pads_begin: vec![pad, pad],
                    pads_end: vec![pad, pad],
                };
                let x = values.tensor(rng, &[2, 3, 18, width]);
                let w = values.tensor(rng, &[3, 1, kernel, kernel]);
                agree(&op.clone().into(), &[&x, &w], 1);
                agree(&op.into(), &[&x, &w, &values.tensor(rng, &[3])], 1);
            }
        }
    }
}
