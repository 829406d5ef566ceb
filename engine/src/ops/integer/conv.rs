//! Convolution of 8-bit integers.

use super::{byte, check_byte, check_length, check_zero, zero};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::ops::Operator;
use crate::ops::contraction::{product, round_up, size, sizes};
use crate::ops::conv::{Conv, POSITIONS, padded};
use crate::ops::shape::{count, known_shape, operand, product as dims, tensor};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attributes! {
    /// Convolution of (x - x_zero) with (w - w_zero), in i32 (ONNX ConvInteger).
    ///
    /// Operands x (N, C, spatial...) and w (M, C / groups, kernel...), each i8 or u8; optional zero points of the operand's
    /// own type: x_zero a scalar, w_zero a scalar or (M). A tap on the border adds nothing. The contraction's length is at
    /// most 33,025.
    ///
    /// Work, with P output positions of an image: MultiplyAdd `N * groups * ceil4(P) * ceil16(M / groups) * ceil2(K)`,
    /// Element `elements of x + padded + N * groups * P * K + M * K + 2 * N * M * P`.
    pub struct IntegerConv {
        /// Groups of channels; divides C and M.
        pub groups: u32,
        /// Step of each spatial axis.
        pub strides: Vec<u32>,
        /// Distance of the kernel's taps along each spatial axis.
        pub dilations: Vec<u32>,
        /// Border before each spatial axis.
        pub pads_begin: Vec<u32>,
        /// Border after each spatial axis.
        pub pads_end: Vec<u32>,
    }
}

impl IntegerConv {
    /// The same window over f32.
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

impl Operator for IntegerConv {
    fn arity(&self) -> (usize, usize) {
        (2, 4)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], symbols: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, w) = (operand(inputs, 0)?, operand(inputs, 1)?);
        check_byte(x, "the input")?;
        check_byte(w, "the weight")?;
        let float = |t: &TensorType| TensorType::new(DType::F32, t.shape.clone());
        let mut out = self.window().infer(&[Some(&float(x)), Some(&float(w))], symbols)?;
        check_length(&dims(&w.shape[1..])?)?;
        check_zero(inputs.get(2).copied().flatten(), x, None, "the zero point of the input")?;
        check_zero(inputs.get(3).copied().flatten(), w, w.shape.first(), "the zero point of the weight")?;
        out.iter_mut().for_each(|t| t.dtype = DType::I32);
        Ok(out)
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let (Ok(x), Ok(w), Some(out)) = (operand(inputs, 0), operand(inputs, 1), outputs.first()) else {
            return Work::default();
        };
        let Ok(axes) = self.window().axes(w) else { return Work::default() };
        let (images, groups) = (size(x.shape.first()), u64::from(self.groups).max(1));
        let k = sizes(&w.shape[1..]);
        let positions = sizes(&out.shape[2..]);
        let lanes = round_up(size(w.shape.first()) / groups, 16);
        Work::of(Unit::MultiplyAdd, product(&[images, groups, round_up(positions, 4), lanes, round_up(k, 2)]))
            .and(Unit::Element, count(x))
            .and(Unit::Element, padded(x, &axes))
            .and(Unit::Element, product(&[images, groups, positions, k]))
            .and(Unit::Element, count(w))
            .and(Unit::Element, count(out).saturating_mul(2))
    }

    /// Bytes: the weight in panels (each group rounded up to 16 columns), x as i16 with its border, and for each of at
    /// most 64 parts min(P, 168) positions, unfolded, and their sums.
    fn scratch(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> u64 {
        let (Ok(x), Ok(w), Some(out)) = (operand(inputs, 0), operand(inputs, 1), outputs.first()) else { return 0 };
        let Ok(axes) = self.window().axes(w) else { return 0 };
        let groups = u64::from(self.groups).max(1);
        let lanes = round_up(size(w.shape.first()) / groups, 16);
        let k = sizes(&w.shape[1..]);
        let parts = product(&[size(x.shape.first()), groups, lanes / 16]).min(crate::fast::MAX_THREADS as u64);
        let position = round_up(k, 2).saturating_mul(2).saturating_add(lanes.saturating_mul(4));
        product(&[groups, lanes, round_up(k, 2).saturating_add(4)])
            .saturating_add(padded(x, &axes).max(count(x)).saturating_add(count(x)).saturating_mul(2))
            .saturating_add(product(&[parts, sizes(&out.shape[2..]).min(POSITIONS), position]))
            .saturating_add(k.saturating_mul(8))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(w), Some(out)) = (tensor(inputs, 0), tensor(inputs, 1), outputs.first()) else {
            return Ok(Vec::new());
        };
        let (x_zero, w_zero) = (zero(tensor(inputs, 2), 0), tensor(inputs, 3));
        let shape = known_shape(out);
        let mut v = Vec::with_capacity(shape.iter().product());
        let sizes = self.window().sizes(&x.shape, &w.shape, &shape).filter(|_| !shape.contains(&0));
        if let Some(s) = sizes {
            let (k, sample) = (s.k(), x.data.len() / s.images);
            for image in 0..s.images {
                for filter in 0..shape[1] {
                    let w_zero = zero(w_zero, filter);
                    for position in 0..s.output.iter().product() {
                        v.push((0..k).fold(0i32, |sum, i| match s.tap(filter / s.filters, position, i) {
                            Some(at) => {
                                let x = byte(&x.data, image * sample + at) - x_zero;
                                sum + x * (byte(&w.data, filter * k + i) - w_zero)
                            }
                            None => sum,
                        }));
                    }
                }
            }
        }
        Ok(vec![Tensor { shape, data: Data::I32(v) }])
    }
}
