//! Cases of contractions over integers: 8-bit operands with zero points, weights of the classes I8 and I16.

use super::super::random::Values::{Ordinary, Special, Wide};
use super::Cases;
use crate::ops::integer::{IntegerConv, IntegerMatMul};
use crate::ops::quantized::{QuantizedConv, QuantizedMatMul, WeightClass};
use crate::tensor::{DType, Data, Tensor};

/// Attributes of a window: input, filters, groups, strides, dilations, borders.
type Window<'a> = (&'a [usize], &'a [usize], u32, &'a [u32], &'a [u32], [&'a [u32]; 2]);

const WINDOWS: [Window<'_>; 5] = [
    (&[3, 4, 20], &[6, 4, 3], 1, &[1], &[1], [&[1], &[1]]),
    (&[2, 3, 9, 8], &[20, 3, 3, 3], 1, &[2, 1], &[1, 1], [&[1, 1], &[1, 1]]),
    (&[2, 34, 6, 7], &[18, 17, 3, 3], 2, &[1, 1], &[1, 2], [&[0, 2], &[1, 2]]),
    (&[2, 5, 5, 5], &[5, 1, 3, 3], 5, &[1, 1], &[1, 1], [&[1, 1], &[1, 1]]),
    (&[2, 2, 4, 5, 3], &[3, 2, 2, 3, 2], 1, &[1, 2, 1], &[1, 1, 1], [&[0, 1, 1], &[1, 1, 0]]),
];

/// Class and length of blocks.
const FORMATS: [(WeightClass, u32); 4] =
    [(WeightClass::I8, 32), (WeightClass::I8, 0), (WeightClass::I16, 256), (WeightClass::I16, 0)];

impl Cases {
    /// Weight, scale and low bytes. `free`: any bytes at all, as an operand that is no constant may hold.
    fn weights(&mut self, shape: &[usize], (class, block): (WeightClass, u32), free: bool) -> [Option<Tensor>; 3] {
        let (n, k) = (shape[0], shape[1..].iter().product::<usize>());
        let (mut high, mut low) =
            (self.rng.tensor(DType::I8, shape, Special), self.rng.tensor(DType::U8, shape, Special));
        let mut scale = match block {
            0 => self.rng.tensor(DType::F32, &[n], if free { Special } else { Wide }),
            b => self.rng.tensor(DType::U8, &[n, k.div_ceil(b as usize), 2], Special),
        };
        if let (false, Data::I8(h), Data::U8(l)) = (free, &mut high.data, &mut low.data) {
            // -128 becomes -127, and -32768 what it may be.
            h.iter_mut().for_each(|w| *w = (*w).max(-127));
            l.iter_mut().zip(h).for_each(|(l, h)| *l = if *h == -127 { *l | 1 } else { *l });
        }
        match &mut scale.data {
            Data::F32(s) if !free => s.iter_mut().for_each(|s| *s = s.abs()),
            // Exponents from 2^-32 to 2^31.
            Data::U8(s) if !free => s.iter_mut().skip(1).step_by(2).for_each(|s| *s = 0x30 | *s & 0x1f),
            _ => {}
        }
        [Some(high), Some(scale), Some(low).filter(|_| class == WeightClass::I16)]
    }

    pub(super) fn quantized_matmul(&mut self) {
        let shapes: [(&[usize], usize); 9] = [
            (&[3, 5], 4),
            (&[1, 64], 33),
            (&[17, 96], 16),
            (&[2, 3, 257], 17),
            (&[29, 40], 50),
            (&[2, 1025], 5),
            (&[600], 3),
            (&[4, 0], 3),
            (&[0, 40], 3),
        ];
        for format in FORMATS {
            let op = QuantizedMatMul { class: format.0, block: format.1 }.into();
            for (shape, n) in shapes {
                for (values, bias, free) in [(Ordinary, true, false), (Wide, false, false), (Special, true, true)] {
                    let x = self.tensor(DType::F32, shape, values);
                    let k = shape[shape.len() - 1];
                    let [w, scale, low] = self.weights(&[n, k], format, free);
                    let bias = if bias { self.tensor(DType::F32, &[n], Ordinary) } else { None };
                    let batched: &[usize] = if shape.len() == 1 { &[] } else { &[0] };
                    self.push(&op, vec![x, w, scale, low, bias], if free { 5 } else { 1 }, batched);
                }
            }
        }
    }

    pub(super) fn quantized_conv(&mut self) {
        for (class, block) in FORMATS {
            for (x, w, groups, strides, dilations, [begin, end]) in WINDOWS {
                for (values, bias, free) in [(Ordinary, true, false), (Wide, false, false), (Special, true, true)] {
                    let op = QuantizedConv {
                        class,
                        block,
                        groups,
                        strides: strides.to_vec(),
                        dilations: dilations.to_vec(),
                        pads_begin: begin.to_vec(),
                        pads_end: end.to_vec(),
                    };
                    let x = self.tensor(DType::F32, x, values);
                    let [high, scale, low] = self.weights(w, (class, block), free);
                    let bias = if bias { self.tensor(DType::F32, &w[..1], Ordinary) } else { None };
                    self.push(&op.into(), vec![x, high, scale, low, bias], if free { 5 } else { 1 }, &[0]);
                }
            }
        }
    }

    pub(super) fn integer_matmul(&mut self) {
        let shapes: [(&[usize], &[usize], &[usize]); 9] = [
            (&[3, 5], &[5, 4], &[0]),
            (&[7, 255], &[255, 33], &[0]),
            (&[29, 64], &[64, 16], &[0]),
            (&[1, 600], &[600, 17], &[0]),
            (&[2, 3, 4, 6], &[3, 6, 5], &[0]),
            (&[4, 5, 8], &[4, 8, 5], &[0, 1]),
            (&[5, 0], &[0, 3], &[0]),
            (&[300], &[300, 4], &[]),
            (&[4, 300], &[300], &[0]),
        ];
        for (a, b, batched) in shapes {
            for (left, right) in
                [(DType::U8, DType::I8), (DType::I8, DType::I8), (DType::U8, DType::U8), (DType::I8, DType::U8)]
            {
                let constants = if batched.contains(&1) { 4 } else { 1 };
                let (x, y) = (self.tensor(left, a, Special), self.tensor(right, b, Special));
                let columns: Vec<usize> = b.iter().skip(1).copied().filter(|_| b.len() == 2).collect();
                let (zx, zy) = (self.tensor(left, &[], Wide), self.tensor(right, &columns, Wide));
                self.push(&IntegerMatMul {}.into(), vec![x.clone(), y.clone(), zx, zy], constants, batched);
                self.push(&IntegerMatMul {}.into(), vec![x.clone(), y.clone()], constants, batched);
                if let [m, _] = a {
                    // A zero point for each row goes with its row.
                    let zx = self.tensor(left, &[*m], Wide);
                    self.push(&IntegerMatMul {}.into(), vec![x, y, zx], 4, &[0, 2]);
                }
            }
        }
    }

    pub(super) fn integer_conv(&mut self) {
        for (x, w, groups, strides, dilations, [begin, end]) in WINDOWS {
            for (left, right) in [(DType::U8, DType::I8), (DType::I8, DType::I8), (DType::U8, DType::U8)] {
                let op = IntegerConv {
                    groups,
                    strides: strides.to_vec(),
                    dilations: dilations.to_vec(),
                    pads_begin: begin.to_vec(),
                    pads_end: end.to_vec(),
                }
                .into();
                let (x, filters) = (self.tensor(left, x, Special), self.tensor(right, w, Special));
                let (zx, zw) = (self.tensor(left, &[], Wide), self.tensor(right, &w[..1], Wide));
                self.push(&op, vec![x.clone(), filters.clone(), zx, zw], 1, &[0]);
                self.push(&op, vec![x, filters], 4, &[0]);
            }
        }
    }
}
