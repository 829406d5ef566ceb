//! A border of constants, edges or reflections (ONNX Pad).

use super::Operator;
use super::shape::{count, known_shape, operand, tensor};
use super::slice::pick;
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::each_dtype;
use crate::error::{OpError, ValueFault};
use crate::tensor::{Data, Tensor, TensorType};

crate::attribute_enum! {
    /// What stands in the border.
    pub enum PadMode {
        /// The value.
        Constant = 1,
        /// The nearest element.
        Edge = 2,
        /// The mirror image without the edge.
        Reflect = 3,
        /// The tensor repeated.
        Wrap = 4,
    }
}

crate::attributes! {
    /// Operand x, optional scalar of x's type (constant mode; absent: 0).
    pub struct Pad {
        /// What stands in the border.
        pub mode: PadMode,
        /// Elements before each axis.
        pub begin: Vec<u32>,
        /// Elements after each axis.
        pub end: Vec<u32>,
    }
}

/// # Work
/// Element: elements of the result.
impl Operator for Pad {
    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        let lengths = [self.begin.len(), self.end.len()];
        if lengths != [x.rank(); 2] {
            return Err(OpError::new(format!("begin and end for {} axes expected, {lengths:?} came", x.rank())));
        }
        if let Some(value) = inputs.get(1).copied().flatten() {
            if self.mode != PadMode::Constant {
                return Err(OpError::new("only the constant mode takes a value"));
            }
            if value.dtype != x.dtype || value.shape.iter().any(|d| *d != Dim::Known(1)) {
                let rank = value.rank();
                return Err(OpError::new(format!(
                    "a value of one {} expected, {} of rank {rank} came",
                    x.dtype, value.dtype
                )));
            }
        }
        let pads = self.begin.iter().zip(&self.end);
        let shape = x.shape.iter().zip(pads).enumerate().map(|(axis, (d, (begin, end)))| {
            self.check_axis(axis, d, (*begin).max(*end))?;
            d.offset(i64::from(*begin) + i64::from(*end))
                .ok_or_else(|| OpError::new(format!("axis {axis} is too long")))
        });
        Ok(vec![TensorType::new(x.dtype, shape.collect::<Result<_, _>>()?)])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, count))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let source = |axis: usize, k: usize| self.source(x.shape[axis], self.begin[axis] as usize, k);
        macro_rules! pad {
            ($($variant:ident),+) => {
                match (&x.data, tensor(inputs, 1).map(|t| &t.data)) {
                    $((Data::$variant(v), Some(Data::$variant(value))) => {
                        let fill = value.first().copied().unwrap_or_default();
                        Data::$variant(pick(v, &x.shape, &shape, fill, &source))
                    })+
                    (data, _) => each_dtype!(data, v => pick(v, &x.shape, &shape, Default::default(), &source)),
                }
            };
        }
        let data = pad!(F32, U8, I8, I32, I64, Bool);
        Ok(vec![Tensor { shape, data }])
    }
}

impl Pad {
    /// Refuses a border for which the axis has no elements; symbolic axes are checked in the call.
    fn check_axis(&self, axis: usize, d: &Dim, pad: u32) -> Result<(), OpError> {
        let least = match self.mode {
            PadMode::Constant => 0,
            PadMode::Edge | PadMode::Wrap => u64::from(pad > 0),
            // The mirror must not run out of elements.
            PadMode::Reflect if pad > 0 => u64::from(pad) + 1,
            PadMode::Reflect => 0,
        };
        match d {
            Dim::Known(n) if *n < least => Err(OpError::new(format!(
                "axis {axis} needs {least} elements for a border of {pad} in this mode, it has {n}"
            ))),
            _ => Ok(()),
        }
    }

    /// The element of an axis of length `n` that stands at position `k` of the result.
    fn source(&self, n: usize, begin: usize, k: usize) -> Option<usize> {
        if let Some(p) = k.checked_sub(begin)
            && p < n
        {
            return Some(p);
        }
        match self.mode {
            PadMode::Constant => None,
            PadMode::Edge => Some(if k < begin { 0 } else { n - 1 }),
            // Before: position 0 is the mirror. After: position n - 1 is.
            PadMode::Reflect => Some(if k < begin { begin - k } else { 2 * (n - 1) - (k - begin) }),
            PadMode::Wrap => Some(if k < begin { (n - (begin - k) % n) % n } else { (k - begin) % n }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tensor::DType;

    fn infer(op: &Pad, shape: &[usize]) -> Result<Vec<TensorType>, String> {
        op.infer(&[Some(&TensorType::known(DType::I64, shape))], &Bindings::SYMBOLIC).map_err(|e| e.0)
    }

    fn run(mode: PadMode, begin: &[u32], end: &[u32], shape: &[usize], value: Option<i64>) -> Vec<i64> {
        let op = Pad { mode, begin: begin.to_vec(), end: end.to_vec() };
        let n = shape.iter().product::<usize>() as i64;
        let x = Tensor::new(shape.to_vec(), Data::I64((0..n).collect())).unwrap();
        let value = value.map(|v| Tensor { shape: vec![], data: Data::I64(vec![v]) });
        let y = op.reference(&[Some(&x), value.as_ref()], &infer(&op, shape).unwrap()).unwrap().remove(0);
        y.as_i64().unwrap().to_vec()
    }

    #[test]
    fn borders_as_numpy_makes_them() {
        let pad = |mode, begin, end| run(mode, &[begin], &[end], &[3], None);
        assert_eq!(pad(PadMode::Constant, 1, 2), [0, 0, 1, 2, 0, 0]);
        assert_eq!(run(PadMode::Constant, &[1], &[0], &[2], Some(-7)), [-7, 0, 1]);
        assert_eq!(pad(PadMode::Edge, 2, 1), [0, 0, 0, 1, 2, 2]);
        assert_eq!(pad(PadMode::Reflect, 2, 2), [2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(pad(PadMode::Wrap, 4, 4), [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(run(PadMode::Constant, &[1, 0], &[0, 1], &[1, 2], Some(9)), [9, 9, 9, 0, 1, 9]);
        assert_eq!(run(PadMode::Constant, &[2], &[1], &[0], Some(4)), [4, 4, 4]);
    }

    #[test]
    fn refusals_say_what_came() {
        let op = |mode, begin: u32, end: u32| Pad { mode, begin: vec![begin], end: vec![end] };
        let e = infer(&op(PadMode::Reflect, 0, 3), &[3]).unwrap_err();
        assert_eq!(e, "axis 0 needs 4 elements for a border of 3 in this mode, it has 3");
        assert!(infer(&op(PadMode::Reflect, 0, 0), &[0]).is_ok());
        for mode in [PadMode::Edge, PadMode::Wrap] {
            assert!(infer(&op(mode, 1, 0), &[0]).is_err());
        }
        assert!(infer(&op(PadMode::Edge, 1, 0), &[2, 2]).unwrap_err().contains("for 2 axes expected, [1, 1] came"));
        let (x, value) = (TensorType::known(DType::F32, &[3]), TensorType::known(DType::I32, &[]));
        let with = |mode| op(mode, 1, 1).infer(&[Some(&x), Some(&value)], &Bindings::SYMBOLIC).unwrap_err().0;
        assert_eq!(with(PadMode::Edge), "only the constant mode takes a value");
        assert_eq!(with(PadMode::Constant), "a value of one f32 expected, i32 of rank 0 came");
    }

    #[test]
    fn symbolic_axes_grow() {
        let op = Pad { mode: PadMode::Reflect, begin: vec![2], end: vec![3] };
        let x = TensorType::new(DType::F32, vec![Dim::symbol(0)]);
        let out = op.infer(&[Some(&x)], &Bindings::SYMBOLIC).unwrap();
        assert_eq!(out[0].shape[0].eval(&[Some(10)]), Some(15));
        assert!(infer(&op, &[3]).is_err(), "the call decides whether the mirror suffices");
    }

    proptest! {
        #[test]
        fn agrees_with_walking(
            n in 1usize..6, m in 1usize..4, begin in 0u32..6, end in 0u32..6, mode in proptest::sample::select(PadMode::ALL),
        ) {
            let op = Pad { mode, begin: vec![begin, 0], end: vec![end, 1] };
            let reach = begin.max(end) as usize;
            let valid = mode != PadMode::Reflect || (reach < n && m > 1);
            prop_assert_eq!(infer(&op, &[n, m]).is_ok(), valid);
            if valid {
                // Walks outward from the nearest element, one step at a time.
                let source = |p: i64, n: i64| match mode {
                    PadMode::Constant => (0..n).contains(&p).then_some(p),
                    PadMode::Edge => Some(p.clamp(0, n - 1)),
                    PadMode::Wrap => Some(p.rem_euclid(n)),
                    PadMode::Reflect if n == 1 => Some(0),
                    PadMode::Reflect => {
                        let q = p.rem_euclid(2 * (n - 1));
                        Some(q.min(2 * (n - 1) - q))
                    }
                };
                let mut want = Vec::new();
                for i in 0..(n as i64 + i64::from(begin) + i64::from(end)) {
                    for j in 0..=m as i64 {
                        let at = source(i - i64::from(begin), n as i64).zip(source(j, m as i64));
                        want.push(at.map_or(0, |(r, c)| r * m as i64 + c));
                    }
                }
                prop_assert_eq!(run(mode, &[begin, 0], &[end, 1], &[n, m], None), want);
            }
        }
    }
}
