//! ONNX DFT (operator sets 17 and 20).

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::{DType, Data, Dim, Tensor};

use super::super::{Call, Outputs, one};
use super::Transform;
use crate::build::Val;
use crate::error::{Lowered, refuse};

pub(in super::super) fn dft(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let rank = c.b.rank(x);
    if rank < 2 {
        return refuse!("an operand of rank {rank}, at least 2 is expected");
    }
    if c.version >= 20 && c.is_data(2) {
        return one(along_any(c, x)?);
    }
    let axis = match c.version {
        v if v < 20 => c.attrs.int("axis", 1)?,
        _ if c.has(2) => match c.ints(2, "the axis")?.as_slice() {
            [a] => *a,
            other => return refuse!("{} axes, one is expected", other.len()),
        },
        _ => -2,
    };
    let axis = c.b.axis(axis, rank)?;
    one(along(c, x, axis)?)
}

/// An axis from data: the transform along every axis that gives the declared shape, of which one is taken.
fn along_any(c: &mut Call<'_>, x: Val) -> Lowered<Val> {
    let declared = c.declared_fully(0)?;
    let rank = c.b.rank(x);
    let (axis, n) = c.vector(2)?;
    if n != 1 {
        return refuse!("{n} axes, one is expected");
    }
    let length = c.b.vector_i64(vec![rank as i64]);
    let axis = c.b.wrapped(axis, length)?;
    let mut result: Option<Val> = None;
    let mut hits = Vec::new();
    for a in 0..rank - 1 {
        let Ok(y) = along(c, x, a) else { continue };
        if c.b.shape(y) != declared {
            continue;
        }
        let number = c.b.scalar_of(DType::I64, a as i64);
        let hit = c.b.compare(K::Equal, axis, number)?;
        hits.push(hit);
        result = Some(match result {
            Some(r) => c.b.select(hit, y, r)?,
            None => y,
        });
    }
    let Some(result) = result else { return refuse!("no axis gives the declared shape") };
    let mut any = hits[0];
    for h in &hits[1..] {
        any = c.b.binary(B::Or, any, *h)?;
    }
    c.b.require(result, &[any], Requirement::Argument)
}

/// The transform along one axis: rows times a matrix.
fn along(c: &mut Call<'_>, x: Val, axis: usize) -> Lowered<Val> {
    let shape = c.b.shape(x);
    let rank = shape.len();
    if axis + 1 >= rank {
        return refuse!("a transform along the last axis, which holds real and imaginary part");
    }
    let (inverse, onesided) = (c.attrs.flag("inverse", false)?, c.attrs.flag("onesided", false)?);
    let complex = match shape[rank - 1] {
        Dim::Known(1) => false,
        Dim::Known(2) => true,
        _ => return refuse!("a last dimension of 1 (real) or 2 (complex) is expected"),
    };
    let Some(given) = shape[axis].as_known().filter(|n| *n > 0) else {
        return refuse!("a transform along a symbolic or empty dimension");
    };
    if onesided && complex != inverse {
        return refuse!("onesided: a real operand, or for the inverse a complex one, is expected");
    }
    let length = if c.has(1) {
        match c.ints(1, "the length of the transform")?.as_slice() {
            [n] if *n > 0 => *n as u64,
            other => return refuse!("dft_length {other:?}"),
        }
    } else if onesided && inverse {
        2 * (given - 1)
    } else {
        given
    };
    let most = if onesided && inverse { length / 2 + 1 } else { length };
    let t = Transform { taken: given.min(most), length, complex, inverse, onesided };
    let matrix = t.matrix()?;
    let x = c.b.slice_axis(x, axis, 0, 1, Dim::Known(t.taken))?;
    // The axis next to the last, which holds the parts.
    let mut perm: Vec<usize> = (0..rank).filter(|a| *a != axis && *a != rank - 1).collect();
    perm.extend([axis, rank - 1]);
    let x = c.b.transpose(x, &perm)?;
    let mut lead: Vec<Dim> = perm[..rank - 2].iter().map(|a| shape[*a].clone()).collect();
    let parts = 1 + u64::from(complex);
    let rows = super::super::product(&lead)?;
    let flat = c.b.reshape(x, &[rows, Dim::Known(t.taken * parts)])?;
    let columns = t.results() * t.parts();
    let w = c.b.constant(Tensor { shape: vec![(t.taken * parts) as usize, columns as usize], data: Data::F32(matrix) });
    let y = c.b.push(MatMul {}, &[flat, w])?;
    lead.extend([Dim::Known(t.results()), Dim::Known(t.parts())]);
    let y = c.b.reshape(y, &lead)?;
    let mut back = vec![0; rank];
    for (to, from) in perm.iter().enumerate() {
        back[*from] = to;
    }
    c.b.transpose(y, &back)
}
