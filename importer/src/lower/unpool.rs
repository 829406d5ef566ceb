//! Positions of the elements that MaxPool takes, and MaxUnpool, which puts them back.

use lockstep_engine::ops::arg_reduce::ArgReduce;
use lockstep_engine::ops::pad::{Pad, PadMode};
use lockstep_engine::ops::pool::Pool;
use lockstep_engine::ops::scatter::{ScatterElements, ScatterKind};
use lockstep_engine::{DType, Data, Dim, Tensor};

use super::{Call, Outputs, dynamic, known, one, product};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};

/// Windows times taps of a table.
const MAX_TAPS: usize = 1 << 22;

/// For each window its taps as positions on the flattened spatial axes; a tap outside is its window's first inside.
fn taps(pool: &Pool, size: &[usize], windows: &[usize]) -> Option<Vec<i64>> {
    let n = size.len();
    let each = pool.kernel.iter().try_fold(1usize, |a, k| a.checked_mul(*k as usize))?;
    let all = windows.iter().try_fold(1usize, |a, n| a.checked_mul(*n))?;
    if each.checked_mul(all)? > MAX_TAPS {
        return None;
    }
    let mut out = Vec::with_capacity(each * all);
    for w in 0..all {
        let first = out.len();
        let mut inside = None;
        for t in 0..each {
            let (mut w, mut t, mut at, mut stride, mut ok) = (w, t, 0i64, 1i64, true);
            for a in (0..n).rev() {
                let (i, k) = (w % windows[a], t % pool.kernel[a] as usize);
                (w, t) = (w / windows[a], t / pool.kernel[a] as usize);
                let p = i as i64 * i64::from(pool.strides[a]) + k as i64 * i64::from(pool.dilations[a])
                    - i64::from(pool.pads_begin[a]);
                ok &= (0..size[a] as i64).contains(&p);
                at += p * stride;
                stride *= size[a] as i64;
            }
            inside = inside.or(ok.then_some(at));
            out.push(if ok { at } else { -1 });
        }
        let inside = inside?;
        out[first..].iter_mut().filter(|p| **p < 0).for_each(|p| *p = inside);
    }
    Some(out)
}

/// Where in the whole operand each of `pool`'s results lies: the position of its first greatest tap.
pub(super) fn indices(c: &mut Call<'_>, x: Val, pool: &Pool, result: Val) -> Lowered<Val> {
    if c.attrs.int("storage_order", 0)? != 0 {
        return refuse!("positions in column-major order");
    }
    let (shape, out) = (c.b.shape(x), c.b.shape(result));
    let (Some(size), Some(windows)) = (known(&shape[2..]), known(&out[2..])) else {
        return refuse!("positions in symbolic spatial dimensions");
    };
    let Some(table) = taps(pool, &size, &windows) else { return refuse!("more than {MAX_TAPS} taps") };
    let (count, each) = (windows.iter().product::<usize>(), table.len() / windows.iter().product::<usize>().max(1));
    let rows = product(&shape[..2])?;
    let spatial = size.iter().product::<usize>();
    let flat = c.b.reshape(x, &[rows.clone(), Dim::Known(spatial as u64)])?;
    let which = c.b.constant(Tensor { shape: vec![count, each], data: Data::I64(table.clone()) });
    let seen = c.b.gather(flat, which, 1)?;
    let best = c.b.push(ArgReduce { greatest: true, axis: 2, keep_dims: false, last: false }, &[seen])?;
    let first = c.b.vector_i64((0..count as i64).map(|w| w * each as i64).collect());
    let tap = c.b.add2(best, first)?;
    let table = c.b.vector_i64(table);
    let at = c.b.gather(table, tap, 0)?;
    // Positions count through samples and channels.
    let row = c.b.iota(&rows)?;
    let row = c.b.along(row, 0, 2)?;
    let step = c.b.scalar_of(DType::I64, spatial as i64);
    let before = c.b.mul2(row, step)?;
    let at = c.b.add2(at, before)?;
    c.b.reshape(at, &out)
}

pub(super) fn max_unpool(c: &mut Call<'_>) -> Outputs {
    let (x, index) = (c.x(0)?, c.x(1)?);
    let shape = c.b.shape(x);
    let Some(n) = shape.len().checked_sub(2).filter(|n| *n > 0) else {
        return refuse!("an operand of rank {}, at least 3 is expected", shape.len());
    };
    let list = |name: &str, length: usize, default: i64| -> Lowered<Vec<i64>> {
        let v = c.attrs.ints(name)?.map_or_else(|| vec![default; length], <[i64]>::to_vec);
        if v.len() == length { Ok(v) } else { refuse!("{name} has {} values, {length} are expected", v.len()) }
    };
    let (kernel, strides, pads) = (list("kernel_shape", n, 0)?, list("strides", n, 1)?, list("pads", 2 * n, 0)?);
    let mut inner = shape[..2].to_vec();
    for a in 0..n {
        let size = shape[a + 2].offset(-1).and_then(|d| d.mul(&Dim::Known(strides[a].max(0) as u64)));
        let size = size.and_then(|d| d.offset(kernel[a].checked_sub(pads[a])?.checked_sub(pads[n + a])?));
        inner.push(size.ok_or_else(|| Refusal::new("a window that leaves nothing"))?);
    }
    let (all, values) = (product(&inner)?, product(&shape)?);
    let dtype = c.b.dtype(x);
    let zero = c.b.scalar_of(dtype, 0);
    let zeros = c.b.expand(zero, std::slice::from_ref(&all))?;
    let (flat, index) = (c.b.reshape(x, std::slice::from_ref(&values))?, c.b.reshape(index, &[values])?);
    let scatter = ScatterElements { axis: 0, kind: ScatterKind::Assign };
    let y = c.b.push(scatter, &[zeros, index, flat])?;
    let mut y = c.b.reshape(y, &inner)?;
    if c.has(2) {
        // A larger result is the inner one with a border at its ends.
        let asked = if c.is_data(2) {
            let asked = c.declared_fully(0)?;
            y = dynamic::sizes(c, y, 2, &asked)?;
            asked
        } else {
            let e = c.elems(2, "the shape")?;
            e.iter().map(|e| e.to_dim()).collect::<Option<_>>().ok_or_else(|| Refusal::new("a negative dimension"))?
        };
        let more = |(a, b): (&Dim, &Dim)| match (a, b) {
            _ if a == b => Some(0),
            (Dim::Known(a), Dim::Known(b)) => u32::try_from(a.checked_sub(*b)?).ok(),
            _ => None,
        };
        let end: Option<Vec<u32>> = asked.iter().zip(&inner).map(more).collect();
        let Some(end) = end.filter(|_| asked.len() == inner.len()) else {
            return refuse!("a result smaller than its windows");
        };
        if end.iter().any(|p| *p != 0) {
            let begin = vec![0; end.len()];
            y = c.b.push(Pad { mode: PadMode::Constant, begin, end }, &[y])?;
        }
    }
    one(y)
}
