//! Conversions between element types (spec NUM-6): to float one rounding, to integer truncate and saturate.

use crate::tensor::{DType, Data};

/// f32 to integer: truncate, saturate, NaN to 0 (Rust's `as`); then to bool: anything but 0 is true.
/// Integer to integer wraps; integer to f32 is one rounding.
pub fn cast(data: &Data, to: DType) -> Data {
    macro_rules! from_number {
        ($v:expr) => {
            match to {
                DType::F32 => Data::F32($v.iter().map(|x| *x as f32).collect()),
                DType::U8 => Data::U8($v.iter().map(|x| *x as u8).collect()),
                DType::I8 => Data::I8($v.iter().map(|x| *x as i8).collect()),
                DType::I32 => Data::I32($v.iter().map(|x| *x as i32).collect()),
                DType::I64 => Data::I64($v.iter().map(|x| *x as i64).collect()),
                DType::Bool => Data::Bool($v.iter().map(|x| *x != Default::default()).collect()),
            }
        };
    }
    match data {
        Data::F32(v) => from_number!(v),
        Data::U8(v) => from_number!(v),
        Data::I8(v) => from_number!(v),
        Data::I32(v) => from_number!(v),
        Data::I64(v) => from_number!(v),
        Data::Bool(v) => match to {
            DType::F32 => Data::F32(v.iter().map(|x| f32::from(u8::from(*x))).collect()),
            DType::U8 => Data::U8(v.iter().map(|x| u8::from(*x)).collect()),
            DType::I8 => Data::I8(v.iter().map(|x| i8::from(*x)).collect()),
            DType::I32 => Data::I32(v.iter().map(|x| i32::from(*x)).collect()),
            DType::I64 => Data::I64(v.iter().map(|x| i64::from(*x)).collect()),
            DType::Bool => Data::Bool(v.clone()),
        },
    }
}

/// `q * 2^-shift` rounded once to f32 (tree ensembles, spec OP-TREE).
pub fn dyadic_to_f32(q: i64, shift: u32) -> f32 {
    // i64 to f32 rounds once; scaling by a power of two is exact unless the result is subnormal,
    // which |q| >= 1 and shift <= 62 exclude.
    (q as f32) * f32::from_bits((127 - shift.min(62)) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_truncate_saturate_and_nan_is_zero() {
        let x = Data::F32(vec![-1.9, 1.9, 300.0, -300.0, f32::NAN, f32::INFINITY, 3e18, -0.0]);
        assert_eq!(cast(&x, DType::U8), Data::U8(vec![0, 1, 255, 0, 0, 255, 255, 0]));
        assert_eq!(cast(&x, DType::I8), Data::I8(vec![-1, 1, 127, -128, 0, 127, 127, 0]));
        assert_eq!(cast(&Data::I64(vec![300, -1]), DType::U8), Data::U8(vec![44, 255]));
        assert_eq!(
            cast(&x, DType::Bool),
            Data::Bool(vec![true, true, true, true, true, true, true, false]),
            "NaN is not equal to zero"
        );
    }

    #[test]
    fn i64_to_f32_rounds_once() {
        // 2^24 + 1 is a tie between 2^24 and 2^24 + 2; through f64 and back nothing is lost here,
        // but 2^53-sized values would round twice.
        let q = (1i64 << 54) + (1 << 30) + 1;
        assert_eq!(cast(&Data::I64(vec![q]), DType::F32), Data::F32(vec![((1i64 << 54) + (1 << 31)) as f32]));
        assert_eq!(dyadic_to_f32(3, 1), 1.5);
        assert_eq!(dyadic_to_f32(-1, 62), -(0.5f32.powi(62)));
    }
}
