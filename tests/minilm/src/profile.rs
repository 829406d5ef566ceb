//! Where the time of a call goes.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use lockstep_cli::tokenizer::Tokens;
use lockstep_engine::exec::Options;

use crate::encoder::{Encoder, inputs};

/// Prints milliseconds by operator for one text of 16 and of 128 tokens, on one thread: the least of several runs.
pub(crate) fn by_operator(m: &Encoder) -> Result<()> {
    for length in [16usize, 128] {
        let ids = (0..length as u32).map(|i| 1_000 + 37 * i).collect();
        let text = Tokens { ids, type_ids: vec![0; length], tokens: Vec::new(), cut: false };
        let mut best: BTreeMap<&str, f64> = BTreeMap::new();
        let mut total = f64::MAX;
        for _ in 0..7 {
            let given = inputs(std::slice::from_ref(&text));
            let plan = m.plan(&given)?;
            let mut spent: BTreeMap<&str, f64> = BTreeMap::new();
            let began = Instant::now();
            let mut last = began;
            let options = Options { threads: 1, ..Options::default() };
            m.model.run_observed(&plan, given, &options, &mut |node, _| {
                let now = Instant::now();
                *spent.entry(m.model.graph.nodes[node].op.name()).or_default() += (now - last).as_secs_f64() * 1e3;
                last = now;
            })?;
            let elapsed = began.elapsed().as_secs_f64() * 1e3;
            if elapsed < total {
                (total, best) = (elapsed, spent);
            }
        }
        let mut list: Vec<(&str, f64)> = best.into_iter().collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        let parts: Vec<String> = list.iter().map(|(name, ms)| format!("{name} {ms:.2}")).collect();
        println!("      {length} tokens, one thread: {total:.1} ms = {}", parts.join(", "));
    }
    Ok(())
}
