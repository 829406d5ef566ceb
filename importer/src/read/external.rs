//! Tensor data in files beside the model: confined to the model's directory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::error::{Lowered, Refusal, refuse};
use crate::options::External;
use crate::proto::TensorProto;

/// Reads external data, each file once.
pub(crate) struct Externals<'a> {
    open: Option<External<'a>>,
    files: RefCell<HashMap<String, Rc<Vec<u8>>>>,
}

impl<'a> Externals<'a> {
    pub(crate) fn new(open: Option<External<'a>>) -> Self {
        Self { open, files: RefCell::default() }
    }

    /// The bytes of a tensor whose data lie in another file.
    pub(crate) fn read(&self, t: &TensorProto) -> Lowered<Vec<u8>> {
        let entry =
            |key: &str| t.external_data.iter().find(|e| e.key.as_deref() == Some(key)).and_then(|e| e.value.as_deref());
        let number = |key: &str| -> Lowered<Option<usize>> {
            entry(key)
                .map(|v| v.parse().map_err(|_| Refusal::new(format!("external data: {key} '{v:.40}' is no number"))))
                .transpose()
        };
        let Some(path) = entry("location") else { return refuse!("external data without a location") };
        if !is_confined(path) {
            return refuse!("external data at '{path:.200}', which lies outside the model's directory");
        }
        let file = self.file(path)?;
        let start = number("offset")?.unwrap_or(0);
        let end = match number("length")? {
            Some(n) => start.checked_add(n),
            None => Some(file.len()),
        };
        end.and_then(|end| file.get(start..end)).map(<[u8]>::to_vec).ok_or_else(|| {
            Refusal::new(format!(
                "external data: '{path}' has {} bytes, and the tensor lies beyond them: it is truncated, or of another export",
                file.len()
            ))
        })
    }

    fn file(&self, path: &str) -> Lowered<Rc<Vec<u8>>> {
        if let Some(f) = self.files.borrow().get(path) {
            return Ok(f.clone());
        }
        let Some(open) = self.open else {
            return Err(Refusal::new(format!("its data lie in another file, '{path}', which is not at hand"))
                .advice("import from the directory that holds both files"));
        };
        let bytes = open(path).map_err(|e| {
            Refusal::new(format!("its data lie in another file, '{path}', which cannot be read: {e}"))
                .advice("put it beside the .onnx file, under the name it was exported with")
        })?;
        let bytes = Rc::new(bytes);
        self.files.borrow_mut().insert(path.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

fn is_confined(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && !path.contains(['\\', ':', '\0'])
        && path.split('/').all(|part| part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_directory() {
        for good in ["model.onnx.data", "weights/layer.0.bin", "./w"] {
            assert!(is_confined(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "../w", "a/../../w", "C:\\w", "C:w", "a\\..\\w", "w\0"] {
            assert!(!is_confined(bad), "{bad}");
        }
    }
}
