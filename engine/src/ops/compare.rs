//! Comparisons with broadcasting; a comparison with NaN is false.

use super::Operator;
use super::shape::{broadcast, broadcast_strides, count, for_each_offset, known_shape, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attribute_enum! {
    /// Which comparison.
    pub enum CompareKind {
        /// a == b
        Equal = 1,
        /// a < b
        Less = 2,
        /// a <= b
        LessOrEqual = 3,
        /// a > b
        Greater = 4,
        /// a >= b
        GreaterOrEqual = 5,
    }
}

impl CompareKind {
    /// Name in ONNX.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "Equal",
            Self::Less => "Less",
            Self::LessOrEqual => "LessOrEqual",
            Self::Greater => "Greater",
            Self::GreaterOrEqual => "GreaterOrEqual",
        }
    }

    /// Whether `a ? b` holds.
    #[inline]
    pub fn holds<T: PartialOrd>(self, a: T, b: T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
        }
    }
}

crate::attributes! {
    /// a ? b with broadcasting, to bool.
    pub struct Compare {
        /// Which comparison.
        pub kind: CompareKind,
    }
}

impl Operator for Compare {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (a, b) = (operand(inputs, 0)?, operand(inputs, 1)?);
        if a.dtype != b.dtype {
            return Err(OpError::new(format!("operands of one type expected, {} and {} came", a.dtype, b.dtype)));
        }
        if a.dtype == DType::Bool && self.kind != CompareKind::Equal {
            return Err(OpError::new("bool has no order"));
        }
        Ok(vec![TensorType::new(DType::Bool, broadcast(&a.shape, &b.shape)?)])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, count))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(a), Some(b), Some(out)) = (tensor(inputs, 0), tensor(inputs, 1), outputs.first()) else {
            return Ok(Vec::new());
        };
        let shape = known_shape(out);
        let (sa, sb) = (broadcast_strides(&a.shape, &shape), broadcast_strides(&b.shape, &shape));
        let mut v = Vec::with_capacity(shape.iter().product());
        macro_rules! each {
            ($x:expr, $y:expr) => {
                for_each_offset(&shape, [&sa, &sb], |[i, j]| v.push(self.kind.holds($x[i], $y[j])))
            };
        }
        match (&a.data, &b.data) {
            (Data::F32(x), Data::F32(y)) => each!(x, y),
            (Data::U8(x), Data::U8(y)) => each!(x, y),
            (Data::I8(x), Data::I8(y)) => each!(x, y),
            (Data::I32(x), Data::I32(y)) => each!(x, y),
            (Data::I64(x), Data::I64(y)) => each!(x, y),
            (Data::Bool(x), Data::Bool(y)) => each!(x, y),
            _ => return Ok(Vec::new()),
        }
        Ok(vec![Tensor { shape, data: Data::Bool(v) }])
    }
}
