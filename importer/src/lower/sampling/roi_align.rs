//! ONNX RoiAlign (operator sets 10 to 22).

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{DType, Dim};

use super::super::{Call, Outputs, one};
use super::taps::{Image, Tap, clamp, index, is, with};
use crate::build::Val;
use crate::error::{Lowered, refuse};

/// Samples of a region.
const MAX_SAMPLES: u64 = 1 << 16;

/// Every bin is the mean, or the greatest, of `ratio` times `ratio` places in it.
pub(in super::super) fn roi_align(c: &mut Call<'_>) -> Outputs {
    let (x, rois, batch) = (c.f32(0)?, c.f32(1)?, c.x(2)?);
    let half = match c.attrs.string("coordinate_transformation_mode", "half_pixel")?.as_str() {
        _ if c.version < 16 => false,
        "half_pixel" => true,
        "output_half_pixel" => false,
        other => return refuse!("coordinate_transformation_mode '{other}'"),
    };
    let greatest = match c.attrs.string("mode", "avg")?.to_ascii_lowercase().as_str() {
        "avg" => false,
        "max" => true,
        other => return refuse!("mode '{other}'"),
    };
    let small = |name: &str, default: i64| match u64::try_from(c.attrs.int(name, default)?) {
        Ok(n) if (1..=256).contains(&n) => Ok(n),
        _ => refuse!("{name}: 1 to 256 is supported; as many samples as a region is large depend on data"),
    };
    let (rows, columns, ratio) = (small("output_height", 1)?, small("output_width", 1)?, small("sampling_ratio", 0)?);
    let scale = c.attrs.float("spatial_scale", 1.0)?;
    let (xs, rs) = (c.b.shape(x), c.b.shape(rois));
    let [count, Dim::Known(4)] = rs.as_slice() else { return refuse!("regions of (number, 4) are expected") };
    if xs.len() != 4 || c.b.shape(batch) != [count.clone()] {
        return refuse!("an image of rank 4, and as many batch indices as regions, are expected");
    }
    if rows * columns * ratio * ratio > MAX_SAMPLES {
        return refuse!("{rows} times {columns} bins of {ratio} times {ratio} samples");
    }
    // An index outside would count from the end of the batch.
    let batch = c.b.cast(batch, DType::I64)?;
    let images = c.b.dims_vector(&xs[..1])?;
    let zero = c.b.scalar_of(DType::I64, 0);
    let inside = c.b.between(batch, zero, images)?;
    let batch = c.b.require(batch, &[inside], Requirement::Range)?;
    let image = Image::picked(c, x, batch)?;

    let scaled = with(c, B::Mul, rois, scale)?;
    let bounds = if half { with(c, B::Sub, scaled, 0.5)? } else { scaled };
    let mut taps = Vec::new();
    for (axis, bins) in [rows, columns].into_iter().enumerate() {
        let Some(size) = xs[axis + 2].as_known().filter(|n| *n > 0) else {
            return refuse!("an image of symbolic size");
        };
        // Regions are x, y, x, y.
        let mut at = |k: usize| c.b.slice_axis(bounds, 1, k as u64, 1, Dim::Known(1));
        let (start, end) = (at(1 - axis)?, at(3 - axis)?);
        let mut extent = c.b.sub2(end, start)?;
        if !half {
            extent = with(c, B::Max, extent, 1.0)?;
        }
        let bin = with(c, B::Div, extent, bins as f32)?;
        // Samples count bins row by row, and within a bin again.
        let (mut whole, mut part) = (Vec::new(), Vec::new());
        for s in 0..rows * columns * ratio * ratio {
            let (place, within) = (s / (ratio * ratio), s % (ratio * ratio));
            let (b, w) = if axis == 0 { (place / columns, within / ratio) } else { (place % columns, within % ratio) };
            whole.push(b as f32);
            part.push(w as f32 + 0.5);
        }
        let (whole, part) = (c.b.vector(whole), c.b.vector(part));
        let offset = c.b.mul2(whole, bin)?;
        let place = c.b.add2(start, offset)?;
        let step = c.b.mul2(part, bin)?;
        let step = with(c, B::Div, step, ratio as f32)?;
        let place = c.b.add2(place, step)?;
        taps.push(neighbours(c, place, size)?);
    }
    let samples = if greatest { image.greatest(c, &taps)? } else { image.sample(c, &taps)? };
    let bins = Dim::Known(rows * columns);
    let each = c.b.reshape(samples, &[count.clone(), bins, Dim::Known(ratio * ratio), xs[1].clone()])?;
    let y = c.b.reduce(if greatest { R::Max } else { R::Mean }, each, &[2], false)?;
    let y = c.b.transpose(y, &[0, 2, 1])?;
    one(c.b.reshape(y, &[count.clone(), xs[1].clone(), Dim::Known(rows), Dim::Known(columns)])?)
}

/// The two neighbours of each place; none has a weight more than 1 outside the image.
fn neighbours(c: &mut Call<'_>, place: Val, size: u64) -> Lowered<Vec<Tap>> {
    let (from, to) = (is(c, K::GreaterOrEqual, place, -1.0)?, is(c, K::LessOrEqual, place, size as f32)?);
    let near = c.b.binary(B::And, from, to)?;
    let place = clamp(c, place, 0.0, (size - 1) as f32)?;
    let low = c.b.unary(U::Floor, place)?;
    let rest = c.b.sub2(place, low)?;
    let one = c.b.scalar(1.0);
    let zero = c.b.scalar(0.0);
    let mut taps = Vec::new();
    for (offset, weight) in [(0.0, c.b.sub2(one, rest)?), (1.0, rest)] {
        let at = with(c, B::Add, low, offset)?;
        let weight = c.b.select(near, weight, zero)?;
        taps.push(Tap { index: index(c, at, size)?, weight: Some(weight) });
    }
    Ok(taps)
}
