//! Conversions of the element type, and operators that change nothing.

use std::sync::Arc;

use lockstep_engine::{DType, Data, Tensor};

use super::{Call, Outputs};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};
use crate::proto::data_type as t;
use crate::slot::{Foreign, ForeignData, Slot};

pub(super) fn identity(c: &mut Call<'_>) -> Outputs {
    Ok(vec![c.slot(0)?])
}

pub(super) fn dropout(c: &mut Call<'_>) -> Outputs {
    c.attrs.ignore(&["ratio", "seed"]);
    if c.version < 7 {
        c.attrs.ignore(&["consumed_inputs"]);
        if !c.attrs.flag("is_test", false)? {
            return Err(Refusal::new("Dropout in training mode").advice("export the model for inference (is_test = 1)"));
        }
    }
    if c.has(2) {
        let training = c.constant(2, "the training mode")?;
        if training.data != Data::Bool(vec![false]) {
            return Err(Refusal::new("Dropout in training mode draws random numbers")
                .advice("export the model for inference: model.eval()"));
        }
    }
    let x = c.x(0)?;
    let mut out = vec![Slot::Tensor(x)];
    if c.wants(1) {
        let on = c.b.constant(Tensor { shape: Vec::new(), data: Data::Bool(vec![true]) });
        let shape = c.b.shape(x);
        out.push(Slot::Tensor(c.b.expand(on, &shape)?));
    }
    Ok(out)
}

pub(super) fn cast(c: &mut Call<'_>) -> Outputs {
    // Saturation concerns 8-bit floats only, rounding modes their scales.
    c.attrs.ignore(&["saturate", "round_mode"]);
    let to = if c.version < 6 {
        let name = c.attrs.string("to", "")?;
        (1..=16).find(|n| t::name(*n).eq_ignore_ascii_case(&name)).unwrap_or(0)
    } else {
        i32::try_from(c.attrs.int("to", 0)?).unwrap_or(0)
    };
    let slot = c.slot(0)?;
    Ok(vec![convert(c, slot, to)?])
}

pub(super) fn cast_like(c: &mut Call<'_>) -> Outputs {
    c.attrs.ignore(&["saturate", "round_mode"]);
    let to = match c.slot(1)? {
        Slot::Tensor(v) => c.b.dtype(v) as i32,
        Slot::Foreign(f) => f.elem_type,
        Slot::Widened(_) => t::DOUBLE,
        Slot::Strings(_) | Slot::Codes(_) | Slot::Labels(..) => t::STRING,
        other => return Err(c.no_tensor(&other, 1)),
    };
    let slot = c.slot(0)?;
    Ok(vec![convert(c, slot, to)?])
}

fn convert(c: &mut Call<'_>, slot: Slot, to: i32) -> Lowered<Slot> {
    let dtype = u8::try_from(to).ok().and_then(DType::from_code);
    match (slot, dtype, to) {
        (Slot::Tensor(v), Some(d), _) => Ok(Slot::Tensor(c.b.cast(v, d)?)),
        // Back to where it came from: float64 held it exactly.
        (Slot::Widened(v), Some(d), _) => back(c, v, d),
        (Slot::Widened(v), None, t::DOUBLE) => Ok(Slot::Widened(v)),
        (Slot::Foreign(f), Some(d), _) => {
            Ok(Slot::Tensor(c.b.constant(Tensor { shape: f.shape.clone(), data: narrow(&f, d)? })))
        }
        (Slot::Foreign(f), None, _) if f.elem_type == to => Ok(Slot::Foreign(f)),
        (Slot::Foreign(f), None, t::DOUBLE) => match &f.data {
            ForeignData::Float(_) => Ok(Slot::Foreign(Arc::new(Foreign { elem_type: to, ..(*f).clone() }))),
            ForeignData::Integer(_) => refuse!("a constant of {} cast to double", f.type_name()),
        },
        (Slot::Tensor(v), None, t::DOUBLE) => match c.b.dtype(v) {
            // Every value is exact in float64.
            DType::F32 | DType::I32 | DType::I8 | DType::U8 | DType::Bool => Ok(Slot::Widened(v)),
            DType::I64 => refuse!("int64 cast to float64"),
        },
        (s @ (Slot::Strings(_) | Slot::Codes(_) | Slot::Labels(..)), None, t::STRING) => Ok(s),
        (_, None, t::DOUBLE | t::FLOAT16 | t::BFLOAT16) => {
            Err(Refusal::new(format!("a cast to {}: this arithmetic is float32", t::name(to)))
                .advice("export the model in float32"))
        }
        (Slot::Tensor(_) | Slot::Foreign(_) | Slot::Widened(_), None, _) => refuse!("a cast to {}", t::name(to)),
        (other, _, _) => Err(c.no_tensor(&other, 0)),
    }
}

/// From float64 to an LS1 type, of a value that was widened without loss.
fn back(c: &mut Call<'_>, v: Val, d: DType) -> Lowered<Slot> {
    Ok(Slot::Tensor(c.b.cast(v, d)?))
}

/// One rounding to f32; to integers truncating and saturating as LS1 casts.
fn narrow(f: &Foreign, d: DType) -> Lowered<Data> {
    macro_rules! each {
        ($v:expr, $zero:expr) => {
            match d {
                DType::F32 => Data::F32($v.iter().map(|x| lockstep_engine::float::canonical(*x as f32)).collect()),
                DType::U8 => Data::U8($v.iter().map(|x| *x as u8).collect()),
                DType::I8 => Data::I8($v.iter().map(|x| *x as i8).collect()),
                DType::I32 => Data::I32($v.iter().map(|x| *x as i32).collect()),
                DType::I64 => Data::I64($v.iter().map(|x| *x as i64).collect()),
                DType::Bool => Data::Bool($v.iter().map(|x| *x != $zero).collect()),
            }
        };
    }
    Ok(match &f.data {
        ForeignData::Float(v) => each!(v, 0.0),
        ForeignData::Integer(v) => each!(v, 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_constants_round_once() {
        let f = Foreign { elem_type: t::DOUBLE, shape: vec![3], data: ForeignData::Float(vec![0.1, 1e300, -2.5]) };
        assert_eq!(narrow(&f, DType::F32), Ok(Data::F32(vec![0.1, f32::INFINITY, -2.5])));
        assert_eq!(narrow(&f, DType::I32), Ok(Data::I32(vec![0, i32::MAX, -2])));
        // Integers wrap, as LS1 casts them.
        let u = Foreign { elem_type: t::UINT64, shape: vec![1], data: ForeignData::Integer(vec![u64::MAX.into()]) };
        assert_eq!(narrow(&u, DType::I64), Ok(Data::I64(vec![-1])));
    }
}
