//! The yardstick: candle-transformers' BERT in f32, pooled as sentence-transformers does.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, DTYPE};
use lockstep_cli::tokenizer::Tokens;

/// Vectors of length 1, and the time of one.
pub(crate) struct Embedded {
    pub(crate) embeddings: Vec<Vec<f32>>,
    pub(crate) milliseconds: f64,
}

/// One text at a time, without padding.
pub(crate) fn embed(directory: &Path, texts: &[Tokens]) -> Result<Embedded> {
    let config: Config = serde_json::from_slice(&std::fs::read(directory.join("config.json"))?)?;
    let weights = std::fs::read(directory.join("model.safetensors"))?;
    let vars = VarBuilder::from_buffered_safetensors(weights, DTYPE, &Device::Cpu)?;
    let model = BertModel::load(vars, &config)?;
    let one = |t: &Tokens| -> Result<Vec<f32>> {
        let ids = Tensor::new(t.ids.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
        let hidden = model.forward(&ids, &ids.zeros_like()?, None)?;
        let mean = hidden.mean(1)?.squeeze(0)?.to_vec1::<f32>()?;
        let norm = mean.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        Ok(mean.iter().map(|x| (f64::from(*x) / norm) as f32).collect())
    };
    one(texts.first().context("no text")?)?;
    let began = Instant::now();
    let embeddings = texts.iter().map(one).collect::<Result<Vec<_>>>()?;
    Ok(Embedded { embeddings, milliseconds: began.elapsed().as_secs_f64() * 1e3 / texts.len() as f64 })
}
