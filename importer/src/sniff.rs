//! What a file is that is no ONNX model: people hand over pickles, archives and pointers.

use prost::Message;

use crate::error::ImportError;
use crate::proto::ModelProto;

const EXPORT: &str = "export the model: skl2onnx.to_onnx for scikit-learn, onnxmltools for XGBoost and LightGBM, torch.onnx.export for PyTorch";

fn is(reason: impl Into<String>) -> ImportError {
    ImportError::NotOnnx { reason: reason.into() }
}

/// Decodes the file, or says what it is instead.
pub(crate) fn decode(bytes: &[u8]) -> Result<ModelProto, ImportError> {
    if let Some(reason) = recognise(bytes) {
        return Err(is(reason));
    }
    let model = ModelProto::decode(bytes).map_err(|e| {
        if looks_like_text(bytes) {
            is(format!("the file is text; {EXPORT}"))
        } else if bytes.first() == Some(&0x08) {
            is(format!("the file is truncated or damaged ({e}); copy or export it again"))
        } else {
            is(format!("the bytes are no ONNX protobuf ({e}); {EXPORT}"))
        }
    })?;
    if model.graph.is_none() {
        let what = if looks_like_text(bytes) {
            "the file is text"
        } else {
            "it holds no graph: truncated, or another protobuf"
        };
        return Err(is(format!("{what}; {EXPORT}")));
    }
    if model.opset_import.is_empty() {
        return Err(is("it states no operator set: the file is truncated or damaged; copy or export it again"));
    }
    Ok(model)
}

fn recognise(b: &[u8]) -> Option<String> {
    let starts = |magic: &[u8]| b.starts_with(magic);
    Some(match b {
        [] => "the file is empty".into(),
        [0x80, 0x02..=0x05, ..] => {
            format!(
                "this is a Python pickle (joblib, pickle, or an old torch.save), and it is never opened: loading one runs its code; {EXPORT}"
            )
        }
        _ if starts(b"PK\x03\x04") => {
            format!("this is a zip archive (torch.save's .pt, .keras, .npz); {EXPORT}")
        }
        _ if starts(b"\x89HDF") => "this is an HDF5 file (Keras .h5); export it with tf2onnx".into(),
        _ if starts(b"GGUF") => "this is a GGUF file, which this version does not import".into(),
        _ if starts(b"\x1f\x8b") => "this is a gzip archive; unpack it first".into(),
        _ if starts(b"version https://git-lfs") => "this is a git-lfs pointer, not the file; run `git lfs pull`".into(),
        _ if b.get(4..8) == Some(b"TFL3") => "this is a TensorFlow Lite model; convert it with tf2onnx --tflite".into(),
        _ if is_safetensors(b) => {
            "this is a safetensors file: weights without a graph; import the directory that holds it with its config.json (BERT), or export the model with torch.onnx.export".into()
        }
        _ if starts(b"{") || starts(b"[") => {
            format!("this is JSON (XGBoost and LightGBM save it); {EXPORT}")
        }
        _ if starts(b"<") => "this is XML or HTML (PMML, OpenVINO, or a download page)".into(),
        _ if starts(b"tree\n") => format!("this is a LightGBM text model; {EXPORT}"),
        _ => return None,
    })
}

fn is_safetensors(b: &[u8]) -> bool {
    let Some(head) = b.get(..8).and_then(|h| <[u8; 8]>::try_from(h).ok()) else { return false };
    b.get(8) == Some(&b'{') && u64::from_le_bytes(head) < 1 << 27
}

fn looks_like_text(b: &[u8]) -> bool {
    let head = &b[..b.len().min(512)];
    std::str::from_utf8(head).is_ok() && head.iter().all(|c| matches!(c, 9 | 10 | 13 | 32..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_files_are_named() {
        let safetensors = [&[2u8, 0, 0, 0, 0, 0, 0, 0][..], b"{}"].concat();
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"\x80\x04\x95rest", "pickle"),
            (b"PK\x03\x04....", "zip"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
            (b"{\"learner\": {}}", "JSON"),
            (b"version https://git-lfs.github.com/spec/v1", "git-lfs"),
            (&safetensors, "safetensors"),
            (b"hello, this is a text file\n", "text"),
            (b"\x08\x0a\x3a\xff\xff\x01", "truncated"),
            (b"\x08\x0a", "no graph"),
        ] {
            let e = decode(bytes).unwrap_err().to_string();
            assert!(e.contains(word), "{word}: {e}");
        }
    }
}
