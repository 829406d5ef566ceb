//! Matrix products by S1 (ONNX MatMul, Gemm).

use super::Operator;
use super::shape::{
    broadcast, broadcast_strides, check_rank, count, for_each_offset, known_shape, operand, same, tensor,
};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::float::fma32;
use crate::tensor::{DType, Data, Tensor, TensorType};

/// Length of the independent blocks of S1 along k.
pub const BLOCK: usize = 256;

/// S1, the one order of every f32 contraction (spec NUM-9): `k` ascends in blocks of 256; inside a
/// block `acc = fma(a_k, w_k, acc)` from +0; the blocks' results are added in order. No k gives +0.
pub fn s1(length: usize, factors: impl Fn(usize) -> (f32, f32)) -> f32 {
    let block = |start: usize| {
        (start..length.min(start + BLOCK)).fold(0.0f32, |acc, k| {
            let (a, w) = factors(k);
            fma32(a, w, acc)
        })
    };
    let mut total = block(0);
    for start in (BLOCK..length).step_by(BLOCK) {
        total += block(start);
    }
    total
}

crate::attributes! {
    /// numpy.matmul of two f32 tensors.
    ///
    /// Operands a (..., M, K) and b (..., K, N); leading axes broadcast; a vector is a row on the left
    /// and a column on the right, and its axis of length 1 is dropped from the result. Every element is S1.
    ///
    /// Work, with `batch` the product of the result's leading axes and `batch_b` that of b's:
    /// MultiplyAdd `batch * ceil4(M) * ceil16(N) * K`, Element `batch_b * K * N + batch * M * N`.
    pub struct MatMul {}
}

crate::attributes! {
    /// (alpha * S1) + (beta * C), each one rounding; C (optional) is broadcast to (M, N).
    ///
    /// Both factors are always multiplied, 1 and 0 included: 0 * C is NaN where C is infinite.
    /// Without C the result is alpha * S1.
    ///
    /// Work: MultiplyAdd `ceil4(M) * ceil16(N) * K`, Element `K * N + 2 * M * N`.
    pub struct Gemm {
        /// Factor of the product.
        pub alpha: f32,
        /// Factor of C.
        pub beta: f32,
        /// Whether A is transposed.
        pub trans_a: bool,
        /// Whether B is transposed.
        pub trans_b: bool,
    }
}

/// The next multiple of `n`, saturating.
pub(crate) fn round_up(x: u64, n: u64) -> u64 {
    x.div_ceil(n).saturating_mul(n)
}

/// A dimension in [`Operator::work`], where all are known.
pub(crate) fn size(d: Option<&Dim>) -> u64 {
    d.and_then(Dim::as_known).unwrap_or(u64::MAX)
}

/// Product of dimensions, saturating.
pub(crate) fn sizes(dims: &[Dim]) -> u64 {
    dims.iter().fold(1u64, |n, d| n.saturating_mul(size(Some(d))))
}

/// Product that saturates.
pub(crate) fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1u64, |n, f| n.saturating_mul(*f))
}

/// Refuses an operand that is not f32.
pub(crate) fn check_f32(t: &TensorType, what: &str) -> Result<(), OpError> {
    if t.dtype == DType::F32 { Ok(()) } else { Err(OpError::new(format!("{what} is {}, f32 is expected", t.dtype))) }
}

/// Refuses constants of a contraction that are not finite: an infinite or NaN weight makes every answer NaN,
/// and kernels could then not leave anything out.
pub(crate) fn check_finite(inputs: &[Option<&Tensor>]) -> Result<(), OpError> {
    for (i, t) in inputs.iter().enumerate() {
        if let Some(at) = t.and_then(Tensor::as_f32).and_then(|v| v.iter().position(|x| !x.is_finite())) {
            return Err(OpError::new(format!("operand {i} is constant and not finite at element {at}")));
        }
    }
    Ok(())
}

/// A matrix product's sizes, for shapes that `infer` accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Leading axes of the result.
    pub(crate) batch: Vec<usize>,
    /// Strides of the matrices of a over `batch`, in matrices.
    pub(crate) a_strides: Vec<usize>,
    /// Strides of the matrices of b over `batch`, in matrices.
    pub(crate) b_strides: Vec<usize>,
    /// Number of matrices in b.
    pub(crate) b_count: usize,
    /// Rows of a.
    pub(crate) m: usize,
    /// Columns of a, rows of b.
    pub(crate) k: usize,
    /// Columns of b.
    pub(crate) n: usize,
}

impl Sizes {
    /// The sizes of a @ b.
    pub(crate) fn new(a: &[usize], b: &[usize]) -> Self {
        let (a_lead, m, k) = match a {
            [lead @ .., m, k] => (lead, *m, *k),
            _ => (&[][..], 1, a.first().copied().unwrap_or(1)),
        };
        let (b_lead, n) = match b {
            [lead @ .., _, n] => (lead, *n),
            _ => (&[][..], 1),
        };
        let rank = a_lead.len().max(b_lead.len());
        let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
        let batch: Vec<usize> = (0..rank)
            .map(|i| match (at(a_lead, i), at(b_lead, i)) {
                (1, y) => y,
                (x, _) => x,
            })
            .collect();
        Self {
            a_strides: broadcast_strides(a_lead, &batch),
            b_strides: broadcast_strides(b_lead, &batch),
            b_count: b_lead.iter().product(),
            batch,
            m,
            k,
            n,
        }
    }
}

impl Sizes {
    /// Numbers of the matrices whose product is number `i` of the batch.
    pub(crate) fn matrices(&self, mut i: usize) -> (usize, usize) {
        let (mut a, mut b) = (0, 0);
        for axis in (0..self.batch.len()).rev() {
            let at = i % self.batch[axis];
            i /= self.batch[axis];
            a += at * self.a_strides[axis];
            b += at * self.b_strides[axis];
        }
        (a, b)
    }
}

/// Rows, columns and leading axes as `infer` and `work` see them: (lead, M, K) and (lead, K, N).
fn left(t: &TensorType) -> Result<(&[Dim], Option<&Dim>, &Dim), OpError> {
    match t.shape.as_slice() {
        [] => Err(OpError::new("the left operand is a scalar, a matrix or vector is expected")),
        [k] => Ok((&[], None, k)),
        [lead @ .., m, k] => Ok((lead, Some(m), k)),
    }
}

fn right(t: &TensorType) -> Result<(&[Dim], &Dim, Option<&Dim>), OpError> {
    match t.shape.as_slice() {
        [] => Err(OpError::new("the right operand is a scalar, a matrix or vector is expected")),
        [k] => Ok((&[], k, None)),
        [lead @ .., k, n] => Ok((lead, k, Some(n))),
    }
}

/// Leading axes, rows and length of the left side; leading axes, length and columns of the right.
pub(crate) type Sides<'a> = ((&'a [Dim], Option<&'a Dim>, &'a Dim), (&'a [Dim], &'a Dim, Option<&'a Dim>));

/// The sides of a product with numpy's shapes.
pub(crate) fn matmul_sides<'a>(a: &'a TensorType, b: &'a TensorType) -> Result<Sides<'a>, OpError> {
    Ok((left(a)?, right(b)?))
}

/// Bytes of b laid out in panels of 16 columns, and of one block of a's rows (or of the only one, for each thread).
fn gemm_scratch(rows: u64, k: u64, n: u64, b_count: u64) -> u64 {
    let panels = product(&[b_count, round_up(n, 16), k, 4]);
    panels.saturating_add(product(&[rows.max(crate::fast::MAX_THREADS as u64), k.min(BLOCK as u64), 4]))
}

impl Operator for MatMul {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (a, b) = (operand(inputs, 0)?, operand(inputs, 1)?);
        check_f32(a, "the left operand")?;
        check_f32(b, "the right operand")?;
        let ((a_lead, m, ka), (b_lead, kb, n)) = (left(a)?, right(b)?);
        same(ka, kb, "columns of the left and rows of the right operand")?;
        let mut shape = broadcast(a_lead, b_lead)?;
        shape.extend(m.cloned());
        shape.extend(n.cloned());
        check_rank(shape.len())?;
        Ok(vec![TensorType::new(DType::F32, shape)])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let (Ok(a), Ok(b), Some(out)) = (operand(inputs, 0), operand(inputs, 1), outputs.first()) else {
            return Work::default();
        };
        let (Ok((_, m, k)), Ok((b_lead, _, n))) = (left(a), right(b)) else { return Work::default() };
        let (m_size, k, n_size) = (m.map_or(1, |m| size(Some(m))), size(Some(k)), n.map_or(1, |n| size(Some(n))));
        let lead = out.rank() - usize::from(m.is_some()) - usize::from(n.is_some());
        let batch = sizes(&out.shape[..lead]);
        Work::of(Unit::MultiplyAdd, product(&[batch, round_up(m_size, 4), round_up(n_size, 16), k]))
            .and(Unit::Element, product(&[sizes(b_lead), k, n_size]))
            .and(Unit::Element, count(out))
    }

    /// Bytes: `batch_b * ceil16(N) * K * 4 + max(batch * M, 64) * min(K, 256) * 4`.
    fn scratch(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> u64 {
        let (Ok(a), Ok(b), Some(out)) = (operand(inputs, 0), operand(inputs, 1), outputs.first()) else { return 0 };
        let (Ok((_, _, k)), Ok((b_lead, _, n))) = (left(a), right(b)) else { return 0 };
        let rows = sizes(&out.shape[..out.rank() - usize::from(n.is_some())]);
        gemm_scratch(rows, size(Some(k)), n.map_or(1, |n| size(Some(n))), sizes(b_lead))
    }

    fn check_constants(&self, inputs: &[Option<&Tensor>]) -> Result<(), OpError> {
        check_finite(inputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(a), Some(b), Some(out)) = (tensor(inputs, 0), tensor(inputs, 1), outputs.first()) else {
            return Ok(Vec::new());
        };
        let (Data::F32(x), Data::F32(w)) = (&a.data, &b.data) else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let mut v = Vec::with_capacity(shape.iter().product());
        if !shape.contains(&0) {
            let s = Sizes::new(&a.shape, &b.shape);
            for_each_offset(&s.batch, [&s.a_strides, &s.b_strides], |[i, j]| {
                let (x, w) = (&x[i * s.m * s.k..], &w[j * s.k * s.n..]);
                for row in 0..s.m {
                    for column in 0..s.n {
                        v.push(s1(s.k, |k| (x[row * s.k + k], w[k * s.n + column])));
                    }
                }
            });
        }
        Ok(vec![Tensor { shape, data: Data::F32(v) }])
    }
}

impl Gemm {
    /// (M, K) of op(A) and (K, N) of op(B).
    fn sides<'a>(&self, a: &'a TensorType, b: &'a TensorType) -> Result<[&'a Dim; 4], OpError> {
        let ([a0, a1], [b0, b1]) = (a.shape.as_slice(), b.shape.as_slice()) else {
            return Err(OpError::new(format!("two matrices expected, ranks {} and {} came", a.rank(), b.rank())));
        };
        let (m, ka) = if self.trans_a { (a1, a0) } else { (a0, a1) };
        let (kb, n) = if self.trans_b { (b1, b0) } else { (b0, b1) };
        Ok([m, ka, kb, n])
    }
}

impl Operator for Gemm {
    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        if !self.alpha.is_finite() || !self.beta.is_finite() {
            return Err(OpError::new("alpha and beta are finite"));
        }
        let (a, b) = (operand(inputs, 0)?, operand(inputs, 1)?);
        check_f32(a, "A")?;
        check_f32(b, "B")?;
        let [m, ka, kb, n] = self.sides(a, b)?;
        same(ka, kb, "columns of op(A) and rows of op(B)")?;
        if let Some(c) = inputs.get(2).copied().flatten() {
            check_f32(c, "C")?;
            if c.rank() > 2 {
                return Err(OpError::new(format!("C has rank {}, at most 2 is expected", c.rank())));
            }
            for (have, want) in c.shape.iter().rev().zip([n, m]) {
                if *have != Dim::Known(1) {
                    same(have, want, "C is broadcast to the product, so its axes are 1 or the product's")?;
                }
            }
        }
        Ok(vec![TensorType::new(DType::F32, vec![m.clone(), n.clone()])])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let (Ok(a), Ok(b), Some(out)) = (operand(inputs, 0), operand(inputs, 1), outputs.first()) else {
            return Work::default();
        };
        let Ok([m, k, _, n]) = self.sides(a, b) else { return Work::default() };
        let (m, k, n) = (size(Some(m)), size(Some(k)), size(Some(n)));
        Work::of(Unit::MultiplyAdd, product(&[round_up(m, 4), round_up(n, 16), k]))
            .and(Unit::Element, k.saturating_mul(n))
            .and(Unit::Element, count(out).saturating_mul(2))
    }

    /// Bytes: `ceil16(N) * K * 4 + max(M, 64) * min(K, 256) * 4`.
    fn scratch(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> u64 {
        let (Ok(a), Ok(b)) = (operand(inputs, 0), operand(inputs, 1)) else { return 0 };
        let Ok([m, k, _, n]) = self.sides(a, b) else { return 0 };
        gemm_scratch(size(Some(m)), size(Some(k)), size(Some(n)), 1)
    }

    fn check_constants(&self, inputs: &[Option<&Tensor>]) -> Result<(), OpError> {
        check_finite(inputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(a), Some(b), Some(out)) = (tensor(inputs, 0), tensor(inputs, 1), outputs.first()) else {
            return Ok(Vec::new());
        };
        let (Data::F32(x), Data::F32(w)) = (&a.data, &b.data) else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let k = if self.trans_a { a.shape[0] } else { a.shape[1] };
        // Strides of op(A) and op(B): of the row, of the column.
        let (a0, a1) = if self.trans_a { (1, shape[0]) } else { (k, 1) };
        let (b0, b1) = if self.trans_b { (1, k) } else { (shape[1], 1) };
        let c = tensor(inputs, 2);
        let addend = c.map(|c| (c.as_f32().unwrap_or_default(), broadcast_strides(&c.shape, &shape)));
        let mut v = Vec::with_capacity(shape.iter().product());
        if !shape.contains(&0) {
            for row in 0..shape[0] {
                for column in 0..shape[1] {
                    let sum = s1(k, |k| (x[row * a0 + k * a1], w[k * b0 + column * b1]));
                    let scaled = self.alpha * sum;
                    v.push(match &addend {
                        Some((c, s)) => scaled + self.beta * c[row * s[0] + column * s[1]],
                        None => scaled,
                    });
                }
            }
        }
        Ok(vec![Tensor { shape, data: Data::F32(v) }])
    }
}

#[cfg(test)]
mod tests;
