//! exp, tanh and erf of many elements at a time: in binary64 lanes, rounded once to binary32.
//!
//! Each is one sequence of binary64 operations with fused multiply-adds, the same at every level that has them, so that
//! one run over all 2^32 inputs (`scripts/exhaustive.sh lanes`) shows it correctly rounded for all: the
//! bits are the scalar function's. Without fused instructions the scalar function itself runs.
//!
//! e^x = 2^n · e^r with n the whole number nearest to x / ln 2; e^r - 1 by the polynomial r + r² · P(r), P of degree 9
//! through the Chebyshev points of |r| <= ln 2 / 2, relative error below 2^-55.
//!
//! erf x is x · (2/√π + x² · S(x²)) below 1, relative error of the polynomial below 2^-56; from there 1 - e^G(x - 1), where G
//! approximates ln erfc so closely that the result's error is below 2^-55. Both are fitted by least squares with weights
//! that level the errors (Lawson).

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
/// S's coefficients, the constant first.
#[allow(clippy::excessive_precision)]
const S: [f64; 11] = [
    -0.376126389031836,
    0.11283791670946203,
    -0.026866170643354257,
    0.005223977607734801,
    -0.0008548325994932222,
    0.00012055295286304055,
    -1.4924741483941278e-05,
    1.6447456366088785e-06,
    -1.6208583834659287e-07,
    1.372002577645736e-08,
    -7.795142319049465e-10,
];
/// G's coefficients, the constant first.
#[allow(clippy::excessive_precision)]
const G: [f64; 17] = [
    -1.8496055099332482,
    -2.638967514234758,
    -0.8431072563604333,
    -0.04156109800260205,
    0.010033824925295335,
    -0.0019778995194539577,
    0.0002373091329754663,
    2.6317693447110872e-05,
    -2.7243014891480986e-05,
    9.736813905139459e-06,
    -2.202963058642999e-06,
    2.614025482300176e-07,
    2.5030682803218847e-08,
    -1.9528024170975482e-08,
    4.435337878692944e-09,
    -5.207750007962936e-10,
    2.641836070067713e-11,
];
/// 2/√π in two parts.
const TWO_OVER_ROOT_PI: [f64; 2] = [std::f64::consts::FRAC_2_SQRT_PI, 1.533545961316588e-17];
/// Added to a number below 2^51 it leaves the nearest whole one in the low bits.
const SHIFT: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts: the product of the first, of 42 bits, with n is exact.
const LN_2: [f64; 2] = [0.6931471805598903, 5.497923018708371e-14];

/// Coefficients, the constant first, at x.
#[inline(always)]
fn polynomial<const N: usize>(c: &[f64; N], x: f64) -> f64 {
    c.iter().rev().skip(1).fold(c[N - 1], |p, c| p.mul_add(x, *c))
}

/// 2^n and e^r - 1 with n · ln 2 + r = x, for |x| <= 300.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    let shifted = x.mul_add(std::f64::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let r = (-n).mul_add(LN_2[1], (-n).mul_add(LN_2[0], x));
    let p = polynomial(&P, r);
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

/// erf x with the sign of x; 1 from 3.95 on.
#[inline(always)]
fn erf_lane(x: f32) -> f32 {
    let a = x.abs();
    let a = f64::from(if a > 3.95 { 3.95 } else { a });
    let s = a * a;
    let small = a.mul_add(TWO_OVER_ROOT_PI[0], a * polynomial(&S, s).mul_add(s, TWO_OVER_ROOT_PI[1]));
    let (power, rest) = split(polynomial(&G, a - 1.0));
    let large = 1.0 - power.mul_add(rest, power);
    let y = (if a < 1.0 { small } else { large }) as f32;
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
    erf: erf_lane or elementary::erf, "Error function of each element, correctly rounded.";
}

/// e^(x - less) in the place of each element: two operations, each rounded once.
pub fn exp_less(level: Level, less: f32, x: &mut [f32]) {
    #[inline(always)]
    fn each(x: &mut [f32], less: f32, f: impl Fn(f32) -> f32) {
        x.iter_mut().for_each(|x| *x = f(*x - less));
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(x: &mut [f32], less: f32) {
        each(x, less, exp_lane);
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn avx512(x: &mut [f32], less: f32) {
        each(x, less, exp_lane);
    }
    match level.kind() {
        Kind::Portable => each(x, less, elementary::exp),
        // SAFETY: a level exists only where its instructions were detected.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { avx2(x, less) },
        // SAFETY: likewise.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => unsafe { avx512(x, less) },
    }
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
    const FUNCTIONS: [Pair; 4] =
        [(exp, elementary::exp), (tanh, elementary::tanh), (erf, elementary::erf), (sigmoid, elementary::sigmoid)];

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
        let centers =
            (0..=255u32).map(|e| e << 23).chain([150.0f32, 130.0, 12.0, 3.95, 1.0, 0.346_573_6].map(f32::to_bits));
        let around = centers.flat_map(|c| (0..64u32).map(move |i| c.wrapping_add(i).wrapping_sub(32)));
        check(&around.flat_map(|b| [b, b ^ (1 << 31)]).map(f32::from_bits).collect::<Vec<_>>());
    }
}
