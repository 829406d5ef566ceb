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
