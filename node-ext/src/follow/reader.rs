//! Following heads: each block is read once, in order, along the branch that the watched node has; a branch that it left is
//! unread again. What a block's header commits to is held against the list of its inferences.

use super::{
    Rules,
    fault::{FaultKind, NodeFault},
    journal::{Journal, Place, Verdict, WINDOW},
    ledger::{End, Ledger, may_pass},
    watched::{Trouble, Which},
    wire::{Wire, WireError},
};
use crate::{
    crosscheck::{encode_list, wake},
    inference::BlockInference,
};
use alloy_consensus::Header;
use alloy_primitives::{B256, U64};
use lockstep_precompile::{InferenceLeaf, commitment};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
    time::{Duration, Instant},
};

/// Blocks read before the head is asked for again.
const STRETCH: u64 = 64;
/// How often what may pass has to be seen in a row.
const STAYS: u32 = 3;
/// Heads may come faster than this; they are not looked at faster.
const BREATH: Duration = Duration::from_millis(20);

pub(super) struct Reader {
    pub(super) wire: Arc<Wire>,
    pub(super) journal: Journal,
    pub(super) ledger: Arc<Ledger>,
    pub(super) rules: Rules,
    pub(super) waker: SyncSender<()>,
    pub(super) stopping: Arc<AtomicBool>,
    /// Where to begin, where nothing was read yet; the head where not given.
    pub(super) from: Option<u64>,
    pub(super) poll: Duration,
    /// End when the head is reached.
    pub(super) once: bool,
    pub(super) state: State,
}

#[derive(Default)]
pub(super) struct State {
    /// The node's genesis was looked at since it last gave no answer.
    chain_known: bool,
    finalised: Option<Place>,
    /// The head at which it was asked for what is final.
    looked: Option<B256>,
    /// Blocks unread since the last was read.
    unwound: u64,
    /// Rounds without a usable answer, in a row.
    silent: u32,
    /// The last fault that may pass, and how often it was seen in a row.
    doubt: Option<(NodeFault, u32)>,
}

enum Step {
    /// There is more to do at once.
    More,
    /// Everything that the node has is read.
    Idle,
}

impl Reader {
    pub(super) fn run(mut self) {
        while !self.stopping.load(Ordering::Acquire) {
            let began = Instant::now();
            match self.round() {
                Ok(Step::More) => self.ledger.answered(),
                Ok(Step::Idle) => {
                    self.ledger.answered();
                    if self.once && self.nothing_waits() {
                        self.ledger.end(End::CaughtUp);
                        return;
                    }
                    self.wire.wait_for_head(self.poll);
                }
                Err(Trouble::Wire(error)) => {
                    self.state.chain_known = false;
                    self.state.silent += 1;
                    self.ledger.trouble(&error);
                    if self.once && self.state.silent >= STAYS {
                        return self.ledger.end(End::Failed(error.to_string()));
                    }
                    self.rest();
                }
                Err(Trouble::Fault(fault)) => {
                    self.told(*fault);
                    self.rest();
                }
                Err(Trouble::Storage(error)) => {
                    tracing::error!(%error, "the data directory of the sidecar fails");
                    return self.ledger.end(End::Failed(error.to_string()));
                }
            }
            std::thread::sleep(BREATH.saturating_sub(began.elapsed()));
        }
    }

    fn rest(&self) {
        let began = Instant::now();
        while began.elapsed() < self.poll && !self.stopping.load(Ordering::Acquire) {
            std::thread::sleep(self.poll.min(Duration::from_millis(50)));
        }
    }

    fn nothing_waits(&self) -> bool {
        self.journal.checks().unchecked_count().is_ok_and(|count| count == 0)
    }

    /// A fault that keeps the next block from being read. What an honest node can look like for a moment has to stay.
    fn told(&mut self, fault: NodeFault) {
        let seen = match &self.state.doubt {
            Some((last, seen)) if last.is_same(&fault) => seen + 1,
            _ => 1,
        };
        if seen >= STAYS || !may_pass(fault.kind) {
            self.ledger.fault(&fault);
            if self.once {
                self.ledger.end(End::Found(fault.to_string()));
            }
        }
        self.state.doubt = Some((fault, seen));
    }

    /// Looks at the head, and reads a stretch towards it.
    fn round(&mut self) -> Result<Step, Trouble> {
        if !self.state.chain_known {
            self.know_chain()?;
            self.state.chain_known = true;
        }
        let missing = |what: &str| NodeFault::new(FaultKind::MissingBlock, 0, None, format!("the node has no {what}"));
        let (hash, head) = self.wire.header(Which::Latest)?.ok_or_else(|| missing("latest block"))?;
        self.state.silent = 0;
        self.ledger.head.store(head.number, Ordering::Release);
        let last = self.journal.last()?;
        let next = match (last, self.from) {
            (Some(last), _) => match last.number.checked_add(1) {
                Some(next) => next,
                None => return Ok(Step::Idle),
            },
            // Block 0 holds no transaction.
            (None, Some(from)) => from.max(1),
            (None, None) => head.number.max(1),
        };
        if next > head.number {
            // A shorter branch, or another block at the same height.
            let ours = self.journal.at(head.number)?;
            if let (Some(_), Some(last)) = (ours.filter(|ours| *ours != hash), last) {
                return self.unread(last);
            }
            if self.state.looked != Some(hash) {
                self.look_at_finality()?;
                self.state.looked = Some(hash);
            }
            return Ok(Step::Idle);
        }
        for number in next..=head.number.min(next.saturating_add(STRETCH - 1)) {
            if self.stopping.load(Ordering::Acquire) {
                break;
            }
            match self.one(number, head.number)? {
                Step::More => {}
                Step::Idle => return Ok(Step::More),
            }
        }
        Ok(Step::More)
    }

    /// The node must have the chain that it had, whoever answers for it now.
    fn know_chain(&self) -> Result<(), Trouble> {
        let none = || NodeFault::new(FaultKind::MissingBlock, 0, None, "the node has no block 0");
        let (genesis, _) = self.wire.header(Which::Number(0))?.ok_or_else(none)?;
        let known = self.journal.genesis(self.rules.genesis.unwrap_or(genesis))?;
        if genesis != known {
            let reason = format!("its genesis is {genesis}, the chain that is followed has {known}");
            return Err(NodeFault::new(FaultKind::OtherChain, 0, Some(genesis), reason).into());
        }
        Ok(())
    }

    /// What the node calls final, it may not take back. A node without an opinion says nothing.
    fn look_at_finality(&mut self) -> Result<(), Trouble> {
        let finalised = match self.wire.header(Which::Finalised) {
            Err(Trouble::Wire(error)) if error.is_answer() => None,
            other => other?,
        };
        if let Some((hash, header)) = finalised {
            let at = Place { number: header.number, hash };
            let ours = self.journal.at(at.number)?;
            if ours.is_some_and(|ours| ours == hash) && self.state.finalised.is_none_or(|f| f.number < at.number) {
                self.state.finalised = Some(at);
            }
        }
        Ok(())
    }

    /// Reads one block; `Idle` where the branch has to be looked at first.
    fn one(&mut self, number: u64, head: u64) -> Result<Step, Trouble> {
        let missing = |hash, reason: String| NodeFault::new(FaultKind::MissingBlock, number, hash, reason);
        let (hash, header) = self.wire.header(Which::Number(number))?.ok_or_else(|| {
            missing(None, format!("the node says that its head is block {head}, and gives no block {number}"))
        })?;
        if let Some(before) = self.journal.at(number - 1)?
            && before != header.parent_hash
        {
            return self.left(Place { number: number - 1, hash: before }, hash, &header);
        }
        let list = self.wire.inferences(hash).map_err(|error| match error {
            WireError::Refused { .. } => {
                Trouble::from(missing(Some(hash), format!("its inferences are not given: {error}")))
            }
            other => other.into(),
        })?;
        let right = self.hold_against_header(hash, &header, &list);
        let verdict = Verdict {
            block_number: U64::from(number),
            block_hash: hash,
            root_right: right,
            inferences: list.len() as u64,
            right: 0,
            wrong: 0,
            skipped: 0,
            failed: 0,
        };
        // A list that the header does not commit to binds nobody: there is nothing to judge.
        let list = if right { list.as_slice() } else { &[] };
        let jobs = encode_list(hash, number, list)
            .map_err(|e| WireError::Malformed { method: "lockstep_inferences", reason: e.to_string() })?;
        self.journal.read(Place { number, hash }, &verdict, &jobs)?;
        (self.state.unwound, self.state.doubt) = (0, None);
        wake(&self.waker);
        Ok(Step::More)
    }

    /// Whether the header commits to this list.
    fn hold_against_header(&self, hash: B256, header: &Header, list: &[BlockInference]) -> bool {
        if !self.rules.commits(header.number) {
            return list.is_empty();
        }
        self.ledger.roots.fetch_add(1, Ordering::AcqRel);
        let leaves: Option<Vec<InferenceLeaf>> = list.iter().map(BlockInference::named_leaf).collect();
        let reason = match leaves.map(|leaves| commitment::of_leaves(&leaves)) {
            Some(found) if header.extra_data.as_ref() == found.as_slice() => return true,
            Some(found) => format!(
                "the header's extraData is {}, the node's list of {} inferences gives {found}",
                header.extra_data,
                list.len()
            ),
            None => "the list names a function that does not infer".to_owned(),
        };
        self.ledger.fault(&NodeFault::new(FaultKind::InferenceRoot, header.number, Some(hash), reason));
        false
    }

    /// The block that follows has another parent than was read.
    fn left(&mut self, before: Place, hash: B256, header: &Header) -> Result<Step, Trouble> {
        if let Some((now, _)) = self.wire.header(Which::Number(before.number))?
            && now == before.hash
        {
            let reason = format!("its parent is {}, the node's block {} is {now}", header.parent_hash, before.number);
            return Err(NodeFault::new(FaultKind::BrokenChain, header.number, Some(hash), reason).into());
        }
        self.unread(before)?;
        Ok(Step::Idle)
    }

    fn unread(&mut self, last: Place) -> Result<Step, Trouble> {
        if let Some(finalised) = self.state.finalised.take_if(|finalised| finalised.number >= last.number) {
            let reason = format!("the node had called block {} {} final", finalised.number, finalised.hash);
            self.ledger.fault(&NodeFault::new(FaultKind::Finality, last.number, Some(last.hash), reason));
        }
        self.journal.unread(last.number)?;
        self.ledger.unread.fetch_add(1, Ordering::AcqRel);
        self.state.unwound += 1;
        if self.journal.last()?.is_none() {
            self.from = Some(last.number);
            if self.state.unwound >= WINDOW {
                let reason = format!("{WINDOW} blocks have left the chain: the place where it parted is not known");
                self.ledger.fault(&NodeFault::new(FaultKind::DeepReorganisation, last.number, None, reason));
            }
        }
        Ok(Step::More)
    }
}
