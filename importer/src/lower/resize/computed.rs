//! Resizing by scales, sizes or regions that come from data: the sizes are those that the file declares (and the
//! call fails where the argument says otherwise), places and weights are computed while running, in f32.

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{DType, Data, Dim, Tensor};

use super::super::sampling::{clamp, far, is, near, with};
use super::super::{Call, Outputs, one, product};
use super::axis::{Kernel, Nearest, Transform};
use super::{Mode, axes, given, operand_of_scales};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};

/// Elements of a matrix of computed weights.
const MAX_WEIGHTS: u64 = 1 << 22;

/// One axis that is resized.
struct Axis {
    at: usize,
    input: u64,
    output: u64,
    /// f32 of shape [1].
    scale: Val,
    roi: Option<[Val; 2]>,
}

/// Whether an argument that the result depends on comes from data.
pub(super) fn applies(c: &Call<'_>, transform: Transform) -> bool {
    let scales = operand_of_scales(c).is_some_and(|i| c.is_data(i));
    let sizes = c.version >= 11 && c.op == "Resize";
    scales || (sizes && (c.is_data(3) || (transform == Transform::CropAndResize && c.is_data(1))))
}

pub(super) fn resize(c: &mut Call<'_>, x: Val, mode: &Mode, transform: Transform, beyond: f32) -> Outputs {
    let shape = c.b.shape(x);
    let result = c.declared_fully(0)?;
    if result.len() != shape.len() {
        return refuse!("the file declares a result of rank {}, the operand has {}", result.len(), shape.len());
    }
    let list = axes(c, shape.len())?;
    let others = (0..shape.len()).filter(|a| !list.contains(a));
    if others.into_iter().any(|a| shape[a] != result[a]) {
        return refuse!("the declared result changes an axis that is not resized");
    }
    let mut conditions = Vec::new();
    let scales = scales(c, &shape, &result, &list, &mut conditions)?;
    let mut tasks = Vec::new();
    for (k, (a, scale)) in list.iter().zip(scales).enumerate() {
        let one = c.b.scalar(1.0);
        let roi = if transform == Transform::CropAndResize { Some(region(c, k, list.len())?) } else { None };
        // Batch and channels, and what is symbolic, stay as they are.
        if shape[*a] == result[*a] && (*a < 2 && shape.len() > 2 || shape[*a].as_known().is_none()) {
            conditions.push(c.b.compare(K::Equal, scale, one)?);
            if let Some([start, end]) = roi {
                let zero = c.b.scalar(0.0);
                conditions.push(c.b.compare(K::Equal, start, zero)?);
                conditions.push(c.b.compare(K::Equal, end, one)?);
            }
            continue;
        }
        let (Some(input), Some(output)) = (shape[*a].as_known(), result[*a].as_known()) else {
            return Err(Refusal::new("a symbolic dimension is resized by an argument from data")
                .advice("export with that dimension fixed"));
        };
        if input == 0 || output == 0 {
            return refuse!("an axis of {input} resized to {output}");
        }
        tasks.push(Axis { at: *a, input, output, scale, roi });
    }
    let mut y = x;
    let mut outside = Vec::new();
    for axis in &tasks {
        let places = axis.places(c, transform)?;
        if transform == Transform::CropAndResize {
            outside.push(axis.outside(c, places, shape.len())?);
        }
        y = match mode {
            Mode::Nearest(n) => {
                let at = axis.nearest(c, places, *n)?;
                c.b.gather(y, at, axis.at)?
            }
            Mode::Weighted(kernel) => {
                let w = axis.weights(c, places, kernel)?;
                axis.apply(c, y, w)?
            }
        };
    }
    for cover in outside {
        let value = c.b.scalar(beyond);
        y = c.b.select(cover, value, y)?;
    }
    if !conditions.is_empty() {
        y = c.b.require(y, &conditions, Requirement::Argument)?;
    }
    one(y)
}

/// The scale of each axis, and the conditions under which the declared sizes are right.
fn scales(
    c: &mut Call<'_>,
    shape: &[Dim],
    result: &[Dim],
    axes: &[usize],
    conditions: &mut Vec<Val>,
) -> Lowered<Vec<Val>> {
    let n = axes.len() as u64;
    let number = |d: &Dim| d.as_known().map(|n| n as f32);
    if let Some(i) = operand_of_scales(c)
        && given(c, i)?
    {
        let scales = c.f32(i)?;
        if c.b.shape(scales) != [Dim::Known(n)] {
            return refuse!("{n} scales are expected");
        }
        let mut out = Vec::new();
        for (k, a) in axes.iter().enumerate() {
            let s = c.b.slice_axis(scales, 0, k as u64, 1, Dim::Known(1))?;
            if let (Some(from), Some(to)) = (number(&shape[*a]), number(&result[*a])) {
                let size = with(c, B::Mul, s, from)?;
                let size = c.b.unary(U::Floor, size)?;
                conditions.push(is(c, K::Equal, size, to)?);
            }
            out.push(s);
        }
        return Ok(out);
    }
    if !given(c, 3)? {
        return refuse!("neither scales nor sizes");
    }
    let sizes = c.x(3)?;
    let sizes = c.b.cast(sizes, DType::I64)?;
    if c.b.shape(sizes) != [Dim::Known(n)] {
        return refuse!("{n} sizes are expected");
    }
    let policy = c.attrs.string("keep_aspect_ratio_policy", "stretch")?;
    if policy == "stretch" {
        let wanted: Vec<Dim> = axes.iter().map(|a| result[*a].clone()).collect();
        let wanted = c.b.dims_vector(&wanted)?;
        conditions.push(c.b.compare(K::Equal, sizes, wanted)?);
        let one = |d: &Dim, r: &Dim| if d == r { Some(1.0) } else { Some(number(r)? / number(d)?) };
        let quotients = axes.iter().map(|a| one(&shape[*a], &result[*a])).collect::<Option<Vec<f32>>>();
        let Some(quotients) = quotients else { return refuse!("sizes of symbolic dimensions from data") };
        return Ok(quotients.into_iter().map(|s| c.b.vector(vec![s])).collect());
    }
    let kind = match policy.as_str() {
        "not_larger" => R::Min,
        "not_smaller" => R::Max,
        other => return refuse!("keep_aspect_ratio_policy '{other}'"),
    };
    let from: Option<Vec<f32>> = axes.iter().map(|a| number(&shape[*a])).collect();
    let Some(from) = from else { return refuse!("{policy} of symbolic dimensions") };
    let from = c.b.vector(from);
    let quotients = c.b.cast(sizes, DType::F32)?;
    let quotients = c.b.div2(quotients, from)?;
    let scale = c.b.reduce(kind, quotients, &[0], true)?;
    // Rounded half up, the sizes have to be the declared ones.
    let found = c.b.mul2(scale, from)?;
    let found = with(c, B::Add, found, 0.5)?;
    let found = c.b.unary(U::Floor, found)?;
    let to: Option<Vec<f32>> = axes.iter().map(|a| number(&result[*a])).collect();
    let Some(to) = to else { return refuse!("{policy} of symbolic dimensions") };
    let to = c.b.vector(to);
    conditions.push(c.b.compare(K::Equal, found, to)?);
    Ok(vec![scale; axes.len()])
}

/// Start and end of the region along the `k`-th of the resized axes, each of shape [1].
fn region(c: &mut Call<'_>, k: usize, axes: usize) -> Lowered<[Val; 2]> {
    let roi = c.f32(1)?;
    if c.b.shape(roi) != [Dim::Known(2 * axes as u64)] {
        return refuse!("{} bounds of the region of interest are expected", 2 * axes);
    }
    let mut at = |i: usize| c.b.slice_axis(roi, 0, i as u64, 1, Dim::Known(1));
    Ok([at(k)?, at(k + axes)?])
}

impl Axis {
    /// Where the outputs fall on the input, f32 [output].
    fn places(&self, c: &mut Call<'_>, t: Transform) -> Lowered<Val> {
        let (n, m) = (self.input as f32, self.output as f32);
        let numbers = |by: f32| (0..self.output).map(|i| i as f32 + by).collect::<Vec<f32>>();
        let centre = |c: &mut Call<'_>| {
            let i = c.b.vector(numbers(0.5));
            let q = c.b.div2(i, self.scale)?;
            with(c, B::Sub, q, 0.5)
        };
        let width = with(c, B::Mul, self.scale, n)?;
        match t {
            Transform::HalfPixel => centre(c),
            Transform::PytorchHalfPixel if self.output > 1 => centre(c),
            Transform::PytorchHalfPixel => Ok(c.b.vector(vec![0.0])),
            Transform::HalfPixelSymmetric => {
                let (m, one) = (c.b.scalar(m), c.b.scalar(1.0));
                let adjusted = c.b.div2(m, width)?;
                let rest = c.b.sub2(one, adjusted)?;
                let shift = with(c, B::Mul, rest, n / 2.0)?;
                let x = centre(c)?;
                c.b.add2(shift, x)
            }
            Transform::Asymmetric => {
                let i = c.b.vector(numbers(0.0));
                c.b.div2(i, self.scale)
            }
            Transform::AlignCorners => {
                let i = c.b.vector(numbers(0.0).iter().map(|i| i * (n - 1.0)).collect());
                let gaps = with(c, B::Sub, width, 1.0)?;
                let x = c.b.div2(i, gaps)?;
                let (alone, zero) = (is(c, K::Equal, width, 1.0)?, c.b.scalar(0.0));
                c.b.select(alone, zero, x)
            }
            Transform::CropAndResize => {
                let Some([start, end]) = self.roi else { return refuse!("no region of interest") };
                if self.output == 1 {
                    let both = c.b.add2(start, end)?;
                    let both = with(c, B::Mul, both, n - 1.0)?;
                    return with(c, B::Mul, both, 0.5);
                }
                let extent = c.b.sub2(end, start)?;
                let extent = with(c, B::Mul, extent, n - 1.0)?;
                let i = c.b.vector(numbers(0.0));
                let x = c.b.mul2(i, extent)?;
                let x = with(c, B::Div, x, m - 1.0)?;
                let first = with(c, B::Mul, start, n - 1.0)?;
                c.b.add2(x, first)
            }
        }
    }

    /// Which outputs fall outside the input; broadcasts over a tensor of this rank.
    fn outside(&self, c: &mut Call<'_>, places: Val, rank: usize) -> Lowered<Val> {
        let (under, over) = (is(c, K::Less, places, 0.0)?, is(c, K::Greater, places, (self.input - 1) as f32)?);
        let outside = c.b.binary(B::Or, under, over)?;
        c.b.along(outside, self.at, rank)
    }

    fn nearest(&self, c: &mut Call<'_>, places: Val, n: Nearest) -> Lowered<Val> {
        let x = match n {
            Nearest::PreferFloor => {
                let x = with(c, B::Sub, places, 0.5)?;
                c.b.unary(U::Ceil, x)?
            }
            Nearest::PreferCeil => {
                let x = with(c, B::Add, places, 0.5)?;
                c.b.unary(U::Floor, x)?
            }
            Nearest::Floor => c.b.unary(U::Floor, places)?,
            Nearest::Ceil => c.b.unary(U::Ceil, places)?,
        };
        let x = clamp(c, x, 0.0, (self.input - 1) as f32)?;
        c.b.cast(x, DType::I64)
    }

    /// The weights (output, input): of every element by its distance, those outside added to the border's.
    fn weights(&self, c: &mut Call<'_>, places: Val, kernel: &Kernel) -> Lowered<Val> {
        let radius = kernel.radius() as u64;
        // An axis cannot shrink by more than its declared sizes, rounded down, allow.
        let most = if kernel.antialias { self.input.div_ceil(self.output) * 2 + 1 } else { 1 };
        let margin = if kernel.exclude_outside { 0 } else { radius.saturating_mul(most) + 2 };
        let width = self.input + 2 * margin;
        if width.saturating_mul(self.output.max(self.input)) > MAX_WEIGHTS {
            return refuse!("an axis of {} resized to {}: too many weights", self.input, self.output);
        }
        let elements = c.b.vector((0..width).map(|j| j as f32 - margin as f32).collect());
        let column = c.b.unsqueeze(places, &[1])?;
        let distance = c.b.sub2(elements, column)?;
        let mut distance = c.b.unary(U::Abs, distance)?;
        if kernel.antialias {
            let shrink = with(c, B::Min, self.scale, 1.0)?;
            distance = c.b.mul2(distance, shrink)?;
        }
        let mut w = match kernel.cubic {
            None => {
                let one = c.b.scalar(1.0);
                let w = c.b.sub2(one, distance)?;
                with(c, B::Max, w, 0.0)?
            }
            Some(a) => {
                let (inner, outer) = (near(c, distance, a)?, far(c, distance, a)?);
                let zero = c.b.scalar(0.0);
                let close = is(c, K::Less, distance, 2.0)?;
                let outer = c.b.select(close, outer, zero)?;
                let close = is(c, K::LessOrEqual, distance, 1.0)?;
                c.b.select(close, inner, outer)?
            }
        };
        if kernel.antialias || kernel.exclude_outside {
            let sum = c.b.reduce(R::Sum, w, &[1], true)?;
            w = c.b.div2(w, sum)?;
        }
        if margin == 0 {
            return Ok(w);
        }
        let (n, width) = (self.input as usize, width as usize);
        let mut fold = vec![0.0; n * width];
        for j in 0..width {
            fold[j * n + j.saturating_sub(margin as usize).min(n - 1)] = 1.0;
        }
        let fold = c.b.constant(Tensor { shape: vec![width, n], data: Data::F32(fold) });
        c.b.push(MatMul {}, &[w, fold])
    }

    /// Sums over the axis: those before it are a batch, those behind it columns.
    fn apply(&self, c: &mut Call<'_>, x: Val, w: Val) -> Lowered<Val> {
        let shape = c.b.shape(x);
        let (before, behind) = (product(&shape[..self.at])?, product(&shape[self.at + 1..])?);
        let columns = c.b.reshape(x, &[before, shape[self.at].clone(), behind])?;
        let y = c.b.push(MatMul {}, &[w, columns])?;
        let mut result = shape;
        result[self.at] = Dim::Known(self.output);
        c.b.reshape(y, &result)
    }
}
