//! From f32 weights to integers with a scale for each block.

use lockstep_engine::ops::quantized::WeightClass;

/// What rounding did to a tensor of weights.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Loss {
    /// Root of the mean squared error, as a share of the weights' own root mean square.
    pub relative: f64,
    /// Greatest error of a weight.
    pub greatest: f64,
}

/// Weights of a class.
pub(super) struct Weights {
    /// The weights, or their high bytes; a channel's one after the other.
    pub(super) high: Vec<i8>,
    /// Low bytes, for I16.
    pub(super) low: Option<Vec<u8>>,
    /// A bf16 for each block, little-endian.
    pub(super) scale: Vec<u8>,
    pub(super) loss: Loss,
}

/// The bf16 at or above a positive finite f32, as bits.
fn round_up(x: f32) -> u16 {
    ((x.to_bits() + 0xffff) >> 16) as u16
}

/// Quantises `n` channels of `k` weights in the class's blocks: s = f32(max|w| / most) rounded up to bf16,
/// q = clamp(RNE(f32(w / s))), 0 where s is 0.
pub(super) fn quantize(class: WeightClass, n: usize, k: usize, at: impl Fn(usize, usize) -> f32) -> Weights {
    let (most, block) = (class.most(), class.block() as usize);
    let mut out = Weights {
        high: Vec::with_capacity(n * k),
        low: (class == WeightClass::I16).then(|| Vec::with_capacity(n * k)),
        scale: Vec::with_capacity(2 * n * k.div_ceil(block)),
        loss: Loss::default(),
    };
    let (mut error, mut power) = (0f64, 0f64);
    for channel in 0..n {
        for start in (0..k).step_by(block) {
            let w: Vec<f32> = (start..k.min(start + block)).map(|i| at(channel, i)).collect();
            let greatest = w.iter().fold(0f32, |m, w| m.max(w.abs()));
            let bits = round_up(greatest / most as f32);
            let s = f32::from_bits(u32::from(bits) << 16);
            out.scale.extend(bits.to_le_bytes());
            for w in w {
                let q = if s == 0.0 { 0 } else { ((w / s).round_ties_even() as i32).clamp(-most, most) };
                match &mut out.low {
                    None => out.high.push(q as i8),
                    Some(low) => {
                        out.high.push((q >> 8) as i8);
                        low.push(q as u8);
                    }
                }
                let e = f64::from(w) - f64::from(q) * f64::from(s);
                out.loss.greatest = out.loss.greatest.max(e.abs());
                error += e * e;
                power += f64::from(w) * f64::from(w);
            }
        }
    }
    out.loss.relative = if power > 0.0 { (error / power).sqrt() } else { 0.0 };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(class: WeightClass, w: &[f32]) -> Weights {
        quantize(class, 1, w.len(), |_, i| w[i])
    }

    #[test]
    fn scales_are_rounded_up_and_weights_to_even() {
        let w = one(WeightClass::I8, &[127.0, -127.0, 0.5, 1.5, -2.5, 0.0]);
        assert_eq!((w.high.as_slice(), w.scale.as_slice()), (&[127, -127, 0, 2, -2, 0][..], &[0x80, 0x3f][..]));
        // 1/127 is no bf16: the next one above, so that no weight is clamped.
        let w = one(WeightClass::I8, &[1.0, -0.5]);
        let s = f32::from_bits(u32::from(u16::from_le_bytes([w.scale[0], w.scale[1]])) << 16);
        assert!((1.0 / 127.0..1.0 / 126.0).contains(&s));
        assert_eq!(w.high, [(1.0 / s).round_ties_even() as i8, -(0.5 / s).round_ties_even() as i8]);
        let w = one(WeightClass::I16, &[32_767.0, -32_767.0, 256.0, -1.0]);
        assert_eq!((w.high, w.low.unwrap()), (vec![127, -128, 1, -1], vec![255, 1, 0, 255]));
    }

    #[test]
    fn zeros_and_the_smallest_have_a_meaning() {
        for w in [0.0, 1e-45] {
            let q = one(WeightClass::I8, &[w, -w]);
            assert!(q.high.iter().all(|q| *q != i8::MIN));
            assert!(q.loss.greatest <= 1e-44);
        }
        assert_eq!(one(WeightClass::I8, &[0.0; 3]).scale, [0, 0]);
        let q = one(WeightClass::I16, &[f32::MAX, 0.0]);
        assert!(f32::from_bits(u32::from(u16::from_le_bytes([q.scale[0], q.scale[1]])) << 16).is_finite());
    }

    #[test]
    fn blocks_have_scales_of_their_own() {
        let w: Vec<f32> = (0..40).map(|i| if i < 32 { 1000.0 } else { 0.001 }).collect();
        let q = one(WeightClass::I8, &w);
        assert_eq!(q.scale.len(), 4);
        assert!(q.high.iter().all(|q| *q >= 126));
        assert!(q.loss.relative < 0.01 && q.loss.greatest < 8.0);
    }
}
