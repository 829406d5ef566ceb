//! The judge's desk in a sidecar: models from the shelf, inputs by asking the watched node.

use super::{
    fault::{FaultKind, NodeFault},
    journal::settle,
    ledger::Ledger,
    shelf::Shelf,
    watched::{Trouble, Which},
    wire::{Wire, WireError},
};
use crate::{
    crosscheck::{Desk, Finding, Job, Lack, Settled},
    inference::InferenceProof,
    storage::StorageError,
};
use alloy_primitives::B256;
use lockstep_engine::{LoadedModel, Tensor};
use lockstep_precompile::sink::tensors_hash;
use redb::WriteTransaction;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// How often a node that answers other questions is asked for inputs.
const ATTEMPTS: u32 = 3;

pub(super) struct FollowDesk {
    pub(super) wire: Arc<Wire>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) shelf: Shelf,
    /// Where findings are written.
    pub(super) findings: PathBuf,
    /// The inference asked for last, and how often it was in vain.
    pub(super) asked: Mutex<Option<(B256, u64, u32)>>,
}

impl Desk for FollowDesk {
    fn model(&self, id: &B256) -> Result<Arc<LoadedModel>, Lack> {
        self.shelf.get(id)
    }

    fn inputs(&self, job: &Job) -> Result<Vec<Tensor>, Lack> {
        match self.wire.proof(job.inference.transaction_hash, job.nth) {
            Ok(Some(proof)) => self.take(job, &proof),
            Ok(None) => self.without(job, "it does not know the transaction"),
            Err(error @ WireError::Unreachable(_)) => {
                self.ledger.trouble(&error);
                Err(Lack::NotNow(error.to_string()))
            }
            Err(error) => {
                self.ledger.trouble(&error);
                self.without(job, &error.to_string())
            }
        }
    }

    fn is_sound(&self, model: &LoadedModel) -> bool {
        self.shelf.is_sound(model)
    }

    fn found(&self, finding: &Finding) {
        if let Err(error) = self.shelf.export(finding.model_id, &self.findings) {
            tracing::warn!(model = %finding.model_id, %error, "the model was not written beside its finding");
        }
        self.ledger.finding(finding);
    }

    fn settled(&self, tx: &WriteTransaction, settled: &[Settled]) -> Result<(), StorageError> {
        settle(tx, settled)
    }
}

impl FollowDesk {
    /// The inputs count where they have the hash that the header commits to, whatever else the proof says.
    fn take(&self, job: &Job, proof: &InferenceProof) -> Result<Vec<Tensor>, Lack> {
        let inputs: Option<Vec<Tensor>> = proof.inputs.iter().map(|input| input.decode()).collect();
        let right = inputs.filter(|inputs| tensors_hash(inputs) == job.inference.inputs_hash);
        let of_this_block = proof.block_hash == job.block;
        let fault = |kind, reason: String| {
            NodeFault::new(kind, job.number, Some(job.block), reason).of_transaction(job.inference.transaction_hash)
        };
        if !of_this_block && !self.is_canonical(job)? {
            return Err(Lack::Gone);
        }
        let wrong = match proof.check_commitment() {
            _ if !of_this_block => Some(format!("it is a proof for block {}", proof.block_hash)),
            Err(error) => Some(error.to_string()),
            Ok(_) if Some(proof.leaf) != job.inference.named_leaf() => {
                Some(format!("it is about inference {} of the block, another one was asked for", proof.path.index))
            }
            Ok(_) => None,
        };
        if let Some(wrong) = wrong {
            self.ledger.fault(&fault(FaultKind::WrongProof, wrong));
        }
        match right {
            Some(inputs) => Ok(inputs),
            None => {
                let reason = format!(
                    "the inputs that the node gives have not the hash {}, which its block commits to",
                    job.inference.inputs_hash
                );
                self.ledger.fault(&fault(FaultKind::WrongInputs, reason.clone()));
                Err(Lack::Never(reason))
            }
        }
    }

    /// No inputs came from a node that is there.
    fn without(&self, job: &Job, reason: &str) -> Result<Vec<Tensor>, Lack> {
        if !self.is_canonical(job)? {
            return Err(Lack::Gone);
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let before = asked.filter(|(block, nth, _)| (*block, *nth) == (job.block, job.nth)).map_or(0, |(.., n)| n);
        *asked = Some((job.block, job.nth, before + 1));
        if before + 1 < ATTEMPTS {
            return Err(Lack::NotNow(reason.to_owned()));
        }
        let fault = NodeFault::new(FaultKind::WithheldInputs, job.number, Some(job.block), reason);
        self.ledger.fault(&fault.of_transaction(job.inference.transaction_hash));
        Err(Lack::Never(reason.to_owned()))
    }

    /// Whether the inference's block is on the node's chain. A node that says nothing is asked again later.
    fn is_canonical(&self, job: &Job) -> Result<bool, Lack> {
        match self.wire.header(Which::Number(job.number)) {
            Ok(found) => Ok(found.is_some_and(|(hash, _)| hash == job.block)),
            Err(Trouble::Fault(fault)) => {
                self.ledger.fault(&fault);
                Err(Lack::NotNow(fault.to_string()))
            }
            Err(other) => Err(Lack::NotNow(other.to_string())),
        }
    }
}
