//! Short forms for what lowerings append all the time. An operator that would change nothing is left out.

use lockstep_engine::ops::binary::{Binary, BinaryKind};
use lockstep_engine::ops::cast::Cast;
use lockstep_engine::ops::compare::{Compare, CompareKind};
use lockstep_engine::ops::concat::Concat;
use lockstep_engine::ops::expand::Expand;
use lockstep_engine::ops::gather::Gather;
use lockstep_engine::ops::reduce::{Reduce, ReduceKind};
use lockstep_engine::ops::reshape::Reshape;
use lockstep_engine::ops::select::Select;
use lockstep_engine::ops::slice::Slice;
use lockstep_engine::ops::transpose::Transpose;
use lockstep_engine::ops::unary::{Unary, UnaryKind};
use lockstep_engine::{DType, Data, Dim, Tensor};

use super::{Builder, Elem, Kind, Val};
use crate::error::{Lowered, Refusal, refuse};

impl Builder {
    /// An f32 scalar.
    pub(crate) fn scalar(&mut self, x: f32) -> Val {
        self.constant(Tensor { shape: Vec::new(), data: Data::F32(vec![x]) })
    }

    /// A number as a scalar of a type; exact in every use (0, 1, small counts).
    pub(crate) fn scalar_of(&mut self, dtype: DType, x: i64) -> Val {
        let data = lockstep_engine::float::convert::cast(&Data::I64(vec![x]), dtype);
        self.constant(Tensor { shape: Vec::new(), data })
    }

    /// A vector of f32.
    pub(crate) fn vector(&mut self, v: Vec<f32>) -> Val {
        self.constant(Tensor::vector(v))
    }

    /// A bool scalar.
    pub(crate) fn bool_scalar(&mut self, x: bool) -> Val {
        self.constant(Tensor { shape: Vec::new(), data: Data::Bool(vec![x]) })
    }

    /// A vector of bools.
    pub(crate) fn bools(&mut self, v: Vec<bool>) -> Val {
        self.constant(Tensor { shape: vec![v.len()], data: Data::Bool(v) })
    }

    /// A vector of i64.
    pub(crate) fn vector_i64(&mut self, v: Vec<i64>) -> Val {
        self.constant(Tensor { shape: vec![v.len()], data: Data::I64(v) })
    }

    pub(crate) fn unary(&mut self, kind: UnaryKind, x: Val) -> Lowered<Val> {
        self.push(Unary { kind }, &[x])
    }

    pub(crate) fn binary(&mut self, kind: BinaryKind, a: Val, b: Val) -> Lowered<Val> {
        self.push(Binary { kind }, &[a, b])
    }

    pub(crate) fn add2(&mut self, a: Val, b: Val) -> Lowered<Val> {
        self.binary(BinaryKind::Add, a, b)
    }

    pub(crate) fn sub2(&mut self, a: Val, b: Val) -> Lowered<Val> {
        self.binary(BinaryKind::Sub, a, b)
    }

    pub(crate) fn mul2(&mut self, a: Val, b: Val) -> Lowered<Val> {
        self.binary(BinaryKind::Mul, a, b)
    }

    pub(crate) fn div2(&mut self, a: Val, b: Val) -> Lowered<Val> {
        self.binary(BinaryKind::Div, a, b)
    }

    pub(crate) fn compare(&mut self, kind: CompareKind, a: Val, b: Val) -> Lowered<Val> {
        self.push(Compare { kind }, &[a, b])
    }

    pub(crate) fn select(&mut self, c: Val, a: Val, b: Val) -> Lowered<Val> {
        self.push(Select {}, &[c, a, b])
    }

    pub(crate) fn cast(&mut self, x: Val, to: DType) -> Lowered<Val> {
        let from = self.dtype(x);
        if from == to {
            return Ok(x);
        }
        let integers = [DType::I32, DType::I64];
        if let Kind::Dims(e) = &self.values[x.0 as usize].kind
            && integers.contains(&to)
        {
            let (e, shape) = ((**e).clone(), self.ty(x).dims()?);
            return Ok(self.dims_value(e, shape, to));
        }
        let out = self.push(Cast { to }, &[x])?;
        // A label stays one where no value can change.
        if integers.contains(&from) && integers.contains(&to) || from == DType::F32 && integers.contains(&to) {
            let label = self.label(x);
            self.set_label(out, label);
        }
        Ok(out)
    }

    pub(crate) fn reshape(&mut self, x: Val, shape: &[Dim]) -> Lowered<Val> {
        if self.ty(x).shape == shape {
            return Ok(x);
        }
        if let Kind::Dims(e) = &self.values[x.0 as usize].kind {
            let known: Option<Vec<usize>> = shape.iter().map(|d| d.as_known().map(|n| n as usize)).collect();
            let (e, dtype) = ((**e).clone(), self.dtype(x));
            if let Some(s) = known
                && s.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) == Some(e.len())
            {
                return Ok(self.dims_value(e, s, dtype));
            }
        }
        let out = self.push(Reshape { shape: shape.to_vec() }, &[x])?;
        let label = self.label(x);
        self.set_label(out, label);
        Ok(out)
    }

    /// The shape with dimensions of 1 put in so that they stand at `axes` of the result (ascending).
    pub(crate) fn unsqueeze(&mut self, x: Val, axes: &[usize]) -> Lowered<Val> {
        let mut shape = self.shape(x);
        for a in axes {
            if *a > shape.len() {
                return refuse!("axis {a} of a result of rank {}", shape.len() + 1);
            }
            shape.insert(*a, Dim::Known(1));
        }
        self.reshape(x, &shape)
    }

    /// A vector reshaped so that it broadcasts along `axis` of a tensor of this rank.
    pub(crate) fn along(&mut self, x: Val, axis: usize, rank: usize) -> Lowered<Val> {
        let shape = self.shape(x);
        let [n] = shape.as_slice() else {
            return refuse!("a vector is expected, a tensor of rank {} came", shape.len());
        };
        let mut out = vec![Dim::Known(1); rank];
        match out.get_mut(axis) {
            Some(slot) => *slot = n.clone(),
            None => return refuse!("axis {axis} of rank {rank}"),
        }
        self.reshape(x, &out)
    }

    pub(crate) fn transpose(&mut self, x: Val, perm: &[usize]) -> Lowered<Val> {
        if perm.iter().enumerate().all(|(i, p)| i == *p) && perm.len() == self.rank(x) {
            return Ok(x);
        }
        self.push(Transpose { perm: perm.iter().map(|p| *p as u8).collect() }, &[x])
    }

    pub(crate) fn expand(&mut self, x: Val, shape: &[Dim]) -> Lowered<Val> {
        if self.ty(x).shape == shape {
            return Ok(x);
        }
        self.push(Expand { shape: shape.to_vec() }, &[x])
    }

    pub(crate) fn concat(&mut self, parts: &[Val], axis: usize) -> Lowered<Val> {
        let Some(first) = parts.first() else { return refuse!("nothing to join") };
        if parts.len() == 1 {
            return if axis < self.rank(*first) {
                Ok(*first)
            } else {
                refuse!("axis {axis} of rank {}", self.rank(*first))
            };
        }
        if axis == 0 && parts.iter().any(|p| self.is_dims(*p)) && parts.iter().all(|p| self.rank(*p) == 1) {
            let elems: Option<Vec<Elem>> =
                parts.iter().map(|p| self.elems(*p)).collect::<Option<Vec<_>>>().map(|v| v.concat());
            let dtype = self.dtype(*first);
            if let Some(e) = elems
                && parts.iter().all(|p| self.dtype(*p) == dtype)
            {
                let n = e.len();
                return Ok(self.dims_value(e, vec![n], dtype));
            }
        }
        self.push(Concat { axis: axis as u8 }, parts)
    }

    pub(crate) fn gather(&mut self, x: Val, indices: Val, axis: usize) -> Lowered<Val> {
        self.push(Gather { axis: axis as u8 }, &[x, indices])
    }

    pub(crate) fn reduce(&mut self, kind: ReduceKind, x: Val, axes: &[usize], keep_dims: bool) -> Lowered<Val> {
        self.push(Reduce { kind, axes: axes.iter().map(|a| *a as u8).collect(), keep_dims }, &[x])
    }

    /// Elements `start`, `start + step`, ... of one axis, `size` of them.
    pub(crate) fn slice_axis(&mut self, x: Val, axis: usize, start: u64, step: i64, size: Dim) -> Lowered<Val> {
        let shape = self.shape(x);
        if start == 0 && step == 1 && shape.get(axis) == Some(&size) {
            return Ok(x);
        }
        let mut op = Slice { start: vec![0; shape.len()], step: vec![1; shape.len()], size: shape };
        match (op.start.get_mut(axis), op.step.get_mut(axis), op.size.get_mut(axis)) {
            (Some(a), Some(b), Some(c)) => (*a, *b, *c) = (start, step, size),
            _ => return refuse!("axis {axis} of rank {}", op.size.len()),
        }
        self.push(op, &[x])
    }

    /// An axis counted from the end where negative.
    pub(crate) fn axis(&self, axis: i64, rank: usize) -> Lowered<usize> {
        let at = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(at)
            .ok()
            .filter(|a| *a < rank)
            .ok_or_else(|| Refusal::new(format!("axis {axis} of a tensor of rank {rank}")))
    }

    /// Axes as above: distinct and ascending.
    pub(crate) fn axes(&self, axes: &[i64], rank: usize) -> Lowered<Vec<usize>> {
        let mut out = axes.iter().map(|a| self.axis(*a, rank)).collect::<Lowered<Vec<_>>>()?;
        out.sort_unstable();
        if out.windows(2).any(|w| w[0] == w[1]) {
            return refuse!("an axis is named twice in {axes:?}");
        }
        Ok(out)
    }
}
