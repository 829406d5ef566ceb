//! Constants, and tensors that are constant once shapes are known.

use std::sync::Arc;

use lockstep_engine::{DType, Data, Dim, Tensor};

use super::{Call, Outputs, dynamic, known, one};
use crate::build::Elem;
use crate::error::refuse;
use crate::slot::{Slot, StringTensor};

/// Elements that a generated constant may have.
const MAX: usize = 1 << 24;

pub(super) fn constant(c: &mut Call<'_>) -> Outputs {
    if let Some(t) = c.attrs.tensor("value")? {
        return Ok(vec![c.tensor(t)?]);
    }
    if let Some(x) = c.attrs.float_opt("value_float")? {
        return one(c.b.scalar(x));
    }
    if let Some(v) = c.attrs.floats("value_floats")? {
        return one(c.b.vector(v.to_vec()));
    }
    if let Some(n) = c.attrs.int_opt("value_int")? {
        return one(c.b.scalar_of(DType::I64, n));
    }
    if let Some(v) = c.attrs.ints("value_ints")? {
        return one(c.b.vector_i64(v.to_vec()));
    }
    if let Some(s) = c.attrs.string_opt("value_string")? {
        return Ok(vec![Slot::Strings(Arc::new(StringTensor { shape: Vec::new(), data: vec![s] }))]);
    }
    if let Some(v) = c.attrs.strings("value_strings")? {
        return Ok(vec![Slot::Strings(Arc::new(StringTensor { shape: vec![v.len()], data: v }))]);
    }
    if c.attrs.has("sparse_value") {
        return refuse!("a sparse constant");
    }
    refuse!("a constant without a value")
}

pub(super) fn of_shape(c: &mut Call<'_>) -> Outputs {
    let value = match c.attrs.tensor("value")? {
        None => c.b.scalar(0.0),
        Some(t) => match c.tensor(t)? {
            Slot::Tensor(v) => c.b.reshape(v, &[])?,
            other => return Err(c.no_tensor(&other, 0)),
        },
    };
    if c.is_data(0) {
        return one(dynamic::constant_of_shape(c, value)?);
    }
    let shape: Option<Vec<Dim>> = c.elems(0, "the shape")?.iter().map(Elem::to_dim).collect();
    let Some(shape) = shape else { return refuse!("a negative dimension") };
    one(c.b.expand(value, &shape)?)
}

pub(super) fn range(c: &mut Call<'_>) -> Outputs {
    c.attrs.ignore(&["stash_type"]);
    if (0..3).any(|i| c.x(i).is_ok_and(|v| c.b.as_constant(v).is_none())) {
        return one(dynamic::range(c)?);
    }
    let bounds = (c.constant(0, "the start")?, c.constant(1, "the limit")?, c.constant(2, "the step")?);
    macro_rules! of_integers {
        ($a:expr, $b:expr, $d:expr, $variant:ident, $t:ty) => {{
            let (Some(a), Some(b), Some(d)) = ($a.first(), $b.first(), $d.first()) else {
                return refuse!("an empty bound");
            };
            if *d == 0 {
                return refuse!("a step of 0");
            }
            let (a, b, d) = (i128::from(*a), i128::from(*b), i128::from(*d));
            let n = ((b - a) / d + i128::from((b - a) % d * d > 0)).max(0);
            if n > MAX as i128 {
                return refuse!("{n} elements");
            }
            Data::$variant((0..n).map(|i| (a + i * d) as $t).collect())
        }};
    }
    let data = match (&bounds.0.data, &bounds.1.data, &bounds.2.data) {
        (Data::I64(a), Data::I64(b), Data::I64(d)) => of_integers!(a, b, d, I64, i64),
        (Data::I32(a), Data::I32(b), Data::I32(d)) => of_integers!(a, b, d, I32, i32),
        (Data::F32(a), Data::F32(b), Data::F32(d)) => {
            let (Some(a), Some(b), Some(d)) = (a.first(), b.first(), d.first()) else {
                return refuse!("an empty bound");
            };
            // ceil((limit - start) / step) elements, start + i * step, each operation one rounding.
            let n = ((b - a) / d).ceil();
            if n.is_nan() || n > MAX as f32 {
                return refuse!("{n} elements");
            }
            Data::F32((0..n.max(0.0) as usize).map(|i| a + (i as f32 * d)).collect())
        }
        _ => return refuse!("bounds of one of the types f32, i32, i64 are expected"),
    };
    let n = data.len();
    one(c.b.constant(Tensor { shape: vec![n], data }))
}

pub(super) fn eye_like(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let Some([rows, columns]) = known(&c.b.shape(x)).and_then(|s| <[usize; 2]>::try_from(s).ok()) else {
        return refuse!("a matrix of known size is expected");
    };
    if rows.max(columns).max(rows.saturating_mul(columns)) > MAX {
        return refuse!("a matrix of {rows} times {columns}");
    }
    let dtype = match c.attrs.int_opt("dtype")? {
        None => c.b.dtype(x),
        Some(n) => match u8::try_from(n).ok().and_then(DType::from_code) {
            Some(d) => d,
            None => return refuse!("a matrix of {}", crate::proto::data_type::name(n as i32)),
        },
    };
    let k = c.attrs.int("k", 0)?;
    let mut data = Vec::with_capacity(rows * columns);
    for r in 0..rows as i64 {
        data.extend((0..columns as i64).map(|col| i64::from(r.checked_add(k) == Some(col))));
    }
    let data = lockstep_engine::float::convert::cast(&Data::I64(data), dtype);
    one(c.b.constant(Tensor { shape: vec![rows, columns], data }))
}
