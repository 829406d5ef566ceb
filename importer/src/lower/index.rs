//! Picking by index, one-hot coding, triangles.

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::{DType, Data, Dim, Tensor};

use super::{Call, Outputs, dynamic, known, one};
use crate::build::Elem;
use crate::error::{Refusal, refuse};
use crate::slot::{Codes, Slot};

pub(super) fn gather(c: &mut Call<'_>) -> Outputs {
    let slot = c.slot(0)?;
    let axis = c.attrs.int("axis", 0)?;
    let indices = c.x(1)?;
    if let Slot::Codes(k) = &slot {
        return gather_columns(c, k, axis);
    }
    let x = c.x(0)?;
    let axis = c.b.axis(axis, c.b.rank(x))?;
    if c.b.is_dims(x)
        && let (Some(e), Some(i)) = (c.b.elems(x), c.b.as_constant(indices))
        && i.shape.len() <= 1
    {
        let n = e.len() as i64;
        let picked: Option<Vec<Elem>> = c
            .ints(1, "the index")?
            .iter()
            .map(|i| e.get(usize::try_from(if *i < 0 { i + n } else { *i }).ok()?).cloned())
            .collect();
        let Some(picked) = picked else { return refuse!("an index outside the shape's {n} elements") };
        let dtype = c.b.dtype(x);
        return one(c.b.dims_value(picked, i.shape.clone(), dtype));
    }
    one(c.b.gather(x, indices, axis)?)
}

/// Columns of strings by constant position.
fn gather_columns(c: &mut Call<'_>, k: &Codes, axis: i64) -> Outputs {
    if c.b.rank(k.val) != 2 || c.b.axis(axis, 2)? != 1 {
        return refuse!("strings are picked by columns only");
    }
    let index = c.ints(1, "the index")?;
    let rank = c.b.rank(c.x(1)?);
    let n = k.columns.len() as i64;
    let columns: Option<Vec<usize>> =
        index.iter().map(|i| k.columns.get(usize::try_from(if *i < 0 { i + n } else { *i }).ok()?).copied()).collect();
    let Some(columns) = columns.filter(|_| rank <= 1) else { return refuse!("an index outside the {n} columns") };
    let indices = c.x(1)?;
    let val = c.b.gather(k.val, indices, 1)?;
    Ok(vec![Slot::Codes(Codes { val, columns })])
}

pub(super) fn one_hot(c: &mut Call<'_>) -> Outputs {
    let mut indices = c.x(0)?;
    let values = c.x(2)?;
    let rank = c.b.rank(indices);
    let axis = c.b.axis(c.attrs.int("axis", -1)?, rank + 1)?;
    let depth = if c.is_data(1) {
        let Some(Some(Dim::Known(n))) = c.declared(0)?.get(axis).cloned() else {
            return refuse!("the depth comes from data: the declared shape has to give it");
        };
        indices = dynamic::sizes(c, indices, 1, &[Dim::Known(n)])?;
        n as f64
    } else {
        c.number(1, "the depth")?
    };
    if !(1.0..=65_536.0).contains(&depth) || depth.fract() != 0.0 {
        return refuse!("a depth of {depth}, 1 to 65536 is supported");
    }
    if c.b.dtype(indices) == DType::F32 {
        return refuse!("indices of float");
    }
    indices = c.b.cast(indices, DType::I64)?;
    let depth = depth as i64;
    // A negative index counts from the end; what lies outside is off everywhere.
    let (zero, n) = (c.b.scalar_of(DType::I64, 0), c.b.scalar_of(DType::I64, depth));
    let negative = c.b.compare(K::Less, indices, zero)?;
    let wrapped = c.b.add2(indices, n)?;
    let index = c.b.select(negative, wrapped, indices)?;
    let index = c.b.unsqueeze(index, &[axis])?;
    let range = c.b.vector_i64((0..depth).collect());
    let range = c.b.along(range, axis, rank + 1)?;
    let hit = c.b.compare(K::Equal, index, range)?;
    if c.b.shape(values) != [Dim::Known(2)] {
        return refuse!("off and on value: a vector of 2 is expected");
    }
    let mut pick = |i: u64| {
        let v = c.b.slice_axis(values, 0, i, 1, Dim::Known(1))?;
        c.b.reshape(v, &[])
    };
    let (off, on) = (pick(0)?, pick(1)?);
    one(c.b.select(hit, on, off)?)
}

pub(super) fn trilu(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let upper = c.attrs.flag("upper", true)?;
    let shape = c.b.shape(x);
    let last = shape.len().checked_sub(2).and_then(|n| known(&shape[n..]));
    let Some([rows, columns]) = last.and_then(|v| <[usize; 2]>::try_from(v).ok()) else {
        return Err(Refusal::new("the two last dimensions have to be known").advice("export with them fixed"));
    };
    if rows.max(columns).max(rows.saturating_mul(columns)) > 1 << 24 {
        return refuse!("a triangle of {rows} times {columns}");
    }
    let k = match c.opt(1)? {
        Some(k) => c.b.reshape(k, &[])?,
        None => c.b.scalar_of(DType::I64, 0),
    };
    let mut distance = Vec::with_capacity(rows * columns);
    for r in 0..rows as i64 {
        distance.extend((0..columns as i64).map(|col| col - r));
    }
    let distance = c.b.constant(Tensor { shape: vec![rows, columns], data: Data::I64(distance) });
    let keep = c.b.compare(if upper { K::GreaterOrEqual } else { K::LessOrEqual }, distance, k)?;
    let dtype = c.b.dtype(x);
    if dtype == DType::Bool {
        return one(c.b.binary(B::And, x, keep)?);
    }
    let zero = c.b.scalar_of(dtype, 0);
    one(c.b.select(keep, x, zero)?)
}
