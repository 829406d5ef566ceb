//! Shape rules are total: for any attributes and operand types an operator answers or refuses, and what it
//! accepts at known dimensions its reference computes, in the shape that was promised.

use lockstep_engine::dim::Bindings;
use lockstep_engine::ops::{
    Op, arg_reduce::ArgReduce, bit_cast::BitCast, cumulate::Cumulate, cumulate::CumulateKind, expand::Expand,
    gather::Gather, gather_elements::GatherElements, gather_nd::GatherND, pad::Pad, pad::PadMode, reduce::Reduce,
    reduce::ReduceKind, require::Require, require::Requirement, scatter::ScatterElements, scatter::ScatterKind,
    scatter::ScatterND, slice::Slice, softmax::Softmax, top_k::TopK, tree::Aggregate, tree::TreeEnsemble,
};
use lockstep_engine::{DType, Data, Dim, Tensor, TensorType};
use proptest::collection::vec;
use proptest::prelude::*;

/// Dimensions that reach every bound: symbols, polynomials, numbers whose products overflow.
fn any_dim() -> impl Strategy<Value = Dim> {
    let edge = prop::sample::select(std::vec![u64::MAX, 1 << 63, u64::from(u32::MAX), 1 << 32, 0, 1]);
    let symbol = (0u16..3).prop_map(Dim::symbol);
    let polynomial = (0u16..3, 0u16..3, any::<i64>(), 1u64..9).prop_map(|(a, b, n, d)| {
        let product = Dim::symbol(a).mul(&Dim::symbol(b));
        product.and_then(|p| p.offset(n)).and_then(|p| p.floor_div(d)).unwrap_or(Dim::Known(7))
    });
    prop_oneof![4 => (0u64..5).prop_map(Dim::Known), 1 => edge.prop_map(Dim::Known), 1 => symbol, 1 => polynomial]
}

fn small_dim() -> impl Strategy<Value = Dim> {
    (0u64..5).prop_map(Dim::Known)
}

/// With a zero beside them, lengths whose product no integer holds still make an empty tensor.
fn long_dim() -> impl Strategy<Value = Dim> {
    prop::sample::select(std::vec![0, 0, 0, 1, 2, 1 << 20, u64::from(u32::MAX), 1 << 40]).prop_map(Dim::Known)
}

fn any_dtype() -> impl Strategy<Value = DType> {
    prop::sample::select(DType::ALL.to_vec())
}

fn any_type(dim: BoxedStrategy<Dim>) -> BoxedStrategy<TensorType> {
    let rank = prop_oneof![4 => 0usize..4, 1 => 4usize..10];
    let dtype = prop_oneof![any_dtype(), Just(DType::F32)];
    (dtype, rank.prop_flat_map(move |r| vec(dim.clone(), r)))
        .prop_map(|(dtype, shape)| TensorType::new(dtype, shape))
        .boxed()
}

fn any_u64() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0u64..4, 1 => any::<u64>()]
}

fn any_u32() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 0u32..4, 1 => any::<u32>()]
}

fn any_step() -> impl Strategy<Value = i64> {
    prop_oneof![6 => -2i64..3, 1 => any::<i64>()]
}

/// One that checks, picks, updates, orders or runs along.
fn any_selection(dim: BoxedStrategy<Dim>) -> BoxedStrategy<Op> {
    let axis = || prop_oneof![6 => 0u8..3, 1 => any::<u8>()];
    let kind = || prop::sample::select(ScatterKind::ALL.to_vec());
    let running = prop::sample::select(CumulateKind::ALL.to_vec());
    prop_oneof![
        Just(Require { what: Requirement::Argument }.into()),
        axis().prop_map(|axis| GatherElements { axis }.into()),
        axis().prop_map(|batch_dims| GatherND { batch_dims }.into()),
        (axis(), kind()).prop_map(|(axis, kind)| ScatterElements { axis, kind }.into()),
        kind().prop_map(|kind| ScatterND { kind }.into()),
        (axis(), dim, any::<bool>()).prop_map(|(axis, k, greatest)| TopK { axis, k, greatest }.into()),
        (running, axis(), any::<bool>(), any::<bool>()).prop_map(|(kind, axis, exclusive, reverse)| Cumulate {
            kind,
            axis,
            exclusive,
            reverse
        }
        .into()),
        any_dtype().prop_map(|to| BitCast { to }.into()),
    ]
    .boxed()
}

/// An operator of these families, its attributes about fitting operands of this rank.
fn any_op(rank: usize, dim: BoxedStrategy<Dim>) -> BoxedStrategy<Op> {
    let axis = || prop_oneof![6 => 0u8..3, 1 => any::<u8>()];
    let lengths = prop_oneof![6 => Just(rank), 1 => 0usize..10];
    let kinds = prop::sample::select(ReduceKind::ALL.to_vec());
    let modes = prop::sample::select(PadMode::ALL.to_vec());
    let aggregates = prop::sample::select(Aggregate::ALL.to_vec());
    let d = dim.clone();
    prop_oneof![
        any_selection(dim.clone()),
        any_selection(dim.clone()),
        any_selection(dim.clone()),
        (kinds, prop::collection::btree_set(axis(), 0..4), any::<bool>()).prop_map(|(kind, axes, keep_dims)| {
            Reduce { kind, axes: axes.into_iter().collect(), keep_dims }.into()
        }),
        (vec(axis(), 0..3)).prop_map(|axes| Reduce { kind: ReduceKind::Max, axes, keep_dims: true }.into()),
        (any::<bool>(), axis(), any::<bool>(), any::<bool>()).prop_map(|(greatest, axis, keep_dims, last)| ArgReduce {
            greatest,
            axis,
            keep_dims,
            last
        }
        .into()),
        (axis(), any::<bool>()).prop_map(|(axis, log)| Softmax { axis, log }.into()),
        lengths
            .clone()
            .prop_flat_map(move |n| (vec(any_u64(), n), vec(any_step(), n), vec(d.clone(), n)))
            .prop_map(|(start, step, size)| Slice { start, step, size }.into()),
        axis().prop_map(|axis| Gather { axis }.into()),
        vec(dim, 0..10).prop_map(|shape| Expand { shape }.into()),
        (modes, lengths)
            .prop_flat_map(|(mode, n)| (Just(mode), vec(any_u32(), n), vec(any_u32(), n)))
            .prop_map(|(mode, begin, end)| Pad { mode, begin, end }.into()),
        (any_u32(), any::<u8>(), aggregates, any::<u32>(), any_u32()).prop_map(
            |(targets, shift, aggregate, total_depth, features)| {
                TreeEnsemble { targets, shift, aggregate, total_depth, features }.into()
            }
        ),
    ]
    .boxed()
}

type Case = (Op, Vec<Option<TensorType>>);

fn any_case(dim: BoxedStrategy<Dim>) -> impl Strategy<Value = Case> {
    any_type(dim.clone()).prop_flat_map(move |x| {
        let others = vec(prop::option::weighted(0.9, any_type(dim.clone())), 0..3);
        (any_op(x.rank(), dim.clone()), others).prop_map(move |(op, others)| {
            let mut operands = vec![Some(x.clone())];
            operands.extend(others);
            (op, operands)
        })
    })
}

/// Ensembles whose tables have types and lengths that mostly fit, and values that mostly do not.
fn any_ensemble() -> impl Strategy<Value = Case> {
    let aggregates = prop::sample::select(Aggregate::ALL.to_vec());
    (0usize..3, 1usize..3, 0usize..3, 1usize..3, 1usize..3, 0usize..3, 0u8..64, aggregates).prop_map(
        |(rows, features, nodes, trees, starts, entries, shift, aggregate)| {
            let table = |t, shape: &[usize]| Some(TensorType::known(t, shape));
            let operands = vec![
                table(DType::F32, &[rows, features]),
                table(DType::I32, &[nodes]),
                table(DType::F32, &[nodes]),
                table(DType::U8, &[nodes]),
                table(DType::I32, &[nodes, 2]),
                table(DType::I32, &[trees]),
                table(DType::I32, &[starts]),
                table(DType::I32, &[entries]),
                table(DType::I64, &[entries]),
                table(DType::I64, &[2]),
            ];
            (TreeEnsemble { targets: 2, shift, aggregate, total_depth: 1, features: features as u32 }.into(), operands)
        },
    )
}

/// Infers at load and in a call; what is accepted gets its work counted.
fn infer(op: &Op, operands: &[Option<TensorType>], symbols: &[Option<u64>]) -> Option<Vec<TensorType>> {
    let operands: Vec<Option<&TensorType>> = operands.iter().map(Option::as_ref).collect();
    let definition = op.definition();
    let _ = definition.infer(&operands, &Bindings::SYMBOLIC);
    let outputs = definition.infer(&operands, &Bindings::of(symbols)).ok()?;
    let _ = (definition.work(&operands, &outputs), definition.scratch(&operands, &outputs));
    Some(outputs)
}

/// A tensor whose elements are small numbers, some negative.
fn filled(t: &TensorType, seed: i64) -> Option<Tensor> {
    let shape = t.dims().ok()?;
    let n = t.elements()? as usize;
    let value = |i: usize| (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i as i64 * 7)).rem_euclid(7) - 3;
    let data = match t.dtype {
        DType::F32 => Data::F32((0..n).map(|i| value(i) as f32).collect()),
        DType::U8 => Data::U8((0..n).map(|i| value(i) as u8).collect()),
        DType::I8 => Data::I8((0..n).map(|i| value(i) as i8).collect()),
        DType::I32 => Data::I32((0..n).map(|i| value(i) as i32).collect()),
        DType::I64 => Data::I64((0..n).map(value).collect()),
        DType::Bool => Data::Bool((0..n).map(|i| value(i) > 0).collect()),
    };
    Tensor::new(shape, data)
}

fn run(op: &Op, operands: &[Option<TensorType>], seed: i64) -> Result<(), TestCaseError> {
    let Some(outputs) = infer(op, operands, &[]) else { return Ok(()) };
    // A plan refuses what exceeds its memory before anything runs.
    if operands.iter().flatten().chain(&outputs).any(|t| t.elements().is_none_or(|n| n > 1 << 16)) {
        return Ok(());
    }
    let tensors: Vec<Option<Tensor>> = operands.iter().map(|t| filled(t.as_ref()?, seed)).collect();
    let tensors: Vec<Option<&Tensor>> = tensors.iter().map(Option::as_ref).collect();
    let _ = op.definition().check_constants(&tensors);
    if let Ok(result) = op.definition().reference(&tensors, &outputs) {
        for y in result {
            prop_assert_eq!(&y.ty(), &outputs[0]);
            prop_assert_eq!(Some(y.data.len() as u64), outputs[0].elements());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn inference_answers_or_refuses((op, operands) in any_case(any_dim().boxed()), a: u64, b in 0u64..9) {
        infer(&op, &operands, &[Some(a), Some(b), None]);
        infer(&op, &operands, &[Some(b), Some(b), Some(b)]);
    }

    #[test]
    fn what_is_accepted_computes((op, operands) in any_case(small_dim().boxed()), seed: i64) {
        run(&op, &operands, seed)?;
    }

    #[test]
    fn empty_tensors_with_long_axes_compute((op, operands) in any_case(long_dim().boxed()), seed: i64) {
        run(&op, &operands, seed)?;
    }

    #[test]
    fn unchecked_trees_do_not_panic((op, operands) in any_ensemble(), seed: i64) {
        run(&op, &operands, seed)?;
    }
}
