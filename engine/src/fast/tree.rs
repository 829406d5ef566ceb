//! Tree ensembles: nodes of 16 bytes, eight trees walked side by side.
//!
//! A walk is a chain of loads that wait for each other; eight independent walks hide that. The aggregates are
//! exact integers, so the order of the trees is free, and trees of like depth are walked together.

use crate::fast::{Failure, Threads};
use crate::ops::tree::{Aggregate, Branch, Place, Tables, TreeEnsemble};
use crate::tensor::{Data, Tensor, TensorType};

/// Trees walked side by side.
const GROUP: usize = 8;
/// Rows for which a group's nodes stay in the cache (counted in the operator's `scratch`).
const ROWS: usize = 64;
/// Bits of a feature's number; the comparison stands above them.
const FEATURE_BITS: u32 = 28;

/// A node, or a leaf, which leads to itself.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(16))]
struct Node {
    threshold: f32,
    /// The feature, and above it four bits: whether the decision is true for x below, at and above the
    /// threshold, and for NaN.
    test: u32,
    children: [u32; 2],
}

/// Eight roots; where fewer trees are left, `count` of them matter.
#[derive(Debug, Clone, Copy)]
struct Group {
    roots: [u32; GROUP],
    count: usize,
    /// Of the deepest.
    depth: u32,
}

/// The trees of an ensemble, laid out for walking.
#[derive(Debug)]
pub struct Forest {
    nodes: Vec<Node>,
    /// Number of the first leaf in `nodes`.
    first_leaf: usize,
    groups: Vec<Group>,
    /// First entry of each leaf and the end of the last; empty where leaf l has the one entry l for target 0.
    starts: Vec<u32>,
    entries: Vec<(u32, i64)>,
    base: Vec<i64>,
    trees: usize,
    /// What every node decides by, NaN aside, where that is one of the usual two.
    uniform: Option<Uniform>,
}

/// A decision that all nodes share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Uniform {
    Less,
    LessOrEqual,
}

/// Lays out the tables; `None` where the reference has to do. Tables that the load-time check refuses come only from
/// fault injection: they give some result, which need not be meaningful.
pub(super) fn prepare(op: &TreeEnsemble, constants: &[Option<&Tensor>]) -> Option<Forest> {
    let t = Tables::of(constants)?;
    let (n, leaves) = (t.feature.len(), t.leaf_start.len().checked_sub(1)?);
    let small = op.features >> FEATURE_BITS == 0 && u32::try_from(n + leaves).is_ok();
    let fits = t.base.len() == op.targets as usize && op.targets > 0;
    if !small || !fits || leaves == 0 || (op.features == 0 && n > 0) {
        return None;
    }
    let place = |child: i32, after: Option<usize>| match Place::from(child) {
        Place::Node(c) if c < n && after.is_none_or(|a| c > a) => c as u32,
        Place::Leaf(l) if l < leaves => (n + l) as u32,
        _ => n as u32,
    };
    let mut nodes = Vec::with_capacity(n + leaves);
    for i in 0..n {
        let feature = u32::try_from(t.feature[i]).ok().filter(|f| *f < op.features).unwrap_or(0);
        let test = feature | outcomes(*t.mode.get(i)?) << FEATURE_BITS;
        let [no, yes] = [*t.children.get(2 * i)?, *t.children.get(2 * i + 1)?];
        nodes.push(Node { threshold: *t.threshold.get(i)?, test, children: [place(no, Some(i)), place(yes, Some(i))] });
    }
    let decisions = |bits: u32| nodes.iter().all(|node: &Node| node.test >> FEATURE_BITS & 7 == bits);
    let uniform = match () {
        () if decisions(0b001) => Some(Uniform::Less),
        () if decisions(0b011) => Some(Uniform::LessOrEqual),
        () => None,
    };
    nodes.extend((n..n + leaves).map(|i| Node { threshold: 0.0, test: 0, children: [i as u32; 2] }));
    let entry = |(target, value): (&i32, &i64)| (u32::try_from(*target).unwrap_or(u32::MAX), *value);
    let single = op.targets == 1
        && t.leaf_target.len() == leaves
        && t.leaf_target.iter().all(|t| *t == 0)
        && t.leaf_start.iter().enumerate().all(|(l, s)| usize::try_from(*s) == Ok(l));
    Some(Forest {
        groups: groups(&nodes, n, t.roots.iter().map(|r| place(*r, None)).collect()),
        nodes,
        first_leaf: n,
        starts: if single { Vec::new() } else { t.leaf_start.iter().map(|s| *s as u32).collect() },
        entries: t.leaf_target.iter().zip(t.leaf_value).map(entry).collect(),
        base: t.base.to_vec(),
        trees: t.roots.len(),
        uniform,
    })
}

impl Forest {
    pub(crate) fn add_to(&self, sum: &mut crate::resident::Sum) {
        sum.take(&self.nodes, |node| node.threshold.to_bits());
        sum.take(&self.nodes, |node| node.test);
        sum.take_wide(&self.nodes, |node| u64::from(node.children[0]) | u64::from(node.children[1]) << 32);
        for group in &self.groups {
            sum.take(&group.roots, |root| *root);
            sum.take(&[group.count as u32, group.depth], |word| *word);
        }
        sum.take(&self.starts, |start| *start);
        sum.take(&self.entries, |(target, _)| *target);
        sum.take_wide(&self.entries, |(_, value)| *value as u64);
        sum.take_wide(&self.base, |value| *value as u64);
        sum.take(&[self.first_leaf as u32, self.trees as u32, self.uniform.map_or(0, |u| 1 + u as u32)], |word| *word);
    }
}

/// Whether the decision is true below, at and above the threshold and for NaN, from bit 0 on.
fn outcomes(mode: u8) -> u32 {
    let nan = u32::from(mode & 8 != 0) << 3;
    Branch::of_mode(mode).map_or(nan, |b| {
        let at = |x: f32| u32::from(b.decides(x, 0.0, false));
        at(-1.0) | at(0.0) << 1 | at(1.0) << 2 | nan
    })
}

/// The trees by depth, in groups.
fn groups(nodes: &[Node], first_leaf: usize, roots: Vec<u32>) -> Vec<Group> {
    // Children are later than their parents, so that going backwards meets them first.
    let mut height = vec![0u32; nodes.len()];
    for i in (0..first_leaf).rev() {
        let [a, b] = nodes[i].children;
        height[i] = 1 + height[a as usize].max(height[b as usize]);
    }
    let mut roots = roots;
    roots.sort_by_key(|r| height[*r as usize]);
    let group = |g: &[u32]| {
        // Lanes without a tree rest in a leaf.
        let mut lanes = [first_leaf as u32; GROUP];
        lanes[..g.len()].copy_from_slice(g);
        Group { roots: lanes, count: g.len(), depth: g.iter().map(|r| height[*r as usize]).max().unwrap_or(0) }
    };
    roots.chunks(GROUP).map(group).collect()
}

/// Runs the ensemble on the rows of `x`.
pub(super) fn run(
    op: &TreeEnsemble,
    forest: &Forest,
    x: &Tensor,
    output: &TensorType,
    threads: &Threads,
) -> Result<Tensor, Failure> {
    let (Some(v), [rows, features]) = (x.as_f32(), x.shape.as_slice()) else {
        return Err(Failure::Environment("a tree ensemble got another operand than was checked"));
    };
    let targets = forest.base.len();
    let mut y = vec![0f32; rows * targets];
    // A step costs about as much as sixteen multiply-adds of a matrix product.
    let steps = u64::from(op.total_depth).saturating_add(forest.trees as u64).saturating_mul(16);
    threads
        .split(&mut y, targets, steps.saturating_mul(*rows as u64), |first, part| {
            let x = &v[first * features..];
            let mut joined = vec![(0i64, false); ROWS.min(*rows) * targets];
            for (block, out) in part.chunks_mut(ROWS * targets).enumerate() {
                let joined = &mut joined[..out.len()];
                joined.fill((0, false));
                forest.join(op.aggregate, &x[block * ROWS * features..], *features, joined);
                for (out, slots) in out.chunks_exact_mut(targets).zip(joined.chunks_exact(targets)) {
                    for ((o, (sum, _)), base) in out.iter_mut().zip(slots).zip(&forest.base) {
                        *o = op.finish(*sum, *base, forest.trees);
                    }
                }
            }
        })
        .map_err(Failure::Environment)?;
    Ok(Tensor { shape: crate::ops::shape::known_shape(output), data: Data::F32(y) })
}

impl Forest {
    /// Aggregates the leaves of every tree for as many rows as `joined` holds: value, and whether there is one.
    fn join(&self, aggregate: Aggregate, x: &[f32], features: usize, joined: &mut [(i64, bool)]) {
        let targets = self.base.len();
        let adds = self.starts.is_empty() && matches!(aggregate, Aggregate::Sum | Aggregate::Average);
        let mut whole = [true; ROWS];
        for (whole, row) in whole.iter_mut().zip(x.chunks(features.max(1))).take(joined.len() / targets) {
            *whole = !row.iter().any(|x| x.is_nan());
        }
        for group in &self.groups {
            for (r, slots) in joined.chunks_exact_mut(targets).enumerate() {
                let places = self.walk(group, &x[r * features..(r + 1) * features], whole[r]);
                if let (true, [(sum, any)]) = (adds, &mut *slots) {
                    for place in &places[..group.count] {
                        *sum = sum.wrapping_add(self.entries[*place as usize - self.first_leaf].1);
                    }
                    *any = true;
                    continue;
                }
                for place in &places[..group.count] {
                    for (target, value) in self.leaf(*place as usize - self.first_leaf) {
                        let Some((sum, any)) = slots.get_mut(*target as usize) else { continue };
                        *sum = match aggregate {
                            // No checked table overflows; an injected fault may.
                            Aggregate::Sum | Aggregate::Average => sum.wrapping_add(*value),
                            _ if !*any => *value,
                            Aggregate::Min => (*sum).min(*value),
                            Aggregate::Max => (*sum).max(*value),
                        };
                        *any = true;
                    }
                }
            }
        }
    }

    /// The leaves that a row reaches in the trees of a group. `whole`: it has no NaN.
    #[inline]
    fn walk(&self, group: &Group, row: &[f32], whole: bool) -> [u32; GROUP] {
        match self.uniform {
            Some(Uniform::Less) if whole => self.step(group, row, |n, x| usize::from(x < n.threshold)),
            Some(Uniform::LessOrEqual) if whole => self.step(group, row, |n, x| usize::from(x <= n.threshold)),
            _ => self.step(group, row, |n, x| {
                // 0 below, 1 at, 2 above the threshold, 3 for NaN.
                let outcome = u32::from(x == n.threshold) + 2 * u32::from(x > n.threshold) + 3 * u32::from(x.is_nan());
                (n.test >> (FEATURE_BITS + outcome) & 1) as usize
            }),
        }
    }

    /// Walks with `decide`, which gives 1 where a node's decision is true.
    #[inline(always)]
    fn step(&self, group: &Group, row: &[f32], decide: impl Fn(&Node, f32) -> usize) -> [u32; GROUP] {
        let mut at = group.roots;
        for _ in 0..group.depth {
            let mut moved = 0;
            for place in &mut at {
                let node = &self.nodes[*place as usize];
                let x = row[(node.test & ((1 << FEATURE_BITS) - 1)) as usize];
                let next = node.children[decide(node, x) & 1];
                moved |= next ^ *place;
                *place = next;
            }
            if moved == 0 {
                break;
            }
        }
        at
    }

    /// The entries of a leaf.
    #[inline]
    fn leaf(&self, leaf: usize) -> &[(u32, i64)] {
        if self.starts.is_empty() {
            return &self.entries[leaf..=leaf];
        }
        self.entries.get(self.starts[leaf] as usize..self.starts[leaf + 1] as usize).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::fast::testing::agree;
    use crate::ops::Op;
    use crate::ops::tree::samples::{Sample, below, leaf};

    /// What a test does to an ensemble's tables.
    type Change<'a> = &'a dyn Fn(&mut Vec<Tensor>);

    fn agrees(sample: &Sample, x: Vec<f32>) {
        let features = sample.op.features as usize;
        let x = Tensor { shape: vec![x.len() / features, features], data: Data::F32(x) };
        let tables = sample.tables();
        let operands: Vec<&Tensor> = std::iter::once(&x).chain(&tables).collect();
        agree(&Op::from(sample.op.clone()), &operands, 1);
    }

    #[test]
    fn blocks_groups_and_threads_meet_at_their_edges() {
        for trees in [1, GROUP - 1, GROUP, GROUP + 1] {
            let tree = |i: i64| below(0, i as f32, leaf(0, i), below(1, 0.0, leaf(0, 100 * i), leaf(0, -i)));
            let sample = Sample::new(Aggregate::Sum, 3, 2, &[7], (0..trees as i64).map(tree).collect());
            for rows in [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS] {
                agrees(&sample, (0..2 * rows).map(|i| (i % 11) as f32 - 3.0).collect());
            }
        }
    }

    #[test]
    fn a_deep_tree_beside_shallow_ones() {
        let chain = (0..200i64).fold(leaf(0, -1), |t, i| below(0, (200 - i) as f32, leaf(0, i), t));
        let trees = vec![leaf(0, 5), chain, below(0, 9.0, leaf(0, 1), leaf(0, 2))];
        agrees(&Sample::new(Aggregate::Sum, 0, 1, &[0], trees), (0..210).map(|i| i as f32).collect());
    }

    #[test]
    fn tables_without_a_feature_or_with_a_broken_child_do_not_panic() {
        let mut sample = Sample::new(Aggregate::Sum, 0, 2, &[0], vec![below(1, 0.0, leaf(0, 1), leaf(0, 2))]);
        let forest = |sample: &Sample, change: Change<'_>| {
            let mut tables = sample.tables();
            change(&mut tables);
            let operands: Vec<_> = std::iter::once(None).chain(tables.iter().map(Some)).collect();
            prepare(&sample.op, &operands)
        };
        let x = Tensor { shape: vec![1, 2], data: Data::F32(vec![0.0; 2]) };
        let out = TensorType::known(crate::DType::F32, &[1, 1]);
        let cases: [Change<'_>; 6] = [
            &|t| t[0].data = Data::I32(vec![-7]),
            &|t| t[2].data = Data::U8(vec![7]),
            &|t| t[3].data = Data::I32(vec![0, i32::MIN]),
            &|t| t[4].data = Data::I32(vec![99]),
            &|t| t[5].data = Data::I32(vec![0, -5, 2]),
            &|t| t[6].data = Data::I32(vec![-1, 1 << 30]),
        ];
        for change in cases {
            let forest = forest(&sample, change).unwrap();
            assert!(run(&sample.op, &forest, &x, &out, &Threads::new(1)).is_ok());
        }
        sample.op.features = 0;
        assert!(forest(&sample, &|_| ()).is_none());
    }

    proptest! {
        #[test]
        fn has_the_bits_of_the_reference(
            seed: u64, trees in 1usize..20, targets in 1i32..4, aggregate in prop::sample::select(Aggregate::ALL),
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (sample, x) = Sample::random(&mut rng, trees, 5, 3, targets, aggregate);
            agrees(&sample, x);
        }
    }
}
