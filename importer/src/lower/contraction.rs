//! Matrix products and convolution.

use lockstep_engine::Dim;
use lockstep_engine::ops::contraction::{Gemm, MatMul};
use lockstep_engine::ops::conv::Conv;

use super::window::Window;
use super::{Call, Outputs, known, one};
use crate::error::refuse;

pub(super) fn matmul(c: &mut Call<'_>) -> Outputs {
    let (a, b) = (c.f32(0)?, c.f32(1)?);
    one(c.b.push(MatMul {}, &[a, b])?)
}

pub(super) fn gemm(c: &mut Call<'_>) -> Outputs {
    let (a, b) = (c.f32(0)?, c.f32(1)?);
    let mut bias = if c.has(2) { Some(c.f32(2)?) } else { None };
    let op = Gemm {
        alpha: c.attrs.float("alpha", 1.0)?,
        beta: c.attrs.float("beta", 1.0)?,
        trans_a: c.attrs.flag("transA", false)?,
        trans_b: c.attrs.flag("transB", false)?,
    };
    // Before operator set 7 broadcasting had to be asked for; what it gave is the same.
    c.attrs.ignore(if c.version < 7 { &["broadcast"] } else { &[] });
    if !op.alpha.is_finite() || !op.beta.is_finite() {
        return refuse!("alpha {} and beta {}: finite factors are expected", op.alpha, op.beta);
    }
    // A bias of rank 1 against an operand of unknown rows: as ONNX, along the columns.
    if let Some(v) = bias
        && c.b.rank(v) > 2
    {
        let shape = c.b.shape(v);
        let lead = shape.len() - 2;
        if shape[..lead].iter().any(|d| *d != Dim::Known(1)) {
            return refuse!("C has rank {}, at most 2 is expected", shape.len());
        }
        bias = Some(c.b.reshape(v, &shape[lead..])?);
    }
    one(c.b.push_opt(op, &[Some(a), Some(b), bias])?)
}

pub(super) fn conv(c: &mut Call<'_>) -> Outputs {
    let (x, w) = (c.f32(0)?, c.f32(1)?);
    let bias = if c.has(2) { Some(c.f32(2)?) } else { None };
    let weights = c.b.shape(w);
    if weights.len() != c.b.rank(x) {
        return refuse!("the weights have rank {}, the operand {}", weights.len(), c.b.rank(x));
    }
    let Some(kernel) = weights.get(2..).and_then(known) else {
        return refuse!("the kernel's size depends on a symbolic dimension");
    };
    let kernel = kernel.into_iter().map(|k| u32::try_from(k).unwrap_or(u32::MAX)).collect();
    let Ok(groups) = u32::try_from(c.attrs.int("group", 1)?) else { return refuse!("a negative number of groups") };
    let window = Window::read(c, x, Some(kernel))?;
    let op = Conv {
        groups,
        strides: window.strides,
        dilations: window.dilations,
        pads_begin: window.pads_begin,
        pads_end: window.pads_end,
    };
    one(c.b.push_opt(op, &[Some(x), Some(w), bias])?)
}
