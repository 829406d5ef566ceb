//! What the configuration files say: the encoder's sizes, and what follows it.

use std::io;

use serde_json::{Map, Value};

use crate::error::Problem;
use crate::options::External;

/// Layers that a graph within the usual limits could have.
const MAX_LAYERS: u64 = 128;
/// Bytes of a configuration file, or of a tokenizer or README that only the card needs.
const MAX_TEXT: usize = 64 << 20;

/// The activation between the two linear maps of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// x / 2 * (1 + erf(x / sqrt 2)).
    Gelu,
    /// The approximation by tanh.
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// What stands after the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// Nothing: the hidden states are the answer.
    Hidden,
    /// sentence-transformers: one vector a text.
    Sentence {
        /// How tokens become one vector.
        pooling: Pooling,
        /// Whether that is scaled to length 1.
        normalise: bool,
    },
}

/// How the vectors of the tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Mean over the tokens.
    Mean,
    /// Greatest value over the tokens.
    Max,
    /// The first token.
    Cls,
}

/// config.json.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    /// Folder of the weights within the directory; empty or ending in `/`.
    pub(super) folder: String,
    pub(super) architecture: String,
    pub(super) name: Option<String>,
    pub(super) transformers_version: Option<String>,
    pub(super) vocabulary: usize,
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) intermediate: usize,
    pub(super) positions: usize,
    pub(super) token_types: usize,
    pub(super) epsilon: f32,
    pub(super) activation: Activation,
}

/// The directory, and what is wrong with what was read.
pub(super) struct Files<'a> {
    directory: External<'a>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Files<'a> {
    pub(super) fn new(directory: External<'a>) -> Self {
        Self { directory, problems: Vec::new() }
    }

    pub(super) fn refuse(&mut self, file: &str, reason: impl Into<String>, advice: Option<&str>) {
        self.problems.push(Problem::of_file(Some(file.into()), reason, advice.map(str::to_owned)));
    }

    /// A file that need not be there.
    pub(super) fn optional(&mut self, path: &str) -> Option<Vec<u8>> {
        match (self.directory)(path) {
            Ok(bytes) if bytes.len() <= MAX_TEXT => Some(bytes),
            Ok(bytes) => {
                self.refuse(path, format!("it has {} bytes, at most {MAX_TEXT} are read", bytes.len()), None);
                None
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                self.refuse(path, format!("it cannot be read: {e}"), None);
                None
            }
        }
    }

    /// The weights, whose size is bounded by the limits on models.
    pub(super) fn weights(&self, path: &str) -> io::Result<Vec<u8>> {
        (self.directory)(path)
    }

    fn json(&mut self, path: &str) -> Option<Value> {
        let bytes = self.optional(path)?;
        match serde_json::from_slice(&bytes) {
            Ok(v) => Some(v),
            Err(e) => {
                self.refuse(path, format!("it is no JSON: {e}"), None);
                None
            }
        }
    }

    fn object(&mut self, path: &str) -> Option<Map<String, Value>> {
        match self.json(path)? {
            Value::Object(m) => Some(m),
            _ => {
                self.refuse(path, "an object is expected", None);
                None
            }
        }
    }

    /// The length in tokens to which the author's own library cuts.
    pub(super) fn recommended_length(&mut self) -> Option<u64> {
        self.object("sentence_bert_config.json")?.get("max_seq_length")?.as_u64()
    }
}

impl Config {
    /// Reads and checks the configuration; problems are left in `files`.
    pub(super) fn read(files: &mut Files<'_>) -> Option<(Self, Head)> {
        let (folder, sentence) = match files.json("modules.json") {
            Some(modules) => modules_of(files, &modules)?,
            None => (String::new(), None),
        };
        let path = format!("{folder}config.json");
        let Some(map) = files.object(&path) else {
            if files.problems.is_empty() {
                let advice = "a directory with config.json and model.safetensors is expected";
                files.refuse(&path, "there is no such file", Some(advice));
            }
            return None;
        };
        let config = Self::of(files, &path, &map, folder)?;
        let head = match sentence {
            Some((pooling, normalise)) => {
                Head::Sentence { pooling: pooling_of(files, &pooling, config.hidden)?, normalise }
            }
            None => Head::Hidden,
        };
        files.problems.is_empty().then_some((config, head))
    }

    fn of(files: &mut Files<'_>, path: &str, m: &Map<String, Value>, folder: String) -> Option<Self> {
        let before = files.problems.len();
        let text = |key: &str| m.get(key).and_then(Value::as_str).map(str::to_owned);
        let supported = "supported: BertModel (model_type bert)";
        if text("model_type").as_deref() != Some("bert") {
            let found = text("model_type").unwrap_or_else(|| "none".into());
            files.refuse(path, format!("model_type {found} is not supported"), Some(supported));
        }
        let architectures: Vec<&str> =
            m.get("architectures").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if !matches!(architectures.as_slice(), [] | ["BertModel"]) {
            files.refuse(
                path,
                format!("the architecture {} is not supported", architectures.join(", ")),
                Some(supported),
            );
        }
        for key in ["is_decoder", "add_cross_attention", "quantization_config", "auto_map", "pruned_heads"] {
            let off = match m.get(key) {
                None | Some(Value::Null | Value::Bool(false)) => true,
                Some(Value::Object(o)) => o.is_empty(),
                _ => false,
            };
            if !off {
                files.refuse(path, format!("'{key}' is set, which this importer does not know"), None);
            }
        }
        if text("position_embedding_type").is_some_and(|p| p != "absolute") {
            files.refuse(path, "position_embedding_type is not 'absolute'", None);
        }
        let activation = match text("hidden_act").as_deref() {
            Some("gelu") => Activation::Gelu,
            Some("gelu_new" | "gelu_pytorch_tanh") => Activation::GeluTanh,
            Some("relu") => Activation::Relu,
            other => {
                let found = other.unwrap_or("missing").to_owned();
                let advice = "supported: gelu, gelu_new, gelu_pytorch_tanh, relu";
                files.refuse(path, format!("hidden_act is {found}"), Some(advice));
                Activation::Gelu
            }
        };
        let mut size = |key: &str, most: u64| {
            let v = m.get(key).and_then(Value::as_u64).filter(|n| (1..=most).contains(n));
            if v.is_none() {
                let found = m.get(key).map_or("missing".into(), Value::to_string);
                files.refuse(path, format!("'{key}' is {found}, a number from 1 to {most} is expected"), None);
            }
            v.unwrap_or(1) as usize
        };
        const SIZE: u64 = 1 << 24;
        let out = Self {
            folder,
            architecture: "BertModel".into(),
            name: text("_name_or_path").filter(|n| !n.is_empty()),
            transformers_version: text("transformers_version"),
            vocabulary: size("vocab_size", SIZE),
            hidden: size("hidden_size", SIZE),
            layers: size("num_hidden_layers", MAX_LAYERS),
            heads: size("num_attention_heads", SIZE),
            intermediate: size("intermediate_size", SIZE),
            positions: size("max_position_embeddings", SIZE),
            token_types: size("type_vocab_size", SIZE),
            epsilon: m.get("layer_norm_eps").and_then(Value::as_f64).unwrap_or(1e-12) as f32,
            activation,
        };
        if !(out.epsilon >= 0.0 && out.epsilon.is_finite()) {
            files.refuse(path, format!("'layer_norm_eps' is {}", out.epsilon), None);
        }
        if files.problems.len() == before && !out.hidden.is_multiple_of(out.heads) {
            files.refuse(path, format!("{} values do not divide among {} heads", out.hidden, out.heads), None);
        }
        (files.problems.len() == before).then_some(out)
    }
}

/// Path of the pooling's configuration, and whether a normalisation follows.
type Sentence = Option<(String, bool)>;

/// The chain of modules of sentence-transformers: Transformer, Pooling, and perhaps Normalize.
fn modules_of(files: &mut Files<'_>, modules: &Value) -> Option<(String, Sentence)> {
    const FILE: &str = "modules.json";
    let list: Vec<(String, String)> = modules
        .as_array()
        .into_iter()
        .flatten()
        .map(|m| {
            let text = |k: &str| m.get(k).and_then(Value::as_str).unwrap_or_default();
            let name = text("type").rsplit('.').next().unwrap_or_default().to_owned();
            let path = if text("path").is_empty() { String::new() } else { format!("{}/", text("path")) };
            (name, path)
        })
        .collect();
    let names: Vec<&str> = list.iter().map(|(n, _)| n.as_str()).collect();
    match names.as_slice() {
        ["Transformer"] => Some((list[0].1.clone(), None)),
        ["Transformer", "Pooling"] => Some((list[0].1.clone(), Some((list[1].1.clone(), false)))),
        ["Transformer", "Pooling", "Normalize"] => Some((list[0].1.clone(), Some((list[1].1.clone(), true)))),
        _ => {
            let known = "supported: Transformer, Pooling, Normalize, in this order";
            files.refuse(FILE, format!("the modules are {}", names.join(", ")), Some(known));
            None
        }
    }
}

fn pooling_of(files: &mut Files<'_>, folder: &str, hidden: usize) -> Option<Pooling> {
    let path = format!("{folder}config.json");
    let Some(map) = files.object(&path) else {
        files.refuse(&path, "the pooling has no configuration that can be read", None);
        return None;
    };
    if let Some(n) = map.get("word_embedding_dimension").and_then(Value::as_u64)
        && n != hidden as u64
    {
        files.refuse(&path, format!("it pools {n} values, the encoder gives {hidden}"), None);
    }
    if map.get("include_prompt") == Some(&Value::Bool(false)) {
        files.refuse(&path, "prompts are left out of the pooling (include_prompt)", None);
    }
    let modes: Vec<&str> = match map.get("pooling_mode").and_then(Value::as_str) {
        Some(one) => vec![one],
        None => map
            .iter()
            .filter(|(_, v)| **v == Value::Bool(true))
            .filter_map(|(k, _)| k.strip_prefix("pooling_mode_"))
            .collect(),
    };
    match modes.as_slice() {
        ["mean" | "mean_tokens"] => Some(Pooling::Mean),
        ["max" | "max_tokens"] => Some(Pooling::Max),
        ["cls" | "cls_token"] => Some(Pooling::Cls),
        other => {
            let found = if other.is_empty() { "none".into() } else { other.join(" and ") };
            files.refuse(
                &path,
                format!("the pooling mode is {found}"),
                Some("supported: one of mean_tokens, max_tokens, cls_token"),
            );
            None
        }
    }
}
