//! Whether this node may seal blocks. Once stopped it serves on, and seals nothing until it is started again.

use alloy_primitives::B256;
use std::sync::{PoisonError, RwLock};

/// Why this node seals nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The thread that seals does not compute LS1.
    #[error("this node seals nothing: {0}; find what set it in this process, and start the node again")]
    Environment(&'static str),
    /// The cross-check found another answer, and the policy is to halt.
    #[error(
        "this node seals nothing since its answer in block {block} (transaction {transaction}, model {model}) differs from the reference{}; see lockstep_findings, and start the node again when the cause is known",
        operator.as_ref().map(|o| format!(" at {o}")).unwrap_or_default()
    )]
    Difference {
        /// The block.
        block: u64,
        /// The transaction.
        transaction: B256,
        /// The model.
        model: B256,
        /// The first operator that differs, where both still do.
        operator: Option<String>,
    },
}

/// What decides it.
#[derive(Debug, Default)]
pub struct Duty(RwLock<Option<Stop>>);

impl Duty {
    /// Stops it; the first reason stays.
    pub fn stop(&self, why: Stop) {
        let mut stopped = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if stopped.is_none() {
            tracing::error!(alarm = "sealing_stopped", reason = %why, "sealing stopped");
            *stopped = Some(why);
        }
    }

    /// Why it was stopped.
    pub fn stopped(&self) -> Option<Stop> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the calling thread may seal now.
    pub fn check(&self) -> Result<(), Stop> {
        match self.stopped() {
            Some(stop) => Err(stop),
            None => lockstep_engine::float::env::check().map_err(Stop::Environment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let duty = Duty::default();
        duty.check().unwrap();
        duty.stop(Stop::Environment("first"));
        duty.stop(Stop::Environment("second"));
        assert_eq!(duty.check(), Err(Stop::Environment("first")));
    }
}
