//! Values of the cases: a generator of its own, so that no library's next version changes them.

use crate::tensor::{DType, Data, Tensor};

/// SplitMix64.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

/// Which values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// f32 in [-2, 2), small integers.
    Ordinary,
    /// f32 of every size and zeros of both signs, all finite; any integers.
    Wide,
    /// The former with infinities, NaNs and the ends of the ranges.
    Special,
    /// f32 of which half are -infinity.
    Masked,
    /// Integers from 1 to 9, f32 near them: divisors and exponents that fail no call.
    Positive,
}

/// Floats at which kernels break.
const FLOATS: [u32; 20] = [
    0x0000_0000,
    0x8000_0000,
    0x3f80_0000,
    0xbf80_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc0_1234, // a NaN with sign and payload
    0x0000_0001,
    0x8000_0001,
    0x007f_ffff,
    0x0080_0000,
    0x8080_0000,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x3f00_0000,
    0xbf00_0000,
    0x4b80_0001, // 2^24 + 2
    0x4f00_0000, // 2^31
    0xdf00_0000, // -2^63
];

impl Random {
    /// The same numbers for the same name, whatever other names there are.
    pub(super) fn of(name: &str) -> Self {
        // FNV-1a.
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    fn float(&mut self, values: Values) -> f32 {
        // In [-2, 2): both steps are exact or one rounding, the same everywhere.
        let ordinary = (self.next() >> 32) as i32 as f32 * power_of_two(-30);
        match (values, self.below(16)) {
            (Values::Positive, n) => (n % 9 + 1) as f32 + ordinary * 0.25,
            (Values::Masked, 0..8) => f32::NEG_INFINITY,
            (Values::Ordinary | Values::Masked, _) => ordinary,
            (Values::Special, 0..2) => f32::from_bits(FLOATS[self.below(FLOATS.len())]),
            (Values::Special, 2) => f32::from_bits(self.next() as u32),
            (_, 3) => f32::from_bits(self.next() as u32 & 0x8000_0000),
            (_, 4) => f32::from_bits(self.next() as u32 & 0x807f_ffff),
            (_, 5) => f32::from_bits(self.next() as u32 & 0xbfff_ffff),
            (_, 6) => f32::from_bits(self.next() as u32 & 0xff7f_ffff),
            // Halves, where rounding ties.
            (_, 7) => (self.below(41) as f32 - 20.0) * 0.5,
            (_, 8..12) => {
                let scale = self.below(61) as i32 - 30;
                ordinary * power_of_two(scale)
            }
            _ => ordinary,
        }
    }

    fn integer(&mut self, values: Values, least: i64, most: i64) -> i64 {
        let small = self.below(19) as i64 - 9;
        let n = match (values, self.below(8)) {
            (Values::Positive, _) => small.rem_euclid(9) + 1,
            (Values::Special | Values::Wide, 0..2) => {
                [least, most, 0, -1, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65][self.below(14)]
            }
            (Values::Special | Values::Wide, 2..5) => self.next() as i64,
            _ => small,
        };
        if (least..=most).contains(&n) { n } else { n.rem_euclid(most.saturating_add(1).max(1)) }
    }

    /// A tensor of such values.
    pub(super) fn tensor(&mut self, dtype: DType, shape: &[usize], values: Values) -> Tensor {
        let n = shape.iter().product();
        macro_rules! integers {
            ($variant:ident, $t:ty) => {
                Data::$variant((0..n).map(|_| self.integer(values, <$t>::MIN as i64, <$t>::MAX as i64) as $t).collect())
            };
        }
        let data = match dtype {
            DType::F32 => Data::F32((0..n).map(|_| self.float(values)).collect()),
            DType::U8 => integers!(U8, u8),
            DType::I8 => integers!(I8, i8),
            DType::I32 => integers!(I32, i32),
            DType::I64 => integers!(I64, i64),
            DType::Bool => Data::Bool((0..n).map(|_| self.coin()).collect()),
        };
        Tensor { shape: shape.to_vec(), data }
    }
}

/// 2^n for a normal result.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((127 + n) as u32) << 23)
}
