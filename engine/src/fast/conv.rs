//! Conv: the input is unfolded block by block while it is laid out for the tile, never as a whole.

use std::borrow::Cow;

use super::fuse::After;
use super::gemm::{self, Rows, Scratch, gemm};
use super::kernel::MAX_ROWS;
use super::level::Level;
use super::panels::{LANES, Lines, Matrix, Panels};
use super::positions::{self, Part, Planes};
use super::{Failure, Threads, depthwise, spare};
use crate::ops::conv::{Conv, Sizes};
use crate::ops::shape::known_shape;
use crate::tensor::{Data, Tensor, TensorType};

/// Positions whose sums are held before they are written channel by channel.
const POSITIONS: usize = crate::ops::conv::POSITIONS as usize;

/// Elements that are handed on together where something follows.
const TOGETHER: usize = 1 << 15;

/// Number, rows and columns of the weight's matrices: one (K, M / groups) for each group; `None` where the kernel for one
/// channel takes the weight as it is.
pub(crate) fn layout(op: &Conv, w: &Tensor) -> Option<[usize; 3]> {
    let (groups, filters) = (op.groups as usize, *w.shape.first()?);
    if groups == 0 || filters % groups != 0 || depthwise::applies(groups, *w.shape.get(1)?, filters) {
        return None;
    }
    // Without filters the product of the rest may be anything.
    let k = if filters == 0 { 0 } else { w.shape[1..].iter().product() };
    Some([groups, k, filters / groups])
}

/// The weight in panels.
pub(crate) fn prepare(op: &Conv, w: &Tensor) -> Option<Panels> {
    let [groups, k, filters] = layout(op, w)?;
    panels(groups, filters, k, w.as_f32()?)
}

fn panels(groups: usize, filters: usize, k: usize, w: &[f32]) -> Option<Panels> {
    Some(Panels::pack(groups, k, filters, |g| Matrix { data: &w[g * filters * k..], row: 1, column: k }))
}

/// The input with its border, and the spatial sizes that then are.
pub(crate) struct Padded<'a> {
    /// Planes of all channels of all images.
    pub(crate) data: Cow<'a, [f32]>,
    /// Spatial sizes of a plane.
    pub(crate) size: [usize; 3],
}

impl<'a> Padded<'a> {
    pub(crate) fn new(x: &'a [f32], s: &Sizes) -> Self {
        let begin = s.axes.map(|a| a.begin as usize);
        let size = [0, 1, 2].map(|i| s.input[i] + begin[i] + s.axes[i].end as usize);
        if size == s.input {
            return Self { data: Cow::Borrowed(x), size };
        }
        let planes = s.images * s.groups * s.channels;
        let mut data = spare::zeroed(planes * size[0] * size[1] * size[2]);
        let [d, h, w] = s.input;
        if w > 0 {
            for (i, line) in x.chunks_exact(w).enumerate() {
                let (plane, z, y) = (i / (d * h), i / h % d + begin[0], i % h + begin[1]);
                let at = ((plane * size[0] + z) * size[1] + y) * size[2] + begin[2];
                data[at..at + w].copy_from_slice(line);
            }
        }
        Self { data: Cow::Owned(data), size }
    }
}

/// The unfolded input of one image and group: row = output position, column = tap.
struct Unfolded<'a> {
    /// The group's planes.
    data: &'a [f32],
    /// Where the taps of a position lie, from its first one.
    taps: &'a [usize],
    /// Spatial sizes of the planes.
    size: [usize; 3],
    strides: [usize; 3],
    output: [usize; 3],
}

impl Unfolded<'_> {
    /// Where the first tap of a position lies.
    fn at(&self, position: usize) -> usize {
        let [_, h, w] = self.output;
        let (z, y, x) = (position / (h * w), position / w % h, position % w);
        ((z * self.strides[0] * self.size[1]) + y * self.strides[1]) * self.size[2] + x * self.strides[2]
    }

    /// Positions that lie side by side in the input, as most do where the stride is 1.
    fn side_by_side<const ROWS: usize>(&self, at: usize, taps: &[usize], out: &mut [f32]) {
        for (out, tap) in out.as_chunks_mut::<ROWS>().0.iter_mut().zip(taps) {
            out.copy_from_slice(&self.data[at + tap..][..ROWS]);
        }
    }
}

impl Rows for Unfolded<'_> {
    fn pack(&self, row: usize, rows: usize, k: usize, length: usize, out: &mut [f32]) {
        let taps = &self.taps[k..k + length];
        let (first, last) = (self.at(row), self.at(row + rows - 1));
        // Places ascend with the position, so that first and last say it of all.
        if last - first == rows - 1 {
            macro_rules! dispatch {
                ($($n:literal)+) => {
                    match rows {
                        $($n => return self.side_by_side::<$n>(first, taps, out),)+
                        _ => {}
                    }
                };
            }
            dispatch!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        }
        let mut places = [0usize; MAX_ROWS];
        for (i, p) in places[..rows].iter_mut().enumerate() {
            *p = self.at(row + i);
        }
        for (out, tap) in out.chunks_exact_mut(rows).zip(taps) {
            for (out, place) in out.iter_mut().zip(&places[..rows]) {
                *out = self.data[place + tap];
            }
        }
    }
}

/// Runs a Conv with at least one tap.
#[allow(clippy::too_many_arguments)]
pub(crate) fn run(
    op: &Conv,
    level: Level,
    prepared: Option<&Panels>,
    inputs: [&Tensor; 2],
    bias: Option<&Tensor>,
    output: &TensorType,
    threads: &Threads,
    after: Option<After<'_>>,
) -> Result<Tensor, Failure> {
    const TYPES: Failure = Failure::Environment("a convolution met other types than were inferred");
    let [x, w] = inputs;
    let shape = known_shape(output);
    let mut out = spare::zeroed(shape.iter().product());
    if out.is_empty() {
        return Ok(Tensor { shape, data: Data::F32(out) });
    }
    let s = op.sizes(&x.shape, &w.shape, &shape).ok_or(TYPES)?;
    let (data, weight) = (x.as_f32().ok_or(TYPES)?, w.as_f32().ok_or(TYPES)?);
    let bias = match bias {
        Some(b) => Some(b.as_f32().ok_or(TYPES)?),
        None => None,
    };
    if depthwise::applies(s.groups, s.channels, s.groups * s.filters) {
        depthwise::run(level, &s, data, weight, bias, &mut out, threads, after).map_err(Failure::Environment)?;
        return Ok(Tensor { shape, data: Data::F32(out) });
    }
    let padded = Padded::new(data, &s);
    let own;
    let panels = match prepared {
        Some(p) => p,
        None => {
            own = panels(s.groups, s.filters, s.k(), weight).ok_or(TYPES)?;
            &own
        }
    };
    let taps = taps(&s, &padded.size);
    let positions: usize = s.output.iter().product();
    let work = (out.len() as u64).saturating_mul(s.k() as u64);
    // Channels that a thread takes at least: those of an image; where there are fewer images than threads, a panel of
    // them, or where panels do not divide the channels, a group.
    let all = s.groups * s.filters;
    let unit = if s.images >= threads.count() {
        all
    } else if s.filters.is_multiple_of(LANES) || (s.images == 1 && s.groups == 1) {
        LANES.min(all)
    } else {
        s.filters
    };
    let job = Job { level, s: &s, padded: &padded, taps: &taps, panels, bias, positions };
    threads
        .split(&mut out, unit * positions, work, |first, out| {
            let Some(after) = after else { return job.run(first * unit / all, first * unit % all, out) };
            // Some images at a time, which are handed on while they are in a cache; a part of one is not cut further,
            // since it would be unfolded again.
            let some = if unit == all { TOGETHER.div_ceil(unit * positions) } else { out.len() };
            let some = some.min(out.len() / (unit * positions));
            for (i, out) in out.chunks_mut(some * unit * positions).enumerate() {
                let channel = (first + i * some) * unit;
                job.run(channel / all, channel % all, out);
                after(channel * positions, out);
            }
        })
        .map_err(Failure::Environment)?;
    if let Cow::Owned(border) = padded.data {
        spare::keep_floats(border);
    }
    Ok(Tensor { shape, data: Data::F32(out) })
}

/// Offsets of the taps, in the order of k: channel, then kernel position.
fn taps(s: &Sizes, size: &[usize; 3]) -> Vec<usize> {
    let [kd, kh, kw] = s.axes.map(|a| a.kernel as usize);
    let [dd, dh, dw] = s.axes.map(|a| a.dilation as usize);
    let mut taps = Vec::with_capacity(s.k());
    for c in 0..s.channels {
        for z in 0..kd {
            for y in 0..kh {
                for x in 0..kw {
                    taps.push(((c * size[0] + z * dd) * size[1] + y * dh) * size[2] + x * dw);
                }
            }
        }
    }
    taps
}

struct Job<'a> {
    level: Level,
    s: &'a Sizes,
    padded: &'a Padded<'a>,
    taps: &'a [usize],
    panels: &'a Panels,
    bias: Option<&'a [f32]>,
    positions: usize,
}

impl Job<'_> {
    /// Computes the channels that `out` holds, from channel `filter` of `image` on, on into further images.
    fn run(&self, mut image: usize, mut filter: usize, mut out: &mut [f32]) {
        let s = self.s;
        let mut scratch = Scratch::default();
        let plane: usize = self.padded.size.iter().product::<usize>() * s.channels;
        let widest = s.filters.min(out.len() / self.positions).next_multiple_of(LANES);
        let mut sums = Lines::zeros(0);
        while !out.is_empty() {
            // Channels of one group.
            let group = filter / s.filters;
            let count = (s.filters - filter % s.filters).min(out.len() / self.positions);
            let (part, rest) = out.split_at_mut(count * self.positions);
            let rows = Unfolded {
                data: &self.padded.data[(image * s.groups + group) * plane..][..plane],
                taps: self.taps,
                size: self.padded.size,
                strides: s.axes.map(|a| a.stride as usize),
                output: s.output,
            };
            if positions::applies(self.positions, count) && (filter % s.filters).is_multiple_of(LANES) {
                let planes = Planes { data: rows.data, taps: rows.taps };
                let of = Part { group, panel: filter % s.filters / LANES, filters: count, positions: self.positions };
                positions::run(self.level, &planes, self.panels, &of, |p| rows.at(p), part);
                if let Some(b) = self.bias {
                    let planes = part.chunks_exact_mut(self.positions).zip(&b[filter..]);
                    planes.for_each(|(o, b)| o.iter_mut().for_each(|o| *o += *b));
                }
                (out, filter) = (rest, filter + count);
                if filter == s.groups * s.filters {
                    (image, filter) = (image + 1, 0);
                }
                continue;
            }
            if sums.as_slice().is_empty() {
                sums = Lines::zeros(POSITIONS.min(self.positions) * widest);
            }
            for row in (0..self.positions).step_by(POSITIONS) {
                let n = POSITIONS.min(self.positions - row);
                let stride = count.next_multiple_of(LANES);
                let panel = filter % s.filters / LANES;
                let of = gemm::Part { row, rows: n, matrix: group, panel, columns: count };
                let sums = &mut sums.as_mut_slice()[..n * stride];
                gemm(self.level, &rows, self.panels, &of, sums, stride, &mut scratch);
                let bias = self.bias.map(|b| &b[filter..filter + count]);
                write(sums, stride, bias, part, self.positions, row, n);
            }
            out = rest;
            filter += count;
            if filter == s.groups * s.filters {
                (image, filter) = (image + 1, 0);
            }
        }
    }
}

/// Turns `rows` rows of sums, a position each, into lines of channels, and adds the bias.
fn write(sums: &[f32], stride: usize, bias: Option<&[f32]>, out: &mut [f32], line: usize, row: usize, rows: usize) {
    // Sixteen channels at a time: their sums share cache lines.
    for (p, channels) in out.chunks_mut(LANES * line).enumerate() {
        for (c, channel) in channels.chunks_exact_mut(line).enumerate() {
            let c = p * LANES + c;
            let from = sums[c..].iter().step_by(stride);
            let to = channel[row..row + rows].iter_mut().zip(from);
            match bias {
                Some(b) => to.for_each(|(o, x)| *o = *x + b[c]),
                None => to.for_each(|(o, x)| *o = *x),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::testing::{Values, agree, pick};
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn conv_has_the_references_bits(seed: u64) {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let axes = rng.random_range(1..4usize);
            let groups = pick(rng, &[1, 1, 2, 3]);
            let (channels, filters) = match rng.random_range(0..4) {
                // Depthwise.
                0 => (1, 1),
                1 => (pick(rng, &[40, 64]), pick(rng, &[1, 3])),
                2 => (rng.random_range(0..4), pick(rng, &[16, 32])),
                _ => (rng.random_range(1..4), rng.random_range(0..20)),
            };
            let groups = if (channels, filters) == (1, 1) { pick(rng, &[1, 2, 5]) } else { groups };
            let mut draw = |low: u32, high: u32| (0..axes).map(|_| rng.random_range(low..high)).collect::<Vec<_>>();
            let (kernel, strides, dilations) = (draw(1, 4), draw(1, 4), draw(1, 3));
            let (pads_begin, pads_end) = (draw(0, 3), draw(0, 3));
            let most = [60, 11, 6][axes - 1];
            let spatial: Vec<usize> = (0..axes)
                .map(|i| {
                    let span = (kernel[i] - 1) * dilations[i] + 1;
                    let least = span.saturating_sub(pads_begin[i] + pads_end[i]);
                    rng.random_range(least..least.max(1) + most) as usize
                })
                .collect();
            let op = Conv { groups, strides, dilations, pads_begin, pads_end };
            let values = pick(rng, &[Values::Ordinary, Values::Wide, Values::Special]);
            let images = rng.random_range(0..3);
            let groups = groups as usize;
            let x = values.tensor(rng, &[&[images, groups * channels][..], &spatial].concat());
            let kernel: Vec<usize> = kernel.iter().map(|k| *k as usize).collect();
            let w = values.tensor(rng, &[&[groups * filters, channels][..], &kernel].concat());
            let bias = values.tensor(rng, &[groups * filters]);
            agree(&op.clone().into(), &[&x, &w], 1);
            agree(&op.into(), &[&x, &w, &bias], 1);
        }
    }

    #[test]
    fn without_channels_the_border_may_be_anything() {
        let far = vec![u32::MAX; 3];
        let op =
            Conv { groups: 1, strides: far.clone(), dilations: vec![1; 3], pads_begin: far.clone(), pads_end: far };
        let (x, w) =
            (Tensor::new(vec![1, 0, 1, 1, 1], Data::F32(vec![])), Tensor::new(vec![2, 0, 1, 1, 1], Data::F32(vec![])));
        assert_eq!(agree(&op.into(), &[&x.unwrap(), &w.unwrap()], 1), [0; 54]);
    }

    #[test]
    fn many_positions_and_channels() {
        let rng = &mut ChaCha8Rng::seed_from_u64(9);
        for (groups, filters, side, stride) in
            [(1, 40, 20, 1), (2, 32, 17, 1), (4, 20, 17, 2), (1, 9, 33, 2), (2, 17, 17, 1), (1, 8, 8, 1)]
        {
            let op = Conv {
                groups,
                strides: vec![stride; 2],
                dilations: vec![1; 2],
                pads_begin: vec![1; 2],
                pads_end: vec![1; 2],
            };
            let groups = groups as usize;
            let x = Values::Wide.tensor(rng, &[1, 4 * groups, side, side]);
            let w = Values::Wide.tensor(rng, &[filters * groups, 4, 3, 3]);
            agree(&op.into(), &[&x, &w, &Values::Wide.tensor(rng, &[filters * groups])], 1);
        }
    }

    #[test]
    fn several_blocks_of_channels_with_positions_in_the_lanes() {
        let rng = &mut ChaCha8Rng::seed_from_u64(10);
        for (kernel, stride, side) in [(1, 1, 14usize), (1, 2, 24), (3, 1, 12)] {
            let op = Conv {
                groups: 1,
                strides: vec![stride; 2],
                dilations: vec![1; 2],
                pads_begin: vec![kernel as u32 / 2; 2],
                pads_end: vec![kernel as u32 / 2; 2],
            };
            let positions = side.div_ceil(stride as usize).pow(2);
            assert!(positions::applies(positions, 21), "{positions}");
            for values in [Values::Wide, Values::Special] {
                let x = values.tensor(rng, &[2, 300, side, side]);
                let w = Values::Wide.tensor(rng, &[21, 300, kernel, kernel]);
                agree(&op.clone().into(), &[&x, &w, &Values::Wide.tensor(rng, &[21])], 1);
            }
        }
    }
}
