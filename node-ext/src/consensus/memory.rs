//! What is remembered of blocks that are not in the store: those that wait, and those that are invalid. Bounded; what is
//! forgotten is told again by the consensus side, or is not wanted any more.

use crate::primitives::Block;
use alloy_primitives::B256;
use std::collections::{HashMap, VecDeque};

/// Blocks that wait at most.
const WAITING: usize = 1_024;
/// Their bytes at most.
const WAITING_BYTES: usize = 256 * 1024 * 1024;
/// Invalid blocks remembered at most.
const INVALID: usize = 4_096;

/// Why a block is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) latest_valid: Option<B256>,
    pub(super) reason: String,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    waiting: HashMap<B256, (Block, usize)>,
    order: VecDeque<B256>,
    bytes: usize,
    invalid: HashMap<B256, Invalid>,
    rejected: VecDeque<B256>,
}

impl Memory {
    /// Keeps a block until it can be executed; the oldest make room.
    pub(super) fn wait(&mut self, hash: B256, block: Block) {
        if self.waiting.contains_key(&hash) {
            return;
        }
        let size = alloy_rlp::Encodable::length(&block);
        while self.waiting.len() >= WAITING || (self.bytes + size > WAITING_BYTES && !self.waiting.is_empty()) {
            let Some(oldest) = self.order.pop_front() else { break };
            self.drop_waiting(oldest);
        }
        self.bytes += size;
        self.waiting.insert(hash, (block, size));
        self.order.push_back(hash);
    }

    pub(super) fn waiting(&self, hash: B256) -> Option<Block> {
        self.waiting.get(&hash).map(|(block, _)| block.clone())
    }

    pub(super) fn parent_of_waiting(&self, hash: B256) -> Option<B256> {
        self.waiting.get(&hash).map(|(block, _)| block.header.parent_hash)
    }

    /// The block is in the store.
    pub(super) fn forget(&mut self, hash: B256) {
        self.order.retain(|waiting| *waiting != hash);
        self.drop_waiting(hash);
    }

    fn drop_waiting(&mut self, hash: B256) {
        if let Some((_, size)) = self.waiting.remove(&hash) {
            self.bytes -= size;
        }
    }

    pub(super) fn invalid(&self, hash: B256) -> Option<&Invalid> {
        self.invalid.get(&hash)
    }

    /// The block is invalid.
    pub(super) fn reject(&mut self, hash: B256, latest_valid: Option<B256>, reason: String) {
        self.forget(hash);
        if self.invalid.insert(hash, Invalid { latest_valid, reason }).is_none() {
            self.rejected.push_back(hash);
        }
        while self.rejected.len() > INVALID {
            if let Some(oldest) = self.rejected.pop_front() {
                self.invalid.remove(&oldest);
            }
        }
    }

    /// These blocks stand on an invalid one.
    pub(super) fn descend(&mut self, blocks: &[B256], invalid: B256) {
        let Some(Invalid { latest_valid, reason }) = self.invalid(invalid).cloned() else { return };
        for block in blocks {
            self.reject(*block, latest_valid, reason.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::Header;

    fn block(number: u64, parent_hash: B256) -> (B256, Block) {
        let header = Header { number, parent_hash, ..Default::default() };
        (header.hash_slow(), Block { header, body: Default::default() })
    }

    #[test]
    fn both_memories_are_bounded() {
        let mut memory = Memory::default();
        for number in 0..2 * WAITING as u64 {
            let (hash, block) = block(number, B256::ZERO);
            memory.wait(hash, block);
        }
        assert_eq!((memory.waiting.len(), memory.order.len()), (WAITING, WAITING));
        assert!(memory.waiting(block(0, B256::ZERO).0).is_none(), "the oldest made room");
        for number in 0..2 * INVALID as u64 {
            memory.reject(block(number, B256::ZERO).0, None, "rule".into());
        }
        assert_eq!((memory.invalid.len(), memory.rejected.len()), (INVALID, INVALID));
        assert_eq!((memory.waiting.len(), memory.bytes), (0, 0), "what is invalid waits no longer");
    }

    #[test]
    fn descendants_share_the_verdict() {
        let mut memory = Memory::default();
        let (first, _) = block(1, B256::ZERO);
        let (second, child) = block(2, first);
        memory.wait(second, child);
        memory.reject(first, Some(B256::ZERO), "rule".into());
        memory.descend(&[second], first);
        assert_eq!(memory.invalid(second), memory.invalid(first));
        assert!(memory.waiting(second).is_none());
    }
}
