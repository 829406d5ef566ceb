//! Exact arithmetic for constants that are made at import: rationals, and sines and cosines of rational turns.
//! What leaves this file is rounded once to f32, so that every machine makes the same constant.

use num_bigint::{BigInt, BigUint, Sign};
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

/// A rational number.
pub(crate) type Q = BigRational;

/// An integer.
pub(crate) fn int(n: i64) -> Q {
    Q::from_integer(BigInt::from(n))
}

/// a / b, for b that is not 0.
pub(crate) fn ratio(a: i64, b: i64) -> Q {
    Q::new(BigInt::from(a), BigInt::from(b))
}

/// The value of a finite f32.
pub(crate) fn of_f32(x: f32) -> Option<Q> {
    Q::from_float(x)
}

/// The greatest integer that is not greater; saturates.
pub(crate) fn floor(x: &Q) -> i64 {
    let n = x.floor().to_integer();
    i64::try_from(&n).unwrap_or(if n.is_negative() { i64::MIN } else { i64::MAX })
}

/// The nearest f32, ties to even.
pub(crate) fn to_f32(x: &Q) -> f32 {
    round(x.numer(), &x.denom().magnitude().clone())
}

fn round(numerator: &BigInt, denominator: &BigUint) -> f32 {
    if numerator.is_zero() || denominator.is_zero() {
        return 0.0;
    }
    let n = numerator.magnitude();
    // A quotient of 28 or 29 bits, its last one sticky: more than f32 has, and exact in f64.
    let shift = 28 + denominator.bits() as i64 - n.bits() as i64;
    if shift > 300 {
        return 0.0;
    }
    if shift < -200 {
        return if numerator.is_negative() { f32::NEG_INFINITY } else { f32::INFINITY };
    }
    let (a, b) = if shift >= 0 {
        (n << shift.unsigned_abs(), denominator.clone())
    } else {
        (n.clone(), denominator << shift.unsigned_abs())
    };
    let (q, rest) = (&a / &b, &a % &b);
    let q = u64::try_from(&q).unwrap_or(0) << 1 | u64::from(!rest.is_zero());
    let two_to = f64::from_bits(((1023 - shift - 1) as u64) << 52);
    let y = (q as f64 * two_to) as f32;
    if numerator.is_negative() { -y } else { y }
}

/// Bits behind the point of the fixed-point numbers below.
const BITS: usize = 160;
/// pi * 2^160, rounded down.
const PI: &str = "3243f6a8885a308d313198a2e03707344a4093822";

/// cos and sin of `turn` full turns, to 2^-150.
pub(crate) fn cos_sin(turn: &Q) -> [Q; 2] {
    // Eighths of a turn, so that the series has an argument of at most pi / 4 and exact values stay exact.
    let eighths = (turn - turn.floor()) * int(8);
    let octant = floor(&eighths);
    let within = eighths - int(octant);
    // Odd octants count back from the next axis.
    let part = if octant % 2 == 0 { within } else { int(1) - within };
    let (c, s) = series(&part);
    let (c, s) = match octant {
        0 => (c, s),
        1 => (s, c),
        2 => (-s, c),
        3 => (-c, s),
        4 => (-c, -s),
        5 => (-s, -c),
        6 => (s, -c),
        _ => (c, -s),
    };
    [c, s].map(|v| Q::new(v, BigInt::one() << BITS))
}

/// cos and sin of `part` * pi / 4 for 0 <= part <= 1, times 2^160.
fn series(part: &Q) -> (BigInt, BigInt) {
    let pi = BigInt::parse_bytes(PI.as_bytes(), 16).unwrap_or_default();
    let x: BigInt = (pi * part.numer() / part.denom()) >> 2;
    let square: BigInt = (&x * &x) >> BITS;
    let (mut cos, mut sin) = (BigInt::zero(), BigInt::zero());
    let (mut c, mut s) = (BigInt::one() << BITS, x);
    for k in 0u32..40 {
        cos += &c;
        sin += &s;
        c = -((&c * &square) >> BITS) / BigInt::from((2 * k + 1) * (2 * k + 2));
        s = -((&s * &square) >> BITS) / BigInt::from((2 * k + 2) * (2 * k + 3));
    }
    // What is left of a zero is the error of the last terms.
    let clean = |v: BigInt| if v.bits() < 16 { BigInt::from_biguint(Sign::NoSign, BigUint::zero()) } else { v };
    (clean(cos), clean(sin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rationals_round_once_to_even() {
        assert_eq!(to_f32(&ratio(1, 3)), 1.0 / 3.0);
        assert_eq!(to_f32(&ratio(-2, 7)), -2.0 / 7.0);
        assert_eq!(to_f32(&ratio((1 << 24) + 1, 1)), 16_777_216.0);
        assert_eq!(to_f32(&ratio((1 << 24) + 3, 1)), 16_777_220.0);
        assert_eq!(to_f32(&(ratio((1 << 24) + 1, 1) + ratio(1, 1 << 40))), 16_777_218.0);
        for x in [f32::MIN_POSITIVE, 1e-45, f32::MAX, 0.1, -1.5e-40, 0.0] {
            assert_eq!(to_f32(&of_f32(x).unwrap()).to_bits(), x.to_bits());
        }
        let half_of_the_least = of_f32(1e-45).unwrap() / int(2);
        assert_eq!(to_f32(&half_of_the_least), 0.0);
        assert_eq!(to_f32(&(half_of_the_least * ratio(3, 2))).to_bits(), 1);
        assert_eq!(to_f32(&(of_f32(f32::MAX).unwrap() * int(2))), f32::INFINITY);
    }

    #[test]
    fn sines_and_cosines_of_turns() {
        for (k, n) in [(1, 12), (1, 7), (5, 16), (13, 100), (3, 8), (77, 78), (-1, 5), (9, 4), (1, 1 << 20)] {
            let angle = k as f64 / n as f64 * std::f64::consts::TAU;
            let [c, s] = cos_sin(&ratio(k, n)).map(|v| to_f32(&v));
            assert!((f64::from(c) - angle.cos()).abs() < 6e-8, "{k}/{n}");
            assert!((f64::from(s) - angle.sin()).abs() < 6e-8, "{k}/{n}");
        }
        let quarter = |k| cos_sin(&ratio(k, 4)).map(|v| to_f32(&v).to_bits());
        assert_eq!(quarter(0), [1.0f32, 0.0].map(f32::to_bits));
        assert_eq!(quarter(1), [0.0f32, 1.0].map(f32::to_bits));
        assert_eq!(quarter(2), [-1.0f32, 0.0].map(f32::to_bits));
        assert_eq!(quarter(3), [0.0f32, -1.0].map(f32::to_bits));
        assert_eq!(cos_sin(&ratio(1, 8)).map(|v| to_f32(&v)), [std::f32::consts::FRAC_1_SQRT_2; 2]);
    }
}
