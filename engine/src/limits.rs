//! Bounds on models and calls. The chain's own are parameters of its genesis; the format's are fixed.

/// Largest rank of a tensor.
pub const MAX_RANK: usize = 8;
/// Largest length of a name, in bytes.
pub const MAX_NAME: usize = 256;
/// Largest number of features, of labels, or of categories of one feature.
pub const MAX_TABLE: usize = 65_536;
/// Largest number of symbols.
pub const MAX_SYMBOLS: usize = 64;
/// Largest number of inputs, and of outputs.
pub const MAX_PORTS: usize = 1_024;

/// The limits that a chain sets (genesis `config.lockstep.limits`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a graph.
    pub max_graph_bytes: u64,
    /// Bytes of a model's weights.
    pub max_weight_bytes: u64,
    /// Nodes of a graph.
    pub max_nodes: u64,
    /// Bytes that one run may hold at its peak, weights not counted.
    pub max_peak_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_graph_bytes: 262_144,
            max_weight_bytes: 268_435_456,
            max_nodes: 4_096,
            max_peak_memory: 1_073_741_824,
        }
    }
}
