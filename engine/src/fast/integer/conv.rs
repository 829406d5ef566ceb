//! QuantizedConv and IntegerConv: positions are unfolded tile by tile, never all at once.

use super::left::Left;
use super::panels::{BytePanels, layout};
use super::sums::{Integers, Quantized, Right, product};
use super::{ROWS, kernel};
use crate::fast::fuse::After;
use crate::fast::level::Level;
use crate::fast::{Failure, Threads, spare};
use crate::ops::conv::Sizes;
use crate::ops::integer::{self, IntegerConv};
use crate::ops::quantized::{BIAS, QuantizedConv};
use crate::ops::shape::known_shape;
use crate::tensor::{Data, Tensor, TensorType};

const TYPES: Failure = Failure::Environment("a convolution met other types than were inferred");

/// All images as 16-bit integers with their border of zeros.
struct Bordered {
    data: Vec<i16>,
    /// Spatial sizes with the border.
    size: [usize; 3],
    /// Where the taps of a position lie, from its first one, in the order of k.
    taps: Vec<usize>,
}

impl Bordered {
    /// `fill(image, values)` writes an image's values without the border.
    fn new(s: &Sizes, mut fill: impl FnMut(usize, &mut [i16])) -> Self {
        let begin = s.axes.map(|a| a.begin as usize);
        let size = [0, 1, 2].map(|i| s.input[i] + begin[i] + s.axes[i].end as usize);
        let [d, h, w] = s.input;
        let channels = s.groups * s.channels;
        let mut plain = vec![0i16; channels * d * h * w];
        let mut data = vec![0i16; s.images * channels * size[0] * size[1] * size[2]];
        for image in 0..s.images {
            fill(image, &mut plain);
            if w > 0 {
                for (i, line) in plain.chunks_exact(w).enumerate() {
                    let (plane, z, y) = (i / (d * h), i / h % d + begin[0], i % h + begin[1]);
                    let at = (((image * channels + plane) * size[0] + z) * size[1] + y) * size[2] + begin[2];
                    data[at..at + w].copy_from_slice(line);
                }
            }
        }
        let [kd, kh, kw] = s.axes.map(|a| a.kernel as usize);
        let [dd, dh, dw] = s.axes.map(|a| a.dilation as usize);
        let taps = (0..s.k())
            .map(|k| {
                let (c, z, y, x) = (k / (kd * kh * kw), k / (kh * kw) % kd, k / kw % kh, k % kw);
                ((c * size[0] + z * dd) * size[1] + y * dh) * size[2] + x * dw
            })
            .collect();
        Self { data, size, taps }
    }

    /// The taps of a position of a group.
    fn unfold(&self, s: &Sizes, image: usize, group: usize, position: usize, out: &mut [i16]) {
        let plane = self.size[0] * self.size[1] * self.size[2];
        let [_, h, w] = s.output;
        let [sz, sy, sx] = s.axes.map(|a| a.stride as usize);
        let (z, y, x) = (position / (h * w) * sz, position / w % h * sy, position % w * sx);
        let first = (image * s.groups + group) * s.channels * plane + (z * self.size[1] + y) * self.size[2] + x;
        let data = &self.data[first..];
        out.iter_mut().zip(&self.taps).for_each(|(o, t)| *o = data[*t]);
    }
}

#[allow(clippy::too_many_arguments)]
/// Computes all outputs, channel by channel; `finish(image, filter, sum)` makes an output of a sum.
fn run<R: Right, T: Copy + Default + Send>(
    level: Level,
    s: &Sizes,
    x: &Bordered,
    right: &R,
    out: &mut [T],
    threads: &Threads,
    finish: impl Fn(usize, usize, R::Sum) -> T + Sync,
    after: impl Fn(usize, &mut [T]) + Sync,
) -> Result<(), Failure> {
    let positions: usize = s.output.iter().product();
    let k = s.k();
    let work = (out.len() as u64).saturating_mul(k as u64);
    let all = s.groups * s.filters;
    // Channels that a thread takes at least: an image's, or a group's where there are few images.
    let unit = if s.images >= threads.count() { all } else { s.filters };
    threads
        .split(out, unit * positions, work, |first, out| {
            let mut left = Left::default();
            for (i, out) in out.chunks_exact_mut(s.filters * positions).enumerate() {
                let number = first * unit / s.filters + i;
                let (image, group) = (number / s.groups, number % s.groups);
                for start in (0..positions).step_by(ROWS) {
                    let rows = ROWS.min(positions - start);
                    left.pack(level, rows, k, right.segment(), |r, q| x.unfold(s, image, group, start + r, q));
                    product(level, right, &left, group, (0, right.panels().panels()), |r, c, sums| {
                        let to = out[c * positions + start + r..].iter_mut().step_by(positions);
                        for (j, (o, sum)) in to.zip(sums).enumerate() {
                            *o = finish(image, group * s.filters + c + j, *sum);
                        }
                    });
                }
                after(number * s.filters * positions, out);
            }
        })
        .map_err(Failure::Environment)
}

/// Runs a QuantizedConv.
pub(crate) fn quantized_conv(
    op: &QuantizedConv,
    level: Level,
    prepared: Option<&BytePanels>,
    inputs: &[Option<&Tensor>],
    output: &TensorType,
    threads: &Threads,
    after: Option<After<'_>>,
) -> Result<Tensor, Failure> {
    let shape = known_shape(output);
    let mut out = spare::zeroed(shape.iter().product());
    let at = |i: usize| inputs.get(i).copied().flatten();
    if !out.is_empty() {
        let (x, w) = (at(0).ok_or(TYPES)?, at(1).ok_or(TYPES)?);
        let s = op.window().sizes(&x.shape, &w.shape, &shape).ok_or(TYPES)?;
        let bias = match at(BIAS) {
            Some(b) => Some(b.as_f32().ok_or(TYPES)?),
            None => None,
        };
        let own;
        let panels = match prepared {
            Some(p) => p,
            None => {
                own = layout(&op.clone().into(), inputs).ok_or(TYPES)?;
                &own
            }
        };
        let values = x.as_f32().ok_or(TYPES)?;
        let sample = values.len() / s.images;
        let mut scales = vec![None; s.images];
        let bordered = Bordered::new(&s, |image, q| {
            scales[image] = kernel::quantize(level, &values[image * sample..(image + 1) * sample], q);
            if scales[image].is_none() {
                q.fill(0);
            }
        });
        run(
            level,
            &s,
            &bordered,
            &Quantized(panels),
            &mut out,
            threads,
            |image, filter, total| match (&scales[image], bias) {
                (None, _) => f32::NAN,
                (Some(s), None) => total * s.down,
                (Some(s), Some(b)) => total * s.down + b[filter],
            },
            |first, out| after.iter().for_each(|f| f(first, out)),
        )?;
    }
    Ok(Tensor { shape, data: Data::F32(out) })
}

/// Runs an IntegerConv.
pub(crate) fn integer_conv(
    op: &IntegerConv,
    level: Level,
    prepared: Option<&BytePanels>,
    inputs: &[Option<&Tensor>],
    output: &TensorType,
    threads: &Threads,
) -> Result<Tensor, Failure> {
    let shape = known_shape(output);
    let mut out = vec![0i32; shape.iter().product()];
    let at = |i: usize| inputs.get(i).copied().flatten();
    if !out.is_empty() {
        let (x, w) = (at(0).ok_or(TYPES)?, at(1).ok_or(TYPES)?);
        let s = op.window().sizes(&x.shape, &w.shape, &shape).ok_or(TYPES)?;
        let own;
        let panels = match prepared {
            Some(p) => p,
            None => {
                own = layout(&op.clone().into(), inputs).ok_or(TYPES)?;
                &own
            }
        };
        let (zero, w_zero) = (integer::zero(at(2), 0), at(3));
        let sample = x.data.len() / s.images;
        let bordered = Bordered::new(&s, |image, q| match &x.data {
            Data::I8(v) => kernel::shift(&v[image * sample..(image + 1) * sample], zero, q),
            Data::U8(v) => kernel::shift(&v[image * sample..(image + 1) * sample], zero, q),
            _ => {}
        });
        let right = Integers::new(panels, |group, column| integer::zero(w_zero, group * s.filters + column));
        run(level, &s, &bordered, &right, &mut out, threads, |_, _, sum| sum, |_, _| {})?;
    }
    Ok(Tensor { shape, data: Data::I32(out) })
}
