//! Shape helpers that operators share.

use crate::dim::Dim;
use crate::error::OpError;
use crate::limits::MAX_RANK;
use crate::tensor::{Tensor, TensorType};

/// Operand `i`, which `infer` found present.
pub fn operand<'a, T>(inputs: &[Option<&'a T>], i: usize) -> Result<&'a T, OpError> {
    inputs.get(i).copied().flatten().ok_or_else(|| OpError::new(format!("operand {i} is missing")))
}

/// Numpy's broadcast of two shapes. A symbolic dimension meets itself, 1, or a number above 1
/// (which the call then has to equal); two different symbols are refused, because nothing makes them equal.
pub fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, OpError> {
    let rank = a.len().max(b.len());
    let one = Dim::Known(1);
    let at = |s: &[Dim], i: usize| (i + s.len()).checked_sub(rank).map_or_else(|| one.clone(), |j| s[j].clone());
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Ok(x),
            (Dim::Known(1), y) => Ok(y),
            (x, Dim::Known(1)) => Ok(x),
            (Dim::Expr(_), y @ Dim::Known(_)) => Ok(y),
            (x @ Dim::Known(_), Dim::Expr(_)) => Ok(x),
            (Dim::Known(x), Dim::Known(y)) => {
                Err(OpError::new(format!("{x} and {y} cannot be broadcast (axis {i} of {rank})")))
            }
            _ => Err(OpError::new(format!("axis {i}: two different symbolic dimensions cannot be shown equal"))),
        })
        .collect()
}

/// Checks that two dimensions agree; symbols against numbers are left to the call.
pub fn same(a: &Dim, b: &Dim, what: &str) -> Result<(), OpError> {
    match (a, b) {
        _ if a == b => Ok(()),
        (Dim::Known(x), Dim::Known(y)) => Err(OpError::new(format!("{what}: {x} and {y} differ"))),
        (Dim::Expr(_), Dim::Expr(_)) => {
            Err(OpError::new(format!("{what}: two symbolic dimensions cannot be shown equal")))
        }
        _ => Ok(()),
    }
}

/// Product of dimensions.
pub fn product(shape: &[Dim]) -> Result<Dim, OpError> {
    shape
        .iter()
        .try_fold(Dim::Known(1), |n, d| n.mul(d))
        .ok_or_else(|| OpError::new("the number of elements is too large or too complex"))
}

/// Checks the rank of a result.
pub fn check_rank(rank: usize) -> Result<(), OpError> {
    if rank > MAX_RANK { Err(OpError::new(format!("rank {rank}, the limit is {MAX_RANK}"))) } else { Ok(()) }
}

/// Elements of a type with known dimensions (0 while not known: only cost uses it, after inference).
pub fn count(t: &TensorType) -> u64 {
    t.elements().unwrap_or(u64::MAX)
}

/// Row-major strides.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut s = vec![1usize; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        s[i] = s[i + 1].saturating_mul(shape[i + 1]);
    }
    s
}

/// Strides to read a tensor of `shape` as if broadcast to `out`: 0 where it repeats.
pub fn broadcast_strides(shape: &[usize], out: &[usize]) -> Vec<usize> {
    let own = strides(shape);
    let lead = out.len() - shape.len();
    (0..out.len()).map(|i| if i < lead || shape[i - lead] == 1 { 0 } else { own[i - lead] }).collect()
}

/// Calls `f` with the offset under `strides` of each position of `shape`, row-major.
pub fn for_each_offset<const N: usize>(shape: &[usize], strides: [&[usize]; N], mut f: impl FnMut([usize; N])) {
    if shape.contains(&0) {
        return;
    }
    let mut at = vec![0usize; shape.len()];
    let mut offset = [0usize; N];
    loop {
        f(offset);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            at[axis] += 1;
            for (o, s) in offset.iter_mut().zip(strides) {
                *o += s[axis];
            }
            if at[axis] < shape[axis] {
                break;
            }
            for (o, s) in offset.iter_mut().zip(strides) {
                *o -= s[axis] * shape[axis];
            }
            at[axis] = 0;
        }
    }
}

/// The dimensions of an output type (all known when kernels run).
pub fn known_shape(t: &TensorType) -> Vec<usize> {
    t.shape.iter().map(|d| d.as_known().unwrap_or(0) as usize).collect()
}

/// The operand as a tensor, present by `infer`.
pub fn tensor<'a>(inputs: &[Option<&'a Tensor>], i: usize) -> Option<&'a Tensor> {
    inputs.get(i).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let k = Dim::Known;
        let b = Dim::symbol(0);
        assert_eq!(broadcast(&[b.clone(), k(3)], &[k(3)]).unwrap(), [b.clone(), k(3)]);
        assert_eq!(broadcast(&[b.clone(), k(1)], &[k(1), k(4)]).unwrap(), [b.clone(), k(4)]);
        assert!(broadcast(&[k(2)], &[k(3)]).is_err());
        assert!(broadcast(std::slice::from_ref(&b), &[Dim::symbol(1)]).is_err());
        assert_eq!(broadcast(&[k(0)], &[k(1)]).unwrap(), [k(0)]);
    }

    #[test]
    fn offsets_are_row_major() {
        let mut seen = Vec::new();
        for_each_offset(&[2, 3], [&broadcast_strides(&[3], &[2, 3]), &strides(&[2, 3])], |o| seen.push(o));
        assert_eq!(seen, [[0, 0], [1, 1], [2, 2], [0, 3], [1, 4], [2, 5]]);
    }
}
