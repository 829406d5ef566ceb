//! Activation functions: written sequences of elementwise operators.

use lockstep_engine::DType;
use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{Data, Dim};

use super::{Call, Outputs, one};
use crate::build::Val;
use crate::error::{Lowered, refuse};

fn operand(c: &mut Call<'_>) -> Lowered<Val> {
    c.attrs.ignore(if c.version < 6 { &["consumed_inputs"] } else { &[] });
    c.f32(0)
}

/// x < 0 ? below : x
fn below_zero(c: &mut Call<'_>, x: Val, below: Val) -> Lowered<Val> {
    let zero = c.b.scalar(0.0);
    let negative = c.b.compare(K::Less, x, zero)?;
    c.b.select(negative, below, x)
}

fn times(c: &mut Call<'_>, factor: f32, x: Val) -> Lowered<Val> {
    let f = c.b.scalar(factor);
    c.b.mul2(f, x)
}

fn plus(c: &mut Call<'_>, x: Val, addend: f32) -> Lowered<Val> {
    let a = c.b.scalar(addend);
    c.b.add2(x, a)
}

pub(super) fn leaky_relu(c: &mut Call<'_>) -> Outputs {
    let x = operand(c)?;
    let alpha = c.attrs.float("alpha", 0.01)?;
    let below = times(c, alpha, x)?;
    one(below_zero(c, x, below)?)
}

pub(super) fn prelu(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let mut slope = c.x(1)?;
    c.attrs.ignore(if c.version < 7 { &["consumed_inputs"] } else { &[] });
    let (rx, rs) = (c.b.rank(x), c.b.rank(slope));
    if c.version < 7 && rs == 1 && rx > 2 && c.b.shape(slope) != [Dim::Known(1)] {
        slope = c.b.along(slope, 1, rx)?;
    }
    let below = c.b.mul2(slope, x)?;
    let zero = c.b.scalar_of(c.b.dtype(x), 0);
    let negative = c.b.compare(K::Less, x, zero)?;
    one(c.b.select(negative, below, x)?)
}

pub(super) fn elu(c: &mut Call<'_>) -> Outputs {
    let x = operand(c)?;
    let alpha = c.attrs.float("alpha", 1.0)?;
    let e = c.b.unary(U::Expm1, x)?;
    let below = times(c, alpha, e)?;
    one(below_zero(c, x, below)?)
}

pub(super) fn selu(c: &mut Call<'_>) -> Outputs {
    let x = operand(c)?;
    let (a, g) = if c.version < 6 { (1.6732, 1.0507) } else { (1.673_263_2, 1.050_701) };
    let (alpha, gamma) = (c.attrs.float("alpha", a)?, c.attrs.float("gamma", g)?);
    let e = c.b.unary(U::Expm1, x)?;
    let below = times(c, alpha, e)?;
    let inner = below_zero(c, x, below)?;
    one(times(c, gamma, inner)?)
}

pub(super) fn celu(c: &mut Call<'_>) -> Outputs {
    let x = operand(c)?;
    let alpha = c.attrs.float("alpha", 1.0)?;
    let a = c.b.scalar(alpha);
    let q = c.b.div2(x, a)?;
    let e = c.b.unary(U::Expm1, q)?;
    let below = times(c, alpha, e)?;
    one(below_zero(c, x, below)?)
}

pub(super) fn thresholded_relu(c: &mut Call<'_>) -> Outputs {
    let x = operand(c)?;
    let alpha = c.attrs.float("alpha", 1.0)?;
    let (a, zero) = (c.b.scalar(alpha), c.b.scalar(0.0));
    let above = c.b.compare(K::Greater, x, a)?;
    one(c.b.select(above, x, zero)?)
}

pub(super) fn shrink(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let (bias, lambd) = (c.attrs.float("bias", 0.0)?, c.attrs.float("lambd", 0.5)?);
    let (low, high, zero, bias) = (c.b.scalar(-lambd), c.b.scalar(lambd), c.b.scalar(0.0), c.b.scalar(bias));
    let (up, down) = (c.b.add2(x, bias)?, c.b.sub2(x, bias)?);
    let above = c.b.compare(K::Greater, x, high)?;
    let rest = c.b.select(above, down, zero)?;
    let below = c.b.compare(K::Less, x, low)?;
    one(c.b.select(below, up, rest)?)
}

fn hard(c: &mut Call<'_>, x: Val, alpha: f32, beta: f32) -> Lowered<Val> {
    let scaled = times(c, alpha, x)?;
    let moved = plus(c, scaled, beta)?;
    let (zero, top) = (c.b.scalar(0.0), c.b.scalar(1.0));
    let capped = c.b.binary(B::Min, moved, top)?;
    c.b.binary(B::Max, capped, zero)
}

pub(super) fn hard_sigmoid(c: &mut Call<'_>) -> Outputs {
    let x = operand(c)?;
    let (alpha, beta) = (c.attrs.float("alpha", 0.2)?, c.attrs.float("beta", 0.5)?);
    one(hard(c, x, alpha, beta)?)
}

pub(super) fn hard_swish(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let h = hard(c, x, 1.0 / 6.0, 0.5)?;
    one(c.b.mul2(x, h)?)
}

pub(super) fn softsign(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let a = c.b.unary(U::Abs, x)?;
    let d = plus(c, a, 1.0)?;
    one(c.b.div2(x, d)?)
}

pub(super) fn mish(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let s = c.b.unary(U::Softplus, x)?;
    let t = c.b.unary(U::Tanh, s)?;
    one(c.b.mul2(x, t)?)
}

fn swish_of(c: &mut Call<'_>, x: Val) -> Lowered<Val> {
    let alpha = c.attrs.float("alpha", 1.0)?;
    let scaled = if alpha == 1.0 { x } else { times(c, alpha, x)? };
    let s = c.b.unary(U::Sigmoid, scaled)?;
    c.b.mul2(x, s)
}

pub(super) fn swish(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    one(swish_of(c, x)?)
}

/// Swish of the gate times the value.
pub(super) fn swiglu(c: &mut Call<'_>) -> Outputs {
    let (gate, value) = (c.f32(0)?, c.f32(1)?);
    if c.b.shape(gate) != c.b.shape(value) {
        return refuse!("gate and value of one shape are expected");
    }
    let gate = swish_of(c, gate)?;
    one(c.b.mul2(gate, value)?)
}

pub(super) fn gelu(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let inner = match c.attrs.string("approximate", "none")?.as_str() {
        "none" => {
            let scaled = times(c, std::f32::consts::FRAC_1_SQRT_2, x)?;
            c.b.unary(U::Erf, scaled)?
        }
        "tanh" => {
            let square = c.b.mul2(x, x)?;
            let cube = c.b.mul2(square, x)?;
            let small = times(c, 0.044_715, cube)?;
            let sum = c.b.add2(x, small)?;
            // sqrt(2 / pi)
            let scaled = times(c, 0.797_884_6, sum)?;
            c.b.unary(U::Tanh, scaled)?
        }
        other => return refuse!("approximate '{other}', none or tanh is expected"),
    };
    let shifted = plus(c, inner, 1.0)?;
    let half = times(c, 0.5, x)?;
    one(c.b.mul2(half, shifted)?)
}

pub(super) fn clip(c: &mut Call<'_>) -> Outputs {
    let x = operand_any(c)?;
    let (low, high) = if c.version < 11 {
        let (lo, hi) = (c.attrs.float_opt("min")?, c.attrs.float_opt("max")?);
        (lo.map(|v| c.b.scalar(v)), hi.map(|v| c.b.scalar(v)))
    } else {
        (c.opt(1)?, c.opt(2)?)
    };
    let mut out = x;
    for (bound, kind) in [(low, B::Max), (high, B::Min)] {
        let Some(v) = bound else { continue };
        // A scalar; a vector of one element would change the rank of a scalar.
        let v = if c.b.rank(v) == 1 && c.b.shape(v) == [Dim::Known(1)] { c.b.reshape(v, &[])? } else { v };
        if c.b.rank(v) != 0 {
            return refuse!("a bound is a tensor of rank {}, a scalar is expected", c.b.rank(v));
        }
        if is_no_bound(c, v, kind) {
            continue;
        }
        out = c.b.binary(kind, out, v)?;
    }
    one(out)
}

fn operand_any(c: &mut Call<'_>) -> Lowered<Val> {
    c.attrs.ignore(if c.version < 6 { &["consumed_inputs"] } else { &[] });
    c.x(0)
}

/// An infinite bound bounds nothing (a NaN stays one either way).
fn is_no_bound(c: &Call<'_>, v: Val, kind: B) -> bool {
    let infinity = if kind == B::Max { f32::NEG_INFINITY } else { f32::INFINITY };
    c.b.dtype(v) == DType::F32
        && matches!(c.b.as_constant(v).as_deref().map(|t| &t.data), Some(Data::F32(x)) if x.first() == Some(&infinity))
}
