//! One axis of a Resize: where its outputs fall on the input, exactly, and with what weights they read it.

use num_traits::{One, Signed, Zero};

use crate::error::{Lowered, Refusal, refuse};
use crate::exact::{Q, floor, int, of_f32, ratio, to_f32};

/// How an output's position becomes one of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    CropAndResize,
}

impl Transform {
    pub(super) fn of(name: &str) -> Lowered<Self> {
        Ok(match name {
            "half_pixel" => Self::HalfPixel,
            "half_pixel_symmetric" => Self::HalfPixelSymmetric,
            "pytorch_half_pixel" => Self::PytorchHalfPixel,
            "align_corners" => Self::AlignCorners,
            "asymmetric" => Self::Asymmetric,
            "tf_crop_and_resize" => Self::CropAndResize,
            other => return refuse!("coordinate_transformation_mode '{other}'"),
        })
    }
}

/// Which neighbour is the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nearest {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

impl Nearest {
    pub(super) fn of(name: &str) -> Lowered<Self> {
        Ok(match name {
            "round_prefer_floor" => Self::PreferFloor,
            "round_prefer_ceil" => Self::PreferCeil,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            other => return refuse!("nearest_mode '{other}'"),
        })
    }

    fn pick(self, x: &Q) -> i64 {
        match self {
            Self::PreferFloor => -floor(&(ratio(1, 2) - x)),
            Self::PreferCeil => floor(&(x + ratio(1, 2))),
            Self::Floor => floor(x),
            Self::Ceil => -floor(&-x),
        }
    }
}

/// How weights fall off with distance.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kernel {
    /// `Some(a)`: the cubic with this coefficient; `None`: linear.
    pub(super) cubic: Option<f32>,
    /// The kernel is stretched where the axis shrinks.
    pub(super) antialias: bool,
    /// Neighbours outside the axis have no weight (instead of the border's).
    pub(super) exclude_outside: bool,
}

impl Kernel {
    /// Distance beyond which every weight is 0.
    pub(super) fn radius(&self) -> i64 {
        if self.cubic.is_some() { 2 } else { 1 }
    }

    fn weight(&self, distance: &Q, a: &Q) -> Q {
        let x = distance.abs();
        let (one, two) = (int(1), int(2));
        if self.cubic.is_none() {
            return if x < one { one - x } else { Q::zero() };
        }
        if x <= one {
            ((a + &two) * &x - (a + int(3))) * &x * &x + one
        } else if x < two {
            ((a * &x - a * int(5)) * &x + a * int(8)) * &x - a * int(4)
        } else {
            Q::zero()
        }
    }
}

/// One axis: sizes, and the scale, which need not be their quotient.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) scale: Q,
    /// The part of the input that is taken, for [`Transform::CropAndResize`].
    pub(super) roi: Option<[Q; 2]>,
}

/// Products of sizes above this are refused: the weights would be a constant of that many elements.
const MAX_WEIGHTS: u64 = 1 << 24;

impl Axis {
    /// Whether every output is the input at its own place.
    pub(super) fn unchanged(&self) -> bool {
        let whole = self.roi.as_ref().is_none_or(|[a, b]| a.is_zero() && b.is_one());
        self.input == self.output && self.scale.is_one() && whole
    }

    /// Where the outputs fall on the input.
    fn positions(&self, t: Transform) -> Lowered<Vec<Q>> {
        if self.input == 0 || self.input > MAX_WEIGHTS || self.output > MAX_WEIGHTS || !self.scale.is_positive() {
            return refuse!("an axis of {} to {} elements by {}", self.input, self.output, self.scale);
        }
        let half = ratio(1, 2);
        let last = int(self.input as i64 - 1);
        // May be no integer.
        let width = int(self.input as i64) * &self.scale;
        let centre = |i: &Q| (i + &half) / &self.scale - &half;
        let spread = |i: &Q, by: &Q| if width.is_one() { Q::zero() } else { i * by / (&width - int(1)) };
        let shift = int(self.input as i64) / int(2) * (int(1) - int(self.output as i64) / &width);
        let [start, end] = self.roi.clone().unwrap_or([Q::zero(), int(1)]);
        Ok((0..self.output as i64)
            .map(|i| {
                let i = int(i);
                match t {
                    Transform::HalfPixel => centre(&i),
                    Transform::HalfPixelSymmetric => &shift + centre(&i),
                    Transform::PytorchHalfPixel if self.output > 1 => centre(&i),
                    Transform::PytorchHalfPixel => Q::zero(),
                    Transform::AlignCorners => spread(&i, &last),
                    Transform::Asymmetric => i / &self.scale,
                    Transform::CropAndResize if width.is_one() => (&start + &end) * &last / int(2),
                    Transform::CropAndResize => spread(&i, &((&end - &start) * &last)) + &start * &last,
                }
            })
            .collect())
    }

    /// Outputs that fall outside the input, where the transform leaves those to a fixed value.
    pub(super) fn outside(&self, t: Transform) -> Lowered<Vec<bool>> {
        if t != Transform::CropAndResize {
            return Ok(vec![false; self.output as usize]);
        }
        let last = int(self.input as i64 - 1);
        Ok(self.positions(t)?.iter().map(|x| x.is_negative() || *x > last).collect())
    }

    /// The input element that each output takes.
    pub(super) fn nearest(&self, t: Transform, n: Nearest) -> Lowered<Vec<i64>> {
        Ok(self.positions(t)?.iter().map(|x| n.pick(x).clamp(0, self.input as i64 - 1)).collect())
    }

    /// The matrix (output, input) of weights, each rounded once.
    pub(super) fn weights(&self, t: Transform, kernel: &Kernel) -> Lowered<Vec<f32>> {
        let positions = self.positions(t)?;
        if self.input.saturating_mul(self.output) > MAX_WEIGHTS {
            return refuse!("an axis of {} elements resized to {}: too many weights", self.input, self.output);
        }
        let a = kernel.cubic.map_or(Some(Q::zero()), of_f32);
        let Some(a) = a else { return refuse!("a cubic coefficient that is not finite") };
        let one = int(1);
        let shrink = if kernel.antialias && self.scale < one { self.scale.clone() } else { one };
        let radius = int(kernel.radius()) / &shrink;
        if floor(&radius) > 1 << 20 {
            return Err(Refusal::new(format!("a scale of {}", self.scale)));
        }
        let n = self.input as i64;
        let mut out = vec![0.0; (self.input * self.output) as usize];
        for (row, x) in out.chunks_exact_mut(self.input as usize).zip(&positions) {
            let mut taps: Vec<(i64, Q)> = Vec::new();
            let mut sum = Q::zero();
            for j in -floor(&(&radius - x))..=floor(&(&radius + x)) {
                let w = kernel.weight(&((int(j) - x) * &shrink), &a);
                if w.is_zero() || (kernel.exclude_outside && !(0..n).contains(&j)) {
                    continue;
                }
                sum += &w;
                let at = j.clamp(0, n - 1);
                match taps.iter_mut().find(|(k, _)| *k == at) {
                    Some((_, total)) => *total += w,
                    None => taps.push((at, w)),
                }
            }
            if sum.is_zero() {
                return refuse!("weights that sum to 0");
            }
            for (j, w) in taps {
                row[j as usize] = to_f32(&(w / &sum));
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(input: u64, output: u64) -> Axis {
        Axis { input, output, scale: ratio(output as i64, input as i64), roi: None }
    }

    const LINEAR: Kernel = Kernel { cubic: None, antialias: false, exclude_outside: false };

    #[test]
    fn linear_weights_are_exact() {
        let w = axis(2, 4).weights(Transform::HalfPixel, &LINEAR).unwrap();
        assert_eq!(w, [1.0, 0.0, 0.75, 0.25, 0.25, 0.75, 0.0, 1.0]);
        let w = axis(3, 2).weights(Transform::AlignCorners, &LINEAR).unwrap();
        assert_eq!(w, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let thirds = axis(2, 3).weights(Transform::Asymmetric, &LINEAR).unwrap();
        assert_eq!(thirds, [1.0, 0.0, 1.0 / 3.0, 2.0 / 3.0, 0.0, 1.0]);
    }

    #[test]
    fn nearest_breaks_ties_as_asked() {
        let at = |n| axis(2, 4).nearest(Transform::Asymmetric, n).unwrap();
        assert_eq!(at(Nearest::PreferFloor), [0, 0, 1, 1]);
        assert_eq!(at(Nearest::PreferCeil), [0, 1, 1, 1]);
        assert_eq!(at(Nearest::Floor), [0, 0, 1, 1]);
        assert_eq!(at(Nearest::Ceil), [0, 1, 1, 1]);
    }

    #[test]
    fn every_row_sums_to_one() {
        for (a, b) in [(5, 3), (3, 7), (8, 1), (1, 4)] {
            for cubic in [None, Some(-0.75), Some(-0.5)] {
                for (antialias, exclude_outside) in [(false, false), (true, false), (false, true), (true, true)] {
                    let k = Kernel { cubic, antialias, exclude_outside };
                    for row in axis(a, b).weights(Transform::HalfPixel, &k).unwrap().chunks(a as usize) {
                        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{k:?} {a} {b} {row:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_crop_marks_what_lies_outside() {
        let crop = Axis { roi: Some([ratio(1, 2), ratio(3, 2)]), ..axis(3, 3) };
        assert_eq!(crop.outside(Transform::CropAndResize).unwrap(), [false, false, true]);
        assert!(Axis { input: 0, ..crop }.weights(Transform::CropAndResize, &LINEAR).is_err());
    }
}
