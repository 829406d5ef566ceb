//! Resize and Upsample: along each axis a product with a constant matrix of weights, or a Gather.

mod axis;
mod computed;

use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::{Data, Dim, Tensor};
use num_traits::One;

use self::axis::{Axis, Kernel, Nearest, Transform};
use super::{Call, Outputs, one, product};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};
use crate::exact::{Q, floor, int, of_f32, ratio};

/// How values between elements are made.
#[derive(Debug, Clone, PartialEq)]
enum Mode {
    Nearest(Nearest),
    Weighted(Kernel),
}

/// What is asked of one axis.
#[derive(Debug, Clone, PartialEq)]
enum Task {
    Keep,
    /// Every element of a symbolic axis this many times.
    Repeat(u64),
    Resample(Axis),
}

/// Until operator set 10 the place on the input is output / scale, and the nearest is the floor.
fn old(c: &Call<'_>) -> bool {
    c.op == "Upsample" || c.version < 11
}

fn mode(c: &Call<'_>) -> Lowered<(Mode, Transform)> {
    let name = c.attrs.string("mode", "nearest")?;
    let transform = c.attrs.string("coordinate_transformation_mode", "half_pixel")?;
    let transform = if old(c) { Transform::Asymmetric } else { Transform::of(&transform)? };
    let nearest = c.attrs.string("nearest_mode", "round_prefer_floor")?;
    let a = c.attrs.float("cubic_coeff_a", -0.75)?;
    let antialias = c.attrs.flag("antialias", false)?;
    let exclude_outside = c.attrs.flag("exclude_outside", false)?;
    let mode = match name.as_str() {
        "nearest" => Mode::Nearest(if old(c) { Nearest::Floor } else { Nearest::of(&nearest)? }),
        "linear" | "bilinear" => Mode::Weighted(Kernel { cubic: None, antialias, exclude_outside }),
        "cubic" => Mode::Weighted(Kernel { cubic: Some(a), antialias, exclude_outside }),
        other => return refuse!("mode '{other}'"),
    };
    Ok((mode, transform))
}

/// A constant operand that is there and not empty.
fn given(c: &Call<'_>, i: usize) -> Lowered<bool> {
    Ok(match c.opt(i)? {
        Some(v) => c.b.shape(v) != [Dim::Known(0)],
        None => false,
    })
}

fn floats(c: &Call<'_>, i: usize, what: &str) -> Lowered<Vec<f32>> {
    match &c.constant(i, what)?.data {
        Data::F32(v) => Ok(v.clone()),
        other => refuse!("{what} of {}, f32 is expected", other.dtype()),
    }
}

fn positive(s: f32) -> Lowered<Q> {
    of_f32(s).filter(|_| s > 0.0).ok_or_else(|| Refusal::new(format!("a scale of {s}")))
}

/// The axes that are spoken of, in that order.
fn axes(c: &Call<'_>, rank: usize) -> Lowered<Vec<usize>> {
    match c.attrs.ints("axes")? {
        Some(list) if !list.is_empty() => {
            c.b.axes(list, rank)?;
            list.iter().map(|a| c.b.axis(*a, rank)).collect()
        }
        _ => Ok((0..rank).collect()),
    }
}

/// The operand that holds the scales; before operator set 9 they are an attribute.
fn operand_of_scales(c: &Call<'_>) -> Option<usize> {
    match (c.op, c.version) {
        ("Upsample", v) if v < 9 => None,
        ("Upsample", _) | ("Resize", 10) => Some(1),
        _ => Some(2),
    }
}

/// What to do along every axis of the operand.
fn tasks(c: &mut Call<'_>, shape: &[Dim], mode: &Mode, transform: Transform) -> Lowered<Vec<Task>> {
    let at = operand_of_scales(c);
    let axes = axes(c, shape.len())?;
    let policy = c.attrs.string("keep_aspect_ratio_policy", "stretch")?;
    let mut out = vec![Task::Keep; shape.len()];
    let crop = transform == Transform::CropAndResize;
    let roi = if crop { floats(c, 1, "the region of interest")? } else { Vec::new() };
    if crop && roi.len() != 2 * axes.len() {
        return refuse!("{} bounds of the region for {} axes", roi.len(), axes.len());
    }
    let region = |k: usize| -> Lowered<Option<[Q; 2]>> {
        match (roi.get(k), roi.get(k + axes.len())) {
            (Some(a), Some(b)) => match (of_f32(*a), of_f32(*b)) {
                (Some(a), Some(b)) => Ok(Some([a, b])),
                _ => refuse!("a region of interest that is not finite"),
            },
            _ => Ok(None),
        }
    };
    let scales = match at {
        None => Some(c.attrs.floats("scales")?.unwrap_or_default().to_vec()),
        Some(i) if given(c, i)? => Some(floats(c, i, "the scales")?),
        Some(_) => None,
    };
    if let Some(scales) = scales {
        if scales.len() != axes.len() {
            return refuse!("{} scales for {} axes", scales.len(), axes.len());
        }
        if crop {
            return Err(Refusal::new("a region of interest with scales").advice("give sizes"));
        }
        for (a, s) in axes.into_iter().zip(scales) {
            out[a] = by_scale(&shape[a], s, mode, transform)?;
        }
        return Ok(out);
    }
    if at != Some(2) || !given(c, 3)? {
        return refuse!("neither scales nor sizes");
    }
    let sizes = c.elems(3, "the sizes")?;
    if sizes.len() != axes.len() {
        return refuse!("{} sizes for {} axes", sizes.len(), axes.len());
    }
    let sizes: Vec<Dim> =
        sizes.iter().map(|s| s.to_dim().ok_or_else(|| Refusal::new("a negative size"))).collect::<Lowered<_>>()?;
    let common = match policy.as_str() {
        "stretch" => None,
        "not_larger" | "not_smaller" => {
            let quotients = axes.iter().zip(&sizes).map(|(a, s)| quotient(&shape[*a], s));
            let quotients = quotients.collect::<Option<Vec<Q>>>();
            let Some(quotients) = quotients else { return refuse!("{policy} of symbolic dimensions") };
            let least = policy == "not_larger";
            quotients.into_iter().reduce(|a, b| if (a < b) == least { a } else { b })
        }
        other => return refuse!("keep_aspect_ratio_policy '{other}'"),
    };
    for (k, (a, size)) in axes.iter().zip(&sizes).enumerate() {
        out[*a] = match (&common, shape[*a].as_known()) {
            (Some(scale), Some(n)) => {
                let output = floor(&(scale * int(n as i64) + ratio(1, 2)));
                let output = u64::try_from(output).map_err(|_| Refusal::new("a size that is negative"))?;
                Task::Resample(Axis { input: n, output, scale: scale.clone(), roi: None })
            }
            (_, n) => by_size(&shape[*a], n, size, region(k)?, mode, transform)?,
        };
    }
    Ok(out)
}

/// size / dimension of two numbers.
fn quotient(d: &Dim, size: &Dim) -> Option<Q> {
    let (d, s) = (i64::try_from(d.as_known()?).ok()?, i64::try_from(size.as_known()?).ok()?);
    (d > 0).then(|| ratio(s, d))
}

fn by_size(
    d: &Dim,
    n: Option<u64>,
    size: &Dim,
    roi: Option<[Q; 2]>,
    mode: &Mode,
    transform: Transform,
) -> Lowered<Task> {
    if let (Some(scale), Some(input), Some(output)) = (quotient(d, size), n, size.as_known()) {
        return Ok(Task::Resample(Axis { input, output, scale, roi }));
    }
    match size.div_exact(d).and_then(|f| f.as_known()) {
        _ if roi.is_some() => refuse!("a region of interest of a symbolic dimension"),
        Some(1) => Ok(Task::Keep),
        Some(f) if repeats(mode, transform) => Ok(Task::Repeat(f)),
        _ => symbolic(),
    }
}

fn by_scale(d: &Dim, s: f32, mode: &Mode, transform: Transform) -> Lowered<Task> {
    let scale = positive(s)?;
    match d.as_known() {
        Some(input) => {
            // As ONNX's own shape inference: the product in f32, then the floor.
            let output = (input as f32 * s).floor();
            if output > 16_777_216.0 {
                return refuse!("an axis of {input} elements resized to {output}");
            }
            Ok(Task::Resample(Axis { input, output: output as u64, scale, roi: None }))
        }
        None if scale.is_one() => Ok(Task::Keep),
        None if repeats(mode, transform) && s.fract() == 0.0 && s <= 1024.0 => Ok(Task::Repeat(s as u64)),
        None => symbolic(),
    }
}

/// Whether a whole factor repeats every element, whatever their number is.
fn repeats(mode: &Mode, transform: Transform) -> bool {
    match (mode, transform) {
        (Mode::Nearest(Nearest::Floor), Transform::Asymmetric) => true,
        // With the pixel's centre, i of a whole factor falls to floor(i / scale), unless rounding is odd.
        (
            Mode::Nearest(Nearest::PreferFloor | Nearest::PreferCeil),
            Transform::HalfPixel | Transform::HalfPixelSymmetric,
        ) => true,
        _ => false,
    }
}

fn symbolic<T>() -> Lowered<T> {
    Err(Refusal::new("a symbolic dimension is resized other than by repeating its elements a whole number of times")
        .advice("export with that dimension fixed"))
}

pub(super) fn resize(c: &mut Call<'_>) -> Outputs {
    let x = c.x(0)?;
    let (mode, transform) = mode(c)?;
    let extrapolation = c.attrs.float("extrapolation_value", 0.0)?;
    if matches!(mode, Mode::Weighted(_)) {
        c.f32(0)?;
    }
    if computed::applies(c, transform) {
        return computed::resize(c, x, &mode, transform, extrapolation);
    }
    let tasks = tasks(c, &c.b.shape(x), &mode, transform)?;
    let mut y = repeat(c, x, &tasks)?;
    for (a, task) in tasks.iter().enumerate() {
        let Task::Resample(axis) = task else { continue };
        if axis.unchanged() {
            continue;
        }
        y = match &mode {
            Mode::Nearest(n) => {
                let at = c.b.vector_i64(axis.nearest(transform, *n)?);
                c.b.gather(y, at, a)?
            }
            Mode::Weighted(kernel) => weighted(c, y, a, axis, axis.weights(transform, kernel)?)?,
        };
    }
    for (a, task) in tasks.iter().enumerate() {
        let Task::Resample(axis) = task else { continue };
        let outside = axis.outside(transform)?;
        if outside.contains(&true) {
            c.f32(0)?;
            let outside = c.b.constant(Tensor { shape: vec![outside.len()], data: Data::Bool(outside) });
            let outside = c.b.along(outside, a, tasks.len())?;
            let value = c.b.scalar(extrapolation);
            y = c.b.select(outside, value, y)?;
        }
    }
    one(y)
}

/// Elements of symbolic axes several times each.
fn repeat(c: &mut Call<'_>, x: Val, tasks: &[Task]) -> Lowered<Val> {
    if !tasks.iter().any(|t| matches!(t, Task::Repeat(_))) {
        return Ok(x);
    }
    let (mut split, mut wide, mut joined) = (Vec::new(), Vec::new(), Vec::new());
    for (d, t) in c.b.shape(x).iter().zip(tasks) {
        let f = if let Task::Repeat(f) = t { *f } else { 1 };
        split.push(d.clone());
        wide.push(d.clone());
        if f != 1 {
            split.push(Dim::Known(1));
            wide.push(Dim::Known(f));
        }
        joined.push(d.mul(&Dim::Known(f)).ok_or_else(|| Refusal::new("a dimension is too large"))?);
    }
    let y = c.b.reshape(x, &split)?;
    let y = c.b.expand(y, &wide)?;
    c.b.reshape(y, &joined)
}

/// Sum over one axis with these weights (output, input): the axes before it are a batch, those behind it columns.
fn weighted(c: &mut Call<'_>, x: Val, at: usize, axis: &Axis, weights: Vec<f32>) -> Lowered<Val> {
    let (n, m) = (axis.input as usize, axis.output as usize);
    let matrix = |shape: Vec<usize>, data: Vec<f32>| Tensor { shape, data: Data::F32(data) };
    let shape = c.b.shape(x);
    let mut result = shape.clone();
    result[at] = Dim::Known(axis.output);
    let before = product(&shape[..at])?;
    let y = if at + 1 == shape.len() {
        let transposed = (0..n * m).map(|i| weights[i % m * n + i / m]).collect();
        let w = c.b.constant(matrix(vec![n, m], transposed));
        let rows = c.b.reshape(x, &[before, shape[at].clone()])?;
        c.b.push(MatMul {}, &[rows, w])?
    } else {
        let w = c.b.constant(matrix(vec![m, n], weights));
        let behind = product(&shape[at + 1..])?;
        let columns = c.b.reshape(x, &[before, shape[at].clone(), behind])?;
        c.b.push(MatMul {}, &[w, columns])?
    };
    c.b.reshape(y, &result)
}
