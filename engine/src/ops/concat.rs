//! Joins tensors along an axis (ONNX Concat).

use super::Operator;
use super::shape::{count, known_shape, same};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::tensor::{Data, Tensor, TensorType};

crate::attributes! {
    /// Joins its operands, in order, along `axis`.
    pub struct Concat {
        /// The axis, counted from the front.
        pub axis: u8,
    }
}

impl Operator for Concat {
    fn arity(&self) -> (usize, usize) {
        (1, crate::limits::MAX_PORTS)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let axis = usize::from(self.axis);
        let all: Vec<&TensorType> =
            inputs.iter().map(|i| i.ok_or_else(|| OpError::new("an operand is missing"))).collect::<Result<_, _>>()?;
        let first = *all.first().ok_or_else(|| OpError::new("no operand"))?;
        if axis >= first.rank() {
            return Err(OpError::new(format!("axis {axis} of rank {}", first.rank())));
        }
        let mut shape = first.shape.clone();
        for x in &all[1..] {
            if x.dtype != first.dtype || x.rank() != first.rank() {
                return Err(OpError::new(format!(
                    "operands of one type and rank expected, {} of rank {} and {} of rank {} came",
                    first.dtype,
                    first.rank(),
                    x.dtype,
                    x.rank()
                )));
            }
            for (i, d) in x.shape.iter().enumerate() {
                if i == axis {
                    shape[i] = shape[i].add(d).ok_or_else(|| OpError::new("the axis is too long"))?;
                } else {
                    same(&shape[i], d, "an axis that is not joined")?;
                    if d.as_known().is_some() {
                        shape[i] = d.clone();
                    }
                }
            }
        }
        Ok(vec![TensorType::new(first.dtype, shape)])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, count))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(out), Some(Some(first))) = (outputs.first(), inputs.first()) else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let axis = usize::from(self.axis);
        let outer: usize = shape[..axis].iter().product();
        macro_rules! join {
            ($variant:ident) => {{
                let mut v = Vec::with_capacity(shape.iter().product());
                for o in 0..outer {
                    for x in inputs.iter().flatten() {
                        let Data::$variant(d) = &x.data else { return Ok(Vec::new()) };
                        let n = x.shape[axis..].iter().product::<usize>();
                        v.extend_from_slice(&d[o * n..(o + 1) * n]);
                    }
                }
                Data::$variant(v)
            }};
        }
        let data = match &first.data {
            Data::F32(_) => join!(F32),
            Data::U8(_) => join!(U8),
            Data::I8(_) => join!(I8),
            Data::I32(_) => join!(I32),
            Data::I64(_) => join!(I64),
            Data::Bool(_) => join!(Bool),
        };
        Ok(vec![Tensor { shape, data }])
    }
}
