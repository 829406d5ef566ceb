//! The parts of a model, and how its name proves them.

use alloy_primitives::B256;
use lockstep_engine::{
    LS1_VERSION,
    format::merkle::{LEAF_SIZE, keccak, leaf_hash, model_id, root},
};

/// A part, as it is named on disk and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The graph section.
    Graph,
    /// The hashes of the leaves.
    Leaves,
    /// The weights section.
    Weights,
}

impl Part {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Leaves => "leaves",
            Self::Weights => "weights",
        }
    }

    /// The part of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Graph, Self::Leaves, Self::Weights].into_iter().find(|part| part.name() == name)
    }
}

/// What is known of a model before its weights come: enough to check each of their leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The model.
    pub id: B256,
    /// The graph section.
    pub graph: Vec<u8>,
    /// The hash of each leaf.
    pub leaves: Vec<[u8; 32]>,
    /// Length of the weights.
    pub weights_length: u64,
}

impl Parts {
    /// Graph and leaves, which must have the model's name; the reason where they have not.
    pub fn proven(id: B256, graph: Vec<u8>, leaves: &[u8]) -> Result<Self, String> {
        let (leaves, rest) = leaves.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(format!(
                "the leaves take {} bytes, which is no multiple of 32",
                leaves.len() * 32 + rest.len()
            ));
        }
        let found = B256::from(model_id(LS1_VERSION, &keccak(&[&graph]), &root(leaves.to_vec())));
        if found != id {
            return Err(format!("graph and leaves are those of model {found}"));
        }
        let (_, weights_length) = lockstep_engine::format::decode_graph(&graph).map_err(|e| e.to_string())?;
        if weights_length.div_ceil(LEAF_SIZE as u64) != leaves.len() as u64 {
            return Err(format!("{} leaves are not those of {weights_length} bytes", leaves.len()));
        }
        Ok(Self { id, graph, leaves: leaves.to_vec(), weights_length })
    }

    /// Checks weights from leaf `first` on, the last of which may be cut short; gives how many leaves are right, and the
    /// number of the first that is not.
    pub fn check(&self, first: usize, bytes: &[u8]) -> (usize, Option<usize>) {
        for (k, leaf) in bytes.chunks(LEAF_SIZE).enumerate() {
            if self.leaves.get(first + k) != Some(&leaf_hash(leaf)) {
                return (k, Some(first + k));
            }
        }
        (bytes.len().div_ceil(LEAF_SIZE), None)
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.graph.len() as u64 + 32 * self.leaves.len() as u64 + self.weights_length
    }
}
