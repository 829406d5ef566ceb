//! ONNX Col2Im (operator set 18): a transposed convolution whose kernels hold a single 1.

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::{Data, Dim, Tensor};

use super::conv_transpose::{Axis, transposed};
use super::{Call, Outputs, dynamic, known, one, product};
use crate::build::Val;
use crate::error::{Lowered, refuse};

/// Elements of a block.
const MAX_BLOCK: usize = 1 << 10;
/// Blocks that are tried where the block's shape comes from data.
const MAX_CANDIDATES: usize = 8;

/// The image, and how blocks lie on it.
struct Layout {
    image: Vec<usize>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    pads: Vec<i64>,
}

impl Layout {
    /// The axes for a block of this shape, and the number of places along each; `None` where it does not fit.
    fn axes(&self, block: &[usize]) -> Option<(Vec<Axis>, Vec<u64>)> {
        let n = self.image.len();
        let mut axes = Vec::with_capacity(n);
        let mut places = Vec::with_capacity(n);
        for (i, taps) in block.iter().enumerate() {
            let (begin, end) = (self.pads[i], self.pads[n + i]);
            let span = taps.checked_sub(1)?.checked_mul(usize::try_from(self.dilations[i]).ok()?)? + 1;
            let room = self.image[i] as i64 + begin + end - span as i64;
            if room < 0 {
                return None;
            }
            let (stride, dilation) = (self.strides[i] as usize, self.dilations[i] as usize);
            places.push((room / self.strides[i] + 1) as u64);
            axes.push(Axis { span, stride, dilation, begin, end, extra: room % self.strides[i] });
        }
        Some((axes, places))
    }
}

fn list(c: &Call<'_>, name: &str, n: usize, default: i64, least: i64) -> Lowered<Vec<i64>> {
    let v = c.attrs.ints(name)?.filter(|v| !v.is_empty()).map_or_else(|| vec![default; n], <[i64]>::to_vec);
    if v.len() != n || v.iter().any(|x| !(least..=1 << 12).contains(x)) {
        return refuse!("{name} {v:?}: {n} numbers of {least} to 4096 are expected");
    }
    Ok(v)
}

pub(super) fn col2im(c: &mut Call<'_>) -> Outputs {
    let mut x = c.f32(0)?;
    let shape = c.b.shape(x);
    let [batch, Dim::Known(rows), Dim::Known(all)] = shape.as_slice() else {
        return refuse!("an operand of (batch, known channels * block, known places) is expected");
    };
    let (batch, rows, all) = (batch.clone(), *rows as usize, *all);
    let image = if c.is_data(1) {
        let declared = c.declared_fully(0)?;
        let Some(image) = declared.get(2..) else { return refuse!("a declared result of rank {}", declared.len()) };
        x = dynamic::sizes(c, x, 1, image)?;
        known(image)
    } else {
        numbers(c, 1, "the shape of the image")?
    };
    let Some(image) = image.filter(|v| (1..=3).contains(&v.len())) else {
        return refuse!("an image of 1 to 3 known axes is expected");
    };
    let n = image.len();
    let layout = Layout {
        image,
        strides: list(c, "strides", n, 1, 1)?,
        dilations: list(c, "dilations", n, 1, 1)?,
        pads: list(c, "pads", 2 * n, 0, 0)?,
    };
    let fits = |block: &[usize]| {
        let size = block.iter().try_fold(1usize, |n, b| n.checked_mul(*b))?;
        let (axes, places) = layout.axes(block)?;
        (size > 0 && size <= MAX_BLOCK && rows.is_multiple_of(size) && places.iter().product::<u64>() == all)
            .then_some((axes, places, size))
    };
    if !c.is_data(2) {
        let Some(block) = numbers(c, 2, "the shape of a block")?.filter(|b| b.len() == n) else {
            return refuse!("a block of {n} axes is expected");
        };
        let Some((axes, places, size)) = fits(&block) else {
            return refuse!("blocks of {block:?} do not lie at {all} places of an image of {:?}", layout.image);
        };
        return one(fold(c, x, &batch, rows / size, &block, &axes, &places)?);
    }
    // A block from data: one of those that make of this operand the declared result.
    let channels = match c.declared(0)?.get(1) {
        Some(Some(Dim::Known(k))) if *k > 0 => *k as usize,
        _ => return refuse!("a block from data: the file has to declare the result's channels"),
    };
    let mut blocks = Vec::new();
    candidates(rows / channels, n, &mut Vec::new(), &mut blocks);
    blocks.retain(|b| fits(b).is_some_and(|f| f.2 * channels == rows));
    if blocks.is_empty() || blocks.len() > MAX_CANDIDATES {
        return refuse!(
            "{} shapes of a block give the declared result, 1 to {MAX_CANDIDATES} are supported",
            blocks.len()
        );
    }
    let (given, count) = c.vector(2)?;
    if count != n {
        return refuse!("a block of {count} axes, {n} are expected");
    }
    let (mut result, mut any): (Option<Val>, Option<Val>) = (None, None);
    for block in &blocks {
        let Some((axes, places, _)) = fits(block) else { continue };
        let y = fold(c, x, &batch, channels, block, &axes, &places)?;
        let wanted = c.b.vector_i64(block.iter().map(|b| *b as i64).collect());
        let equal = c.b.compare(K::Equal, given, wanted)?;
        let hit = c.b.all_true(equal)?;
        result = Some(result.map_or(Ok(y), |r| c.b.select(hit, y, r))?);
        any = Some(any.map_or(Ok(hit), |a| c.b.binary(B::Or, a, hit))?);
    }
    match (result, any) {
        (Some(y), Some(any)) => one(c.b.require(y, &[any], Requirement::Argument)?),
        _ => refuse!("internal: no block"),
    }
}

fn numbers(c: &Call<'_>, i: usize, what: &str) -> Lowered<Option<Vec<usize>>> {
    Ok(c.ints(i, what)?.iter().map(|v| usize::try_from(*v).ok().filter(|v| (1..=1 << 12).contains(v))).collect())
}

/// All ways to write a number as a product of `n` factors.
fn candidates(rest: usize, n: usize, head: &mut Vec<usize>, out: &mut Vec<Vec<usize>>) {
    if rest == 0 || rest > MAX_BLOCK {
        return;
    }
    if n == 1 {
        out.push([head.as_slice(), &[rest]].concat());
        return;
    }
    for f in (1..=rest).filter(|f| rest.is_multiple_of(*f)) {
        head.push(f);
        candidates(rest / f, n - 1, head, out);
        head.pop();
    }
}

/// Every channel for itself: its block's elements are channels of a transposed convolution.
fn fold(
    c: &mut Call<'_>,
    x: Val,
    batch: &Dim,
    channels: usize,
    block: &[usize],
    axes: &[Axis],
    places: &[u64],
) -> Lowered<Val> {
    let size: usize = block.iter().product();
    let channels = Dim::Known(channels as u64);
    let images = product(&[batch.clone(), channels.clone()])?;
    let mut split = vec![images, Dim::Known(size as u64)];
    split.extend(places.iter().map(|p| Dim::Known(*p)));
    let x = c.b.reshape(x, &split)?;
    let mut data = vec![0.0; size * size];
    (0..size).for_each(|k| data[k * size + k] = 1.0);
    let shape = [&[size, 1], block].concat();
    let w = c.b.constant(Tensor { shape: shape.clone(), data: Data::F32(data) });
    let y = transposed(c, x, w, &shape, 1, axes)?;
    let mut result = vec![batch.clone(), channels];
    result.extend_from_slice(&c.b.shape(y)[2..]);
    c.b.reshape(y, &result)
}
