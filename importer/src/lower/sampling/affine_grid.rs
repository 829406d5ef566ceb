//! ONNX AffineGrid (operator set 20).

use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::{Data, Dim, Tensor};

use super::super::{Call, Outputs, known, one};
use crate::build::{Elem, Val};
use crate::error::{Lowered, Refusal, refuse};
use crate::exact::{ratio, to_f32};

/// The places of an image's elements, from -1 to 1, times the transposed matrices.
pub(in super::super) fn affine_grid(c: &mut Call<'_>) -> Outputs {
    let mut theta = c.f32(0)?;
    let corners = c.attrs.flag("align_corners", false)?;
    let sizes = if c.is_data(1) { declared(c, &mut theta)? } else { stated(c)? };
    let axes = sizes.len().saturating_sub(2);
    let shape = c.b.shape(theta);
    let expected = [Dim::Known(axes as u64), Dim::Known(axes as u64 + 1)];
    if !(2..=3).contains(&axes) || shape.len() != 3 || shape[1..] != expected {
        return refuse!("theta (N, 2, 3) for 4 sizes, or (N, 3, 4) for 5 is expected");
    }
    if sizes[0] != shape[0] {
        return refuse!("the size's batch is not known to be theta's");
    }
    let Some(image) = known(&sizes[2..]) else {
        return Err(Refusal::new("an image of symbolic size").advice("export with that size fixed"));
    };
    let elements = image.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).filter(|n| *n <= 1 << 22);
    let Some(elements) = elements else { return refuse!("a grid of {image:?}") };
    let place = |i: usize, n: usize| match (corners, n) {
        (true, 1) => -1.0,
        (true, _) => to_f32(&ratio(2 * i as i64 - (n as i64 - 1), n as i64 - 1)),
        (false, _) => to_f32(&ratio(2 * i as i64 + 1 - n as i64, n as i64)),
    };
    // The last axis comes first, and a 1 last.
    let mut base = Vec::with_capacity(elements * (axes + 1));
    for e in 0..elements {
        let mut rest = e;
        for n in image.iter().rev() {
            base.push(place(rest % n, *n));
            rest /= n;
        }
        base.push(1.0);
    }
    let base = c.b.constant(Tensor { shape: vec![elements, axes + 1], data: Data::F32(base) });
    let columns = c.b.transpose(theta, &[0, 2, 1])?;
    let y = c.b.push(MatMul {}, &[base, columns])?;
    let mut result = vec![shape[0].clone()];
    result.extend(image.iter().map(|n| Dim::Known(*n as u64)));
    result.push(Dim::Known(axes as u64));
    one(c.b.reshape(y, &result)?)
}

fn stated(c: &Call<'_>) -> Lowered<Vec<Dim>> {
    let sizes: Option<Vec<Dim>> = c.elems(1, "the size")?.iter().map(Elem::to_dim).collect();
    sizes.ok_or_else(|| Refusal::new("a negative size"))
}

/// A size from data: that of the declared grid, required. Its channels do not matter.
fn declared(c: &mut Call<'_>, theta: &mut Val) -> Lowered<Vec<Dim>> {
    let mut sizes = c.declared_fully(0)?;
    sizes.pop();
    let (v, n) = c.vector(1)?;
    if sizes.is_empty() || n != sizes.len() + 1 {
        return refuse!("a size of {n} dimensions for a grid of {}", sizes.len() + 1);
    }
    sizes.insert(1, Dim::Known(1));
    let expected = c.b.dims_vector(&sizes)?;
    let mut fits = Vec::new();
    for (from, length) in [(0, 1), (2, n as u64 - 2)] {
        let (a, b) = (
            c.b.slice_axis(v, 0, from, 1, Dim::Known(length))?,
            c.b.slice_axis(expected, 0, from, 1, Dim::Known(length))?,
        );
        fits.push(c.b.compare(K::Equal, a, b)?);
    }
    *theta = c.b.require(*theta, &fits, Requirement::Argument)?;
    Ok(sizes)
}
