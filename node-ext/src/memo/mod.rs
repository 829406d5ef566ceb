//! The node's memory of answers (DESIGN 9): what stands between a call and the engine.
//!
//! There are two, so that callers over JSON-RPC cannot displace what blocks need: blocks and pre-execution write one;
//! calls, estimates and simulations have their own, and may only read the blocks'. Both are bounded in bytes.

mod table;

pub use table::{Counts, Table};

use lockstep_precompile::memo::{Answer, Memo, MemoKey};
use serde::Serialize;
use std::sync::Arc;

/// Bytes of answers kept for blocks where nothing else is said.
pub const BLOCK_BYTES: usize = 256 * 1024 * 1024;
/// For calls this part of it.
const CALL_PART: usize = 4;

/// Both memories.
#[derive(Debug, Clone)]
pub struct NodeMemo {
    blocks: Arc<Table>,
    calls: Arc<Table>,
}

/// What both have done since the node started.
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MemoCounts {
    /// Of blocks and pre-execution.
    pub blocks: Counts,
    /// Of calls; a hit in the blocks' memory counts here.
    pub calls: Counts,
}

impl Default for NodeMemo {
    fn default() -> Self {
        Self::new(BLOCK_BYTES, BLOCK_BYTES / CALL_PART)
    }
}

impl NodeMemo {
    /// Memories of so many bytes for blocks and for calls.
    pub fn new(block_bytes: usize, call_bytes: usize) -> Self {
        Self { blocks: Arc::new(Table::new(block_bytes)), calls: Arc::new(Table::new(call_bytes)) }
    }

    /// From now on so many bytes for blocks, and a quarter of it for calls.
    pub fn set_budget(&self, block_bytes: usize) {
        self.blocks.set_budget(block_bytes);
        self.calls.set_budget(block_bytes / CALL_PART);
    }

    /// What blocks and pre-execution use.
    pub fn for_blocks(&self) -> Arc<dyn Memo> {
        self.blocks.clone()
    }

    /// What calls use.
    pub fn for_calls(&self) -> Arc<dyn Memo> {
        Arc::new(CallMemo(self.clone()))
    }

    /// The answer from one of them; what was computed is kept if `holds` says so when it is there.
    pub(crate) fn answer_while(
        &self,
        of: Partition,
        key: MemoKey,
        gas: u64,
        compute: &mut dyn FnMut() -> Answer,
        holds: &dyn Fn() -> bool,
    ) -> Answer {
        match of {
            Partition::Blocks => self.blocks.answer_while(key, gas, compute, holds),
            Partition::Calls => match self.blocks.peek(&key) {
                Some(answer) => {
                    self.calls.count_hit();
                    answer
                }
                None => self.calls.answer_while(key, gas, compute, holds),
            },
        }
    }

    /// The blocks' memory.
    pub fn blocks(&self) -> &Table {
        &self.blocks
    }

    /// The calls' own memory.
    pub fn calls(&self) -> &Table {
        &self.calls
    }

    /// Forgets all answers of a model: what answers for it was exchanged on purpose.
    pub fn forget_model(&self, id: &alloy_primitives::B256) {
        self.blocks.forget_model(id);
        self.calls.forget_model(id);
    }

    /// What has been done.
    pub fn counts(&self) -> MemoCounts {
        MemoCounts { blocks: self.blocks.counts(), calls: self.calls.counts() }
    }
}

/// The calls' own memory before the engine, and the blocks', read only, before that.
struct CallMemo(NodeMemo);

impl Memo for CallMemo {
    fn answer(&self, key: MemoKey, gas: u64, compute: &mut dyn FnMut() -> Answer) -> Answer {
        self.0.answer_while(Partition::Calls, key, gas, compute, &|| true)
    }
}

/// Whose memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partition {
    /// Blocks and pre-execution.
    Blocks,
    /// Calls, estimates and simulations.
    Calls,
}

#[cfg(test)]
mod tests {
    use super::{table::tests::*, *};

    #[test]
    fn calls_read_the_blocks_memory_and_never_change_it() {
        let memo = NodeMemo::new(1 << 20, 1 << 20);
        let (blocks, calls) = (memo.for_blocks(), memo.for_calls());
        blocks.answer(key(1), 1, &mut || answer(1.0)).unwrap();
        let before = memo.counts().blocks;
        assert_eq!(calls.answer(key(1), 1, &mut || panic!("it is remembered")), answer(1.0));
        calls.answer(key(2), 1, &mut || answer(2.0)).unwrap();
        assert_eq!(calls.answer(key(2), 1, &mut || panic!("it is remembered")), answer(2.0));
        let counts = memo.counts();
        assert_eq!(counts.blocks, before, "neither entries nor counts");
        assert_eq!((counts.calls.hits, counts.calls.misses, counts.calls.entries), (2, 1, 1));
        // What a call computed is computed again for a block.
        let mut computed = false;
        blocks
            .answer(key(2), 1, &mut || {
                computed = true;
                answer(2.0)
            })
            .unwrap();
        assert!(computed);
        memo.forget_model(&key(1).model_id);
        assert_eq!((memo.counts().blocks.entries, memo.counts().calls.entries), (0, 0));
    }
}
