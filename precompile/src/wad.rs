//! Numbers with 18 decimals to element types and back (spec ABI-4, ABI-5).
//!
//! Everything is exact integer arithmetic with one rounding at the end. 10^18 = 2^18 * 5^18, so that a division by
//! 10^18 is a division by 5^18, which has 42 bits, and a shift.

use alloy_primitives::{I256, U256};
use lockstep_engine::DType;

/// Decimals of every number that Solidity passes and gets.
pub const DECIMALS: u32 = 18;
/// One.
pub const WAD: i128 = 1_000_000_000_000_000_000;

const FIVE_18: u128 = 3_814_697_265_625;

/// `v / 10^18` rounded once to nearest, ties to even; `None` where that is infinite.
pub fn to_f32(v: I256) -> Option<f32> {
    let (sign, magnitude) = v.into_sign_and_abs();
    let bits = magnitude_to_f32(magnitude)?.to_bits() | u32::from(sign.is_negative()) << 31;
    // There is no negative zero among integers.
    Some(if magnitude.is_zero() { 0.0 } else { f32::from_bits(bits) })
}

fn magnitude_to_f32(magnitude: U256) -> Option<f32> {
    let length = 256 - magnitude.leading_zeros();
    if length == 0 {
        return Some(0.0);
    }
    // magnitude = (top + fraction) * 2^shift with 128 bits in top, the fraction below 1.
    let shift = length as i32 - 128;
    let (top, inexact): (u128, bool) = if shift <= 0 {
        (low(magnitude) << -shift, false)
    } else {
        let top = magnitude >> shift as usize;
        (low(top), top << shift as usize != magnitude)
    };
    // magnitude / 10^18 = (q + fraction) * 2^exponent; q has 86 or 87 bits.
    let (q, remainder) = (top / FIVE_18, top % FIVE_18);
    let exponent = shift - DECIMALS as i32;
    round(q, remainder != 0 || inexact, exponent)
}

fn low(x: U256) -> u128 {
    let l = x.as_limbs();
    u128::from(l[1]) << 64 | u128::from(l[0])
}

/// `(q + fraction) * 2^exponent` as f32, where q has more than 25 bits and the result is not subnormal
/// (the least non-zero value is 10^-18).
fn round(q: u128, inexact: bool, exponent: i32) -> Option<f32> {
    let drop = 128 - q.leading_zeros() as i32 - 24;
    let kept = (q >> drop) as u32;
    let rest = q & ((1 << drop) - 1);
    let half = 1u128 << (drop - 1);
    let up = rest > half || rest == half && (inexact || kept & 1 == 1);
    // A carry out of the 24 bits moves into the exponent field, where it belongs.
    let biased = exponent + drop + 23 + 127;
    let bits = ((biased as u32) << 23) + (kept & 0x7f_ffff) + u32::from(up);
    (bits < 0x7f80_0000 && biased < 255).then(|| f32::from_bits(bits))
}

/// `x * 10^18` rounded to nearest, ties to even; `None` for NaN and infinity.
pub fn from_f32(x: f32) -> Option<I256> {
    let bits = x.to_bits();
    let (field, fraction) = (bits >> 23 & 0xff, bits & 0x7f_ffff);
    let (mantissa, exponent) = match field {
        0xff => return None,
        0 => (fraction, -149),
        _ => (fraction | 0x80_0000, field as i32 - 150),
    };
    // x * 10^18 = product * 2^exponent; the product has at most 66 bits.
    let product = u128::from(mantissa) * FIVE_18;
    let exponent = exponent + DECIMALS as i32;
    let magnitude = if exponent >= 0 {
        U256::from(product) << exponent as usize
    } else {
        // From 67 on the product is below one half.
        let drop = exponent.unsigned_abs().min(68);
        let (kept, rest) = (product >> drop, product & ((1 << drop) - 1));
        let half = 1u128 << (drop - 1);
        U256::from(kept + u128::from(rest > half || rest == half && kept & 1 == 1))
    };
    // At most 2^128 * 10^18, which is below 2^188.
    let v = I256::from_raw(magnitude);
    Some(if bits >> 31 == 1 { -v } else { v })
}

/// The integer that v stands for, where v is a multiple of 10^18 and the type holds it (bool: 0 or 1).
pub fn to_integer(v: I256, dtype: DType) -> Option<i64> {
    let v = i128::try_from(v).ok()?;
    if v % WAD != 0 {
        return None;
    }
    let n = i64::try_from(v / WAD).ok()?;
    let (least, greatest) = match dtype {
        DType::F32 => return None,
        DType::U8 => (0, i64::from(u8::MAX)),
        DType::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        DType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        DType::I64 => (i64::MIN, i64::MAX),
        DType::Bool => (0, 1),
    };
    (least..=greatest).contains(&n).then_some(n)
}

/// `n * 10^18`.
pub fn from_integer(n: i64) -> I256 {
    // Below 2^63 * 10^18 < 2^123.
    I256::try_from(i128::from(n) * WAD).unwrap_or(I256::ZERO)
}
