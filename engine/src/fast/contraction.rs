//! MatMul and Gemm.

use super::fuse::After;
use super::gemm::{Part, Scratch, TILES as CHUNK, gemm};
use super::kernel::max_rows;
use super::level::Level;
use super::panels::{LANES, Matrix, Panels};
use super::{Failure, Threads, spare};
use crate::ops::contraction::{Gemm, MatMul, Sizes};
use crate::ops::shape::{broadcast_strides, known_shape};
use crate::tensor::{Data, Tensor, TensorType};

/// Columns of a single row that a thread takes at least.
const COLUMNS: usize = 4 * LANES;

/// One product of a batch after the other, or all as one.
struct Product<'a> {
    level: Level,
    /// Rows of one product.
    m: usize,
    /// The left side and the number of the right side of a product.
    sides: &'a (dyn Fn(usize) -> (Matrix<'a>, usize) + Sync),
    b: &'a Panels,
    /// Multiply-adds of everything.
    work: u64,
}

impl Product<'_> {
    /// S1 of everything; `finish` gets each part with the number of its first element, while it is in the cache.
    fn run(
        &self,
        out: &mut [f32],
        threads: &Threads,
        finish: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Result<(), &'static str> {
        let n = self.b.n();
        if out.is_empty() {
            return Ok(());
        }
        if out.len() == n {
            return threads.split(out, COLUMNS, self.work, |first, out| {
                let (a, matrix) = (self.sides)(0);
                let at = first * COLUMNS;
                let part = Part { row: 0, rows: 1, matrix, panel: at / LANES, columns: out.len() };
                gemm(self.level, &a, self.b, &part, out, out.len(), &mut Scratch::default());
                finish(at, out);
            });
        }
        threads.split(out, n, self.work, |first, out| {
            let mut scratch = Scratch::default();
            let (mut row, end) = (first, first + out.len() / n);
            while row < end {
                // Rows of one product, few enough that they are finished while they are in a cache.
                let rows = (self.m - row % self.m).min(end - row).min(CHUNK * max_rows(self.level));
                let (a, matrix) = (self.sides)(row / self.m);
                let part = Part { row: row % self.m, rows, matrix, panel: 0, columns: n };
                let out = &mut out[(row - first) * n..][..rows * n];
                gemm(self.level, &a, self.b, &part, out, n, &mut scratch);
                finish(row * n, out);
                row += rows;
            }
        })
    }
}

/// Number, rows and columns of the matrices on the right of a MatMul.
pub(crate) fn matmul_layout(b: &Tensor) -> Option<[usize; 3]> {
    match b.shape.as_slice() {
        [] => None,
        [k] => Some([1, *k, 1]),
        [lead @ .., k, n] => Some([lead.iter().product(), *k, *n]),
    }
}

/// The right side of a MatMul in panels.
pub(crate) fn prepare_matmul(b: &Tensor) -> Option<Panels> {
    let ([count, k, n], data) = (matmul_layout(b)?, b.as_f32()?);
    Some(Panels::pack(count, k, n, |i| Matrix { data: &data[i * k * n..], row: n, column: 1 }))
}

/// Number, rows and columns of the matrix on the right of a Gemm.
pub(crate) fn gemm_layout(op: &Gemm, b: &Tensor) -> Option<[usize; 3]> {
    let [rows, columns] = *b.shape.as_slice() else { return None };
    Some(if op.trans_b { [1, columns, rows] } else { [1, rows, columns] })
}

/// The right side of a Gemm in panels.
pub(crate) fn prepare_gemm(op: &Gemm, b: &Tensor) -> Option<Panels> {
    let ([count, k, n], data) = (gemm_layout(op, b)?, b.as_f32()?);
    let (row, column) = if op.trans_b { (1, k) } else { (n, 1) };
    Some(Panels::pack(count, k, n, |_| Matrix { data, row, column }))
}

/// Runs a MatMul.
pub(crate) fn matmul(
    _op: &MatMul,
    level: Level,
    prepared: Option<&Panels>,
    inputs: [&Tensor; 2],
    output: &TensorType,
    threads: &Threads,
    after: Option<After<'_>>,
) -> Result<Tensor, Failure> {
    const TYPES: Failure = Failure::Environment("a contraction met other types than were inferred");
    let [a, b] = inputs;
    let shape = known_shape(output);
    let mut out = spare::zeroed(shape.iter().product());
    if !out.is_empty() {
        let data = a.as_f32().ok_or(TYPES)?;
        let s = Sizes::new(&a.shape, &b.shape);
        let own;
        let panels = match prepared {
            Some(p) => p,
            None => {
                own = prepare_matmul(b).ok_or(TYPES)?;
                &own
            }
        };
        let batch: usize = s.batch.iter().product();
        // One matrix on the right and none repeated on the left: all rows are those of one product.
        let one = s.b_count == 1 && data.len() == batch * s.m * s.k;
        let sides = |i: usize| {
            let (i, matrix) = if one { (0, 0) } else { s.matrices(i) };
            (Matrix { data: &data[i * s.m * s.k..], row: s.k, column: 1 }, matrix)
        };
        let work = (out.len() as u64).saturating_mul(s.k as u64);
        let m = if one { batch * s.m } else { s.m };
        Product { level, m, sides: &sides, b: panels, work }
            .run(&mut out, threads, |first, out| after.iter().for_each(|f| f(first, out)))
            .map_err(Failure::Environment)?;
    }
    Ok(Tensor { shape, data: Data::F32(out) })
}

/// Runs a Gemm.
#[allow(clippy::too_many_arguments)]
pub(crate) fn gemm_operator(
    op: &Gemm,
    level: Level,
    prepared: Option<&Panels>,
    inputs: [&Tensor; 2],
    addend: Option<&Tensor>,
    output: &TensorType,
    threads: &Threads,
    after: Option<After<'_>>,
) -> Result<Tensor, Failure> {
    const TYPES: Failure = Failure::Environment("a contraction met other types than were inferred");
    let [a, b] = inputs;
    let shape = known_shape(output);
    let mut out = spare::zeroed(shape.iter().product());
    if !out.is_empty() {
        let data = a.as_f32().ok_or(TYPES)?;
        let own;
        let panels = match prepared {
            Some(p) => p,
            None => {
                own = prepare_gemm(op, b).ok_or(TYPES)?;
                &own
            }
        };
        let (m, n) = (shape[0], shape[1]);
        let (row, column) = if op.trans_a { (1, m) } else { (panels.k(), 1) };
        let addend = match addend {
            Some(c) => Some((c.as_f32().ok_or(TYPES)?, broadcast_strides(&c.shape, &shape))),
            None => None,
        };
        let work = (out.len() as u64).saturating_mul(panels.k() as u64);
        Product { level, m, sides: &|_| (Matrix { data, row, column }, 0), b: panels, work }
            .run(&mut out, threads, |first, out| {
                let Some((c, strides)) = &addend else {
                    scale(out, op.alpha);
                    return after.iter().for_each(|f| f(first, out));
                };
                // A part is some columns of the only row, or whole rows.
                let (mut at, mut rest) = (first, &mut *out);
                while !rest.is_empty() {
                    let (r, from) = (at / n, at % n);
                    let (line, others) = rest.split_at_mut((n - from).min(rest.len()));
                    let c = &c[r * strides[0] + from * strides[1]..];
                    add(line, op.alpha, op.beta, c, strides[1]);
                    at += line.len();
                    rest = others;
                }
                after.iter().for_each(|f| f(first, out));
            })
            .map_err(Failure::Environment)?;
    }
    Ok(Tensor { shape, data: Data::F32(out) })
}

fn scale(out: &mut [f32], alpha: f32) {
    if alpha != 1.0 {
        out.iter_mut().for_each(|x| *x *= alpha);
    }
}

/// (alpha * x) + (beta * c): three roundings, never fused. A factor of 1 changes nothing.
fn add(out: &mut [f32], alpha: f32, beta: f32, c: &[f32], stride: usize) {
    scale(out, alpha);
    if stride == 0 {
        let c = beta * c[0];
        out.iter_mut().for_each(|x| *x += c);
    } else {
        out.iter_mut().zip(c).for_each(|(x, c)| *x += beta * c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::testing::{Values, agree, pick};
    use crate::ops::Op;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const LENGTHS: [usize; 6] = [0, 1, 255, 256, 257, 600];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn matmul_has_the_references_bits(seed: u64) {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let (m, n) = (rng.random_range(0..20), rng.random_range(0..70));
            let k = pick(rng, &LENGTHS);
            let values = pick(rng, &[Values::Ordinary, Values::Wide, Values::Special]);
            let (a, b) = match rng.random_range(0..6) {
                0 => (vec![k], vec![k, n]),
                1 => (vec![m, k], vec![k]),
                2 => (vec![3, m, k], vec![k, n]),
                3 => (vec![2, 1, m, k], vec![3, k, n]),
                4 => (vec![m, k], vec![2, k, n]),
                _ => (vec![m, k], vec![k, n]),
            };
            agree(&MatMul {}.into(), &[&values.tensor(rng, &a), &values.tensor(rng, &b)], 1);
        }

        #[test]
        fn gemm_has_the_references_bits(seed: u64, trans_a: bool, trans_b: bool) {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let (m, n) = (rng.random_range(0..40), rng.random_range(0..70));
            let k = pick(rng, &LENGTHS);
            let values = pick(rng, &[Values::Ordinary, Values::Wide, Values::Special]);
            let turn = |t: bool, r, c| if t { [c, r] } else { [r, c] };
            let a = values.tensor(rng, &turn(trans_a, m, k));
            let b = values.tensor(rng, &turn(trans_b, k, n));
            let (alpha, beta) = (pick(rng, &[1.0, -0.0, 0.7]), pick(rng, &[1.0, 0.0, -1.3]));
            let op: Op = Gemm { alpha, beta, trans_a, trans_b }.into();
            agree(&op, &[&a, &b], 1);
            let c = pick(rng, &[vec![], vec![1], vec![n], vec![1, n], vec![m, 1], vec![m, n]]);
            agree(&op, &[&a, &b, &values.tensor(rng, &c)], 1);
        }
    }

    #[test]
    fn a_row_alone_is_the_row_in_its_batch() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let (k, n) = (300, 37);
        let (a, b) = (Values::Wide.tensor(rng, &[33, k]), Values::Wide.tensor(rng, &[k, n]));
        let op: Op = MatMul {}.into();
        let all = agree(&op, &[&a, &b], 1);
        for r in 0..33 {
            let row = Tensor { shape: vec![1, k], data: Data::F32(a.as_f32().unwrap()[r * k..(r + 1) * k].to_vec()) };
            assert_eq!(agree(&op, &[&row, &b], 1), all[r * n..(r + 1) * n]);
        }
    }
}
