//! Pooling.

use lockstep_engine::ops::pool::{Pool, PoolKind};
use lockstep_engine::ops::reduce::ReduceKind;

use super::window::Window;
use super::{Call, Outputs, one};
use crate::error::refuse;
use crate::slot::Slot;

pub(super) fn pool(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let window = Window::read(c, x, None)?;
    let max = c.op == "MaxPool";
    c.attrs.ignore(if max { &["storage_order"] } else { &[] });
    let ceil = c.attrs.flag("ceil_mode", false)? && !window.auto;
    let count_pad = !max && c.attrs.flag("count_include_pad", false)?;
    let extent = |i: usize| u64::from(window.dilations[i]) * u64::from(window.kernel[i] - 1) + 1;
    // A window that lies in the border alone has no element: what it is differs between libraries.
    for i in 0..window.kernel.len() {
        if u64::from(window.pads_begin[i].max(window.pads_end[i])) >= extent(i) {
            return refuse!(
                "a pad of {} around a window of {}",
                window.pads_begin[i].max(window.pads_end[i]),
                extent(i)
            );
        }
    }
    let op = Pool {
        kind: if max { PoolKind::Max } else { PoolKind::Average },
        kernel: window.kernel,
        strides: window.strides,
        dilations: window.dilations,
        pads_begin: window.pads_begin,
        pads_end: window.pads_end,
        ceil,
        count_pad,
    };
    let out = c.b.push(op.clone(), &[x])?;
    let mut results = vec![Slot::Tensor(out)];
    if max && c.wants(1) {
        // Exporters name them also where nothing takes them.
        results.push(match super::unpool::indices(c, x, &op, out) {
            Ok(v) => Slot::Tensor(v),
            Err(r) => Slot::Refused(Box::new(r)),
        });
    }
    Ok(results)
}

pub(super) fn global(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let rank = c.b.rank(x);
    if rank < 3 {
        return refuse!("an operand of rank {rank}, at least 3 is expected");
    }
    let axes: Vec<usize> = (2..rank).collect();
    let kind = if c.op == "GlobalMaxPool" { ReduceKind::Max } else { ReduceKind::Mean };
    one(c.b.reduce(kind, x, &axes, true)?)
}
