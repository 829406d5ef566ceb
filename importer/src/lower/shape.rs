//! Shapes: what becomes a Reshape or an Expand, and shapes as values.

use lockstep_engine::{DType, Dim};

use super::{Call, Outputs, dynamic, one, product};
use crate::build::{Elem, Val};
use crate::error::{Lowered, Refusal, refuse};
use crate::slot::{Codes, Slot};

/// The shape that a Reshape asks for: 0 copies (unless `allowzero`), -1 takes what is left.
fn resolve(x: &[Dim], wanted: &[Elem], allow_zero: bool) -> Lowered<Vec<Dim>> {
    let mut out = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (i, e) in wanted.iter().enumerate() {
        out.push(match e {
            Elem::Int(0) if !allow_zero => match x.get(i) {
                Some(d) => d.clone(),
                None => return refuse!("dimension {i} is to be copied from an operand of rank {}", x.len()),
            },
            Elem::Int(-1) => {
                if open.replace(i).is_some() {
                    return refuse!("two dimensions are -1");
                }
                Dim::Known(1)
            }
            e => match e.to_dim() {
                Some(d) => d,
                None => return refuse!("a dimension of {e:?}"),
            },
        });
    }
    if let Some(i) = open {
        let (all, rest) = (product(x)?, product(&out)?);
        if rest == Dim::Known(0) {
            return refuse!("a dimension of -1 beside one of 0");
        }
        out[i] = all.div_exact(&rest).ok_or_else(|| {
            Refusal::new("the dimension -1 cannot be determined for every size of the symbolic dimensions")
                .advice("export with that dimension fixed")
        })?;
    }
    Ok(out)
}

pub(super) fn reshape(c: &mut Call<'_>) -> Outputs {
    if c.version >= 5 && c.is_data(1) {
        let allow_zero = c.version >= 14 && c.attrs.flag("allowzero", false)?;
        let x = c.x(0)?;
        return one(dynamic::reshape(c, x, allow_zero)?);
    }
    let wanted: Vec<Elem> = if c.version < 5 {
        c.attrs.ignore(&["consumed_inputs"]);
        c.attrs.ints("shape")?.unwrap_or_default().iter().map(|n| Elem::Int(*n)).collect()
    } else {
        let v = c.x(1)?;
        if c.b.rank(v) != 1 {
            return refuse!("a shape of rank {}", c.b.rank(v));
        }
        c.elems(1, "the shape")?
    };
    let allow_zero = c.version >= 14 && c.attrs.flag("allowzero", false)?;
    let slot = c.slot(0)?;
    on_strings_too(c, slot, |c, x| {
        let shape = resolve(&c.b.shape(x), &wanted, allow_zero)?;
        c.b.reshape(x, &shape)
    })
}

/// Strings keep their columns where the rows stay rows.
fn on_strings_too(c: &mut Call<'_>, slot: Slot, f: impl FnOnce(&mut Call<'_>, Val) -> Lowered<Val>) -> Outputs {
    match slot {
        Slot::Codes(k) => {
            let val = f(c, k.val)?;
            let (before, after) = (c.b.shape(k.val), c.b.shape(val));
            let one_column = k.columns.iter().all(|x| Some(x) == k.columns.first());
            if before.first() != after.first() && !(one_column && k.columns.len() == 1) {
                return refuse!("strings of different columns are mixed by a change of shape");
            }
            let width = after.iter().skip(1).try_fold(1u64, |n, d| n.checked_mul(d.as_known()?));
            if width != Some(k.columns.len() as u64) {
                return refuse!("strings of different columns are mixed by a change of shape");
            }
            Ok(vec![Slot::Codes(Codes { val, columns: k.columns })])
        }
        Slot::Labels(v, table) => {
            let val = f(c, v)?;
            Ok(vec![Slot::Labels(val, table)])
        }
        Slot::Widened(v) => {
            let val = f(c, v)?;
            Ok(vec![Slot::Widened(val)])
        }
        Slot::Tensor(v) => one(f(c, v)?),
        other => Err(c.no_tensor(&other, 0)),
    }
}

pub(super) fn flatten(c: &mut Call<'_>) -> Outputs {
    let axis = c.attrs.int("axis", 1)?;
    let slot = c.slot(0)?;
    on_strings_too(c, slot, |c, x| {
        let shape = c.b.shape(x);
        let axis = if axis == shape.len() as i64 { shape.len() } else { c.b.axis(axis, shape.len())? };
        let flat = [product(&shape[..axis])?, product(&shape[axis..])?];
        c.b.reshape(x, &flat)
    })
}

/// Axes of Squeeze and Unsqueeze: an attribute until operator set 12, an operand from 13.
fn axes(c: &mut Call<'_>) -> Lowered<Option<Vec<i64>>> {
    if c.version < 13 {
        return Ok(c.attrs.ints("axes")?.map(<[i64]>::to_vec));
    }
    if c.has(1) { c.ints(1, "the list of axes").map(Some) } else { Ok(None) }
}

pub(super) fn squeeze(c: &mut Call<'_>) -> Outputs {
    if c.version >= 13 && c.is_data(1) {
        let x = c.x(0)?;
        return one(dynamic::squeeze(c, x)?);
    }
    let axes = axes(c)?;
    let slot = c.slot(0)?;
    on_strings_too(c, slot, |c, x| {
        let shape = c.b.shape(x);
        let gone = match axes {
            Some(a) => c.b.axes(&a, shape.len())?,
            None if shape.iter().any(|d| d.as_known().is_none()) => {
                return refuse!("Squeeze without axes of a symbolic shape: the rank would depend on the call");
            }
            None => (0..shape.len()).filter(|i| shape[*i] == Dim::Known(1)).collect(),
        };
        if let Some(i) = gone.iter().find(|i| shape[**i] != Dim::Known(1)) {
            return refuse!("axis {i} is not known to be 1");
        }
        let kept: Vec<Dim> =
            shape.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, d)| d.clone()).collect();
        c.b.reshape(x, &kept)
    })
}

pub(super) fn unsqueeze(c: &mut Call<'_>) -> Outputs {
    if c.version >= 13 && c.is_data(1) {
        let x = c.x(0)?;
        return one(dynamic::unsqueeze(c, x)?);
    }
    let Some(axes) = axes(c)? else { return refuse!("no axes") };
    let slot = c.slot(0)?;
    on_strings_too(c, slot, |c, x| {
        let axes = c.b.axes(&axes, c.b.rank(x) + axes.len())?;
        c.b.unsqueeze(x, &axes)
    })
}

pub(super) fn transpose(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let rank = c.b.rank(x);
    let perm: Vec<usize> = match c.attrs.ints("perm")? {
        Some(p) => p.iter().map(|a| c.b.axis(*a, rank)).collect::<Lowered<_>>()?,
        None => (0..rank).rev().collect(),
    };
    one(c.b.transpose(x, &perm)?)
}

pub(super) fn expand(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    if c.is_data(1) {
        return one(dynamic::expand(c, x)?);
    }
    let wanted: Option<Vec<Dim>> = c.elems(1, "the shape")?.iter().map(Elem::to_dim).collect();
    let Some(wanted) = wanted else { return refuse!("a negative dimension in the shape") };
    // The operand may be larger than the shape: both broadcast.
    let shape = lockstep_engine::ops::shape::broadcast(&c.b.shape(x), &wanted)?;
    one(c.b.expand(x, &shape)?)
}

pub(super) fn tile(c: &mut Call<'_>) -> Outputs {
    let mut x = c.x(0)?;
    let repeats = if c.version < 6 {
        return refuse!("Tile of operator set {}", c.version);
    } else if c.is_data(1) {
        let (checked, repeats) = dynamic::tile(c, x)?;
        x = checked;
        repeats.iter().filter_map(Elem::of).collect()
    } else {
        c.elems(1, "the repeats")?
    };
    let shape = c.b.shape(x);
    if repeats.len() != shape.len() {
        return refuse!("{} repeats for a tensor of rank {}", repeats.len(), shape.len());
    }
    let (mut split, mut wide, mut joined) = (Vec::new(), Vec::new(), Vec::new());
    for (d, r) in shape.iter().zip(&repeats) {
        let Some(r) = r.to_dim() else { return refuse!("a negative number of repeats") };
        if r != Dim::Known(1) {
            split.push(Dim::Known(1));
            wide.push(r.clone());
        }
        split.push(d.clone());
        wide.push(d.clone());
        joined.push(r.mul(d).ok_or_else(|| Refusal::new("a dimension is too large"))?);
    }
    let a = c.b.reshape(x, &split)?;
    let b = c.b.expand(a, &wide)?;
    one(c.b.reshape(b, &joined)?)
}

pub(super) fn shape(c: &mut Call<'_>) -> Outputs {
    let dims = match c.slot(0)? {
        Slot::Codes(k) => c.b.shape(k.val),
        Slot::Labels(v, _) | Slot::Widened(v) => c.b.shape(v),
        _ => {
            let x = c.x(0)?;
            c.b.shape(x)
        }
    };
    let rank = dims.len() as i64;
    let at = |n: i64| (if n < 0 { n + rank } else { n }).clamp(0, rank) as usize;
    let (start, end) = if c.version < 15 { (0, rank) } else { (c.attrs.int("start", 0)?, c.attrs.int("end", rank)?) };
    let (start, end) = (at(start), at(end));
    let part = dims.get(start..end.max(start)).unwrap_or_default();
    let elems: Option<Vec<Elem>> = part.iter().map(Elem::of).collect();
    let Some(elems) = elems else { return refuse!("a dimension beyond 2^63") };
    let n = elems.len();
    one(c.b.dims_value(elems, vec![n], DType::I64))
}

pub(super) fn size(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let n = product(&c.b.shape(x))?;
    let Some(e) = Elem::of(&n) else { return refuse!("a size beyond 2^63") };
    one(c.b.dims_value(vec![e], Vec::new(), DType::I64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_copies_and_minus_one_takes_the_rest() {
        let (k, b) = (Dim::Known, Dim::symbol(0));
        let x = [b.clone(), k(4), k(6)];
        let int = Elem::Int;
        assert_eq!(resolve(&x, &[int(0), int(-1)], false), Ok(vec![b.clone(), k(24)]));
        assert_eq!(resolve(&x, &[int(-1), int(24)], false), Ok(vec![b.clone(), k(24)]));
        assert_eq!(resolve(&x, &[Elem::Dim(b.clone()), int(3), int(-1)], false), Ok(vec![b.clone(), k(3), k(8)]));
        assert!(resolve(&x, &[int(-1), int(5)], false).is_err(), "24 * batch is no multiple of 5");
        assert!(resolve(&x, &[int(-1), int(-1)], false).is_err());
        assert_eq!(resolve(&[k(0), k(3)], &[int(3), int(0)], true), Ok(vec![k(3), k(0)]));
        assert!(resolve(&[k(2)], &[int(2), int(0)], false).is_err());
    }
}
