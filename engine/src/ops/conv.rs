//! Convolution by S1 (ONNX Conv), any number of spatial axes from 1 to 3.

use super::Operator;
use super::contraction::{BLOCK, check_f32, check_finite, product, round_up, s1, size, sizes};
use super::shape::{count, known_shape, operand, same, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attributes! {
    /// Operands x (N, C, spatial...), w (M, C / groups, kernel...), optional bias (M).
    ///
    /// Every output is S1 over (channel of the group, kernel position row-major), K of them; a tap that falls on
    /// the border is a +0 that is multiplied and counted like any other. Then, where there is one, + bias.
    ///
    /// Work, with P output positions of an image: MultiplyAdd `N * groups * ceil4(P) * ceil16(M / groups) * K`,
    /// Element `N * groups * P * K + M * K + N * M * P + padded`, where `padded` counts x with its border, 0 without one.
    pub struct Conv {
        /// Groups of channels; divides C and M.
        pub groups: u32,
        /// Step of each spatial axis.
        pub strides: Vec<u32>,
        /// Distance of the kernel's taps along each spatial axis.
        pub dilations: Vec<u32>,
        /// Zeros before each spatial axis.
        pub pads_begin: Vec<u32>,
        /// Zeros after each spatial axis.
        pub pads_end: Vec<u32>,
    }
}

/// Output positions whose sums are held at a time.
pub(crate) const POSITIONS: u64 = 168;

/// A window that slides along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Taps.
    pub(crate) kernel: u64,
    /// Step of the window.
    pub(crate) stride: u64,
    /// Distance of the taps.
    pub(crate) dilation: u64,
    /// Border before the axis.
    pub(crate) begin: u64,
    /// Border after it.
    pub(crate) end: u64,
}

impl Axis {
    /// An axis that an operator does not have: one position, one tap.
    pub(crate) const UNIT: Self = Self { kernel: 1, stride: 1, dilation: 1, begin: 0, end: 0 };

    /// From the first to the last tap.
    pub(crate) fn span(&self) -> Result<u64, OpError> {
        if self.kernel == 0 || self.stride == 0 || self.dilation == 0 {
            return Err(OpError::new("kernel, stride and dilation of an axis are at least 1"));
        }
        (self.kernel - 1)
            .checked_mul(self.dilation)
            .and_then(|n| n.checked_add(1))
            .filter(|n| *n <= i64::MAX as u64)
            .ok_or_else(|| OpError::new("the window is too large"))
    }

    /// Number of windows. With `ceil` a last window may reach beyond the border, as long as it starts before
    /// the border's end part.
    pub(crate) fn outputs(&self, input: &Dim, ceil: bool) -> Result<Dim, OpError> {
        let large = || OpError::new("an axis is too long");
        let span = self.span()?;
        let padded = input.offset((self.begin + self.end) as i64).ok_or_else(large)?;
        if let Some(n) = padded.as_known()
            && n < span
        {
            return Err(OpError::new(format!("a window of {span} does not fit an axis of {n}, border included")));
        }
        // The last start that a window may have, plus the step: floor rounds it down, ceil up; and ONNX drops a
        // window that would start at or after the end of the input, which is a smaller numerator.
        let (span, stride) = (span as i64, self.stride as i64);
        let room = if ceil {
            let beyond = (self.end as i64 - span + stride).min(0);
            input.offset(self.begin as i64).and_then(|n| n.offset(beyond)).and_then(|n| n.offset(stride - 1))
        } else {
            padded.offset(-span).and_then(|n| n.offset(stride))
        };
        room.and_then(|n| n.floor_div(self.stride)).ok_or_else(large)
    }

    /// Where tap `tap` of window `window` falls; `None` on the border.
    pub(crate) fn tap(&self, window: usize, tap: usize, input: usize) -> Option<usize> {
        (window * self.stride as usize + tap * self.dilation as usize)
            .checked_sub(self.begin as usize)
            .filter(|i| *i < input)
    }

    /// Whether tap `tap` of window `window` lies on the input or its border (and not beyond, where `ceil` reaches).
    pub(crate) fn within(&self, window: usize, tap: usize, input: usize) -> bool {
        window * self.stride as usize + tap * (self.dilation as usize) < input + self.begin as usize + self.end as usize
    }
}

/// Lanes that compute positions of a laid out plane together.
pub(crate) const STEP: u64 = 32;

/// A plane laid out for windows, as the fast path does it for one channel a group and for Max: coordinates of one remainder
/// modulo the stride lie one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SheetSize {
    /// Elements with the border.
    pub(crate) elements: u64,
    /// Coordinates of one remainder along each axis.
    pub(crate) lengths: [u64; 3],
    /// Positions from the first to the last output, in whole steps.
    pub(crate) positions: u64,
}

impl SheetSize {
    /// For windows along these axes; `None` where a number is too large.
    pub(crate) fn of(axes: &[Axis; 3], output: [u64; 3]) -> Option<Self> {
        let (mut elements, mut lengths) = (1u64, [0; 3]);
        for (i, a) in axes.iter().enumerate() {
            let stride = a.stride.max(1);
            // Tap t has the remainder t * dilation mod stride: they repeat after stride / gcd.
            let remainders = a.kernel.min(stride / gcd(a.dilation, stride));
            let reach = a.kernel.checked_sub(1)?.checked_mul(a.dilation)? / stride;
            lengths[i] = output[i].checked_add(reach)?;
            elements = elements.checked_mul(lengths[i])?.checked_mul(remainders)?;
        }
        let [z, y, x] = output.map(|n| n.max(1));
        let lines = (z - 1).checked_mul(lengths[1])?.checked_add(y - 1)?;
        let positions = lines.checked_mul(lengths[2])?.checked_add(x)?.checked_next_multiple_of(STEP)?;
        Some(Self { elements, lengths, positions })
    }

    /// Bytes of `parts` of them and the one they are copied from, with so many lines of positions each, and the places of
    /// the taps and of the input's lines and columns.
    pub(crate) fn bytes(&self, parts: u64, lines: u64, axes: &[Axis; 3], input: [u64; 3]) -> u64 {
        let taps = axes.iter().fold(1u64, |n, a| n.saturating_mul(a.kernel));
        let floats = self.elements.saturating_add(STEP).saturating_add(self.positions.saturating_mul(lines));
        let places = input[0].saturating_mul(input[1]).saturating_add(input[2]).saturating_mul(16);
        let one = floats.saturating_mul(4).saturating_add(places).saturating_add(taps.saturating_mul(8));
        parts.saturating_add(1).saturating_mul(one)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The axes of a window operator; refuses lists whose lengths differ.
pub(crate) fn axes(
    kernel: &[u64],
    strides: &[u32],
    dilations: &[u32],
    pads: [&[u32]; 2],
) -> Result<Vec<Axis>, OpError> {
    let n = kernel.len();
    if !(1..=3).contains(&n) {
        return Err(OpError::new(format!("{n} spatial axes, 1 to 3 are supported")));
    }
    for (what, list) in [("strides", strides), ("dilations", dilations), ("pads", pads[0]), ("pads", pads[1])] {
        if list.len() != n {
            return Err(OpError::new(format!("{} {what} for {n} spatial axes", list.len())));
        }
    }
    Ok((0..n)
        .map(|i| Axis {
            kernel: kernel[i],
            stride: strides[i].into(),
            dilation: dilations[i].into(),
            begin: pads[0][i].into(),
            end: pads[1][i].into(),
        })
        .collect())
}

/// Sizes of a convolution, for shapes that `infer` accepted, with three spatial axes always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Images.
    pub(crate) images: usize,
    /// Groups.
    pub(crate) groups: usize,
    /// Input channels of a group.
    pub(crate) channels: usize,
    /// Output channels of a group.
    pub(crate) filters: usize,
    /// The axes.
    pub(crate) axes: [Axis; 3],
    /// Spatial sizes of the input.
    pub(crate) input: [usize; 3],
    /// Spatial sizes of the output.
    pub(crate) output: [usize; 3],
}

impl Sizes {
    /// Length of a contraction.
    pub(crate) fn k(&self) -> usize {
        self.channels * self.axes.iter().map(|a| a.kernel as usize).product::<usize>()
    }

    /// Where tap `k` of an output position of a group falls in its image; `None` on the border.
    pub(crate) fn tap(&self, group: usize, position: usize, k: usize) -> Option<usize> {
        let [kd, kh, kw] = self.axes.map(|a| a.kernel as usize);
        let ([_, oh, ow], [id, ih, iw]) = (self.output, self.input);
        let channel = group * self.channels + k / (kd * kh * kw);
        let z = self.axes[0].tap(position / (oh * ow), k / (kh * kw) % kd, id)?;
        let y = self.axes[1].tap(position / ow % oh, k / kw % kh, ih)?;
        let x = self.axes[2].tap(position % ow, k % kw, iw)?;
        Some(((channel * id + z) * ih + y) * iw + x)
    }
}

/// Prepends 1 (or another unit) up to three spatial axes.
pub(crate) fn three<T: Copy>(items: &[T], unit: T) -> [T; 3] {
    let mut out = [unit; 3];
    out[3 - items.len()..].copy_from_slice(items);
    out
}

impl Conv {
    pub(crate) fn axes(&self, w: &TensorType) -> Result<Vec<Axis>, OpError> {
        let kernel: Vec<u64> = w
            .shape
            .iter()
            .skip(2)
            .map(|d| d.as_known().ok_or_else(|| OpError::new("the kernel's size is symbolic, a number is expected")))
            .collect::<Result<_, _>>()?;
        axes(&kernel, &self.strides, &self.dilations, [&self.pads_begin, &self.pads_end])
    }

    /// The sizes of a call whose operands have these shapes.
    pub(crate) fn sizes(&self, x: &[usize], w: &[usize], out: &[usize]) -> Option<Sizes> {
        let axes = self.axes(&TensorType::known(DType::F32, w)).ok()?;
        let groups = self.groups as usize;
        Some(Sizes {
            images: x[0],
            groups,
            channels: w[1],
            filters: w[0] / groups,
            axes: three(&axes, Axis::UNIT),
            input: three(&x[2..], 1),
            output: three(&out[2..], 1),
        })
    }
}

/// Elements of x with its border; 0 where there is no border, because then x is read in place.
pub(crate) fn padded(x: &TensorType, axes: &[Axis]) -> u64 {
    if axes.iter().all(|a| a.begin == 0 && a.end == 0) {
        return 0;
    }
    let spatial = x.shape.iter().skip(2).zip(axes);
    spatial.fold(sizes(&x.shape[..2]), |n, (d, a)| {
        n.saturating_mul(size(Some(d)).saturating_add(a.begin).saturating_add(a.end))
    })
}

impl Operator for Conv {
    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, w) = (operand(inputs, 0)?, operand(inputs, 1)?);
        check_f32(x, "the input")?;
        check_f32(w, "the weight")?;
        if x.rank() != w.rank() || x.rank() < 3 {
            return Err(OpError::new(format!(
                "input and weight of one rank from 3 to 5 expected, ranks {} and {} came",
                x.rank(),
                w.rank()
            )));
        }
        let axes = self.axes(w)?;
        let groups = u64::from(self.groups);
        let filters = w.shape[0].as_known();
        if groups == 0 || filters.is_some_and(|m| m % groups != 0) {
            return Err(OpError::new(format!("{groups} groups do not divide the output channels")));
        }
        let channels = w.shape[1].mul(&Dim::Known(groups)).ok_or_else(|| OpError::new("too many channels"))?;
        same(&x.shape[1], &channels, "channels of the input and of the weight's groups together")?;
        if let Some(bias) = inputs.get(2).copied().flatten() {
            check_f32(bias, "the bias")?;
            let [n] = bias.shape.as_slice() else {
                return Err(OpError::new(format!("the bias has rank {}, 1 is expected", bias.rank())));
            };
            same(n, &w.shape[0], "length of the bias and output channels")?;
        }
        let mut shape = vec![x.shape[0].clone(), w.shape[0].clone()];
        for (d, axis) in x.shape[2..].iter().zip(&axes) {
            shape.push(axis.outputs(d, false)?);
        }
        Ok(vec![TensorType::new(DType::F32, shape)])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let (Ok(x), Ok(w), Some(out)) = (operand(inputs, 0), operand(inputs, 1), outputs.first()) else {
            return Work::default();
        };
        let Ok(axes) = self.axes(w) else { return Work::default() };
        let (images, groups) = (size(x.shape.first()), u64::from(self.groups).max(1));
        let (filters, k) = (size(w.shape.first()), sizes(&w.shape[1..]));
        let positions = sizes(&out.shape[2..]);
        let lanes = round_up(filters / groups, 16);
        Work::of(Unit::MultiplyAdd, product(&[images, groups, round_up(positions, 4), lanes, k]))
            .and(Unit::Element, product(&[images, groups, positions, k]))
            .and(Unit::Element, filters.saturating_mul(k))
            .and(Unit::Element, count(out))
            .and(Unit::Element, padded(x, &axes))
    }

    /// Bytes: `4 * (groups * ceil16(M / groups) * K + padded + parts * ceil16(min(P, 168)) * (min(K, 256) + ceil16(M / groups)))`,
    /// and `8 * K`. These are the weight in panels, x with its border, for each of `parts` (of 16 channels of an image, at most
    /// 64) positions of a block of the unfolded input and their sums, and the places of the taps.
    ///
    /// With one channel a group, in and out: for each of `min(N * M, 64)` planes, and once more, the plane laid out, its
    /// positions' sums (twice where K > 256), and places: `SheetSize`.
    fn scratch(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> u64 {
        let (Ok(x), Ok(w), Some(out)) = (operand(inputs, 0), operand(inputs, 1), outputs.first()) else { return 0 };
        let Ok(axes) = self.axes(w) else { return 0 };
        let groups = u64::from(self.groups).max(1);
        let filters = size(w.shape.first());
        let k = sizes(&w.shape[1..]);
        let most = crate::fast::MAX_THREADS as u64;
        if size(w.shape.get(1)) == 1 && groups == filters {
            let axes = three(&axes, Axis::UNIT);
            let spatial = |t: &TensorType| three(&t.shape[2..].iter().map(|d| size(Some(d))).collect::<Vec<_>>(), 1);
            let parts = product(&[size(x.shape.first()), filters]).min(most);
            let lines = if k > BLOCK as u64 { 2 } else { 1 };
            let one = SheetSize::of(&axes, spatial(out));
            return one.map_or(u64::MAX, |s| s.bytes(parts, lines, &axes, spatial(x)));
        }
        let lanes = round_up(filters / groups, 16);
        let parts = product(&[size(x.shape.first()), groups, lanes / 16]).min(most);
        let positions = round_up(sizes(&out.shape[2..]).min(POSITIONS), 16);
        let part = positions.saturating_mul(k.min(BLOCK as u64).saturating_add(lanes));
        product(&[groups, lanes, k])
            .saturating_add(padded(x, &axes))
            .saturating_add(parts.saturating_mul(part))
            .saturating_mul(4)
            .saturating_add(k.saturating_mul(8))
    }

    fn check_constants(&self, inputs: &[Option<&Tensor>]) -> Result<(), OpError> {
        check_finite(inputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(w), Some(out)) = (tensor(inputs, 0), tensor(inputs, 1), outputs.first()) else {
            return Ok(Vec::new());
        };
        let (Data::F32(data), Data::F32(weight)) = (&x.data, &w.data) else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let bias = tensor(inputs, 2).and_then(Tensor::as_f32);
        let mut v = Vec::with_capacity(shape.iter().product());
        let sizes = self.sizes(&x.shape, &w.shape, &shape).filter(|_| !shape.contains(&0));
        if let Some(s) = sizes {
            let [kd, kh, kw] = s.axes.map(|a| a.kernel as usize);
            let [id, ih, iw] = s.input;
            let k_total = s.k();
            for image in 0..s.images {
                for filter in 0..shape[1] {
                    let first = image * s.groups * s.channels + filter / s.filters * s.channels;
                    for d in 0..s.output[0] {
                        for h in 0..s.output[1] {
                            for c in 0..s.output[2] {
                                let sum = s1(k_total, |k| {
                                    let (channel, z, y, x) =
                                        (k / (kd * kh * kw), k / (kh * kw) % kd, k / kw % kh, k % kw);
                                    let at = s.axes[0].tap(d, z, id).and_then(|z| {
                                        let (y, x) = (s.axes[1].tap(h, y, ih)?, s.axes[2].tap(c, x, iw)?);
                                        Some((((first + channel) * id + z) * ih + y) * iw + x)
                                    });
                                    (at.map_or(0.0, |at| data[at]), weight[filter * k_total + k])
                                });
                                v.push(match bias {
                                    Some(b) => sum + b[filter],
                                    None => sum,
                                });
                            }
                        }
                    }
                }
            }
        }
        Ok(vec![Tensor { shape, data: Data::F32(v) }])
    }
}

#[cfg(test)]
mod tests;
