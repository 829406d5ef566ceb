//! The EVM that the node runs: the one place where the precompile crate is bound.

use crate::{
    care::Care,
    memo::{NodeMemo, Partition},
};
use alloy_primitives::B256;
use lockstep_engine::LoadedModel;
use lockstep_engine::exec::Options;
use lockstep_precompile::memo::{Answer, Memo, MemoKey};
use lockstep_precompile::{InferenceRecord, InferenceSink, LockstepEvmFactory, ModelFault, ModelStore, ResidentModels};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
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
        self.recorded(Partition::Blocks)
    }

    /// For executing a stored block once more: recorded, and remembered with the calls.
    pub(crate) fn for_replay(&self) -> (NodeEvmFactory, BlockSink) {
        self.recorded(Partition::Calls)
    }

    fn recorded(&self, memory: Partition) -> (NodeEvmFactory, BlockSink) {
        let (factory, used) = self.with(memory);
        let sink = BlockSink { inner: Arc::default(), used };
        (factory.with_sink(Arc::new(sink.clone())), sink)
    }

    /// For pre-execution: what is computed is there when a block needs it. One thread; blocks come first.
    pub(crate) fn for_pre_execution(&self) -> NodeEvmFactory {
        self.with(Partition::Blocks).0.with_options(Options { threads: 1, ..Options::default() })
    }

    /// For calls, estimates, simulations and traces: nothing is recorded, and answers are remembered apart.
    pub(crate) fn for_call(&self) -> NodeEvmFactory {
        self.with(Partition::Calls).0
    }

    fn with(&self, memory: Partition) -> (NodeEvmFactory, Arc<UsedModels>) {
        let used = Arc::new(UsedModels::new(self.models.clone(), self.memo.clone(), memory));
        (self.factory.clone().with_store(used.clone()).with_memo(used.clone()), used)
    }
}

/// Collects the inferences of a block, transaction by transaction.
#[derive(Clone)]
pub(crate) struct BlockSink {
    inner: Arc<Mutex<Collected>>,
    used: Arc<UsedModels>,
}

#[derive(Default)]
struct Collected {
    transaction: usize,
    running: Vec<InferenceRecord>,
    kept: Vec<(usize, InferenceRecord)>,
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
    pub(crate) fn called(&self) -> Vec<Arc<LoadedModel>> {
        self.used.all()
    }
}

/// The models in memory, and the memory of answers, for one execution: it notes which models it gets, and what it computes
/// by one that has left memory meanwhile is neither kept nor given to others (spec CARE-2). Such a model was damaged; by then
/// another thread has forgotten its answers, and one that came afterwards would stay.
pub(crate) struct UsedModels {
    models: Models,
    memo: NodeMemo,
    memory: Partition,
    used: Mutex<Vec<Arc<LoadedModel>>>,
}

impl UsedModels {
    pub(crate) fn new(models: Models, memo: NodeMemo, memory: Partition) -> Self {
        Self { models, memo, memory, used: Mutex::default() }
    }

    /// All that were got; one that was exchanged meanwhile, as often as it was another.
    fn all(&self) -> Vec<Arc<LoadedModel>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<LoadedModel>>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ModelStore for UsedModels {
    fn get(&self, id: &B256) -> Result<Arc<LoadedModel>, ModelFault> {
        let model = self.models.get(id)?;
        let mut used = self.lock();
        if !used.iter().any(|one| Arc::ptr_eq(one, &model)) {
            used.push(model.clone());
        }
        Ok(model)
    }
}

impl Memo for UsedModels {
    fn answer(&self, key: MemoKey, gas: u64, compute: &mut dyn FnMut() -> Answer) -> Answer {
        let used = self.all();
        let holds = || match self.models.get(&key.model_id) {
            // Where it was exchanged, nobody knows which of them answered.
            Ok(now) => used.iter().filter(|one| one.id == now.id).all(|one| Arc::ptr_eq(one, &now)),
            Err(_) => false,
        };
        self.memo.answer_while(self.memory, key, gas, compute, &holds)
    }
}

impl InferenceSink for BlockSink {
    fn record(&self, record: InferenceRecord) {
        self.lock().running.push(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::{
        DType, Data, Dim, Graph, Input, Limits, Model, Node, Output, Tensor, ValueId,
        graph::Constant,
        ops::binary::{Binary, BinaryKind},
    };
    use lockstep_precompile::memo::Computed;

    /// y = x * 2.
    fn model() -> LoadedModel {
        let graph = Graph {
            inputs: vec![Input { name: "x".into(), dtype: DType::F32, shape: vec![Dim::Known(1)] }],
            constants: vec![Constant { dtype: DType::F32, shape: vec![1] }],
            nodes: vec![Node {
                op: Binary { kind: BinaryKind::Mul }.into(),
                inputs: vec![Some(ValueId(0)), Some(ValueId(1))],
            }],
            outputs: vec![Output { name: "y".into(), value: ValueId(2) }],
            ..Graph::default()
        };
        let weights = Tensor::new(vec![1], Data::F32(vec![2.0])).unwrap();
        let limits = Limits::default();
        LoadedModel::new(Model::build(graph, &[weights], Vec::new(), &limits).unwrap(), &limits).unwrap()
    }

    fn answer(model: &LoadedModel) -> Answer {
        let limits = Limits::default();
        let plan = model.plan(&[(DType::F32, &[1])], &limits)?;
        let x = Tensor::new(vec![1], Data::F32(vec![3.0])).unwrap();
        Ok(Arc::new(Computed::new(model.run(&plan, vec![x], &Options::default())?)))
    }

    fn first(answer: Answer) -> f32 {
        answer.unwrap().outputs[0].as_f32().unwrap()[0]
    }

    /// What a thread does that began on damaged weights, while another finds the damage and loads the model again:
    /// afterwards, and while it still computes, somebody asks with the sound model.
    fn begun_on_damaged_weights(by: impl Fn(&EvmSource) -> Arc<UsedModels>, guarded: bool) -> (f32, f32, f32) {
        let source = EvmSource::new(None, Models::default());
        let (models, memo) = (&source.models, &source.memo);
        let sound = Arc::new(model());
        let id = B256::from(sound.id);
        models.insert_as(id, Arc::new(sound.with_flipped_bit(0, 31).unwrap())).unwrap();
        let key = MemoKey { model_id: id, inputs: B256::ZERO };
        let used = by(&source);
        let damaged = used.get(&id).unwrap();
        // Without the defence the table itself is asked, as it was before.
        let unguarded = memo.for_blocks();
        let ask = |used: &UsedModels, compute: &mut dyn FnMut() -> Answer| match guarded {
            true => used.answer(key, 1, compute),
            false => unguarded.answer(key, 1, compute),
        };
        let (began, begun) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let (ask, model) = (&ask, damaged.clone());
            let slow = scope.spawn(move || {
                ask(&used, &mut || {
                    began.send(()).unwrap();
                    gone.recv().unwrap();
                    answer(&model)
                })
            });
            begun.recv().unwrap();
            // The scrub: the model leaves memory, its answers are forgotten, a sound copy comes.
            assert!(source.care.check_used(Some(vec![damaged.clone()])).is_err());
            assert!(!models.contains(&id));
            models.insert_as(id, sound.clone()).unwrap();
            let (other, joined) = (by(&source), sound.clone());
            other.get(&id).unwrap();
            let waiting = scope.spawn(move || ask(&other, &mut || answer(&joined)));
            std::thread::sleep(std::time::Duration::from_millis(50));
            go.send(()).unwrap();
            let (slow, waited) = (first(slow.join().unwrap()), first(waiting.join().unwrap()));
            let later = by(&source);
            later.get(&id).unwrap();
            (slow, waited, first(ask(&later, &mut || answer(&sound))))
        })
    }

    #[test]
    fn what_began_on_damaged_weights_leaves_nothing_in_the_memory() {
        for memory in [Partition::Blocks, Partition::Calls] {
            let by = |source: &EvmSource| source.with(memory).1;
            let (slow, waited, later) = begun_on_damaged_weights(by, true);
            assert_eq!(slow, -6.0, "it computed on what it had");
            assert_eq!((waited, later), (6.0, 6.0), "{memory:?}");
        }
        eprintln!(
            "FAULT|pre-execution begun on damaged weights|the answer of a model that left memory is not kept, nor given to others|nothing"
        );
    }

    #[test]
    fn without_that_its_answer_stays() {
        let (_, waited, later) = begun_on_damaged_weights(|source| source.with(Partition::Blocks).1, false);
        assert_eq!((waited, later), (-6.0, -6.0));
    }

    /// What was damaged may be replaced by the time the block is done: what the block used counts.
    #[test]
    fn a_block_is_held_to_the_copy_that_it_used() {
        let source = EvmSource::new(None, Models::default());
        let sound = Arc::new(model());
        let id = B256::from(sound.id);
        source.models.insert_as(id, Arc::new(sound.with_flipped_bit(0, 31).unwrap())).unwrap();
        let (_, sink) = source.for_block();
        sink.used.get(&id).unwrap();
        source.models.insert_as(id, sound).unwrap();
        assert!(source.care.check_used(Some(sink.called())).is_err());
        assert!(source.models.contains(&id), "the sound copy stays");
        source.care.check_used(None).unwrap();
    }
}
