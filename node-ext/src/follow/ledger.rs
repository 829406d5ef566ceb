//! What a sidecar found, counted; and when that ends it.

use super::{
    fault::{FaultKind, NodeFault},
    journal::Journal,
    wire::WireError,
};
use crate::crosscheck::Finding;
use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What a finding or a proven fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFinding {
    /// It is told, and the following goes on.
    #[default]
    Alert,
    /// It is told, and the following ends.
    Exit,
}

/// Why the following ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The node has no block that was not read, and nothing waits.
    CaughtUp,
    /// A finding or a fault, in words.
    Found(String),
    /// The data directory does not take writes.
    Failed(String),
}

#[derive(Debug)]
pub(crate) struct Ledger {
    journal: Journal,
    on_finding: OnFinding,
    /// The node's last block, as it says.
    pub(crate) head: AtomicU64,
    /// Blocks whose list was held against the header.
    pub(crate) roots: AtomicU64,
    /// Blocks that left the chain after they were read.
    pub(crate) unread: AtomicU64,
    /// Requests without a usable answer.
    pub(crate) troubles: AtomicU64,
    pub(crate) faults: AtomicU64,
    pub(crate) findings: AtomicU64,
    /// The last request had no usable answer.
    silent: AtomicBool,
    end: Mutex<Option<End>>,
    ended: Condvar,
}

impl Ledger {
    pub(crate) fn new(journal: Journal, on_finding: OnFinding) -> Self {
        Self {
            journal,
            on_finding,
            head: AtomicU64::new(0),
            roots: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            troubles: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            findings: AtomicU64::new(0),
            silent: AtomicBool::new(false),
            end: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// The node did wrong. One fault is told once, however often it is seen.
    pub(crate) fn fault(&self, fault: &NodeFault) {
        let new = self.journal.fault(fault).unwrap_or_else(|error| {
            tracing::error!(%error, "a fault is not stored");
            true
        });
        if !new {
            return;
        }
        self.faults.fetch_add(1, Relaxed);
        tracing::error!(
            alarm = "follow_fault",
            fault = fault.kind.name(),
            block = fault.block_number.to::<u64>(),
            transaction = fault.transaction_hash.map(tracing::field::display),
            reason = fault.reason,
            "the watched node does wrong"
        );
        if self.on_finding == OnFinding::Exit {
            self.end(End::Found(fault.to_string()));
        }
    }

    /// A block's answer is not the reference's.
    pub(crate) fn finding(&self, finding: &Finding) {
        self.findings.fetch_add(1, Relaxed);
        if self.on_finding == OnFinding::Exit {
            self.end(End::Found(format!(
                "block {}, transaction {}, model {}: the block's answer differs from the reference{}",
                finding.block_number,
                finding.transaction_hash,
                finding.model_id,
                finding.operator.as_ref().map(|o| format!(", at {o}")).unwrap_or_default()
            )));
        }
    }

    /// A request had no usable answer.
    pub(crate) fn trouble(&self, error: &WireError) {
        self.troubles.fetch_add(1, Relaxed);
        if !self.silent.swap(true, Relaxed) {
            tracing::error!(alarm = "follow_no_answer", %error, "the watched node gives no usable answer: what it does is not checked until it does");
        }
    }

    /// The node answers.
    pub(crate) fn answered(&self) {
        if self.silent.swap(false, Relaxed) {
            tracing::info!("the watched node answers again");
        }
    }

    /// What was found in this run, by kind, for people.
    pub(crate) fn summary(&self) -> (u64, u64) {
        (self.findings.load(Relaxed), self.faults.load(Relaxed))
    }

    /// Ends the following; the first reason stays.
    pub(crate) fn end(&self, why: End) {
        self.lock().get_or_insert(why);
        self.ended.notify_all();
    }

    /// Waits for the end, at most so long.
    pub(crate) fn wait(&self, most: Duration) -> Option<End> {
        let end = self.ended.wait_timeout_while(self.lock(), most, |end| end.is_none());
        end.map_or_else(|e| e.into_inner().0, |(end, _)| end).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kinds that a race between two answers of an honest node can look like: they count when they stay.
pub(crate) fn may_pass(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::BrokenChain | FaultKind::MissingBlock)
}
