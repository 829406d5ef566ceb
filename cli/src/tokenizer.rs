//! Text to token ids, by the `tokenizer.json` that lies with a model (Hugging Face's `tokenizers`).

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::{TruncationParams, utils::truncation::TruncationStrategy};

use crate::data::{Array, Values};
use crate::failure::Failure;
use crate::files;
use crate::npz::Arrays;

/// A tokenizer with the length to which it cuts.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    pad: u32,
    max_length: Option<usize>,
}

/// One text in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Numbers in the vocabulary.
    pub ids: Vec<u32>,
    /// 0 for a first text, 1 for a second.
    pub type_ids: Vec<u32>,
    /// The tokens as text.
    pub tokens: Vec<String>,
    /// Whether the end of the text was cut off.
    pub cut: bool,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, or the one in a directory. Texts are cut to `max_length` tokens; where none is given, to
    /// what the directory (sentence_bert_config.json, tokenizer_config.json) or else the file itself says.
    pub fn read(source: &Path, max_length: Option<usize>) -> Result<Self, Failure> {
        let folder = source.is_dir().then_some(source);
        let file: PathBuf = folder.map_or_else(|| source.to_owned(), |d| d.join("tokenizer.json"));
        let what = file.display().to_string();
        if folder.is_some() && !file.exists() {
            let advice = "save the fast tokenizer of the model: AutoTokenizer.from_pretrained(..).save_pretrained(..)";
            return Err(Failure::refused_with(source.display().to_string(), "it holds no tokenizer.json", advice));
        }
        let bytes = files::read(&file)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(&bytes)
            .map_err(|e| Failure::refused(&what, format!("it is no tokenizer that can be read: {e}")))?;
        if let Some(true) = setting(folder, "sentence_bert_config.json", "do_lower_case").and_then(|v| v.as_bool()) {
            let reason = "sentence_bert_config.json asks for lower case before the tokenizer, which is not done here";
            return Err(Failure::refused(&what, reason));
        }
        let pad = inner.get_padding().map(|p| p.pad_id).or_else(|| inner.token_to_id("[PAD]")).unwrap_or(0);
        let own = inner.get_truncation().map(|t| t.max_length);
        let number = |file: &str, key: &str| {
            // transformers writes 10^30 for none.
            setting(folder, file, key).and_then(|v| v.as_u64()).filter(|n| *n < 1 << 32).map(|n| n as usize)
        };
        let max_length = max_length
            .or_else(|| number("sentence_bert_config.json", "max_seq_length"))
            .or_else(|| number("tokenizer_config.json", "model_max_length"))
            .or(own);
        // Padding is made here, to the longest text; and the file's own length is not that of the model.
        inner.with_padding(None);
        let fault = |e: tokenizers::Error| Failure::refused(&what, format!("it cannot be used: {e}"));
        inner.with_truncation(None).map_err(fault)?;
        if let Some(n) = max_length {
            let added = inner.encode("", true).map_err(fault)?.len();
            if n <= added {
                return Err(Failure::Usage(format!(
                    "--max-length {n} has no room: {added} tokens stand around every text"
                )));
            }
            let strategy = TruncationStrategy::LongestFirst;
            let cut = TruncationParams { max_length: n, strategy, ..TruncationParams::default() };
            inner.with_truncation(Some(cut)).map_err(fault)?;
        }
        Ok(Self { inner, pad, max_length })
    }

    /// Length to which texts are cut.
    pub fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    /// One text.
    pub fn tokens(&self, text: &str) -> Result<Tokens, Failure> {
        let e = self.inner.encode(text, true).map_err(|e| Failure::refused("the text", e.to_string()))?;
        Ok(Tokens {
            ids: e.get_ids().to_vec(),
            type_ids: e.get_type_ids().to_vec(),
            tokens: e.get_tokens().to_vec(),
            cut: !e.get_overflowing().is_empty(),
        })
    }

    /// Texts as the arrays that models take: `input_ids`, `attention_mask` and `token_type_ids`, a text a row, padded on
    /// the right to the longest (which changes no bit of an answer).
    pub fn arrays(&self, texts: &[Tokens]) -> Arrays {
        let length = texts.iter().map(|t| t.ids.len()).max().unwrap_or(0);
        let rows = |of: &dyn Fn(&Tokens, usize) -> i64| {
            let values = texts.iter().flat_map(|t| (0..length).map(|i| of(t, i)).collect::<Vec<_>>()).collect();
            Array { shape: vec![texts.len(), length], values: Values::Int(values), kind: "int64".into() }
        };
        let at = |v: &[u32], i: usize, none: u32| i64::from(v.get(i).copied().unwrap_or(none));
        [
            ("input_ids", rows(&|t, i| at(&t.ids, i, self.pad))),
            ("attention_mask", rows(&|t, i| i64::from(i < t.ids.len()))),
            ("token_type_ids", rows(&|t, i| at(&t.type_ids, i, 0))),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect()
    }
}

/// A field of a JSON file of the directory.
fn setting(folder: Option<&Path>, file: &str, key: &str) -> Option<Value> {
    let bytes = std::fs::read(folder?.join(file)).ok()?;
    serde_json::from_slice::<Value>(&bytes).ok()?.get(key).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A tokenizer of five words.
    fn small(folder: &Path) {
        let special = |id: u32, content: &str| json!({ "id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false });
        let t = json!({
            "version": "1.0",
            "truncation": { "max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right" },
            "padding": { "strategy": { "Fixed": 8 }, "direction": "Right", "pad_id": 3, "pad_type_id": 0, "pad_token": "[PAD]" },
            "added_tokens": [special(0, "[CLS]"), special(1, "[SEP]"), special(3, "[PAD]")],
            "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 0] },
            "decoder": null,
            "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                "vocab": { "[CLS]": 0, "[SEP]": 1, "[UNK]": 2, "[PAD]": 3, "gas": 4, "##es": 5, "fee": 6 } }
        });
        std::fs::write(folder.join("tokenizer.json"), t.to_string()).unwrap();
    }

    #[test]
    fn texts_become_padded_rows() {
        let d = tempfile::tempdir().unwrap();
        small(d.path());
        let t = Tokenizer::read(d.path(), Some(16)).unwrap();
        let texts: Vec<Tokens> = ["", "Gases FÉE?"].iter().map(|s| t.tokens(s).unwrap()).collect();
        assert_eq!(texts[0].ids, [0, 1]);
        assert_eq!((texts[1].ids.as_slice(), texts[1].cut), (&[0, 4, 5, 6, 2, 1][..], false));
        let a = t.arrays(&texts);
        assert_eq!(a["input_ids"].shape, [2, 6]);
        assert_eq!(a["input_ids"].values, Values::Int(vec![0, 1, 3, 3, 3, 3, 0, 4, 5, 6, 2, 1]));
        assert_eq!(a["attention_mask"].values, Values::Int(vec![1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]));
    }

    #[test]
    fn the_length_is_the_callers_or_the_directorys() {
        let d = tempfile::tempdir().unwrap();
        small(d.path());
        let length =
            |given| Tokenizer::read(d.path(), given).map(|t| (t.max_length(), t.tokens("fee fee fee fee").unwrap()));
        assert_eq!(length(None).unwrap().0, Some(4), "the file's own");
        std::fs::write(d.path().join("tokenizer_config.json"), r#"{"model_max_length": 5}"#).unwrap();
        assert_eq!(length(None).unwrap().1.ids, [0, 6, 6, 6, 1]);
        std::fs::write(d.path().join("sentence_bert_config.json"), r#"{"max_seq_length": 6}"#).unwrap();
        assert_eq!(length(None).map(|(n, t)| (n, t.cut)).unwrap(), (Some(6), false));
        let cut = length(Some(3)).unwrap().1;
        assert_eq!((cut.ids.as_slice(), cut.cut), (&[0, 6, 1][..], true));
        assert_eq!(length(Some(2)).unwrap_err().status(), 2);
    }

    #[test]
    fn what_is_no_tokenizer_is_refused() {
        let d = tempfile::tempdir().unwrap();
        assert!(Tokenizer::read(d.path(), None).unwrap_err().to_text().contains("no tokenizer.json"));
        std::fs::write(d.path().join("tokenizer.json"), "{}").unwrap();
        assert_eq!(Tokenizer::read(d.path(), None).unwrap_err().status(), 3);
        small(d.path());
        std::fs::write(d.path().join("sentence_bert_config.json"), r#"{"do_lower_case": true}"#).unwrap();
        assert!(Tokenizer::read(d.path(), None).unwrap_err().to_text().contains("lower case"));
    }
}
