//! ONNX Where: condition ? a : b with broadcasting of all three.

use super::Operator;
use super::shape::{broadcast, broadcast_strides, count, for_each_offset, known_shape, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attributes! {
    /// condition ? a : b.
    pub struct Select {}
}

impl Operator for Select {
    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (c, a, b) = (operand(inputs, 0)?, operand(inputs, 1)?, operand(inputs, 2)?);
        if c.dtype != DType::Bool || a.dtype != b.dtype {
            return Err(OpError::new(format!(
                "a bool condition and two operands of one type expected, {}, {} and {} came",
                c.dtype, a.dtype, b.dtype
            )));
        }
        let shape = broadcast(&broadcast(&c.shape, &a.shape)?, &b.shape)?;
        Ok(vec![TensorType::new(a.dtype, shape)])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, count))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(c), Some(a), Some(b), Some(out)) =
            (tensor(inputs, 0), tensor(inputs, 1), tensor(inputs, 2), outputs.first())
        else {
            return Ok(Vec::new());
        };
        let Data::Bool(cond) = &c.data else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let (sc, sa, sb) = (
            broadcast_strides(&c.shape, &shape),
            broadcast_strides(&a.shape, &shape),
            broadcast_strides(&b.shape, &shape),
        );
        macro_rules! pick {
            ($variant:ident, $x:expr, $y:expr) => {{
                let mut v = Vec::with_capacity(shape.iter().product());
                for_each_offset(&shape, [&sc, &sa, &sb], |[k, i, j]| v.push(if cond[k] { $x[i] } else { $y[j] }));
                Data::$variant(v)
            }};
        }
        let data = match (&a.data, &b.data) {
            (Data::F32(x), Data::F32(y)) => pick!(F32, x, y),
            (Data::U8(x), Data::U8(y)) => pick!(U8, x, y),
            (Data::I8(x), Data::I8(y)) => pick!(I8, x, y),
            (Data::I32(x), Data::I32(y)) => pick!(I32, x, y),
            (Data::I64(x), Data::I64(y)) => pick!(I64, x, y),
            (Data::Bool(x), Data::Bool(y)) => pick!(Bool, x, y),
            _ => return Ok(Vec::new()),
        };
        Ok(vec![Tensor { shape, data }])
    }
}
