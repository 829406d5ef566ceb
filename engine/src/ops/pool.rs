//! Max and average pooling (ONNX MaxPool, AveragePool), 1 to 3 spatial axes.

use super::Operator;
use super::contraction::{product, size};
use super::conv::{Axis, SheetSize, axes, three};
use super::shape::{count, known_shape, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::float::total_order;
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attribute_enum! {
    /// Which pooling.
    pub enum PoolKind {
        /// Greatest value of the window.
        Max = 1,
        /// Mean of the window.
        Average = 2,
    }
}

impl Pool {
    /// Name in ONNX.
    pub fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "MaxPool",
            PoolKind::Average => "AveragePool",
        }
    }
}

crate::attributes! {
    /// Operand x (N, C, spatial...): f32, for Max also i8 and u8.
    ///
    /// Max is the first of the greatest elements in row-major order (-0 equals +0, NaN is greatest); the border never wins.
    /// Average is S2 over the window's elements inside the input, numbered consecutively in row-major order, divided by
    /// their number, or, with `count_pad`, by the number of taps on the input or its border (those beyond, where
    /// `ceil` reaches, never count). A window always has an element inside the input: what could have none is refused.
    ///
    /// Work: Element `outputs * taps`; Average also Division `outputs`.
    pub struct Pool {
        /// Greatest value, or mean by S2.
        pub kind: PoolKind,
        /// Size of the window.
        pub kernel: Vec<u32>,
        /// Step of each spatial axis.
        pub strides: Vec<u32>,
        /// Distance of the window's taps.
        pub dilations: Vec<u32>,
        /// Border before each spatial axis.
        pub pads_begin: Vec<u32>,
        /// Border after each spatial axis.
        pub pads_end: Vec<u32>,
        /// Whether the number of windows is rounded up (ONNX ceil_mode).
        pub ceil: bool,
        /// Whether the border counts in the divisor of a mean.
        pub count_pad: bool,
    }
}

impl Pool {
    /// The axes, checked.
    fn axes(&self) -> Result<Vec<Axis>, OpError> {
        let kernel: Vec<u64> = self.kernel.iter().map(|k| u64::from(*k)).collect();
        let axes = axes(&kernel, &self.strides, &self.dilations, [&self.pads_begin, &self.pads_end])?;
        for a in &axes {
            let span = a.span()?;
            if a.begin >= span || a.end >= span {
                return Err(OpError::new(format!(
                    "a border of {} lets a window of {span} lie outside the input",
                    a.begin.max(a.end)
                )));
            }
        }
        Ok(axes)
    }

    /// Most elements of a plane laid out, or of a window: a few planes.
    pub(crate) fn most(input: [u64; 3], output: [u64; 3]) -> u64 {
        let all = |shape: [u64; 3]| shape.iter().fold(1u64, |n, d| n.saturating_mul(*d));
        all(input).saturating_add(all(output)).saturating_mul(4).saturating_add(1 << 12)
    }

    /// The plane laid out, where that takes no more than [`Self::most`].
    pub(crate) fn sheet(&self, axes: &[Axis; 3], input: [u64; 3], output: [u64; 3]) -> Option<SheetSize> {
        let most = Self::most(input, output);
        axes.iter().try_fold(1u64, |n, a| n.checked_mul(a.kernel)).filter(|n| *n <= most)?;
        SheetSize::of(axes, output).filter(|s| s.elements <= most)
    }

    /// The sizes of a call: axes, spatial sizes of the input and of the output.
    pub(crate) fn sizes(&self, x: &[usize], out: &[usize]) -> Option<([Axis; 3], [usize; 3], [usize; 3])> {
        let axes = self.axes().ok()?;
        Some((three(&axes, Axis::UNIT), three(x.get(2..)?, 1), three(out.get(2..)?, 1)))
    }
}

/// S2 (spec NUM-10): element i goes to lane i mod 16, lanes start at +0 and join 8-4-2-1.
#[derive(Default)]
struct Lanes {
    lanes: [f32; 16],
    next: usize,
}

impl Lanes {
    fn add(&mut self, x: f32) {
        self.lanes[self.next % 16] += x;
        self.next += 1;
    }

    fn sum(mut self) -> f32 {
        for half in [8, 4, 2, 1] {
            for l in 0..half {
                self.lanes[l] += self.lanes[l + half];
            }
        }
        self.lanes[0]
    }
}

impl Operator for Pool {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        let accepted = match self.kind {
            PoolKind::Max => matches!(x.dtype, DType::F32 | DType::I8 | DType::U8),
            PoolKind::Average => x.dtype == DType::F32,
        };
        if !accepted {
            return Err(OpError::new(format!("does not take {}", x.dtype)));
        }
        let axes = self.axes()?;
        if x.rank() != axes.len() + 2 {
            return Err(OpError::new(format!("rank {} for a window of {} axes", x.rank(), axes.len())));
        }
        let mut shape = x.shape[..2].to_vec();
        for (d, a) in x.shape[2..].iter().zip(&axes) {
            // Taps further apart than the axis is long can straddle it.
            if a.begin > 0 && d.as_known().is_some_and(|n| n < a.dilation) {
                return Err(OpError::new(format!(
                    "taps {} apart can straddle an axis of {} from its border",
                    a.dilation,
                    d.as_known().unwrap_or(0)
                )));
            }
            shape.push(a.outputs(d, self.ceil)?);
        }
        Ok(vec![TensorType::new(x.dtype, shape)])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let outputs = outputs.first().map_or(0, count);
        let taps = self.kernel.iter().fold(1u64, |n, k| n.saturating_mul(u64::from(*k)));
        let work = Work::of(Unit::Element, product(&[outputs, taps]));
        match self.kind {
            PoolKind::Max => work,
            PoolKind::Average => work.and(Unit::Division, outputs),
        }
    }

    /// Bytes, for Max of f32: for each of `min(N * C, 64)` planes, and once more, the plane laid out, its positions'
    /// greatest, and places (`SheetSize`); nothing where that is more than `Pool::most`, since then it is not laid out.
    fn scratch(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> u64 {
        let (Ok(x), Some(out), Ok(axes)) = (operand(inputs, 0), outputs.first(), self.axes()) else { return 0 };
        if self.kind != PoolKind::Max || x.dtype != DType::F32 || count(out) == 0 {
            return 0;
        }
        let axes = three(&axes, Axis::UNIT);
        let spatial = |t: &TensorType| three(&t.shape[2..].iter().map(|d| size(Some(d))).collect::<Vec<_>>(), 1);
        let (input, output) = (spatial(x), spatial(out));
        match self.sheet(&axes, input, output) {
            Some(sheet) => {
                let planes = product(&[size(x.shape.first()), size(x.shape.get(1))]);
                sheet.bytes(planes.min(crate::fast::MAX_THREADS as u64), 1, &axes, input)
            }
            None => 0,
        }
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let Some((axes, input, output)) = self.sizes(&x.shape, &shape) else { return Ok(Vec::new()) };
        let planes = if shape.contains(&0) { 0 } else { shape[0] * shape[1] };
        let [id, ih, iw] = input;
        // Calls `f` with the place in x of each tap inside the input (row-major), for one window;
        // gives the number of taps inside the input or its border.
        let window = |plane: usize, at: [usize; 3], f: &mut dyn FnMut(usize)| {
            let mut counted = 0u64;
            for z in 0..axes[0].kernel as usize {
                for y in 0..axes[1].kernel as usize {
                    for x in 0..axes[2].kernel as usize {
                        let taps = [z, y, x];
                        counted += u64::from((0..3).all(|i| axes[i].within(at[i], taps[i], input[i])));
                        let inside = |i: usize| axes[i].tap(at[i], taps[i], input[i]);
                        if let (Some(z), Some(y), Some(x)) = (inside(0), inside(1), inside(2)) {
                            f(((plane * id + z) * ih + y) * iw + x);
                        }
                    }
                }
            }
            counted
        };
        let each = |f: &mut dyn FnMut(usize, [usize; 3])| {
            for plane in 0..planes {
                for d in 0..output[0] {
                    for h in 0..output[1] {
                        for c in 0..output[2] {
                            f(plane, [d, h, c]);
                        }
                    }
                }
            }
        };
        macro_rules! greatest {
            ($v:expr, $order:expr) => {{
                let mut out = Vec::with_capacity(shape.iter().product());
                each(&mut |plane, at| {
                    let mut best = None;
                    window(plane, at, &mut |i| {
                        let x = $v[i];
                        if best.is_none_or(|b| $order(&x, &b) == std::cmp::Ordering::Greater) {
                            best = Some(x);
                        }
                    });
                    out.push(best.unwrap_or_default());
                });
                out
            }};
        }
        let data = match (&x.data, self.kind) {
            (Data::F32(v), PoolKind::Max) => Data::F32(greatest!(v, |a: &f32, b: &f32| total_order(*a, *b))),
            (Data::I8(v), PoolKind::Max) => Data::I8(greatest!(v, Ord::cmp)),
            (Data::U8(v), PoolKind::Max) => Data::U8(greatest!(v, Ord::cmp)),
            (Data::F32(v), PoolKind::Average) => {
                let mut out = Vec::with_capacity(shape.iter().product());
                each(&mut |plane, at| {
                    let mut lanes = Lanes::default();
                    let counted = window(plane, at, &mut |i| lanes.add(v[i]));
                    let divisor = if self.count_pad { counted } else { lanes.next as u64 };
                    out.push(lanes.sum() / divisor as f32);
                });
                Data::F32(out)
            }
            _ => return Ok(Vec::new()),
        };
        Ok(vec![Tensor { shape, data }])
    }
}

#[cfg(test)]
mod tests;
