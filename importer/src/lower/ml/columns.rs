//! Columns picked and joined; maps, which become the matrix that they are made from.

use lockstep_engine::{DType, Data, Dim};

use super::super::product;
use crate::build::Label;
use crate::error::{Refusal, refuse};
use crate::lower::{Call, Outputs, one};
use crate::slot::{Codes, Slot};

/// Picks along the last axis. A table of classes picked by arg-max is a label.
pub(super) fn extract(c: &mut Call<'_>) -> Outputs {
    let index = c.x(1)?;
    let n = product(&c.b.shape(index))?;
    let flat = c.b.reshape(index, std::slice::from_ref(&n))?;
    match c.slot(0)? {
        Slot::Strings(s) if s.shape.len() == 1 || s.shape.len() == 2 && s.shape[0] == 1 => {
            let mut sorted = s.data.clone();
            sorted.sort();
            sorted.dedup();
            if sorted.len() != s.data.len() {
                return refuse!("a string stands twice in the table");
            }
            // Out of range would be an index without a string: the position check is the table's own.
            let positions = c.b.vector_i64((0..s.data.len() as i64).collect());
            let picked = c.b.gather(positions, flat, 0)?;
            let out = c.b.reshape(picked, &[Dim::Known(1), n])?;
            Ok(vec![Slot::Labels(out, std::sync::Arc::new(s.data.clone()))])
        }
        Slot::Codes(k) if c.b.rank(k.val) == 2 => {
            let columns: Option<Vec<usize>> =
                c.ints(1, "the index")?.iter().map(|i| k.columns.get(usize::try_from(*i).ok()?).copied()).collect();
            let Some(columns) = columns else { return refuse!("an index outside the {} columns", k.columns.len()) };
            let val = c.b.gather(k.val, flat, 1)?;
            Ok(vec![Slot::Codes(Codes { val, columns })])
        }
        _ => {
            let x = c.x(0)?;
            let rank = c.b.rank(x);
            if rank == 0 {
                return refuse!("a scalar");
            }
            let picked = c.b.gather(x, flat, rank - 1)?;
            let out = if rank == 1 { c.b.reshape(picked, &[Dim::Known(1), n])? } else { picked };
            let label = match (c.b.as_constant(x).as_deref().map(|t| &t.data), c.b.label(index)) {
                (Some(Data::I64(v)), Some(Label::Position)) if rank == 1 => Some(v.clone()),
                (Some(Data::I32(v)), Some(Label::Position)) if rank == 1 => {
                    Some(v.iter().map(|x| i64::from(*x)).collect())
                }
                _ => None,
            };
            let label = label.filter(|v| v.iter().collect::<std::collections::BTreeSet<_>>().len() == v.len());
            c.b.set_label(out, label.map(|v| Label::OneOf(v.into())));
            one(out)
        }
    }
}

pub(super) fn vectorize(c: &mut Call<'_>) -> Outputs {
    let widths = c.attrs.ints("inputdimensions")?.map(<[i64]>::to_vec);
    let mut parts = Vec::new();
    for i in 0..c.inputs.len() {
        let x = c.converted(i)?;
        let shape = c.b.shape(x);
        if shape.len() != 2 {
            return refuse!("an operand of rank {}", shape.len());
        }
        if let Some(w) = &widths
            && w.get(i).and_then(|w| u64::try_from(*w).ok()) != shape[1].as_known()
        {
            return refuse!("inputdimensions {w:?}, operand {i} has {:?} columns", shape[1].as_known());
        }
        parts.push(x);
    }
    one(c.b.concat(&parts, 1)?)
}

pub(super) fn zip_map(c: &mut Call<'_>) -> Outputs {
    let ints = c.attrs.ints("classlabels_int64s")?.unwrap_or_default().len();
    let strings = c.attrs.strings("classlabels_strings")?.unwrap_or_default().len();
    let x = c.x(0)?;
    let shape = c.b.shape(x);
    if c.b.dtype(x) != DType::F32 || shape.len() != 2 {
        return refuse!("a matrix of f32 is expected");
    }
    if shape[1].as_known() != Some((ints + strings) as u64) {
        return Err(Refusal::new(format!("{} labels for {:?} columns", ints + strings, shape[1].as_known())));
    }
    c.b.note("a ZipMap is dropped: its output is the probability matrix, columns in the order of the classes");
    one(x)
}
