//! Nodes in the order that the engine wants: parents before children, each leaf once, true side first.
//! A part that two ways lead to (converters write `x in {a, b}` as x = a or x = b before one part) is copied.

use lockstep_engine::ops::tree::Branch;

use super::forest::{Child, Forest};
use super::threshold;
use crate::error::{Lowered, Refusal, refuse};

/// The engine's tables, leaf values not yet integers.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LaidOut {
    pub(super) feature: Vec<i32>,
    pub(super) threshold: Vec<f32>,
    pub(super) mode: Vec<u8>,
    /// Pairs of (false, true).
    pub(super) children: Vec<i32>,
    pub(super) roots: Vec<i32>,
    pub(super) total_depth: u32,
    /// Entries of each leaf.
    pub(super) leaves: Vec<Vec<(u32, f64)>>,
    /// Tree of each leaf.
    pub(super) tree_of_leaf: Vec<usize>,
}

/// So many nodes may come of each node of the file, and this many of any file.
const COPIES: usize = 32;
const FREE: usize = 4096;

/// Lays out an ensemble.
pub(super) fn lay_out(f: &Forest) -> Lowered<LaidOut> {
    if f.roots.is_empty() {
        return refuse!("an ensemble without trees");
    }
    let mut out = LaidOut::default();
    let mut split_seen = vec![false; f.splits.len()];
    let most = (f.splits.len() + f.leaves.len()).saturating_mul(COPIES).saturating_add(FREE);
    for (tree, root) in f.roots.iter().enumerate() {
        let mut deepest = 0u32;
        // What to place, at which depth, and which slot of `children` points to it.
        let mut stack = vec![(*root, 0u32, None::<usize>)];
        while let Some((child, depth, slot)) = stack.pop() {
            let number = match child {
                Child::Leaf(l) => {
                    deepest = deepest.max(depth);
                    out.leaves.push(f.leaves[l].clone());
                    out.tree_of_leaf.push(tree);
                    i32::try_from(out.leaves.len()).map(|n| -n)
                }
                Child::Split(s) => {
                    if depth as usize >= f.splits.len() {
                        return refuse!("a way through a tree comes back to where it was");
                    }
                    split_seen[s] = true;
                    let split = &f.splits[s];
                    let n = out.feature.len();
                    out.feature.push(split.feature);
                    out.threshold.push(threshold::of(split.branch, split.threshold)?);
                    // A NaN is unequal to everything, so it is on the true side there.
                    let nan = split.missing || split.branch == Branch::NotEqual;
                    out.mode.push(split.branch as u8 + if nan { 8 } else { 0 });
                    out.children.extend([0, 0]);
                    stack.push((split.on_false, depth + 1, Some(2 * n)));
                    stack.push((split.on_true, depth + 1, Some(2 * n + 1)));
                    i32::try_from(n)
                }
            };
            if out.feature.len() + out.leaves.len() > most {
                return refuse!("trees share parts: without sharing they have more than {most} nodes");
            }
            let number = number.map_err(|_| Refusal::new("more than 2^31 nodes"))?;
            match slot {
                None => out.roots.push(number),
                Some(at) => out.children[at] = number,
            }
        }
        out.total_depth = match out.total_depth.checked_add(deepest) {
            Some(d) => d,
            None => return refuse!("trees of more than 2^32 levels"),
        };
    }
    if split_seen.contains(&false) {
        return refuse!("a node that no root leads to");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::forest::Split;
    use super::*;

    fn split(feature: i32, on_true: Child, on_false: Child) -> Split {
        Split { feature, branch: Branch::Less, threshold: 0.5, missing: true, on_true, on_false }
    }

    #[test]
    fn parents_come_first_and_leaves_are_numbered_in_order() {
        let f = Forest {
            splits: vec![split(1, Child::Leaf(0), Child::Leaf(1)), split(0, Child::Split(0), Child::Leaf(2))],
            leaves: vec![vec![(0, 1.0)], vec![(0, 2.0)], vec![(0, 3.0)], vec![(0, 4.0)]],
            roots: vec![Child::Split(1), Child::Leaf(3)],
        };
        let out = lay_out(&f).unwrap();
        assert_eq!(out.feature, [0, 1]);
        assert_eq!(out.children, [-3, 1, -2, -1]);
        assert_eq!(out.roots, [0, -4]);
        assert_eq!(out.total_depth, 2);
        assert_eq!(out.mode, [9, 9]);
        assert_eq!(out.tree_of_leaf, [0, 0, 0, 1]);
        assert_eq!(out.leaves.iter().map(|l| l[0].1).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn circles_are_refused() {
        let circle = Forest {
            splits: vec![split(0, Child::Split(0), Child::Leaf(0))],
            leaves: vec![Vec::new()],
            roots: vec![Child::Split(0)],
        };
        assert!(lay_out(&circle).is_err());
    }

    #[test]
    fn shared_parts_are_copied_within_a_bound() {
        let shared = Forest {
            splits: vec![split(0, Child::Split(1), Child::Split(1)), split(1, Child::Leaf(0), Child::Leaf(0))],
            leaves: vec![vec![(0, 1.0)]],
            roots: vec![Child::Split(0)],
        };
        let out = lay_out(&shared).unwrap();
        assert_eq!((out.feature, out.children), (vec![0, 1, 1], vec![2, 1, -2, -1, -4, -3]));
        assert_eq!((out.total_depth, out.tree_of_leaf), (2, vec![0; 4]));
        // Each level twice: 2^40 nodes.
        let n = 40;
        let tower = Forest {
            splits: (1..=n).map(|i| split(0, Child::Split(i % n), Child::Split(i % n))).collect(),
            ..shared.clone()
        };
        assert!(lay_out(&tower).is_err());
        let next = |i: usize| if i == n { Child::Leaf(0) } else { Child::Split(i) };
        let tower = Forest { splits: (1..=n).map(|i| split(0, next(i), next(i))).collect(), ..shared };
        assert!(lay_out(&tower).is_err());
    }
}
