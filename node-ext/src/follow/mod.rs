//! `lockstep follow`: the cross-check as a sidecar of somebody else's node (spec section 18).
//!
//! It follows the heads of a node that it does not trust, holds each block's list of inferences against the header, and has
//! the same judge as a node's own cross-check recompute them. What waits, verdicts, findings and the faults of the node lie in
//! a data directory of its own.

mod desk;
mod fault;
mod journal;
mod ledger;
mod reader;
mod serve;
mod shelf;
mod watched;
mod wire;

pub use fault::{FaultKind, NodeFault};
pub use journal::{JOURNAL_FILE, Verdict, WINDOW};
pub use ledger::{End, OnFinding};
pub use serve::Serving;
pub use wire::{ANSWER_BYTES, BadUrl, WireError};

use crate::{
    cache::{Cache, CacheError, source},
    chain::{ChainSpec, GenesisError, genesis_hash},
    crosscheck::{Coverage, Judge},
    storage::StorageError,
};
use alloy_genesis::Genesis;
use alloy_primitives::B256;
use desk::FollowDesk;
use journal::Journal;
use ledger::Ledger;
use lockstep_engine::Limits;
use reader::Reader;
use serde::Serialize;
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Acquire, Ordering::Release},
    },
    thread::JoinHandle,
    time::Duration,
};
use wire::Wire;

/// How a node is followed.
#[derive(Debug, Clone)]
pub struct FollowConfig {
    /// The node: http, https, ws or wss.
    pub rpc: String,
    /// Where verdicts, findings and models are kept.
    pub datadir: PathBuf,
    /// The chain's genesis: its limits and header rule. `None`: those of `lockstep genesis`, and the node's own block 0.
    pub genesis: Option<Box<Genesis>>,
    /// The first block, where nothing was read yet; the node's head where not given.
    pub from: Option<u64>,
    /// End when the head is reached.
    pub once: bool,
    /// How often the head is asked for, where the node does not tell.
    pub poll: Duration,
    /// How long an answer is waited for.
    pub stall: Duration,
    /// Where models come from, before the node itself is asked.
    pub sources: Vec<String>,
    /// Bytes of disk that models may take.
    pub budget: Option<u64>,
    /// Bytes of memory that models may take.
    pub model_memory: u64,
    /// What a finding or a proven fault does.
    pub on_finding: OnFinding,
}

impl FollowConfig {
    /// As a person has it who names the node and the directory.
    pub fn new(rpc: impl Into<String>, datadir: impl Into<PathBuf>) -> Self {
        Self {
            rpc: rpc.into(),
            datadir: datadir.into(),
            genesis: None,
            from: None,
            once: false,
            poll: Duration::from_secs(1),
            stall: source::STALL,
            sources: Vec::new(),
            budget: None,
            model_memory: 4 << 30,
            on_finding: OnFinding::default(),
        }
    }
}

/// Why following did not begin.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The address is none.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The node does not answer.
    #[error("{0}; is the node up, and its address right?")]
    Wire(#[from] WireError),
    /// The node's chain is another one, or what it says of it does not fit together.
    #[error("{0}")]
    Node(Box<NodeFault>),
    /// The data directory is another chain's.
    #[error("{datadir} follows the chain with genesis {found}, the node's is {genesis}: choose another --datadir")]
    OtherChain {
        /// The directory.
        datadir: PathBuf,
        /// The genesis of what is in it.
        found: B256,
        /// The node's.
        genesis: B256,
    },
    /// The genesis file is refused.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// Nothing that the node says could be held against its headers.
    #[error(
        "the headers of this chain do not commit to inferences (config.lockstep.headerRule): nothing that the node says of them could be held against it"
    )]
    NoCommitment,
    /// The data directory failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A source of models is none.
    #[error("{0}")]
    Source(#[from] source::SourceError),
    /// The models on disk.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A thread does not start.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What is known of the chain's rules.
#[derive(Debug, Clone)]
struct Rules {
    genesis: Option<B256>,
    spec: Option<Arc<ChainSpec>>,
    limits: Limits,
}

impl Rules {
    fn new(genesis: Option<&Genesis>) -> Result<Self, FollowError> {
        let Some(genesis) = genesis else {
            return Ok(Self { genesis: None, spec: None, limits: Limits::default() });
        };
        let spec = Arc::new(ChainSpec::from_genesis(genesis.clone())?);
        let rules = spec.lockstep.as_ref().ok_or(FollowError::NoCommitment)?;
        // The rule is one for ever; only its beginning is a height.
        if !rules.commits(u64::MAX) {
            return Err(FollowError::NoCommitment);
        }
        let limits = rules.limits.engine();
        Ok(Self { genesis: Some(genesis_hash(&spec)?), spec: Some(spec), limits })
    }

    fn commits(&self, number: u64) -> bool {
        self.spec.as_ref().is_none_or(|spec| spec.commits(number))
    }
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The node.
    pub rpc: String,
    /// The chain's number.
    pub chain_id: u64,
    /// The chain's genesis.
    pub genesis: B256,
    /// The node's last block, as it says.
    pub head: u64,
    /// The last block whose list was held against its header.
    pub read: Option<u64>,
    /// The last block up to which nothing waits.
    pub finished: Option<u64>,
    /// Blocks between that one and the head.
    pub lag: u64,
    /// Blocks whose list was held against the header since the start.
    pub roots: u64,
    /// Blocks that left the chain after they were read.
    pub reorganised: u64,
    /// Faults of the node found since the start.
    pub faults: u64,
    /// Requests without a usable answer.
    pub troubles: u64,
    /// Models in memory.
    pub models: usize,
    /// What the judge has done.
    pub checks: Coverage,
}

/// A node being followed.
#[derive(Debug)]
pub struct Follow {
    rpc: String,
    chain_id: u64,
    genesis: B256,
    journal: Journal,
    ledger: Arc<Ledger>,
    judge: Judge,
    desk: Arc<FollowDesk>,
    stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for FollowDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FollowDesk")
    }
}

impl Follow {
    /// Begins, or goes on where it ended. It blocks, and must be dropped outside of an asynchronous context.
    pub fn start(config: FollowConfig) -> Result<Self, FollowError> {
        let rules = Rules::new(config.genesis.as_deref())?;
        let wire = Arc::new(Wire::new(&config.rpc, config.stall)?);
        let chain_id = wire.chain_id()?;
        let (genesis, _) = match wire.header(watched::Which::Number(0)) {
            Ok(Some(found)) => found,
            Ok(None) => {
                let fault = NodeFault::new(FaultKind::MissingBlock, 0, None, "the node has no block 0");
                return Err(FollowError::Node(Box::new(fault)));
            }
            Err(watched::Trouble::Fault(fault)) => return Err(FollowError::Node(fault)),
            Err(watched::Trouble::Wire(error)) => return Err(error.into()),
            Err(watched::Trouble::Storage(error)) => return Err(error.into()),
        };
        if let Some(expected) = rules.genesis.filter(|expected| *expected != genesis) {
            let reason = format!("its genesis is {genesis}, that of --genesis is {expected}");
            return Err(FollowError::Node(Box::new(NodeFault::new(FaultKind::OtherChain, 0, Some(genesis), reason))));
        }
        let journal = Journal::open(&config.datadir)?;
        let found = journal.genesis(genesis)?;
        if found != genesis {
            return Err(FollowError::OtherChain { datadir: config.datadir, found, genesis });
        }
        let ledger = Arc::new(Ledger::new(journal.clone(), config.on_finding));
        let mut sources =
            config.sources.iter().map(|s| source::parse(s, config.stall)).collect::<Result<Vec<_>, _>>()?;
        sources.push(Box::new(source::Peer::new(&wire.http_url(), config.stall)));
        let cache = Cache::open(&config.datadir.join("models"), config.budget)?;
        let findings = config.datadir.join("findings");
        let desk = Arc::new(FollowDesk {
            wire: wire.clone(),
            ledger: ledger.clone(),
            shelf: shelf::Shelf::new(cache, sources, rules.limits, config.model_memory),
            findings: findings.clone(),
            asked: Mutex::default(),
        });
        let judge = Judge::start(journal.checks(), desk.clone(), rules.limits, Some(findings))?;
        let stopping = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            wire,
            journal: journal.clone(),
            ledger: ledger.clone(),
            rules,
            waker: judge.waker(),
            stopping: stopping.clone(),
            from: config.from,
            poll: config.poll,
            once: config.once,
            state: reader::State::default(),
        };
        let thread = std::thread::Builder::new().name("follow".into()).spawn(move || reader.run())?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { rpc: config.rpc, chain_id, genesis, journal, ledger, judge, desk, stopping, thread })
    }

    /// Waits at most so long for the end that comes by itself.
    pub fn wait(&self, most: Duration) -> Option<End> {
        self.ledger.wait(most)
    }

    /// How far it is.
    pub fn status(&self) -> Result<Status, StorageError> {
        let read = self.journal.last()?.map(|place| place.number);
        // What waits is never later than what was read.
        let finished = match (self.judge.oldest()?, read) {
            (Some(oldest), _) => oldest.checked_sub(1),
            (None, read) => read,
        };
        let ledger = &self.ledger;
        let head = ledger.head.load(Acquire);
        Ok(Status {
            rpc: self.rpc.clone(),
            chain_id: self.chain_id,
            genesis: self.genesis,
            head,
            read,
            finished,
            lag: finished.map_or(0, |finished| head.saturating_sub(finished)),
            roots: ledger.roots.load(Acquire),
            reorganised: ledger.unread.load(Acquire),
            faults: ledger.faults.load(Acquire),
            troubles: ledger.troubles.load(Acquire),
            models: self.desk.shelf.resident(),
            checks: self.judge.coverage(head)?,
        })
    }

    /// Findings and faults of this run.
    pub fn found(&self) -> (u64, u64) {
        self.ledger.summary()
    }

    /// The faults of the node that are kept, oldest first.
    pub fn faults(&self) -> Result<Vec<NodeFault>, StorageError> {
        self.journal.faults()
    }

    /// The findings, oldest first, as they were written.
    pub fn findings(&self) -> Result<Vec<serde_json::Value>, StorageError> {
        Ok(read_all(&self.judge.checks().findings()?))
    }

    /// candle's alerts that are kept, oldest first.
    pub fn alerts(&self) -> Result<Vec<serde_json::Value>, StorageError> {
        Ok(read_all(&self.judge.checks().alerts()?))
    }

    /// The verdicts from this height on, at most so many.
    pub fn verdicts(&self, from: u64, most: usize) -> Result<Vec<Verdict>, StorageError> {
        self.journal.verdicts(from, most)
    }

    /// Ends after what is being asked and checked. What was read and found is on disk already.
    pub fn stop(&self) {
        self.stopping.store(true, Release);
        self.judge.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("following had panicked");
        }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.stop();
    }
}

fn read_all(all: &[Vec<u8>]) -> Vec<serde_json::Value> {
    all.iter().filter_map(|json| serde_json::from_slice(json).ok()).collect()
}
