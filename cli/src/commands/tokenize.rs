//! `lockstep tokenize`: text to what a text model takes.

use std::path::PathBuf;

use alloy_primitives::{B256, hex};
use lockstep_engine::{Data, Tensor};
use serde_json::{Value, json};

use crate::chain;
use crate::data::{Values, inputs};
use crate::failure::Failure;
use crate::files;
use crate::npz::{self, Arrays};
use crate::output::Output;
use crate::tokenizer::{Tokenizer, Tokens};

/// Turn text into the token ids that a text model takes
///
/// The ids are those of Python's tokenizers and transformers for the same tokenizer.json. The end of a longer text is cut
/// off (and said). Several texts become rows of one length; padding on the right changes no bit of an answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep tokenize all-MiniLM-L6-v2/ \"How do I reset my password?\"
  lockstep tokenize all-MiniLM-L6-v2/ \"one text\" \"another\" --npz in.npz && lockstep run minilm.lsm --inputs in.npz --outputs out.npz
  cast call 0x0000000000000000000000000000000000000A11 $(lockstep tokenize DIR \"one text\" --abi minilm.lsm)")]
pub(crate) struct Args {
    /// A tokenizer.json, or a directory that holds it
    tokenizer: PathBuf,
    /// The texts
    #[arg(required_unless_present = "file")]
    texts: Vec<String>,
    /// A file with one text a line, besides
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Tokens that a text may have, those at both ends included; otherwise what the directory says
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// Write input_ids, attention_mask and token_type_ids for `lockstep run`
    #[arg(long, value_name = "FILE")]
    npz: Option<PathBuf>,
    /// Print the call data of `run` with this model instead, in hexadecimal
    #[arg(long, value_name = "MODEL.lsm", conflicts_with = "json")]
    abi: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let tokenizer = Tokenizer::read(&args.tokenizer, args.max_length)?;
    let mut texts = args.texts;
    if let Some(path) = &args.file {
        let what = path.display().to_string();
        let lines =
            String::from_utf8(files::read(path)?).map_err(|_| Failure::refused(&what, "it is no UTF-8 text"))?;
        texts.extend(lines.lines().map(str::to_owned));
    }
    let rows: Vec<Tokens> = texts.iter().map(|t| tokenizer.tokens(t)).collect::<Result<_, _>>()?;
    let arrays = tokenizer.arrays(&rows);
    let notes: Vec<String> = rows
        .iter()
        .enumerate()
        .filter(|(_, r)| r.cut)
        .map(|(i, r)| format!("text {i} is cut to {} tokens (--max-length)", r.ids.len()))
        .collect();
    if let Some(path) = &args.npz {
        let tensors: Vec<(&str, Tensor)> = arrays.iter().map(|(k, a)| (k.as_str(), tensor(a))).collect();
        let bytes = npz::write(tensors.iter().map(|(k, t)| (*k, t)));
        files::write(path, &bytes.map_err(|e| Failure::Other(anyhow::anyhow!("{}: {e}", path.display())))?)?;
    }
    if let Some(path) = &args.abi {
        let model = files::read_model(path)?.loaded;
        let given = inputs::map(&model.graph, &arrays, "the tokens")?;
        let call = chain::run_call(B256::from(model.id), &given.tensors);
        return Ok(Output::new(format!("{}\n", hex::encode_prefixed(call)), Value::Null).with_warnings(notes));
    }
    let line = |r: &Tokens| {
        let ids: Vec<String> = r.ids.iter().map(u32::to_string).collect();
        format!("{}\n  {}\n", ids.join(" "), r.tokens.join(" "))
    };
    let text: String = rows.iter().map(line).collect();
    Ok(Output::new(text, to_json(&texts, &rows, &arrays, &tokenizer)).with_warnings(notes))
}

fn integers(a: &crate::data::Array) -> Vec<i64> {
    match &a.values {
        Values::Int(v) => v.clone(),
        _ => Vec::new(),
    }
}

fn tensor(a: &crate::data::Array) -> Tensor {
    Tensor { shape: a.shape.clone(), data: Data::I64(integers(a)) }
}

fn to_json(texts: &[String], rows: &[Tokens], arrays: &Arrays, tokenizer: &Tokenizer) -> Value {
    let list: Vec<Value> = texts
        .iter()
        .zip(rows)
        .map(|(text, r)| json!({ "text": text, "ids": r.ids, "tokens": r.tokens, "cut": r.cut }))
        .collect();
    let mut out = json!({ "maxLength": tokenizer.max_length(), "texts": list });
    for (name, a) in arrays {
        let width = a.shape.get(1).copied().unwrap_or(0).max(1);
        out[name.as_str()] = json!(integers(a).chunks(width).collect::<Vec<_>>());
    }
    out
}
