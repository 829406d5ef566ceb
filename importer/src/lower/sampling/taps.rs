//! Elements of an image around computed places, weighted.

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{DType, Dim};

use super::super::{Call, product};
use crate::build::Val;
use crate::error::{Lowered, refuse};

/// One neighbour along one axis, for all places: its index (i64, (batch, places)), and its weight where it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    pub(super) index: Val,
    pub(super) weight: Option<Val>,
}

/// x + s, x * s and the like, with a number.
pub(in super::super) fn with(c: &mut Call<'_>, kind: B, x: Val, s: f32) -> Lowered<Val> {
    let s = c.b.scalar(s);
    c.b.binary(kind, x, s)
}

/// x within [low, high].
pub(in super::super) fn clamp(c: &mut Call<'_>, x: Val, low: f32, high: f32) -> Lowered<Val> {
    let x = with(c, B::Max, x, low)?;
    with(c, B::Min, x, high)
}

/// Whether x is less than, greater than ... a number.
pub(in super::super) fn is(c: &mut Call<'_>, kind: K, x: Val, s: f32) -> Lowered<Val> {
    let s = c.b.scalar(s);
    c.b.compare(kind, x, s)
}

/// x reflected at low and high until it lies between them.
pub(super) fn reflect(c: &mut Call<'_>, x: Val, low: f32, high: f32) -> Lowered<Val> {
    let range = high - low;
    if range <= 0.0 {
        return with(c, B::Mul, x, 0.0);
    }
    let (l, h) = (c.b.scalar(low), c.b.scalar(high));
    let (under, over) = (c.b.sub2(l, x)?, c.b.sub2(x, h)?);
    let beyond = c.b.binary(B::Max, under, over)?;
    let times = with(c, B::Div, beyond, range)?;
    let times = c.b.unary(U::Floor, times)?;
    let whole = with(c, B::Mul, times, range)?;
    let rest = c.b.sub2(beyond, whole)?;
    // From the lower end where x lies below it and was folded an even number of times, or the other way round.
    let half = with(c, B::Mul, times, 0.5)?;
    let even = c.b.unary(U::Floor, half)?;
    let odd = c.b.compare(K::Greater, half, even)?;
    let below = c.b.compare(K::Less, x, l)?;
    let up = c.b.binary(B::Xor, below, odd)?;
    let (from_low, from_high) = (c.b.add2(l, rest)?, c.b.sub2(h, rest)?);
    let folded = c.b.select(up, from_low, from_high)?;
    let outside = is(c, K::Greater, beyond, 0.0)?;
    c.b.select(outside, folded, x)
}

/// A whole number in f32, within [0, size), as an index.
pub(super) fn index(c: &mut Call<'_>, x: Val, size: u64) -> Lowered<Val> {
    let x = clamp(c, x, 0.0, (size - 1) as f32)?;
    c.b.cast(x, DType::I64)
}

/// An image (batch, channels, sizes...) as rows of channels, and what finds one.
pub(super) struct Image {
    /// (batch * elements, channels)
    rows: Val,
    /// The first row of each batch, (batch, 1).
    first: Val,
    sizes: Vec<u64>,
}

impl Image {
    /// Each batch is read for itself.
    pub(super) fn new(c: &mut Call<'_>, x: Val) -> Lowered<Self> {
        let batch = c.b.shape(x)[0].clone();
        // Alone, a batch starts at 0.
        let numbers = if batch == Dim::Known(1) { c.b.vector_i64(vec![0]) } else { c.b.iota(&batch)? };
        Self::picked(c, x, numbers)
    }

    /// Row by row the batch that these numbers name.
    pub(super) fn picked(c: &mut Call<'_>, x: Val, numbers: Val) -> Lowered<Self> {
        let shape = c.b.shape(x);
        let Some(sizes) = shape[2..].iter().map(Dim::as_known).collect::<Option<Vec<u64>>>() else {
            return refuse!("an image of symbolic size");
        };
        let elements = sizes.iter().try_fold(1u64, |n, s| n.checked_mul(*s)).filter(|n| (1..=1 << 24).contains(n));
        let Some(elements) = elements else { return refuse!("an image of {sizes:?}") };
        let flat = c.b.reshape(x, &[shape[0].clone(), shape[1].clone(), Dim::Known(elements)])?;
        let flat = c.b.transpose(flat, &[0, 2, 1])?;
        let all = product(&[shape[0].clone(), Dim::Known(elements)])?;
        let rows = c.b.reshape(flat, &[all, shape[1].clone()])?;
        let n = c.b.scalar_of(DType::I64, elements as i64);
        let first = c.b.mul2(numbers, n)?;
        let first = c.b.unsqueeze(first, &[1])?;
        Ok(Self { rows, first, sizes })
    }

    /// The weighted sums over all neighbours, the last axis innermost: (batch, places, channels).
    pub(super) fn sample(&self, c: &mut Call<'_>, taps: &[Vec<Tap>]) -> Lowered<Val> {
        self.from(c, self.first, taps, 0)
    }

    /// The greatest of the weighted neighbours along two axes: (batch, places, channels).
    pub(super) fn greatest(&self, c: &mut Call<'_>, taps: &[Vec<Tap>]) -> Lowered<Val> {
        let [rows, columns] = taps else { return refuse!("internal: {} axes", taps.len()) };
        let mut most: Option<Val> = None;
        for (a, b) in rows.iter().flat_map(|a| columns.iter().map(move |b| (a, b))) {
            let plain = |t: &Tap| vec![Tap { weight: None, ..*t }];
            let mut v = self.sample(c, &[plain(a), plain(b)])?;
            if let (Some(x), Some(y)) = (a.weight, b.weight) {
                let w = c.b.mul2(x, y)?;
                let w = c.b.unsqueeze(w, &[2])?;
                v = c.b.mul2(w, v)?;
            }
            most = Some(most.map_or(Ok(v), |m| c.b.binary(B::Max, m, v))?);
        }
        most.map_or_else(|| refuse!("internal: no neighbours"), Ok)
    }

    fn from(&self, c: &mut Call<'_>, at: Val, taps: &[Vec<Tap>], axis: usize) -> Lowered<Val> {
        let Some((own, inner)) = taps.split_first() else { return c.b.gather(self.rows, at, 0) };
        let step: u64 = self.sizes[axis + 1..].iter().product();
        let mut total = None;
        for tap in own {
            let n = c.b.scalar_of(DType::I64, step as i64);
            let far = if step == 1 { tap.index } else { c.b.mul2(tap.index, n)? };
            let next = c.b.add2(at, far)?;
            let mut v = self.from(c, next, inner, axis + 1)?;
            if let Some(w) = tap.weight {
                let w = c.b.unsqueeze(w, &[2])?;
                v = c.b.mul2(w, v)?;
            }
            total = Some(match total {
                Some(t) => c.b.add2(t, v)?,
                None => v,
            });
        }
        match total {
            Some(t) => Ok(t),
            None => refuse!("internal: an axis without neighbours"),
        }
    }
}

/// The cubic's weight at distances x up to 1: ((a + 2) x - (a + 3)) x x + 1.
pub(in super::super) fn near(c: &mut Call<'_>, x: Val, a: f32) -> Lowered<Val> {
    let y = with(c, B::Mul, x, a + 2.0)?;
    let y = with(c, B::Sub, y, a + 3.0)?;
    let y = c.b.mul2(y, x)?;
    let y = c.b.mul2(y, x)?;
    with(c, B::Add, y, 1.0)
}

/// The cubic's weight at distances x of 1 to 2: ((a x - 5 a) x + 8 a) x - 4 a.
pub(in super::super) fn far(c: &mut Call<'_>, x: Val, a: f32) -> Lowered<Val> {
    let y = with(c, B::Mul, x, a)?;
    let y = with(c, B::Sub, y, 5.0 * a)?;
    let y = c.b.mul2(y, x)?;
    let y = with(c, B::Add, y, 8.0 * a)?;
    let y = c.b.mul2(y, x)?;
    with(c, B::Sub, y, 4.0 * a)
}
