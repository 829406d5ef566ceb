//! Joining, splitting, borders, and elements moved between axes.

use lockstep_engine::Dim;
use lockstep_engine::ops::pad::{Pad, PadMode};

use super::{Call, Outputs, dynamic, one};
use crate::build::Elem;
use crate::error::{Lowered, Refusal, refuse};
use crate::slot::{Codes, Slot};

pub(super) fn concat(c: &mut Call<'_>) -> Outputs {
    let axis = match c.attrs.int_opt("axis")? {
        Some(a) => a,
        None if c.version < 4 => 1,
        None => return refuse!("no axis"),
    };
    if matches!(c.slot(0)?, Slot::Codes(_)) {
        return concat_strings(c, axis);
    }
    let all = c.all()?;
    let Some(first) = all.first() else { return refuse!("no operand") };
    let axis = c.b.axis(axis, c.b.rank(*first))?;
    // ONNX asks for one type; skl2onnx relies on it, too.
    one(c.b.concat(&all, axis)?)
}

/// Columns of strings side by side.
fn concat_strings(c: &mut Call<'_>, axis: i64) -> Outputs {
    let (mut vals, mut columns) = (Vec::new(), Vec::new());
    for i in 0..c.inputs.len() {
        match c.slot(i)? {
            Slot::Codes(k) => {
                if c.b.rank(k.val) != 2 || c.b.axis(axis, 2)? != 1 {
                    return refuse!("strings are joined along the columns of matrices only");
                }
                vals.push(k.val);
                columns.extend(k.columns);
            }
            other => return Err(c.no_tensor(&other, i)),
        }
    }
    let val = c.b.concat(&vals, 1)?;
    Ok(vec![Slot::Codes(Codes { val, columns })])
}

pub(super) fn split(c: &mut Call<'_>) -> Outputs {
    let slot = c.slot(0)?;
    let mut x = match &slot {
        Slot::Codes(k) => k.val,
        _ => c.x(0)?,
    };
    let shape = c.b.shape(x);
    let axis = c.b.axis(c.attrs.int("axis", 0)?, shape.len())?;
    let sizes = if c.version < 13 {
        c.attrs.ints("split")?.map(<[i64]>::to_vec)
    } else if c.is_data(1) {
        let (checked, sizes) = dynamic::split(c, x, axis)?;
        x = checked;
        Some(sizes)
    } else if c.has(1) {
        Some(c.ints(1, "the sizes of the parts")?)
    } else {
        None
    };
    let outputs = if c.version >= 18 { c.attrs.int_opt("num_outputs")? } else { None };
    let outputs = outputs.map_or(Some(c.outputs.len()), |n| usize::try_from(n).ok()).unwrap_or(0);
    let sizes = match sizes {
        Some(s) if !s.is_empty() => s,
        _ => {
            let Some(n) = shape[axis].as_known() else { return refuse!("equal parts of a symbolic dimension") };
            let count = outputs as u64;
            if count == 0 || count > 1024 {
                return refuse!("{count} parts");
            }
            let each = n.div_ceil(count);
            // Only since operator set 18 may the last part be smaller.
            if n % count != 0 && c.version < 18 {
                return refuse!("{n} elements in {count} equal parts");
            }
            (0..count).map(|i| each.min(n.saturating_sub(i * each)) as i64).collect()
        }
    };
    if sizes.len() < c.outputs.len() || sizes.len() > 1024 {
        return refuse!("{} parts for {} outputs", sizes.len(), c.outputs.len());
    }
    let total: Option<u64> = sizes.iter().try_fold(0u64, |n, s| n.checked_add(u64::try_from(*s).ok()?));
    if total.is_none() || shape[axis].as_known().is_some_and(|n| Some(n) != total) {
        return refuse!("parts of {sizes:?} of a dimension {:?}", shape[axis].as_known());
    }
    let mut out = Vec::with_capacity(sizes.len());
    let mut start = 0u64;
    for (i, s) in sizes.into_iter().enumerate() {
        let size = s as u64;
        if c.b.is_dims(x) {
            let e = c.b.elems(x).and_then(|e| e.get(start as usize..(start + size) as usize).map(<[_]>::to_vec));
            let Some(e) = e else { return refuse!("parts beyond a shape") };
            let dtype = c.b.dtype(x);
            out.push(Slot::Tensor(c.b.dims_value(e, vec![size as usize], dtype)));
        } else if c.outputs.get(i) == Some(&true) {
            let v = c.b.slice_axis(x, axis, start, 1, Dim::Known(size))?;
            out.push(match &slot {
                Slot::Codes(k) if axis == 1 && shape.len() == 2 => {
                    let part = k.columns.get(start as usize..(start + size) as usize);
                    Slot::Codes(Codes { val: v, columns: part.unwrap_or_default().to_vec() })
                }
                Slot::Codes(_) => return refuse!("strings are split by columns only"),
                _ => Slot::Tensor(v),
            });
        } else {
            out.push(Slot::refused("an output without a name"));
        }
        start += size;
    }
    Ok(out)
}

pub(super) fn pad(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let rank = c.b.rank(x);
    let mode = match c.attrs.string("mode", "constant")?.as_str() {
        "constant" => PadMode::Constant,
        "edge" => PadMode::Edge,
        "reflect" => PadMode::Reflect,
        "wrap" => PadMode::Wrap,
        other => return refuse!("mode '{other}'"),
    };
    if c.version >= 11 && (c.is_data(1) || c.is_data(3)) {
        let value = c.opt(2)?;
        return dynamic::pad(c, x, mode, value);
    }
    let (pads, value, axes) = if c.version < 11 {
        let name = if c.version < 2 { "paddings" } else { "pads" };
        let pads = c.attrs.ints(name)?.unwrap_or_default().to_vec();
        let value = c.attrs.float("value", 0.0)?;
        (pads, (value != 0.0).then(|| c.b.scalar(value)), None)
    } else {
        let axes = if c.has(3) { Some(c.ints(3, "the list of axes")?) } else { None };
        (c.ints(1, "the padding")?, c.opt(2)?, axes)
    };
    let axes = match axes {
        Some(a) => {
            c.b.axes(&a, rank)?;
            a.iter().map(|a| c.b.axis(*a, rank)).collect::<Lowered<Vec<_>>>()?
        }
        None => (0..rank).collect(),
    };
    let n = axes.len();
    if pads.len() != 2 * n {
        return refuse!("{} pads for {n} axes", pads.len());
    }
    let (mut begin, mut end) = (vec![0i64; rank], vec![0i64; rank]);
    for (i, a) in axes.into_iter().enumerate() {
        (begin[a], end[a]) = (pads[i], pads[n + i]);
    }
    // Negative pads cut.
    let mut out = x;
    for a in 0..rank {
        let (b, e) = (begin[a].min(0), end[a].min(0));
        if b == 0 && e == 0 {
            continue;
        }
        if mode != PadMode::Constant {
            return refuse!("negative pads of a mode other than constant");
        }
        let size = c.b.shape(out)[a].offset(b).and_then(|d| d.offset(e));
        let Some(size) = size else { return refuse!("pads that cut more than the axis has") };
        out = c.b.slice_axis(out, a, b.unsigned_abs(), 1, size)?;
    }
    let positive = |v: &[i64]| -> Lowered<Vec<u32>> {
        v.iter().map(|p| u32::try_from((*p).max(0)).map_err(|_| Refusal::new(format!("a pad of {p}")))).collect()
    };
    let (begin, end) = (positive(&begin)?, positive(&end)?);
    if begin.iter().chain(&end).all(|p| *p == 0) {
        return one(out);
    }
    let value = match value {
        Some(v) if mode == PadMode::Constant => {
            if c.b.dtype(v) != c.b.dtype(x) {
                return refuse!("a value of {}, the operand is {}", c.b.dtype(v), c.b.dtype(x));
            }
            Some(c.b.reshape(v, &[])?)
        }
        _ => None,
    };
    one(c.b.push_opt(Pad { mode, begin, end }, &[Some(out), value])?)
}

/// The middle of each axis, with a border of zeros where it is too short.
pub(super) fn center_crop_pad(c: &mut Call<'_>) -> Outputs {
    let mut x = c.x(0)?;
    let shape = c.b.shape(x);
    let rank = shape.len();
    let axes = match c.attrs.ints("axes")? {
        Some(a) => a.iter().map(|a| c.b.axis(*a, rank)).collect::<Lowered<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    let wanted: Vec<Dim> = if c.is_data(1) {
        let declared = c.declared(0)?;
        let sizes: Option<Vec<Dim>> = axes.iter().map(|a| declared.get(*a)?.clone()).collect();
        let Some(sizes) = sizes else { return refuse!("the file leaves dimensions of the result open") };
        x = dynamic::sizes(c, x, 1, &sizes)?;
        sizes
    } else {
        let sizes: Option<Vec<Dim>> = c.elems(1, "the shape")?.iter().map(Elem::to_dim).collect();
        sizes.ok_or_else(|| Refusal::new("a negative dimension"))?
    };
    if wanted.len() != axes.len() {
        return refuse!("{} sizes for {} axes", wanted.len(), axes.len());
    }
    let (mut begin, mut end) = (vec![0u32; rank], vec![0u32; rank]);
    for (a, size) in axes.into_iter().zip(wanted) {
        let (Dim::Known(n), Dim::Known(m)) = (&shape[a], &size) else {
            if shape[a] == size {
                continue;
            }
            return refuse!("axis {a} of symbolic length becomes another");
        };
        if n > m {
            x = c.b.slice_axis(x, a, (n - m) / 2, 1, size)?;
        } else {
            let more = u32::try_from(m - n).map_err(|_| Refusal::new(format!("a border of {}", m - n)))?;
            (begin[a], end[a]) = (more / 2, more - more / 2);
        }
    }
    if end.iter().all(|p| *p == 0) {
        return one(x);
    }
    one(c.b.push(Pad { mode: PadMode::Constant, begin, end }, &[x])?)
}

/// N, C, H, W with numbers where they are needed, and the block size.
fn blocks(c: &mut Call<'_>) -> Lowered<(Vec<Dim>, u64)> {
    let x = c.x(0)?;
    let shape = c.b.shape(x);
    if shape.len() != 4 {
        return refuse!("an operand of rank {}, 4 is expected", shape.len());
    }
    match u64::try_from(c.attrs.int("blocksize", 0)?).ok().filter(|b| (1..=1 << 16).contains(b)) {
        Some(b) => Ok((shape, b)),
        None => refuse!("blocksize {}", c.attrs.int("blocksize", 0)?),
    }
}

fn exact(d: &Dim, n: u64) -> Lowered<Dim> {
    d.div_exact(&Dim::Known(n)).ok_or_else(|| Refusal::new(format!("a dimension that is no known multiple of {n}")))
}

fn scaled(d: &Dim, n: u64) -> Lowered<Dim> {
    d.mul(&Dim::Known(n)).ok_or_else(|| Refusal::new("a dimension is too large"))
}

/// Whether blocks are ordered depth, column, row (and not column, row, depth).
fn depth_first(c: &Call<'_>) -> Lowered<bool> {
    match c.attrs.string("mode", "DCR")?.as_str() {
        "DCR" => Ok(true),
        "CRD" => Ok(false),
        other => refuse!("mode '{other}'"),
    }
}

pub(super) fn depth_to_space(c: &mut Call<'_>) -> Outputs {
    let (s, n) = blocks(c)?;
    let x = c.x(0)?;
    let (b, depth) = (Dim::Known(n), exact(&s[1], n * n)?);
    let [batch, height, width] = [s[0].clone(), s[2].clone(), s[3].clone()];
    let (split, perm) = if depth_first(c)? {
        ([batch.clone(), b.clone(), b, depth.clone(), height.clone(), width.clone()], [0, 3, 4, 1, 5, 2])
    } else {
        ([batch.clone(), depth.clone(), b.clone(), b, height.clone(), width.clone()], [0, 1, 4, 2, 5, 3])
    };
    let y = c.b.reshape(x, &split)?;
    let y = c.b.transpose(y, &perm)?;
    one(c.b.reshape(y, &[batch, depth, scaled(&height, n)?, scaled(&width, n)?])?)
}

pub(super) fn space_to_depth(c: &mut Call<'_>) -> Outputs {
    let (s, n) = blocks(c)?;
    let x = c.x(0)?;
    let (b, height, width) = (Dim::Known(n), exact(&s[2], n)?, exact(&s[3], n)?);
    let split = [s[0].clone(), s[1].clone(), height.clone(), b.clone(), width.clone(), b];
    let perm = if depth_first(c)? { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
    let y = c.b.reshape(x, &split)?;
    let y = c.b.transpose(y, &perm)?;
    one(c.b.reshape(y, &[s[0].clone(), scaled(&s[1], n * n)?, height, width])?)
}
