//! Fused multiply-add of LS1.

/// `a * b + c`, rounded once to nearest-even, on any machine.
///
/// Without a fused instruction `f32::mul_add` calls the platform's libm, which is not part of the
/// specification; so the portable path is the engine's own: the product of two f32 is exact in f64;
/// its sum with c is made exact by TwoSum and rounded to odd, after which rounding to f32 is
/// the correct rounding (Boldo and Melquiond 2008: 53 >= 2*24 + 2).
#[inline]
#[allow(clippy::disallowed_methods)] // only where the target has the instruction
pub fn fma32(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) { a.mul_add(b, c) } else { portable(a, b, c) }
}

#[inline]
fn portable(a: f32, b: f32, c: f32) -> f32 {
    let p = f64::from(a) * f64::from(b);
    let c = f64::from(c);
    let s = p + c;
    if !s.is_finite() {
        return s as f32;
    }
    // TwoSum: s + err == p + c exactly.
    let t = s - p;
    let err = (p - (s - t)) + (c - t);
    if err == 0.0 || s.to_bits() & 1 == 1 {
        return s as f32;
    }
    // Round to odd: of the two neighbours that enclose the exact sum, the one with the odd significand.
    let away = (err > 0.0) == (s > 0.0);
    let bits = if away { s.to_bits() + 1 } else { s.to_bits() - 1 };
    f64::from_bits(bits) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// The platform's own, as oracle: glibc's fmaf is correctly rounded.
    #[test]
    fn portable_agrees_with_the_oracle_on_hard_vectors() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for i in 0..2_000_000u32 {
            let (a, b) = (f32::from_bits(rng.random()), f32::from_bits(rng.random()));
            let c = match i % 4 {
                0 => f32::from_bits(rng.random()),
                // Near-cancellation and half-way cases.
                1 => -(a * b),
                2 => f32::from_bits((a * b).to_bits() ^ rng.random_range(0..4u32)),
                _ => a * b * f32::from_bits(0x3380_0000 ^ (rng.random_range(0..2u32) << 31)),
            };
            let (x, y) = (portable(a, b, c), a.mul_add(b, c));
            assert!(x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()), "{a:e} {b:e} {c:e}: {x:e} {y:e}");
        }
    }
}
