//! Elementwise functions of one operand.

use super::Operator;
use super::shape::{count, known_shape, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::float::{self, elementary as e};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attribute_enum! {
    /// Which function.
    pub enum UnaryKind {
        /// -x
        Neg = 1,
        /// |x|
        Abs = 2,
        /// sign of x; NaN stays NaN
        Sign = 3,
        /// 1 / x
        Reciprocal = 4,
        /// square root
        Sqrt = 5,
        /// towards -infinity
        Floor = 6,
        /// towards +infinity
        Ceil = 7,
        /// to nearest, ties to even
        Round = 8,
        /// max(x, 0) with Relu(-0) = +0
        Relu = 9,
        /// 1 / (1 + exp(-x))
        Sigmoid = 10,
        /// max(x, 0) + log1p(exp(-|x|))
        Softplus = 11,
        /// logical not
        Not = 12,
        /// x is NaN
        IsNan = 13,
        /// x is infinite
        IsInf = 14,
        /// bitwise not
        BitNot = 15,
        /// e^x
        Exp = 32,
        /// e^x - 1
        Expm1 = 33,
        /// natural logarithm
        Log = 34,
        /// ln(1 + x)
        Log1p = 35,
        /// hyperbolic tangent
        Tanh = 36,
        /// error function
        Erf = 37,
        /// sine
        Sin = 38,
        /// cosine
        Cos = 39,
        /// tangent
        Tan = 40,
        /// inverse sine
        Asin = 41,
        /// inverse cosine
        Acos = 42,
        /// inverse tangent
        Atan = 43,
        /// hyperbolic sine
        Sinh = 44,
        /// hyperbolic cosine
        Cosh = 45,
        /// inverse hyperbolic sine
        Asinh = 46,
        /// inverse hyperbolic cosine
        Acosh = 47,
        /// inverse hyperbolic tangent
        Atanh = 48,
    }
}

impl UnaryKind {
    /// Name in ONNX where ONNX has it.
    pub fn name(self) -> &'static str {
        use UnaryKind::*;
        match self {
            Neg => "Neg",
            Abs => "Abs",
            Sign => "Sign",
            Reciprocal => "Reciprocal",
            Sqrt => "Sqrt",
            Floor => "Floor",
            Ceil => "Ceil",
            Round => "Round",
            Relu => "Relu",
            Sigmoid => "Sigmoid",
            Softplus => "Softplus",
            Not => "Not",
            IsNan => "IsNaN",
            IsInf => "IsInf",
            BitNot => "BitwiseNot",
            Exp => "Exp",
            Expm1 => "Expm1",
            Log => "Log",
            Log1p => "Log1p",
            Tanh => "Tanh",
            Erf => "Erf",
            Sin => "Sin",
            Cos => "Cos",
            Tan => "Tan",
            Asin => "Asin",
            Acos => "Acos",
            Atan => "Atan",
            Sinh => "Sinh",
            Cosh => "Cosh",
            Asinh => "Asinh",
            Acosh => "Acosh",
            Atanh => "Atanh",
        }
    }

    /// The function on f32; `None` for those that are not from f32 to f32.
    pub fn on_f32(self) -> Option<fn(f32) -> f32> {
        use UnaryKind::*;
        Some(match self {
            // The sign is flipped by its bit: LS1 compiles to no operation that could round.
            Neg => |x| -x,
            Abs => f32::abs,
            Sign => |x| {
                if x > 0.0 {
                    1.0
                } else if x < 0.0 {
                    -1.0
                } else if x == 0.0 {
                    0.0
                } else {
                    x
                }
            },
            Reciprocal => |x| 1.0 / x,
            Sqrt => f32::sqrt,
            Floor => f32::floor,
            Ceil => f32::ceil,
            Round => f32::round_ties_even,
            Relu => |x| float::max(x, 0.0),
            Sigmoid => e::sigmoid,
            Softplus => e::softplus,
            Exp => e::exp,
            Expm1 => e::expm1,
            Log => e::log,
            Log1p => e::log1p,
            Tanh => e::tanh,
            Erf => e::erf,
            Sin => e::sin,
            Cos => e::cos,
            Tan => e::tan,
            Asin => e::asin,
            Acos => e::acos,
            Atan => e::atan,
            Sinh => e::sinh,
            Cosh => e::cosh,
            Asinh => e::asinh,
            Acosh => e::acosh,
            Atanh => e::atanh,
            Not | IsNan | IsInf | BitNot => return None,
        })
    }

    fn accepts(self, t: DType) -> bool {
        use UnaryKind::*;
        match self {
            Not => t == DType::Bool,
            BitNot => matches!(t, DType::U8 | DType::I8 | DType::I32 | DType::I64),
            IsNan | IsInf => t == DType::F32,
            Abs | Sign => t != DType::Bool,
            Neg | Relu => matches!(t, DType::F32 | DType::I8 | DType::I32 | DType::I64),
            _ => t == DType::F32,
        }
    }
}

crate::attributes! {
    /// f(x), element by element.
    pub struct Unary {
        /// Which function.
        pub kind: UnaryKind,
    }
}

impl Operator for Unary {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        if !self.kind.accepts(x.dtype) {
            return Err(OpError::new(format!("does not take {}", x.dtype)));
        }
        let dtype = match self.kind {
            UnaryKind::IsNan | UnaryKind::IsInf => DType::Bool,
            _ => x.dtype,
        };
        Ok(vec![TensorType::new(dtype, x.shape.clone())])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        use UnaryKind::*;
        let n = outputs.first().map_or(0, count);
        match self.kind {
            Reciprocal | Sqrt => Work::of(Unit::Division, n),
            Sigmoid => Work::of(Unit::Elementary, n).and(Unit::Division, n),
            Softplus => Work::of(Unit::Elementary, n.saturating_mul(2)),
            k if k as u8 >= 32 => Work::of(Unit::Elementary, n),
            _ => Work::of(Unit::Element, n),
        }
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        use UnaryKind::*;
        let Some(x) = tensor(inputs, 0) else { return Ok(Vec::new()) };
        macro_rules! integer {
            ($variant:ident, $v:expr) => {
                Data::$variant(
                    $v.iter()
                        .map(|x| match self.kind {
                            Neg => x.wrapping_neg(),
                            Abs => x.wrapping_abs(),
                            Sign => x.signum(),
                            Relu => (*x).max(0),
                            _ => !*x,
                        })
                        .collect(),
                )
            };
        }
        let data = match (&x.data, self.kind) {
            (Data::F32(v), IsNan) => Data::Bool(v.iter().map(|x| x.is_nan()).collect()),
            (Data::F32(v), IsInf) => Data::Bool(v.iter().map(|x| x.is_infinite()).collect()),
            (Data::F32(v), k) => match k.on_f32() {
                Some(f) => Data::F32(v.iter().map(|x| f(*x)).collect()),
                None => x.data.clone(),
            },
            (Data::Bool(v), _) => Data::Bool(v.iter().map(|x| !x).collect()),
            (Data::U8(v), _) => Data::U8(
                v.iter()
                    .map(|x| match self.kind {
                        Abs => *x,
                        Sign => u8::from(*x > 0),
                        _ => !*x,
                    })
                    .collect(),
            ),
            (Data::I8(v), _) => integer!(I8, v),
            (Data::I32(v), _) => integer!(I32, v),
            (Data::I64(v), _) => integer!(I64, v),
        };
        Ok(vec![Tensor { shape: outputs.first().map(known_shape).unwrap_or_default(), data }])
    }
}
