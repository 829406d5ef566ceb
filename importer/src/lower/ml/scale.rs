//! Scaling, normalising, filling gaps, thresholds.

use lockstep_engine::DType;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::unary::UnaryKind as U;

use crate::error::refuse;
use crate::lower::{Call, Outputs, one};

pub(super) fn scaler(c: &mut Call<'_>) -> Outputs {
    let x = c.converted(0)?;
    let offset = c.attrs.floats("offset")?.unwrap_or_default().to_vec();
    let scale = c.attrs.floats("scale")?.unwrap_or_default().to_vec();
    if offset.is_empty() || scale.is_empty() || c.b.rank(x) == 0 {
        return refuse!("{} offsets and {} scales", offset.len(), scale.len());
    }
    let shape = c.b.shape(x);
    let (offset, scale) = (c.b.vector(offset), c.b.vector(scale));
    let d = c.b.sub2(x, offset)?;
    let y = c.b.mul2(d, scale)?;
    if c.b.shape(y) != shape {
        return refuse!("more offsets or scales than columns");
    }
    one(y)
}

pub(super) fn normalizer(c: &mut Call<'_>) -> Outputs {
    let x = c.converted(0)?;
    let rank = c.b.rank(x);
    if !(1..=2).contains(&rank) {
        return refuse!("an operand of rank {rank}");
    }
    let kind = match c.attrs.string("norm", "MAX")?.as_str() {
        "MAX" => R::Max,
        "L1" => R::L1,
        "L2" => R::L2,
        other => return refuse!("norm {other}"),
    };
    let norm = c.b.reduce(kind, x, &[rank - 1], true)?;
    let zero = c.b.scalar(0.0);
    let none = c.b.compare(K::Equal, norm, zero)?;
    let q = c.b.div2(x, norm)?;
    one(c.b.select(none, x, q)?)
}

pub(super) fn imputer(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let floats = c.attrs.floats("imputed_value_floats")?.unwrap_or_default().to_vec();
    let ints = c.attrs.ints("imputed_value_int64s")?.unwrap_or_default().to_vec();
    let replaced_float = c.attrs.float("replaced_value_float", 0.0)?;
    let replaced_int = c.attrs.int("replaced_value_int64", 0)?;
    let shape = c.b.shape(x);
    let (missing, imputed) = match (c.b.dtype(x), floats.is_empty(), ints.is_empty()) {
        (DType::F32, false, true) => {
            let missing = if replaced_float.is_nan() {
                c.b.unary(U::IsNan, x)?
            } else {
                let v = c.b.scalar(replaced_float);
                c.b.compare(K::Equal, x, v)?
            };
            (missing, c.b.vector(floats))
        }
        (DType::I64, true, false) => {
            let v = c.b.scalar_of(DType::I64, replaced_int);
            (c.b.compare(K::Equal, x, v)?, c.b.vector_i64(ints))
        }
        (t, _, _) => {
            return refuse!("an operand of {t} with {} floats and {} integers to impute", floats.len(), ints.len());
        }
    };
    let y = c.b.select(missing, imputed, x)?;
    if c.b.shape(y) != shape {
        return refuse!("more values to impute than columns");
    }
    one(y)
}

pub(super) fn binarizer(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let threshold = c.attrs.float("threshold", 0.0)?;
    if c.b.dtype(x) != DType::F32 {
        return refuse!("an operand of {}", c.b.dtype(x));
    }
    let t = c.b.scalar(threshold);
    let over = c.b.compare(K::Greater, x, t)?;
    one(c.b.cast(over, DType::F32)?)
}
