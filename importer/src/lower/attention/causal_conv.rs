//! Depthwise convolution over the past (ONNX CausalConvWithState, operator set 27).

use lockstep_engine::Dim;
use lockstep_engine::ops::conv::Conv;
use lockstep_engine::ops::pad::{Pad, PadMode};
use lockstep_engine::ops::unary::UnaryKind as U;

use super::super::{Call, Outputs, known};
use crate::error::refuse;
use crate::slot::Slot;

/// Conv of the past state (or zeros) and the operand side by side; the new state is the end of those.
pub(in super::super) fn causal_conv_with_state(c: &mut Call<'_>) -> Outputs {
    let (x, w) = (c.f32(0)?, c.f32(1)?);
    let bias = if c.has(2) { Some(c.f32(2)?) } else { None };
    let (xs, ws) = (c.b.shape(x), c.b.shape(w));
    if xs.len() != 3 || ws.len() != 3 {
        return refuse!("operand and weights of rank 3 are expected");
    }
    let Some(&[channels, 1, kernel]) = known(&ws).as_deref() else {
        return refuse!("weights of (channels, 1, kernel), all known, are expected");
    };
    let (Ok(groups), Ok(k)) = (u32::try_from(channels), u32::try_from(kernel)) else {
        return refuse!("{channels} channels, a kernel of {kernel}");
    };
    if k == 0 {
        return refuse!("a kernel of 0");
    }
    let joined = match c.opt(3)? {
        Some(past) => {
            if c.b.rank(past) != 3 || c.b.shape(past)[2] != Dim::Known(u64::from(k) - 1) {
                return refuse!("a past state of (batch, channels, {}) is expected", k - 1);
            }
            c.b.concat(&[past, x], 2)?
        }
        None if k == 1 => x,
        None => c.b.push(Pad { mode: PadMode::Constant, begin: vec![0, 0, k - 1], end: vec![0; 3] }, &[x])?,
    };
    let op = Conv { groups, strides: vec![1], dilations: vec![1], pads_begin: vec![0], pads_end: vec![0] };
    let mut y = c.b.push_opt(op, &[Some(joined), Some(w), bias])?;
    match c.attrs.string("activation", "none")?.as_str() {
        "none" | "" => {}
        "silu" | "swish" => {
            let s = c.b.unary(U::Sigmoid, y)?;
            y = c.b.mul2(y, s)?;
        }
        other => return refuse!("activation '{other}'"),
    }
    let last = c.b.vector_i64((1..i64::from(k)).rev().map(|i| -i).collect());
    let state = c.b.gather(joined, last, 2)?;
    Ok(vec![Slot::Tensor(y), Slot::Tensor(state)])
}
