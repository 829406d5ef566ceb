//! What attesters have signed, checked when the weights are here (spec REG-14): the registry has none to check it with.

use super::StoredModel;
use crate::evm::REGISTRY_ADDRESS;
use alloy_primitives::{Address, B256, Log, keccak256};
use lockstep_precompile::attestation::{possession, salt};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{LazyLock, Mutex, PoisonError},
};

/// Claims kept at a time; beyond it those of the least ids go.
const KEPT: usize = 4_096;

/// `ModelAttested(bytes32 indexed modelId, address indexed attester, bytes32 challenge, bytes32 possession)`.
static MODEL_ATTESTED: LazyLock<B256> = LazyLock::new(|| keccak256("ModelAttested(bytes32,address,bytes32,bytes32)"));

/// Claims of blocks that this node has seen since its start, until it has the weights.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<BTreeMap<B256, BTreeSet<Claim>>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    attester: Address,
    challenge: B256,
    possession: B256,
}

impl Claims {
    /// Keeps what a log claims, if it does.
    pub(super) fn note(&self, log: &Log) {
        let [event, id, attester] = log.topics() else { return };
        let (words, rest) = log.data.data.as_chunks::<32>();
        let ([challenge, possession], true) = (words, rest.is_empty()) else { return };
        if log.address != REGISTRY_ADDRESS || *event != *MODEL_ATTESTED {
            return;
        }
        let claim = Claim {
            attester: Address::from_word(*attester),
            challenge: challenge.into(),
            possession: possession.into(),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(*id).or_default().insert(claim);
        while all.values().map(BTreeSet::len).sum::<usize>() > KEPT {
            all.pop_first();
        }
    }

    /// Checks what was claimed of a model, whose content has the hashes of its name, and tells the attesters whose word is
    /// false. What is checked is forgotten.
    pub(super) fn check(&self, model: &StoredModel) -> Vec<Address> {
        let claims = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&model.id).unwrap_or_default();
        let wrong = |c: &Claim| possession(salt(c.challenge, c.attester), &model.weights) != c.possession;
        let liars: Vec<Address> = claims.into_iter().filter(wrong).map(|claim| claim.attester).collect();
        for attester in &liars {
            tracing::error!(
                alarm = "false_attestation", model = %model.id, %attester,
                "an attester signed what the weights do not give: it did not hold them"
            );
        }
        liars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(id: B256, attester: Address, challenge: B256, possession: B256) -> Log {
        let data = [challenge.0, possession.0].concat();
        let topics = vec![*MODEL_ATTESTED, id, attester.into_word()];
        Log::new_unchecked(REGISTRY_ADDRESS, topics, data.into())
    }

    #[test]
    fn a_false_attestation_is_found_by_who_has_the_weights() {
        let model = StoredModel { id: B256::repeat_byte(1), graph: Vec::new(), weights: vec![7; 30_000] };
        let (honest, liar, challenge) = (Address::repeat_byte(2), Address::repeat_byte(3), B256::repeat_byte(4));
        let right = possession(salt(challenge, honest), &model.weights);
        let claims = Claims::default();
        claims.note(&log(model.id, honest, challenge, right));
        // Copied from the other.
        claims.note(&log(model.id, liar, challenge, right));
        claims.note(&log(B256::repeat_byte(9), liar, challenge, B256::ZERO));
        let mut elsewhere = log(model.id, Address::repeat_byte(5), challenge, B256::ZERO);
        elsewhere.address = liar;
        claims.note(&elsewhere);
        assert_eq!(claims.check(&model), [liar]);
        assert!(claims.check(&model).is_empty(), "told once");
    }

    #[test]
    fn claims_are_bounded() {
        let claims = Claims::default();
        for n in 0..KEPT as u64 + 50 {
            claims.note(&log(B256::from(alloy_primitives::U256::from(n)), Address::ZERO, B256::ZERO, B256::ZERO));
        }
        assert_eq!(claims.0.lock().unwrap().len(), KEPT);
    }
}
