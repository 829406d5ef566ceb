//! The EVM that the node runs: the one place where the precompile crate is bound.

use crate::{care::Care, memo::NodeMemo};
use alloy_primitives::B256;
use lockstep_engine::LoadedModel;
use lockstep_engine::exec::Options;
use lockstep_precompile::{InferenceRecord, InferenceSink, LockstepEvmFactory, ModelFault, ModelStore, ResidentModels};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

pub use lockstep_precompile::{LockstepConfig, PRECOMPILE_ADDRESS, REGISTRY_ADDRESS};

/// The EVM factory behind blocks and calls.
pub type NodeEvmFactory = LockstepEvmFactory;

/// The models in memory.
pub type Models = Arc<ResidentModels>;

/// Makes EVM factories for one chain.
#[derive(Debug, Clone)]
pub(crate) struct EvmSource {
    factory: NodeEvmFactory,
    models: Models,
    memo: NodeMemo,
    care: Arc<Care>,
    executing: Arc<AtomicUsize>,
}

/// A block is being executed, as long as this is held.
#[derive(Debug)]
pub(crate) struct Executing(Arc<AtomicUsize>);

impl Drop for Executing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl EvmSource {
    pub(crate) fn new(config: Option<Arc<LockstepConfig>>, models: Models) -> Self {
        let memo = NodeMemo::default();
        let care = Arc::new(Care::new(models.clone(), memo.clone()));
        Self { factory: LockstepEvmFactory::new(config, models.clone()), models, memo, care, executing: Arc::default() }
    }

    /// Tells others that a block is being executed: what can wait, waits.
    pub(crate) fn executing(&self) -> Executing {
        self.executing.fetch_add(1, Ordering::AcqRel);
        Executing(self.executing.clone())
    }

    /// Whether a block is being executed.
    pub(crate) fn is_executing(&self) -> bool {
        self.executing.load(Ordering::Acquire) > 0
    }

    /// The answers remembered.
    pub(crate) fn memo(&self) -> &NodeMemo {
        &self.memo
    }

    /// The care that wrong answers stay out of blocks.
    pub(crate) fn care(&self) -> &Arc<Care> {
        &self.care
    }

    /// For executing a block: successful inferences are recorded, and which models were called.
    pub(crate) fn for_block(&self) -> (NodeEvmFactory, BlockSink) {
        self.recorded(self.factory.clone().with_memo(self.memo.for_blocks()))
    }

    /// For executing a stored block once more: recorded, and remembered with the calls.
    pub(crate) fn for_replay(&self) -> (NodeEvmFactory, BlockSink) {
        self.recorded(self.for_call())
    }

    fn recorded(&self, factory: NodeEvmFactory) -> (NodeEvmFactory, BlockSink) {
        let sink = BlockSink::default();
        let store = CalledModels { models: self.models.clone(), sink: sink.clone() };
        (factory.with_store(Arc::new(store)).with_sink(Arc::new(sink.clone())), sink)
    }

    /// For pre-execution: what is computed is there when a block needs it. One thread; blocks come first.
    pub(crate) fn for_pre_execution(&self) -> NodeEvmFactory {
        self.factory
            .clone()
            .with_memo(self.memo.for_blocks())
            .with_options(Options { threads: 1, ..Options::default() })
    }

    /// For calls, estimates, simulations and traces: nothing is recorded, and answers are remembered apart.
    pub(crate) fn for_call(&self) -> NodeEvmFactory {
        self.factory.clone().with_memo(self.memo.for_calls())
    }
}

/// Collects the inferences of a block, transaction by transaction.
#[derive(Clone, Default)]
pub(crate) struct BlockSink {
    inner: Arc<Mutex<Collected>>,
}

#[derive(Default)]
struct Collected {
    transaction: usize,
    running: Vec<InferenceRecord>,
    kept: Vec<(usize, InferenceRecord)>,
    called: BTreeSet<B256>,
}

impl BlockSink {
    fn lock(&self) -> MutexGuard<'_, Collected> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The transaction with this index begins.
    pub(crate) fn begin(&self, transaction: usize) {
        let mut inner = self.lock();
        inner.transaction = transaction;
        inner.running.clear();
    }

    /// The transaction is in the block.
    pub(crate) fn keep(&self) {
        let mut inner = self.lock();
        let transaction = inner.transaction;
        let running = std::mem::take(&mut inner.running);
        inner.kept.extend(running.into_iter().map(|record| (transaction, record)));
    }

    /// The transaction is not in the block.
    pub(crate) fn discard(&self) {
        self.lock().running.clear();
    }

    /// The block's inferences.
    pub(crate) fn take(&self) -> Vec<(usize, InferenceRecord)> {
        std::mem::take(&mut self.lock().kept)
    }
}

impl BlockSink {
    /// The models that were called, whatever the calls ended in.
    pub(crate) fn called(&self) -> BTreeSet<B256> {
        self.lock().called.clone()
    }
}

/// The models in memory for one block: notes which of them it calls.
struct CalledModels {
    models: Models,
    sink: BlockSink,
}

impl ModelStore for CalledModels {
    fn get(&self, id: &B256) -> Result<Arc<LoadedModel>, ModelFault> {
        self.sink.lock().called.insert(*id);
        self.models.get(id)
    }
}

impl InferenceSink for BlockSink {
    fn record(&self, record: InferenceRecord) {
        self.lock().running.push(record);
    }
}
