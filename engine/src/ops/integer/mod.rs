//! Contractions of 8-bit integers, exact in i32 (spec NUM-15; ONNX MatMulInteger, ConvInteger and what builds on them).

mod conv;

pub use conv::IntegerConv;

use super::Operator;
use super::contraction::{Sizes, matmul_sides, product, round_up, size, sizes};
use super::shape::{broadcast, check_rank, count, for_each_offset, known_shape, operand, same, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::tensor::{DType, Data, Tensor, TensorType};

/// Longest contraction whose sum i32 holds whatever the values: 255 * 255 * 33,025 < 2^31.
pub const MAX_K: u64 = 33_025;

crate::attributes! {
    /// numpy.matmul of (a - a_zero) and (b - b_zero), in i32.
    ///
    /// Operands a (..., M, K) and b (..., K, N), each i8 or u8; optional zero points of the operand's own type: a_zero a
    /// scalar or (M), b_zero a scalar or (N); an absent one is 0. Leading axes broadcast and vectors are as in MatMul.
    /// K is a number of at most 33,025, so that no sum can leave i32.
    ///
    /// Work, with `batch` the product of the result's leading axes and `batch_b` that of b's:
    /// MultiplyAdd `batch * ceil4(M) * ceil16(N) * ceil2(K)`, Element `elements of a + batch_b * K * N + batch * M * N`.
    pub struct IntegerMatMul {}
}

/// Refuses an operand that is not i8 or u8.
pub(crate) fn check_byte(t: &TensorType, what: &str) -> Result<(), OpError> {
    if matches!(t.dtype, DType::I8 | DType::U8) {
        Ok(())
    } else {
        Err(OpError::new(format!("{what} is {}, i8 or u8 is expected", t.dtype)))
    }
}

/// Refuses a contraction whose length is not known or may leave i32.
pub(crate) fn check_length(k: &Dim) -> Result<(), OpError> {
    match k.as_known() {
        Some(n) if n <= MAX_K => Ok(()),
        Some(n) => Err(OpError::new(format!("a contraction of {n}: above {MAX_K} its sum could leave i32"))),
        None => Err(OpError::new(format!("the contraction's length is symbolic, a number up to {MAX_K} is expected"))),
    }
}

/// Checks a zero point: of its operand's type, a scalar or one for each of `n`.
pub(crate) fn check_zero(z: Option<&TensorType>, of: &TensorType, n: Option<&Dim>, what: &str) -> Result<(), OpError> {
    let Some(z) = z else { return Ok(()) };
    if z.dtype != of.dtype {
        return Err(OpError::new(format!("{what} is {}, its operand's {} is expected", z.dtype, of.dtype)));
    }
    match (z.shape.as_slice(), n) {
        ([], _) => Ok(()),
        ([length], Some(n)) => same(length, n, what),
        _ => Err(OpError::new(format!("{what} has rank {}, a scalar or one value an output is expected", z.rank()))),
    }
}

/// The element at `i`.
pub(crate) fn byte(data: &Data, i: usize) -> i32 {
    match data {
        Data::I8(v) => v[i].into(),
        Data::U8(v) => v[i].into(),
        _ => 0,
    }
}

/// The zero point of row, column or channel `i`.
pub(crate) fn zero(t: Option<&Tensor>, i: usize) -> i32 {
    t.map_or(0, |t| byte(&t.data, if t.shape.is_empty() { 0 } else { i }))
}

impl Operator for IntegerMatMul {
    fn arity(&self) -> (usize, usize) {
        (2, 4)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (a, b) = (operand(inputs, 0)?, operand(inputs, 1)?);
        check_byte(a, "the left operand")?;
        check_byte(b, "the right operand")?;
        let ((a_lead, m, ka), (b_lead, kb, n)) = matmul_sides(a, b)?;
        same(ka, kb, "columns of the left and rows of the right operand")?;
        check_length(if ka.as_known().is_some() { ka } else { kb })?;
        check_zero(inputs.get(2).copied().flatten(), a, m, "the zero point of the left operand")?;
        check_zero(inputs.get(3).copied().flatten(), b, n, "the zero point of the right operand")?;
        let mut shape = broadcast(a_lead, b_lead)?;
        shape.extend(m.cloned());
        shape.extend(n.cloned());
        check_rank(shape.len())?;
        Ok(vec![TensorType::new(DType::I32, shape)])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let (Ok(a), Ok(b), Some(out)) = (operand(inputs, 0), operand(inputs, 1), outputs.first()) else {
            return Work::default();
        };
        let Ok(((_, m, k), (_, _, n))) = matmul_sides(a, b) else { return Work::default() };
        let (m_size, k, n_size) = (m.map_or(1, |m| size(Some(m))), size(Some(k)), n.map_or(1, |n| size(Some(n))));
        let batch = sizes(&out.shape[..out.rank() - usize::from(m.is_some()) - usize::from(n.is_some())]);
        Work::of(Unit::MultiplyAdd, product(&[batch, round_up(m_size, 4), round_up(n_size, 16), round_up(k, 2)]))
            .and(Unit::Element, count(a))
            .and(Unit::Element, count(b))
            .and(Unit::Element, count(out))
    }

    /// Bytes: `batch_b * ceil16(N) * (ceil2(K) + 4) + (batch * M + 64) * (2 * ceil2(K) + 8)`: b in panels, rows of a as i16.
    fn scratch(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> u64 {
        let (Ok(a), Ok(b), Some(out)) = (operand(inputs, 0), operand(inputs, 1), outputs.first()) else { return 0 };
        let Ok(((_, _, k), (b_lead, _, n))) = matmul_sides(a, b) else { return 0 };
        let (k, columns) = (round_up(size(Some(k)), 2), n.map_or(1, |n| size(Some(n))));
        let rows = sizes(&out.shape[..out.rank() - usize::from(n.is_some())]);
        product(&[sizes(b_lead), round_up(columns, 16), k.saturating_add(4)]).saturating_add(product(&[
            rows.saturating_add(crate::fast::MAX_THREADS as u64),
            k.saturating_mul(2).saturating_add(8),
        ]))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(a), Some(b), Some(out)) = (tensor(inputs, 0), tensor(inputs, 1), outputs.first()) else {
            return Ok(Vec::new());
        };
        let (a_zero, b_zero) = (tensor(inputs, 2), tensor(inputs, 3));
        let shape = known_shape(out);
        let mut v = Vec::with_capacity(shape.iter().product());
        if !shape.contains(&0) {
            let s = Sizes::new(&a.shape, &b.shape);
            for_each_offset(&s.batch, [&s.a_strides, &s.b_strides], |[i, j]| {
                let (a_first, b_first) = (i * s.m * s.k, j * s.k * s.n);
                for row in 0..s.m {
                    for column in 0..s.n {
                        let (za, zb) = (zero(a_zero, row), zero(b_zero, column));
                        v.push((0..s.k).fold(0i32, |sum, k| {
                            let x = byte(&a.data, a_first + row * s.k + k) - za;
                            let w = byte(&b.data, b_first + k * s.n + column) - zb;
                            sum + x * w
                        }));
                    }
                }
            });
        }
        Ok(vec![Tensor { shape, data: Data::I32(v) }])
    }
}

#[cfg(test)]
mod tests;
