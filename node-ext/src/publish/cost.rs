//! What publishing costs, known from the file.

use super::Chunk;
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;

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
/// Activating: reading the graph, having it checked, writing the record.
const ACTIVATE_OVERHEAD: u64 = 150_000;
const ACTIVATE_PER_GRAPH_BYTE: u64 = 40;

/// Gas of publishing, before anything is sent. Chunks are within a few percent; the rest is an upper estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Storing all chunks.
    pub chunks: u64,
    /// Registering.
    pub register: u64,
    /// Activating.
    pub activate: u64,
    /// Transactions.
    pub transactions: usize,
    /// Blocks from activation until the model can be called.
    pub delay: u64,
}

impl Cost {
    pub(super) fn of(chunks: &[Chunk], listed: usize, graph: usize, weights: usize) -> Self {
        let listed = listed as u64;
        Self {
            chunks: chunks.iter().map(|chunk| store_chunk(&chunk.call, chunk.length)).sum(),
            register: BASE + REGISTER_OVERHEAD + listed * (REGISTER_PER_CHUNK + 32 * 16),
            activate: BASE + ACTIVATE_OVERHEAD + graph as u64 * ACTIVATE_PER_GRAPH_BYTE,
            transactions: chunks.len() + 2,
            delay: 1 + (graph as u64 + weights as u64) / (1 << 20),
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.chunks + self.register + self.activate
    }
}

/// Gas of storing a chunk.
fn store_chunk(call: &[u8], length: usize) -> u64 {
    let zeros = call.iter().filter(|byte| **byte == 0).count() as u64;
    let others = call.len() as u64 - zeros;
    let words = (length as u64).div_ceil(32);
    let run = STORE_OVERHEAD + (length as u64 + 1) * DEPOSIT_PER_BYTE + words * STORE_PER_WORD;
    // EIP-7623: at least 10 gas per zero byte and 40 per other byte of call data.
    BASE + (zeros * 4 + others * 16 + run).max(zeros * 10 + others * 40)
}

/// A gas limit that suffices for storing a chunk: CREATE2 is given 63/64 of what is left.
pub(super) fn store_chunk_limit(call: &[u8], length: usize) -> u64 {
    let gas = store_chunk(call, length);
    (gas + gas / 20 + 30_000).min(TRANSACTION_GAS)
}
