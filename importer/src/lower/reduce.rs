//! Reductions, and the position of the greatest or least element.

use lockstep_engine::DType;
use lockstep_engine::ops::arg_reduce::ArgReduce;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::unary::UnaryKind as U;

use super::{Call, Outputs, dynamic, one};
use crate::build::{Elem, Label, Val};
use crate::error::{Lowered, refuse};

pub(super) fn reduce(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let rank = c.b.rank(x);
    let keep = c.attrs.flag("keepdims", true)?;
    let noop = c.attrs.flag("noop_with_empty_axes", false)?;
    // Axes became an operand in operator set 13 (ReduceSum) and 18 (the others).
    let by_operand = c.version >= if c.op == "ReduceSum" { 13 } else { 18 };
    if by_operand && c.is_data(1) {
        return dynamic::reduce(c, x, keep, |c, axes| over(c, x, axes, keep));
    }
    let axes = if by_operand {
        if c.has(1) { Some(c.ints(1, "the list of axes")?) } else { None }
    } else {
        c.attrs.ints("axes")?.map(<[i64]>::to_vec)
    };
    let axes = c.b.axes(&axes.unwrap_or_default(), rank)?;
    let axes = match (axes.is_empty(), noop) {
        (false, _) => axes,
        (true, true) => return one(of_each(c, x)?),
        (true, false) => (0..rank).collect(),
    };
    if rank == 0 {
        return one(of_each(c, x)?);
    }
    if let Some(v) = of_dims(c, x, keep) {
        return one(v);
    }
    one(over(c, x, &axes, keep)?)
}

fn over(c: &mut Call<'_>, x: Val, axes: &[usize], keep: bool) -> Lowered<Val> {
    let kind = match c.op {
        "ReduceSum" => R::Sum,
        "ReduceMean" => R::Mean,
        "ReduceMax" => R::Max,
        "ReduceMin" => R::Min,
        "ReduceProd" => R::Prod,
        "ReduceL1" => R::L1,
        "ReduceL2" => R::L2,
        "ReduceSumSquare" => R::SumSquare,
        "ReduceLogSum" => R::LogSum,
        _ => R::LogSumExp,
    };
    c.b.reduce(kind, x, axes, keep)
}

/// A reduction of single elements: what it does besides joining.
fn of_each(c: &mut Call<'_>, x: Val) -> Lowered<Val> {
    match c.op {
        "ReduceL1" | "ReduceL2" => c.b.unary(U::Abs, x),
        "ReduceSumSquare" => c.b.mul2(x, x),
        "ReduceLogSum" => c.b.unary(U::Log, x),
        // log(exp(x)), whose maximum is subtracted first.
        "ReduceLogSumExp" if c.b.dtype(x) == DType::F32 => Ok(x),
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd" => Ok(x),
        _ => refuse!("{} of {} over no axes", c.op, c.b.dtype(x)),
    }
}

/// The number of elements, as exporters compute it: the product of a shape.
fn of_dims(c: &mut Call<'_>, x: Val, keep: bool) -> Option<Val> {
    if !c.b.is_dims(x) || c.b.rank(x) != 1 {
        return None;
    }
    let elems = c.b.elems(x)?;
    let total = match c.op {
        "ReduceProd" => elems.iter().try_fold(Elem::Int(1), |acc, e| acc.mul(e)),
        "ReduceSum" => elems.iter().try_fold(Elem::Int(0), |acc, e| acc.add(e)),
        _ => None,
    }?;
    let dtype = c.b.dtype(x);
    Some(c.b.dims_value(vec![total], if keep { vec![1] } else { Vec::new() }, dtype))
}

pub(super) fn arg(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let rank = c.b.rank(x);
    let axis = c.b.axis(c.attrs.int("axis", 0)?, rank)?;
    let op = ArgReduce {
        greatest: c.op == "ArgMax",
        axis: axis as u8,
        keep_dims: c.attrs.flag("keepdims", true)?,
        last: c.attrs.flag("select_last_index", false)?,
    };
    let decides = op.greatest && axis + 1 == rank && rank == 2;
    let out = c.b.push(op, &[x])?;
    if decides {
        c.b.set_label(out, Some(Label::Position));
    }
    one(out)
}
