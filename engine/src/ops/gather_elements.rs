//! Picks one element for each index (ONNX GatherElements 13); a negative index counts from the end.

use super::Operator;
use super::gather::{check_indices, positions};
use super::shape::{count, for_each_offset, known_shape, operand, strides, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::each_dtype;
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attributes! {
    /// Operands data, indices (i32 or i64, same rank). The result has the shape of the indices:
    /// `y[i][j][k] = data[i][index[i][j][k]][k]` for axis 1.
    pub struct GatherElements {
        /// The axis of data that the indices count along, from the front.
        pub axis: u8,
    }
}

/// Checks operand types of an operator that meets data and indices of one rank element by element.
pub(super) fn check_aligned(x: &TensorType, index: &TensorType, axis: u8) -> Result<(), OpError> {
    check_indices(index)?;
    let axis = usize::from(axis);
    if axis >= x.rank() || index.rank() != x.rank() {
        return Err(OpError::new(format!(
            "axis {axis} of data of rank {}, indices of rank {}",
            x.rank(),
            index.rank()
        )));
    }
    for (i, (n, m)) in x.shape.iter().zip(&index.shape).enumerate() {
        // Along the other axes an index stands over its own position.
        if let (true, Dim::Known(n), Dim::Known(m)) = (i != axis, n, m)
            && m > n
        {
            return Err(OpError::new(format!("axis {i}: {m} indices over {n} elements")));
        }
    }
    Ok(())
}

/// # Work
/// Element: 4 for each element of the result, which may lie anywhere, + indices.
impl Operator for GatherElements {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, index) = (operand(inputs, 0)?, operand(inputs, 1)?);
        check_aligned(x, index, self.axis)?;
        Ok(vec![TensorType::new(x.dtype, index.shape.clone())])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, count).saturating_mul(5))
    }

    fn scratch(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> u64 {
        // The indices as positions.
        outputs.first().map_or(0, count).saturating_mul(8)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(index), Some(out)) = (tensor(inputs, 0), tensor(inputs, 1), outputs.first()) else {
            return Ok(Vec::new());
        };
        let positions = positions(index, x.shape[usize::from(self.axis)])?;
        let data = each_dtype!(&x.data, v => {
            let mut y = Vec::with_capacity(positions.len());
            for_each_position(&x.shape, &index.shape, self.axis, &positions, |_, at| y.push(v[at]));
            y
        });
        Ok(vec![Tensor { shape: known_shape(out), data }])
    }
}

/// Calls `f` for each index, row-major, with its number and the offset in data that it names.
pub(super) fn for_each_position(
    data: &[usize],
    index: &[usize],
    axis: u8,
    positions: &[usize],
    mut f: impl FnMut(usize, usize),
) {
    let mut others = strides(data);
    let along = std::mem::replace(&mut others[usize::from(axis)], 0);
    let mut n = 0;
    for_each_offset(index, [&others], |[base]| {
        f(n, base + positions[n] * along);
        n += 1;
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{DType, Data};

    fn run(axis: u8, shape: &[usize], index: (&[usize], &[i64])) -> Result<Tensor, ValueFault> {
        let n = shape.iter().product::<usize>();
        let x = Tensor::new(shape.to_vec(), Data::F32((0..n).map(|i| i as f32).collect())).unwrap();
        let index = Tensor::new(index.0.to_vec(), Data::I64(index.1.to_vec())).unwrap();
        let op = GatherElements { axis };
        let out = op.infer(&[Some(&x.ty()), Some(&index.ty())], &Bindings::SYMBOLIC).unwrap();
        Ok(op.reference(&[Some(&x), Some(&index)], &out)?.remove(0))
    }

    #[test]
    fn each_index_stands_over_its_own_position_on_the_other_axes() {
        let y = run(1, &[2, 3], (&[2, 2], &[2, -3, 0, 1])).unwrap();
        assert_eq!((y.shape.as_slice(), y.as_f32().unwrap()), (&[2, 2][..], &[2.0, 0.0, 3.0, 4.0][..]));
        let y = run(0, &[3, 2], (&[1, 2], &[2, 0])).unwrap();
        assert_eq!(y.as_f32().unwrap(), [4.0, 1.0]);
        // Fewer indices than data along an outer axis.
        let y = run(1, &[3, 2], (&[2, 3], &[0, 0, 1, -1, 1, 0])).unwrap();
        assert_eq!(y.as_f32().unwrap(), [0.0, 0.0, 1.0, 3.0, 3.0, 2.0]);
        assert_eq!(run(0, &[3], (&[1], &[3])), Err(ValueFault::IndexOutOfRange));
        assert_eq!(run(0, &[3], (&[1], &[-4])), Err(ValueFault::IndexOutOfRange));
    }

    #[test]
    fn refusals_say_what_came() {
        let infer = |axis, x: &[usize], d, i: &[usize]| {
            let (x, i) = (TensorType::known(DType::U8, x), TensorType::known(d, i));
            GatherElements { axis }.infer(&[Some(&x), Some(&i)], &Bindings::SYMBOLIC).map_err(|e| e.0)
        };
        assert_eq!(infer(0, &[2, 3], DType::I64, &[1, 4]).unwrap_err(), "axis 1: 4 indices over 3 elements");
        assert_eq!(infer(0, &[2], DType::I64, &[1, 1]).unwrap_err(), "axis 0 of data of rank 1, indices of rank 2");
        assert_eq!(infer(0, &[2], DType::F32, &[1]).unwrap_err(), "indices in i32 or i64 expected, f32 came");
    }
}
