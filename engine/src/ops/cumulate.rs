//! Running sums and products along an axis (ONNX CumSum 14, CumProd 26), one element after the other.

use super::Operator;
use super::shape::{count, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attribute_enum! {
    /// What runs along.
    pub enum CumulateKind {
        /// Sums.
        Sum = 0,
        /// Products.
        Product = 1,
    }
}

crate::attributes! {
    /// `y[0] = x[0]`, `y[i] = y[i - 1] + x[i]` (or `*`); `exclusive` moves that by one: `0` (or `1`), `y[0]`, `y[1]`, ...
    pub struct Cumulate {
        /// What runs along.
        pub kind: CumulateKind,
        /// The axis, counted from the front.
        pub axis: u8,
        /// Whether an element counts for those after it only.
        pub exclusive: bool,
        /// Whether it runs from the end.
        pub reverse: bool,
    }
}

/// # Work
/// Element: 2 for each element.
impl Operator for Cumulate {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        if x.dtype == DType::Bool {
            return Err(OpError::new("does not take bool"));
        }
        if usize::from(self.axis) >= x.rank() {
            return Err(OpError::new(format!("axis {} of rank {}", self.axis, x.rank())));
        }
        Ok(vec![x.clone()])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, count).saturating_mul(2))
    }

    fn scratch(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> u64 {
        outputs.first().map_or(0, |t| self.row(t))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], _: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let Some(x) = tensor(inputs, 0) else { return Ok(Vec::new()) };
        macro_rules! integers {
            ($v:expr, $variant:ident, $t:ty) => {
                Data::$variant(match self.kind {
                    CumulateKind::Sum => self.run($v, &x.shape, 0, <$t>::wrapping_add),
                    CumulateKind::Product => self.run($v, &x.shape, 1, <$t>::wrapping_mul),
                })
            };
        }
        let data = match &x.data {
            Data::F32(v) => Data::F32(match self.kind {
                CumulateKind::Sum => self.run(v, &x.shape, 0.0, |a, b| a + b),
                CumulateKind::Product => self.run(v, &x.shape, 1.0, |a, b| a * b),
            }),
            Data::U8(v) => integers!(v, U8, u8),
            Data::I8(v) => integers!(v, I8, i8),
            Data::I32(v) => integers!(v, I32, i32),
            Data::I64(v) => integers!(v, I64, i64),
            Data::Bool(_) => return Ok(Vec::new()),
        };
        Ok(vec![Tensor { shape: x.shape.clone(), data }])
    }
}

impl Cumulate {
    fn run<T: Copy>(&self, x: &[T], shape: &[usize], identity: T, f: impl Fn(T, T) -> T) -> Vec<T> {
        if x.is_empty() {
            return Vec::new();
        }
        let axis = usize::from(self.axis);
        let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        let mut out = vec![identity; x.len()];
        let mut sums = vec![identity; inner];
        for (block, out) in x.chunks_exact(n * inner).zip(out.chunks_exact_mut(n * inner)) {
            for step in 0..n {
                let at = if self.reverse { n - 1 - step } else { step } * inner;
                let (row, to) = (&block[at..at + inner], &mut out[at..at + inner]);
                if self.exclusive && step > 0 {
                    to.copy_from_slice(&sums);
                }
                for (s, v) in sums.iter_mut().zip(row) {
                    *s = if step == 0 { *v } else { f(*s, *v) };
                }
                if !self.exclusive {
                    to.copy_from_slice(&sums);
                }
            }
        }
        out
    }

    /// Bytes of the running row.
    fn row(&self, t: &TensorType) -> u64 {
        let after = t.shape.get(usize::from(self.axis) + 1..).unwrap_or_default();
        let inner = after.iter().fold(1u64, |n, d| n.saturating_mul(d.as_known().unwrap_or(u64::MAX)));
        inner.saturating_mul(t.dtype.size() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(kind: CumulateKind, axis: u8, exclusive: bool, reverse: bool, shape: &[usize], data: Data) -> Data {
        let op = Cumulate { kind, axis, exclusive, reverse };
        let x = Tensor::new(shape.to_vec(), data).unwrap();
        let out = op.infer(&[Some(&x.ty())], &Bindings::SYMBOLIC).unwrap();
        op.reference(&[Some(&x)], &out).unwrap().remove(0).data
    }

    #[test]
    fn forwards_backwards_and_moved_by_one() {
        use CumulateKind::{Product, Sum};
        let x = || Data::I32(vec![1, 2, 3, 4]);
        assert_eq!(run(Sum, 0, false, false, &[4], x()), Data::I32(vec![1, 3, 6, 10]));
        assert_eq!(run(Sum, 0, true, false, &[4], x()), Data::I32(vec![0, 1, 3, 6]));
        assert_eq!(run(Sum, 0, false, true, &[4], x()), Data::I32(vec![10, 9, 7, 4]));
        assert_eq!(run(Product, 0, true, true, &[4], x()), Data::I32(vec![24, 12, 4, 1]));
        assert_eq!(run(Sum, 0, false, false, &[2, 2], x()), Data::I32(vec![1, 2, 4, 6]));
        assert_eq!(run(Product, 1, false, false, &[2, 2], x()), Data::I32(vec![1, 2, 3, 12]));
        assert_eq!(run(Sum, 0, false, false, &[2], Data::U8(vec![200, 100])), Data::U8(vec![200, 44]));
    }

    #[test]
    fn floats_add_in_order_from_the_first_itself() {
        let big = 16_777_216.0f32;
        let y = run(CumulateKind::Sum, 0, false, false, &[3], Data::F32(vec![big, 1.0, 1.0]));
        assert_eq!(y, Data::F32(vec![big, big, big]));
        let y = run(CumulateKind::Sum, 0, false, true, &[3], Data::F32(vec![big, 1.0, 1.0]));
        assert_eq!(y, Data::F32(vec![big + 2.0, 2.0, 1.0]));
        let Data::F32(y) = run(CumulateKind::Sum, 0, true, false, &[2], Data::F32(vec![-0.0, 1.0])) else { panic!() };
        assert_eq!(y.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), [0, 0x8000_0000]);
    }
}
