//! Contractions over quantised weights (spec NUM-14): exact integer sums, one scale for each block of them.
//!
//! A weight is an integer times a scale; an activation row (a token, a step; for Conv a sample) is a 16-bit
//! integer times a power of two that the row itself determines. So no calibration data is needed, and a row's answer
//! depends on no other row.

mod conv;
mod matmul;

pub use conv::QuantizedConv;
pub use matmul::QuantizedMatMul;

use super::contraction::{check_f32, check_finite};
use super::shape::same;
use crate::cost::{Unit, Work};
use crate::dim::Dim;
use crate::error::OpError;
use crate::float::fma32;
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attribute_enum! {
    /// Class of quantised weights.
    pub enum WeightClass {
        /// 8-bit weights in [-127, 127], 16-bit activations.
        I8 = 0,
        /// 16-bit weights in [-32767, 32767] in two byte planes, 16-bit activations.
        I16 = 1,
    }
}

impl WeightClass {
    /// Length of this class's blocks along k, where it has blocks at all.
    pub fn block(self) -> u32 {
        match self {
            Self::I8 => 32,
            Self::I16 => 256,
        }
    }

    /// Greatest magnitude of a weight.
    pub fn most(self) -> i32 {
        match self {
            Self::I8 => 127,
            Self::I16 => 32_767,
        }
    }

    /// Bytes of a weight, which are its planes.
    pub fn planes(self) -> u64 {
        match self {
            Self::I8 => 1,
            Self::I16 => 2,
        }
    }
}

impl std::fmt::Display for WeightClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::I8 => "I8",
            Self::I16 => "I16",
        })
    }
}

/// Greatest magnitude of a quantised activation.
pub(crate) const MOST: i32 = 32_767;

/// Class and scales of a weight matrix, as the attributes of its operator state them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) class: WeightClass,
    /// Length of a block; 0: one scale for each output channel.
    pub(crate) block: u32,
}

impl Format {
    /// Refuses a length of blocks that the class does not have.
    pub(crate) fn check(self) -> Result<(), OpError> {
        if self.block == 0 || self.block == self.class.block() {
            return Ok(());
        }
        let want = self.class.block();
        Err(OpError::new(format!(
            "{} weights have blocks of {want}, or 0 for one scale a channel; {} came",
            self.class, self.block
        )))
    }

    /// Length of a block of a contraction of `k`: all of it where a channel has one scale.
    pub(crate) fn length(self, k: usize) -> usize {
        if self.block == 0 { k.max(1) } else { self.block as usize }
    }

    /// Type of the scales of `n` channels of `k` weights: bf16 in two bytes for each block, or f32 for each channel.
    fn scale(self, n: u64, k: u64) -> TensorType {
        match self.block {
            0 => TensorType::new(DType::F32, vec![Dim::Known(n)]),
            b => TensorType::new(DType::U8, vec![Dim::Known(n), Dim::Known(k.div_ceil(b.into())), Dim::Known(2)]),
        }
    }

    /// Checks the types of a weight of `n` channels of `k` weights, its scales, its low bytes and the bias.
    pub(crate) fn check_types(self, inputs: &[Option<&TensorType>], n: u64, k: u64) -> Result<(), OpError> {
        self.check()?;
        let at = |i: usize| inputs.get(i).copied().flatten();
        let (Some(w), Some(scale)) = (at(WEIGHT), at(SCALE)) else {
            return Err(OpError::new("weight and scale are expected"));
        };
        expect(w, &TensorType::new(DType::I8, w.shape.clone()), "the weight")?;
        expect(scale, &self.scale(n, k), "the scale")?;
        match (self.class, at(LOW)) {
            (WeightClass::I8, None) => {}
            (WeightClass::I16, Some(low)) => {
                expect(low, &TensorType::new(DType::U8, w.shape.clone()), "the low bytes of the weight")?;
            }
            (WeightClass::I8, Some(_)) => return Err(OpError::new("I8 weights have no low bytes")),
            (WeightClass::I16, None) => return Err(OpError::new("the low bytes of the weight are missing")),
        }
        if let Some(bias) = at(BIAS) {
            check_f32(bias, "the bias")?;
            let [length] = bias.shape.as_slice() else {
                return Err(OpError::new(format!("the bias has rank {}, 1 is expected", bias.rank())));
            };
            same(length, &Dim::Known(n), "length of the bias and output channels")?;
        }
        Ok(())
    }

    /// Checks weights, scales and bias that are constants.
    pub(crate) fn check_constants(self, inputs: &[Option<&Tensor>]) -> Result<(), OpError> {
        let at = |i: usize| inputs.get(i).copied().flatten().map(|t| &t.data);
        let low = match at(LOW) {
            Some(Data::U8(low)) => Some(low),
            _ => None,
        };
        if let Some(Data::I8(w)) = at(WEIGHT) {
            let most = self.class.most();
            let refused = match (self.class, low) {
                (WeightClass::I8, _) => w.iter().position(|w| *w == i8::MIN),
                (WeightClass::I16, Some(low)) => w.iter().zip(low).position(|(h, l)| (*h, *l) == (i8::MIN, 0)),
                (WeightClass::I16, None) => None,
            };
            if let Some(i) = refused {
                return Err(OpError::new(format!("weight {i} is {}, at least -{most} is expected", -most - 1)));
            }
        }
        let refused = match at(SCALE) {
            Some(Data::F32(s)) => s.iter().position(|s| !is_scale(*s)),
            Some(Data::U8(s)) => s.as_chunks::<2>().0.iter().position(|s| !is_scale(widen(*s))),
            _ => None,
        };
        if let Some(i) = refused {
            return Err(OpError::new(format!("scale {i} is neither +0 nor positive and finite")));
        }
        check_finite(inputs.get(BIAS..).unwrap_or_default())
    }
}

/// Operand: the weight, i8 (for I16 its high bytes).
pub(crate) const WEIGHT: usize = 1;
/// Operand: the scales.
pub(crate) const SCALE: usize = 2;
/// Operand: the low bytes of an I16 weight, u8.
pub(crate) const LOW: usize = 3;
/// Operand: the bias, optional.
pub(crate) const BIAS: usize = 4;

fn expect(have: &TensorType, want: &TensorType, what: &str) -> Result<(), OpError> {
    let fits = have.dtype == want.dtype
        && have.rank() == want.rank()
        && have.shape.iter().zip(&want.shape).all(|(a, b)| a == b && a.as_known().is_some());
    if fits {
        return Ok(());
    }
    let text = |t: &TensorType| {
        let dims: Vec<String> = t.shape.iter().map(|d| d.as_known().map_or("?".into(), |n| n.to_string())).collect();
        format!("{} [{}]", t.dtype, dims.join(", "))
    };
    Err(OpError::new(format!("{what} is {}, {} with known dimensions is expected", text(have), text(want))))
}

/// The sizes of a weight's axes, which are numbers.
pub(crate) fn known(w: &TensorType) -> Result<Vec<u64>, OpError> {
    let dims: Option<Vec<u64>> = w.shape.iter().map(Dim::as_known).collect();
    dims.ok_or_else(|| OpError::new("the weight's size is symbolic, numbers are expected"))
}

/// A scale is +0 or positive and finite.
fn is_scale(s: f32) -> bool {
    s.is_finite() && s.is_sign_positive()
}

/// The f32 of a bf16 in two little-endian bytes.
pub(crate) fn widen(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

/// The scale of block `block` of channel `channel`.
pub(crate) fn scale(data: &Data, blocks: usize, channel: usize, block: usize) -> f32 {
    match data {
        Data::F32(s) => s[channel],
        Data::U8(s) => {
            let at = 2 * (channel * blocks + block);
            widen([s[at], s[at + 1]])
        }
        _ => 0.0,
    }
}

/// 2^n for -126 <= n <= 127.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

/// How the values of a row become integers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RowScale {
    /// 2^(15 - e): turns values into integers.
    pub(crate) up: f32,
    /// 2^(e - 15): turns sums back.
    pub(crate) down: f32,
}

impl RowScale {
    /// e is the least integer with max|x| < 2^e, at least -111; `None` where a value is NaN or infinite.
    pub(crate) fn of(row: &[f32]) -> Option<Self> {
        // Bits of magnitudes are ordered as the magnitudes.
        Self::of_magnitude(row.iter().fold(0, |most, x| most.max(x.to_bits() & 0x7fff_ffff)))
    }

    /// The same from the bits of the greatest magnitude.
    pub(crate) fn of_magnitude(bits: u32) -> Option<Self> {
        let exponent = (bits >> 23) as i32;
        if exponent == 255 {
            return None;
        }
        let e = (exponent - 126).max(-111);
        Some(Self { up: power_of_two(15 - e), down: power_of_two(e - 15) })
    }

    /// clamp(RNE(x * 2^(15 - e)), +-32767).
    pub(crate) fn quantize(&self, x: f32) -> i32 {
        ((x * self.up).round_ties_even() as i32).clamp(-MOST, MOST)
    }
}

/// One output from +0: `total = fma(f32(sum of a block), scale of the block, total)`, blocks ascending; sums are exact.
/// `term(k)` is activation and weight, `scale(b)` the scale of block `b`.
pub(crate) fn total(k: usize, block: usize, term: impl Fn(usize) -> (i32, i32), scale: impl Fn(usize) -> f32) -> f32 {
    let mut total = 0.0f32;
    for (b, start) in (0..k).step_by(block).enumerate() {
        let sum: i64 = (start..k.min(start + block))
            .map(|k| {
                let (x, w) = term(k);
                i64::from(x) * i64::from(w)
            })
            .sum();
        total = fma32(sum as f32, scale(b), total);
    }
    total
}

/// The weight at `i`: the byte, or high and low byte together.
pub(crate) fn weight(high: &[i8], low: Option<&[u8]>, i: usize) -> i32 {
    match low {
        None => high[i].into(),
        Some(low) => i32::from(high[i]) * 256 + i32::from(low[i]),
    }
}

/// Data of a quantised weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weight<'a> {
    pub(crate) high: &'a [i8],
    pub(crate) low: Option<&'a [u8]>,
    pub(crate) scale: &'a Data,
}

impl<'a> Weight<'a> {
    /// From the operands, whose types `infer` accepted.
    pub(crate) fn of(inputs: &[Option<&'a Tensor>]) -> Option<Self> {
        let at = |i: usize| inputs.get(i).copied().flatten();
        let Data::I8(high) = &at(WEIGHT)?.data else { return None };
        let low = match at(LOW).map(|t| &t.data) {
            None => None,
            Some(Data::U8(low)) => Some(low.as_slice()),
            Some(_) => return None,
        };
        Some(Self { high, low, scale: &at(SCALE)?.data })
    }
}

/// Work besides the multiply-adds: rows to integers, weights laid out four in the time of an element, results.
fn moved(planes: u64, activations: u64, weights: u64, results: u64) -> Work {
    Work::of(Unit::Element, activations)
        .and(Unit::Element, weights.div_ceil(4).saturating_mul(planes))
        .and(Unit::Element, results)
}

#[cfg(test)]
mod tests;
