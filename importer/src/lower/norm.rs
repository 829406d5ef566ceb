//! Normalisations: never E[x^2] - E[x]^2, which loses everything where the mean is large.

use lockstep_engine::Dim;
use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::pad::{Pad, PadMode};
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::unary::UnaryKind as U;

use super::{Call, Outputs, one};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};
use crate::slot::Slot;

/// x - mean and sqrt(mean(d * d) + eps), over these axes; also the mean.
fn centred(c: &mut Call<'_>, x: Val, axes: &[usize], eps: f32) -> Lowered<(Val, Val, Val)> {
    let mean = c.b.reduce(R::Mean, x, axes, true)?;
    let d = c.b.sub2(x, mean)?;
    let deviation = root_mean_square(c, d, axes, eps)?;
    Ok((d, deviation, mean))
}

fn root_mean_square(c: &mut Call<'_>, d: Val, axes: &[usize], eps: f32) -> Lowered<Val> {
    let square = c.b.mul2(d, d)?;
    let mean = c.b.reduce(R::Mean, square, axes, true)?;
    let eps = c.b.scalar(eps);
    let sum = c.b.add2(mean, eps)?;
    c.b.unary(U::Sqrt, sum)
}

fn operand(c: &Call<'_>, least: usize) -> Lowered<(Val, usize)> {
    let x = c.f32(0)?;
    let rank = c.b.rank(x);
    if rank < least { refuse!("an operand of rank {rank}, at least {least} is expected") } else { Ok((x, rank)) }
}

/// By the batch's own mean and variance; the running ones move towards them.
fn batch_in_training(c: &mut Call<'_>, x: Val, rank: usize) -> Outputs {
    c.b.note("batch normalisation in training mode: the rows of a call influence each other");
    let (eps, momentum) = (c.attrs.float("epsilon", 1e-5)?, c.attrs.float("momentum", 0.9)?);
    let axes: Vec<usize> = (0..rank).filter(|a| *a != 1).collect();
    let (d, deviation, mean) = centred(c, x, &axes, eps)?;
    let mut p = [x; 2];
    for (i, slot) in p.iter_mut().enumerate() {
        let v = c.f32(i + 1)?;
        *slot = c.b.along(v, 1, rank)?;
    }
    let n = c.b.div2(d, deviation)?;
    let scaled = c.b.mul2(n, p[0])?;
    let y = c.b.add2(scaled, p[1])?;
    let square = c.b.mul2(d, d)?;
    let var = c.b.reduce(R::Mean, square, &axes, true)?;
    let (keep, take) = (c.b.scalar(momentum), c.b.scalar(1.0 - momentum));
    let mut out = vec![Slot::Tensor(y)];
    for (i, now) in [mean, var].into_iter().enumerate() {
        let before = c.f32(i + 3)?;
        let shape = c.b.shape(before);
        let now = c.b.reshape(now, &shape)?;
        let (a, b) = (c.b.mul2(before, keep)?, c.b.mul2(now, take)?);
        out.push(Slot::Tensor(c.b.add2(a, b)?));
    }
    Ok(out)
}

pub(super) fn batch(c: &mut Call<'_>) -> Outputs {
    let (x, rank) = operand(c, 2)?;
    if c.version >= 14 && c.attrs.flag("training_mode", false)? {
        return batch_in_training(c, x, rank);
    }
    c.attrs.ignore(&["momentum"]);
    c.attrs.ignore(if c.version < 6 { &["consumed_inputs"] } else { &[] });
    let eval =
        Refusal::new("batch normalisation in training mode").advice("export the model for inference: model.eval()");
    if c.attrs.flag("training_mode", false)? || c.outputs.iter().skip(1).any(|o| *o) {
        return Err(eval);
    }
    if c.version < 7 && !c.attrs.flag("is_test", false)? {
        return Err(eval);
    }
    if c.version < 9 && !c.attrs.flag("spatial", true)? {
        return refuse!("batch normalisation that is not spatial");
    }
    let eps = c.attrs.float("epsilon", 1e-5)?;
    let mut p = [x; 4];
    for (i, slot) in p.iter_mut().enumerate() {
        let v = c.f32(i + 1)?;
        *slot = c.b.along(v, 1, rank)?;
    }
    let [scale, bias, mean, var] = p;
    let eps = c.b.scalar(eps);
    let sum = c.b.add2(var, eps)?;
    let deviation = c.b.unary(U::Sqrt, sum)?;
    let d = c.b.sub2(x, mean)?;
    let n = c.b.div2(d, deviation)?;
    let scaled = c.b.mul2(n, scale)?;
    one(c.b.add2(scaled, bias)?)
}

pub(super) fn instance(c: &mut Call<'_>) -> Outputs {
    let (x, rank) = operand(c, 3)?;
    c.attrs.ignore(if c.version < 6 { &["consumed_inputs"] } else { &[] });
    let eps = c.attrs.float("epsilon", 1e-5)?;
    let (scale, bias) = (c.f32(1)?, c.f32(2)?);
    let (scale, bias) = (c.b.along(scale, 1, rank)?, c.b.along(bias, 1, rank)?);
    let axes: Vec<usize> = (2..rank).collect();
    let (d, deviation, _) = centred(c, x, &axes, eps)?;
    let n = c.b.div2(d, deviation)?;
    let scaled = c.b.mul2(n, scale)?;
    one(c.b.add2(scaled, bias)?)
}

fn stash_type(c: &Call<'_>) -> Lowered<()> {
    match c.attrs.int("stash_type", 1)? {
        1 => Ok(()),
        other => refuse!("stash_type {other}: this arithmetic is float32"),
    }
}

pub(super) fn group(c: &mut Call<'_>) -> Outputs {
    let (x, rank) = operand(c, 3)?;
    stash_type(c)?;
    let eps = c.attrs.float("epsilon", 1e-5)?;
    let groups = c.attrs.int("num_groups", 0)?;
    let (mut scale, mut bias) = (c.f32(1)?, c.f32(2)?);
    let shape = c.b.shape(x);
    let (Some(groups), Some(channels)) = (u64::try_from(groups).ok().filter(|g| *g > 0), shape[1].as_known()) else {
        return refuse!("num_groups {groups} of a symbolic or wrong number of channels");
    };
    if !channels.is_multiple_of(groups) {
        return refuse!("{groups} groups of {channels} channels");
    }
    let each = channels / groups;
    let mut split = vec![shape[0].clone(), Dim::Known(groups), Dim::Known(each)];
    split.extend_from_slice(&shape[2..]);
    let grouped = c.b.reshape(x, &split)?;
    let axes: Vec<usize> = (2..split.len()).collect();
    let (d, deviation, _) = centred(c, grouped, &axes, eps)?;
    let n = c.b.div2(d, deviation)?;
    if c.version < 21 {
        // One factor for each group, and then the same for its channels.
        for v in [&mut scale, &mut bias] {
            *v = c.b.unsqueeze(*v, &[1])?;
            *v = c.b.expand(*v, &[Dim::Known(groups), Dim::Known(each)])?;
            *v = c.b.reshape(*v, &[Dim::Known(channels)])?;
        }
    }
    let n = c.b.reshape(n, &shape)?;
    let (scale, bias) = (c.b.along(scale, 1, rank)?, c.b.along(bias, 1, rank)?);
    let scaled = c.b.mul2(n, scale)?;
    one(c.b.add2(scaled, bias)?)
}

pub(super) fn layer(c: &mut Call<'_>) -> Outputs {
    let (x, rank) = operand(c, 1)?;
    stash_type(c)?;
    let axis = c.b.axis(c.attrs.int("axis", -1)?, rank)?;
    let eps = c.attrs.float("epsilon", 1e-5)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let (d, deviation, mean) = centred(c, x, &axes, eps)?;
    let n = c.b.div2(d, deviation)?;
    let scale = c.f32(1)?;
    let mut out = c.b.mul2(n, scale)?;
    if c.has(2) {
        let bias = c.f32(2)?;
        out = c.b.add2(out, bias)?;
    }
    same_shape(c, out, x)?;
    let mut outputs = vec![Slot::Tensor(out), Slot::Tensor(mean)];
    if c.wants(2) {
        outputs.push(Slot::Tensor(c.b.unary(U::Reciprocal, deviation)?));
    }
    Ok(outputs)
}

fn same_shape(c: &Call<'_>, out: Val, x: Val) -> Lowered<()> {
    if c.b.shape(out) == c.b.shape(x) { Ok(()) } else { refuse!("the scale or bias is larger than the operand") }
}

pub(super) fn rms(c: &mut Call<'_>) -> Outputs {
    let (x, rank) = operand(c, 1)?;
    stash_type(c)?;
    let axis = c.b.axis(c.attrs.int("axis", -1)?, rank)?;
    let eps = c.attrs.float("epsilon", 1e-5)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let deviation = root_mean_square(c, x, &axes, eps)?;
    let n = c.b.div2(x, deviation)?;
    let scale = c.f32(1)?;
    let out = c.b.mul2(n, scale)?;
    same_shape(c, out, x)?;
    one(out)
}

pub(super) fn mean_variance(c: &mut Call<'_>) -> Outputs {
    let (x, rank) = operand(c, 1)?;
    let axes = c.attrs.ints("axes")?.unwrap_or(&[0, 2, 3]);
    let axes = c.b.axes(axes, rank)?;
    let mean = c.b.reduce(R::Mean, x, &axes, true)?;
    let d = c.b.sub2(x, mean)?;
    let square = c.b.mul2(d, d)?;
    let variance = c.b.reduce(R::Mean, square, &axes, true)?;
    let deviation = c.b.unary(U::Sqrt, variance)?;
    let small = c.b.scalar(1e-9);
    let divisor = c.b.add2(deviation, small)?;
    one(c.b.div2(d, divisor)?)
}

pub(super) fn lp(c: &mut Call<'_>) -> Outputs {
    let (x, rank) = operand(c, 1)?;
    let axis = c.b.axis(c.attrs.int("axis", -1)?, rank)?;
    let kind = match c.attrs.int("p", 2)? {
        1 => R::L1,
        2 => R::L2,
        other => return refuse!("p = {other}, 1 or 2 is expected"),
    };
    let norm = c.b.reduce(kind, x, &[axis], true)?;
    let zero = c.b.scalar(0.0);
    let none = c.b.compare(K::Equal, norm, zero)?;
    let q = c.b.div2(x, norm)?;
    one(c.b.select(none, zero, q)?)
}

pub(super) fn lrn(c: &mut Call<'_>) -> Outputs {
    let (x, rank) = operand(c, 2)?;
    let (alpha, beta, bias) =
        (c.attrs.float("alpha", 1e-4)?, c.attrs.float("beta", 0.75)?, c.attrs.float("bias", 1.0)?);
    let Some(size) = u32::try_from(c.attrs.int("size", 0)?).ok().filter(|s| (1..=64).contains(s)) else {
        return refuse!("size {}, 1 to 64 is expected", c.attrs.int("size", 0)?);
    };
    let square = c.b.mul2(x, x)?;
    let (mut begin, mut end) = (vec![0u32; rank], vec![0u32; rank]);
    (begin[1], end[1]) = ((size - 1) / 2, size / 2);
    let padded = c.b.push(Pad { mode: PadMode::Constant, begin, end }, &[square])?;
    let channels = c.b.shape(x)[1].clone();
    let mut sum = c.b.slice_axis(padded, 1, 0, 1, channels.clone())?;
    for k in 1..u64::from(size) {
        let next = c.b.slice_axis(padded, 1, k, 1, channels.clone())?;
        sum = c.b.add2(sum, next)?;
    }
    let (factor, bias, exponent) = (c.b.scalar(alpha / size as f32), c.b.scalar(bias), c.b.scalar(beta));
    let scaled = c.b.mul2(factor, sum)?;
    let base = c.b.add2(bias, scaled)?;
    let divisor = c.b.binary(B::Pow, base, exponent)?;
    one(c.b.div2(x, divisor)?)
}
