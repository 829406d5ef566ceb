//! Pools: the taps inside the input are found for whole lines, so that no element asks for the border.

use std::ops::Range;

use super::sheet::Sheet;
use super::{Failure, Level, Threads, kernel};
use crate::ops::conv::Axis;
use crate::ops::pool::{Pool, PoolKind};
use crate::ops::shape::known_shape;
use crate::tensor::{Data, Tensor, TensorType};

/// Multiply-adds that take as long as one tap, for [`Threads::split`].
const TAP: u64 = 32;

/// Runs a Pool; `None` where it is not for this file.
pub(crate) fn run(
    op: &Pool,
    level: Level,
    x: &Tensor,
    output: &TensorType,
    threads: &Threads,
) -> Option<Result<Tensor, Failure>> {
    let shape = known_shape(output);
    if shape.contains(&0) {
        return None;
    }
    let (axes, input, output) = op.sizes(&x.shape, &shape)?;
    let job = Job { axes, input, output, count_pad: op.count_pad };
    let sheet = match (&x.data, op.kind) {
        (Data::F32(v), PoolKind::Max) => job.sheet().map(|sheet| (v, sheet)),
        _ => None,
    };
    if let Some((v, sheet)) = sheet {
        let start = || (sheet.clone(), vec![0.0; sheet.positions()]);
        let data = job.planes(v, threads, start, |(sheet, best), x, out| {
            sheet.load(x);
            kernel::sliding_greatest(level, sheet.data(), sheet.places(), best);
            out.chunks_exact_mut(job.output[2]).zip(sheet.lines(best)).for_each(|(o, x)| o.copy_from_slice(x));
        });
        return Some(data.map(|v| Tensor { shape, data: Data::F32(v) }).map_err(Failure::Environment));
    }
    let data = match (&x.data, op.kind) {
        (Data::F32(v), PoolKind::Max) => {
            // The first greatest: later ones must be greater; NaN is, once. Without a branch, which no CPU could predict.
            let greater = |x: f32, best: f32| (x > best) | (x.is_nan() & !best.is_nan());
            job.planes(v, threads, || (), |(), x, out| job.max(x, out, f32::NEG_INFINITY, greater)).map(Data::F32)
        }
        (Data::I8(v), PoolKind::Max) => {
            job.planes(v, threads, || (), |(), x, out| job.max(x, out, i8::MIN, |x, best| x > best)).map(Data::I8)
        }
        (Data::U8(v), PoolKind::Max) => {
            job.planes(v, threads, || (), |(), x, out| job.max(x, out, u8::MIN, |x, best| x > best)).map(Data::U8)
        }
        (Data::F32(v), PoolKind::Average) => {
            job.planes(v, threads, || (), |(), x, out| job.mean(x, out)).map(Data::F32)
        }
        _ => return None,
    };
    Some(data.map(|data| Tensor { shape, data }).map_err(Failure::Environment))
}

struct Job {
    axes: [Axis; 3],
    input: [usize; 3],
    output: [usize; 3],
    count_pad: bool,
}

/// The first n with `n * step + offset >= limit`.
fn reaching(limit: usize, offset: usize, step: usize) -> usize {
    let rest = limit.saturating_sub(offset);
    // Most steps are 1, and a division takes as long as ten taps.
    if step == 1 { rest } else { rest.div_ceil(step) }
}

impl Job {
    /// The plane laid out for windows, where that takes no more memory than a few planes.
    fn sheet(&self) -> Option<Sheet> {
        let most = Pool::most(self.input.map(|n| n as u64), self.output.map(|n| n as u64));
        Sheet::new(&self.axes, self.input, self.output, f32::NEG_INFINITY, usize::try_from(most).ok()?)
    }

    /// Calls `f` with each plane of the input and of the output, and what `start` makes for each thread.
    fn planes<T: Copy + Default + Send + Sync, S>(
        &self,
        x: &[T],
        threads: &Threads,
        start: impl Fn() -> S + Sync,
        f: impl Fn(&mut S, &[T], &mut [T]) + Sync,
    ) -> Result<Vec<T>, &'static str> {
        let (from, to): (usize, usize) = (self.input.iter().product(), self.output.iter().product());
        // Every window has an element inside, so that the input is empty only if the output is.
        let mut out = vec![T::default(); x.len() / from * to];
        let taps = self.axes.iter().fold(TAP, |n, a| n.saturating_mul(a.kernel));
        let work = (out.len() as u64).saturating_mul(taps);
        threads.split(&mut out, to, work, |first, out| {
            let mut own = start();
            for (x, out) in x[first * from..].chunks(from).zip(out.chunks_mut(to)) {
                f(&mut own, x, out);
            }
        })?;
        Ok(out)
    }

    /// Taps of a window along an axis that fall on the input.
    fn inside(&self, axis: usize, window: usize) -> Range<usize> {
        let a = &self.axes[axis];
        let start = window * a.stride as usize;
        let begin = a.begin as usize;
        let step = a.dilation as usize;
        let end = reaching(begin + self.input[axis], start, step).min(a.kernel as usize);
        reaching(begin, start, step).min(end)..end
    }

    /// Number of taps of a window along an axis that fall on the input or its border.
    fn counted(&self, axis: usize, window: usize) -> usize {
        let a = &self.axes[axis];
        let limit = (a.begin + a.end) as usize + self.input[axis];
        reaching(limit, window * a.stride as usize, a.dilation as usize).min(a.kernel as usize)
    }

    /// Where a tap inside the input falls.
    fn place(&self, axis: usize, window: usize, tap: usize) -> usize {
        let a = &self.axes[axis];
        window * a.stride as usize + tap * a.dilation as usize - a.begin as usize
    }

    /// Calls `f` with each line of the output and each line of the input that its windows reach, in order.
    fn lines<'a, T>(&self, x: &'a [T], out: &mut [T], mut f: impl FnMut(&mut [T], &mut dyn Iterator<Item = &'a [T]>)) {
        let [_, h, w] = self.input;
        for (i, out) in out.chunks_exact_mut(self.output[2]).enumerate() {
            let (wz, wy) = (i / self.output[1], i % self.output[1]);
            let mut lines = self.inside(0, wz).flat_map(|z| {
                let z = self.place(0, wz, z);
                self.inside(1, wy).map(move |y| &x[(z * h + self.place(1, wy, y)) * w..][..w])
            });
            f(out, &mut lines);
        }
    }

    fn max<T: Copy>(&self, x: &[T], out: &mut [T], least: T, greater: impl Fn(T, T) -> bool) {
        let a = &self.axes[2];
        let (stride, begin) = (a.stride as usize, a.begin as usize);
        self.lines(x, out, |out, lines| {
            // Starting from the least value changes nothing: it has one encoding, and every element is at least it.
            out.fill(least);
            for line in lines {
                for tap in 0..a.kernel as usize {
                    let offset = tap * a.dilation as usize;
                    // Windows whose tap falls on the input.
                    let last = reaching(begin + line.len(), offset, stride).min(out.len());
                    let first = reaching(begin, offset, stride).min(last);
                    if first == last {
                        continue;
                    }
                    let from = &line[first * stride + offset - begin..];
                    let best = out[first..last].iter_mut();
                    let step = |(best, x): (&mut T, &T)| *best = if greater(*x, *best) { *x } else { *best };
                    if stride == 1 {
                        best.zip(from).for_each(step);
                    } else {
                        best.zip(from.iter().step_by(stride)).for_each(step);
                    }
                }
            }
        });
    }

    fn mean(&self, x: &[f32], out: &mut [f32]) {
        let [_, h, w] = self.input;
        for (i, out) in out.chunks_exact_mut(self.output[2]).enumerate() {
            let (wz, wy) = (i / self.output[1], i % self.output[1]);
            let (zs, ys) = (self.inside(0, wz), self.inside(1, wy));
            let counted = self.counted(0, wz) * self.counted(1, wy);
            for (wx, out) in out.iter_mut().enumerate() {
                let xs = self.inside(2, wx);
                let (mut lanes, mut next) = ([0.0f32; 16], 0usize);
                for z in zs.clone() {
                    let z = self.place(0, wz, z);
                    for y in ys.clone() {
                        let line = &x[(z * h + self.place(1, wy, y)) * w..][..w];
                        for t in xs.clone() {
                            lanes[next % 16] += line[self.place(2, wx, t)];
                            next += 1;
                        }
                    }
                }
                // A lane without an element is +0 and no lane is -0 (each starts at +0), so that adding it
                // changes nothing.
                let mut half = 8;
                while half > 0 {
                    for l in 0..half.min(next.saturating_sub(half)) {
                        lanes[l] += lanes[l + half];
                    }
                    half /= 2;
                }
                let divisor = if self.count_pad { counted * self.counted(2, wx) } else { next };
                *out = lanes[0] / divisor as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fast::testing::{Values, agree, pick};
    use crate::ops::Op;
    use crate::ops::pool::{Pool, PoolKind};
    use crate::tensor::{Data, Tensor, TensorType};
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    proptest! {
        #[test]
        fn pools_have_the_references_bits(seed: u64, ceil: bool, count_pad: bool, average: bool) {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let axes = rng.random_range(1..4usize);
            let kind = if average { PoolKind::Average } else { PoolKind::Max };
            let mut draw = |low: u32, high: u32| (0..axes).map(|_| rng.random_range(low..high)).collect::<Vec<_>>();
            let (kernel, strides, dilations) = (draw(1, 5), draw(1, 4), draw(1, 3));
            let (pads_begin, pads_end) = (draw(0, 3), draw(0, 3));
            let op: Op = Pool { kind, kernel, strides, dilations, pads_begin, pads_end, ceil, count_pad }.into();
            let mut shape = vec![rng.random_range(0..3), rng.random_range(1..4)];
            shape.extend((0..axes).map(|_| rng.random_range(1..[40, 12, 7][axes - 1])));
            let x = pick(rng, &[Values::Ordinary, Values::Special]).tensor(rng, &shape);
            if crate::fast::testing::infer(&op, &[&x.ty()]).is_err() {
                return Ok(());
            }
            agree(&op, &[&x], 1);
            if !average {
                let n = x.data.len();
                let bytes = Data::I8((0..n).map(|_| rng.random()).collect());
                agree(&op, &[&Tensor { shape: shape.clone(), data: bytes }], 1);
                let bytes = Data::U8((0..n).map(|_| rng.random()).collect());
                agree(&op, &[&Tensor { shape, data: bytes }], 1);
            }
        }
    }

    /// Windows too long to lay the plane out, all of it border but for three elements.
    #[test]
    fn a_window_longer_than_a_few_planes_is_taken_line_by_line() {
        let rng = &mut ChaCha8Rng::seed_from_u64(7);
        let op = Pool {
            kind: PoolKind::Max,
            kernel: vec![5000],
            strides: vec![1],
            dilations: vec![1],
            pads_begin: vec![2500],
            pads_end: vec![2500],
            ceil: false,
            count_pad: false,
        };
        let (axes, input, output) = op.sizes(&[2, 1, 3], &[2, 1, 4]).unwrap();
        assert!(super::Job { axes, input, output, count_pad: false }.sheet().is_none());
        for values in [Values::Ordinary, Values::Special] {
            agree(&op.clone().into(), &[&values.tensor(rng, &[2, 1, 3])], 1);
        }
    }

    #[test]
    fn a_type_without_a_pool_is_left_to_the_reference() {
        let op = Pool {
            kind: PoolKind::Average,
            kernel: vec![1],
            strides: vec![1],
            dilations: vec![1],
            pads_begin: vec![0],
            pads_end: vec![0],
            ceil: false,
            count_pad: false,
        };
        let x = Tensor { shape: vec![1, 1, 1], data: Data::I64(vec![1]) };
        let output = TensorType::known(crate::DType::I64, &[1, 1, 1]);
        assert!(super::run(&op, super::Level::detect(), &x, &output, &crate::fast::Threads::new(1)).is_none());
    }
}
