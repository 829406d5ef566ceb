//! Sums over the last axes, which lie together: the sixteen lanes of S2 side by side.

use super::{Failure, Threads, spare};
use crate::float::s2::sum_slice_by;
use crate::ops::reduce::{Reduce, ReduceKind};
use crate::ops::shape::known_shape;
use crate::tensor::{Data, Tensor, TensorType};

/// Multiply-adds that take as long as one element, for [`Threads::split`].
const ELEMENT: u64 = 4;

/// Runs the operator; `None` where it is no sum, or over other axes.
pub(crate) fn run(op: &Reduce, x: &Tensor, output: &TensorType, threads: &Threads) -> Option<Result<Tensor, Failure>> {
    let v = x.as_f32()?;
    let kept = x.shape.len().checked_sub(op.axes.len())?;
    if v.is_empty() || op.axes.iter().zip(kept..).any(|(a, i)| usize::from(*a) != i) {
        return None;
    }
    let n: usize = x.shape[kept..].iter().product();
    let divisor = n as f32;
    let of: &(dyn Fn(&[f32]) -> f32 + Sync) = match op.kind {
        ReduceKind::Sum => &|row| sum_slice_by(row, |x| x),
        ReduceKind::Mean => &|row| sum_slice_by(row, |x| x) / divisor,
        ReduceKind::L1 => &|row| sum_slice_by(row, f32::abs),
        ReduceKind::L2 => &|row| sum_slice_by(row, |x| x * x).sqrt(),
        ReduceKind::SumSquare => &|row| sum_slice_by(row, |x| x * x),
        _ => return None,
    };
    let shape = known_shape(output);
    let mut out = spare::zeroed(v.len() / n);
    let done = threads.split(&mut out, 1, (v.len() as u64).saturating_mul(ELEMENT), |first, out| {
        out.iter_mut().zip(v[first * n..].chunks_exact(n)).for_each(|(o, row)| *o = of(row));
    });
    Some(done.map(|()| Tensor { shape, data: Data::F32(out) }).map_err(Failure::Environment))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::fast::testing::{Values, agree};

    #[test]
    fn every_kind_over_every_choice_of_axes_has_the_reference_s_bits() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        for shape in [[2, 3, 5], [4, 1, 37], [1, 7, 16], [3, 0, 2], [2, 5, 0]] {
            for mask in 1..8u8 {
                let axes: Vec<u8> = (0..3).filter(|a| mask >> a & 1 == 1).collect();
                for kind in ReduceKind::ALL {
                    for keep_dims in [false, true] {
                        let op = Reduce { kind: *kind, axes: axes.clone(), keep_dims };
                        for values in [Values::Ordinary, Values::Special] {
                            agree(&op.clone().into(), &[&values.tensor(rng, &shape)], 1);
                        }
                    }
                }
            }
        }
    }
}
