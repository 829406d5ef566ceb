//! The scalar arithmetic of LS1 (spec section 1): everything is IEEE-754 binary32, rounded once.

pub mod convert;
pub mod elementary;
pub mod env;
mod fma;
pub mod s2;

pub use fma::fma32;

/// The one NaN that ever becomes visible.
pub const NAN_BITS: u32 = 0x7fc0_0000;

/// `x`, or the canonical NaN.
#[inline]
pub fn canonical(x: f32) -> f32 {
    if x.is_nan() { f32::from_bits(NAN_BITS) } else { x }
}

/// The greater; NaN if either is; +0 > -0. (`f32::max` drops NaNs.)
#[inline]
pub fn max(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        f32::NAN
    } else if a == b {
        // Equal values differ at most in the sign of zero: and-ing the bits prefers +0.
        f32::from_bits(a.to_bits() & b.to_bits())
    } else if a > b {
        a
    } else {
        b
    }
}

/// The lesser; NaN if either is; -0 < +0.
#[inline]
pub fn min(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        f32::NAN
    } else if a == b {
        f32::from_bits(a.to_bits() | b.to_bits())
    } else if a < b {
        a
    } else {
        b
    }
}

/// Order of max, arg-max and sort: -0 equals +0, NaN is greatest and equal to NaN.
#[inline]
pub fn total_order(a: f32, b: f32) -> std::cmp::Ordering {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Equal,
        (true, false) => Greater,
        (false, true) => Less,
        (false, false) => a.partial_cmp(&b).unwrap_or(Equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_ordered_and_nan_wins() {
        assert_eq!(max(-0.0, 0.0).to_bits(), 0);
        assert_eq!(max(0.0, -0.0).to_bits(), 0);
        assert_eq!(min(0.0, -0.0).to_bits(), 0x8000_0000);
        assert_eq!(max(-0.0, -0.0).to_bits(), 0x8000_0000);
        assert!(max(f32::NAN, 1.0).is_nan() && max(1.0, f32::NAN).is_nan());
        assert!(min(f32::NAN, 1.0).is_nan() && min(1.0, f32::NAN).is_nan());
        assert_eq!(max(f32::NEG_INFINITY, 3.0), 3.0);
    }
}
