//! Hashes of a model: leaves of the weights, their Merkle root, the modelId (spec section 2).

use sha3::{Digest, Keccak256};

/// Bytes of a leaf: what a contract's code can hold behind its first byte, in whole 64-byte lines.
pub const LEAF_SIZE: usize = 24_512;

/// keccak256.
pub fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut h = Keccak256::new();
    for p in parts {
        h.update(p);
    }
    h.finalize().into()
}

/// Hash of one leaf; equal to EXTCODEHASH of the chunk that stores it.
pub fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    keccak(&[&[0], leaf])
}

/// Merkle root over leaf hashes: an odd last node moves up unchanged; no leaf gives zero.
pub fn root(mut level: Vec<[u8; 32]>) -> [u8; 32] {
    if level.is_empty() {
        return [0; 32];
    }
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [l, r] => keccak(&[&[1], l, r]),
                _ => pair[0],
            })
            .collect();
    }
    level[0]
}

/// Root of a weights section.
pub fn weights_root(weights: &[u8]) -> [u8; 32] {
    root(weights.chunks(LEAF_SIZE).map(leaf_hash).collect())
}

/// Hashes a weights section that comes piece by piece.
#[derive(Debug, Default)]
pub struct LeafHasher {
    leaf: Vec<u8>,
    leaves: Vec<[u8; 32]>,
}

impl LeafHasher {
    /// The next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(LEAF_SIZE - self.leaf.len()));
            self.leaf.extend_from_slice(now);
            bytes = later;
            if self.leaf.len() == LEAF_SIZE {
                self.leaves.push(leaf_hash(&self.leaf));
                self.leaf.clear();
            }
        }
    }

    /// The hashes of all leaves.
    pub fn leaves(mut self) -> Vec<[u8; 32]> {
        if !self.leaf.is_empty() {
            self.leaves.push(leaf_hash(&self.leaf));
        }
        self.leaves
    }

    /// Their root.
    pub fn root(self) -> [u8; 32] {
        root(self.leaves())
    }
}

/// modelId = keccak256(abi.encode(keccak256("lockstep.model.v1"), uint256(ls1), graphHash, weightsRoot)).
pub fn model_id(ls1_version: u32, graph_hash: &[u8; 32], weights_root: &[u8; 32]) -> [u8; 32] {
    let mut version = [0u8; 32];
    version[28..].copy_from_slice(&ls1_version.to_be_bytes());
    keccak(&[&keccak(&[b"lockstep.model.v1"]), &version, graph_hash, weights_root])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_nodes_move_up() {
        let l: Vec<_> = (0u8..3).map(|i| leaf_hash(&[i])).collect();
        assert_eq!(root(l.clone()), keccak(&[&[1], &keccak(&[&[1], &l[0], &l[1]]), &l[2]]));
        assert_eq!(root(vec![l[0]]), l[0]);
        assert_eq!(weights_root(&[]), [0; 32]);
    }

    #[test]
    fn pieces_of_any_size_have_the_same_root() {
        let bytes: Vec<u8> = (0..3 * LEAF_SIZE + 77).map(|i| (i % 251) as u8).collect();
        for size in [1_000, LEAF_SIZE, LEAF_SIZE + 1, bytes.len()] {
            let mut hasher = LeafHasher::default();
            bytes.chunks(size).for_each(|piece| hasher.push(piece));
            assert_eq!(hasher.root(), weights_root(&bytes));
        }
        assert_eq!(LeafHasher::default().root(), weights_root(&[]));
    }

    #[test]
    fn keccak_is_ethereums() {
        assert_eq!(keccak(&[b""])[..4], [0xc5, 0xd2, 0x46, 0x01]);
    }
}
