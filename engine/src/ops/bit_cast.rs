//! The same bits read as another type of the same size (ONNX BitCast 26).

use super::Operator;
use super::shape::{count, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::tensor::{DType, Tensor, TensorType};

crate::attributes! {
    /// The same bits as another type. A NaN has one bit pattern (spec NUM-3).
    pub struct BitCast {
        /// Read as this type.
        pub to: DType,
    }
}

/// # Work
/// Element: 2 for each element.
impl Operator for BitCast {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        if x.dtype.size() != self.to.size() {
            return Err(OpError::new(format!("{} and {} have different sizes", x.dtype, self.to)));
        }
        // Not every byte is a bool.
        if self.to == DType::Bool && x.dtype != DType::Bool {
            return Err(OpError::new(format!("{} read as bool", x.dtype)));
        }
        Ok(vec![TensorType::new(self.to, x.shape.clone())])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        Work::of(Unit::Element, outputs.first().map_or(0, count).saturating_mul(2))
    }

    fn scratch(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> u64 {
        // The bytes in between.
        outputs.first().and_then(TensorType::bytes).unwrap_or(u64::MAX)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], _: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let Some(x) = tensor(inputs, 0) else { return Ok(Vec::new()) };
        Ok(Tensor::from_le_bytes(self.to, x.shape.clone(), &x.to_le_bytes()).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Data;

    fn cast(data: Data, to: DType) -> Result<Data, String> {
        let x = Tensor { shape: vec![data.len()], data };
        let out = BitCast { to }.infer(&[Some(&x.ty())], &Bindings::SYMBOLIC).map_err(|e| e.0)?;
        Ok(BitCast { to }.reference(&[Some(&x)], &out).unwrap().remove(0).data)
    }

    #[test]
    fn bits_stay_and_nan_is_the_canonical_one() {
        let odd_nan = f32::from_bits(0xffc0_1234);
        let y = cast(Data::F32(vec![1.0, -0.0, odd_nan]), DType::I32).unwrap();
        assert_eq!(y, Data::I32(vec![0x3f80_0000, i32::MIN, 0x7fc0_0000]));
        assert_eq!(cast(Data::I8(vec![-1, 5]), DType::U8), Ok(Data::U8(vec![255, 5])));
        assert_eq!(cast(Data::Bool(vec![true, false]), DType::I8), Ok(Data::I8(vec![1, 0])));
        assert_eq!(cast(Data::U8(vec![2]), DType::Bool).unwrap_err(), "u8 read as bool");
        assert_eq!(cast(Data::I64(vec![2]), DType::F32).unwrap_err(), "i64 and f32 have different sizes");
    }
}
