//! The tables of an ensemble: reading them, and the checks that make every walk end in a leaf.

use super::{Aggregate, Branch, TreeEnsemble};
use crate::error::OpError;
use crate::ops::shape::tensor;
use crate::tensor::{Data, Tensor};

/// Operands 1 to 9 as slices.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'a> {
    /// Feature that each node compares.
    pub feature: &'a [i32],
    /// What it compares with.
    pub threshold: &'a [f32],
    /// How.
    pub mode: &'a [u8],
    /// Where to go: pairs of (false, true).
    pub children: &'a [i32],
    /// First node or leaf of each tree.
    pub roots: &'a [i32],
    /// First entry of each leaf, and the end of the last.
    pub leaf_start: &'a [i32],
    /// Target of each entry.
    pub leaf_target: &'a [i32],
    /// Value of each entry, in units of 2^-shift.
    pub leaf_value: &'a [i64],
    /// Base of each target, in the same unit.
    pub base: &'a [i64],
}

/// A child or a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A node, by number.
    Node(usize),
    /// A leaf, by number.
    Leaf(usize),
}

impl From<i32> for Place {
    fn from(child: i32) -> Self {
        // -1 - leaf, which is the complement.
        if child >= 0 { Self::Node(child as usize) } else { Self::Leaf(!child as usize) }
    }
}

macro_rules! slice {
    ($inputs:expr, $i:expr, $variant:ident) => {
        match &tensor($inputs, $i)?.data {
            Data::$variant(v) => v.as_slice(),
            _ => return None,
        }
    };
}

impl<'a> Tables<'a> {
    /// The tables among an ensemble's operands; `None` where one is missing or of another type.
    pub fn of(inputs: &[Option<&'a Tensor>]) -> Option<Self> {
        Some(Self {
            feature: slice!(inputs, 1, I32),
            threshold: slice!(inputs, 2, F32),
            mode: slice!(inputs, 3, U8),
            children: slice!(inputs, 4, I32),
            roots: slice!(inputs, 5, I32),
            leaf_start: slice!(inputs, 6, I32),
            leaf_target: slice!(inputs, 7, I32),
            leaf_value: slice!(inputs, 8, I64),
            base: slice!(inputs, 9, I64),
        })
    }

    /// The leaf that `x` reaches from `root`; `None` where an unchecked table leads nowhere.
    pub fn leaf(&self, root: i32, x: &[f32]) -> Option<usize> {
        let mut place = Place::from(root);
        while let Place::Node(n) = place {
            let value = *x.get(*self.feature.get(n)? as usize)?;
            let mode = *self.mode.get(n)?;
            let taken = Branch::of_mode(mode)?.decides(value, *self.threshold.get(n)?, mode & 8 != 0);
            place = Place::from(*self.children.get(2 * n + usize::from(taken))?);
            // Children come later: every walk ends.
            if matches!(place, Place::Node(next) if next <= n) {
                return None;
            }
        }
        match place {
            Place::Leaf(l) => Some(l),
            Place::Node(_) => None,
        }
    }

    /// The entries of a leaf: (target, value).
    pub fn entries(&self, leaf: usize) -> Option<impl Iterator<Item = (usize, i64)> + use<'a>> {
        let range = *self.leaf_start.get(leaf)? as usize..*self.leaf_start.get(leaf + 1)? as usize;
        let (targets, values) = (self.leaf_target.get(range.clone())?, self.leaf_value.get(range)?);
        Some(targets.iter().map(|t| *t as usize).zip(values.iter().copied()))
    }

    /// Everything that the walk and the sums rely on.
    pub fn check(&self, op: &TreeEnsemble) -> Result<(), OpError> {
        self.check_nodes(op)?;
        self.check_leaves(op)?;
        let tree_of_leaf = self.check_trees(op)?;
        self.check_sums(op, &tree_of_leaf)
    }

    fn check_nodes(&self, op: &TreeEnsemble) -> Result<(), OpError> {
        let n = self.feature.len();
        if [self.threshold.len(), self.mode.len(), self.children.len() / 2] != [n; 3] || self.base.is_empty() {
            return Err(OpError::new("the tables have different lengths"));
        }
        for (i, f) in self.feature.iter().enumerate() {
            if u32::try_from(*f).is_ok_and(|f| f < op.features) {
                continue;
            }
            return Err(OpError::new(format!("node {i}: a feature below {} expected, {f} came", op.features)));
        }
        if let Some(i) = self.threshold.iter().position(|t| t.is_nan()) {
            return Err(OpError::new(format!("node {i}: the threshold is NaN")));
        }
        if let Some(i) = self.mode.iter().position(|m| Branch::of_mode(*m).is_none()) {
            return Err(OpError::new(format!("node {i}: {} is no mode (0 to 5, plus 8)", self.mode[i])));
        }
        Ok(())
    }

    fn check_leaves(&self, op: &TreeEnsemble) -> Result<(), OpError> {
        let entries = self.leaf_target.len();
        let end = self.leaf_start.last().and_then(|e| usize::try_from(*e).ok());
        if self.leaf_start.first() != Some(&0) || end != Some(entries) || self.leaf_value.len() != entries {
            return Err(OpError::new(format!("leaf_start from 0 to the {entries} entries expected")));
        }
        for (leaf, range) in self.leaf_start.windows(2).enumerate() {
            if range[0] > range[1] {
                return Err(OpError::new(format!(
                    "leaf {leaf}: leaf_start descends from {} to {}",
                    range[0], range[1]
                )));
            }
            // With the start 0 no later one is negative, with the end `entries` none is above it,
            // unless a later leaf descends: then this slice may not exist.
            let targets = self.leaf_target.get(range[0] as usize..range[1] as usize);
            let targets = targets.ok_or_else(|| OpError::new(format!("leaf {leaf}: no entry {}", range[1])))?;
            if let Some(t) = targets.iter().find(|t| u32::try_from(**t).map_or(true, |t| t >= op.targets)) {
                return Err(OpError::new(format!("leaf {leaf}: a target below {} expected, {t} came", op.targets)));
            }
            if targets.windows(2).any(|w| w[0] >= w[1]) {
                return Err(OpError::new(format!("leaf {leaf}: targets must ascend, each once")));
            }
        }
        Ok(())
    }

    /// Checks that roots and children make trees of the stated depth; gives each leaf's tree.
    fn check_trees(&self, op: &TreeEnsemble) -> Result<Vec<u32>, OpError> {
        const NONE: u32 = u32::MAX;
        let (nodes, leaves) = (self.feature.len(), self.leaf_start.len().saturating_sub(1));
        // Tree and depth of each, filled from the roots down: parents come before their children.
        let mut node_tree = vec![(NONE, 0u32); nodes];
        let mut leaf_tree = vec![NONE; leaves];
        let mut depth = vec![0u32; self.roots.len()];
        let mut claim =
            |node_tree: &mut [(u32, u32)], child: i32, tree: u32, at: u32, from: &str, after: Option<usize>| {
                let place = Place::from(child);
                let slot = match place {
                    Place::Node(n) if after.is_some_and(|a| n <= a) => {
                        return Err(OpError::new(format!("{from} leads to node {n}, which is not later")));
                    }
                    Place::Node(n) => node_tree.get_mut(n).map(|s| {
                        s.1 = at;
                        &mut s.0
                    }),
                    Place::Leaf(l) => {
                        let deepest = &mut depth[tree as usize];
                        *deepest = at.max(*deepest);
                        leaf_tree.get_mut(l)
                    }
                };
                match slot {
                    None => Err(OpError::new(format!("{from} leads to {place:?}, which does not exist"))),
                    Some(s) if *s != NONE => Err(OpError::new(format!("{place:?} is reached twice"))),
                    Some(s) => {
                        *s = tree;
                        Ok(())
                    }
                }
            };
        for (t, root) in self.roots.iter().enumerate() {
            claim(&mut node_tree, *root, t as u32, 0, "a root", None)?;
        }
        for n in 0..nodes {
            let (tree, at) = node_tree[n];
            if tree == NONE {
                return Err(OpError::new(format!("node {n} belongs to no tree")));
            }
            for child in &self.children[2 * n..2 * n + 2] {
                claim(&mut node_tree, *child, tree, at + 1, "a node", Some(n))?;
            }
        }
        if let Some(l) = leaf_tree.iter().position(|t| *t == NONE) {
            return Err(OpError::new(format!("leaf {l} belongs to no tree")));
        }
        let total: u64 = depth.iter().map(|d| u64::from(*d)).sum();
        if total != u64::from(op.total_depth) {
            return Err(OpError::new(format!("the trees' depths add up to {total}, {} is stated", op.total_depth)));
        }
        Ok(leaf_tree)
    }

    /// Checks that no aggregate, base included, reaches 2^62.
    fn check_sums(&self, op: &TreeEnsemble, tree_of_leaf: &[u32]) -> Result<(), OpError> {
        let mut leaves: Vec<usize> = (0..tree_of_leaf.len()).collect();
        leaves.sort_by_key(|l| tree_of_leaf[*l]);
        let mut bound = vec![0u128; self.base.len()];
        // Largest |value| of each target in the tree at hand, and the targets it has.
        let mut largest = vec![0u64; self.base.len()];
        let mut touched = Vec::new();
        for tree in leaves.chunk_by(|a, b| tree_of_leaf[*a] == tree_of_leaf[*b]) {
            for (target, value) in tree.iter().filter_map(|l| self.entries(*l)).flatten() {
                let slot = &mut largest[target];
                if *slot == 0 {
                    touched.push(target);
                }
                *slot = value.unsigned_abs().max(*slot);
            }
            for target in touched.drain(..) {
                let value = u128::from(std::mem::take(&mut largest[target]));
                let slot = &mut bound[target];
                *slot = match op.aggregate {
                    Aggregate::Sum | Aggregate::Average => *slot + value,
                    Aggregate::Min | Aggregate::Max => value.max(*slot),
                };
            }
        }
        for (target, (b, base)) in bound.iter().zip(self.base).enumerate() {
            if b + u128::from(base.unsigned_abs()) >= 1 << 62 {
                return Err(OpError::new(format!("target {target}: the trees may reach 2^62, choose a smaller shift")));
            }
        }
        Ok(())
    }
}
