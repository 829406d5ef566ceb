//! Transposed convolution as a convolution (ONNX ConvTranspose).
//!
//! With steps of s an output o is reached by the taps k with (o + pad - k) a multiple of s. So the s kernels that
//! each take every s-th tap are filters of one convolution over the input, and their results interleave.

use lockstep_engine::ops::conv::Conv;
use lockstep_engine::ops::pad::{Pad, PadMode};
use lockstep_engine::{Data, Dim, Tensor};

use super::{Call, Outputs, known, one};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};

/// Elements of the weights after zeros are put in.
const MAX_WEIGHTS: usize = 1 << 26;

/// One spatial axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    /// Taps, those between dilated ones included.
    pub(super) span: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) begin: i64,
    pub(super) end: i64,
    /// Rows beyond the last tap's reach.
    pub(super) extra: i64,
}

impl Axis {
    /// Taps of each of the `stride` kernels.
    fn taps(&self) -> usize {
        self.span.div_ceil(self.stride)
    }
}

fn list(c: &Call<'_>, name: &str, n: usize, default: i64) -> Lowered<Vec<i64>> {
    match c.attrs.ints(name)? {
        Some(v) if !v.is_empty() => {
            if v.len() == n {
                Ok(v.to_vec())
            } else {
                refuse!("{name} has {} values, {n} are expected", v.len())
            }
        }
        _ => Ok(vec![default; n]),
    }
}

fn axes(c: &Call<'_>, input: &[Dim], kernel: &[usize]) -> Lowered<Vec<Axis>> {
    let n = kernel.len();
    let stated = list(c, "kernel_shape", n, 0)?;
    if c.attrs.has("kernel_shape") && stated.iter().zip(kernel).any(|(s, k)| *s != *k as i64) {
        return refuse!("kernel_shape {stated:?}, the weights have {kernel:?}");
    }
    let (strides, dilations) = (list(c, "strides", n, 1)?, list(c, "dilations", n, 1)?);
    let (pads, extra) = (list(c, "pads", 2 * n, 0)?, list(c, "output_padding", n, 0)?);
    let auto = c.attrs.string("auto_pad", "NOTSET")?;
    let wanted = c.attrs.ints("output_shape")?.filter(|v| !v.is_empty());
    if pads.iter().chain(&extra).any(|p| !(0..=1 << 20).contains(p)) {
        return refuse!("pads {pads:?} and output_padding {extra:?}: 0 to 2^20 is expected");
    }
    let mut out = Vec::with_capacity(n);
    for i in 0..n {
        let small = |v: i64| usize::try_from(v).ok().filter(|v| (1..=1 << 12).contains(v));
        let (Some(stride), Some(dilation)) = (small(strides[i]), small(dilations[i])) else {
            return refuse!("strides {strides:?} and dilations {dilations:?}: 1 to 4096 is expected");
        };
        if kernel[i] == 0 || kernel[i] > 1 << 12 {
            return refuse!("a kernel of {kernel:?}");
        }
        let span = (kernel[i] - 1) * dilation + 1;
        let mut axis = Axis { span, stride, dilation, begin: pads[i], end: pads[n + i], extra: extra[i] };
        // What the pads have to be, where the size of the result is given.
        let full = |size: i64| stride as i64 * (size - 1) + axis.extra + span as i64;
        let total = match (&wanted, auto.as_str()) {
            (Some(shape), _) => {
                let Some(size) = input[i].as_known().and_then(|s| i64::try_from(s).ok()) else {
                    return refuse!("output_shape with a symbolic dimension");
                };
                let at = shape.len().checked_sub(n).map(|lead| shape[lead + i]);
                let Some(at) = at.filter(|o| (1..=1 << 24).contains(o)) else {
                    return refuse!("output_shape {shape:?}");
                };
                Some(full(size) - at)
            }
            (None, "SAME_UPPER" | "SAME_LOWER") => Some(axis.extra + span as i64 - stride as i64),
            (None, "VALID") => {
                (axis.begin, axis.end) = (0, 0);
                None
            }
            (None, "NOTSET" | "") => None,
            (None, other) => return refuse!("auto_pad '{other}'"),
        };
        if let Some(total) = total {
            let (less, more) = (total.div_euclid(2), total - total.div_euclid(2));
            // Fewer rows than wanted are filled up at the end.
            (axis.begin, axis.end) = match auto.as_str() {
                _ if total < 0 => (0, total),
                "SAME_UPPER" => (less, more),
                _ => (more, less),
            };
        }
        out.push(axis);
    }
    Ok(out)
}

pub(super) fn conv_transpose(c: &mut Call<'_>) -> Outputs {
    let (x, w) = (c.f32(0)?, c.f32(1)?);
    let bias = if c.has(2) { Some(c.f32(2)?) } else { None };
    let (xs, ws) = (c.b.shape(x), c.b.shape(w));
    if xs.len() != ws.len() || !(3..=5).contains(&xs.len()) {
        return refuse!("operand and weights of one rank from 3 to 5 are expected, {} and {} came", xs.len(), ws.len());
    }
    let Some(weights) = known(&ws) else { return refuse!("weights with a symbolic dimension") };
    let groups = c.attrs.int("group", 1)?;
    let groups = match usize::try_from(groups) {
        Ok(g) if g > 0 && weights[0].is_multiple_of(g) => g,
        _ => return refuse!("{groups} groups of {} channels", weights[0]),
    };
    let axes = axes(c, &xs[2..], &weights[2..])?;
    let mut y = transposed(c, x, w, &weights, groups, &axes)?;
    if let Some(bias) = bias {
        let bias = c.b.along(bias, 1, xs.len())?;
        y = c.b.add2(y, bias)?;
    }
    one(y)
}

/// The transposed convolution of (N, channels, places...) with weights of this shape, without a bias.
pub(super) fn transposed(
    c: &mut Call<'_>,
    x: Val,
    w: Val,
    weights: &[usize],
    groups: usize,
    axes: &[Axis],
) -> Lowered<Val> {
    let input = c.b.shape(x)[2..].to_vec();
    let kernels = kernels(c, w, weights, groups, axes)?;
    // All kernels over the input, at every place where one of their taps meets it.
    let around: Vec<u32> = axes.iter().map(|a| a.taps() as u32 - 1).collect();
    let n = axes.len();
    let op = Conv {
        groups: groups as u32,
        strides: vec![1; n],
        dilations: vec![1; n],
        pads_begin: around.clone(),
        pads_end: around,
    };
    let mut y = c.b.push(op, &[x, kernels])?;
    let channels = (weights[1] * groups) as u64;
    y = interleave(c, y, channels, axes)?;
    for (i, a) in axes.iter().enumerate() {
        y = cut(c, y, i + 2, a, &input[i])?;
    }
    Ok(y)
}

/// The weights (channels, filters of a group, kernel...) as (filters * strides..., channels of a group, taps...),
/// the taps from the last to the first.
fn kernels(c: &mut Call<'_>, w: Val, shape: &[usize], groups: usize, axes: &[Axis]) -> Lowered<Val> {
    let (channels, filters) = (shape[0] / groups, shape[1]);
    let (strides, taps): (Vec<usize>, Vec<usize>) = axes.iter().map(|a| (a.stride, a.taps())).unzip();
    let phases = strides.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
    let all = phases.and_then(|n| taps.iter().try_fold(n, |n, t| n.checked_mul(*t)));
    let size = all.and_then(|n| n.checked_mul(shape[0])).and_then(|n| n.checked_mul(filters));
    let (Some(phases), Some(size)) = (phases, size.filter(|n| *n <= MAX_WEIGHTS)) else {
        return refuse!("strides {strides:?} with a kernel of {:?}: the weights are too large", &shape[2..]);
    };
    let result = [&[groups * filters * phases, channels], taps.as_slice()].concat();
    if let Some(t) = c.b.as_constant(w)
        && let Data::F32(old) = &t.data
    {
        let mut data = Vec::with_capacity(size);
        for i in 0..size {
            let (rest, tap) = (i / taps.iter().product::<usize>(), i % taps.iter().product::<usize>());
            let (rest, channel) = (rest / channels, rest % channels);
            let (filter, phase) = (rest / phases, rest % phases);
            data.push(source(axes, shape, tap, phase).map_or(0.0, |k| {
                let (group, filter) = (filter / filters, filter % filters);
                let kernel: usize = shape[2..].iter().product();
                old[((group * channels + channel) * filters + filter) * kernel + k]
            }));
        }
        return Ok(c.b.constant(Tensor { shape: result, data: Data::F32(data) }));
    }
    // Weights that are computed: the same by index.
    let table: Vec<i64> = (0..phases * taps.iter().product::<usize>())
        .map(|i| {
            let n = taps.iter().product::<usize>();
            source(axes, shape, i % n, i / n).map_or(-1, |k| k as i64)
        })
        .collect();
    let kernel: usize = shape[2..].iter().product();
    let flat = [groups, channels, filters, kernel].map(|n| Dim::Known(n as u64));
    let w = c.b.reshape(w, &flat)?;
    // A tap that no kernel has is the last of the padded ones: 0.
    let w = c.b.push(Pad { mode: PadMode::Constant, begin: vec![0; 4], end: vec![0, 0, 0, 1] }, &[w])?;
    let table = c.b.constant(Tensor { shape: vec![phases, table.len() / phases], data: Data::I64(table) });
    let w = c.b.gather(w, table, 3)?;
    let w = c.b.transpose(w, &[0, 2, 3, 1, 4])?;
    let result: Vec<Dim> = result.iter().map(|n| Dim::Known(*n as u64)).collect();
    c.b.reshape(w, &result)
}

/// The position in the kernel of tap `tap` (counted from the last) of kernel `phase`.
fn source(axes: &[Axis], shape: &[usize], mut tap: usize, mut phase: usize) -> Option<usize> {
    let mut at = vec![0; axes.len()];
    for (i, a) in axes.iter().enumerate().rev() {
        let k = (a.taps() - 1 - tap % a.taps()) * a.stride + phase % a.stride;
        (tap, phase) = (tap / a.taps(), phase / a.stride);
        if k >= a.span || !k.is_multiple_of(a.dilation) {
            return None;
        }
        at[i] = k / a.dilation;
    }
    Some(at.iter().zip(&shape[2..]).fold(0, |n, (k, size)| n * size + k))
}

/// (N, channels * strides..., places...) as (N, channels, places * strides...).
fn interleave(c: &mut Call<'_>, y: Val, channels: u64, axes: &[Axis]) -> Lowered<Val> {
    let n = axes.len();
    if axes.iter().all(|a| a.stride == 1) {
        return Ok(y);
    }
    let shape = c.b.shape(y);
    let mut split = vec![shape[0].clone(), Dim::Known(channels)];
    split.extend(axes.iter().map(|a| Dim::Known(a.stride as u64)));
    split.extend_from_slice(&shape[2..]);
    let mut perm = vec![0, 1];
    let mut joined = vec![shape[0].clone(), Dim::Known(channels)];
    for (i, a) in axes.iter().enumerate() {
        perm.extend([2 + n + i, 2 + i]);
        let d = shape[2 + i].mul(&Dim::Known(a.stride as u64));
        joined.push(d.ok_or_else(|| Refusal::new("a dimension is too large"))?);
    }
    let y = c.b.reshape(y, &split)?;
    let y = c.b.transpose(y, &perm)?;
    c.b.reshape(y, &joined)
}

/// Cuts an axis to the result's size, or fills it with zeros that no tap reaches.
fn cut(c: &mut Call<'_>, y: Val, axis: usize, a: &Axis, input: &Dim) -> Lowered<Val> {
    let beyond = a.extra + a.span as i64 - a.stride as i64 - a.begin - a.end;
    let size = input.mul(&Dim::Known(a.stride as u64)).and_then(|d| d.offset(beyond));
    let Some(size) = size else { return refuse!("pads that leave nothing of an axis") };
    // The axis has stride * (input + taps - 1) rows.
    let have = a.stride as i64 * (a.taps() as i64 - 1);
    let missing = beyond + a.begin - have;
    let mut y = y;
    if missing > 0 {
        let Ok(missing) = u32::try_from(missing) else { return refuse!("output_padding {missing}") };
        let mut end = vec![0; c.b.rank(y)];
        end[axis] = missing;
        y = c.b.push(Pad { mode: PadMode::Constant, begin: vec![0; c.b.rank(y)], end }, &[y])?;
    }
    c.b.slice_axis(y, axis, a.begin.unsigned_abs(), 1, size)
}
