//! Tests of the ensemble.

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::samples::{Sample, Tree, below, leaf};
use super::*;

fn types(op: &TreeEnsemble, rows: usize, tables: &[Tensor]) -> Vec<TensorType> {
    let x = TensorType::known(DType::F32, &[rows, op.features as usize]);
    std::iter::once(x).chain(tables.iter().map(Tensor::ty)).collect()
}

fn infer(op: &TreeEnsemble, types: &[TensorType]) -> Result<TensorType, String> {
    let operands: Vec<_> = types.iter().map(Some).collect();
    op.infer(&operands, &Bindings::SYMBOLIC).map(|mut t| t.remove(0)).map_err(|e| e.0)
}

fn check(op: &TreeEnsemble, tables: &[Tensor]) -> Result<(), String> {
    let operands: Vec<_> = std::iter::once(None).chain(tables.iter().map(Some)).collect();
    op.check_constants(&operands).map_err(|e| e.0)
}

fn run(sample: &Sample, x: &[f32]) -> Vec<f32> {
    let (op, tables) = (&sample.op, sample.tables());
    check(op, &tables).unwrap();
    let rows = x.len() / op.features as usize;
    let out = infer(op, &types(op, rows, &tables)).unwrap();
    let x = Tensor { shape: vec![rows, op.features as usize], data: Data::F32(x.to_vec()) };
    let operands: Vec<_> = std::iter::once(&x).chain(&tables).map(Some).collect();
    let y = op.reference(&operands, &[out]).unwrap().remove(0);
    y.as_f32().unwrap().to_vec()
}

/// x0 <= 0.5 ? (x1 <= 2 ? 1 : 2) : 4, and a tree that is a leaf of 8.
fn small(aggregate: Aggregate) -> Sample {
    let tree = below(0, 0.5, leaf(0, 4), below(1, 2.0, leaf(0, 2), leaf(0, 1)));
    Sample::new(aggregate, 1, 2, &[16], vec![tree, leaf(0, 8)])
}

#[test]
fn values_by_hand() {
    let rows = [0.5, 2.0, 0.5, 2.5, 0.6, 0.0];
    assert_eq!(run(&small(Aggregate::Sum), &rows), [12.5, 13.0, 14.0]);
    assert_eq!(run(&small(Aggregate::Average), &rows), [4.5 / 2.0 + 8.0, 5.0 / 2.0 + 8.0, 3.0 + 8.0]);
    assert_eq!(run(&small(Aggregate::Min), &rows), [8.5, 9.0, 10.0]);
    assert_eq!(run(&small(Aggregate::Max), &rows), [12.0, 12.0, 12.0]);
}

#[test]
fn every_comparison_and_the_branch_of_nan() {
    use Branch::*;
    let xs = [-1.0, 0.0, -0.0, 1.0, f32::NAN];
    let wants = [
        (LessOrEqual, [1, 1, 1, 0]),
        (Less, [1, 0, 0, 0]),
        (GreaterOrEqual, [0, 1, 1, 1]),
        (Greater, [0, 0, 0, 1]),
        (Equal, [0, 1, 1, 0]),
        (NotEqual, [1, 0, 0, 1]),
    ];
    for (branch, want) in wants {
        for nan in [false, true] {
            let tree = Tree::Node(0, 0.0, branch, nan, Box::new([leaf(0, 0), leaf(0, 1)]));
            let got = run(&Sample::new(Aggregate::Sum, 0, 1, &[0], vec![tree]), &xs);
            let want: Vec<f32> = want.into_iter().chain([i32::from(nan)]).map(|v| v as f32).collect();
            assert_eq!(got, want, "{branch:?}");
        }
    }
}

#[test]
fn sums_are_exact_until_one_rounding() {
    // In f32 2^24 + 1 loses the 1 each time; exactly, three of them and the base reach 2^24 + 4.
    let trees = vec![leaf(0, 1 << 24), leaf(0, 1), leaf(0, 1), leaf(0, 1)];
    assert_eq!(run(&Sample::new(Aggregate::Sum, 0, 1, &[1], trees), &[0.0]), [16_777_220.0]);
    let cancel = vec![leaf(0, 1 << 60), leaf(0, 3), leaf(0, -(1 << 60))];
    assert_eq!(run(&Sample::new(Aggregate::Sum, 1, 1, &[0], cancel), &[0.0]), [1.5]);
}

#[test]
fn targets_that_no_leaf_mentions() {
    let trees = || vec![Tree::Leaf(vec![(0, 5), (2, -5)]), Tree::Leaf(vec![(0, 7)]), Tree::Leaf(vec![])];
    let at = |aggregate| run(&Sample::new(aggregate, 0, 1, &[1, 2, 3], trees()), &[0.0]);
    assert_eq!(at(Aggregate::Sum), [13.0, 2.0, -2.0]);
    assert_eq!(at(Aggregate::Min), [6.0, 2.0, -2.0]);
    assert_eq!(at(Aggregate::Max), [8.0, 2.0, -2.0]);
    assert_eq!(at(Aggregate::Average), [5.0, 2.0, -5.0 / 3.0 + 3.0]);
}

#[test]
fn tables_that_could_mislead_a_walk_are_refused() {
    let sample = small(Aggregate::Sum);
    let refused = |table: usize, data: Data| {
        let mut tables = sample.tables();
        tables[table - 1].data = data;
        check(&sample.op, &tables).unwrap_err()
    };
    // Nodes 0 (children: leaf 0, node 1), 1 (leaf 1, leaf 2); leaf 3 is the second tree.
    let children = |v: [i32; 4]| refused(4, Data::I32(v.to_vec()));
    assert_eq!(children([-1, 0, -2, -3]), "a node leads to node 0, which is not later");
    assert_eq!(children([-1, 2, -2, -3]), "a node leads to Node(2), which does not exist");
    assert_eq!(children([-1, 1, -2, -5]), "a node leads to Leaf(4), which does not exist");
    assert_eq!(children([-1, 1, -2, -2]), "Leaf(1) is reached twice");
    assert_eq!(children([-1, -2, -3, -3]), "node 1 belongs to no tree");
    assert_eq!(children([i32::MIN, 1, -2, -3]), "a node leads to Leaf(2147483647), which does not exist");
    let roots = |v: [i32; 2]| refused(5, Data::I32(v.to_vec()));
    assert_eq!(roots([0, 0]), "Node(0) is reached twice");
    assert_eq!(roots([0, 9]), "a root leads to Node(9), which does not exist");
    assert_eq!(refused(1, Data::I32(vec![0, 2])), "node 1: a feature below 2 expected, 2 came");
    assert_eq!(refused(1, Data::I32(vec![-1, 1])), "node 0: a feature below 2 expected, -1 came");
    assert_eq!(refused(2, Data::F32(vec![0.5, f32::NAN])), "node 1: the threshold is NaN");
    for bad in [6, 7, 14, 16, 255] {
        assert!(refused(3, Data::U8(vec![bad, 0])).contains("is no mode"));
    }
    let starts = |v: [i32; 5]| refused(6, Data::I32(v.to_vec()));
    assert_eq!(starts([1, 1, 2, 3, 4]), "leaf_start from 0 to the 4 entries expected");
    assert_eq!(starts([0, 1, 2, 3, 3]), "leaf_start from 0 to the 4 entries expected");
    assert_eq!(starts([0, 1, 0, 3, 4]), "leaf 1: leaf_start descends from 1 to 0");
    assert_eq!(starts([0, 9, 2, 3, 4]), "leaf 0: no entry 9");
    assert_eq!(starts([0, 2, 2, 3, 4]), "leaf 0: targets must ascend, each once");
    assert_eq!(refused(7, Data::I32(vec![0, 0, 1, 0])), "leaf 2: a target below 1 expected, 1 came");
    assert_eq!(refused(7, Data::I32(vec![0, -1, 0, 0])), "leaf 1: a target below 1 expected, -1 came");
}

#[test]
fn the_stated_depth_is_the_trees() {
    let mut sample = small(Aggregate::Sum);
    assert_eq!(sample.op.total_depth, 2);
    for stated in [0, 1, 3] {
        sample.op.total_depth = stated;
        let e = check(&sample.op, &sample.tables()).unwrap_err();
        assert_eq!(e, format!("the trees' depths add up to 2, {stated} is stated"));
    }
}

#[test]
fn no_sum_may_reach_two_to_the_62() {
    let big = 1 << 61;
    let check = |aggregate, base: i64, leaves: &[i64]| {
        let trees = leaves.iter().map(|v| leaf(0, *v)).collect();
        let sample = Sample::new(aggregate, 0, 1, &[base], trees);
        check(&sample.op, &sample.tables())
    };
    let refusal = Err("target 0: the trees may reach 2^62, choose a smaller shift".to_owned());
    assert_eq!(check(Aggregate::Sum, 0, &[big, big - 1]), Ok(()));
    assert_eq!(check(Aggregate::Sum, 0, &[big, -big]), refusal, "the bound is of magnitudes");
    assert_eq!(check(Aggregate::Average, 1, &[big, big - 1]), refusal);
    assert_eq!(check(Aggregate::Max, 1, &[big, big]), Ok(()), "only one of them counts");
    assert_eq!(check(Aggregate::Min, i64::MIN, &[1]), refusal);
    assert_eq!(check(Aggregate::Sum, 0, &[i64::MIN; 9]), refusal);
    // Within one tree only one leaf counts.
    let tree = below(0, 0.0, leaf(0, big), leaf(0, -big));
    let sample = Sample::new(Aggregate::Sum, 0, 1, &[big - 1], vec![tree]);
    assert_eq!(super::tests::check(&sample.op, &sample.tables()), Ok(()));
}

#[test]
fn tables_are_constants() {
    let sample = small(Aggregate::Sum);
    let tables = sample.tables();
    let mut operands: Vec<_> = std::iter::once(None).chain(tables.iter().map(Some)).collect();
    operands[8] = None;
    assert_eq!(sample.op.check_constants(&operands).unwrap_err().0, "leaf_value must be a constant of the model");
}

#[test]
fn types_and_lengths_must_fit() {
    let sample = small(Aggregate::Sum);
    let good = types(&sample.op, 3, &sample.tables());
    assert_eq!(infer(&sample.op, &good).unwrap(), TensorType::known(DType::F32, &[3, 1]));
    let refused = |i: usize, t: TensorType| {
        let mut types = good.clone();
        types[i] = t;
        infer(&sample.op, &types).unwrap_err()
    };
    let t = |d, shape: &[usize]| TensorType::known(d, shape);
    assert_eq!(refused(0, t(DType::F32, &[2])), "x of shape (rows, features) expected, rank 1 came");
    assert_eq!(refused(0, t(DType::I64, &[3, 2])), "x in f32 expected, i64 came");
    assert_eq!(refused(0, t(DType::F32, &[3, 5])), "features of x and of the trees: 5 and 2 differ");
    assert_eq!(refused(2, t(DType::F32, &[3])), "threshold of length 2 expected, 3 came");
    assert_eq!(refused(4, t(DType::I32, &[4])), "children of shape (nodes, 2) expected");
    assert_eq!(refused(5, t(DType::I32, &[0])), "at least one root and one leaf_start expected");
    assert_eq!(refused(8, t(DType::I32, &[4])), "leaf_value in i64 expected, i32 came");
    assert_eq!(refused(9, t(DType::I64, &[2])), "base of length 1 expected, 2 came");
    let symbolic = TensorType::new(DType::I32, vec![Dim::symbol(0)]);
    assert_eq!(refused(1, symbolic), "feature with one known dimension expected, rank 1 came");
    let mut op = sample.op.clone();
    op.shift = 63;
    assert_eq!(infer(&op, &good).unwrap_err(), "a shift of at most 62 expected, 63 came");
}

#[test]
fn rows_may_be_symbolic_and_work_is_per_row() {
    let sample = small(Aggregate::Sum);
    let mut types = types(&sample.op, 3, &sample.tables());
    let operands: Vec<_> = types.iter().map(Some).collect();
    let work = sample.op.work(&operands, &[]);
    // Depths 2 + 0 and two trees; two features, one target, two entries.
    assert_eq!((work.get(Unit::TreeStep), work.get(Unit::Element)), (3 * 4, 3 * 5));
    types[0].shape[0] = Dim::symbol(0);
    let out = infer(&sample.op, &types).unwrap();
    assert_eq!(out.shape, [Dim::symbol(0), Dim::Known(1)]);
}

fn any_aggregate() -> impl Strategy<Value = Aggregate> {
    prop::sample::select(Aggregate::ALL)
}

proptest! {
    #[test]
    fn agrees_with_recursion(seed: u64, trees in 1usize..6, targets in 1i32..4, aggregate in any_aggregate()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (sample, x) = Sample::random(&mut rng, trees, 4, 3, targets, aggregate);
        let want: Vec<u32> = x.chunks(3).flat_map(|row| sample.value(row)).map(f32::to_bits).collect();
        let got: Vec<u32> = run(&sample, &x).into_iter().map(f32::to_bits).collect();
        prop_assert_eq!(got, want);
    }

    /// One flipped bit: the check refuses it, or the walk still gives a result.
    #[test]
    fn mutated_tables_are_refused_or_walk(seed: u64, table in 0usize..9, at: prop::sample::Index, bit in 0u32..64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (sample, x) = Sample::random(&mut rng, 3, 3, 3, 2, Aggregate::Sum);
        let mut tables = sample.tables();
        let mut bytes = tables[table].to_le_bytes();
        if !bytes.is_empty() {
            let i = at.index(bytes.len());
            bytes[i] ^= 1 << (bit % 8);
            let t = &tables[table];
            tables[table] = Tensor::from_le_bytes(t.dtype(), t.shape.clone(), &bytes).unwrap();
        }
        let out = infer(&sample.op, &types(&sample.op, x.len() / 3, &tables)).unwrap();
        let x = Tensor { shape: vec![x.len() / 3, 3], data: Data::F32(x) };
        let operands: Vec<_> = std::iter::once(&x).chain(&tables).map(Some).collect();
        let y = sample.op.reference(&operands, &[out]).unwrap();
        if check(&sample.op, &tables).is_ok() {
            prop_assert_eq!(y.len(), 1);
        }
    }
}
