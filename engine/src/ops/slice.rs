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
