//! Convolution with quantised weights.

use super::{BIAS, Format, RowScale, SCALE, WEIGHT, Weight, WeightClass, known, moved, scale, total, weight};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::ops::Operator;
use crate::ops::contraction::{product, round_up, size, sizes};
use crate::ops::conv::{Conv, POSITIONS, padded};
use crate::ops::shape::{count, known_shape, operand, tensor};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attributes! {
    /// Convolution of x (N, C, spatial...) with quantised weights (M, C / groups, kernel...), plus a bias (M).
    ///
    /// Operands as those of `QuantizedMatMul`: x f32, weight i8, scale u8 (M, ceil(K / block), 2) or f32 (M), low bytes u8
    /// for I16, optional bias f32 (M). K counts (channel of the group, kernel position row-major), and blocks run along it.
    /// The definition is spec NUM-14, a row being a whole sample: all channels of one image have one exponent. A tap on the
    /// border is 0.
    ///
    /// Work, with P output positions of an image, p planes (I8 1, I16 2): MultiplyAdd
    /// `p * N * groups * ceil4(P) * ceil16(M / groups) * ceil2(K)`, Element
    /// `N * C * spatial + padded + N * groups * P * K + p * ceil(M * K / 4) + 2 * N * M * P`.
    pub struct QuantizedConv {
        /// Class of the weights.
        pub class: WeightClass,
        /// Length of the blocks along k: 32 for I8, 256 for I16; 0: one scale for each output channel.
        pub block: u32,
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

impl QuantizedConv {
    pub(crate) fn format(&self) -> Format {
        Format { class: self.class, block: self.block }
    }

    /// The same window over f32 weights.
    pub(crate) fn window(&self) -> Conv {
        Conv {
            groups: self.groups,
            strides: self.strides.clone(),
            dilations: self.dilations.clone(),
            pads_begin: self.pads_begin.clone(),
            pads_end: self.pads_end.clone(),
        }
    }
}

impl Operator for QuantizedConv {
    fn arity(&self) -> (usize, usize) {
        (3, 5)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], symbols: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, w) = (operand(inputs, 0)?, operand(inputs, WEIGHT)?);
        let dims = known(w)?;
        let float = TensorType::new(DType::F32, w.shape.clone());
        let out = self.window().infer(&[Some(x), Some(&float)], symbols)?;
        let k = product(&dims[1..]);
        self.format().check_types(inputs, dims[0], k)?;
        operand(inputs, SCALE)?;
        Ok(out)
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let (Ok(x), Ok(w), Some(out)) = (operand(inputs, 0), operand(inputs, WEIGHT), outputs.first()) else {
            return Work::default();
        };
        let Ok(axes) = self.window().axes(w) else { return Work::default() };
        let (images, groups) = (size(x.shape.first()), u64::from(self.groups).max(1));
        let (filters, k) = (size(w.shape.first()), sizes(&w.shape[1..]));
        let positions = sizes(&out.shape[2..]);
        let (planes, lanes) = (self.class.planes(), round_up(filters / groups, 16));
        let multiply = product(&[planes, images, groups, round_up(positions, 4), lanes, round_up(k, 2)]);
        let mut work = moved(planes, count(x), filters.saturating_mul(k), count(out).saturating_mul(2));
        work.add(&Work::of(Unit::MultiplyAdd, multiply));
        work.and(Unit::Element, padded(x, &axes)).and(Unit::Element, product(&[images, groups, positions, k]))
    }

    /// Bytes: the weights in panels with their scales as for `QuantizedMatMul` (each group rounded up to 16 columns), x as
    /// integers with its border, and for each of at most 64 parts min(P, 168) positions, unfolded, and their sums.
    fn scratch(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> u64 {
        let (Ok(x), Ok(w), Some(out)) = (operand(inputs, 0), operand(inputs, WEIGHT), outputs.first()) else {
            return 0;
        };
        let Ok(axes) = self.window().axes(w) else { return 0 };
        let groups = u64::from(self.groups).max(1);
        let lanes = round_up(size(w.shape.first()) / groups, 16);
        let k = sizes(&w.shape[1..]);
        let blocks = if self.block == 0 { 0 } else { k.div_ceil(self.block.into()) };
        let (columns, pairs) = (groups.saturating_mul(lanes), round_up(k, 2));
        let parts = product(&[size(x.shape.first()), groups, lanes / 16]).min(crate::fast::MAX_THREADS as u64);
        let position = pairs.saturating_mul(2).saturating_add(lanes.saturating_mul(4));
        product(&[self.class.planes(), columns, pairs])
            .saturating_add(product(&[4, columns, blocks.saturating_add(1)]))
            .saturating_add(padded(x, &axes).max(count(x)).saturating_add(count(x)).saturating_mul(2))
            .saturating_add(product(&[parts, sizes(&out.shape[2..]).min(POSITIONS), position]))
            .saturating_add(k.saturating_mul(8))
            .saturating_add(size(x.shape.first()).saturating_mul(8))
    }

    fn check_constants(&self, inputs: &[Option<&Tensor>]) -> Result<(), OpError> {
        self.format().check_constants(inputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(w), Some(out)) = (tensor(inputs, 0), Weight::of(inputs), outputs.first()) else {
            return Ok(Vec::new());
        };
        let shape = known_shape(out);
        let (Some(filters), false) = (tensor(inputs, WEIGHT), shape.contains(&0)) else {
            return Ok(vec![Tensor { shape, data: Data::F32(Vec::new()) }]);
        };
        let bias = tensor(inputs, BIAS).and_then(Tensor::as_f32);
        let values = x.as_f32().unwrap_or_default();
        let mut v = Vec::with_capacity(shape.iter().product());
        if let Some(s) = self.window().sizes(&x.shape, &filters.shape, &shape) {
            let (k, positions) = (s.k(), s.output.iter().product::<usize>());
            let (block, sample) = (self.format().length(k), values.len() / s.images);
            let blocks = k.div_ceil(block);
            for image in 0..s.images {
                let values = &values[image * sample..(image + 1) * sample];
                let Some(row) = RowScale::of(values) else {
                    v.extend(std::iter::repeat_n(f32::NAN, shape[1] * positions));
                    continue;
                };
                let q: Vec<i32> = values.iter().map(|x| row.quantize(*x)).collect();
                for filter in 0..shape[1] {
                    for position in 0..positions {
                        let term = |i: usize| {
                            let x = s.tap(filter / s.filters, position, i).map_or(0, |at| q[at]);
                            (x, weight(w.high, w.low, filter * k + i))
                        };
                        let y = total(k, block, term, |b| scale(w.scale, blocks, filter, b)) * row.down;
                        v.push(match bias {
                            Some(b) => y + b[filter],
                            None => y,
                        });
                    }
                }
            }
        }
        Ok(vec![Tensor { shape, data: Data::F32(v) }])
    }
}
