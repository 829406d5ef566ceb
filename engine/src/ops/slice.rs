//! A regular part of each axis (ONNX Slice, Split).

use super::Operator;
use super::shape::{count, known_shape, operand, strides, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::each_dtype;
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attributes! {
    /// For axis i of the operand: elements `start[i] + k * step[i]`, for k below `size[i]`.
    pub struct Slice {
        /// First element, one per axis.
        pub start: Vec<u64>,
        /// Distance, one per axis; not 0, negative counts down.
        pub step: Vec<i64>,
        /// Number of elements, one per axis, over the model's symbols.
        pub size: Vec<Dim>,
    }
}

/// # Work
/// Element: elements of the result.
impl Operator for Slice {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], symbols: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        let lengths = [self.start.len(), self.step.len(), self.size.len()];
        if lengths != [x.rank(); 3] {
            let rank = x.rank();
            return Err(OpError::new(format!("start, step and size for {rank} axes expected, {lengths:?} came")));
        }
        let size = symbols.resolve(&self.size)?;
        for (axis, (d, n)) in x.shape.iter().zip(&size).enumerate() {
            let (start, step) = (self.start[axis], self.step[axis]);
            if step == 0 {
                return Err(OpError::new(format!("axis {axis}: the step is 0")));
            }
            // What depends on symbols is decided when a call binds them.
            let (Some(d), Some(n)) = (d.as_known(), n.as_known()) else { continue };
            let last = i128::from(n) - 1;
            let end = last.checked_mul(i128::from(step)).and_then(|l| l.checked_add(i128::from(start)));
            let inside = |p: i128| (0..i128::from(d)).contains(&p);
            if n > 0 && !(inside(i128::from(start)) && end.is_some_and(inside)) {
                return Err(OpError::new(format!(
                    "axis {axis} has {d} elements; {n} from {start} in steps of {step} do not lie inside"
                )));
            }
        }
        Ok(vec![TensorType::new(x.dtype, size)])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, count))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        // `infer` proved every position inside its axis.
        let source = |axis: usize, k: usize| {
            let p = i128::from(self.start[axis]) + k as i128 * i128::from(self.step[axis]);
            Some(p as usize)
        };
        let data = each_dtype!(&x.data, v => pick(v, &x.shape, &shape, Default::default(), &source));
        Ok(vec![Tensor { shape, data }])
    }
}

/// The tensor of `shape` whose element at position k of an axis is the element at `source(axis, k)` of `x`;
/// `fill` where an axis has none.
pub(super) fn pick<T: Copy>(
    x: &[T],
    x_shape: &[usize],
    shape: &[usize],
    fill: T,
    source: &impl Fn(usize, usize) -> Option<usize>,
) -> Vec<T> {
    if shape.contains(&0) {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(shape.iter().product());
    let strides = strides(x_shape);
    pick_axis(x, &strides, shape, fill, source, (0, 0), &mut out);
    out
}

fn pick_axis<T: Copy>(
    x: &[T],
    strides: &[usize],
    shape: &[usize],
    fill: T,
    source: &impl Fn(usize, usize) -> Option<usize>,
    (axis, offset): (usize, usize),
    out: &mut Vec<T>,
) {
    if axis == shape.len() {
        out.push(x[offset]);
        return;
    }
    for k in 0..shape[axis] {
        match source(axis, k) {
            Some(p) => pick_axis(x, strides, shape, fill, source, (axis + 1, offset + p * strides[axis]), out),
            None => {
                let n = shape[axis + 1..].iter().product::<usize>();
                out.extend(std::iter::repeat_n(fill, n));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tensor::{DType, Data};

    fn slice(start: &[u64], step: &[i64], size: &[u64]) -> Slice {
        let size = size.iter().map(|n| Dim::Known(*n)).collect();
        Slice { start: start.to_vec(), step: step.to_vec(), size }
    }

    fn infer(op: &Slice, shape: &[usize]) -> Result<Vec<TensorType>, String> {
        op.infer(&[Some(&TensorType::known(DType::I32, shape))], &Bindings::SYMBOLIC).map_err(|e| e.0)
    }

    fn run(op: &Slice, shape: &[usize]) -> Vec<i32> {
        let n = shape.iter().product::<usize>() as i32;
        let x = Tensor::new(shape.to_vec(), Data::I32((0..n).collect())).unwrap();
        let y = op.reference(&[Some(&x)], &infer(op, shape).unwrap()).unwrap().remove(0);
        match y.data {
            Data::I32(v) => v,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn steps_forward_and_back() {
        assert_eq!(run(&slice(&[1], &[3], &[3]), &[10]), [1, 4, 7]);
        assert_eq!(run(&slice(&[9], &[-1], &[3]), &[10]), [9, 8, 7]);
        assert_eq!(run(&slice(&[1, 2], &[1, -2], &[1, 2]), &[2, 3]), [5, 3]);
        assert_eq!(run(&slice(&[], &[], &[]), &[]), [0]);
        assert_eq!(run(&slice(&[99, 0], &[-7, 1], &[0, 3]), &[2, 3]), [0i32; 0]);
        assert_eq!(run(&slice(&[1], &[i64::MIN], &[1]), &[2]), [1], "the step of one element is not walked");
    }

    #[test]
    fn refusals_say_what_came() {
        let refused = |op: &Slice| infer(op, &[4]).unwrap_err();
        assert_eq!(refused(&slice(&[0], &[0], &[1])), "axis 0: the step is 0");
        assert_eq!(
            refused(&slice(&[1], &[2], &[3])),
            "axis 0 has 4 elements; 3 from 1 in steps of 2 do not lie inside"
        );
        assert!(refused(&slice(&[1], &[-1], &[3])).contains("do not lie inside"));
        assert!(refused(&slice(&[u64::MAX], &[i64::MAX], &[u64::MAX])).contains("do not lie inside"));
        assert!(refused(&slice(&[0, 0], &[1], &[1])).contains("for 1 axes expected, [2, 1, 1] came"));
    }

    #[test]
    fn symbolic_sizes_are_decided_by_the_call() {
        let half = Dim::symbol(0).floor_div(2).unwrap();
        let op = Slice { start: vec![0], step: vec![2], size: vec![half.clone()] };
        let x = TensorType::new(DType::F32, vec![Dim::symbol(0)]);
        assert_eq!(op.infer(&[Some(&x)], &Bindings::SYMBOLIC).unwrap()[0].shape, [half]);
        let call = op.infer(&[Some(&TensorType::known(DType::F32, &[9]))], &Bindings::of(&[Some(9)])).unwrap();
        assert_eq!(call[0].shape, [Dim::Known(4)]);
        assert!(op.infer(&[Some(&TensorType::known(DType::F32, &[9]))], &Bindings::of(&[Some(12)])).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_index_arithmetic(
            n in 1usize..12, m in 1usize..6, start in 0usize..12, size in 0usize..12, step in -4i64..5,
        ) {
            let op = slice(&[start as u64, 0], &[step, 1], &[size as u64, m as u64]);
            let positions: Vec<i64> = (0..size as i64).map(|k| start as i64 + k * step).collect();
            let valid = step != 0 && positions.iter().all(|p| (0..n as i64).contains(p));
            prop_assert_eq!(infer(&op, &[n, m]).is_ok(), valid);
            if valid {
                let want: Vec<i32> =
                    positions.iter().flat_map(|p| (0..m as i32).map(move |c| *p as i32 * m as i32 + c)).collect();
                prop_assert_eq!(run(&op, &[n, m]), want);
            }
        }
    }
}
