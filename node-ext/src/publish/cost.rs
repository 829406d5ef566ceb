//! What publishing costs, known from the file.

use super::Chunk;
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use lockstep_precompile::registry::CHUNK_DATA;

/// The most gas a transaction may have.
pub(super) const TRANSACTION_GAS: u64 = MAX_TX_GAS_LIMIT_OSAKA;

const BASE: u64 = 21_000;
/// CREATE2, account access, log and the registry's own steps.
const STORE_OVERHEAD: u64 = 45_000;
/// Code deposit of a byte.
const DEPOSIT_PER_BYTE: u64 = 200;
/// Init code, hashing, memory and copies of a word.
const STORE_PER_WORD: u64 = 30;
/// Registering: reading a chunk's code, hashing it, writing its address.
const REGISTER_PER_CHUNK: u64 = 2_600 + 22_100 + 2_500 + 6_500;
/// Registering: the record, the list, the log.
const REGISTER_OVERHEAD: u64 = 190_000;
/// One append: the list's length, the log, the proof; the last of them registers.
const APPEND_OVERHEAD: u64 = 120_000;
/// Activating: reading the graph, having it checked, writing the record.
const ACTIVATE_OVERHEAD: u64 = 150_000;
const ACTIVATE_PER_GRAPH_BYTE: u64 = 40;
/// Weights off chain: asking the attesters, and one attestation.
const CHALLENGE: u64 = BASE + 100_000;
const ATTEST: u64 = BASE + 150_000;
/// Weights off chain: the deposit's words.
const DEPOSIT: u64 = 60_000;

/// Gas of publishing, before anything is sent. Chunks are within a few percent; the rest is an upper estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Storing all chunks.
    pub chunks: u64,
    /// Registering, in one step or in several.
    pub register: u64,
    /// Transactions that registering takes.
    pub register_transactions: usize,
    /// Activating.
    pub activate: u64,
    /// Transactions.
    pub transactions: usize,
    /// Blocks from activation until the model can be called.
    pub delay: u64,
}

impl Cost {
    /// What these chunks cost, with `graph` and `weights` bytes in lists of chunks of which `staged` transactions append.
    pub(super) fn of(chunks: &[Chunk], graph: usize, weights: usize, appends: usize) -> Self {
        let listed = |bytes: usize| bytes.div_ceil(CHUNK_DATA) as u64 * (REGISTER_PER_CHUNK + 32 * 16);
        let check_graph = graph as u64 * ACTIVATE_PER_GRAPH_BYTE;
        let register = BASE + REGISTER_OVERHEAD + listed(graph) + listed(weights);
        let staged = if appends == 0 { 0 } else { check_graph + appends as u64 * (BASE + APPEND_OVERHEAD) };
        Self {
            chunks: chunks.iter().map(Chunk::gas).sum(),
            register: register + staged,
            register_transactions: 1 + appends,
            activate: BASE + ACTIVATE_OVERHEAD + check_graph,
            transactions: chunks.len() + 1 + appends + 1,
            delay: 1 + (graph as u64 + weights as u64) / (1 << 20),
        }
    }

    /// What a model costs of which only the graph is stored, with one attestation.
    pub(super) fn off_chain(chunks: &[Chunk], graph: usize, weights: usize) -> Self {
        let all = Self::of(chunks, graph, weights, 0);
        let open = BASE + REGISTER_OVERHEAD + graph.div_ceil(CHUNK_DATA) as u64 * (REGISTER_PER_CHUNK + 32 * 16);
        Self {
            register: open + graph as u64 * ACTIVATE_PER_GRAPH_BYTE + CHALLENGE + ATTEST,
            register_transactions: 3,
            activate: all.activate + DEPOSIT,
            transactions: chunks.len() + 3 + 1,
            ..all
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.chunks + self.register + self.activate
    }
}

impl Chunk {
    /// Gas of storing it.
    pub(super) fn gas(&self) -> u64 {
        // Selector, offset and length are 68 bytes; the data is padded to words.
        let words = (self.data.len() as u64).div_ceil(32);
        let others = self.data.iter().filter(|byte| **byte != 0).count() as u64 + 7;
        let zeros = 68 + words * 32 - others;
        let run = STORE_OVERHEAD + (self.data.len() as u64 + 1) * DEPOSIT_PER_BYTE + words * STORE_PER_WORD;
        // EIP-7623: at least 10 gas per zero byte and 40 per other byte of call data.
        BASE + (zeros * 4 + others * 16 + run).max(zeros * 10 + others * 40)
    }

    /// A gas limit that suffices for storing it: CREATE2 is given 63/64 of what is left.
    pub(super) fn gas_limit(&self) -> u64 {
        let gas = self.gas();
        (gas + gas / 20 + 30_000).min(TRANSACTION_GAS)
    }
}
