//! The tensors of `model.safetensors`, read by candle-core and held to the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device};
use lockstep_engine::{Data, Tensor};

use super::config::{Config, Files};
use crate::error::{Lowered, Problem, Refusal};

const FILE: &str = "model.safetensors";
/// Unknown tensors that are listed by name.
const LISTED: usize = 8;

/// The bytes of the weights, or a problem that says what lies there instead.
pub(super) fn file(files: &mut Files<'_>, folder: &str) -> Option<Vec<u8>> {
    let path = format!("{folder}{FILE}");
    match files.weights(&path) {
        Ok(bytes) => Some(bytes),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let there = |f: &str| files.weights(&format!("{folder}{f}")).is_ok();
            let advice = if there("model.safetensors.index.json") {
                "the weights are in several files: save the model as one (max_shard_size)"
            } else if there("pytorch_model.bin") {
                "pytorch_model.bin is a pickle, which can run code: save the model with safe_serialization=True"
            } else {
                "save the model with save_pretrained"
            };
            files.refuse(&path, "there is no such file", Some(advice));
            None
        }
        Err(e) => {
            files.refuse(&path, format!("it cannot be read: {e}"), None);
            None
        }
    }
}

/// The file, with all that the configuration needs in the right shapes.
pub(super) struct Weights<'a> {
    file: SliceSafetensors<'a>,
    /// `bert.` in files saved from a model with a head.
    prefix: &'static str,
}

impl<'a> Weights<'a> {
    /// Opens the file and checks names, shapes and types of all tensors.
    pub(super) fn open(bytes: &'a [u8], c: &Config, problems: &mut Vec<Problem>) -> Option<Self> {
        let file = match SliceSafetensors::new(bytes) {
            Ok(file) => file,
            Err(e) => {
                problems.push(Problem::of_file(Some(FILE.into()), format!("it is no safetensors file: {e}"), None));
                return None;
            }
        };
        let found: BTreeMap<String, (Vec<usize>, String)> = file
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, (view.shape().to_vec(), format!("{:?}", view.dtype()))))
            .collect();
        let prefix = if found.contains_key("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
        let mut known = BTreeSet::new();
        for (name, shape) in expected(c) {
            let full = format!("{prefix}{name}");
            let reason = match found.get(&full) {
                None => Some(format!("it is missing, {shape:?} is expected")),
                Some((s, _)) if *s != shape => Some(format!("its shape is {s:?}, {shape:?} is expected")),
                Some((_, t)) if !matches!(t.as_str(), "F32" | "F16" | "BF16" | "F64") => {
                    Some(format!("its type is {t}; F32, F16, BF16 and F64 are supported"))
                }
                _ => None,
            };
            problems.extend(reason.map(|r| Problem::of_file(Some(full.clone()), r, None)));
            known.insert(full);
        }
        let unknown: Vec<&str> = found
            .keys()
            .filter(|n| !known.contains(*n) && !is_unused(n.strip_prefix(prefix).unwrap_or(n)))
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            let more = unknown.len().saturating_sub(LISTED);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let list = unknown.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
            let reason = format!("tensors that {} of this size does not have: {list}{more}", c.architecture);
            problems.push(Problem::of_file(Some(FILE.into()), reason, None));
        }
        Some(Self { file, prefix })
    }

    /// A tensor in f32: f16 and bf16 widen exactly, f64 rounds once.
    pub(super) fn tensor(&self, name: &str) -> Lowered<Tensor> {
        let full = format!("{}{name}", self.prefix);
        let read = || -> candle_core::Result<(Vec<usize>, Vec<f32>)> {
            let t = self.file.load(&full, &Device::Cpu)?;
            Ok((t.dims().to_vec(), t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?))
        };
        let (shape, data) = read().map_err(|e| Refusal::new(e.to_string()).tensor(&full))?;
        if let Some(at) = data.iter().position(|x| !x.is_finite()) {
            return Err(Refusal::new(format!("element {at} is not finite")).tensor(&full));
        }
        Tensor::new(shape, Data::F32(data))
            .ok_or_else(|| Refusal::new("its shape and its elements disagree").tensor(&full))
    }
}

/// Buffers and heads that the encoder does not compute with.
fn is_unused(name: &str) -> bool {
    matches!(
        name,
        "embeddings.position_ids" | "embeddings.token_type_ids" | "pooler.dense.weight" | "pooler.dense.bias"
    )
}

/// Names and shapes of all tensors that are computed with.
fn expected(c: &Config) -> Vec<(String, Vec<usize>)> {
    let (h, i) = (c.hidden, c.intermediate);
    let mut out: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![c.vocabulary, h]),
        ("embeddings.position_embeddings.weight".into(), vec![c.positions, h]),
        ("embeddings.token_type_embeddings.weight".into(), vec![c.token_types, h]),
    ];
    let norm = |name: String| [(format!("{name}.weight"), vec![h]), (format!("{name}.bias"), vec![h])];
    let linear = |name: String, from: usize, to: usize| {
        [(format!("{name}.weight"), vec![to, from]), (format!("{name}.bias"), vec![to])]
    };
    out.extend(norm("embeddings.LayerNorm".into()));
    for n in 0..c.layers {
        let layer = format!("encoder.layer.{n}");
        for part in ["query", "key", "value"] {
            out.extend(linear(format!("{layer}.attention.self.{part}"), h, h));
        }
        out.extend(linear(format!("{layer}.attention.output.dense"), h, h));
        out.extend(norm(format!("{layer}.attention.output.LayerNorm")));
        out.extend(linear(format!("{layer}.intermediate.dense"), h, i));
        out.extend(linear(format!("{layer}.output.dense"), i, h));
        out.extend(norm(format!("{layer}.output.LayerNorm")));
    }
    out
}
