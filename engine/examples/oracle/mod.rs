//! Oracles for the elementary functions, none of which shares code with the engine.
//!
//! The value of a function lies within 2^-44 of what the C library computes in binary64 (glibc states errors of
//! a few 2^-53). Where both ends of that band round to the same binary32, that one is correctly rounded: proven
//! for all but about one input in 2^19. The rest is decided by arithmetic of 240 bits (dashu), which also
//! decides every input on which a second library (pxfm) differs, and a sample of the others, so that the band
//! itself is tested.

#![allow(dead_code)] // the example and the test use different parts

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;
use lockstep_engine::float::{elementary as e, env};

/// A number of [`PRECISION`] bits.
pub(crate) type Big = FBig<HalfEven, 2>;

/// Bits of the arithmetic that decides.
pub(crate) const PRECISION: usize = 240;

/// Relative error that binary64 functions are trusted to stay below.
const BAND: f64 = 1.0 / (1u64 << 44) as f64;

unsafe extern "C" {
    safe fn erf(x: f64) -> f64;
}

/// A function of one operand, four times.
#[derive(Clone, Copy)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: &'static str,
    /// The engine's.
    pub(crate) engine: fn(f32) -> f32,
    /// Another library's in binary32.
    pub(crate) other: fn(f32) -> f32,
    /// The C library's in binary64.
    pub(crate) double: fn(f64) -> f64,
    /// In many bits, where it is finite.
    pub(crate) exact: fn(&Big) -> Big,
}

/// Every function that spec NUM-7 names, but pow.
pub(crate) const FUNCTIONS: [Function; 17] = [
    Function { name: "exp", engine: e::exp, other: pxfm::f_expf, double: f64::exp, exact: |x| x.exp() },
    Function { name: "expm1", engine: e::expm1, other: pxfm::f_expm1f, double: f64::exp_m1, exact: |x| x.exp_m1() },
    Function { name: "log", engine: e::log, other: pxfm::f_logf, double: f64::ln, exact: |x| x.ln() },
    Function { name: "log1p", engine: e::log1p, other: pxfm::f_log1pf, double: f64::ln_1p, exact: |x| x.ln_1p() },
    Function { name: "tanh", engine: e::tanh, other: pxfm::f_tanhf, double: f64::tanh, exact: |x| x.tanh() },
    Function { name: "erf", engine: e::erf, other: pxfm::f_erff, double: |x| erf(x), exact: big_erf },
    Function { name: "sin", engine: e::sin, other: pxfm::f_sinf, double: f64::sin, exact: |x| x.sin() },
    Function { name: "cos", engine: e::cos, other: pxfm::f_cosf, double: f64::cos, exact: |x| x.cos() },
    Function { name: "tan", engine: e::tan, other: pxfm::f_tanf, double: f64::tan, exact: |x| x.tan() },
    Function { name: "asin", engine: e::asin, other: pxfm::f_asinf, double: f64::asin, exact: |x| x.asin() },
    Function { name: "acos", engine: e::acos, other: pxfm::f_acosf, double: f64::acos, exact: |x| x.acos() },
    Function { name: "atan", engine: e::atan, other: pxfm::f_atanf, double: f64::atan, exact: |x| x.atan() },
    Function { name: "sinh", engine: e::sinh, other: pxfm::f_sinhf, double: f64::sinh, exact: |x| x.sinh() },
    Function { name: "cosh", engine: e::cosh, other: pxfm::f_coshf, double: f64::cosh, exact: |x| x.cosh() },
    Function { name: "asinh", engine: e::asinh, other: pxfm::f_asinhf, double: f64::asinh, exact: |x| x.asinh() },
    Function { name: "acosh", engine: e::acosh, other: pxfm::f_acoshf, double: f64::acosh, exact: |x| x.acosh() },
    Function { name: "atanh", engine: e::atanh, other: pxfm::f_atanhf, double: f64::atanh, exact: |x| x.atanh() },
];

/// What a run over many inputs found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    /// Inputs looked at.
    pub(crate) inputs: u64,
    /// Inputs that needed many bits.
    pub(crate) decided: u64,
    /// Inputs on which the engine is not correctly rounded: bits of x, of what came, of what is right.
    pub(crate) wrong: Vec<[u32; 3]>,
    /// The same for the other library.
    pub(crate) other_wrong: Vec<[u32; 3]>,
    /// Inputs on which the C library left its band.
    pub(crate) band_left: Vec<u32>,
}

impl Findings {
    /// Joins two runs.
    pub(crate) fn and(mut self, more: Self) -> Self {
        self.inputs += more.inputs;
        self.decided += more.decided;
        self.wrong.extend(more.wrong);
        self.other_wrong.extend(more.other_wrong);
        self.band_left.extend(more.band_left);
        self
    }
}

impl Function {
    /// Checks the inputs with the bit patterns `first`, `first + step`, ... below `end`; every `spot`th by
    /// many bits, whether that is needed or not.
    pub(crate) fn check(&self, first: u64, end: u64, step: u64, spot: u64) -> Findings {
        env::check().expect("the default floating-point environment");
        let mut found = Findings::default();
        let mut x = first;
        while x < end {
            self.check_one(x as u32, x.is_multiple_of(spot), &mut found);
            x += step;
        }
        found
    }

    #[inline]
    fn check_one(&self, bits: u32, spot: bool, found: &mut Findings) {
        found.inputs += 1;
        let x = f32::from_bits(bits);
        let (y, z) = ((self.engine)(x), (self.other)(x));
        let v = (self.double)(f64::from(x));
        let within = band(v);
        if !spot && same(y, z) && within.is_some_and(|w| same(w, y)) {
            return;
        }
        let limit = x.is_infinite().then_some(v as f32);
        let want = match exactly(v).or(limit) {
            Some(w) => w,
            None => {
                found.decided += 1;
                nearest(v, &(self.exact)(&big(x)))
            }
        };
        if !same(y, want) {
            found.wrong.push([bits, y.to_bits(), want.to_bits()]);
        }
        if !same(z, want) {
            found.other_wrong.push([bits, z.to_bits(), want.to_bits()]);
        }
        if within.is_some_and(|w| !same(w, want)) {
            found.band_left.push(bits);
        }
    }
}

/// x^y likewise; the other library is left out. A wrong one is given as bits of x, of y, of what came.
pub(crate) fn check_pow(x: f32, y: f32, spot: bool, found: &mut Findings) {
    found.inputs += 1;
    let got = e::pow(x, y);
    let v = f64::from(x).powf(f64::from(y));
    let within = band(v);
    if !spot && within.is_some_and(|w| same(w, got)) {
        return;
    }
    // Powers of and to zero, infinity and NaN are defined by a table (C, annex F), not by rounding.
    let defined = !x.is_finite() || !y.is_finite() || x == 0.0 || y == 0.0;
    let want = match exactly(v).or(defined.then_some(v as f32)) {
        Some(w) => w,
        None => {
            found.decided += 1;
            nearest(v, &big_pow(x, y))
        }
    };
    if !same(got, want) {
        found.wrong.push([x.to_bits(), y.to_bits(), got.to_bits()]);
    }
    if within.is_some_and(|w| !same(w, want)) {
        found.band_left.push(x.to_bits());
    }
}

/// Equal as LS1 sees it: all NaNs are one value.
pub(crate) fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Values of `v` that are exact: no number, infinite, zero with its sign.
fn exactly(v: f64) -> Option<f32> {
    (!v.is_finite() || v == 0.0).then_some(v as f32)
}

/// The binary32 to which everything near `v` rounds, where there is one.
#[inline]
fn band(v: f64) -> Option<f32> {
    if !v.is_finite() || v == 0.0 {
        return Some(v as f32);
    }
    let e = v * BAND;
    let (low, high) = ((v - e) as f32, (v + e) as f32);
    (low.to_bits() == high.to_bits()).then_some(low)
}

/// The binary32 nearest to `exact`, a tie to even; `about` is near it.
fn nearest(about: f64, exact: &Big) -> f32 {
    let mut y = about as f32;
    loop {
        let even = y.to_bits() & 1 == 0;
        let (low, high) = (half_way(y.next_down(), y), half_way(y, y.next_up()));
        let above_low = low.is_none_or(|low| *exact > low || (even && *exact == low));
        let below_high = high.is_none_or(|high| *exact < high || (even && *exact == high));
        if above_low && below_high {
            return y;
        }
        y = if above_low { y.next_up() } else { y.next_down() };
    }
}

/// The middle of two neighbours, exact; infinity stands at 2^128. `None` where both are that.
fn half_way(a: f32, b: f32) -> Option<Big> {
    if a == b {
        return None;
    }
    let finite = |x: f32| if x.is_infinite() { 2f64.powi(128).copysign(f64::from(x)) } else { f64::from(x) };
    Some(big64((finite(a) + finite(b)) / 2.0))
}

/// x in many bits.
pub(crate) fn big(x: f32) -> Big {
    big64(f64::from(x))
}

fn big64(x: f64) -> Big {
    Big::try_from(x).expect("finite").with_precision(PRECISION).value()
}

/// 2/sqrt(pi) times the sum of (-1)^n x^(2n+1) / (n! (2n+1)): for |x| below 4, beyond which erf rounds to 1,
/// terms stay below 2^22, so that of 240 bits some 210 are right.
fn big_erf(x: &Big) -> Big {
    if f64::try_from(x.clone()).map_or(f64::NAN, f64::abs) > 8.0 {
        return if *x > Big::ZERO { big(1.0) } else { big(-1.0) };
    }
    let square = x * x;
    let (mut power, mut sum) = (x.clone(), x.clone());
    for n in 1u32..400 {
        power = -(&power * &square) / big64(n.into());
        sum += &power / big64(f64::from(2 * n + 1));
    }
    sum * big(2.0) / Big::pi(PRECISION).sqrt()
}

/// x^y for finite x other than zero: whole powers by products, others by exp(y log x).
pub(crate) fn big_pow(x: f32, y: f32) -> Big {
    let whole = y.fract() == 0.0;
    let magnitude = match (y.abs(), (y * 2.0).fract() == 0.0) {
        // Exact where the result has at most 240 bits; ties need that.
        (n, true) if n <= 64.0 => {
            let root = if whole { big(x.abs()) } else { big(x.abs()).sqrt() };
            let n = if whole { n } else { n * 2.0 };
            let mut product = big(1.0);
            for _ in 0..n as u32 {
                product *= &root;
            }
            if y < 0.0 { big(1.0) / product } else { product }
        }
        _ => (big(y) * big(x.abs()).ln()).exp(),
    };
    let odd = whole && y.abs() < 16_777_216.0 && (y.abs() as u32) % 2 == 1;
    if x < 0.0 && odd { -magnitude } else { magnitude }
}

/// Operands of pow, random and hard, by number.
pub(crate) fn pow_case(n: u64) -> (f32, f32) {
    let r = mix(n);
    let (a, b) = (r as u32, (r >> 32) as u32);
    let unit = f64::from(b) / 2f64.powi(31) - 1.0;
    match n % 8 {
        // Any bits at all.
        0 => (f32::from_bits(a), f32::from_bits(b)),
        // x near 1, y large.
        1 => (f32::from_bits(0x3f80_0000 + (a % 4096) - 2048), (unit * 3e5) as f32),
        // Negative bases, whole exponents.
        2 => (f32::from_bits(a | 1 << 31), (unit * 40.0) as i32 as f32),
        // Few bits each: exact results and ties.
        3 => ((a % 4096) as f32 / 8.0, (b % 65) as f32 / 2.0 - 16.0),
        // Results among the subnormals and at the edges.
        4 => {
            let x = f32::from_bits(a & 0x7fff_ffff);
            let edge = if b & 1 == 0 { -125.0 - 26.0 * unit.abs() } else { 127.0 + unit.abs() };
            (x, (edge / f64::from(x).log2()) as f32)
        }
        // Results of any size.
        _ => {
            let x = f32::from_bits(a & 0x7fff_ffff);
            (x, (unit * 140.0 / f64::from(x).log2()) as f32)
        }
    }
}

/// Every x^y that is exact or a tie: x with few significant bits, y such that the result has at most 25.
pub(crate) fn pow_ties() -> Vec<(f32, f32)> {
    let mut out = Vec::new();
    for n in 2..=24u32 {
        let mut m = 1u64;
        while m.checked_pow(n).is_some_and(|p| p < 1 << 25) {
            for scale in [-20, -3, 0, 1, 5] {
                let scaled = |v: u64| v as f32 * 2f32.powi(scale * n as i32);
                out.push((m as f32 * 2f32.powi(scale), n as f32));
                out.push((-(m as f32) * 2f32.powi(scale), n as f32));
                if m * m < 1 << 24 && n <= 24 {
                    // The square of x, to half the power.
                    out.push(((m * m) as f32 * 2f32.powi(2 * scale), n as f32 / 2.0));
                }
                out.push((scaled(m.pow(n)), 1.0));
            }
            m += 2;
        }
    }
    out
}

/// SplitMix64's output function.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
