//! How a block commits to its inferences (spec section 13): leaf, Merkle root, the value of the header's extraData, and the
//! proof that one inference is among them.

use alloy_primitives::{B256, FixedBytes, Keccak256, U256, keccak256};
use serde::{Deserialize, Serialize};

/// The header rule under which blocks commit to their inferences.
pub const HEADER_RULE: &str = "inferenceRoot";

/// What a leaf says: one call of an inference function that returned success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InferenceLeaf {
    /// Place of the transaction in the block.
    pub transaction_index: u64,
    /// The transaction.
    pub transaction_hash: B256,
    /// The model.
    pub model_id: B256,
    /// The function called.
    pub selector: FixedBytes<4>,
    /// [`crate::sink::tensors_hash`] of the inputs as the model took them.
    pub inputs_hash: B256,
    /// [`crate::sink::tensors_hash`] of all outputs of the model.
    pub outputs_hash: B256,
    /// keccak256 of the bytes that the call returned.
    pub returned_hash: B256,
    /// Gas charged.
    pub gas: u64,
}

/// That an inference is one of a block's: enough to get from its leaf to the header's extraData.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InferencePath {
    /// How many inferences the block has.
    pub count: u64,
    /// Which of them it is, in order of execution.
    pub index: u64,
    /// The neighbours on the way to the root, from the leaves up.
    pub siblings: Vec<B256>,
}

impl InferenceLeaf {
    /// The leaf's hash: keccak256 over 0x00 and its ABI encoding.
    pub fn hash(&self) -> B256 {
        let mut selector = B256::ZERO;
        selector[..4].copy_from_slice(self.selector.as_slice());
        let mut hash = Keccak256::new();
        hash.update([0]);
        for word in [
            B256::from(U256::from(self.transaction_index)),
            self.transaction_hash,
            self.model_id,
            selector,
            self.inputs_hash,
            self.outputs_hash,
            self.returned_hash,
            B256::from(U256::from(self.gas)),
        ] {
            hash.update(word);
        }
        hash.finalize()
    }
}

fn parent(left: B256, right: B256) -> B256 {
    let mut hash = Keccak256::new();
    hash.update([1]);
    hash.update(left);
    hash.update(right);
    hash.finalize()
}

fn level_above(level: &[B256]) -> Vec<B256> {
    // An odd last node moves up unchanged.
    level.chunks(2).map(|pair| if let [left, right] = pair { parent(*left, *right) } else { pair[0] }).collect()
}

/// The Merkle root over leaf hashes; zero where there are none.
pub fn root(leaves: &[B256]) -> B256 {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level_above(&level);
    }
    level.first().copied().unwrap_or_default()
}

/// What the header's extraData holds.
pub fn commitment(count: u64, root: B256) -> B256 {
    let mut hash = Keccak256::new();
    hash.update(keccak256("lockstep.inferences.v1"));
    hash.update(B256::from(U256::from(count)));
    hash.update(root);
    hash.finalize()
}

/// As [`commitment`], over the leaves of a block.
pub fn of_leaves(leaves: &[InferenceLeaf]) -> B256 {
    let hashes: Vec<B256> = leaves.iter().map(InferenceLeaf::hash).collect();
    commitment(hashes.len() as u64, root(&hashes))
}

/// The path of the leaf at `index`; `None` where there is no such leaf.
pub fn path(leaves: &[B256], index: usize) -> Option<InferencePath> {
    leaves.get(index)?;
    let (mut level, mut at, mut siblings) = (leaves.to_vec(), index, Vec::new());
    while level.len() > 1 {
        siblings.extend(level.get(at ^ 1));
        level = level_above(&level);
        at /= 2;
    }
    Some(InferencePath { count: leaves.len() as u64, index: index as u64, siblings })
}

impl InferencePath {
    /// The commitment that a leaf with this path leads to; `None` where the path has another length than its place wants.
    pub fn commitment(&self, leaf: B256) -> Option<B256> {
        if self.index >= self.count {
            return None;
        }
        let (mut node, mut at, mut width) = (leaf, self.index, self.count);
        let mut siblings = self.siblings.iter();
        while width > 1 {
            if at ^ 1 < width {
                let sibling = *siblings.next()?;
                node = if at % 2 == 0 { parent(node, sibling) } else { parent(sibling, node) };
            }
            at /= 2;
            width = width.div_ceil(2);
        }
        siblings.next().is_none().then(|| commitment(self.count, node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u64) -> InferenceLeaf {
        let b = |i: u8| B256::repeat_byte(i.wrapping_add(n as u8));
        InferenceLeaf {
            transaction_index: n / 2,
            transaction_hash: b(1),
            model_id: b(2),
            selector: [1, 2, 3, 4].into(),
            inputs_hash: b(3),
            outputs_hash: b(4),
            returned_hash: b(5),
            gas: 1_000 + n,
        }
    }

    #[test]
    fn every_leaf_of_every_tree_has_one_path() {
        for count in 0..=33u64 {
            let leaves: Vec<B256> = (0..count).map(|n| leaf(n).hash()).collect();
            let commitment = commitment(count, root(&leaves));
            for index in 0..count as usize {
                let path = path(&leaves, index).unwrap();
                assert_eq!(path.commitment(leaves[index]), Some(commitment), "{index} of {count}");
                let mut longer = path.clone();
                longer.siblings.push(B256::ZERO);
                assert_eq!(longer.commitment(leaves[index]), None);
                if !path.siblings.is_empty() {
                    let mut shorter = path.clone();
                    shorter.siblings.pop();
                    assert_eq!(shorter.commitment(leaves[index]), None);
                }
                for other in (0..count).filter(|other| *other != index as u64) {
                    let moved = InferencePath { index: other, ..path.clone() };
                    assert_ne!(moved.commitment(leaves[index]), Some(commitment), "{index} as {other} of {count}");
                }
                assert_ne!(path.commitment(B256::ZERO), Some(commitment));
            }
            assert!(path(&leaves, count as usize).is_none());
        }
    }

    #[test]
    fn every_field_of_a_leaf_is_in_its_hash() {
        let original = leaf(7);
        let mut all = vec![original];
        let changes: [fn(&mut InferenceLeaf); 8] = [
            |l| l.transaction_index += 1,
            |l| l.transaction_hash[31] ^= 1,
            |l| l.model_id[31] ^= 1,
            |l| l.selector[3] ^= 1,
            |l| l.inputs_hash[31] ^= 1,
            |l| l.outputs_hash[31] ^= 1,
            |l| l.returned_hash[31] ^= 1,
            |l| l.gas += 1,
        ];
        for change in changes {
            let mut changed = original;
            change(&mut changed);
            all.push(changed);
        }
        let hashes: std::collections::BTreeSet<B256> = all.iter().map(InferenceLeaf::hash).collect();
        assert_eq!(hashes.len(), all.len());
    }

    #[test]
    fn a_block_without_inferences_commits_to_none() {
        assert_eq!(of_leaves(&[]), commitment(0, B256::ZERO));
        assert_ne!(of_leaves(&[leaf(0)]), of_leaves(&[leaf(0), leaf(0)]));
    }
}
