//! Cases of checks, picks, updates, order and running sums.

use super::cases::Cases;
use super::random::Values::{Ordinary, Special, Wide};
use crate::dim::Dim;
use crate::ops::bit_cast::BitCast;
use crate::ops::cumulate::{Cumulate, CumulateKind};
use crate::ops::gather_elements::GatherElements;
use crate::ops::gather_nd::GatherND;
use crate::ops::require::{Require, Requirement};
use crate::ops::scatter::{ScatterElements, ScatterKind, ScatterND};
use crate::ops::top_k::TopK;
use crate::tensor::{DType, Data, Tensor};

impl Cases {
    /// Indices for an axis of length `n`, some from its end; one outside where `outside`.
    fn indices(&mut self, shape: &[usize], n: usize, outside: bool) -> Tensor {
        let count: usize = shape.iter().product();
        let mut v: Vec<i64> = (0..count).map(|_| self.rng.below(2 * n) as i64 - n as i64).collect();
        if let (true, Some(last)) = (outside, v.last_mut()) {
            *last = n as i64;
        }
        let narrow = Data::I32(v.iter().map(|i| *i as i32).collect());
        Tensor { shape: shape.to_vec(), data: if self.rng.coin() { narrow } else { Data::I64(v) } }
    }

    pub(super) fn require(&mut self) {
        for what in Requirement::ALL {
            for (condition, dtype) in [(&[true, true][..], DType::F32), (&[], DType::I64), (&[true, false], DType::U8)]
            {
                for shape in [&[3, 5][..], &[0, 5]] {
                    let x = self.tensor(dtype, shape, Special);
                    let c = Tensor { shape: vec![condition.len()], data: Data::Bool(condition.to_vec()) };
                    self.push(&Require { what: *what }.into(), vec![x, Some(c)], 1, &[0]);
                }
            }
        }
    }

    pub(super) fn gather_elements(&mut self) {
        for dtype in DType::ALL {
            for (shape, index, axis) in
                [([4, 7, 3], [4, 5, 3], 1u8), ([4, 7, 3], [4, 2, 9], 2), ([4, 7, 3], [6, 7, 2], 0)]
            {
                for outside in [false, true] {
                    let x = self.tensor(dtype, &shape, Special);
                    let i = self.indices(&index, shape[usize::from(axis)], outside);
                    let batched: &[usize] = if axis == 0 || outside { &[] } else { &[0, 1] };
                    self.push(&GatherElements { axis }.into(), vec![x, Some(i)], 2, batched);
                }
            }
        }
    }

    pub(super) fn gather_nd(&mut self) {
        for dtype in DType::ALL {
            for (shape, index, batch_dims) in
                [(&[4, 5, 4][..], &[4, 3, 1][..], 1), (&[4, 4, 4], &[2, 3, 2], 0), (&[4, 4], &[5, 2], 0)]
            {
                for outside in [false, true] {
                    let x = self.tensor(dtype, shape, Special);
                    let i = self.indices(index, 4, outside);
                    let batched: &[usize] = match (batch_dims, outside) {
                        (0, false) => &[1],
                        (_, false) => &[0, 1],
                        _ => &[],
                    };
                    self.push(&GatherND { batch_dims }.into(), vec![x, Some(i)], 2, batched);
                }
            }
        }
    }

    pub(super) fn scatter_elements(&mut self, kind: ScatterKind) {
        for dtype in DType::ALL {
            for (shape, index, axis) in
                [([3, 4, 5], [3, 7, 5], 1u8), ([3, 4, 5], [9, 2, 5], 0), ([3, 4, 5], [0, 4, 5], 0)]
            {
                for values in [Ordinary, Special] {
                    let op = ScatterElements { axis, kind };
                    let x = self.tensor(dtype, &shape, values);
                    let i = self.indices(&index, shape[usize::from(axis)], false);
                    let u = self.tensor(dtype, &index, values);
                    self.push(&op.into(), vec![x, Some(i), u], 3, if axis == 0 { &[] } else { &[0, 1, 2] });
                }
            }
        }
    }

    pub(super) fn scatter_nd(&mut self, kind: ScatterKind) {
        for dtype in DType::ALL {
            for (shape, index, updates) in
                [(&[4, 6][..], &[9, 1][..], &[9, 6][..]), (&[4, 4, 3], &[2, 5, 2], &[2, 5, 3]), (&[4], &[7, 1], &[7])]
            {
                for outside in [false, true] {
                    let x = self.tensor(dtype, shape, Special);
                    let i = self.indices(index, 4, outside);
                    let u = self.tensor(dtype, updates, Special);
                    self.push(&ScatterND { kind }.into(), vec![x, Some(i), u], 3, &[]);
                }
            }
        }
    }

    pub(super) fn top_k(&mut self, greatest: bool) {
        for dtype in DType::ALL {
            for (shape, axis, k) in [([6, 31, 1], 1u8, 31), ([6, 9, 2], 1, 4), ([40, 1, 3], 0, 7), ([3, 5, 8], 2, 1)] {
                for values in [Ordinary, Special] {
                    let op = TopK { axis, k: Dim::Known(k), greatest }.into();
                    let x = self.tensor(dtype, &shape, values);
                    self.push(&op, vec![x], 1, if axis == 0 { &[] } else { &[0] });
                }
            }
        }
    }

    pub(super) fn cumulate(&mut self, kind: CumulateKind) {
        for dtype in DType::ALL {
            for (shape, axis) in [(&[5, 70][..], 1u8), (&[33, 4], 0), (&[3, 6, 2], 1), (&[2, 0], 1)] {
                for (exclusive, reverse, values) in
                    [(false, false, Special), (true, false, Ordinary), (false, true, Wide), (true, true, Ordinary)]
                {
                    let op = Cumulate { kind, axis, exclusive, reverse }.into();
                    let x = self.tensor(dtype, shape, values);
                    self.push(&op, vec![x], 1, if axis == 0 { &[] } else { &[0] });
                }
            }
        }
    }

    pub(super) fn bit_cast(&mut self, to: DType) {
        for dtype in DType::ALL {
            for shape in [&[6, 50][..], &[], &[2, 0]] {
                self.one(&BitCast { to }.into(), dtype, shape, Special);
            }
        }
    }
}
