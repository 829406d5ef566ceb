//! Permutation of the axes (ONNX Transpose).

use super::Operator;
use super::shape::{count, for_each_offset, known_shape, operand, strides, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::tensor::{Tensor, TensorType};

crate::attributes! {
    /// Output axis i is input axis `perm[i]`.
    pub struct Transpose {
        /// A permutation of the axes.
        pub perm: Vec<u8>,
    }
}

impl Operator for Transpose {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        let mut seen = vec![false; x.rank()];
        for p in &self.perm {
            match seen.get_mut(usize::from(*p)) {
                Some(s) if !*s => *s = true,
                _ => return Err(OpError::new(format!("perm {:?} is no permutation of {} axes", self.perm, x.rank()))),
            }
        }
        if self.perm.len() != x.rank() {
            return Err(OpError::new(format!("perm has {} axes, the operand {}", self.perm.len(), x.rank())));
        }
        Ok(vec![TensorType::new(x.dtype, self.perm.iter().map(|p| x.shape[usize::from(*p)].clone()).collect())])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        // Column-wise reading misses the cache: an element counts four.
        Work::of(Unit::Element, outputs.first().map_or(0, count).saturating_mul(4))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        let shape = known_shape(out);
        let own = strides(&x.shape);
        let permuted: Vec<usize> = self.perm.iter().map(|p| own[usize::from(*p)]).collect();
        let data = crate::each_dtype!(&x.data, v => {
            let mut o = Vec::with_capacity(v.len());
            for_each_offset(&shape, [&permuted], |[i]| o.push(v[i]));
            o
        });
        Ok(vec![Tensor { shape, data }])
    }
}
