//! Activation functions of recurrent cells, by ONNX's names.

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::unary::UnaryKind as U;

use super::super::Call;
use crate::build::Val;
use crate::error::{Lowered, refuse};

/// A function with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Activation {
    Plain(U),
    Softsign,
    /// alpha * x + beta
    Affine(f32, f32),
    /// x < 0 ? alpha * x : x
    LeakyRelu(f32),
    /// x > alpha ? x : 0
    ThresholdedRelu(f32),
    /// alpha * tanh(beta * x)
    ScaledTanh(f32, f32),
    /// max(0, min(1, alpha * x + beta))
    HardSigmoid(f32, f32),
    /// x < 0 ? alpha * expm1(x) : x
    Elu(f32),
}

/// The functions of all directions, in order. Parameters go to those that take them, in order.
pub(super) fn read(c: &Call<'_>, default: &[&str], directions: usize) -> Lowered<Vec<Activation>> {
    let stated = c.attrs.strings("activations")?;
    let alphas = c.attrs.floats("activation_alpha")?.unwrap_or_default();
    let betas = c.attrs.floats("activation_beta")?.unwrap_or_default();
    let names: Vec<String> = match stated {
        Some(names) if !names.is_empty() => names,
        _ => default.iter().map(|n| (*n).to_owned()).cycle().take(default.len() * directions).collect(),
    };
    if names.len() != default.len() * directions {
        return refuse!("{} activations, {} are expected", names.len(), default.len() * directions);
    }
    let (mut alphas, mut betas) = (alphas.iter(), betas.iter());
    let mut out = Vec::with_capacity(names.len());
    for name in names {
        let mut alpha = |default| alphas.next().copied().unwrap_or(default);
        let mut beta = |default| betas.next().copied().unwrap_or(default);
        out.push(match name.to_ascii_lowercase().as_str() {
            "relu" => Activation::Plain(U::Relu),
            "tanh" => Activation::Plain(U::Tanh),
            "sigmoid" => Activation::Plain(U::Sigmoid),
            "softplus" => Activation::Plain(U::Softplus),
            "softsign" => Activation::Softsign,
            "affine" => Activation::Affine(alpha(1.0), beta(0.0)),
            "leakyrelu" => Activation::LeakyRelu(alpha(0.01)),
            "thresholdedrelu" => Activation::ThresholdedRelu(alpha(1.0)),
            "scaledtanh" => Activation::ScaledTanh(alpha(1.0), beta(1.0)),
            "hardsigmoid" => Activation::HardSigmoid(alpha(0.2), beta(0.5)),
            "elu" => Activation::Elu(alpha(1.0)),
            _ => return refuse!("activation '{name}'"),
        });
    }
    Ok(out)
}

/// max(-limit, min(limit, x))
pub(super) fn clip(c: &mut Call<'_>, x: Val, limit: f32) -> Lowered<Val> {
    let (low, high) = (c.b.scalar(-limit), c.b.scalar(limit));
    let x = c.b.binary(B::Max, x, low)?;
    c.b.binary(B::Min, x, high)
}

impl Activation {
    pub(super) fn apply(self, c: &mut Call<'_>, x: Val) -> Lowered<Val> {
        let mut times = |f: f32, v: Val| {
            let f = c.b.scalar(f);
            c.b.mul2(f, v)
        };
        match self {
            Self::Plain(kind) => c.b.unary(kind, x),
            Self::Softsign => {
                let size = c.b.unary(U::Abs, x)?;
                let one = c.b.scalar(1.0);
                let divisor = c.b.add2(one, size)?;
                c.b.div2(x, divisor)
            }
            Self::Affine(alpha, beta) => {
                let y = times(alpha, x)?;
                let beta = c.b.scalar(beta);
                c.b.add2(y, beta)
            }
            Self::LeakyRelu(alpha) => {
                let below = times(alpha, x)?;
                below_zero(c, x, below)
            }
            Self::ThresholdedRelu(alpha) => {
                let (alpha, zero) = (c.b.scalar(alpha), c.b.scalar(0.0));
                let above = c.b.compare(K::Greater, x, alpha)?;
                c.b.select(above, x, zero)
            }
            Self::ScaledTanh(alpha, beta) => {
                let inner = times(beta, x)?;
                let y = c.b.unary(U::Tanh, inner)?;
                let alpha = c.b.scalar(alpha);
                c.b.mul2(alpha, y)
            }
            Self::HardSigmoid(alpha, beta) => {
                let y = times(alpha, x)?;
                let (beta, zero, one) = (c.b.scalar(beta), c.b.scalar(0.0), c.b.scalar(1.0));
                let y = c.b.add2(y, beta)?;
                let y = c.b.binary(B::Min, y, one)?;
                c.b.binary(B::Max, y, zero)
            }
            Self::Elu(alpha) => {
                let e = c.b.unary(U::Expm1, x)?;
                let below = c.b.scalar(alpha);
                let below = c.b.mul2(below, e)?;
                below_zero(c, x, below)
            }
        }
    }
}

fn below_zero(c: &mut Call<'_>, x: Val, below: Val) -> Lowered<Val> {
    let zero = c.b.scalar(0.0);
    let negative = c.b.compare(K::Less, x, zero)?;
    c.b.select(negative, below, x)
}
