//! What the node counts, in Prometheus' text at `GET /metrics`, and the names of its alarms.
//!
//! An alarm is an error in the log with the field `alarm`. docs/operating.md says of each, and of each metric, what it means
//! and what to do.

mod endpoint;

pub(crate) use endpoint::Endpoint;

use crate::{
    chain::Chain,
    crosscheck::{Coverage, CrossCheck},
    evm::Models,
};
use prometheus::{Encoder, IntGauge, Registry, TextEncoder};
use std::sync::Arc;

/// What is read when somebody asks.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) chain: Arc<Chain>,
    pub(crate) models: Models,
    pub(crate) crosscheck: Option<Arc<CrossCheck>>,
}

/// Name, meaning and value of a metric. Counters count from the start of the process.
pub(crate) type Row = (&'static str, &'static str, u64);

/// Every metric of a node.
pub(crate) fn all(sources: &Sources) -> Vec<Row> {
    let Sources { chain, models, crosscheck } = sources;
    let care = chain.evm().care();
    let (counts, memo) = (care.counts(), chain.evm().memo().counts());
    let coverage = crosscheck.as_ref().and_then(|check| {
        check.coverage().inspect_err(|error| tracing::error!(%error, "the cross-check's queue is not read")).ok()
    });
    let c = coverage.unwrap_or_default();
    let mut rows = vec![
        ("lockstep_head_block", "number of the last block", chain.head().header.number),
        ("lockstep_models_resident", "models in memory", models.len() as u64),
        ("lockstep_sealing_stopped", "1: this node seals nothing", u64::from(care.duty().stopped().is_some())),
        ("lockstep_resident_summed", "resident models summed after a block", counts.summed),
        ("lockstep_resident_scrubbed", "resident models hashed again", counts.scrubbed),
        ("lockstep_resident_damaged", "resident models found damaged", counts.damaged),
        ("lockstep_resident_reloaded", "models loaded again after damage", counts.reloaded),
        ("lockstep_memo_hits", "remembered answers used by blocks", memo.blocks.hits),
        ("lockstep_memo_misses", "answers computed for blocks", memo.blocks.misses),
        ("lockstep_memo_bytes", "bytes of remembered answers", memo.blocks.bytes + memo.calls.bytes),
        (
            "lockstep_memo_corrupted",
            "remembered answers found changed in memory",
            memo.blocks.corrupted + memo.calls.corrupted,
        ),
    ];
    rows.extend(crosscheck_rows(&c));
    rows
}

/// The metrics of a judge, in a node or beside one.
pub(crate) fn crosscheck_rows(c: &Coverage) -> Vec<Row> {
    vec![
        ("lockstep_crosscheck_checked", "inferences recomputed by the reference", c.checked),
        ("lockstep_crosscheck_pending", "inferences that wait to be recomputed", c.pending),
        ("lockstep_crosscheck_lag_blocks", "blocks from the oldest that waits to the head", c.lag),
        ("lockstep_crosscheck_skipped", "inferences left out of the sample under load", c.skipped),
        ("lockstep_crosscheck_failed", "inferences that could not be recomputed here", c.failed),
        ("lockstep_crosscheck_gone", "inferences whose block left the chain before they were checked", c.gone),
        ("lockstep_crosscheck_findings", "answers that the reference does not give", c.findings),
        ("lockstep_crosscheck_alerts", "operators for which candle lies outside its tolerance", c.alerts),
        ("lockstep_crosscheck_compared", "operators of which candle had an opinion", c.compared),
        ("lockstep_crosscheck_without", "operators of which candle had none", c.without),
    ]
}

/// The text that Prometheus reads.
pub(crate) fn render(rows: Vec<Row>) -> Result<Vec<u8>, prometheus::Error> {
    let registry = Registry::new();
    for (name, help, value) in rows {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(Box::new(gauge))?;
    }
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}
