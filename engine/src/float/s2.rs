//! S2: the order in which reductions add (spec NUM-10).
//!
//! Element i goes to lane i mod 16; each lane adds in ascending order; the lanes join 8-4-2-1. Sixteen
//! lanes are one AVX-512 register, two of AVX2 or four of NEON, so every width computes the same sums.

/// Lanes of S2.
pub const LANES: usize = 16;

/// The lanes of one reduction. Lanes that no element reaches keep the identity.
#[derive(Debug, Clone)]
pub struct Lanes {
    lanes: [f32; LANES],
    next: usize,
}

impl Lanes {
    /// Lanes of a sum: they start at +0.
    #[inline]
    pub fn of_sum() -> Self {
        Self { lanes: [0.0; LANES], next: 0 }
    }

    /// Lanes of a product: they start at 1.
    #[inline]
    pub fn of_product() -> Self {
        Self { lanes: [1.0; LANES], next: 0 }
    }

    /// Adds the next element to its lane.
    #[inline]
    pub fn add(&mut self, x: f32) {
        self.lanes[self.next] += x;
        self.next = (self.next + 1) % LANES;
    }

    /// Multiplies the next element into its lane.
    #[inline]
    pub fn multiply(&mut self, x: f32) {
        self.lanes[self.next] *= x;
        self.next = (self.next + 1) % LANES;
    }

    /// The sum of the lanes.
    #[inline]
    pub fn sum(self) -> f32 {
        join(self.lanes, |a, b| a + b)
    }

    /// The product of the lanes.
    #[inline]
    pub fn product(self) -> f32 {
        join(self.lanes, |a, b| a * b)
    }
}

/// Joins lanes 8-4-2-1: lane i takes lane i + 8, then i + 4, i + 2, i + 1.
#[inline]
pub fn join(mut lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// The sum of the elements by S2; of none +0.
pub fn sum(x: impl IntoIterator<Item = f32>) -> f32 {
    let mut lanes = Lanes::of_sum();
    x.into_iter().for_each(|v| lanes.add(v));
    lanes.sum()
}

/// The product of the elements by S2; of none 1.
pub fn product(x: impl IntoIterator<Item = f32>) -> f32 {
    let mut lanes = Lanes::of_product();
    x.into_iter().for_each(|v| lanes.multiply(v));
    lanes.product()
}

/// [`sum`] of contiguous elements.
#[inline]
pub fn sum_slice(x: &[f32]) -> f32 {
    sum_slice_by(x, |v| v)
}

/// [`sum`] of `f` of contiguous elements; the whole blocks have a form that compilers turn into SIMD.
#[inline]
pub fn sum_slice_by(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for (l, v) in lanes.iter_mut().zip(block) {
            *l += f(*v);
        }
    }
    for (l, v) in lanes.iter_mut().zip(rest) {
        *l += f(*v);
    }
    join(lanes, |a, b| a + b)
}

/// Sum / f32(n); of none NaN.
#[inline]
pub fn mean_slice(x: &[f32]) -> f32 {
    sum_slice(x) / x.len() as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule read literally: lane l adds elements l, l + 16, ...; lane l takes lane l + h for h = 8, 4, 2, 1.
    fn literal(x: &[f32], identity: f32, f: fn(f32, f32) -> f32) -> f32 {
        let lane = |l: usize| x.iter().skip(l).step_by(16).fold(identity, |a, b| f(a, *b));
        let mut lanes: Vec<f32> = (0..16).map(lane).collect();
        for h in [8, 4, 2, 1] {
            lanes = (0..h).map(|l| f(lanes[l], lanes[l + h])).collect();
        }
        lanes[0]
    }

    #[test]
    fn the_order_shows_in_the_bits() {
        // In a running sum each 1 is lost beside 2^24. Here lane 0 loses the 17th element, and the join adds
        // to it 1 (lost in a tie to even), then 2, 4 and 8 from the other lanes.
        let mut x = vec![1.0f32; 17];
        x[0] = 16_777_216.0;
        assert_eq!(sum_slice(&x), 16_777_216.0 + 14.0);
        assert_eq!(x.iter().sum::<f32>(), 16_777_216.0);
    }

    #[test]
    fn of_nothing_the_identity() {
        assert_eq!(sum([]).to_bits(), 0);
        assert_eq!(product([]), 1.0);
        assert!(mean_slice(&[]).is_nan());
        assert_eq!(sum([-0.0]).to_bits(), 0, "lanes start at +0");
        assert_eq!(product([-0.0]).to_bits(), 0x8000_0000);
    }

    #[test]
    fn infinities_and_nans_pass_through() {
        assert_eq!(sum([f32::INFINITY, 1.0]), f32::INFINITY);
        assert!(sum([f32::INFINITY, f32::NEG_INFINITY]).is_nan());
        assert!(sum([1.0, f32::NAN]).is_nan());
        assert!(product([0.0, f32::INFINITY]).is_nan());
    }

    proptest! {
        #[test]
        fn every_form_is_the_literal_rule(x in proptest::collection::vec(-1e6f32..1e6, 0..200)) {
            let want = literal(&x, 0.0, |a, b| a + b).to_bits();
            prop_assert_eq!(sum(x.iter().copied()).to_bits(), want);
            prop_assert_eq!(sum_slice(&x).to_bits(), want);
            let squares: Vec<f32> = x.iter().map(|v| v * v).collect();
            prop_assert_eq!(sum_slice_by(&x, |v| v * v).to_bits(), sum_slice(&squares).to_bits());
            prop_assert_eq!(product(x.iter().copied()).to_bits(), literal(&x, 1.0, |a, b| a * b).to_bits());
        }
    }
}
