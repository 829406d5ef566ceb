//! A check while running: passes its operand on, or fails the call.

use super::Operator;
use super::shape::{count, operand, tensor};
use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{OpError, ValueFault};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attribute_enum! {
    /// What the importer took for granted, so that the call has to say the same.
    pub enum Requirement {
        /// An argument (axes, a shape, sizes, ...) has the value that the model's declared shapes give it.
        Argument = 0,
        /// A loop takes no more iterations than were declared at import.
        TripCount = 1,
        /// Training mode is off.
        Inference = 2,
        /// A value lies in the range for which the operator is defined.
        Range = 3,
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Argument => "an argument differs from what the model's declared shapes say",
            Self::TripCount => "a loop takes more iterations than were declared at import",
            Self::Inference => "training mode is on",
            Self::Range => "a value lies outside the operator's range",
        })
    }
}

crate::attributes! {
    /// Operands x (any type), condition (bool, any shape). The result is x where all of the condition is true.
    pub struct Require {
        /// What fails where the condition is not all true.
        pub what: Requirement,
    }
}

/// Runs also where its result has no element.
///
/// # Work
/// Element: elements of x + elements of the condition.
impl Operator for Require {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, condition) = (operand(inputs, 0)?, operand(inputs, 1)?);
        if condition.dtype != DType::Bool {
            return Err(OpError::new(format!("a bool condition expected, {} came", condition.dtype)));
        }
        Ok(vec![x.clone()])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let condition = inputs.get(1).copied().flatten().map_or(0, count);
        Work::of(Unit::Element, outputs.first().map_or(0, count)).and(Unit::Element, condition)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], _: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(condition)) = (tensor(inputs, 0), tensor(inputs, 1)) else { return Ok(Vec::new()) };
        match &condition.data {
            Data::Bool(v) if v.iter().all(|b| *b) => Ok(vec![x.clone()]),
            _ => Err(ValueFault::Required(self.what)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_all_true_fails_and_names_the_requirement() {
        let x = Tensor::vector(vec![1.0, f32::NAN]);
        for what in Requirement::ALL {
            let op = Require { what: *what };
            let run = |v: &[bool]| {
                let c = Tensor { shape: vec![v.len()], data: Data::Bool(v.to_vec()) };
                let out = op.infer(&[Some(&x.ty()), Some(&c.ty())], &Bindings::SYMBOLIC).unwrap();
                assert_eq!(out, [x.ty()]);
                op.reference(&[Some(&x), Some(&c)], &out)
            };
            assert_eq!(run(&[true, true]).unwrap()[0].to_le_bytes(), x.to_le_bytes());
            assert_eq!(run(&[]).unwrap()[0].shape, [2], "nothing asked, nothing failed");
            let fault = run(&[true, false]).unwrap_err();
            assert_eq!(fault, ValueFault::Required(*what));
            assert!(fault.to_string().contains(&what.to_string()), "{fault}");
        }
        let float = Require { what: Requirement::Argument }.infer(&[Some(&x.ty()); 2], &Bindings::SYMBOLIC);
        assert_eq!(float.unwrap_err().0, "a bool condition expected, f32 came");
    }
}
