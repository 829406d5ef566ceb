//! Slice of the first axis: the elements lie together.

use super::spare;
use crate::ops::shape::known_shape;
use crate::ops::slice::Slice;
use crate::tensor::{Data, Tensor, TensorType};

/// Runs the operator; `None` where what is taken does not lie together, or is not f32.
pub(crate) fn run(op: &Slice, x: &Tensor, output: &TensorType) -> Option<Tensor> {
    let (shape, v) = (known_shape(output), x.as_f32()?);
    let together = op.step.iter().zip(&shape).all(|(s, n)| *s == 1 || *n == 1) && shape.get(1..) == x.shape.get(1..);
    let count: usize = shape.iter().product();
    if !together || count == 0 {
        return None;
    }
    let first = usize::try_from(*op.start.first()?).ok()?.checked_mul(count / shape[0])?;
    let mut out = spare::zeroed(count);
    out.copy_from_slice(v.get(first..first.checked_add(count)?)?);
    Some(Tensor { shape, data: Data::F32(out) })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::Dim;
    use crate::fast::testing::{Values, agree};

    #[test]
    fn slices_of_every_kind_have_the_reference_s_elements() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let shape: Vec<usize> = (0..rng.random_range(1..4)).map(|_| rng.random_range(1..5)).collect();
            let mut op = Slice { start: Vec::new(), step: Vec::new(), size: Vec::new() };
            for (axis, n) in shape.iter().enumerate() {
                let whole = axis > 0 && rng.random_ratio(2, 3);
                let start = if whole { 0 } else { rng.random_range(0..*n) };
                let size = if whole { *n } else { rng.random_range(0..=n - start) };
                op.start.push(start as u64);
                op.step.push(if size == 1 { rng.random_range(1..4) } else { 1 });
                op.size.push(Dim::Known(size as u64));
            }
            agree(&op.into(), &[&Values::Special.tensor(rng, &shape)], 1);
        }
    }
}
