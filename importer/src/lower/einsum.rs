//! ONNX Einsum: operands joined from the left, two at a time, each join one MatMul.

use lockstep_engine::Dim;
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::ops::reduce::ReduceKind as R;

use super::{Call, Outputs, one, product};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};

/// An index: a letter, or the k-th dimension (from the last) that an ellipsis stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Index {
    Ellipsis(usize),
    Letter(char),
}

/// A tensor and what its axes are called.
#[derive(Debug, Clone)]
struct Term {
    x: Val,
    indices: Vec<Index>,
}

/// The indices of one side of a term; `rank` tells how many an ellipsis stands for.
fn indices(term: &str, ellipsis: usize) -> Lowered<Vec<Index>> {
    let mut out = Vec::new();
    let mut rest = term;
    while let Some(letter) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("...") {
            if out.iter().any(|i| matches!(i, Index::Ellipsis(_))) {
                return refuse!("two ellipses in '{term}'");
            }
            out.extend((0..ellipsis).rev().map(Index::Ellipsis));
            rest = behind;
        } else if letter.is_ascii_alphabetic() {
            out.push(Index::Letter(letter));
            rest = &rest[1..];
        } else {
            return refuse!("'{letter}' in an equation");
        }
    }
    Ok(out)
}

pub(super) fn einsum(c: &mut Call<'_>) -> Outputs {
    let equation: String = c.attrs.string("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match equation.split_once("->") {
        Some((l, r)) => (l.to_owned(), Some(r.to_owned())),
        None => (equation, None),
    };
    let sides: Vec<&str> = left.split(',').collect();
    if sides.len() != c.inputs.len() {
        return refuse!("an equation of {} terms for {} operands", sides.len(), c.inputs.len());
    }
    let mut terms = Vec::new();
    let mut broadcast = 0;
    for (i, side) in sides.iter().enumerate() {
        let x = c.f32(i)?;
        let rank = c.b.rank(x);
        let letters = side.chars().filter(char::is_ascii_alphabetic).count();
        let Some(ellipsis) = rank.checked_sub(letters).filter(|n| *n == 0 || side.contains("...")) else {
            return refuse!("the term '{side}' for an operand of rank {rank}");
        };
        broadcast = broadcast.max(ellipsis);
        let indices = indices(side, ellipsis)?;
        terms.push(diagonal(c, Term { x, indices })?);
    }
    let output = match right {
        Some(r) => indices(&r, broadcast)?,
        None => {
            // Every ellipsis, then the letters that stand once, in their order.
            let all: Vec<char> = left.chars().filter(char::is_ascii_alphabetic).collect();
            let mut once: Vec<char> =
                all.iter().filter(|l| all.iter().filter(|m| m == l).count() == 1).copied().collect();
            once.sort_unstable();
            (0..broadcast).rev().map(Index::Ellipsis).chain(once.into_iter().map(Index::Letter)).collect()
        }
    };
    let known = |i: &Index| terms.iter().any(|t| t.indices.contains(i));
    if let Some(bad) = output.iter().enumerate().find(|(k, i)| !known(i) || output[..*k].contains(i)) {
        return refuse!("the result's index {:?} stands in no term, or twice", bad.1);
    }
    let mut rest = terms.into_iter();
    let Some(mut total) = rest.next() else { return refuse!("no operand") };
    let mut rest: Vec<Term> = rest.collect();
    while !rest.is_empty() {
        let next = rest.remove(0);
        let later: Vec<Index> = rest.iter().flat_map(|t| t.indices.clone()).chain(output.iter().copied()).collect();
        total = join(c, total, next, &later)?;
    }
    let total = summed(c, total, &output)?;
    let perm = output.iter().map(|i| total.indices.iter().position(|t| t == i));
    let Some(perm) = perm.collect::<Option<Vec<usize>>>() else { return refuse!("internal: an index is lost") };
    one(c.b.transpose(total.x, &perm)?)
}

/// An index that stands twice in a term takes the diagonal.
fn diagonal(c: &mut Call<'_>, mut t: Term) -> Lowered<Term> {
    loop {
        let again = |k: usize| t.indices[..k].iter().position(|i| *i == t.indices[k]);
        let Some((a, b)) = (0..t.indices.len()).find_map(|k| Some((again(k)?, k))) else { return Ok(t) };
        let shape = c.b.shape(t.x);
        let n = match (&shape[a], &shape[b]) {
            (Dim::Known(x), Dim::Known(y)) if x == y && *x > 0 && *x < 1 << 20 => *x,
            _ => return refuse!("a diagonal of dimensions that are symbolic or differ"),
        };
        // Both axes last, as one: its elements n + 1 apart.
        let mut perm: Vec<usize> = (0..shape.len()).filter(|i| *i != a && *i != b).collect();
        let mut result: Vec<Dim> = perm.iter().map(|i| shape[*i].clone()).collect();
        let mut indices: Vec<Index> = perm.iter().map(|i| t.indices[*i]).collect();
        indices.push(t.indices[a]);
        perm.extend([a, b]);
        let x = c.b.transpose(t.x, &perm)?;
        result.push(Dim::Known(n * n));
        let x = c.b.reshape(x, &result)?;
        let x = c.b.slice_axis(x, result.len() - 1, 0, n as i64 + 1, Dim::Known(n))?;
        t = Term { x, indices };
    }
}

/// Sums over the indices that nothing else needs.
fn summed(c: &mut Call<'_>, t: Term, needed: &[Index]) -> Lowered<Term> {
    let gone: Vec<usize> = (0..t.indices.len()).filter(|k| !needed.contains(&t.indices[*k])).collect();
    if gone.is_empty() {
        return Ok(t);
    }
    let x = c.b.reduce(R::Sum, t.x, &gone, false)?;
    Ok(Term { x, indices: t.indices.into_iter().filter(|i| needed.contains(i)).collect() })
}

/// The size of an index, where dimensions of 1 repeat.
fn size(c: &Call<'_>, terms: [&Term; 2], i: Index) -> Lowered<Dim> {
    let mut found: Option<Dim> = None;
    for t in terms {
        let Some(k) = t.indices.iter().position(|x| *x == i) else { continue };
        let d = c.b.shape(t.x)[k].clone();
        found = Some(match found {
            None | Some(Dim::Known(1)) => d,
            Some(f) if f == d || d == Dim::Known(1) => f,
            Some(f) => return refuse!("an index of {f:?} and of {d:?}"),
        });
    }
    found.ok_or_else(|| Refusal::new("internal: an index without a size"))
}

/// Two terms as one: shared indices that are needed later are a batch, the other shared ones are summed, row-major
/// in the order in which the first term has them.
fn join(c: &mut Call<'_>, a: Term, b: Term, later: &[Index]) -> Lowered<Term> {
    let of_b: Vec<Index> = later.iter().chain(&b.indices).copied().collect();
    let of_a: Vec<Index> = later.iter().chain(&a.indices).copied().collect();
    let (a, b) = (summed(c, a, &of_b)?, summed(c, b, &of_a)?);
    let shared = |i: &&Index| b.indices.contains(i);
    let batch: Vec<Index> = a.indices.iter().filter(shared).filter(|i| later.contains(i)).copied().collect();
    let inner: Vec<Index> = a.indices.iter().filter(shared).filter(|i| !later.contains(i)).copied().collect();
    let rows: Vec<Index> = a.indices.iter().filter(|i| !b.indices.contains(i)).copied().collect();
    let columns: Vec<Index> = b.indices.iter().filter(|i| !a.indices.contains(i)).copied().collect();
    let dims = |group: &[Index]| group.iter().map(|i| size(c, [&a, &b], *i)).collect::<Lowered<Vec<Dim>>>();
    let [db, dk, dm, dn] = [dims(&batch)?, dims(&inner)?, dims(&rows)?, dims(&columns)?];
    let flat = [product(&db)?, product(&dk)?, product(&dm)?, product(&dn)?];
    let left = arranged(c, &a, [&batch, &rows, &inner], [&db, &dm, &dk])?;
    let left = c.b.reshape(left, &[flat[0].clone(), flat[2].clone(), flat[1].clone()])?;
    let right = arranged(c, &b, [&batch, &inner, &columns], [&db, &dk, &dn])?;
    let right = c.b.reshape(right, &[flat[0].clone(), flat[1].clone(), flat[3].clone()])?;
    let y = c.b.push(MatMul {}, &[left, right])?;
    let y = c.b.reshape(y, &[db, dm, dn].concat())?;
    Ok(Term { x: y, indices: [batch, rows, columns].concat() })
}

/// The term with its axes in this order, dimensions of 1 repeated.
fn arranged(c: &mut Call<'_>, t: &Term, order: [&[Index]; 3], dims: [&[Dim]; 3]) -> Lowered<Val> {
    let perm = order.concat().iter().map(|i| t.indices.iter().position(|x| x == i)).collect::<Option<Vec<usize>>>();
    let Some(perm) = perm else { return refuse!("internal: an index is lost") };
    let x = c.b.transpose(t.x, &perm)?;
    c.b.expand(x, &dims.concat())
}
