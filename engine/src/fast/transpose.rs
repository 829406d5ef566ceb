//! Transpose by copying: runs that stay together as they are, and tiles where rows become columns.

use super::{Failure, Threads, spare};
use crate::ops::shape::{known_shape, strides};
use crate::ops::transpose::Transpose;
use crate::tensor::{Data, Tensor, TensorType};

/// Multiply-adds that take as long as one element, for [`Threads::split`].
const ELEMENT: u64 = 16;
/// Side of a tile: its rows and columns stay in the first cache.
const TILE: usize = 16;

/// An axis of the result: its length, and the distance of its elements in the operand.
type Axis = (usize, usize);

/// Runs the operator; `None` where the result has no element.
pub(crate) fn run(
    op: &Transpose,
    x: &Tensor,
    output: &TensorType,
    threads: &Threads,
) -> Option<Result<Tensor, Failure>> {
    let shape = known_shape(output);
    if shape.contains(&0) {
        return None;
    }
    let own = strides(&x.shape);
    let axes = joined(shape.iter().zip(&op.perm).map(|(n, p)| (*n, own[usize::from(*p)])));
    let mut data = match &x.data {
        Data::F32(v) => Data::F32(spare::zeroed(v.len())),
        other => other.clone(),
    };
    let done = match (&x.data, &mut data) {
        (Data::F32(x), Data::F32(out)) => permute(&axes, x, out, threads),
        (Data::I64(x), Data::I64(out)) => permute(&axes, x, out, threads),
        (Data::I32(x), Data::I32(out)) => permute(&axes, x, out, threads),
        (Data::I8(x), Data::I8(out)) => permute(&axes, x, out, threads),
        (Data::U8(x), Data::U8(out)) => permute(&axes, x, out, threads),
        (Data::Bool(x), Data::Bool(out)) => permute(&axes, x, out, threads),
        _ => return None,
    };
    Some(done.map(|()| Tensor { shape, data }).map_err(Failure::Environment))
}

/// Axes of one element left out, neighbours in both tensors as one.
fn joined(axes: impl Iterator<Item = Axis>) -> Vec<Axis> {
    let mut out: Vec<Axis> = Vec::new();
    for (n, stride) in axes.filter(|(n, _)| *n != 1) {
        match out.last_mut() {
            Some(outer) if outer.1 == n * stride => *outer = (outer.0 * n, stride),
            _ => out.push((n, stride)),
        }
    }
    out
}

fn permute<T: Copy + Send + Sync>(
    axes: &[Axis],
    x: &[T],
    out: &mut [T],
    threads: &Threads,
) -> Result<(), &'static str> {
    let Some(((_, stride), rest)) = axes.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        out.copy_from_slice(x);
        return Ok(());
    };
    let unit = rest.iter().map(|a| a.0).product();
    let work = (x.len() as u64).saturating_mul(ELEMENT);
    threads.split(out, unit, work, |first, out| {
        fill(&[&[(out.len() / unit, *stride)], rest].concat(), &x[first * stride..], out);
    })
}

/// Fills `out`, whose axes are given, from the operand at its first element.
fn fill<T: Copy>(axes: &[Axis], x: &[T], out: &mut [T]) {
    match axes {
        [] => out.copy_from_slice(&x[..out.len()]),
        [(n, 1)] => out.copy_from_slice(&x[..*n]),
        [(_, stride)] => out.iter_mut().zip(x.iter().step_by(*stride)).for_each(|(o, x)| *o = *x),
        [(_, 1), (n, stride)] => tiles(x, *stride, out, *n),
        [(_, stride), rest @ ..] => {
            let unit = rest.iter().map(|a| a.0).product();
            out.chunks_exact_mut(unit).enumerate().for_each(|(i, out)| fill(rest, &x[i * stride..], out));
        }
    }
}

/// Row k of `x`, `stride` apart, becomes column k of `out`, whose rows have n elements.
fn tiles<T: Copy>(x: &[T], stride: usize, out: &mut [T], n: usize) {
    for (band, out) in out.chunks_mut(TILE * n).enumerate() {
        for first in (0..n).step_by(TILE) {
            let end = n.min(first + TILE);
            for (j, row) in out.chunks_exact_mut(n).enumerate() {
                let x = x[first * stride + band * TILE + j..].iter().step_by(stride);
                row[first..end].iter_mut().zip(x).for_each(|(o, x)| *o = *x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::seq::SliceRandom;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::fast::testing::{Values, agree};

    #[test]
    fn every_permutation_moves_as_the_reference() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let shapes: [&[usize]; 9] =
            [&[], &[5], &[17, 33], &[1, 40], &[2, 20, 3, 16], &[3, 1, 18, 2], &[2, 0, 3], &[2, 3, 4, 5, 2], &[64, 65]];
        for shape in shapes {
            let mut perm: Vec<u8> = (0..shape.len() as u8).collect();
            for _ in 0..12 {
                agree(&Transpose { perm: perm.clone() }.into(), &[&Values::Special.tensor(rng, shape)], 1);
                perm.shuffle(rng);
            }
        }
    }

    #[test]
    fn neighbours_are_one_axis() {
        // (2, 3, 4) as (3, 4, 2), and as it is.
        assert_eq!(joined([(3, 4), (4, 1), (2, 12)].into_iter()), [(12, 1), (2, 12)]);
        assert_eq!(joined([(2, 12), (3, 4), (1, 4), (4, 1)].into_iter()), [(24, 1)]);
    }
}
