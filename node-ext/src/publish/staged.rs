//! Registration in steps: docs/spec.md, REG-10 and REG-11.

use super::ModelRegistry;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_sol_types::SolCall;

/// Weight chunks that one transaction appends, about 9 M gas: well under the cap of a transaction (EIP-7825), and a power
/// of two, so that a proof is only the nodes to the right.
pub(super) const APPEND: usize = 256;

/// The calls that register a model in steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Checks the graph and opens the record.
    pub open: Bytes,
    model_id: B256,
    weight_chunks: Vec<Address>,
    /// The Merkle tree over the weights, from the leaves to the root.
    levels: Vec<Vec<B256>>,
}

impl Staged {
    /// From the chunks and their leaf hashes.
    pub(super) fn new(
        model_id: B256,
        graph_chunks: Vec<Address>,
        weight_chunks: Vec<Address>,
        leaves: Vec<B256>,
    ) -> Self {
        let levels = levels(leaves);
        let weights_root = levels.last().and_then(|top| top.first()).copied().unwrap_or_default();
        let open = ModelRegistry::openCall { graphChunks: graph_chunks, weightsRoot: weights_root };
        Self { open: open.abi_encode().into(), model_id, weight_chunks, levels }
    }

    /// How many chunks the weights have.
    pub fn all(&self) -> usize {
        self.weight_chunks.len()
    }

    /// The call that comes next where `listed` chunks are, and how many are listed after it; `None` after the last.
    pub fn append(&self, listed: usize) -> Option<(Bytes, usize)> {
        if listed >= self.all() {
            return None;
        }
        let end = (listed - listed % APPEND + APPEND).min(self.all());
        let call = ModelRegistry::appendCall {
            modelId: self.model_id,
            first: alloy_primitives::U256::from(listed),
            weightChunks: self.weight_chunks[listed..end].to_vec(),
            proof: proof(&self.levels, listed, end),
        };
        Some((call.abi_encode().into(), end))
    }
}

/// All levels of the tree over these leaves; an odd last node moves up unchanged.
fn levels(leaves: Vec<B256>) -> Vec<Vec<B256>> {
    let mut levels = vec![leaves];
    while let Some(level) = levels.last().filter(|level| level.len() > 1) {
        let next = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => keccak256([&[1], left.as_slice(), right.as_slice()].concat()),
                _ => pair[0],
            })
            .collect();
        levels.push(next);
    }
    levels
}

/// The nodes beside the leaves `first` to `end - 1`, from the leaves up, on each level the left one first.
fn proof(levels: &[Vec<B256>], mut first: usize, mut end: usize) -> Vec<B256> {
    let mut nodes = Vec::new();
    for level in levels {
        if first % 2 == 1 {
            nodes.push(level[first - 1]);
        }
        if end % 2 == 1 && end < level.len() {
            nodes.push(level[end]);
        }
        first /= 2;
        end = end.div_ceil(2);
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::format::merkle;

    fn leaves(n: usize) -> Vec<B256> {
        (0..n).map(|i| keccak256(i.to_le_bytes())).collect()
    }

    /// As the registry does it.
    fn root(mut nodes: Vec<B256>, mut first: usize, mut width: usize, proof: &[B256]) -> B256 {
        let mut proof = proof.iter();
        while width > 1 {
            let mut all: Vec<B256> = (first % 2 == 1).then(|| *proof.next().unwrap()).into_iter().collect();
            first -= all.len();
            all.append(&mut nodes);
            if (first + all.len()) % 2 == 1 && first + all.len() < width {
                all.push(*proof.next().unwrap());
            }
            // One node alone moves up.
            nodes = levels(all).into_iter().take(2).next_back().unwrap();
            (first, width) = (first / 2, width.div_ceil(2));
        }
        assert_eq!(proof.next(), None);
        nodes[0]
    }

    #[test]
    fn proofs_are_those_of_the_specification() {
        for n in 1..40 {
            let leaves = leaves(n);
            let levels = levels(leaves.clone());
            let expected = B256::from(merkle::root(leaves.iter().map(|leaf| leaf.0).collect()));
            assert_eq!(levels.last().unwrap(), &[expected]);
            for first in 0..n {
                for end in first + 1..=n {
                    let nodes = if n == 1 { vec![leaves[0]] } else { leaves[first..end].to_vec() };
                    assert_eq!(root(nodes, first, n, &proof(&levels, first, end)), expected, "{first}..{end} of {n}");
                }
            }
        }
    }

    #[test]
    fn steps_cover_all_chunks_from_anywhere() {
        let n = 2 * APPEND + 7;
        let chunks: Vec<Address> = (0..n).map(|i| Address::from_word(keccak256(i.to_le_bytes()))).collect();
        let staged = Staged::new(B256::ZERO, chunks[..1].to_vec(), chunks.clone(), leaves(n));
        for begin in [0, 1, APPEND - 1, APPEND, n - 1] {
            let (mut listed, mut got) = (begin, Vec::new());
            while let Some((call, next)) = staged.append(listed) {
                let call = ModelRegistry::appendCall::abi_decode(&call).unwrap();
                assert_eq!(call.first.to::<usize>(), listed);
                got.extend(call.weightChunks);
                listed = next;
            }
            assert_eq!(got, chunks[begin..]);
        }
        assert_eq!(staged.append(n), None);
    }
}
