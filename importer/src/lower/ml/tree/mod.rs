//! Tree ensembles: tables read from attributes, laid out for the engine, leaf values made integers.

mod attributes;
mod forest;
mod layout;
mod threshold;
mod values;

use std::collections::BTreeSet;

use lockstep_engine::ops::tree::{Aggregate, TreeEnsemble};
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{Data, Tensor};

use self::forest::Forest;
use super::post::{Classes, Post, exceeds, greatest, rows, with_complement};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};
use crate::lower::{Call, Outputs, one};
use crate::slot::Slot;

/// Appends the ensemble: (rows, targets), base values added.
fn push(c: &mut Call<'_>, forest: &Forest, aggregate: Aggregate, base: &[f64]) -> Lowered<Val> {
    let x = rows(c)?;
    let Some(features) = c.b.shape(x)[1].as_known().and_then(|n| u32::try_from(n).ok()) else {
        return refuse!("the number of columns is symbolic: tree ensembles need it fixed");
    };
    let targets = base.len();
    let laid = layout::lay_out(forest)?;
    let numbers = values::quantise(&laid, base, aggregate)?;
    let i32s = |v: Vec<i32>| Tensor { shape: vec![v.len()], data: Data::I32(v) };
    let i64s = |v: Vec<i64>| Tensor { shape: vec![v.len()], data: Data::I64(v) };
    let nodes = laid.feature.len();
    let tables = [
        i32s(laid.feature),
        Tensor::vector(laid.threshold),
        Tensor { shape: vec![nodes], data: Data::U8(laid.mode) },
        Tensor { shape: vec![nodes, 2], data: Data::I32(laid.children) },
        i32s(laid.roots),
        i32s(numbers.start),
        i32s(numbers.target),
        i64s(numbers.value),
        i64s(numbers.base),
    ];
    let op = TreeEnsemble {
        targets: u32::try_from(targets).unwrap_or(u32::MAX),
        shift: numbers.shift,
        aggregate,
        total_depth: laid.total_depth,
        features,
    };
    let mut operands = vec![x];
    operands.extend(tables.into_iter().map(|t| c.b.constant(t)));
    c.b.push(op, &operands)
}

/// One base value for each target; a shorter list is none, or one for all.
fn base_of(base: &[f64], targets: usize) -> Lowered<Vec<f64>> {
    match base.len() {
        0 => Ok(vec![0.0; targets]),
        n if n == targets => Ok(base.to_vec()),
        n => refuse!("{n} base values for {targets} targets"),
    }
}

pub(super) fn regressor(c: &mut Call<'_>) -> Outputs {
    let aggregate = match c.attrs.string("aggregate_function", "SUM")?.as_str() {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => return refuse!("aggregate_function {other}"),
    };
    let post = Post::read(c)?;
    let Some(targets) = usize::try_from(c.attrs.int("n_targets", 1)?).ok().filter(|n| (1..=65_536).contains(n)) else {
        return refuse!("{} targets", c.attrs.int("n_targets", 1)?);
    };
    let (forest, base) = attributes::read(c, "target")?;
    forest.check_targets(targets)?;
    let base = base_of(&base, targets)?;
    let s = push(c, &forest, aggregate, &base)?;
    one(if targets == 1 { post.apply_to_one(s)? } else { post.apply(c, s)? })
}

pub(super) fn ensemble(c: &mut Call<'_>) -> Outputs {
    let aggregate = match c.attrs.int("aggregate_function", 1)? {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        other => return refuse!("aggregate_function {other}"),
    };
    let post = match c.attrs.int("post_transform", 0)? {
        0 => Post::None,
        1 => Post::Softmax,
        2 => Post::Logistic,
        3 => Post::SoftmaxZero,
        other => return refuse!("post_transform {other}"),
    };
    let Some(targets) = usize::try_from(c.attrs.int("n_targets", 1)?).ok().filter(|n| (1..=65_536).contains(n)) else {
        return refuse!("{} targets", c.attrs.int("n_targets", 1)?);
    };
    let forest = attributes::read_v5(c)?;
    forest.check_targets(targets)?;
    let s = push(c, &forest, aggregate, &vec![0.0; targets])?;
    one(if targets == 1 { post.apply_to_one(s)? } else { post.apply(c, s)? })
}

pub(super) fn classifier(c: &mut Call<'_>) -> Outputs {
    let classes = Classes::read(c, "classlabels_int64s", "classlabels_strings")?;
    let post = Post::read(c)?;
    let (forest, base) = attributes::read(c, "class")?;
    forest.check_targets(classes.len())?;
    let used: BTreeSet<u32> = forest.leaves.iter().flatten().map(|(t, _)| *t).collect();
    match (classes.len(), used.iter().copied().collect::<Vec<_>>().as_slice()) {
        (0 | 1, _) => refuse!("a classifier of {} classes", classes.len()),
        (2, [0]) => binary(c, &forest, &base, post, &classes),
        (2, [1]) => refuse!("two classes of which only the second has weights: ONNX leaves open what that means"),
        (2, _) => two(c, &forest, &base, post),
        _ => many(c, &forest, &base, post, &classes),
    }
}

/// Two classes, one score. Weights that are all positive are probabilities: above 1/2 is the second class,
/// and the first has the rest. Otherwise the score's sign decides.
fn binary(c: &mut Call<'_>, forest: &Forest, base: &[f64], post: Post, classes: &Classes) -> Outputs {
    let base = base_of(base, 1)?;
    let s = push(c, forest, Aggregate::Sum, &base)?;
    let probabilities = forest.leaves.iter().flatten().all(|(_, w)| *w >= 0.0);
    let index = exceeds(c, s, if probabilities { 0.5 } else { 0.0 })?;
    let out = match post {
        Post::None if probabilities => with_complement(c, s)?,
        Post::None => {
            let negated = c.b.unary(U::Neg, s)?;
            c.b.concat(&[negated, s], 1)?
        }
        Post::Logistic => {
            let negated = c.b.unary(U::Neg, s)?;
            let both = c.b.concat(&[negated, s], 1)?;
            post.apply(c, both)?
        }
        other => return refuse!("post_transform {other:?} of a single score: ONNX and its runtimes disagree on it"),
    };
    let label = classes.label(c, index)?;
    Ok(vec![label, Slot::Tensor(out)])
}

/// Two classes with scores of their own. Runtimes decide by the sign of the second alone, ONNX by the greater:
/// the label is refused, where it is taken.
fn two(c: &mut Call<'_>, forest: &Forest, base: &[f64], post: Post) -> Outputs {
    if !base.is_empty() {
        return refuse!("base values of two classes that both have weights: ONNX leaves open what they mean");
    }
    if !forest.covers(1) {
        return refuse!("a leaf without a weight for the second of two classes: ONNX leaves open what that means");
    }
    let s = push(c, forest, Aggregate::Sum, &[0.0; 2])?;
    let out = post.apply(c, s)?;
    let label =
        Refusal::new("the label of two classes that both have weights: onnxruntime and ONNX decide differently")
            .advice("export with weights for one class only, as skl2onnx does, or take the probabilities");
    Ok(vec![Slot::Refused(Box::new(label)), Slot::Tensor(out)])
}

fn many(c: &mut Call<'_>, forest: &Forest, base: &[f64], post: Post, classes: &Classes) -> Outputs {
    let n = classes.len();
    // A class that no leaf on a row's way mentions takes no part in the decision, but has the score 0.
    let decided = !base.is_empty()
        || (0..n as u32).all(|k| forest.covers(k))
        || forest.leaves.iter().flatten().all(|(_, w)| *w > 0.0);
    let base = base_of(base, n)?;
    let s = push(c, forest, Aggregate::Sum, &base)?;
    let label = if decided {
        let index = greatest(c, s)?;
        classes.label(c, index)?
    } else {
        Slot::refused(
            "a class without weights in some leaves, and negative weights in others: the label is not defined",
        )
    };
    let out = post.apply(c, s)?;
    Ok(vec![label, Slot::Tensor(out)])
}
