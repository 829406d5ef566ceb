//! candle's opinion of an operator: an implementation by other people, in f32, with an order of its own (spec CROSS-2).
//!
//! It gets the operands that the reference had, so that what differs is this operator, and nothing piles up along the
//! graph. It cannot know LS1's bits: it finds a wrong specification, not a wrong kernel.

use candle_core::{Device, Result, Tensor as Candle};
use lockstep_engine::{
    Op, Tensor,
    ops::{
        binary::BinaryKind,
        contraction::Gemm,
        conv::Conv,
        reduce::{Reduce, ReduceKind},
        unary::UnaryKind,
    },
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Allowed difference, as a part of the value; for sums also of the result's greatest value.
pub const RELATIVE: f32 = 1e-4;
/// Allowed difference of the smallest values.
pub const ABSOLUTE: f32 = 1e-6;

/// What candle says of one operator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Opinion {
    /// It has no such operator, or not for these operands.
    None,
    /// Every element lies within the tolerance.
    Agrees,
    /// This element does not.
    Doubts { element: usize, candle: f32, reference: f32, allowed: f32 },
}

/// Asks candle.
pub(super) fn opinion(op: &Op, operands: &[Option<&Tensor>], reference: &Tensor) -> Opinion {
    let Some(expected) = reference.as_f32().filter(|values| !values.is_empty()) else { return Opinion::None };
    // What it refuses, or dies of, it has no opinion of.
    let computed = catch_unwind(AssertUnwindSafe(|| compute(op, operands)));
    let Ok(Ok(Some(result))) = computed else { return Opinion::None };
    let Ok(values) = result.flatten_all().and_then(|flat| flat.to_vec1::<f32>()) else { return Opinion::None };
    if values.len() != expected.len() {
        return Opinion::None;
    }
    let sums = matches!(op, Op::MatMul(_) | Op::Gemm(_) | Op::Conv(_) | Op::Reduce(_));
    let greatest = expected.iter().filter(|x| x.is_finite()).fold(0.0f32, |m, x| m.max(x.abs()));
    let scale = if sums { greatest } else { 0.0 };
    for (element, (candle, reference)) in values.iter().zip(expected).enumerate() {
        let allowed = ABSOLUTE + RELATIVE * (reference.abs() + scale);
        let same = candle == reference || (candle.is_nan() && reference.is_nan());
        // An infinite tolerance would allow anything.
        let near = allowed.is_finite() && (candle - reference).abs() <= allowed;
        if !same && !near {
            return Opinion::Doubts { element, candle: *candle, reference: *reference, allowed };
        }
    }
    Opinion::Agrees
}

fn compute(op: &Op, operands: &[Option<&Tensor>]) -> Result<Option<Candle>> {
    let operand = |i: usize| operands.get(i).copied().flatten();
    let Some(x) = operand(0).map(float).transpose()?.flatten() else { return Ok(None) };
    let second = || operand(1).map(float).transpose().map(Option::flatten);
    Ok(Some(match op {
        Op::Unary(u) => match u.kind {
            UnaryKind::Neg => x.neg()?,
            UnaryKind::Abs => x.abs()?,
            UnaryKind::Sign if no_nan(operands) => x.sign()?,
            UnaryKind::Reciprocal => x.recip()?,
            UnaryKind::Sqrt => x.sqrt()?,
            UnaryKind::Floor => x.floor()?,
            UnaryKind::Ceil => x.ceil()?,
            UnaryKind::Relu if no_nan(operands) => x.relu()?,
            UnaryKind::Sigmoid => x.neg()?.exp()?.affine(1.0, 1.0)?.recip()?,
            UnaryKind::Exp => x.exp()?,
            UnaryKind::Log => x.log()?,
            UnaryKind::Tanh => x.tanh()?,
            UnaryKind::Erf => x.erf()?,
            UnaryKind::Sin => x.sin()?,
            UnaryKind::Cos => x.cos()?,
            _ => return Ok(None),
        },
        Op::Binary(b) => {
            let Some(y) = second()? else { return Ok(None) };
            match b.kind {
                BinaryKind::Add => x.broadcast_add(&y)?,
                BinaryKind::Sub => x.broadcast_sub(&y)?,
                BinaryKind::Mul => x.broadcast_mul(&y)?,
                BinaryKind::Div => x.broadcast_div(&y)?,
                BinaryKind::Max if no_nan(operands) => x.broadcast_maximum(&y)?,
                BinaryKind::Min if no_nan(operands) => x.broadcast_minimum(&y)?,
                _ => return Ok(None),
            }
        }
        Op::MatMul(_) => match second()? {
            Some(y) if x.rank() >= 2 && y.rank() >= 2 => x.broadcast_matmul(&y)?,
            _ => return Ok(None),
        },
        Op::Gemm(g) => match second()? {
            Some(y) => gemm(g, &x, &y, operand(2))?,
            None => return Ok(None),
        },
        Op::Conv(c) => match second()? {
            Some(w) => return convolve(c, &x, &w, operand(2)),
            None => return Ok(None),
        },
        Op::Reduce(r) => return reduce(r, &x, operands),
        Op::Softmax(s) if no_nan(operands) => {
            let axis = usize::from(s.axis);
            let moved = x.broadcast_sub(&x.max_keepdim(axis)?)?;
            let all = moved.exp()?.sum_keepdim(axis)?;
            match s.log {
                true => moved.broadcast_sub(&all.log()?)?,
                false => moved.exp()?.broadcast_div(&all)?,
            }
        }
        Op::Transpose(t) => x.permute(t.perm.iter().map(|axis| usize::from(*axis)).collect::<Vec<_>>())?,
        Op::Reshape(_) => x,
        Op::Concat(c) => {
            let mut all = Vec::new();
            for tensor in operands {
                match tensor.map(float).transpose()?.flatten() {
                    Some(tensor) => all.push(tensor),
                    None => return Ok(None),
                }
            }
            Candle::cat(&all, usize::from(c.axis))?
        }
        _ => return Ok(None),
    }))
}

/// A tensor of floats with at least one axis and one element.
fn float(t: &Tensor) -> Result<Option<Candle>> {
    match t.as_f32() {
        Some(v) if !v.is_empty() && !t.shape.is_empty() => {
            Candle::from_slice(v, t.shape.as_slice(), &Device::Cpu).map(Some)
        }
        _ => Ok(None),
    }
}

/// Where LS1 orders or keeps NaNs, candle has rules of its own.
fn no_nan(operands: &[Option<&Tensor>]) -> bool {
    operands.iter().flatten().all(|t| t.first_nan().is_none())
}

fn gemm(g: &Gemm, a: &Candle, b: &Candle, c: Option<&Tensor>) -> Result<Candle> {
    let a = if g.trans_a { a.t()? } else { a.clone() };
    let b = if g.trans_b { b.t()? } else { b.clone() };
    let product = a.contiguous()?.matmul(&b.contiguous()?)?.affine(f64::from(g.alpha), 0.0)?;
    match c.map(float).transpose()?.flatten() {
        Some(c) => product.broadcast_add(&c.affine(f64::from(g.beta), 0.0)?),
        None => Ok(product),
    }
}

/// In two dimensions, alike along both.
fn convolve(c: &Conv, x: &Candle, w: &Candle, bias: Option<&Tensor>) -> Result<Option<Candle>> {
    let alike = |list: &[u32], or: u32| match list {
        [] => Some(or as usize),
        [first, rest @ ..] => rest.iter().all(|n| n == first).then_some(*first as usize),
    };
    let pads: Vec<u32> = c.pads_begin.iter().chain(&c.pads_end).copied().collect();
    let (Some(padding), Some(stride), Some(dilation)) = (alike(&pads, 0), alike(&c.strides, 1), alike(&c.dilations, 1))
    else {
        return Ok(None);
    };
    if x.rank() != 4 {
        return Ok(None);
    }
    let y = x.conv2d(w, padding, stride, dilation, c.groups as usize)?;
    Ok(Some(match bias.map(float).transpose()?.flatten() {
        Some(bias) => y.broadcast_add(&bias.reshape((1, bias.elem_count(), 1, 1))?)?,
        None => y,
    }))
}

fn reduce(r: &Reduce, x: &Candle, operands: &[Option<&Tensor>]) -> Result<Option<Candle>> {
    let axes: Vec<usize> = r.axes.iter().map(|axis| usize::from(*axis)).collect();
    let each = |f: &dyn Fn(&Candle, usize) -> Result<Candle>| axes.iter().try_fold(x.clone(), |x, axis| f(&x, *axis));
    Ok(Some(match r.kind {
        ReduceKind::Sum => x.sum_keepdim(axes.as_slice())?,
        ReduceKind::Mean => x.mean_keepdim(axes.as_slice())?,
        ReduceKind::L1 => x.abs()?.sum_keepdim(axes.as_slice())?,
        ReduceKind::L2 => x.sqr()?.sum_keepdim(axes.as_slice())?.sqrt()?,
        ReduceKind::SumSquare => x.sqr()?.sum_keepdim(axes.as_slice())?,
        ReduceKind::Max if no_nan(operands) => each(&|x, axis| x.max_keepdim(axis))?,
        ReduceKind::Min if no_nan(operands) => each(&|x, axis| x.min_keepdim(axis))?,
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::{
        Data, TensorType,
        ops::{binary::Binary, contraction::MatMul, softmax::Softmax, transpose::Transpose, unary::Unary},
    };

    fn tensor(shape: &[usize], f: impl Fn(usize) -> f32) -> Tensor {
        Tensor::new(shape.to_vec(), Data::F32((0..shape.iter().product()).map(f).collect())).unwrap()
    }

    fn reference(op: &Op, operands: &[Option<&Tensor>]) -> Tensor {
        let types: Vec<Option<TensorType>> = operands.iter().map(|t| t.map(Tensor::ty)).collect();
        let types: Vec<_> = types.iter().map(Option::as_ref).collect();
        let out = op.definition().infer(&types, &lockstep_engine::dim::Bindings::SYMBOLIC).unwrap();
        op.definition().reference(operands, &out).unwrap().remove(0)
    }

    fn wave(i: usize) -> f32 {
        ((i * 37 % 101) as f32 - 50.0) / 17.0
    }

    #[test]
    fn candle_agrees_with_the_reference_where_it_has_the_operator() {
        let (x, y) = (tensor(&[6, 40], wave), tensor(&[40, 9], |i| wave(i + 3)));
        let row = tensor(&[40], |i| wave(i) + 9.0);
        let image = tensor(&[2, 4, 9, 9], wave);
        let kernel = tensor(&[6, 2, 3, 3], |i| wave(i + 5));
        let bias = tensor(&[6], wave);
        let conv = Conv {
            groups: 2,
            strides: vec![2, 2],
            dilations: vec![1, 1],
            pads_begin: vec![1, 1],
            pads_end: vec![1, 1],
        };
        let gemm = Gemm { alpha: 0.5, beta: 2.0, trans_a: false, trans_b: false };
        let unary = |kind| Op::from(Unary { kind });
        let binary = |kind| Op::from(Binary { kind });
        let reduce = |kind| Op::from(Reduce { kind, axes: vec![0, 1], keep_dims: false });
        let line = tensor(&[9], wave);
        let cases: Vec<(Op, Vec<&Tensor>)> = [
            UnaryKind::Neg,
            UnaryKind::Abs,
            UnaryKind::Sign,
            UnaryKind::Reciprocal,
            UnaryKind::Floor,
            UnaryKind::Ceil,
            UnaryKind::Relu,
            UnaryKind::Sigmoid,
            UnaryKind::Exp,
            UnaryKind::Tanh,
            UnaryKind::Erf,
            UnaryKind::Sin,
            UnaryKind::Cos,
        ]
        .into_iter()
        .map(|kind| (unary(kind), vec![&x]))
        .chain([UnaryKind::Sqrt, UnaryKind::Log].into_iter().map(|kind| (unary(kind), vec![&row])))
        .chain(
            [BinaryKind::Add, BinaryKind::Sub, BinaryKind::Mul, BinaryKind::Div, BinaryKind::Max, BinaryKind::Min]
                .into_iter()
                .map(|kind| (binary(kind), vec![&x, &row])),
        )
        .chain(
            [
                ReduceKind::Sum,
                ReduceKind::Mean,
                ReduceKind::Max,
                ReduceKind::Min,
                ReduceKind::L1,
                ReduceKind::L2,
                ReduceKind::SumSquare,
            ]
            .into_iter()
            .map(|kind| (reduce(kind), vec![&x])),
        )
        .chain([
            (MatMul {}.into(), vec![&x, &y]),
            (gemm.into(), vec![&x, &y, &line]),
            (conv.into(), vec![&image, &kernel, &bias]),
            (Softmax { axis: 1, log: false }.into(), vec![&x]),
            (Softmax { axis: 0, log: true }.into(), vec![&x]),
            (Transpose { perm: vec![1, 0] }.into(), vec![&x]),
        ])
        .collect();
        for (op, operands) in &cases {
            let operands: Vec<Option<&Tensor>> = operands.iter().map(|t| Some(*t)).collect();
            let result = reference(op, &operands);
            assert_eq!(opinion(op, &operands, &result), Opinion::Agrees, "{op:?}");
            // A result that is off by more than the tolerance is doubted, by every operator.
            let mut off = result.as_f32().unwrap().to_vec();
            let greatest = off.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            *off.last_mut().unwrap() += 1e-3 * (1.0 + 2.0 * greatest);
            let last = off.len() - 1;
            let off = Tensor::new(result.shape.clone(), Data::F32(off)).unwrap();
            let doubt = opinion(op, &operands, &off);
            assert!(matches!(doubt, Opinion::Doubts { element, .. } if element == last), "{op:?}: {doubt:?}");
        }
    }

    #[test]
    fn what_candle_lacks_is_no_opinion() {
        let x = tensor(&[2, 2], |i| [f32::NAN, 1.0, 2.0, 3.0][i]);
        for op in [Op::from(Unary { kind: UnaryKind::Atanh }), Unary { kind: UnaryKind::Relu }.into()] {
            assert_eq!(opinion(&op, &[Some(&x)], &reference(&op, &[Some(&x)])), Opinion::None);
        }
    }
}
