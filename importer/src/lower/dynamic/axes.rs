//! Axes from data: which sets of axes give the declared shape, and which of them the argument names.

use lockstep_engine::Dim;
use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::require::Requirement;

use super::{counts, hits};
use crate::build::Val;
use crate::error::{Lowered, refuse};
use crate::lower::{Call, Outputs, one};

/// Sets of axes among which a call may choose: each is computed.
const MAX_CHOICES: usize = 8;

/// Whether a dimension fits a declared one, which may be open.
fn fits(d: &Dim, declared: &Option<Dim>) -> bool {
    declared.as_ref().is_none_or(|x| x == d)
}

/// The sets of `n` of `rank` axes of which this holds, ascending.
fn sets(rank: usize, n: usize, fits: impl Fn(&[usize]) -> bool) -> Vec<Vec<usize>> {
    (0..1u32 << rank.min(16))
        .filter(|m| m.count_ones() as usize == n)
        .map(|m| (0..rank).filter(|a| m >> a & 1 == 1).collect::<Vec<_>>())
        .filter(|s| fits(s))
        .collect()
}

/// For each set whether operand `i`, `n` axes of `rank`, names it and no axis twice: bool scalars.
fn named(c: &mut Call<'_>, axes: Val, n: usize, rank: usize, sets: &[Vec<usize>]) -> Lowered<Vec<Val>> {
    let hits = hits(c.b, axes, n, rank)?;
    let counts = counts(c.b, hits)?;
    sets.iter()
        .map(|s| {
            let mask = c.b.vector_i64((0..rank).map(|a| i64::from(s.contains(&a))).collect());
            let equal = c.b.compare(K::Equal, counts, mask)?;
            c.b.all_true(equal)
        })
        .collect()
}

fn any(c: &mut Call<'_>, conditions: &[Val]) -> Lowered<Val> {
    let Some((first, rest)) = conditions.split_first() else { return refuse!("no axes give the declared shape") };
    rest.iter().try_fold(*first, |a, b| c.b.binary(B::Or, a, *b))
}

/// A reduction over axes from data: over each set that gives the declared shape; the argument chooses.
pub(crate) fn reduce(
    c: &mut Call<'_>,
    x: Val,
    keep: bool,
    over: impl Fn(&mut Call<'_>, &[usize]) -> Lowered<Val>,
) -> Outputs {
    let (axes, n) = c.vector(1)?;
    let (shape, declared) = (c.b.shape(x), c.declared(0)?);
    let left = |set: &[usize]| -> Vec<Dim> {
        let each = shape.iter().enumerate().filter(|(a, _)| keep || !set.contains(a));
        each.map(|(a, d)| if set.contains(&a) { Dim::Known(1) } else { d.clone() }).collect()
    };
    let sets = sets(shape.len(), n, |s| {
        let left = left(s);
        left.len() == declared.len() && left.iter().zip(&declared).all(|(d, x)| fits(d, x))
    });
    if sets.len() > MAX_CHOICES || sets.iter().any(|s| left(s) != left(&sets[0])) {
        return refuse!("{} choices of axes give the declared shape, {MAX_CHOICES} are supported", sets.len());
    }
    let named = named(c, axes, n, shape.len(), &sets)?;
    let any = any(c, &named)?;
    let mut out = over(c, &sets[0])?;
    for (set, is) in sets.iter().zip(&named).skip(1) {
        let other = over(c, set)?;
        out = c.b.select(*is, other, out)?;
    }
    one(c.b.require(out, &[any], Requirement::Argument)?)
}

/// The declared shape, where some set of axes gives it; which one does not matter to the elements.
fn reshaped(c: &mut Call<'_>, x: Val, rank: usize, shape: &[Dim], gives: impl Fn(&[usize]) -> bool) -> Lowered<Val> {
    let (axes, n) = c.vector(1)?;
    let sets = sets(rank, n, gives);
    let named = named(c, axes, n, rank, &sets)?;
    let any = any(c, &named)?;
    let x = c.b.require(x, &[any], Requirement::Argument)?;
    c.b.reshape(x, shape)
}

pub(crate) fn squeeze(c: &mut Call<'_>, x: Val) -> Lowered<Val> {
    let (before, declared) = (c.b.shape(x), c.declared(0)?);
    let left = |set: &[usize]| -> Vec<Dim> {
        before.iter().enumerate().filter(|(a, _)| !set.contains(a)).map(|(_, d)| d.clone()).collect()
    };
    let gives = |set: &[usize]| {
        let left = left(set);
        set.iter().all(|a| before[*a] == Dim::Known(1))
            && left.len() == declared.len()
            && left.iter().zip(&declared).all(|(d, x)| fits(d, x))
    };
    let n = before.len().saturating_sub(declared.len());
    let Some(shape) = sets(before.len(), n, gives).first().map(|s| left(s)) else {
        return refuse!("no axes give the declared shape");
    };
    reshaped(c, x, before.len(), &shape, |s| gives(s) && left(s) == shape)
}

pub(crate) fn unsqueeze(c: &mut Call<'_>, x: Val) -> Lowered<Val> {
    let (before, declared) = (c.b.shape(x), c.declared_fully(0)?);
    let gives = |set: &[usize]| {
        let others: Vec<&Dim> = (0..declared.len()).filter(|a| !set.contains(a)).map(|a| &declared[a]).collect();
        set.iter().all(|a| declared[*a] == Dim::Known(1)) && others.into_iter().eq(before.iter())
    };
    reshaped(c, x, declared.len(), &declared, gives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_axes_in_order() {
        assert_eq!(sets(3, 2, |_| true), [[0, 1], [0, 2], [1, 2]]);
        assert_eq!(sets(3, 1, |s| s[0] != 1), [[0], [2]]);
        assert_eq!(sets(2, 0, |_| true), [[0usize; 0]]);
        assert!(sets(2, 3, |_| true).is_empty());
    }
}
