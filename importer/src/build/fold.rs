//! Constant folding by the engine's reference: bounded in size and work, both counted, never timed.

use lockstep_engine::cost::Unit;
use lockstep_engine::{Data, Op, Tensor, TensorType};

use super::{Builder, Val};
use crate::error::{Lowered, refuse};

/// Units of work that one import may spend on folding.
pub(super) const BUDGET: u64 = 2_000_000_000;
/// Bytes that the results of folding may take together.
pub(super) const BYTES: u64 = 1 << 30;
/// A result up to this many bytes is folded, whatever its operands are.
const SMALL: u64 = 1 << 16;

impl Builder {
    /// The result, where all operands are constant and it is no larger than they are (or small).
    pub(super) fn fold(&mut self, op: &Op, operands: &[Option<Val>], ty: &TensorType) -> Lowered<Option<Tensor>> {
        let mut tensors = Vec::with_capacity(operands.len());
        for v in operands {
            match v {
                None => tensors.push(None),
                Some(v) => match self.as_constant(*v) {
                    Some(t) => tensors.push(Some(t)),
                    None => return Ok(None),
                },
            }
        }
        let Some(bytes) = ty.bytes() else { return Ok(None) };
        if bytes == 0 && !matches!(op, Op::Require(_)) {
            // Other dimensions may be huge: no kernel has to walk along them.
            let data = lockstep_engine::float::convert::cast(&Data::I64(Vec::new()), ty.dtype);
            return Ok(Some(Tensor { shape: ty.dims()?, data }));
        }
        // An operand that stands twice counts once.
        let mut taken = 0u64;
        for (i, t) in tensors.iter().enumerate() {
            if operands[i].is_some() && !operands[..i].contains(&operands[i]) {
                taken = taken.saturating_add(t.as_ref().and_then(|t| t.ty().bytes()).unwrap_or(0));
            }
        }
        if bytes > self.fold_bytes || bytes > SMALL.max(taken) {
            return Ok(None);
        }
        let operand_types: Vec<Option<TensorType>> = tensors.iter().map(|t| t.as_ref().map(|t| t.ty())).collect();
        let operand_types: Vec<Option<&TensorType>> = operand_types.iter().map(Option::as_ref).collect();
        let work = op.definition().work(&operand_types, std::slice::from_ref(ty));
        let units = Unit::ALL.iter().fold(0u64, |n, u| n.saturating_add(work.get(*u)));
        if units > self.fold_budget {
            return Ok(None);
        }
        self.fold_budget -= units;
        self.fold_bytes -= bytes;
        let operands: Vec<Option<&Tensor>> = tensors.iter().map(Option::as_deref).collect();
        match op.definition().reference(&operands, std::slice::from_ref(ty)) {
            Ok(mut out) => Ok(out.pop().filter(|t| t.ty() == *ty)),
            Err(fault) => refuse!("the constant expression has no value: {fault}"),
        }
    }
}
