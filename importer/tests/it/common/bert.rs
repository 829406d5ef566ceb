//! A small BERT as a directory in memory, and its answer by plain loops in f64.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};

pub const VOCABULARY: usize = 11;
pub const HIDDEN: usize = 12;
pub const HEADS: usize = 3;
pub const LAYERS: usize = 2;
pub const INTERMEDIATE: usize = 20;
pub const POSITIONS: usize = 24;

/// Files by path, tensors by name.
#[derive(Clone)]
pub struct Directory {
    pub files: BTreeMap<String, Vec<u8>>,
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Directory {
    /// A sentence transformer: mean over the tokens, normalised.
    pub fn sentence() -> Self {
        let mut d = Self { files: BTreeMap::new(), tensors: tensors() };
        d.json("config.json", config());
        let module = |name: &str, path: &str| json!({ "name": "n", "path": path, "type": format!("sentence_transformers.models.{name}") });
        d.json(
            "modules.json",
            json!([module("Transformer", ""), module("Pooling", "1_Pooling"), module("Normalize", "2_Normalize")]),
        );
        d.json("1_Pooling/config.json", json!({ "word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false }));
        d.json("sentence_bert_config.json", json!({ "max_seq_length": 16 }));
        d
    }

    pub fn json(&mut self, path: &str, value: Value) {
        self.files.insert(path.into(), serde_json::to_vec(&value).unwrap());
    }

    /// Changes a JSON file.
    pub fn edit(&mut self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut v: Value = serde_json::from_slice(&self.files[path]).unwrap();
        change(&mut v);
        self.json(path, v);
    }

    /// The reader that the importer asks.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        if path == "model.safetensors" && !self.files.contains_key(path) {
            return Ok(safetensors(&self.tensors));
        }
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn t(&self, name: &str) -> Vec<f64> {
        self.tensors[name].1.iter().map(|x| f64::from(*x)).collect()
    }
}

pub fn config() -> Value {
    json!({
        "model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu", "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "intermediate_size": INTERMEDIATE, "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.1, "position_embedding_type": "absolute"
    })
}

fn tensors() -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut out = BTreeMap::new();
    let mut state = 1u32;
    let mut put = |name: String, shape: Vec<usize>, around: f32| {
        let n = shape.iter().product();
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            around + (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        out.insert(name, (shape, (0..n).map(|_| next()).collect()));
    };
    for (part, n) in [("word", VOCABULARY), ("position", POSITIONS), ("token_type", 2)] {
        put(format!("embeddings.{part}_embeddings.weight"), vec![n, HIDDEN], 0.0);
    }
    let linear = |put: &mut dyn FnMut(String, Vec<usize>, f32), name: &str, from, to| {
        put(format!("{name}.weight"), vec![to, from], 0.0);
        put(format!("{name}.bias"), vec![to], 0.0);
    };
    let norm = |put: &mut dyn FnMut(String, Vec<usize>, f32), name: &str| {
        put(format!("{name}.weight"), vec![HIDDEN], 1.0);
        put(format!("{name}.bias"), vec![HIDDEN], 0.0);
    };
    norm(&mut put, "embeddings.LayerNorm");
    for l in 0..LAYERS {
        let n = format!("encoder.layer.{l}");
        for p in ["self.query", "self.key", "self.value", "output.dense"] {
            linear(&mut put, &format!("{n}.attention.{p}"), HIDDEN, HIDDEN);
        }
        norm(&mut put, &format!("{n}.attention.output.LayerNorm"));
        linear(&mut put, &format!("{n}.intermediate.dense"), HIDDEN, INTERMEDIATE);
        linear(&mut put, &format!("{n}.output.dense"), INTERMEDIATE, HIDDEN);
        norm(&mut put, &format!("{n}.output.LayerNorm"));
    }
    out
}

/// A file in the format of safetensors.
pub fn safetensors(tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, (shape, values)) in tensors {
        let start = data.len();
        values.iter().for_each(|x| data.extend(x.to_le_bytes()));
        header.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] }));
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// The embedding of one text without padding, in f64 and in no particular order.
pub fn embed(d: &Directory, ids: &[i32]) -> Vec<f64> {
    let hidden = encode(d, ids);
    let mean: Vec<f64> = (0..HIDDEN).map(|j| hidden.iter().map(|t| t[j]).sum::<f64>() / ids.len() as f64).collect();
    let norm = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
    mean.iter().map(|x| x / norm).collect()
}

/// The last hidden states, all tokens of the first type.
pub fn encode(d: &Directory, ids: &[i32]) -> Vec<Vec<f64>> {
    let (word, position, kind) = (
        d.t("embeddings.word_embeddings.weight"),
        d.t("embeddings.position_embeddings.weight"),
        d.t("embeddings.token_type_embeddings.weight"),
    );
    let mut x: Vec<Vec<f64>> = ids
        .iter()
        .enumerate()
        .map(|(p, i)| {
            (0..HIDDEN).map(|j| word[*i as usize * HIDDEN + j] + kind[j] + position[p * HIDDEN + j]).collect()
        })
        .collect();
    x.iter_mut().for_each(|r| norm(d, "embeddings.LayerNorm", r));
    for l in 0..LAYERS {
        let n = format!("encoder.layer.{l}");
        let part = |p: &str| x.iter().map(|r| linear(d, &format!("{n}.attention.self.{p}"), r)).collect::<Vec<_>>();
        let (q, k, v) = (part("query"), part("key"), part("value"));
        let size = HIDDEN / HEADS;
        let mut next = Vec::new();
        for (i, row) in x.iter().enumerate() {
            let mut context = vec![0.0; HIDDEN];
            for h in 0..HEADS {
                let at = h * size..(h + 1) * size;
                let dot = |j: usize| at.clone().map(|c| q[i][c] * k[j][c]).sum::<f64>() / (size as f64).sqrt();
                let e: Vec<f64> = (0..x.len()).map(|j| dot(j).exp()).collect();
                let total: f64 = e.iter().sum();
                at.clone().for_each(|c| context[c] = (0..x.len()).map(|j| e[j] / total * v[j][c]).sum());
            }
            let mut y = add(&linear(d, &format!("{n}.attention.output.dense"), &context), row);
            norm(d, &format!("{n}.attention.output.LayerNorm"), &mut y);
            let wide: Vec<f64> = linear(d, &format!("{n}.intermediate.dense"), &y).iter().map(|t| gelu(*t)).collect();
            let mut z = add(&linear(d, &format!("{n}.output.dense"), &wide), &y);
            norm(d, &format!("{n}.output.LayerNorm"), &mut z);
            next.push(z);
        }
        x = next;
    }
    x
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(x, y)| x + y).collect()
}

fn linear(d: &Directory, name: &str, x: &[f64]) -> Vec<f64> {
    let (w, b) = (d.t(&format!("{name}.weight")), d.t(&format!("{name}.bias")));
    let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    w.chunks(x.len()).zip(&b).map(|(row, b)| dot(row) + b).collect()
}

fn norm(d: &Directory, name: &str, x: &mut [f64]) {
    let (w, b) = (d.t(&format!("{name}.weight")), d.t(&format!("{name}.bias")));
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64;
    x.iter_mut().enumerate().for_each(|(i, v)| *v = (*v - mean) / (variance + 1e-12).sqrt() * w[i] + b[i]);
}

/// x * P(X <= x) for a normal X, integrated by Simpson's rule: no function of any library.
fn gelu(x: f64) -> f64 {
    let steps = 2_000;
    let h = x / f64::from(steps);
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let sum: f64 = (0..=steps)
        .map(|i| {
            let weight = if i == 0 || i == steps {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            };
            weight * density(h * f64::from(i))
        })
        .sum();
    x * (0.5 + sum * h / 3.0)
}
