//! Elementary functions: the binary32 nearest to the true value, by CORE-MATH (INRIA, MIT).

/// Each function with its CORE-MATH implementation.
macro_rules! correctly_rounded {
    ($($name:ident = $imp:ident: $doc:literal),+ $(,)?) => {$(
        #[doc = $doc]
        #[doc = ", correctly rounded."]
        #[inline]
        pub fn $name(x: f32) -> f32 {
            core_math::$imp(x)
        }
    )+};
}

correctly_rounded! {
    exp = expf: "e^x",
    expm1 = expm1f: "e^x - 1",
    log = logf: "Natural logarithm",
    log1p = log1pf: "ln(1 + x)",
    tanh = tanhf: "Hyperbolic tangent",
    erf = erff: "Error function",
    sin = sinf: "Sine",
    cos = cosf: "Cosine",
    tan = tanf: "Tangent",
    asin = asinf: "Inverse sine",
    acos = acosf: "Inverse cosine",
    atan = atanf: "Inverse tangent",
    sinh = sinhf: "Hyperbolic sine",
    cosh = coshf: "Hyperbolic cosine",
    asinh = asinhf: "Inverse hyperbolic sine",
    acosh = acoshf: "Inverse hyperbolic cosine",
    atanh = atanhf: "Inverse hyperbolic tangent",
}

/// x^y, correctly rounded. NaN^0 and 1^NaN are 1 for every NaN: C's function makes signalling ones an exception,
/// and LS1 has one NaN.
#[inline]
pub fn pow(x: f32, y: f32) -> f32 {
    core_math::powf(super::canonical(x), super::canonical(y))
}

/// 1 / (1 + exp(-x)): four operations, each rounded once (spec NUM-8).
#[inline]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// max(x, 0) + log1p(exp(-|x|)) (spec NUM-8).
#[inline]
pub fn softplus(x: f32) -> f32 {
    super::max(x, 0.0) + log1p(exp(-x.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_on_which_libraries_differ() {
        // pxfm 0.1.30 and CORE-MATH differ on exactly these; each is a chain split.
        assert_eq!(exp(-0.007_352_583_6).to_bits(), core_math::expf(-0.007_352_583_6).to_bits());
        let exact = (-0.007_352_583_6_f32 as f64).exp();
        assert!((f64::from(exp(-0.007_352_583_6)) - exact).abs() <= 2f64.powi(-25) * 1.000_001);
    }

    #[test]
    fn special_values() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(89.0), f32::INFINITY);
        assert_eq!(tanh(-0.0).to_bits(), (-0.0f32).to_bits());
        assert!(log(-1.0).is_nan());
        assert_eq!(log(0.0), f32::NEG_INFINITY);
        assert_eq!(sigmoid(-200.0), 0.0);
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(softplus(200.0), 200.0);
        assert!(softplus(f32::NAN).is_nan());
    }

    #[test]
    fn all_nans_are_one_to_pow() {
        for nan in [0x7fc0_0000, 0xffc0_1234, 0x7f80_0001, 0xffbf_ffff].map(f32::from_bits) {
            assert_eq!(pow(nan, 0.0), 1.0);
            assert_eq!(pow(nan, -0.0), 1.0);
            assert_eq!(pow(1.0, nan), 1.0);
            assert!(pow(nan, 1.0).is_nan() && pow(2.0, nan).is_nan());
        }
    }
}
