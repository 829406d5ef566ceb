//! Ensembles for tests: trees as people draw them, their tables, and their value by recursion.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Aggregate, Branch, TreeEnsemble};
use crate::float::convert::dyadic_to_f32;
use crate::tensor::{Data, Tensor};

/// A tree.
#[derive(Debug, Clone)]
pub(crate) enum Tree {
    /// Entries (target, value).
    Leaf(Vec<(i32, i64)>),
    /// Feature, threshold, comparison, whether a NaN counts as true; the trees where it is false and true.
    Node(usize, f32, Branch, bool, Box<[Tree; 2]>),
}

/// A leaf with one entry.
pub(crate) fn leaf(target: i32, value: i64) -> Tree {
    Tree::Leaf(vec![(target, value)])
}

/// `x[feature] <= threshold`, NaN counting as false.
pub(crate) fn below(feature: usize, threshold: f32, no: Tree, yes: Tree) -> Tree {
    Tree::Node(feature, threshold, Branch::LessOrEqual, false, Box::new([no, yes]))
}

impl Tree {
    /// A random tree over small numbers, so that thresholds are met exactly.
    pub(crate) fn random(rng: &mut ChaCha8Rng, depth: u32, features: usize, targets: i32) -> Self {
        if depth == 0 || rng.random_bool(0.2) {
            let entries = (0..targets).filter(|_| rng.random_bool(0.8)).collect::<Vec<_>>();
            return Self::Leaf(entries.into_iter().map(|t| (t, rng.random_range(-1000..1000) << 20)).collect());
        }
        let branch = Branch::ALL[rng.random_range(0..Branch::ALL.len())];
        let threshold = [-1.0, -0.0, 0.0, 0.5, 2.0, f32::INFINITY][rng.random_range(0..6usize)];
        let children = [(); 2].map(|()| Self::random(rng, depth - 1, features, targets));
        Self::Node(rng.random_range(0..features), threshold, branch, rng.random(), Box::new(children))
    }

    fn depth(&self) -> u32 {
        match self {
            Self::Leaf(_) => 0,
            Self::Node(.., children) => 1 + children.iter().map(Self::depth).max().unwrap_or(0),
        }
    }

    fn entries(&self, x: &[f32]) -> &[(i32, i64)] {
        match self {
            Self::Leaf(entries) => entries,
            Self::Node(feature, t, branch, nan, children) => {
                let v = x[*feature];
                let taken = match branch {
                    _ if v.is_nan() => *nan,
                    Branch::LessOrEqual => v <= *t,
                    Branch::Less => v < *t,
                    Branch::GreaterOrEqual => v >= *t,
                    Branch::Greater => v > *t,
                    Branch::Equal => v == *t,
                    Branch::NotEqual => v != *t,
                };
                children[usize::from(taken)].entries(x)
            }
        }
    }
}

/// An ensemble.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) op: TreeEnsemble,
    pub(crate) trees: Vec<Tree>,
    pub(crate) base: Vec<i64>,
}

impl Sample {
    pub(crate) fn new(aggregate: Aggregate, shift: u8, features: u32, base: &[i64], trees: Vec<Tree>) -> Self {
        let total_depth = trees.iter().map(Tree::depth).sum();
        let op = TreeEnsemble { targets: base.len() as u32, shift, aggregate, total_depth, features };
        Self { op, trees, base: base.to_vec() }
    }

    /// Random trees, and rows that meet their thresholds, with NaNs and infinities.
    pub(crate) fn random(
        rng: &mut ChaCha8Rng,
        trees: usize,
        depth: u32,
        features: usize,
        targets: i32,
        aggregate: Aggregate,
    ) -> (Self, Vec<f32>) {
        let trees = (0..trees).map(|_| Tree::random(rng, depth, features, targets)).collect();
        let base: Vec<i64> = (0..targets).map(|_| rng.random_range(-5000..5000)).collect();
        let values = [-1.0, -0.0, 0.0, 0.5, 0.75, 2.0, 3.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        let rows = rng.random_range(0..20usize);
        let x = (0..rows * features).map(|_| values[rng.random_range(0..values.len())]).collect();
        (Self::new(aggregate, rng.random_range(0..63), features as u32, &base, trees), x)
    }

    /// Operands 1 to 9.
    pub(crate) fn tables(&self) -> Vec<Tensor> {
        let mut t = Building { leaf_start: vec![0], ..Building::default() };
        let roots: Vec<i32> = self.trees.iter().map(|tree| t.add(tree)).collect();
        let vector = |data: Data| Tensor { shape: vec![data.len()], data };
        vec![
            vector(Data::I32(t.feature)),
            vector(Data::F32(t.threshold)),
            vector(Data::U8(t.mode)),
            Tensor { shape: vec![t.children.len(), 2], data: Data::I32(t.children.concat()) },
            vector(Data::I32(roots)),
            vector(Data::I32(t.leaf_start)),
            vector(Data::I32(t.leaf_target)),
            vector(Data::I64(t.leaf_value)),
            vector(Data::I64(self.base.clone())),
        ]
    }

    /// The outputs for a row, straight from the definition.
    pub(crate) fn value(&self, x: &[f32]) -> Vec<f32> {
        let shift = u32::from(self.op.shift);
        let output = |(target, base): (usize, &i64)| {
            let reached = self.trees.iter().flat_map(|t| t.entries(x)).filter(|e| e.0 as usize == target).map(|e| e.1);
            let joined = match self.op.aggregate {
                Aggregate::Sum | Aggregate::Average => reached.sum(),
                Aggregate::Min => reached.min().unwrap_or(0),
                Aggregate::Max => reached.max().unwrap_or(0),
            };
            match self.op.aggregate {
                Aggregate::Average => {
                    dyadic_to_f32(joined, shift) / self.trees.len() as f32 + dyadic_to_f32(*base, shift)
                }
                _ => dyadic_to_f32(joined + base, shift),
            }
        };
        self.base.iter().enumerate().map(output).collect()
    }
}

/// The tables being built.
#[derive(Default)]
struct Building {
    feature: Vec<i32>,
    threshold: Vec<f32>,
    mode: Vec<u8>,
    children: Vec<[i32; 2]>,
    leaf_start: Vec<i32>,
    leaf_target: Vec<i32>,
    leaf_value: Vec<i64>,
}

impl Building {
    /// Adds a tree and gives its root.
    fn add(&mut self, tree: &Tree) -> i32 {
        match tree {
            Tree::Leaf(entries) => {
                self.leaf_target.extend(entries.iter().map(|e| e.0));
                self.leaf_value.extend(entries.iter().map(|e| e.1));
                self.leaf_start.push(self.leaf_target.len() as i32);
                // -1 - leaf, of the leaf just ended.
                1 - self.leaf_start.len() as i32
            }
            Tree::Node(feature, threshold, branch, nan, children) => {
                let n = self.feature.len();
                self.feature.push(*feature as i32);
                self.threshold.push(*threshold);
                self.mode.push(*branch as u8 | u8::from(*nan) << 3);
                self.children.push([0; 2]);
                let numbers = [self.add(&children[0]), self.add(&children[1])];
                self.children[n] = numbers;
                n as i32
            }
        }
    }
}
