//! Losses, as the bodies of ONNX's functions write them: inference arithmetic on given labels.

use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::softmax::Softmax;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{DType, Dim};

use super::{Call, Outputs, one};
use crate::build::Val;
use crate::error::{Lowered, refuse};
use crate::slot::Slot;

/// -x[n, target, ...] * weight[target], 0 where the target is `ignore_index`.
fn likelihood(c: &mut Call<'_>, x: Val) -> Lowered<Val> {
    let (target, weight) = (c.x(1)?, c.opt(2)?);
    let ignored = c.attrs.int_opt("ignore_index")?;
    let rank = c.b.rank(x);
    if rank < 2 || c.b.rank(target) + 1 != rank {
        return refuse!("scores of rank {rank}, labels of rank {}", c.b.rank(target));
    }
    let dtype = c.b.dtype(target);
    let is_ignored = match ignored {
        // An i32 label is never a number beyond its type.
        Some(n) if dtype == DType::I64 || i32::try_from(n).is_ok() => {
            let n = c.b.scalar_of(dtype, n);
            Some(c.b.compare(K::Equal, target, n)?)
        }
        _ => None,
    };
    let zero = c.b.scalar_of(dtype, 0);
    let class = match is_ignored {
        Some(is) => c.b.select(is, zero, target)?,
        None => target,
    };
    let index = c.b.unsqueeze(class, &[1])?;
    let picked = c.b.gather_elements(x, index, 1)?;
    let negative = c.b.unary(U::Neg, picked)?;
    let shape = c.b.shape(class);
    let loss = c.b.reshape(negative, &shape)?;

    let (off, on) = (c.b.scalar(0.0), c.b.scalar(1.0));
    let weights = match (weight, is_ignored) {
        (None, None) => None,
        (None, Some(is)) => Some(c.b.select(is, off, on)?),
        (Some(w), is) => {
            let w = c.b.gather(w, class, 0)?;
            Some(match is {
                Some(is) => c.b.select(is, off, w)?,
                None => w,
            })
        }
    };
    let loss = match weights {
        Some(w) => c.b.mul2(loss, w)?,
        None => loss,
    };
    let all: Vec<usize> = (0..shape.len()).collect();
    match (c.attrs.string("reduction", "mean")?.as_str(), weights) {
        ("none", _) => Ok(loss),
        ("sum", _) => c.b.reduce(R::Sum, loss, &all, false),
        ("mean", None) => c.b.reduce(R::Mean, loss, &all, false),
        ("mean", Some(w)) => {
            let (sum, weight) = (c.b.reduce(R::Sum, loss, &all, false)?, c.b.reduce(R::Sum, w, &all, false)?);
            c.b.div2(sum, weight)
        }
        (other, _) => refuse!("reduction '{other}'"),
    }
}

pub(super) fn negative_log_likelihood(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    one(likelihood(c, x)?)
}

pub(super) fn softmax_cross_entropy(c: &mut Call<'_>) -> Outputs {
    let scores = c.f32(0)?;
    if c.b.rank(scores) < 2 || c.b.shape(scores)[1] == Dim::Known(0) {
        return refuse!("scores of rank {} without classes", c.b.rank(scores));
    }
    let log_prob = c.b.push(Softmax { axis: 1, log: true }, &[scores])?;
    let loss = likelihood(c, log_prob)?;
    Ok(vec![Slot::Tensor(loss), Slot::Tensor(log_prob)])
}
