//! Picking and updating by position; order; running sums; what the declared number of results makes possible.

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::bit_cast::BitCast;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::cumulate::{Cumulate, CumulateKind};
use lockstep_engine::ops::gather_elements::GatherElements;
use lockstep_engine::ops::gather_nd::GatherND;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::ops::scatter::{ScatterElements, ScatterKind, ScatterND};
use lockstep_engine::ops::top_k::TopK;
use lockstep_engine::{DType, Dim};

use super::{Call, Outputs, dynamic, one, product};
use crate::build::{Builder, Elem, Val};
use crate::error::{Lowered, Refusal, refuse};
use crate::slot::Slot;

impl Builder {
    /// One element of `x` for each index along `axis`.
    pub(super) fn gather_elements(&mut self, x: Val, index: Val, axis: usize) -> Lowered<Val> {
        self.push(GatherElements { axis: axis as u8 }, &[x, index])
    }

    /// The `k` first positions of the true elements of a bool vector; those of the false follow.
    fn positions(&mut self, condition: Val, k: Dim) -> Lowered<Val> {
        let n = self.cast(condition, DType::I32)?;
        self.push(TopK { axis: 0, k, greatest: true }, &[n])
    }
}

pub(super) fn gather_elements(c: &mut Call<'_>) -> Outputs {
    let (x, index) = (c.x(0)?, c.x(1)?);
    let axis = c.b.axis(c.attrs.int("axis", 0)?, c.b.rank(x))?;
    one(c.b.gather_elements(x, index, axis)?)
}

pub(super) fn gather_nd(c: &mut Call<'_>) -> Outputs {
    let (x, index) = (c.x(0)?, c.x(1)?);
    match u8::try_from(c.attrs.int("batch_dims", 0)?) {
        Ok(batch_dims) => one(c.b.push(GatherND { batch_dims }, &[x, index])?),
        Err(_) => refuse!("batch_dims {}", c.attrs.int("batch_dims", 0)?),
    }
}

fn scatter_kind(c: &Call<'_>) -> Lowered<ScatterKind> {
    Ok(match c.attrs.string("reduction", "none")?.as_str() {
        "none" => ScatterKind::Assign,
        "add" => ScatterKind::Add,
        "mul" => ScatterKind::Mul,
        "max" => ScatterKind::Max,
        "min" => ScatterKind::Min,
        other => return refuse!("reduction '{other}'"),
    })
}

pub(super) fn scatter_elements(c: &mut Call<'_>) -> Outputs {
    let (x, index, updates) = (c.x(0)?, c.x(1)?, c.x(2)?);
    let axis = c.b.axis(c.attrs.int("axis", 0)?, c.b.rank(x))?;
    let kind = scatter_kind(c)?;
    one(c.b.push(ScatterElements { axis: axis as u8, kind }, &[x, index, updates])?)
}

pub(super) fn scatter_nd(c: &mut Call<'_>) -> Outputs {
    let (x, index, updates) = (c.x(0)?, c.x(1)?, c.x(2)?);
    let kind = scatter_kind(c)?;
    one(c.b.push(ScatterND { kind }, &[x, index, updates])?)
}

/// A cache updated along one axis, from a position of each sample on.
pub(super) fn tensor_scatter(c: &mut Call<'_>) -> Outputs {
    let (cache, update) = (c.x(0)?, c.x(1)?);
    let (shape, part) = (c.b.shape(cache), c.b.shape(update));
    let rank = shape.len();
    let axis = c.b.axis(c.attrs.int("axis", -2)?, rank)?;
    let circular = match c.attrs.string("mode", "linear")?.as_str() {
        "linear" => false,
        "circular" => true,
        other => return refuse!("mode '{other}'"),
    };
    if axis == 0 || part.len() != rank {
        return refuse!("axis {axis} of a cache of rank {rank}, an update of rank {}", part.len());
    }
    let steps = c.b.iota(&part[axis])?;
    let mut index = c.b.along(steps, axis, rank)?;
    if let Some(start) = c.opt(2)? {
        let start = c.b.cast(start, DType::I64)?;
        let zero = c.b.scalar_of(DType::I64, 0);
        // ScatterElements takes a negative index from the end; here it has no meaning.
        let natural = c.b.compare(K::GreaterOrEqual, start, zero)?;
        let start = c.b.require(start, &[natural], Requirement::Range)?;
        let start = c.b.along(start, 0, rank)?;
        index = c.b.add2(index, start)?;
    }
    if circular {
        let length = c.b.dims_vector(&shape[axis..=axis])?;
        index = c.b.binary(B::Mod, index, length)?;
    }
    let index = c.b.expand(index, &part)?;
    one(c.b.push(ScatterElements { axis: axis as u8, kind: ScatterKind::Assign }, &[cache, index, update])?)
}

pub(super) fn top_k(c: &mut Call<'_>) -> Outputs {
    let mut x = c.x(0)?;
    let axis = c.b.axis(c.attrs.int("axis", -1)?, c.b.rank(x))?;
    let greatest = c.attrs.flag("largest", true)?;
    // In order is one of the orders that sorted = 0 allows.
    c.attrs.ignore(&["sorted"]);
    let k = if c.version < 10 {
        Elem::Int(c.attrs.int("k", 0)?).to_dim()
    } else if c.is_data(1) {
        let declared = c.declared(0).or_else(|_| c.declared(1))?;
        let Some(Some(k)) = declared.get(axis).cloned() else {
            return refuse!("k comes from data: the declared shape has to give it");
        };
        x = dynamic::sizes(c, x, 1, std::slice::from_ref(&k))?;
        Some(k)
    } else {
        match c.elems(1, "k")?.as_slice() {
            [k] => k.to_dim(),
            other => return refuse!("k has {} elements", other.len()),
        }
    };
    let Some(k) = k else { return refuse!("a negative k") };
    let index = c.b.push(TopK { axis: axis as u8, k, greatest }, &[x])?;
    let values = c.b.gather_elements(x, index, axis)?;
    Ok(vec![Slot::Tensor(values), Slot::Tensor(index)])
}

/// CumSum, CumProd. An axis from data chooses among the results of all.
pub(super) fn cumulate(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let rank = c.b.rank(x);
    let kind = if c.op == "CumSum" { CumulateKind::Sum } else { CumulateKind::Product };
    let (exclusive, reverse) = (c.attrs.flag("exclusive", false)?, c.attrs.flag("reverse", false)?);
    let along = |c: &mut Call<'_>, axis: usize| c.b.push(Cumulate { kind, axis: axis as u8, exclusive, reverse }, &[x]);
    if !c.is_data(1) {
        let axis = c.ints(1, "the axis")?;
        let [axis] = axis.as_slice() else { return refuse!("{} axes, one is expected", axis.len()) };
        let axis = c.b.axis(*axis, rank)?;
        return one(along(c, axis)?);
    }
    let (axis, n) = c.vector(1)?;
    if n != 1 || rank == 0 {
        return refuse!("{n} axes of a tensor of rank {rank}, one is expected");
    }
    let hits = dynamic::hits(c.b, axis, 1, rank)?;
    let counts = dynamic::counts(c.b, hits)?;
    let one_ = c.b.scalar_of(DType::I64, 1);
    let named = c.b.compare(K::Equal, counts, one_)?;
    let mut out = along(c, 0)?;
    for a in 1..rank {
        let (other, is) = (along(c, a)?, dynamic::element(c.b, named, a)?);
        out = c.b.select(is, other, out)?;
    }
    let any = c.b.reduce(R::Sum, counts, &[0], false)?;
    let any = c.b.compare(K::Equal, any, one_)?;
    one(c.b.require(out, &[any], Requirement::Argument)?)
}

/// The first `length` steps of each sample backwards, the others as they are.
pub(super) fn reverse_sequence(c: &mut Call<'_>) -> Outputs {
    let (x, lengths) = (c.x(0)?, c.x(1)?);
    let shape = c.b.shape(x);
    let (batch, time) = (c.attrs.int("batch_axis", 1)?, c.attrs.int("time_axis", 0)?);
    let ((0, 1) | (1, 0)) = (batch, time) else { return refuse!("batch axis {batch}, time axis {time}") };
    if shape.len() < 2 {
        return refuse!("an operand of rank {}, at least 2 is expected", shape.len());
    }
    let (batch, time, rank) = (batch as usize, time as usize, shape.len());
    let lengths = c.b.cast(lengths, DType::I64)?;
    let steps = c.b.dims_vector(&shape[time..=time])?;
    let [zero, one_] = [0, 1].map(|k| c.b.scalar_of(DType::I64, k));
    let conditions = [c.b.compare(K::GreaterOrEqual, lengths, zero)?, c.b.compare(K::LessOrEqual, lengths, steps)?];
    let lengths = c.b.require(lengths, &conditions, Requirement::Range)?;
    let lengths = c.b.along(lengths, batch, rank)?;
    let at = c.b.iota(&shape[time])?;
    let at = c.b.along(at, time, rank)?;
    let last = c.b.sub2(lengths, one_)?;
    let back = c.b.sub2(last, at)?;
    let inside = c.b.compare(K::Less, at, lengths)?;
    let index = c.b.select(inside, back, at)?;
    let index = c.b.expand(index, &shape)?;
    one(c.b.gather_elements(x, index, time)?)
}

pub(super) fn bit_cast(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let to = c.attrs.int("to", 0)?;
    match u8::try_from(to).ok().and_then(DType::from_code) {
        Some(d) if d == c.b.dtype(x) => one(x),
        Some(to) => one(c.b.push(BitCast { to }, &[x])?),
        None => refuse!("bits read as {}", crate::proto::data_type::name(to as i32)),
    }
}

/// How many elements a condition picks: counted where it is constant, declared and required where it comes from data.
fn picked(c: &mut Call<'_>, condition: Val, declared: impl Fn(&Call<'_>) -> Lowered<Dim>) -> Lowered<(Val, Dim)> {
    let counts = c.b.cast(condition, DType::I64)?;
    let count = c.b.reduce(R::Sum, counts, &[0], true)?;
    if let Some(n) = c.b.as_constant(count).and_then(|t| t.as_i64()?.first().copied()) {
        return Ok((condition, Dim::Known(n as u64)));
    }
    let k = declared(c)?;
    let expected = c.b.dims_vector(std::slice::from_ref(&k))?;
    let equal = c.b.compare(K::Equal, count, expected)?;
    Ok((c.b.require(condition, &[equal], Requirement::Argument)?, k))
}

fn declared_length(c: &Call<'_>, axis: usize) -> Lowered<Dim> {
    c.declared(0)?.get(axis).cloned().flatten().ok_or_else(|| {
        Refusal::new("the shape of the result depends on data").advice("declare how many elements there are")
    })
}

/// The elements (or slices) where a condition holds.
pub(super) fn compress(c: &mut Call<'_>) -> Outputs {
    let (mut x, condition) = (c.x(0)?, c.x(1)?);
    let axis = match c.attrs.int_opt("axis")? {
        Some(a) => c.b.axis(a, c.b.rank(x))?,
        None => {
            let n = product(&c.b.shape(x))?;
            x = c.b.reshape(x, &[n])?;
            0
        }
    };
    if c.b.rank(condition) != 1 || c.b.dtype(condition) != DType::Bool {
        return refuse!("a vector of bools is expected as condition");
    }
    let (condition, k) = picked(c, condition, |c| declared_length(c, axis))?;
    let index = c.b.positions(condition, k)?;
    one(c.b.gather(x, index, axis)?)
}

/// The positions of the elements that are not zero, one row for each axis.
pub(super) fn non_zero(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let shape = c.b.shape(x);
    let n = product(&shape)?;
    let flat = c.b.reshape(x, &[n])?;
    let condition = c.b.cast(flat, DType::Bool)?;
    let (condition, k) = picked(c, condition, |c| declared_length(c, 1))?;
    let mut left = c.b.positions(condition, k.clone())?;
    let mut rows = Vec::with_capacity(shape.len());
    for d in shape.iter().rev() {
        let length = c.b.dims_vector(std::slice::from_ref(d))?;
        let at = c.b.binary(B::Mod, left, length)?;
        rows.push(c.b.reshape(at, &[Dim::Known(1), k.clone()])?);
        left = c.b.div2(left, length)?;
    }
    rows.reverse();
    if rows.is_empty() {
        return refuse!("the positions of a scalar");
    }
    one(c.b.concat(&rows, 0)?)
}
