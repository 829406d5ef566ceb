//! Trees as the file has them: splits and leaves by number, thresholds and weights as the file stores them.

use lockstep_engine::ops::tree::Branch;

use crate::error::{Lowered, refuse};

/// Where a decision leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Child {
    Split(usize),
    Leaf(usize),
}

/// One decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    pub(super) feature: i32,
    pub(super) branch: Branch,
    pub(super) threshold: f64,
    /// Whether a NaN counts as true.
    pub(super) missing: bool,
    pub(super) on_true: Child,
    pub(super) on_false: Child,
}

/// All trees of an ensemble.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Forest {
    pub(super) splits: Vec<Split>,
    /// Targets and weights of each leaf.
    pub(super) leaves: Vec<Vec<(u32, f64)>>,
    pub(super) roots: Vec<Child>,
}

impl Forest {
    /// Targets have to exist.
    pub(super) fn check_targets(&self, targets: usize) -> Lowered<()> {
        match self.leaves.iter().flatten().find(|(t, _)| *t as usize >= targets) {
            Some((t, _)) => refuse!("a leaf of target {t}, there are {targets}"),
            None => Ok(()),
        }
    }

    /// Whether every row gets a weight for this target: some tree mentions it in all its leaves.
    pub(super) fn covers(&self, target: u32) -> bool {
        self.roots.iter().any(|root| {
            let mut stack = vec![*root];
            // A shared or circular part is refused later; here each split is seen once at most.
            let mut budget = self.splits.len() + self.leaves.len() + 1;
            while let Some(at) = stack.pop() {
                budget = budget.saturating_sub(1);
                if budget == 0 {
                    return false;
                }
                match at {
                    Child::Leaf(l) => {
                        if !self.leaves.get(l).is_some_and(|e| e.iter().any(|(t, _)| *t == target)) {
                            return false;
                        }
                    }
                    Child::Split(s) => match self.splits.get(s) {
                        Some(s) => stack.extend([s.on_true, s.on_false]),
                        None => return false,
                    },
                }
            }
            true
        })
    }
}
