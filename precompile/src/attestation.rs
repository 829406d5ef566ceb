//! What an attester signs for a model whose weights are not on chain (spec REG-14).
//!
//! The registry checks who signed; it has no weights, so it cannot check [`possession`]. Who has them can, at any time.

use alloy_primitives::{Address, B256, keccak256};
use lockstep_engine::format::merkle::{LEAF_SIZE, keccak, root};

/// Leads the salted leaves: other leaves and nodes of the tree are led by 0 and 1.
const SALTED: u8 = 2;

/// What an attester's leaves are salted with: another for each challenge and each attester, so that nobody can copy.
pub fn salt(challenge: B256, attester: Address) -> B256 {
    keccak256([challenge.as_slice(), attester.into_word().as_slice()].concat())
}

/// Root over keccak256(0x02 ‖ salt ‖ bytes) of each leaf of the weights.
pub fn possession(salt: B256, weights: &[u8]) -> B256 {
    root(weights.chunks(LEAF_SIZE).map(|leaf| keccak(&[&[SALTED], salt.as_slice(), leaf])).collect()).into()
}

/// What is signed, without a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The chain.
    pub chain_id: u64,
    /// The registry on it.
    pub registry: Address,
    /// The model.
    pub model_id: B256,
    /// Root of its weights.
    pub weights_root: B256,
    /// The challenge that stands.
    pub challenge: B256,
    /// The attester's own root.
    pub possession: B256,
}

impl Statement {
    /// The hash that an attester signs.
    pub fn digest(&self) -> B256 {
        let mut chain = B256::ZERO;
        chain[24..].copy_from_slice(&self.chain_id.to_be_bytes());
        let words = [
            keccak256("lockstep.attestation.v1"),
            chain,
            self.registry.into_word(),
            self.model_id,
            self.weights_root,
            self.challenge,
            self.possession,
        ];
        keccak256(words.map(|word| word.0).as_flattened())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_statement_is_in_its_digest() {
        let hash = B256::repeat_byte;
        let base = Statement {
            chain_id: 1,
            registry: Address::repeat_byte(2),
            model_id: hash(3),
            weights_root: hash(4),
            challenge: hash(5),
            possession: hash(6),
        };
        let others = [
            Statement { chain_id: 2, ..base },
            Statement { registry: Address::repeat_byte(3), ..base },
            Statement { model_id: hash(9), ..base },
            Statement { weights_root: hash(9), ..base },
            Statement { challenge: hash(9), ..base },
            Statement { possession: hash(9), ..base },
        ];
        for other in others {
            assert_ne!(base.digest(), other.digest(), "{other:?}");
        }
    }

    #[test]
    fn every_byte_challenge_and_attester_change_the_root() {
        let mut weights: Vec<u8> = (0..2 * LEAF_SIZE + 5).map(|i| (i % 251) as u8).collect();
        let (challenge, attester) = (B256::repeat_byte(1), Address::repeat_byte(2));
        let own = possession(salt(challenge, attester), &weights);
        assert_ne!(own, possession(salt(B256::repeat_byte(3), attester), &weights));
        assert_ne!(own, possession(salt(challenge, Address::repeat_byte(3)), &weights));
        for at in [0, LEAF_SIZE - 1, LEAF_SIZE, 2 * LEAF_SIZE, 2 * LEAF_SIZE + 4] {
            weights[at] ^= 1;
            assert_ne!(own, possession(salt(challenge, attester), &weights), "byte {at}");
            weights[at] ^= 1;
        }
        assert_eq!(own, possession(salt(challenge, attester), &weights));
    }
}
