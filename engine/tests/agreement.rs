//! The reference and the fast path agree bit for bit on random graphs, whatever threads and batch.

mod support;

use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::fast::Level;
use lockstep_engine::{ComputeError, DType, Limits, LoadedModel, Tensor};
use proptest::prelude::*;

fn run(
    m: &LoadedModel,
    inputs: &[Tensor],
    implementation: Implementation,
    threads: usize,
) -> Result<Vec<Tensor>, ComputeError> {
    let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = m.plan(&types, &Limits::default())?;
    let out = m.run(&plan, inputs.to_vec(), &Options { implementation, threads })?;
    for (t, ty) in out.iter().zip(&plan.outputs) {
        assert_eq!(t.ty(), *ty, "the plan foretells the outputs' types");
    }
    Ok(out)
}

fn bytes(out: &Result<Vec<Tensor>, ComputeError>) -> Result<Vec<Vec<u8>>, ComputeError> {
    out.as_ref().map(|v| v.iter().map(Tensor::to_le_bytes).collect()).map_err(Clone::clone)
}

/// Row `r` of every tensor, as a batch of one.
fn row(tensors: &[Tensor], r: usize) -> Vec<Tensor> {
    tensors
        .iter()
        .map(|t| {
            let n = t.to_le_bytes().len() / t.shape[0];
            let mut shape = t.shape.clone();
            shape[0] = 1;
            Tensor::from_le_bytes(t.dtype(), shape, &t.to_le_bytes()[r * n..(r + 1) * n]).unwrap()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// LS1 is one function: scalar reference, fast path, 1 to 3 threads.
    #[test]
    fn fast_path_and_reference_agree(seed: u64, rows in 1usize..6, special in prop_oneof![Just(0u32), Just(3), Just(30)]) {
        let model = support::random_model(seed, 12);
        let inputs = support::random_inputs(&model.graph, rows, seed ^ 1, special);
        let m = LoadedModel::new(model, &Limits::default()).unwrap();
        let expected = bytes(&run(&m, &inputs, Implementation::Reference, 1));
        for threads in 1..4 {
            prop_assert_eq!(&bytes(&run(&m, &inputs, Implementation::Fast, threads)), &expected);
        }
        let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
        let Ok(plan) = m.plan(&types, &Limits::default()) else { return Ok(()) };
        for level in Level::available() {
            prop_assert_eq!(&bytes(&m.run_at(level, &plan, inputs.to_vec(), 1)), &expected, "{}", level.name());
        }
        // One by one, as the cross-check looks at them.
        let fast = Options { implementation: Implementation::Fast, threads: 1 };
        prop_assert_eq!(&bytes(&m.run_observed(&plan, inputs.to_vec(), &fast, &mut |_, _| {})), &expected);
    }

    /// A row alone and the same row in a batch have equal bits.
    #[test]
    fn batch_size_changes_no_bit(seed: u64, rows in 23usize..26) {
        // More rows than any other dimension: a batch of 4 may broadcast against an axis of 4, and then rows do meet.
        let model = support::random_model(seed, 8);
        let inputs = support::random_inputs(&model.graph, rows, seed ^ 1, 50);
        let m = LoadedModel::new(model, &Limits::default()).unwrap();
        // Graphs that join rows make no claim about them: a softmax over the batch, or a batch beside itself as two axes.
        let softmax = m.graph.nodes.iter().any(|n| matches!(&n.op, lockstep_engine::Op::Softmax(s) if s.axis == 0));
        let beside = |t: &lockstep_engine::TensorType| t.shape.iter().skip(1).any(|d| d.as_known().is_none());
        prop_assume!(!softmax && !m.checked.types.iter().any(beside));
        let Ok(all) = run(&m, &inputs, Implementation::Fast, 1) else { return Ok(()) };
        let batched = |t: &Tensor| t.shape.first() == Some(&rows);
        for r in 0..rows {
            let one = run(&m, &row(&inputs, r), Implementation::Fast, 1).unwrap();
            for (t, o) in all.iter().zip(&one) {
                if batched(t) && o.shape.first() == Some(&1) && t.shape[1..] == o.shape[1..] {
                    prop_assert_eq!(row(std::slice::from_ref(t), r)[0].to_le_bytes(), o.to_le_bytes());
                }
            }
        }
    }

    /// A flipped weight bit is found and named, or changes no result.
    #[test]
    fn a_flipped_bit_is_named(seed: u64) {
        let model = support::random_model(seed, 6);
        let inputs = support::random_inputs(&model.graph, 2, seed ^ 1, 0);
        let m = LoadedModel::new(model, &Limits::default()).unwrap();
        let Ok(honest) = run(&m, &inputs, Implementation::Fast, 1) else { return Ok(()) };
        for c in 0..m.graph.constants.len() {
            let Some(bad) = m.with_flipped_bit(c, (seed % 8) as usize) else { continue };
            let difference = lockstep_engine::exec::first_difference(&bad, &inputs, &Limits::default(), 1);
            let wrong = run(&bad, &inputs, Implementation::Fast, 1);
            if bytes(&wrong) != bytes(&Ok(honest.clone())) && wrong.is_ok() {
                let d = difference.unwrap().expect("a different answer has a first differing operator");
                prop_assert_eq!(d.operator, m.graph.nodes[d.node].op.name());
            }
        }
    }
}

/// The agreement says something about operators that are computed together only if some are.
#[test]
fn random_graphs_have_groups() {
    let (mut made, mut nodes) = (0, 0);
    for seed in 0..200 {
        let m = LoadedModel::new(support::random_model(seed, 12), &Limits::default()).unwrap();
        let inputs = support::random_inputs(&m.graph, 3, seed, 0);
        let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
        let Ok(plan) = m.plan(&types, &Limits::default()) else { continue };
        let mut seen = 0;
        if m.run_together(&plan, inputs, 1, &mut |_, _| seen += 1).is_ok() {
            (made, nodes) = (made + seen, nodes + m.graph.nodes.len());
        }
    }
    assert!(made + 10 <= nodes, "{made} results of {nodes} nodes were made");
}

/// The agreement says something about every operator only if the generator makes every operator.
#[test]
fn random_graphs_reach_every_operator() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..400 {
        let model = support::random_model(seed, 12);
        seen.extend(model.graph.nodes.iter().map(|n| n.op.family()));
    }
    let missing: Vec<_> = lockstep_engine::Op::TABLE.iter().filter(|(_, name)| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "never generated: {missing:?}");
}

/// A batch of none, and shapes whose empty results have huge outer dimensions, cost nothing and take no time.
#[test]
fn empty_results_take_no_time() {
    use lockstep_engine::graph::{Graph, Input, Node, Output, ValueId};
    use lockstep_engine::ops::{concat::Concat, contraction::MatMul};
    let huge = 1u64 << 40;
    let input = |name: &str, shape: &[u64]| Input {
        name: name.into(),
        dtype: DType::F32,
        shape: shape.iter().map(|d| lockstep_engine::Dim::Known(*d)).collect(),
    };
    let node = |op: lockstep_engine::Op, a, b| Node { op, inputs: vec![Some(ValueId(a)), Some(ValueId(b))] };
    // Dimensions of inputs are at most 2^32 - 1.
    let rows = huge >> 9;
    let g = Graph {
        inputs: vec![input("a", &[rows, 0]), input("b", &[0, 0])],
        nodes: vec![node(Concat { axis: 1 }.into(), 0, 0), node(MatMul {}.into(), 0, 1)],
        outputs: vec![Output { name: "c".into(), value: ValueId(2) }, Output { name: "d".into(), value: ValueId(3) }],
        ..Graph::default()
    };
    let m = lockstep_engine::Model::build(g, &[], Vec::new(), &Limits::default()).unwrap();
    let m = LoadedModel::new(m, &Limits::default()).unwrap();
    let inputs = [Tensor::empty(DType::F32, vec![rows as usize, 0]), Tensor::empty(DType::F32, vec![0, 0])];
    for implementation in [Implementation::Fast, Implementation::Reference] {
        let out = run(&m, &inputs, implementation, 1).unwrap();
        assert!(out.iter().all(|t| t.data.is_empty() && t.shape[0] == rows as usize));
    }
}
