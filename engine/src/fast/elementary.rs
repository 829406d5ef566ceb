//! exp and tanh of many elements at a time: in binary64 lanes, rounded once to binary32.
//!
//! Each is one sequence of binary64 operations with fused multiply-adds, the same at every level that has them, so that
//! one run over all 2^32 inputs (`scripts/exhaustive.sh lanes`) shows it correctly rounded for all: the
//! bits are the scalar function's. Without fused instructions the scalar function itself runs.
//!
//! e^x = 2^n · e^r with n the whole number nearest to x / ln 2; e^r - 1 by the polynomial r + r² · P(r), P of degree 9
//! through the Chebyshev points of |r| <= ln 2 / 2, relative error below 2^-55.

use super::level::{Kind, Level};
use crate::float::elementary;

/// P's coefficients, the constant first.
#[allow(clippy::excessive_precision)]
const P: [f64; 10] = [
    0.5000000000000001,
    0.16666666666666669,
    0.04166666666662413,
    0.008333333333330062,
    0.0013888888917213717,
    0.00019841269863053618,
    2.4801521295954376e-05,
    2.7557268459997064e-06,
    2.7620088445409746e-07,
    2.510038549551032e-08,
];
/// Added to a number below 2^51 it leaves the nearest whole one in the low bits.
const SHIFT: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts: the product of the first, of 42 bits, with n is exact.
const LN_2: [f64; 2] = [0.6931471805598903, 5.497923018708371e-14];

/// 2^n and e^r - 1 with n · ln 2 + r = x, for |x| <= 300.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    let shifted = x.mul_add(std::f64::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let r = (-n).mul_add(LN_2[1], (-n).mul_add(LN_2[0], x));
    let p = P.iter().rev().skip(1).fold(P[9], |p, c| p.mul_add(r, *c));
    // n in the place of the exponent, 1023 added there; bits above n's are shifted out.
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()));
    (power, (p * r).mul_add(r, r))
}

/// e^x. Beyond the limits the result is 0 or infinity, as at the limits.
#[inline(always)]
fn exp_lane(x: f32) -> f32 {
    let x = if x < -150.0 { -150.0 } else { x };
    let x = if x > 130.0 { 130.0 } else { x };
    let (power, rest) = split(f64::from(x));
    power.mul_add(rest, power) as f32
}

/// tanh x = t / (t + 2) with t = e^2|x| - 1, and the sign of x; 1 from 12 on.
#[inline(always)]
fn tanh_lane(x: f32) -> f32 {
    let a = x.abs();
    let a = if a > 12.0 { 12.0 } else { a };
    let (power, rest) = split(2.0 * f64::from(a));
    let t = power.mul_add(rest, power - 1.0);
    let y = (t / (t + 2.0)) as f32;
    f32::from_bits(y.to_bits() | (x.to_bits() & (1 << 31)))
}

#[inline(always)]
fn map(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y = f(*x));
}

/// The lanes compiled for each level that has fused multiply-adds.
macro_rules! functions {
    ($($name:ident: $lane:ident or $scalar:path, $doc:literal;)+) => {$(
        #[doc = $doc]
        pub fn $name(level: Level, x: &[f32], y: &mut [f32]) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2(x: &[f32], y: &mut [f32]) {
                map(x, y, $lane);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            fn avx512(x: &[f32], y: &mut [f32]) {
                map(x, y, $lane);
            }
            match level.kind() {
                Kind::Portable => map(x, y, $scalar),
                // SAFETY: a level exists only where its instructions were detected.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { avx2(x, y) },
                // SAFETY: likewise.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { avx512(x, y) },
            }
        }
    )+};
}

functions! {
    exp: exp_lane or elementary::exp, "e^x of each element, correctly rounded.";
    tanh: tanh_lane or elementary::tanh, "Hyperbolic tangent of each element, correctly rounded.";
}

/// 1 / (1 + exp(-x)) of each element: four operations, each rounded once (spec NUM-8).
pub fn sigmoid(level: Level, x: &[f32], y: &mut [f32]) {
    // In parts that stay in the first cache.
    for (x, y) in x.chunks(1024).zip(y.chunks_mut(1024)) {
        let mut negated = [0.0; 1024];
        let negated = &mut negated[..x.len()];
        map(x, negated, |x| -x);
        exp(level, negated, y);
        y.iter_mut().for_each(|y| *y = 1.0 / (1.0 + *y));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = (fn(Level, &[f32], &mut [f32]), fn(f32) -> f32);
    const FUNCTIONS: [Pair; 3] = [(exp, elementary::exp), (tanh, elementary::tanh), (sigmoid, elementary::sigmoid)];

    fn check(x: &[f32]) {
        let mut y = vec![0.0; x.len()];
        for level in Level::available() {
            for (lanes, scalar) in FUNCTIONS {
                lanes(level, x, &mut y);
                for (x, y) in x.iter().zip(&y) {
                    let want = scalar(*x);
                    let same = y.to_bits() == want.to_bits() || (y.is_nan() && want.is_nan());
                    assert!(same, "{} at {x:e}: {y:e}, not {want:e}", level.name());
                }
            }
        }
    }

    /// All of them: scripts/exhaustive.sh.
    #[test]
    fn every_1021st_input_has_the_scalar_function_s_bits() {
        let mut all = (0..=u32::MAX).step_by(1021).map(f32::from_bits).peekable();
        while all.peek().is_some() {
            check(&all.by_ref().take(4099).collect::<Vec<_>>());
        }
    }

    #[test]
    fn lanes_agree_on_specials_and_at_every_length() {
        let special =
            [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-45, -1e-45, 88.72284, -103.97208, 9.01];
        for n in 0..40 {
            check(&special.iter().copied().cycle().take(n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn inputs_around_every_power_of_two_and_every_limit() {
        let centers = (0..=255u32).map(|e| e << 23).chain([150.0f32, 130.0, 12.0, 0.346_573_6].map(f32::to_bits));
        let around = centers.flat_map(|c| (0..64u32).map(move |i| c.wrapping_add(i).wrapping_sub(32)));
        check(&around.flat_map(|b| [b, b ^ (1 << 31)]).map(f32::from_bits).collect::<Vec<_>>());
    }
}
