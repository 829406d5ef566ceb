//! The committed texts, and what their vectors say.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lockstep_cli::tokenizer::Tokenizer;
use lockstep_tests::node::root;
use serde_json::Value;

/// Neighbouring lines of one topic.
pub(crate) const CLUSTER: usize = 5;

/// The sentences.
pub(crate) fn read() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("tests/minilm/sentences.txt"))?;
    let out: Vec<String> = text.lines().map(str::to_owned).collect();
    ensure!(out.len() == 100, "{} sentences", out.len());
    Ok(out)
}

/// Holds the tokenizer to tokens.json, which Python's library wrote; the number of texts.
pub(crate) fn check_tokens(directory: &Path) -> Result<usize> {
    let tokenizer = Tokenizer::read(directory, None).map_err(|e| anyhow::anyhow!(e.to_text()))?;
    let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(root().join("tests/minilm/tokens.json"))?)?;
    for row in &rows {
        let text = row["text"].as_str().context("a text")?;
        let want: Vec<u64> = row["ids"].as_array().context("ids")?.iter().filter_map(Value::as_u64).collect();
        let got = tokenizer.tokens(text).map_err(|e| anyhow::anyhow!(e.to_text()))?;
        let ids: Vec<u64> = got.ids.iter().map(|i| u64::from(*i)).collect();
        ensure!(ids == want, "{text:?} gives {ids:?}, Python's tokenizers {want:?}");
        ensure!(got.cut == (want.len() == 256), "{text:?}: cut {}", got.cut);
    }
    Ok(rows.len())
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(p, q)| f64::from(*p) * f64::from(*q)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// For each vector the number of the one nearest to it.
pub(crate) fn neighbours(all: &[Vec<f32>]) -> Vec<usize> {
    let nearest = |i: usize| {
        let others = (0..all.len()).filter(|j| *j != i);
        others.max_by(|a, b| cosine(&all[i], &all[*a]).total_cmp(&cosine(&all[i], &all[*b]))).unwrap_or(i)
    };
    (0..all.len()).map(nearest).collect()
}
