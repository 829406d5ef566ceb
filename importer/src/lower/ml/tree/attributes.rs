//! From attributes to a [`Forest`]: the lists of operator set 1 and 3, the tables of operator set 5.

use std::collections::HashMap;

use lockstep_engine::Data;
use lockstep_engine::ops::tree::Branch;

use super::forest::{Child, Forest, Split};
use crate::error::{Lowered, Refusal, refuse};
use crate::lower::Call;
use crate::slot::{ForeignData, Slot};

/// Numbers from a list of f32, or from a tensor of f32 or f64; as f64, which holds both.
fn numbers(c: &mut Call<'_>, list: &str, tensor: &str) -> Lowered<Vec<f64>> {
    if let Some(v) = c.attrs.floats(list)?
        && !v.is_empty()
    {
        if c.attrs.has(tensor) {
            return refuse!("both {list} and {tensor}");
        }
        return Ok(v.iter().map(|x| f64::from(*x)).collect());
    }
    match c.attrs.tensor(tensor)? {
        None => Ok(Vec::new()),
        Some(t) => tensor_numbers(c, t, tensor),
    }
}

fn tensor_numbers(c: &mut Call<'_>, t: &crate::proto::TensorProto, name: &str) -> Lowered<Vec<f64>> {
    match c.tensor(t)? {
        Slot::Foreign(f) => match &f.data {
            ForeignData::Float(v) => Ok(v.clone()),
            ForeignData::Integer(_) => refuse!("{name} of {}", f.type_name()),
        },
        Slot::Tensor(v) => match c.b.as_constant(v).map(|t| t.data.clone()) {
            Some(Data::F32(v)) => Ok(v.into_iter().map(f64::from).collect()),
            _ => refuse!("{name} of {}", c.b.dtype(v)),
        },
        _ => refuse!("{name} of strings"),
    }
}

fn branch(mode: &str) -> Lowered<Option<Branch>> {
    Ok(Some(match mode {
        "BRANCH_LEQ" => Branch::LessOrEqual,
        "BRANCH_LT" => Branch::Less,
        "BRANCH_GTE" => Branch::GreaterOrEqual,
        "BRANCH_GT" => Branch::Greater,
        "BRANCH_EQ" => Branch::Equal,
        "BRANCH_NEQ" => Branch::NotEqual,
        "LEAF" => return Ok(None),
        other => return refuse!("node mode {other}"),
    }))
}

fn feature(id: i64) -> Lowered<i32> {
    i32::try_from(id).ok().filter(|f| *f >= 0).ok_or_else(|| Refusal::new(format!("feature {id}")))
}

/// The trees and base values of TreeEnsembleClassifier (`class`) and TreeEnsembleRegressor (`target`).
pub(super) fn read(c: &mut Call<'_>, what: &str) -> Lowered<(Forest, Vec<f64>)> {
    c.attrs.ignore(&["nodes_hitrates", "nodes_hitrates_as_tensor"]);
    let ints = |c: &Call<'_>, name: &str| c.attrs.ints(name).map(|v| v.unwrap_or_default().to_vec());
    let (trees, ids) = (ints(c, "nodes_treeids")?, ints(c, "nodes_nodeids")?);
    let (features, on_true, on_false) =
        (ints(c, "nodes_featureids")?, ints(c, "nodes_truenodeids")?, ints(c, "nodes_falsenodeids")?);
    let missing = ints(c, "nodes_missing_value_tracks_true")?;
    let modes = c.attrs.strings("nodes_modes")?.unwrap_or_default();
    let thresholds = numbers(c, "nodes_values", "nodes_values_as_tensor")?;
    let n = ids.len();
    let lengths = [trees.len(), features.len(), on_true.len(), on_false.len(), modes.len(), thresholds.len()];
    if n == 0 || lengths != [n; 6] || !(missing.is_empty() || missing.len() == n) {
        return refuse!("{n} nodes, the lists have lengths {lengths:?} and {}", missing.len());
    }
    let modes = modes.iter().map(|m| branch(m)).collect::<Lowered<Vec<_>>>()?;

    // Numbers within the ensemble, by tree and node id.
    let mut place: HashMap<(i64, i64), Child> = HashMap::with_capacity(n);
    let (mut splits, mut leaves) = (0, 0);
    for i in 0..n {
        let child = if modes[i].is_some() {
            splits += 1;
            Child::Split(splits - 1)
        } else {
            leaves += 1;
            Child::Leaf(leaves - 1)
        };
        if place.insert((trees[i], ids[i]), child).is_some() {
            return refuse!("tree {} has node {} twice", trees[i], ids[i]);
        }
    }
    let mut forest = Forest { leaves: vec![Vec::new(); leaves], ..Forest::default() };
    let mut is_child: HashMap<(i64, i64), ()> = HashMap::new();
    for i in 0..n {
        let Some(branch) = modes[i] else { continue };
        let mut child = |id: i64| {
            is_child.insert((trees[i], id), ());
            place.get(&(trees[i], id)).copied().ok_or_else(|| {
                Refusal::new(format!("tree {}: node {} leads to node {id}, which does not exist", trees[i], ids[i]))
            })
        };
        let (on_true, on_false) = (child(on_true[i])?, child(on_false[i])?);
        forest.splits.push(Split {
            feature: feature(features[i])?,
            branch,
            threshold: thresholds[i],
            missing: missing.get(i).is_some_and(|m| *m != 0),
            on_true,
            on_false,
        });
    }
    let mut last_root = None;
    for i in 0..n {
        let key = (trees[i], ids[i]);
        if is_child.contains_key(&key) {
            continue;
        }
        if last_root == Some(trees[i]) {
            return refuse!("tree {} has two roots", trees[i]);
        }
        last_root = Some(trees[i]);
        forest.roots.extend(place.get(&key));
    }

    let weights = numbers(c, &format!("{what}_weights"), &format!("{what}_weights_as_tensor"))?;
    let (w_trees, w_ids, w_targets) =
        (ints(c, &format!("{what}_treeids"))?, ints(c, &format!("{what}_nodeids"))?, ints(c, &format!("{what}_ids"))?);
    if [w_trees.len(), w_ids.len(), w_targets.len()] != [weights.len(); 3] {
        return refuse!(
            "{} weights, {} trees, {} nodes, {} ids",
            weights.len(),
            w_trees.len(),
            w_ids.len(),
            w_targets.len()
        );
    }
    for i in 0..weights.len() {
        let Some(Child::Leaf(leaf)) = place.get(&(w_trees[i], w_ids[i])) else {
            return refuse!("a weight of tree {}, node {}, which is no leaf", w_trees[i], w_ids[i]);
        };
        let target = u32::try_from(w_targets[i]).map_err(|_| Refusal::new(format!("a weight for {}", w_targets[i])))?;
        forest.leaves[*leaf].push((target, weights[i]));
    }
    let base = numbers(c, "base_values", "base_values_as_tensor")?;
    Ok((forest, base))
}

/// ONNX's mode of a node that decides by membership in a set.
const MEMBER: u8 = 6;

/// The sets, in the order of their nodes; in the file a NaN ends each.
fn members(c: &mut Call<'_>) -> Lowered<Vec<Vec<f64>>> {
    let Some(t) = c.attrs.tensor("membership_values")? else { return Ok(Vec::new()) };
    let values = tensor_numbers(c, t, "membership_values")?;
    let mut sets: Vec<Vec<f64>> = values.split(|v| v.is_nan()).map(<[f64]>::to_vec).collect();
    // What follows the last NaN is no set of its own.
    if sets.last().is_some_and(Vec::is_empty) {
        sets.pop();
    }
    Ok(sets)
}

/// The trees of TreeEnsemble (operator set 5).
pub(super) fn read_v5(c: &mut Call<'_>) -> Lowered<Forest> {
    c.attrs.ignore(&["nodes_hitrates"]);
    let ints = |c: &Call<'_>, name: &str| c.attrs.ints(name).map(|v| v.unwrap_or_default().to_vec());
    let (features, on_true, on_false) =
        (ints(c, "nodes_featureids")?, ints(c, "nodes_truenodeids")?, ints(c, "nodes_falsenodeids")?);
    let (true_leaf, false_leaf) = (ints(c, "nodes_trueleafs")?, ints(c, "nodes_falseleafs")?);
    let missing = ints(c, "nodes_missing_value_tracks_true")?;
    let table = |c: &mut Call<'_>, name: &str| match c.attrs.tensor(name)? {
        Some(t) => tensor_numbers(c, t, name),
        None => refuse!("no {name}"),
    };
    let thresholds = table(c, "nodes_splits")?;
    let weights = table(c, "leaf_weights")?;
    let modes = match c.attrs.tensor("nodes_modes")? {
        Some(t) => match c.tensor(t)? {
            Slot::Tensor(v) => match c.b.as_constant(v).map(|t| t.data.clone()) {
                Some(Data::U8(m)) => m,
                _ => return refuse!("nodes_modes of {}", c.b.dtype(v)),
            },
            _ => return refuse!("nodes_modes of a type other than uint8"),
        },
        None => return refuse!("no nodes_modes"),
    };
    let n = features.len();
    let lengths = [on_true.len(), on_false.len(), true_leaf.len(), false_leaf.len(), thresholds.len(), modes.len()];
    if lengths != [n; 6] || !(missing.is_empty() || missing.len() == n) {
        return refuse!("{n} nodes, the lists have lengths {lengths:?} and {}", missing.len());
    }
    let targets = ints(c, "leaf_targetids")?;
    if targets.len() != weights.len() {
        return refuse!("{} leaf weights and {} targets", weights.len(), targets.len());
    }
    let mut forest = Forest::default();
    for (t, w) in targets.iter().zip(&weights) {
        let target = u32::try_from(*t).map_err(|_| Refusal::new(format!("a leaf of target {t}")))?;
        forest.leaves.push(vec![(target, *w)]);
    }
    let leaves = forest.leaves.len();
    let child = |id: i64, leaf: i64| match (usize::try_from(id), leaf) {
        (Ok(id), 0) if id < n => Ok(Child::Split(id)),
        (Ok(id), 1) if id < leaves => Ok(Child::Leaf(id)),
        _ => refuse!("a node leads to {id}, which does not exist"),
    };
    let mut members = members(c)?.into_iter();
    // Decisions after the first of each set; they follow the file's own nodes.
    let mut rest: Vec<Split> = Vec::new();
    for i in 0..n {
        let (on_true, on_false) = (child(on_true[i], true_leaf[i])?, child(on_false[i], false_leaf[i])?);
        let split = Split {
            feature: feature(features[i])?,
            branch: Branch::Equal,
            threshold: thresholds[i],
            missing: missing.get(i).is_some_and(|m| *m != 0),
            on_true,
            on_false,
        };
        if modes[i] != MEMBER {
            let Some(branch) = Branch::ALL.iter().copied().find(|b| *b as u8 == modes[i]) else {
                return refuse!("node mode {}", modes[i]);
            };
            forest.splits.push(Split { branch, ..split });
            continue;
        }
        // x in {a, b, c}: x = a, or x = b, or x = c; the first says where a NaN goes.
        let Some((first, others)) =
            members.next().as_deref().and_then(|s: &[f64]| s.split_first().map(|(f, o)| (*f, o.to_vec())))
        else {
            return refuse!("node {i} decides by membership in a set that is missing or empty");
        };
        let mut chain = vec![Split { threshold: first, ..split }];
        chain.extend(others.iter().map(|v| Split { threshold: *v, missing: false, ..split }));
        for k in 1..chain.len() {
            chain[k - 1].on_false = Child::Split(n + rest.len() + k - 1);
        }
        forest.splits.push(chain[0]);
        rest.extend_from_slice(&chain[1..]);
    }
    if members.next().is_some() {
        return refuse!("membership_values has more sets than there are nodes that decide by one");
    }
    forest.splits.append(&mut rest);
    for root in ints(c, "tree_roots")? {
        match usize::try_from(root) {
            Ok(r) if r < n => forest.roots.push(Child::Split(r)),
            _ => return refuse!("tree root {root}"),
        }
    }
    Ok(forest)
}
