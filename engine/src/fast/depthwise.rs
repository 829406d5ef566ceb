//! Conv with one channel a group in and out: SIMD lanes are output positions.

use super::Threads;
use super::fuse::After;
use super::kernel;
use super::level::Level;
use super::sheet::Sheet;
use crate::ops::contraction::BLOCK;
use crate::ops::conv::Sizes;

/// Elements that are handed on together, so that small planes are not handed on one by one.
const TOGETHER: usize = 1 << 12;

/// Whether a convolution is of this kind.
pub(crate) fn applies(groups: usize, channels: usize, filters: usize) -> bool {
    channels == 1 && groups == filters
}

#[allow(clippy::too_many_arguments)]
/// Writes all planes of the output: S1 in each position, blocks of taps, each from +0, each then added to the total.
pub(crate) fn run(
    level: Level,
    s: &Sizes,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
    threads: &Threads,
    after: Option<After<'_>>,
) -> Result<(), &'static str> {
    let positions: usize = s.output.iter().product();
    let work = (out.len() as u64).saturating_mul(s.k() as u64);
    let plane: usize = s.input.iter().product();
    let k = s.k();
    let sheet = Sheet::new(&s.axes, s.input, s.output, 0.0, usize::MAX).ok_or("a convolution that is none")?;
    threads.split(out, positions, work, |first, out| {
        let mut sheet = sheet.clone();
        let mut sums = vec![0.0; sheet.positions()];
        let mut block = vec![0.0; if k > BLOCK { sums.len() } else { 0 }];
        let mut done = 0;
        for i in 0..out.len() / positions {
            let (number, channel) = (first + i, (first + i) % s.groups);
            let end = (i + 1) * positions;
            let all = &mut *out;
            let out = &mut all[i * positions..end];
            sheet.load(&x[number * plane..][..plane]);
            let taps = weight[channel * k..][..k].chunks(BLOCK).zip(sheet.places().chunks(BLOCK));
            for (b, (weights, places)) in taps.enumerate() {
                if b == 0 {
                    kernel::sliding_sums(level, sheet.data(), places, weights, &mut sums);
                } else {
                    kernel::sliding_sums(level, sheet.data(), places, weights, &mut block);
                    sums.iter_mut().zip(&block).for_each(|(o, x)| *o += *x);
                }
            }
            let lines = out.chunks_exact_mut(s.output[2]).zip(sheet.lines(&sums));
            match bias {
                Some(b) => lines.for_each(|(o, x)| o.iter_mut().zip(x).for_each(|(o, x)| *o = *x + b[channel])),
                None => lines.for_each(|(o, x)| o.copy_from_slice(x)),
            }
            // Some planes at a time, while they are in the first cache.
            if let Some(after) = after.filter(|_| end - done >= TOGETHER || end == all.len()) {
                after(first * positions + done, &mut all[done..end]);
                done = end;
            }
        }
    })
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
