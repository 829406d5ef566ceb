//! Thresholds in f32: exact for every f32 feature, also where the file has them in f64.

use lockstep_engine::ops::tree::Branch;

use crate::error::{Lowered, refuse};

/// The greatest f32 that is not above `t`.
fn down(t: f64) -> f32 {
    let x = t as f32;
    if f64::from(x) > t { x.next_down() } else { x }
}

/// The least f32 that is not below `t`.
fn up(t: f64) -> f32 {
    let x = t as f32;
    if f64::from(x) < t { x.next_up() } else { x }
}

/// The threshold that decides every f32 as `t` does.
pub(super) fn of(branch: Branch, t: f64) -> Lowered<f32> {
    if t.is_nan() {
        return refuse!("a threshold is NaN");
    }
    let out = match branch {
        Branch::LessOrEqual | Branch::Greater => down(t),
        Branch::Less | Branch::GreaterOrEqual => up(t),
        Branch::Equal | Branch::NotEqual => {
            let x = t as f32;
            if f64::from(x) != t {
                return refuse!("a float64 threshold {t} is compared for equality, no float32 equals it");
            }
            x
        }
    };
    // One zero: comparisons do not tell them apart.
    Ok(if out == 0.0 { 0.0 } else { out })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f32_decides_as_in_f64() {
        use Branch::*;
        for t in [0.1f64, -0.1, 1.0, 1e-50, -1e-50, 1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, 16_777_217.0] {
            let near = t as f32;
            for x in [
                near,
                near.next_up(),
                near.next_down(),
                0.0,
                -0.0,
                f32::MAX,
                f32::MIN,
                f32::INFINITY,
                f32::NEG_INFINITY,
            ] {
                let w = f64::from(x);
                for (branch, want) in [(LessOrEqual, w <= t), (Less, w < t), (GreaterOrEqual, w >= t), (Greater, w > t)]
                {
                    let got = of(branch, t).unwrap();
                    assert_eq!(branch.decides(x, got, false), want, "{x} {branch:?} {t}");
                }
            }
        }
        assert_eq!(of(Equal, 0.5), Ok(0.5));
        assert!(of(Equal, 0.1).is_err() && of(Less, f64::NAN).is_err());
    }
}
