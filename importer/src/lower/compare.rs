//! Comparisons and Where; on strings, of categories.

use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::{DType, Data, Dim, Tensor};

use super::{Call, Outputs, one};
use crate::build::{Elem, Val};
use crate::error::{Lowered, refuse};
use crate::slot::{Codes, Slot, StringTensor};

pub(super) fn compare(c: &mut Call<'_>) -> Outputs {
    if let Some(v) = strings_equal(c)? {
        return one(v);
    }
    let (a, b) = (c.x(0)?, c.x(1)?);
    let b = super::arithmetic::old_broadcast(c, a, b)?;
    let kind = match c.op {
        "Equal" => K::Equal,
        "Less" => K::Less,
        "LessOrEqual" => K::LessOrEqual,
        "Greater" => K::Greater,
        _ => K::GreaterOrEqual,
    };
    if let Some(v) = dims_equal(c, a, b) {
        return one(v);
    }
    one(c.b.compare(kind, a, b)?)
}

/// Equality of shapes, where it holds or fails for every size: exporters ask whether a dimension is -1.
fn dims_equal(c: &mut Call<'_>, a: Val, b: Val) -> Option<Val> {
    if c.op != "Equal" || !(c.b.is_dims(a) || c.b.is_dims(b)) || c.b.rank(a) != 1 || c.b.rank(b) != 1 {
        return None;
    }
    let (x, y) = (c.b.elems(a)?, c.b.elems(b)?);
    if x.len() != y.len() && y.len() != 1 {
        return None;
    }
    let mut out = Vec::with_capacity(x.len());
    for (i, p) in x.iter().enumerate() {
        let q = &y[if y.len() == 1 { 0 } else { i }];
        out.push(match (p, q) {
            _ if p == q => true,
            (Elem::Int(_), Elem::Int(_)) => false,
            (Elem::Dim(d), Elem::Int(n)) | (Elem::Int(n), Elem::Dim(d)) if *n < 0 && Elem::is_natural(d) => false,
            _ => return None,
        });
    }
    Some(c.b.constant(Tensor { shape: vec![out.len()], data: Data::Bool(out) }))
}

pub(super) fn is_inf(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let kind = match (c.attrs.flag("detect_negative", true)?, c.attrs.flag("detect_positive", true)?) {
        (true, true) => return one(c.b.unary(lockstep_engine::ops::unary::UnaryKind::IsInf, x)?),
        (true, false) => f32::NEG_INFINITY,
        (false, true) => f32::INFINITY,
        // Nothing is less than itself.
        (false, false) => return one(c.b.compare(K::Less, x, x)?),
    };
    let infinity = c.b.scalar(kind);
    one(c.b.compare(K::Equal, x, infinity)?)
}

pub(super) fn select(c: &mut Call<'_>) -> Outputs {
    if let Some(slot) = select_strings(c)? {
        return Ok(vec![slot]);
    }
    let (cond, a, b) = (c.x(0)?, c.x(1)?, c.x(2)?);
    if let Some(v) = select_dims(c, cond, a, b) {
        return one(v);
    }
    one(c.b.select(cond, a, b)?)
}

fn select_dims(c: &mut Call<'_>, cond: Val, a: Val, b: Val) -> Option<Val> {
    if !(c.b.is_dims(a) || c.b.is_dims(b)) || c.b.dtype(a) != c.b.dtype(b) {
        return None;
    }
    let Data::Bool(cond) = &c.b.as_constant(cond)?.data else { return None };
    let (x, y) = (c.b.elems(a)?, c.b.elems(b)?);
    if c.b.rank(a) != 1 || c.b.rank(b) != 1 || x.len() != cond.len() || y.len() != cond.len() {
        return None;
    }
    let out = cond.iter().zip(x.into_iter().zip(y)).map(|(c, (x, y))| if *c { x } else { y }).collect();
    let dtype = c.b.dtype(a);
    Some(c.b.dims_value(out, vec![cond.len()], dtype))
}

/// Codes of one string in each of the columns, shaped to meet the codes.
pub(crate) fn codes_of(c: &mut Call<'_>, codes: &Codes, string: &str) -> Lowered<Val> {
    let of_column: Vec<i64> = codes.columns.iter().map(|k| c.b.columns[*k].code(string)).collect();
    let v = c.b.vector_i64(of_column);
    let shape = c.b.shape(codes.val);
    let mut out = vec![Dim::Known(1); shape.len().min(1)];
    out.extend(shape.into_iter().skip(1));
    c.b.reshape(v, &out)
}

fn single(s: &StringTensor) -> Option<&str> {
    if s.data.len() == 1 { s.data.first().map(String::as_str) } else { None }
}

fn strings_equal(c: &mut Call<'_>) -> Lowered<Option<Val>> {
    let (codes, string) = match (c.slot(0)?, c.slot(1)?) {
        (Slot::Codes(k), Slot::Strings(s)) | (Slot::Strings(s), Slot::Codes(k)) => (k, s),
        _ => return Ok(None),
    };
    if c.op != "Equal" {
        return refuse!("strings have no order here");
    }
    let Some(string) = single(&string) else { return refuse!("strings are compared with one constant string only") };
    let code = codes_of(c, &codes, string)?;
    c.b.compare(K::Equal, codes.val, code).map(Some)
}

/// A constant string in place of some of a column's.
fn select_strings(c: &mut Call<'_>) -> Lowered<Option<Slot>> {
    let (codes, string, first) = match (c.slot(1)?, c.slot(2)?) {
        (Slot::Strings(s), Slot::Codes(k)) => (k, s, true),
        (Slot::Codes(k), Slot::Strings(s)) => (k, s, false),
        _ => return Ok(None),
    };
    let cond = c.x(0)?;
    let Some(string) = single(&string) else { return refuse!("strings are replaced by one constant string only") };
    let code = codes_of(c, &codes, string)?;
    let val = if first { c.b.select(cond, code, codes.val)? } else { c.b.select(cond, codes.val, code)? };
    if c.b.shape(val) != c.b.shape(codes.val) || c.b.dtype(val) != DType::I64 {
        return refuse!("strings are broadcast, which is not supported");
    }
    Ok(Some(Slot::Codes(Codes { val, columns: codes.columns })))
}
