//! Leaf values as integers: multiples of 2^-s, with the greatest s <= 62 at which no aggregate can reach 2^62.
//!
//! The bound of a target: the sum over trees (for least and greatest: the maximum) of the largest magnitude
//! that a leaf of the tree has for it, plus the magnitude of the base value; all after rounding at s.
//! Each weight is rounded once, to nearest, ties to even; weights of one leaf and target are joined after it.

use std::collections::BTreeMap;

use lockstep_engine::ops::tree::Aggregate;

use super::layout::LaidOut;
use crate::error::{Lowered, refuse};

/// Entries of all leaves, and base values, in units of 2^-shift.
#[derive(Debug, PartialEq)]
pub(super) struct Numbers {
    pub(super) shift: u8,
    pub(super) start: Vec<i32>,
    pub(super) target: Vec<i32>,
    pub(super) value: Vec<i64>,
    pub(super) base: Vec<i64>,
}

/// Magnitudes below this are exact in the checks that follow.
const LIMIT: i128 = 1 << 62;

/// Chooses the shift and rounds.
pub(super) fn quantise(f: &LaidOut, base: &[f64], aggregate: Aggregate) -> Lowered<Numbers> {
    if let Some(x) = f.leaves.iter().flatten().map(|(_, w)| w).chain(base).find(|x| !x.is_finite()) {
        return refuse!("a leaf or base value is {x}");
    }
    if f.leaves.iter().map(Vec::len).sum::<usize>() > i32::MAX as usize {
        return refuse!("more than 2^31 leaf values");
    }
    for shift in (0..=62u8).rev() {
        if let Some(n) = at_shift(f, base, aggregate, shift) {
            return Ok(n);
        }
    }
    refuse!("the leaf values are too large: their sum may reach 2^62")
}

/// x * 2^shift, rounded; `None` where it does not stay below the limit.
fn round(x: f64, shift: u8) -> Option<i128> {
    // Scaling by a power of two is exact (it leads away from the subnormals).
    let scaled = x * f64::from(shift).exp2();
    (scaled.abs() < LIMIT as f64).then(|| scaled.round_ties_even() as i128)
}

fn at_shift(f: &LaidOut, base: &[f64], aggregate: Aggregate, shift: u8) -> Option<Numbers> {
    let summed = matches!(aggregate, Aggregate::Sum | Aggregate::Average);
    let mut out = Numbers { shift, start: vec![0], target: Vec::new(), value: Vec::new(), base: Vec::new() };
    let mut bound: Vec<i128> = Vec::with_capacity(base.len());
    for b in base {
        let b = round(*b, shift)?;
        out.base.push(i64::try_from(b).ok()?);
        bound.push(b.abs());
    }
    let mut within = vec![0i128; base.len()];
    let mut largest: BTreeMap<u32, i128> = BTreeMap::new();
    for (leaf, entries) in f.leaves.iter().enumerate() {
        let mut joined: BTreeMap<u32, i128> = BTreeMap::new();
        for (target, weight) in entries {
            let v = round(*weight, shift)?;
            joined
                .entry(*target)
                .and_modify(|old| {
                    *old = match aggregate {
                        Aggregate::Min => v.min(*old),
                        Aggregate::Max => v.max(*old),
                        _ => *old + v,
                    };
                })
                .or_insert(v);
        }
        for (target, v) in joined {
            out.target.push(i32::try_from(target).ok()?);
            out.value.push(i64::try_from(v).ok().filter(|v| i128::from(*v).abs() < LIMIT)?);
            let slot = largest.entry(target).or_insert(0);
            *slot = v.abs().max(*slot);
        }
        out.start.push(i32::try_from(out.target.len()).ok()?);
        // The leaves of a tree follow one another.
        if f.tree_of_leaf.get(leaf + 1) != f.tree_of_leaf.get(leaf) {
            for (target, v) in std::mem::take(&mut largest) {
                let slot = within.get_mut(target as usize)?;
                *slot = if summed { *slot + v } else { v.max(*slot) };
            }
        }
    }
    bound.iter().zip(&within).all(|(b, w)| b + w < LIMIT).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(values: &[(usize, f64)]) -> LaidOut {
        LaidOut {
            leaves: values.iter().map(|(_, v)| vec![(0, *v)]).collect(),
            tree_of_leaf: values.iter().map(|(t, _)| *t).collect(),
            ..LaidOut::default()
        }
    }

    #[test]
    fn the_shift_is_the_greatest_that_cannot_overflow() {
        // Two trees of at most 1 and 0.5: 1.5 * 2^s < 2^62.
        let n = quantise(&leaves(&[(0, 1.0), (0, -0.75), (1, 0.5)]), &[0.0], Aggregate::Sum).unwrap();
        assert_eq!(n.shift, 61);
        assert_eq!(n.value, [1 << 61, -(3 << 59), 1 << 60]);
        assert_eq!(n.start, [0, 1, 2, 3]);
        // The greatest of them needs one bit less than the sum.
        let n = quantise(&leaves(&[(0, 1.0), (1, 1.0)]), &[0.5], Aggregate::Max).unwrap();
        assert_eq!(n.shift, 61);
        let n = quantise(&leaves(&[(0, 1.0), (1, 1.0)]), &[0.0], Aggregate::Sum).unwrap();
        assert_eq!(n.shift, 60);
        let n = quantise(&leaves(&[(0, 1e-30)]), &[0.0], Aggregate::Sum).unwrap();
        assert_eq!((n.shift, n.value), (62, vec![0]));
    }

    #[test]
    fn large_and_infinite_values_are_refused() {
        assert!(quantise(&leaves(&[(0, 1e19)]), &[0.0], Aggregate::Sum).is_err());
        assert!(quantise(&leaves(&[(0, f64::INFINITY)]), &[0.0], Aggregate::Sum).is_err());
        assert!(quantise(&leaves(&[(0, 1.0)]), &[f64::NAN], Aggregate::Sum).is_err());
    }

    #[test]
    fn rounding_is_to_nearest_even() {
        assert_eq!(round(0.5, 0), Some(0));
        assert_eq!(round(1.5, 0), Some(2));
        assert_eq!(round(-2.5, 0), Some(-2));
        assert_eq!(round(2f64.powi(62), 0), None);
    }
}
