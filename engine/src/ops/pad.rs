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
