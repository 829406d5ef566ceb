//! The cross-check: every inference of a committed block is computed again by the engine's plain reference.
//!
//! It runs behind the chain on a thread of its own, past any memory of answers, and never delays a block: what waits is
//! bounded, and what is too much is dropped, oldest first, and counted as skipped. A difference in one bit is a finding:
//! it is logged, stored with a reproducer, and served by `lockstep_findings`. `candle` is asked about each operator too;
//! what lies outside its tolerance is an alert, served by `lockstep_alerts`, and stops nothing.
//!
//! What waits was written in the transaction that wrote its block, so a node that is killed goes on where it was.

mod candle;
mod check;
mod fault;
mod finding;
mod job;
mod worker;

pub use candle::{ABSOLUTE, RELATIVE};
pub use fault::{FaultError, Faults, Injected};
pub use finding::{Alert, Finding, FindingTensor};
pub(crate) use job::{Job, encode, encode_list};
pub(crate) use worker::{Desk, Judge, Lack, Outcome, Settled, wake};

use crate::{
    care::{Care, Stop},
    chain::{Chain, ChainListener},
    evm::Models,
    storage::{CanonicalChange, StorageError, Store},
};
use alloy_primitives::B256;
use lockstep_engine::{LoadedModel, Tensor};
use lockstep_precompile::ModelStore;
use serde::Serialize;
use std::{
    path::PathBuf,
    sync::{Arc, mpsc::SyncSender},
};

/// Inferences that wait at most.
const QUEUE: u64 = 65_536;
/// Inferences that wait beyond which a random sample is checked.
const BUSY: u64 = 1_024;
/// Inferences that wait beyond which candle is not asked.
const BUSY_FOR_CANDLE: u64 = 128;
/// Inferences taken from the database at a time.
const BATCH: usize = 64;

/// What the cross-check has done since the node started.
#[derive(Debug, Clone, Copy, Default, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Inferences checked.
    pub checked: u64,
    /// Inferences that wait, those of before a restart included.
    pub pending: u64,
    /// Inferences not checked because too many waited.
    pub skipped: u64,
    /// Inferences that could not be recomputed here (the model is not in memory any more, the reference failed).
    pub failed: u64,
    /// Inferences whose block left the chain before they were checked.
    pub gone: u64,
    /// Findings.
    pub findings: u64,
    /// Alerts: candle's answer of an operator lies outside the tolerance.
    pub alerts: u64,
    /// Operators of which candle had an opinion.
    pub compared: u64,
    /// Operators of which it had none.
    pub without: u64,
    /// Blocks from the one whose inference waits longest to the head.
    pub lag: u64,
    /// The block of the inference checked last.
    pub last_block: u64,
}

/// What a difference in a bit between two implementations of LS1 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDifference {
    /// It is told, and the node goes on.
    #[default]
    Alert,
    /// It is told, and the node seals nothing until it is started again. It serves on.
    Halt,
}

/// How it is run.
#[derive(Debug, Clone, Default)]
pub struct CrossCheckConfig {
    /// What a finding does.
    pub on_difference: OnDifference,
    /// Where a finding is written as a file that `lockstep run --compare --inputs` takes.
    pub reproducers: Option<PathBuf>,
}

/// The running cross-check of a node.
#[derive(Debug)]
pub struct CrossCheck {
    store: Store,
    judge: Judge,
}

impl CrossCheck {
    /// Starts checking what is committed from here on. `None` on a plain chain.
    pub fn start(chain: &Arc<Chain>, models: Models, config: CrossCheckConfig) -> std::io::Result<Option<Self>> {
        let Some(rules) = &chain.spec().lockstep else { return Ok(None) };
        let CrossCheckConfig { on_difference, reproducers } = config;
        let desk = NodeDesk { models, care: chain.evm().care().clone(), on_difference };
        let store = chain.store().clone();
        let judge = Judge::start(store.checks(), Arc::new(desk), rules.limits.engine(), reproducers)?;
        chain.listen(Arc::new(Follower(judge.waker())));
        Ok(Some(Self { store, judge }))
    }

    /// What has been checked.
    pub fn coverage(&self) -> Result<Coverage, StorageError> {
        let head = self.store.head_hash()?.map(|hash| self.store.header(hash)).transpose()?.flatten();
        self.judge.coverage(head.map_or(0, |head| head.number))
    }

    /// Ends after the inference being checked.
    pub fn stop(&self) {
        self.judge.stop();
    }
}

/// Hears of blocks and wakes the judge.
struct Follower(SyncSender<()>);

impl ChainListener for Follower {
    fn canonical_changed(&self, _change: &CanonicalChange) {
        wake(&self.0);
    }
}

/// A node has models and inputs at hand.
struct NodeDesk {
    models: Models,
    care: Arc<Care>,
    on_difference: OnDifference,
}

impl Desk for NodeDesk {
    fn model(&self, id: &B256) -> Result<Arc<LoadedModel>, Lack> {
        self.models.get(id).map_err(|e| Lack::Never(e.to_string()))
    }

    fn inputs(&self, job: &Job) -> Result<Vec<Tensor>, Lack> {
        job.inputs.clone().ok_or_else(|| Lack::Never("its inputs were not written with it".into()))
    }

    fn found(&self, finding: &Finding) {
        if self.on_difference == OnDifference::Halt {
            self.care.duty().stop(Stop::Difference {
                block: finding.block_number.to(),
                transaction: finding.transaction_hash,
                model: finding.model_id,
                operator: finding.operator.clone(),
            });
        }
    }
}
