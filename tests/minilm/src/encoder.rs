//! An imported model and its answers.

use std::path::Path;
use std::time::Instant;

use alloy_primitives::B256;
use alloy_sol_types::SolCall;
use anyhow::{Context, Result, ensure};
use lockstep_cli::tokenizer::Tokens;
use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::{DType, Data, Limits, LoadedModel, Plan, Tensor};
use lockstep_precompile::abi::{self, IInference};

use crate::candle::Embedded;

/// A loaded model file.
pub(crate) struct Encoder {
    pub(crate) model: LoadedModel,
    pub(crate) file_bytes: u64,
}

impl Encoder {
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let file = std::fs::read(path).with_context(|| path.display().to_string())?;
        let model = LoadedModel::from_file(&file, &Limits::default())?;
        let names: Vec<&str> = model.graph.inputs.iter().map(|i| i.name.as_str()).collect();
        ensure!(names == ["input_ids", "attention_mask"], "{}: inputs {names:?}", path.display());
        Ok(Self { model, file_bytes: file.len() as u64 })
    }

    pub(crate) fn plan(&self, inputs: &[Tensor]) -> Result<Plan> {
        let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
        Ok(self.model.plan(&types, &Limits::default())?)
    }

    fn run(&self, inputs: Vec<Tensor>, implementation: Implementation) -> Result<Vec<f32>> {
        let plan = self.plan(&inputs)?;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let out = self.model.run(&plan, inputs, &Options { implementation, threads })?;
        Ok(out.first().and_then(Tensor::as_f32).context("an embedding in f32")?.to_vec())
    }

    /// One text at a time.
    pub(crate) fn embed(&self, texts: &[Tokens]) -> Result<Embedded> {
        let one = |t: &Tokens| self.embed_one(t);
        one(texts.first().context("no text")?)?;
        let began = Instant::now();
        let embeddings = texts.iter().map(one).collect::<Result<Vec<_>>>()?;
        Ok(Embedded { embeddings, milliseconds: began.elapsed().as_secs_f64() * 1e3 / texts.len() as f64 })
    }

    /// One text.
    pub(crate) fn embed_one(&self, text: &Tokens) -> Result<Vec<f32>> {
        self.run(inputs(std::slice::from_ref(text)), Implementation::Fast)
    }

    /// All texts in one padded call have the bits of each alone.
    pub(crate) fn check_batch(&self, texts: &[Tokens], alone: &[Vec<f32>]) -> Result<()> {
        let together = self.run(inputs(texts), Implementation::Fast)?;
        for (i, (row, want)) in together.chunks(together.len() / texts.len()).zip(alone).enumerate() {
            ensure!(bits(row) == bits(want), "text {i}: another answer in a batch than alone");
        }
        Ok(())
    }

    /// The scalar reference has the same bits; its milliseconds for a text.
    pub(crate) fn check_reference(&self, texts: &[Tokens], fast: &[Vec<f32>]) -> Result<f64> {
        let began = Instant::now();
        for (i, t) in texts.iter().enumerate() {
            let out = self.run(inputs(std::slice::from_ref(t)), Implementation::Reference)?;
            ensure!(bits(&out) == bits(&fast[i]), "text {i}: the reference has another answer");
        }
        Ok(began.elapsed().as_secs_f64() * 1e3 / texts.len() as f64)
    }

    /// `run` with one text.
    pub(crate) fn call_data(&self, text: &Tokens) -> Vec<u8> {
        let inputs = inputs(std::slice::from_ref(text))
            .iter()
            .map(|t| abi::Tensor {
                dtype: t.dtype().code(),
                shape: t.shape.iter().map(|d| *d as u32).collect(),
                data: t.to_le_bytes().into(),
            })
            .collect();
        IInference::runCall { modelId: B256::from(self.model.id), inputs }.abi_encode()
    }

    /// What the precompile returned is this embedding.
    pub(crate) fn check_answer(&self, data: &[u8], want: &[f32]) -> Result<()> {
        let outputs = IInference::runCall::abi_decode_returns(data)?;
        let bytes: Vec<u8> = want.iter().flat_map(|x| x.to_le_bytes()).collect();
        ensure!(outputs.len() == 1 && outputs[0].data == bytes, "the precompile has another answer");
        Ok(())
    }

    /// Peak memory of a call with one text of so many tokens.
    pub(crate) fn peak_memory(&self, tokens: usize) -> Result<u64> {
        let shape = [1usize, tokens];
        Ok(self.model.plan(&[(DType::I32, &shape), (DType::Bool, &shape)], &Limits::default())?.peak_memory)
    }
}

/// Texts as rows, padded on the right.
pub(crate) fn inputs(texts: &[Tokens]) -> Vec<Tensor> {
    let length = texts.iter().map(|t| t.ids.len()).max().unwrap_or(0);
    let shape = vec![texts.len(), length];
    let cells = || texts.iter().flat_map(|t| (0..length).map(move |i| t.ids.get(i)));
    vec![
        Tensor { shape: shape.clone(), data: Data::I32(cells().map(|i| i.map_or(0, |i| *i as i32)).collect()) },
        Tensor { shape, data: Data::Bool(cells().map(|i| i.is_some()).collect()) },
    ]
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|x| x.to_bits()).collect()
}
