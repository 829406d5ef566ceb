//! ONNX GridSample (operator sets 16 to 22).

use lockstep_engine::Dim;
use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::unary::UnaryKind as U;

use super::super::{Call, Outputs, one, product};
use super::taps::{Image, Tap, clamp, far, index, is, near, reflect, with};
use crate::build::Val;
use crate::error::{Lowered, refuse};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Padding {
    Zeros,
    Border,
    Reflection,
}

/// The grid's numbers, -1 to 1, become places; each is read by its neighbours along every axis.
pub(in super::super) fn grid_sample(c: &mut Call<'_>) -> Outputs {
    let (x, grid) = (c.f32(0)?, c.f32(1)?);
    let mode = match c.attrs.string("mode", "linear")?.as_str() {
        "linear" | "bilinear" => Mode::Linear,
        "nearest" => Mode::Nearest,
        "cubic" | "bicubic" => Mode::Cubic,
        other => return refuse!("mode '{other}'"),
    };
    let padding = match c.attrs.string("padding_mode", "zeros")?.as_str() {
        "zeros" => Padding::Zeros,
        "border" => Padding::Border,
        "reflection" => Padding::Reflection,
        other => return refuse!("padding_mode '{other}'"),
    };
    let corners = c.attrs.flag("align_corners", false)?;
    let (xs, gs) = (c.b.shape(x), c.b.shape(grid));
    let axes = xs.len().saturating_sub(2);
    if !(1..=3).contains(&axes) || gs.len() != xs.len() || gs.last() != Some(&Dim::Known(axes as u64)) {
        return refuse!("an image of 1 to 3 axes, and a grid of one rank with it that names them, are expected");
    }
    if gs[0] != xs[0] {
        return refuse!("the image's and the grid's batches are not known to be equal");
    }
    let image = Image::new(c, x)?;
    let places = product(&gs[1..=axes])?;
    let flat = c.b.reshape(grid, &[gs[0].clone(), places.clone(), Dim::Known(axes as u64)])?;
    let mut taps = Vec::with_capacity(axes);
    for a in 0..axes {
        let Some(size) = xs[a + 2].as_known() else { return refuse!("an image of symbolic size") };
        // The grid names the last axis first.
        let g = c.b.slice_axis(flat, 2, (axes - 1 - a) as u64, 1, Dim::Known(1))?;
        let g = c.b.reshape(g, &[gs[0].clone(), places.clone()])?;
        let axis = Axis { size, corners, padding };
        let at = axis.place(c, g)?;
        taps.push(axis.taps(c, at, mode)?);
    }
    let y = image.sample(c, &taps)?;
    let y = c.b.transpose(y, &[0, 2, 1])?;
    let mut shape = vec![xs[0].clone(), xs[1].clone()];
    shape.extend_from_slice(&gs[1..=axes]);
    one(c.b.reshape(y, &shape)?)
}

struct Axis {
    size: u64,
    corners: bool,
    padding: Padding,
}

impl Axis {
    /// Where -1 and 1 lie.
    fn ends(&self) -> (f32, f32) {
        let n = self.size as f32;
        if self.corners { (0.0, n - 1.0) } else { (-0.5, n - 0.5) }
    }

    /// ((g + 1) / 2) * (size - 1), or ((g + 1) * size - 1) / 2.
    fn place(&self, c: &mut Call<'_>, g: Val) -> Lowered<Val> {
        let n = self.size as f32;
        let g = with(c, B::Add, g, 1.0)?;
        if self.corners {
            let g = with(c, B::Mul, g, 0.5)?;
            return with(c, B::Mul, g, n - 1.0);
        }
        let g = with(c, B::Mul, g, n)?;
        let g = with(c, B::Sub, g, 1.0)?;
        with(c, B::Mul, g, 0.5)
    }

    fn taps(&self, c: &mut Call<'_>, mut at: Val, mode: Mode) -> Lowered<Vec<Tap>> {
        if mode == Mode::Nearest {
            at = c.b.unary(U::Round, at)?;
        }
        let (low, high) = self.ends();
        let last = (self.size - 1) as f32;
        at = match (self.padding, mode) {
            (Padding::Zeros, _) => at,
            (Padding::Reflection, _) => reflect(c, at, low, high)?,
            (Padding::Border, Mode::Cubic) => {
                // Up to half an element outside, the neighbours are the border's.
                let (under, over) = (is(c, K::Less, at, low)?, is(c, K::Greater, at, high)?);
                let outside = c.b.binary(B::Or, under, over)?;
                let inside = clamp(c, at, 0.0, last)?;
                c.b.select(outside, inside, at)?
            }
            (Padding::Border, _) => clamp(c, at, 0.0, last)?,
        };
        if mode == Mode::Nearest {
            return Ok(vec![self.tap(c, at, None, mode)?]);
        }
        let floor = c.b.unary(U::Floor, at)?;
        let r = c.b.sub2(at, floor)?;
        let weights = if mode == Mode::Linear {
            let one = c.b.scalar(1.0);
            vec![(0.0, c.b.sub2(one, r)?), (1.0, r)]
        } else {
            let one = c.b.scalar(1.0);
            let two = c.b.scalar(2.0);
            let (rest, before, behind) = (c.b.sub2(one, r)?, c.b.add2(r, one)?, c.b.sub2(two, r)?);
            vec![(-1.0, far(c, before, A)?), (0.0, near(c, r, A)?), (1.0, near(c, rest, A)?), (2.0, far(c, behind, A)?)]
        };
        weights
            .into_iter()
            .map(|(offset, w)| {
                let i = with(c, B::Add, floor, offset)?;
                self.tap(c, i, Some(w), mode)
            })
            .collect()
    }

    /// The neighbour at a whole number, which may lie outside.
    fn tap(&self, c: &mut Call<'_>, i: Val, weight: Option<Val>, mode: Mode) -> Lowered<Tap> {
        let (low, high) = self.ends();
        match self.padding {
            Padding::Zeros => {
                let (from, to) = (is(c, K::GreaterOrEqual, i, 0.0)?, is(c, K::LessOrEqual, i, (self.size - 1) as f32)?);
                let inside = c.b.binary(B::And, from, to)?;
                let (one, zero) = (c.b.scalar(1.0), c.b.scalar(0.0));
                let weight = c.b.select(inside, weight.unwrap_or(one), zero)?;
                Ok(Tap { index: index(c, i, self.size)?, weight: Some(weight) })
            }
            Padding::Reflection if mode == Mode::Cubic => {
                let i = reflect(c, i, low, high)?;
                Ok(Tap { index: index(c, i, self.size)?, weight })
            }
            _ => Ok(Tap { index: index(c, i, self.size)?, weight }),
        }
    }
}

/// The cubic's coefficient.
const A: f32 = -0.75;
