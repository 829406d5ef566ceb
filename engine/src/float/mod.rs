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
    f32::from_bits(canonical_bits(x))
}

/// The bits of `x`, or of the canonical NaN. Chosen among integers: to the compiler all NaNs are one, so that it may
/// fold a choice between two of them away.
#[inline]
pub fn canonical_bits(x: f32) -> u32 {
    let bits = x.to_bits();
    if bits & 0x7fff_ffff > 0x7f80_0000 { NAN_BITS } else { bits }
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
    fn every_nan_becomes_one_also_where_the_compiler_sees_it_made() {
        // x86 makes the negative quiet NaN here; the choice must survive optimisation.
        assert_eq!(canonical_bits((-1.0f32).sqrt()), NAN_BITS);
        assert_eq!(canonical((-1.0f32).sqrt()).to_bits(), NAN_BITS);
        assert_eq!(canonical_bits(std::hint::black_box(-1.0f32).sqrt()), NAN_BITS);
        assert_eq!(canonical(std::hint::black_box(f32::INFINITY) - f32::INFINITY).to_bits(), NAN_BITS);
        for bits in [0x7f80_0001, 0xff80_0001, 0xffff_ffff, 0x7fff_ffff, 0xffc0_0000] {
            assert_eq!(canonical(f32::from_bits(bits)).to_bits(), NAN_BITS);
        }
        for x in [0.0f32, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-45] {
            assert_eq!(canonical_bits(x), x.to_bits());
        }
    }

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
