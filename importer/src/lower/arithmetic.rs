//! Elementwise arithmetic and functions of one operand.

use lockstep_engine::DType;
use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::ops::unary::UnaryKind as U;

use super::{Call, Outputs, one};
use crate::build::{Elem, Val};
use crate::error::{Lowered, refuse};

/// B with the shape that ONNX's old `broadcast` and `axis` attributes give it.
pub(super) fn old_broadcast(c: &mut Call<'_>, a: Val, b: Val) -> Lowered<Val> {
    if c.version >= 7 {
        return Ok(b);
    }
    c.attrs.ignore(&["consumed_inputs"]);
    let broadcast = c.attrs.flag("broadcast", false)?;
    let axis = c.attrs.int_opt("axis")?;
    let (ra, rb) = (c.b.rank(a), c.b.rank(b));
    if !broadcast {
        return if c.b.shape(a) == c.b.shape(b) {
            Ok(b)
        } else {
            refuse!("operator sets below 7 need equal shapes without 'broadcast'")
        };
    }
    if rb > ra {
        return refuse!("the second operand has rank {rb}, the first {ra}");
    }
    let Some(axis) = axis else { return Ok(b) };
    let at = c.b.axis(axis, ra)?;
    let Some(trailing) = (ra - at).checked_sub(rb) else {
        return refuse!("axis {axis} leaves no room for the second operand");
    };
    let axes: Vec<usize> = (rb..rb + trailing).collect();
    c.b.unsqueeze(b, &axes)
}

pub(super) fn binary(c: &mut Call<'_>) -> Outputs {
    let (a, b) = (c.x(0)?, c.x(1)?);
    let b = old_broadcast(c, a, b)?;
    if let Some(v) = on_dims(c, a, b) {
        return one(v);
    }
    let kind = match c.op {
        "Add" => B::Add,
        "Sub" => B::Sub,
        "Mul" => B::Mul,
        "Div" => B::Div,
        "And" => B::And,
        "Or" => B::Or,
        "Xor" => B::Xor,
        "BitwiseAnd" => B::BitAnd,
        "BitwiseOr" => B::BitOr,
        _ => B::BitXor,
    };
    one(c.b.binary(kind, a, b)?)
}

/// Arithmetic on shapes, while it can be followed.
fn on_dims(c: &mut Call<'_>, a: Val, b: Val) -> Option<Val> {
    let f = match c.op {
        "Add" => Elem::add,
        "Sub" => Elem::sub,
        "Mul" => Elem::mul,
        "Div" => Elem::div,
        _ => return None,
    };
    if !(c.b.is_dims(a) || c.b.is_dims(b)) || c.b.dtype(a) != c.b.dtype(b) || c.b.rank(a) > 1 || c.b.rank(b) > 1 {
        return None;
    }
    let (x, y) = (c.b.elems(a)?, c.b.elems(b)?);
    let n = x.len().max(y.len());
    if (x.len() != n && x.len() != 1) || (y.len() != n && y.len() != 1) {
        return None;
    }
    let at = |v: &[Elem], i: usize| v[if v.len() == 1 { 0 } else { i }].clone();
    let out: Option<Vec<Elem>> = (0..n).map(|i| f(&at(&x, i), &at(&y, i))).collect();
    let shape = if c.b.rank(a).max(c.b.rank(b)) == 0 { Vec::new() } else { vec![n] };
    let dtype = c.b.dtype(a);
    Some(c.b.dims_value(out?, shape, dtype))
}

pub(super) fn modulus(c: &mut Call<'_>) -> Outputs {
    let (a, b) = (c.x(0)?, c.x(1)?);
    let fmod = c.attrs.flag("fmod", false)?;
    if c.b.dtype(a) == DType::F32 && !fmod {
        // numpy's: the remainder, moved by the divisor where the signs differ; a zero has the divisor's sign.
        let zero = c.b.scalar(0.0);
        let r = c.b.binary(B::FMod, a, b)?;
        let (down, up) = (c.b.compare(K::Less, r, zero)?, c.b.compare(K::Less, b, zero)?);
        let differ = c.b.binary(B::Xor, down, up)?;
        let moved = c.b.add2(r, b)?;
        let r = c.b.select(differ, moved, r)?;
        let none = c.b.binary(B::FMod, a, b)?;
        let none = c.b.compare(K::Equal, none, zero)?;
        let minus = c.b.scalar(-0.0);
        let signed = c.b.select(up, minus, zero)?;
        return one(c.b.select(none, signed, r)?);
    }
    one(c.b.binary(if fmod { B::FMod } else { B::Mod }, a, b)?)
}

pub(super) fn pow(c: &mut Call<'_>) -> Outputs {
    let (a, b) = (c.x(0)?, c.x(1)?);
    let mut b = old_broadcast(c, a, b)?;
    let (ta, tb) = (c.b.dtype(a), c.b.dtype(b));
    if ta != DType::F32 && tb == DType::F32 {
        return power_of_integer(c, a, b);
    }
    if ta != tb {
        // An integer exponent that the base's type cannot hold would change its value.
        let fits = ta == DType::F32 && tb != DType::I64 || ta == DType::I64;
        let constant = c.b.as_constant(b).is_some_and(|t| match &t.data {
            lockstep_engine::Data::I64(v) => v.iter().all(|x| (-128..=127).contains(x)),
            lockstep_engine::Data::I32(v) => v.iter().all(|x| (0..=127).contains(x)),
            _ => false,
        });
        let float_of_long = ta == DType::F32 && tb == DType::I64;
        if !(fits || constant || float_of_long) {
            return refuse!("a power of {ta} with an exponent of {tb}, which may not fit");
        }
        b = c.b.cast(b, ta)?;
    }
    // Both are the correctly rounded square.
    if ta == DType::F32 && is_two(c, b) {
        return one(c.b.mul2(a, a)?);
    }
    one(c.b.binary(B::Pow, a, b)?)
}

/// An integer to the power of a float: f32's, truncated, where base and result are integers that f32 holds exactly;
/// a call beyond fails.
fn power_of_integer(c: &mut Call<'_>, a: Val, b: Val) -> Outputs {
    let dtype = c.b.dtype(a);
    let limit = c.b.scalar(16_777_216.0);
    let base = c.b.cast(a, DType::F32)?;
    let power = c.b.binary(B::Pow, base, b)?;
    let mut conditions = Vec::new();
    for v in [base, power] {
        let size = c.b.unary(U::Abs, v)?;
        conditions.push(c.b.compare(K::Less, size, limit)?);
    }
    let power = c.b.require(power, &conditions, Requirement::Range)?;
    one(c.b.cast(power, dtype)?)
}

fn is_two(c: &Call<'_>, b: Val) -> bool {
    c.b.as_constant(b).is_some_and(|t| t.shape.is_empty() && t.as_f32() == Some(&[2.0]))
}

pub(super) fn shift(c: &mut Call<'_>) -> Outputs {
    let (a, b) = (c.x(0)?, c.x(1)?);
    let kind = match c.attrs.string("direction", "")?.as_str() {
        "LEFT" => B::ShiftLeft,
        "RIGHT" => B::ShiftRight,
        other => return refuse!("direction '{other}', LEFT or RIGHT is expected"),
    };
    one(c.b.binary(kind, a, b)?)
}

pub(super) fn variadic(c: &mut Call<'_>) -> Outputs {
    c.attrs.ignore(if c.version < 8 { &["consumed_inputs"] } else { &[] });
    let all = c.all()?;
    let kind = match c.op {
        "Min" => B::Min,
        "Max" => B::Max,
        _ => B::Add,
    };
    let Some((first, rest)) = all.split_first() else { return refuse!("no operand") };
    let mut acc = *first;
    for v in rest {
        acc = c.b.binary(kind, acc, *v)?;
    }
    if c.op == "Mean" && all.len() > 1 {
        let n = c.b.scalar(all.len() as f32);
        acc = c.b.div2(acc, n)?;
    }
    one(acc)
}

pub(super) fn unary(c: &mut Call<'_>) -> Outputs {
    c.attrs.ignore(if c.version < 6 { &["consumed_inputs"] } else { &[] });
    let x = c.x(0)?;
    if c.op == "Neg" && c.b.is_dims(x) {
        let dtype = c.b.dtype(x);
        let shape = c.b.ty(x).dims()?;
        if let Some(e) = c.b.elems(x).and_then(|e| e.iter().map(Elem::negate).collect()) {
            return one(c.b.dims_value(e, shape, dtype));
        }
    }
    let kind = match c.op {
        "Abs" => U::Abs,
        "Neg" => U::Neg,
        "Sign" => U::Sign,
        "Reciprocal" => U::Reciprocal,
        "Sqrt" => U::Sqrt,
        "Floor" => U::Floor,
        "Ceil" => U::Ceil,
        "Round" => U::Round,
        "Relu" => U::Relu,
        "Sigmoid" => U::Sigmoid,
        "Tanh" => U::Tanh,
        "Erf" => U::Erf,
        "Exp" => U::Exp,
        "Log" => U::Log,
        "Sin" => U::Sin,
        "Cos" => U::Cos,
        "Tan" => U::Tan,
        "Asin" => U::Asin,
        "Acos" => U::Acos,
        "Atan" => U::Atan,
        "Sinh" => U::Sinh,
        "Cosh" => U::Cosh,
        "Asinh" => U::Asinh,
        "Acosh" => U::Acosh,
        "Atanh" => U::Atanh,
        "Softplus" => U::Softplus,
        "Not" => U::Not,
        "BitwiseNot" => U::BitNot,
        _ => U::IsNan,
    };
    one(c.b.unary(kind, x)?)
}
