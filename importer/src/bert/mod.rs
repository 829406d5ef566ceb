//! A directory of BERT: `config.json` with `model.safetensors`, and what sentence-transformers adds
//! (`modules.json`, pooling), to the engine's graph.
//!
//! The graph is the published model's computation in its own order; what differs from a library is the order
//! of sums (S1, S2) and how padding is left out (spec IMP-11).

mod config;
mod encoder;
mod pooling;
mod weights;

use lockstep_engine::format::merkle::keccak;
use lockstep_engine::{DType, Dim, Input};

use crate::build::Builder;
use crate::card::{Card, Sequence, Source};
use crate::error::{ImportError, Problem};
use crate::options::{External, ImportOptions, Imported, InputInfo};
use crate::proto::data_type;
use crate::read::InputType;
use config::{Config, Files, Head};
use weights::Weights;

/// Imports a directory, given by a reader of the files in it (paths relative to the directory, `/` between).
///
/// Inputs: `input_ids` i32 (batch, sequence) and `attention_mask` bool (batch, sequence), true for a token and false
/// for padding; without a pooling module also `token_type_ids`. Output: `sentence_embedding` f32 (batch, hidden), or,
/// without a pooling module, `last_hidden_state` (batch, sequence, hidden).
///
/// # Errors
/// [`ImportError::Refused`] with every reason why the directory is none that this importer knows;
/// [`ImportError::Options`] for options that a transformer has no use for.
pub fn import_directory(directory: External<'_>, options: &ImportOptions<'_>) -> Result<Imported, ImportError> {
    if options.features.is_some() || options.labels.is_some() {
        return Err(ImportError::Options("a text encoder has neither features nor labels to name".into()));
    }
    let mut files = Files::new(directory);
    let read = Config::read(&mut files);
    let bytes = read.as_ref().and_then(|(c, _)| weights::file(&mut files, &c.folder));
    let mut problems = std::mem::take(&mut files.problems);
    let (Some((config, head)), Some(bytes)) = (read, bytes) else { return Err(ImportError::Refused(problems)) };
    let weights = Weights::open(&bytes, &config, &mut problems);
    let (Some(weights), true) = (weights, problems.is_empty()) else { return Err(ImportError::Refused(problems)) };

    let types = input_types(&head);
    let mut b = Builder::new(types.clone());
    let node_refused = |r: crate::error::Refusal, b: &Builder| {
        let mut p = Problem::of_file(r.tensor, r.reason, r.advice);
        p.node = b.node_name().to_owned();
        ImportError::Refused(vec![p])
    };
    let outputs = encoder::build(&mut b, &config, &head, &weights).map_err(|r| node_refused(r, &b))?;
    drop(weights);
    let mut finished = b.finish(&outputs).map_err(|r| node_refused(r, &b))?;
    finished.graph.symbols = vec!["batch".into(), "sequence".into()];
    finished.graph.inputs =
        types.iter().map(|t| Input { name: t.name.clone(), dtype: t.dtype, shape: t.shape.clone() }).collect();

    let card = card(&mut files, &config, &bytes, &finished.node_names, options);
    drop(bytes);
    let model = crate::import::build(&finished, &card, options)?;
    let symbols = &finished.graph.symbols;
    let inputs = types
        .iter()
        .map(|t| InputInfo {
            name: t.name.clone(),
            onnx_type: data_type::name(t.elem_type),
            dtype: t.dtype,
            shape: t.shape.iter().map(|d| d.describe(symbols)).collect(),
            first_feature: None,
        })
        .collect();
    Ok(Imported { model, card, notes: b.notes, node_names: finished.node_names, inputs })
}

fn input_types(head: &Head) -> Vec<InputType> {
    let input = |name: &str, dtype: DType| InputType {
        name: name.into(),
        // What the field's libraries pass.
        elem_type: data_type::INT64,
        dtype,
        shape: vec![Dim::symbol(0), Dim::symbol(1)],
    };
    let mut types = vec![input("input_ids", DType::I32), input("attention_mask", DType::Bool)];
    if matches!(head, Head::Hidden) {
        types.push(input("token_type_ids", DType::I32));
    }
    types
}

fn card(files: &mut Files<'_>, c: &Config, weights: &[u8], nodes: &[String], options: &ImportOptions<'_>) -> Card {
    let readme = files.optional("README.md").and_then(|b| String::from_utf8(b).ok()).unwrap_or_default();
    let hex = |bytes: &[u8]| keccak(&[bytes]).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let o = &options.card;
    let name = o.name.map(str::to_owned).or_else(|| heading(&readme)).or_else(|| c.name.clone()).unwrap_or_default();
    Card {
        name,
        licence: o.licence.map(str::to_owned).or_else(|| front_matter(&readme, "license")),
        source: Source {
            format: "safetensors".into(),
            producer: c.architecture.clone(),
            producer_version: c.transformers_version.clone().unwrap_or_default(),
            keccak256: hex(weights),
            importer: env!("CARGO_PKG_VERSION").into(),
        },
        task: Some(o.task.unwrap_or("feature-extraction").to_owned()),
        sequence: Some(Sequence {
            positions: c.positions as u64,
            recommended: files.recommended_length(),
            tokenizer_keccak256: files.optional("tokenizer.json").map(|t| hex(&t)),
        }),
        example: o.example.cloned(),
        node_names: nodes.to_vec(),
        ..Card::default()
    }
}

/// The first heading of a text in Markdown.
fn heading(text: &str) -> Option<String> {
    text.lines().find_map(|l| l.strip_prefix("# ")).map(|l| l.trim().to_owned()).filter(|l| !l.is_empty())
}

/// One field of the YAML between the first two `---`.
fn front_matter(text: &str, key: &str) -> Option<String> {
    let mut lines = text.lines();
    if lines.next()?.trim() != "---" {
        return None;
    }
    lines
        .take_while(|l| l.trim() != "---")
        .find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))
        .map(|v| v.trim().trim_matches(['"', '\'']).to_owned())
        .filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_card_tells_name_and_licence() {
        let text = "---\nlanguage: en\nlicense: apache-2.0\ntags:\n- x\n---\n\n# all-MiniLM-L6-v2\nlicense: no\n";
        assert_eq!(front_matter(text, "license").as_deref(), Some("apache-2.0"));
        assert_eq!(front_matter(text, "tags"), None);
        assert_eq!(front_matter("# a\nlicense: mit\n", "license"), None);
        assert_eq!(heading(text).as_deref(), Some("all-MiniLM-L6-v2"));
        assert_eq!(heading("no heading"), None);
    }
}
