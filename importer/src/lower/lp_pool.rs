//! Pooling by norms (ONNX LpPool, GlobalLpPool).

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::conv::Conv;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{Data, Dim, Tensor};

use super::window::Window;
use super::{Call, Outputs, one, product};
use crate::build::Val;
use crate::error::{Lowered, refuse};

/// abs(x)^p, and its inverse.
fn power(c: &mut Call<'_>, x: Val, p: f32) -> Lowered<Val> {
    let x = c.b.unary(U::Abs, x)?;
    if p == 1.0 {
        return Ok(x);
    }
    if p == 2.0 {
        return c.b.mul2(x, x);
    }
    let p = c.b.scalar(p);
    c.b.binary(B::Pow, x, p)
}

fn root(c: &mut Call<'_>, x: Val, p: f32) -> Lowered<Val> {
    if p == 1.0 {
        return Ok(x);
    }
    if p == 2.0 {
        return c.b.unary(U::Sqrt, x);
    }
    let p = c.b.scalar(1.0 / p);
    c.b.binary(B::Pow, x, p)
}

fn exponent(c: &Call<'_>) -> Lowered<f32> {
    let p = if c.version < 2 { c.attrs.float("p", 2.0)? } else { c.attrs.int("p", 2)? as f32 };
    if p > 0.0 && p <= 1024.0 { Ok(p) } else { refuse!("p = {p}, more than 0 is expected") }
}

/// The sums are a convolution of every channel for itself with ones.
pub(super) fn lp_pool(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let p = exponent(c)?;
    let w = Window::read(c, x, None)?;
    if c.attrs.flag("ceil_mode", false)? && !w.auto {
        return refuse!("ceil_mode 1 of LpPool");
    }
    let shape = c.b.shape(x);
    let x = power(c, x, p)?;
    let mut single = vec![product(&shape[..2])?, Dim::Known(1)];
    single.extend_from_slice(&shape[2..]);
    let x = c.b.reshape(x, &single)?;
    let mut ones = vec![1, 1];
    ones.extend(w.kernel.iter().map(|k| *k as usize));
    let taps = ones.iter().try_fold(1usize, |n, k| n.checked_mul(*k)).filter(|n| *n <= 1 << 20);
    let Some(taps) = taps else { return refuse!("a kernel of {:?}", w.kernel) };
    let ones = c.b.constant(Tensor { shape: ones, data: Data::F32(vec![1.0; taps]) });
    let op =
        Conv { groups: 1, strides: w.strides, dilations: w.dilations, pads_begin: w.pads_begin, pads_end: w.pads_end };
    let sums = c.b.push(op, &[x, ones])?;
    let mut result = shape[..2].to_vec();
    result.extend_from_slice(&c.b.shape(sums)[2..]);
    let sums = c.b.reshape(sums, &result)?;
    one(root(c, sums, p)?)
}

pub(super) fn global_lp_pool(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let p = exponent(c)?;
    let axes: Vec<usize> = (2..c.b.rank(x)).collect();
    if axes.is_empty() {
        return refuse!("an operand of rank {}, at least 3 is expected", c.b.rank(x));
    }
    let x = power(c, x, p)?;
    let sums = c.b.reduce(R::Sum, x, &axes, true)?;
    one(root(c, sums, p)?)
}
