//! Elementwise functions of two operands, broadcast as in numpy.

use super::Operator;
use super::shape::{broadcast, broadcast_strides, count, for_each_offset, known_shape, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::float::{self, elementary};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attribute_enum! {
    /// Which function.
    pub enum BinaryKind {
        /// a + b
        Add = 1,
        /// a - b
        Sub = 2,
        /// a * b
        Mul = 3,
        /// a / b; integers truncate
        Div = 4,
        /// remainder with the sign of a (C's fmod)
        FMod = 5,
        /// remainder with the sign of b (integers)
        Mod = 6,
        /// the lesser, NaN if either is
        Min = 7,
        /// the greater, NaN if either is
        Max = 8,
        /// a^b; the result has a's type
        Pow = 9,
        /// logical and
        And = 10,
        /// logical or
        Or = 11,
        /// logical exclusive or
        Xor = 12,
        /// bitwise and
        BitAnd = 13,
        /// bitwise or
        BitOr = 14,
        /// bitwise exclusive or
        BitXor = 15,
        /// a shifted left by b bits; b at or above the width gives 0
        ShiftLeft = 16,
        /// a shifted right by b bits; b at or above the width is sign fill
        ShiftRight = 17,
    }
}

impl BinaryKind {
    /// Name in ONNX where ONNX has it.
    pub fn name(self) -> &'static str {
        use BinaryKind::*;
        match self {
            Add => "Add",
            Sub => "Sub",
            Mul => "Mul",
            Div => "Div",
            FMod => "FMod",
            Mod => "Mod",
            Min => "Min",
            Max => "Max",
            Pow => "Pow",
            And => "And",
            Or => "Or",
            Xor => "Xor",
            BitAnd => "BitwiseAnd",
            BitOr => "BitwiseOr",
            BitXor => "BitwiseXor",
            ShiftLeft => "ShiftLeft",
            ShiftRight => "ShiftRight",
        }
    }

    /// The function on f32; `None` for those that f32 does not have.
    pub fn on_f32(self) -> Option<fn(f32, f32) -> f32> {
        use BinaryKind::*;
        Some(match self {
            Add => |a, b| a + b,
            Sub => |a, b| a - b,
            Mul => |a, b| a * b,
            Div => |a, b| a / b,
            // Exact by definition: the remainder is representable.
            FMod => |a, b| a % b,
            Min => float::min,
            Max => float::max,
            Pow => elementary::pow,
            _ => return None,
        })
    }

    fn accepts(self, t: DType) -> bool {
        use BinaryKind::*;
        match self {
            And | Or | Xor => t == DType::Bool,
            BitAnd | BitOr | BitXor | ShiftLeft | ShiftRight | Mod => !matches!(t, DType::Bool | DType::F32),
            _ => t != DType::Bool,
        }
    }
}

crate::attributes! {
    /// f(a, b) with broadcasting.
    pub struct Binary {
        /// Which function.
        pub kind: BinaryKind,
    }
}

impl Operator for Binary {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (a, b) = (operand(inputs, 0)?, operand(inputs, 1)?);
        if a.dtype != b.dtype {
            return Err(OpError::new(format!("operands of one type expected, {} and {} came", a.dtype, b.dtype)));
        }
        if !self.kind.accepts(a.dtype) {
            return Err(OpError::new(format!("does not take {}", a.dtype)));
        }
        Ok(vec![TensorType::new(a.dtype, broadcast(&a.shape, &b.shape)?)])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let n = outputs.first().map_or(0, count);
        match self.kind {
            BinaryKind::Div | BinaryKind::Mod => Work::of(Unit::Division, n),
            // The quotient of fmod can have 2^8 bits: the loop is long.
            BinaryKind::Pow | BinaryKind::FMod => Work::of(Unit::Power, n),
            _ => Work::of(Unit::Element, n),
        }
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(a), Some(b), Some(out)) = (tensor(inputs, 0), tensor(inputs, 1), outputs.first()) else {
            return Ok(Vec::new());
        };
        let shape = known_shape(out);
        let (sa, sb) = (broadcast_strides(&a.shape, &shape), broadcast_strides(&b.shape, &shape));
        macro_rules! zip {
            ($x:expr, $y:expr, $f:expr) => {{
                let mut v = Vec::with_capacity(shape.iter().product());
                let mut fault = None;
                for_each_offset(&shape, [&sa, &sb], |[i, j]| match $f($x[i], $y[j]) {
                    Ok(z) => v.push(z),
                    Err(e) => fault = Some(e),
                });
                match fault {
                    Some(e) => return Err(e),
                    None => v,
                }
            }};
        }
        let data = match (&a.data, &b.data) {
            (Data::F32(x), Data::F32(y)) => {
                let f = self.kind.on_f32().unwrap_or(|a, _| a);
                Data::F32(zip!(x, y, |a: f32, b: f32| Ok::<_, ValueFault>(f(a, b))))
            }
            (Data::Bool(x), Data::Bool(y)) => {
                Data::Bool(zip!(x, y, |a: bool, b: bool| Ok::<_, ValueFault>(match self.kind {
                    BinaryKind::And => a && b,
                    BinaryKind::Or => a || b,
                    _ => a != b,
                })))
            }
            (Data::U8(x), Data::U8(y)) => Data::U8(zip!(x, y, |a, b| integer::u8(self.kind, a, b))),
            (Data::I8(x), Data::I8(y)) => Data::I8(zip!(x, y, |a, b| integer::i8(self.kind, a, b))),
            (Data::I32(x), Data::I32(y)) => Data::I32(zip!(x, y, |a, b| integer::i32(self.kind, a, b))),
            (Data::I64(x), Data::I64(y)) => Data::I64(zip!(x, y, |a, b| integer::i64(self.kind, a, b))),
            _ => return Ok(Vec::new()),
        };
        Ok(vec![Tensor { shape, data }])
    }
}

/// The functions on integers: + - * wrap, division by zero is the call's fault (spec NUM-5).
pub mod integer {
    use super::BinaryKind;
    use crate::error::ValueFault;

    macro_rules! implement {
        ($($t:ident),+) => {$(
            #[doc = concat!("The function on ", stringify!($t), ".")]
            #[allow(unused_comparisons)]
            pub fn $t(kind: BinaryKind, a: $t, b: $t) -> Result<$t, ValueFault> {
                use BinaryKind::*;
                let in_width = (0..<$t>::BITS as i128).contains(&(b as i128));
                Ok(match kind {
                    Add => a.wrapping_add(b),
                    Sub => a.wrapping_sub(b),
                    Mul => a.wrapping_mul(b),
                    Div | FMod | Mod if b == 0 => return Err(ValueFault::DivisionByZero),
                    Div => a.wrapping_div(b),
                    FMod => a.wrapping_rem(b),
                    Mod => {
                        let r = a.wrapping_rem(b);
                        if r != 0 && ((r < 0) != (b < 0)) { r.wrapping_add(b) } else { r }
                    }
                    Min => a.min(b),
                    Max => a.max(b),
                    Pow if b < 0 => return Err(ValueFault::NegativeExponent),
                    Pow => power(a, b),
                    And | BitAnd => a & b,
                    Or | BitOr => a | b,
                    Xor | BitXor => a ^ b,
                    ShiftLeft => if in_width { a << b } else { 0 },
                    ShiftRight => {
                        if in_width { a >> b } else if a < 0 { !0 } else { 0 }
                    }
                })
            }
        )+

        /// Wrapping power by squaring, for every width.
        trait Power: Copy {
            fn power(self, exponent: Self) -> Self;
        }
        $(impl Power for $t {
            fn power(self, exponent: Self) -> Self {
                let (mut base, mut n, mut acc): ($t, $t, $t) = (self, exponent, 1);
                while n > 0 {
                    if n & 1 == 1 {
                        acc = acc.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    n >>= 1;
                }
                acc
            }
        })+
        fn power<T: Power>(a: T, b: T) -> T {
            a.power(b)
        }
    };
    }

    implement!(u8, i8, i32, i64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_wrap_and_refuse_division_by_zero() {
        use BinaryKind::*;
        assert_eq!(integer::i32(Div, i32::MIN, -1), Ok(i32::MIN));
        assert_eq!(integer::i32(Div, -7, 2), Ok(-3));
        assert_eq!(integer::i32(FMod, -7, 2), Ok(-1));
        assert_eq!(integer::i32(Mod, -7, 2), Ok(1));
        assert_eq!(integer::i64(Div, 1, 0), Err(ValueFault::DivisionByZero));
        assert_eq!(integer::i8(ShiftRight, -3, 9), Ok(-1));
        assert_eq!(integer::u8(ShiftLeft, 3, 8), Ok(0));
        assert_eq!(integer::i64(Pow, 3, 4), Ok(81));
        assert_eq!(integer::i32(Pow, 2, -1), Err(ValueFault::NegativeExponent));
    }
}
