//! Slice: a regular part of axes, also of symbolic ones where its start is a number.

use lockstep_engine::Dim;

use super::{Call, Outputs, dynamic, one};
use crate::build::{Elem, Val};
use crate::error::{Lowered, Refusal, refuse};
use crate::slot::{Codes, Slot};

/// From here on an end means the end: exporters write INT_MAX, LONG_MAX and the like.
const FAR: i64 = i32::MAX as i64;

/// A part of one axis.
#[derive(Debug, PartialEq)]
enum Part {
    Regular {
        start: u64,
        step: i64,
        size: Dim,
    },
    /// The last so many elements of an axis whose length is symbolic.
    Last(u64),
}

fn part(dim: &Dim, start: &Elem, end: &Elem, step: i64) -> Lowered<Part> {
    if step == 0 {
        return refuse!("a step of 0");
    }
    if let (Some(n), Some(a), Some(b)) = (dim.as_known(), start.as_int(), end.as_int()) {
        let n = i64::try_from(n).map_err(|_| Refusal::new("an axis beyond 2^63"))?;
        return Ok(of_numbers(n, a, b, step));
    }
    if step < 0 {
        return refuse!("a negative step over a symbolic dimension");
    }
    if let (Elem::Int(s), Elem::Int(e), 1) = (start, end, step)
        && *s < 0
        && *e >= FAR
    {
        return Ok(Part::Last(s.unsigned_abs()));
    }
    let too_complex = || Refusal::new("the part of a symbolic dimension is too complex");
    let start = match start {
        Elem::Int(s) => {
            u64::try_from(*s).map_err(|_| Refusal::new("a part of a symbolic dimension that starts from its end"))?
        }
        Elem::Dim(_) => return refuse!("a part that starts at a symbolic position"),
    };
    let end = match end {
        Elem::Int(e) if *e >= FAR => dim.clone(),
        Elem::Int(e) if *e >= 0 => Dim::Known(*e as u64),
        Elem::Int(e) => dim.offset(*e).ok_or_else(too_complex)?,
        Elem::Dim(d) => d.clone(),
    };
    let length = i64::try_from(start).ok().and_then(|s| end.offset(-s)).ok_or_else(too_complex)?;
    let size = if step == 1 {
        length
    } else {
        length.offset(-1).and_then(|d| d.floor_div(step as u64)).and_then(|d| d.offset(1)).ok_or_else(too_complex)?
    };
    Ok(Part::Regular { start, step, size })
}

/// As numpy: positions count from the end where negative, and are clamped.
fn of_numbers(n: i64, start: i64, end: i64, step: i64) -> Part {
    let from_end = |p: i64| if p < 0 { p.saturating_add(n) } else { p };
    let (start, size) = if step > 0 {
        let (a, b) = (from_end(start).clamp(0, n), from_end(end).clamp(0, n));
        (a, if b > a { (b - a - 1) / step + 1 } else { 0 })
    } else {
        let (a, b) = (from_end(start).clamp(-1, n - 1), from_end(end).clamp(-1, n - 1));
        (a, if a > b { (a - b - 1) / step.saturating_neg() + 1 } else { 0 })
    };
    // An empty part starts anywhere.
    let (start, step) = if size == 0 { (0, 1) } else { (start, if size == 1 { 1 } else { step }) };
    Part::Regular { start: start.max(0) as u64, step, size: Dim::Known(size as u64) }
}

fn take(c: &mut Call<'_>, x: Val, axis: usize, p: Part) -> Lowered<Val> {
    match p {
        Part::Regular { start, step, size } => c.b.slice_axis(x, axis, start, step, size),
        Part::Last(k) => {
            if k > 1 << 20 {
                return refuse!("the last {k} elements of a symbolic dimension");
            }
            let index = c.b.vector_i64((1..=k as i64).rev().map(|i| -i).collect());
            c.b.gather(x, index, axis)
        }
    }
}

/// What is taken of each axis that is named.
struct Parameters {
    starts: Vec<Elem>,
    ends: Vec<Elem>,
    axes: Vec<usize>,
    steps: Vec<i64>,
}

/// Starts, ends, axes and steps of a node on an operand of this rank.
fn parameters(c: &mut Call<'_>, rank: usize) -> Lowered<Parameters> {
    let int = |v: &[i64]| v.iter().map(|n| Elem::Int(*n)).collect::<Vec<_>>();
    let (starts, ends, axes, steps) = if c.version < 10 {
        let list = |name: &str| c.attrs.ints(name);
        let (s, e) = (list("starts")?.unwrap_or_default(), list("ends")?.unwrap_or_default());
        (int(s), int(e), list("axes")?.map(<[i64]>::to_vec), None)
    } else {
        (
            c.elems(1, "the start")?,
            c.elems(2, "the end")?,
            if c.has(3) { Some(c.ints(3, "the list of axes")?) } else { None },
            if c.has(4) { Some(c.ints(4, "the steps")?) } else { None },
        )
    };
    let n = starts.len();
    let axes = axes.unwrap_or_else(|| (0..n as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; n]);
    if ends.len() != n || axes.len() != n || steps.len() != n {
        return refuse!("{n} starts, {} ends, {} axes, {} steps", ends.len(), axes.len(), steps.len());
    }
    c.b.axes(&axes, rank)?;
    let axes = axes.iter().map(|a| c.b.axis(*a, rank)).collect::<Lowered<Vec<_>>>()?;
    Ok(Parameters { starts, ends, axes, steps })
}

pub(super) fn slice(c: &mut Call<'_>) -> Outputs {
    let slot = c.slot(0)?;
    if c.version >= 10 && (1..5).any(|i| c.is_data(i)) {
        let x = c.x(0)?;
        return dynamic::slice(c, x);
    }
    let x = match &slot {
        Slot::Codes(k) => k.val,
        Slot::Widened(v) => *v,
        _ => c.x(0)?,
    };
    let shape = c.b.shape(x);
    let Parameters { starts, ends, axes, steps } = parameters(c, shape.len())?;
    let mut out = x;
    let mut columns = match &slot {
        Slot::Codes(k) => Some(k.columns.clone()),
        _ => None,
    };
    for (i, axis) in axes.into_iter().enumerate() {
        let p = part(&shape[axis], &starts[i], &ends[i], steps[i])?;
        if let (Part::Regular { start, step, size: Dim::Known(n) }, true) = (&p, c.b.is_dims(out)) {
            let picked = c.b.elems(out).and_then(|e| {
                (0..*n as i64).map(|k| e.get(usize::try_from(*start as i64 + k * step).ok()?).cloned()).collect()
            });
            let Some(picked): Option<Vec<Elem>> = picked else {
                return refuse!("a part of a shape of rank {}", shape.len());
            };
            let (dtype, n) = (c.b.dtype(x), picked.len());
            out = c.b.dims_value(picked, vec![n], dtype);
            continue;
        }
        if let Some(k) = &mut columns {
            match (&p, axis, shape.len()) {
                (_, 0, _) => {}
                (Part::Regular { start, step, size: Dim::Known(n) }, 1, 2) => {
                    let picked: Option<Vec<usize>> = (0..*n as i64)
                        .map(|j| k.get(usize::try_from(*start as i64 + j * step).ok()?).copied())
                        .collect();
                    *k = picked.ok_or_else(|| Refusal::new("a part beyond the columns"))?;
                }
                _ => return refuse!("this part of a tensor of strings"),
            }
        }
        out = take(c, out, axis, p)?;
    }
    Ok(vec![match (slot, columns) {
        (_, Some(columns)) => Slot::Codes(Codes { val: out, columns }),
        (Slot::Widened(_), _) => Slot::Widened(out),
        _ => return one(out),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regular(start: u64, step: i64, size: Dim) -> Lowered<Part> {
        Ok(Part::Regular { start, step, size })
    }

    #[test]
    fn numbers_are_clamped_as_in_numpy() {
        let (int, k) = (Elem::Int, Dim::Known);
        for (n, a, b, s, start, step, size) in [
            (10, 2, 5, 1, 2, 1, 3),
            (10, -3, i64::MAX, 1, 7, 1, 3),
            (10, 0, 10, 3, 0, 3, 4),
            (10, -1, i64::MIN, -1, 9, -1, 10),
            (10, 20, 0, -4, 9, -4, 3),
            (10, 5, 2, 1, 0, 1, 0),
            (0, 0, 5, 1, 0, 1, 0),
            (0, -1, i64::MIN, -1, 0, 1, 0),
        ] {
            assert_eq!(part(&k(n), &int(a), &int(b), s), regular(start, step, k(size)), "{n} {a} {b} {s}");
        }
    }

    #[test]
    fn symbolic_axes_keep_their_symbols() {
        let (int, s) = (Elem::Int, Dim::symbol(0));
        assert_eq!(part(&s, &int(1), &int(i64::MAX), 1), regular(1, 1, s.offset(-1).unwrap()));
        assert_eq!(part(&s, &int(0), &int(-2), 1), regular(0, 1, s.offset(-2).unwrap()));
        assert_eq!(part(&s, &int(0), &int(3), 1), regular(0, 1, Dim::Known(3)));
        assert_eq!(part(&s, &int(-1), &int(i64::MAX), 1), Ok(Part::Last(1)));
        assert_eq!(part(&Dim::Known(512), &int(0), &Elem::Dim(s.clone()), 1), regular(0, 1, s.clone()));
        assert!(part(&s, &int(-1), &int(i64::MIN), -1).is_err());
        assert!(part(&s, &int(-3), &int(-1), 1).is_err());
    }
}
