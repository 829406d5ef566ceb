//! The committed models: their ONNX files, imported, with the answers of the author's own library on the test split.

use std::path::PathBuf;

use alloy_primitives::{B256, I256};
use alloy_sol_types::SolCall;
use anyhow::{Context, Result, anyhow, bail, ensure};
use lockstep_cli::data::inputs;
use lockstep_cli::npz::{self, Arrays};
use lockstep_engine::exec::Options;
use lockstep_engine::{DType, Data, Graph, Labels, Limits, LoadedModel, Tensor};
use lockstep_precompile::abi::{self, IInference};
use lockstep_precompile::wad;

use crate::node::root;

/// A committed model with its test split.
#[derive(Debug)]
pub struct Committed {
    /// Folder under tests/models.
    pub name: String,
    /// The imported model file.
    pub path: PathBuf,
    /// The model.
    pub model: LoadedModel,
    /// test.npz.
    pub arrays: Arrays,
    /// Inputs of the whole test split.
    pub inputs: Vec<Tensor>,
    /// Rows of the test split.
    pub rows: usize,
}

/// What the author's library answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// A class index for each row.
    Classes(Vec<u64>),
    /// A value for each row.
    Values(Vec<f64>),
}

/// Names of all committed models, sorted.
pub fn names() -> Result<Vec<String>> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/models"))? {
        let entry = entry?;
        if entry.path().join("model.onnx").exists() {
            out.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    out.sort();
    ensure!(!out.is_empty(), "no model is committed");
    Ok(out)
}

/// Loads all of them.
pub fn all() -> Result<Vec<Committed>> {
    names()?.iter().map(|n| Committed::load(n)).collect()
}

impl Committed {
    /// Loads one; it must have been imported (`make models`).
    pub fn load(name: &str) -> Result<Self> {
        let path = root().join("target/models").join(format!("{name}.lsm"));
        let file = std::fs::read(&path).with_context(|| format!("{} is missing: run `make models`", path.display()))?;
        let model = LoadedModel::from_file(&file, &Limits::default())?;
        let data = root().join("tests/models").join(name).join("test.npz");
        let arrays = npz::read(&std::fs::read(&data)?).map_err(|e| anyhow!("{}: {e}", data.display()))?;
        let inputs = inputs::map(&model.graph, &arrays, name).map_err(|e| anyhow!("{name}: {}", e.to_text()))?.tensors;
        let rows = *inputs.first().and_then(|t| t.shape.first()).context("no rows")?;
        Ok(Self { name: name.to_owned(), path, model, arrays, inputs, rows })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.model.graph
    }

    /// The modelId.
    pub fn id(&self) -> B256 {
        B256::from(self.model.id)
    }

    /// Whether the model decides between classes.
    pub fn is_classifier(&self) -> bool {
        matches!(self.expected(), Ok(Expected::Classes(_)))
    }

    /// The library's answers.
    pub fn expected(&self) -> Result<Expected> {
        let g = self.graph();
        if let Some(l) = g.label_output {
            let name = &g.outputs[usize::from(l)].name;
            let labels = &self.arrays.get(&format!("expected:{name}")).context("no expected labels")?.values;
            let position = |i: usize| {
                let found = match &g.labels {
                    Labels::Strings(table) => table.iter().position(|s| Some(s.as_str()) == labels.text(i)),
                    Labels::Ints(table) => table.iter().position(|n| Some(*n) == labels.integer(i)),
                    Labels::None => labels.integer(i).and_then(|n| usize::try_from(n).ok()),
                };
                found.map(|p| p as u64).with_context(|| format!("label {i} is not in the table"))
            };
            return Ok(Expected::Classes((0..labels.len()).map(position).collect::<Result<_>>()?));
        }
        let name = &g.outputs[usize::from(g.primary_output)].name;
        let array = self.arrays.get(&format!("expected:{name}")).context("no expected values")?;
        let values: Vec<f64> = (0..array.len()).filter_map(|i| array.values.number(i)).collect();
        let columns = values.len() / self.rows;
        if columns == 1 {
            return Ok(Expected::Values(values));
        }
        let arg_max = |row: &[f64]| (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) as u64;
        Ok(Expected::Classes(values.chunks(columns).map(arg_max).collect()))
    }

    /// The scaled range of a regression's expected values: differences are judged against it.
    pub fn range(values: &[f64]) -> f64 {
        let (lo, hi) = values.iter().fold((f64::MAX, f64::MIN), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
        hi - lo
    }

    /// Whether a value is missing (NaN): then 18 decimals cannot carry the row, and it goes by `run`.
    pub fn needs_run(&self) -> bool {
        self.inputs.iter().any(|t| t.first_nan().is_some())
    }

    /// Rows `from..to` of the inputs.
    pub fn slice(&self, from: usize, to: usize) -> Vec<Tensor> {
        self.inputs
            .iter()
            .map(|t| {
                let (bytes, mut shape) = (t.to_le_bytes(), t.shape.clone());
                let row = bytes.len() / shape[0];
                shape[0] = to - from;
                Tensor::from_le_bytes(t.dtype(), shape, &bytes[from * row..to * row]).unwrap_or_else(|| t.clone())
            })
            .collect()
    }

    /// Rows `from..to` as `infer` and `classify` take them: 18 decimals, row by row, inputs in order.
    pub fn words(&self, from: usize, to: usize) -> Result<Vec<I256>> {
        let mut out = Vec::new();
        for r in from..to {
            for t in &self.inputs {
                let n = t.data.len() / self.rows;
                for i in r * n..(r + 1) * n {
                    out.push(match &t.data {
                        Data::F32(v) => wad::from_f32(v[i]).context("a missing value has no 18 decimals")?,
                        Data::I64(v) => wad::from_integer(v[i]),
                        Data::I32(v) => wad::from_integer(i64::from(v[i])),
                        other => bail!("rows of {} are not used here", other.dtype()),
                    });
                }
            }
        }
        Ok(out)
    }

    /// Rows `from..to` as the tensors of `run`.
    pub fn tensors(&self, from: usize, to: usize) -> Vec<abi::Tensor> {
        self.slice(from, to)
            .iter()
            .map(|t| abi::Tensor {
                dtype: t.dtype().code(),
                shape: t.shape.iter().map(|d| *d as u32).collect(),
                data: t.to_le_bytes().into(),
            })
            .collect()
    }

    /// The precompile's call data for rows `from..to`: classify, infer, or run where a value is missing.
    pub fn call_data(&self, from: usize, to: usize) -> Result<Vec<u8>> {
        let id = self.id();
        Ok(if self.needs_run() {
            IInference::runCall { modelId: id, inputs: self.tensors(from, to) }.abi_encode()
        } else if self.is_classifier() {
            IInference::classifyCall { modelId: id, x: self.words(from, to)? }.abi_encode()
        } else {
            IInference::inferCall { modelId: id, x: self.words(from, to)? }.abi_encode()
        })
    }

    /// Runs tensors in this process; every output.
    pub fn compute(&self, inputs: Vec<Tensor>, options: &Options) -> Result<Vec<Tensor>> {
        let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
        let plan = self.model.plan(&types, &Limits::default())?;
        Ok(self.model.run(&plan, inputs, options)?)
    }

    /// Class indices or values that these outputs say, one for each row.
    pub fn decide(&self, outputs: &[Tensor]) -> Result<Expected> {
        let g = self.graph();
        let primary = outputs.get(usize::from(g.primary_output)).context("no primary output")?;
        let values = primary.as_f32().context("the primary output is f32")?;
        if !self.is_classifier() {
            return Ok(Expected::Values(values.iter().map(|x| f64::from(*x)).collect()));
        }
        let Some(l) = g.label_output else {
            let columns = *primary.shape.last().context("no columns")?;
            let arg_max =
                |row: &[f32]| (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) as u64;
            return Ok(Expected::Classes(values.chunks(columns).map(arg_max).collect()));
        };
        let labels = outputs.get(usize::from(l)).and_then(Tensor::as_i64).context("labels are i64")?;
        let index = |v: &i64| match &g.labels {
            Labels::Ints(table) => table.iter().position(|n| n == v).map(|p| p as u64).context("an unknown label"),
            _ => u64::try_from(*v).context("a negative class"),
        };
        Ok(Expected::Classes(labels.iter().map(index).collect::<Result<_>>()?))
    }
}
