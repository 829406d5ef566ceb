//! Rows times quantised weights.

use super::{BIAS, Format, RowScale, WEIGHT, Weight, WeightClass, known, moved, scale, total, weight};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::ops::Operator;
use crate::ops::contraction::{check_f32, product, round_up, sizes};
use crate::ops::shape::{count, known_shape, operand, same, tensor};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attributes! {
    /// x (..., K) times the transpose of quantised weights (N, K), plus a bias: (..., N).
    ///
    /// Operands x f32 (..., K); weight i8 (N, K), for I16 its high bytes; scale u8 (N, ceil(K / block), 2), a bf16 in two
    /// little-endian bytes for each block, or f32 (N) where `block` is 0; low bytes u8 (N, K) for I16, absent for I8;
    /// optional bias f32 (N). The definition is spec NUM-14, a row being the last axis of x.
    ///
    /// Work, with R rows and p planes (I8 1, I16 2): MultiplyAdd `p * ceil4(R) * ceil16(N) * ceil2(K)`,
    /// Element `R * K + p * ceil(N * K / 4) + R * N`.
    pub struct QuantizedMatMul {
        /// Class of the weights.
        pub class: WeightClass,
        /// Length of the blocks along k that have a scale: 32 for I8, 256 for I16; 0: one scale for each output channel.
        pub block: u32,
    }
}

impl QuantizedMatMul {
    pub(crate) fn format(&self) -> Format {
        Format { class: self.class, block: self.block }
    }
}

/// (rows, K) of x.
fn rows(x: &TensorType) -> Result<(&[Dim], &Dim), OpError> {
    match x.shape.as_slice() {
        [lead @ .., k] => Ok((lead, k)),
        [] => Err(OpError::new("the left operand is a scalar, rows are expected")),
    }
}

impl Operator for QuantizedMatMul {
    fn arity(&self) -> (usize, usize) {
        (3, 5)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, w) = (operand(inputs, 0)?, operand(inputs, WEIGHT)?);
        check_f32(x, "the left operand")?;
        let [n, k] = *known(w)?.as_slice() else {
            return Err(OpError::new(format!("the weight has rank {}, 2 is expected", w.rank())));
        };
        let (lead, length) = rows(x)?;
        same(length, &Dim::Known(k), "columns of the left operand and of the weight")?;
        self.format().check_types(inputs, n, k)?;
        Ok(vec![TensorType::new(DType::F32, [lead, &[Dim::Known(n)]].concat())])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let (Ok(x), Ok(w), Some(out)) = (operand(inputs, 0), operand(inputs, WEIGHT), outputs.first()) else {
            return Work::default();
        };
        let (Ok((lead, _)), Ok([n, k])) = (rows(x), known(w).map(|w| [w[0], w[1]])) else { return Work::default() };
        let planes = self.class.planes();
        let multiply = product(&[planes, round_up(sizes(lead), 4), round_up(n, 16), round_up(k, 2)]);
        let mut work = moved(planes, count(x), n.saturating_mul(k), count(out));
        work.add(&Work::of(Unit::MultiplyAdd, multiply));
        work
    }

    /// Bytes: `p * ceil16(N) * ceil2(K) + 4 * ceil16(N) * (blocks + 1) + 2 * (max(R, 64) + 64) * ceil2(K) + R * (8 + ceil(K / 64))`,
    /// `blocks` being those of a channel: the weights in panels with their scales, the rows as integers with theirs.
    fn scratch(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> u64 {
        let (Ok(x), Ok(w)) = (operand(inputs, 0), operand(inputs, WEIGHT)) else { return 0 };
        let (Ok((lead, _)), Ok([n, k])) = (rows(x), known(w).map(|w| [w[0], w[1]])) else { return 0 };
        let (rows, columns, pairs) = (sizes(lead), round_up(n, 16), round_up(k, 2));
        let blocks = if self.block == 0 { 0 } else { k.div_ceil(self.block.into()) };
        let threads = crate::fast::MAX_THREADS as u64;
        product(&[self.class.planes(), columns, pairs])
            .saturating_add(product(&[4, columns, blocks + 1]))
            .saturating_add(product(&[2, rows.max(threads).saturating_add(threads), pairs]))
            .saturating_add(rows.saturating_mul(k.div_ceil(64).saturating_add(8)))
    }

    fn check_constants(&self, inputs: &[Option<&Tensor>]) -> Result<(), OpError> {
        self.format().check_constants(inputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(w), Some(out)) = (tensor(inputs, 0), Weight::of(inputs), outputs.first()) else {
            return Ok(Vec::new());
        };
        let shape = known_shape(out);
        let bias = tensor(inputs, BIAS).and_then(Tensor::as_f32);
        let values = x.as_f32().unwrap_or_default();
        let k = x.shape.last().copied().unwrap_or(0);
        let n = shape.last().copied().unwrap_or(0);
        let block = self.format().length(k);
        let blocks = k.div_ceil(block);
        let length = shape.iter().product();
        let mut v = Vec::with_capacity(length);
        for row in 0..length.checked_div(n).unwrap_or(0) {
            let row = &values[row * k..(row + 1) * k];
            let Some(s) = RowScale::of(row) else {
                v.extend(std::iter::repeat_n(f32::NAN, n));
                continue;
            };
            let q: Vec<i32> = row.iter().map(|x| s.quantize(*x)).collect();
            for c in 0..n {
                let term = |i: usize| (q[i], weight(w.high, w.low, c * k + i));
                let y = total(k, block, term, |b| scale(w.scale, blocks, c, b)) * s.down;
                v.push(match bias {
                    Some(b) => y + b[c],
                    None => y,
                });
            }
        }
        Ok(vec![Tensor { shape, data: Data::F32(v) }])
    }
}
