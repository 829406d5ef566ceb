//! Shape-like arguments that come from data: axes, shapes, sizes, positions.
//!
//! What the declared shape of the result determines is taken from there, and the graph checks while running that the
//! argument says just that (`Require`); what it leaves open, positions and steps, is computed while running. So a call
//! with an argument that does not fit the declaration fails, and no call gets a wrong answer (spec IMP-10).

mod axes;
mod position;
mod shape;

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::cumulate::{Cumulate, CumulateKind};
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::require::{Require, Requirement};
use lockstep_engine::{DType, Data, Dim};

pub(super) use axes::{reduce, squeeze, unsqueeze};
pub(super) use position::{pad, slice};
pub(super) use shape::{constant_of_shape, expand, range, reshape, sizes, split, tile};

use super::Call;
use crate::build::{Builder, Elem, Val};
use crate::error::{Lowered, Refusal, refuse};

impl Call<'_> {
    /// Whether operand `i` is there and comes from data: neither constant nor made of dimensions.
    pub(crate) fn is_data(&self, i: usize) -> bool {
        self.has(i) && self.x(i).is_ok_and(|v| self.b.elems(v).is_none() && self.b.as_constant(v).is_none())
    }

    /// The declared shape of output `k`, as far as it is known.
    pub(crate) fn declared(&self, k: usize) -> Lowered<Vec<Option<Dim>>> {
        self.declared.get(k).cloned().flatten().ok_or_else(|| {
            // The operand computed on comes first; what says how comes after it.
            let argument = (1..self.inputs.len()).find(|i| self.is_data(*i)).unwrap_or(0);
            Refusal::new("an argument is computed from data, and the file declares no shape for the result")
                .advice("make the argument constant, or run onnx.shape_inference so that the shape is declared")
                .tensor(self.input_names.get(argument).cloned().unwrap_or_default())
        })
    }

    /// The declared shape of output `k`, all of it.
    pub(crate) fn declared_fully(&self, k: usize) -> Lowered<Vec<Dim>> {
        self.declared(k)?.into_iter().collect::<Option<Vec<Dim>>>().ok_or_else(|| {
            Refusal::new("an argument is computed from data, and the file leaves dimensions of the result open")
                .advice("make the argument constant, or declare the shape of the result")
        })
    }

    /// Operand `i` as a vector of i64 of known length.
    pub(crate) fn vector(&mut self, i: usize) -> Lowered<(Val, usize)> {
        let v = self.x(i)?;
        let v = self.b.cast(v, DType::I64)?;
        match self.b.shape(v).as_slice() {
            [] => Ok((self.b.reshape(v, &[Dim::Known(1)])?, 1)),
            [Dim::Known(n)] if *n <= 64 => Ok((v, *n as usize)),
            _ => refuse!("an argument from data: a vector of known length is expected"),
        }
    }
}

impl Builder {
    /// `x` where all of these conditions (bool, any shapes) are true, else the call fails.
    pub(crate) fn require(&mut self, x: Val, conditions: &[Val], what: Requirement) -> Lowered<Val> {
        let mut flat = Vec::with_capacity(conditions.len());
        for c in conditions {
            let shape = self.shape(*c);
            let n = super::product(&shape)?;
            flat.push(self.reshape(*c, &[n])?);
        }
        let all = self.concat(&flat, 0)?;
        if self.as_constant(all).is_some_and(|t| matches!(&t.data, Data::Bool(v) if v.iter().all(|b| *b))) {
            return Ok(x);
        }
        self.push(Require { what }, &[x, all])
    }

    /// Dimensions as a vector of i64.
    pub(crate) fn dims_vector(&mut self, shape: &[Dim]) -> Lowered<Val> {
        let elems: Option<Vec<Elem>> = shape.iter().map(Elem::of).collect();
        let Some(elems) = elems else { return refuse!("a dimension beyond 2^63") };
        Ok(self.dims_value(elems, vec![shape.len()], DType::I64))
    }

    /// 0, 1, 2, ... as a vector of i64 of this length.
    pub(crate) fn iota(&mut self, n: &Dim) -> Lowered<Val> {
        match n {
            Dim::Known(n) if *n <= 1 << 24 => Ok(self.vector_i64((0..*n as i64).collect())),
            Dim::Known(n) => refuse!("a count to {n}"),
            Dim::Expr(_) => {
                let one = self.vector_i64(vec![1]);
                let ones = self.expand(one, std::slice::from_ref(n))?;
                let op = Cumulate { kind: CumulateKind::Sum, axis: 0, exclusive: true, reverse: false };
                self.push(op, &[ones])
            }
        }
    }

    /// Positions that are negative count from the end of axes of these lengths.
    pub(crate) fn wrapped(&mut self, v: Val, lengths: Val) -> Lowered<Val> {
        let zero = self.scalar_of(DType::I64, 0);
        let negative = self.compare(K::Less, v, zero)?;
        let wrapped = self.add2(v, lengths)?;
        self.select(negative, wrapped, v)
    }

    /// Whether all elements of a bool tensor are true, as a scalar.
    pub(crate) fn all_true(&mut self, c: Val) -> Lowered<Val> {
        let n = self.cast(c, DType::I64)?;
        let axes: Vec<usize> = (0..self.rank(n)).collect();
        let product = if axes.is_empty() { n } else { self.reduce(R::Prod, n, &axes, false)? };
        let one = self.scalar_of(DType::I64, 1);
        self.compare(K::Equal, product, one)
    }

    /// a <= v < b.
    pub(crate) fn between(&mut self, v: Val, a: Val, b: Val) -> Lowered<Val> {
        let (from, to) = (self.compare(K::GreaterOrEqual, v, a)?, self.compare(K::Less, v, b)?);
        self.binary(B::And, from, to)
    }

    /// v in [a, b].
    pub(crate) fn clamp(&mut self, v: Val, a: Val, b: Val) -> Lowered<Val> {
        let v = self.binary(B::Min, v, b)?;
        self.binary(B::Max, v, a)
    }
}

/// For axes from data (a vector of length n) over `rank` axes: which element names which axis, bool [n, rank].
pub(super) fn hits(b: &mut Builder, axes: Val, n: usize, rank: usize) -> Lowered<Val> {
    let length = b.scalar_of(DType::I64, rank as i64);
    let axes = b.wrapped(axes, length)?;
    let column = b.reshape(axes, &[Dim::Known(n as u64), Dim::Known(1)])?;
    let row = b.iota(&Dim::Known(rank as u64))?;
    b.compare(K::Equal, column, row)
}

/// How often each axis is named: i64 [rank].
pub(super) fn counts(b: &mut Builder, hits: Val) -> Lowered<Val> {
    let ones = b.cast(hits, DType::I64)?;
    b.reduce(R::Sum, ones, &[0], false)
}

/// What the vector `v` says of each axis, `missing` of an axis that is not named: i64 [rank].
pub(super) fn by_axis(b: &mut Builder, hits: Val, counts: Val, v: Val, n: usize, missing: Val) -> Lowered<Val> {
    let zero = b.scalar_of(DType::I64, 0);
    let column = b.reshape(v, &[Dim::Known(n as u64), Dim::Known(1)])?;
    let said = b.select(hits, column, zero)?;
    let said = b.reduce(R::Sum, said, &[0], false)?;
    let named = b.compare(K::Greater, counts, zero)?;
    b.select(named, said, missing)
}

/// Element `i` of a vector, shape [1].
pub(super) fn element(b: &mut Builder, v: Val, i: usize) -> Lowered<Val> {
    b.slice_axis(v, 0, i as u64, 1, Dim::Known(1))
}
