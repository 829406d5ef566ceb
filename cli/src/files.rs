//! Reading and writing files with bounds and clear errors.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use lockstep_engine::{Limits, LoadedModel, Model};

use crate::failure::Failure;

/// Largest file that is read as a whole.
const MAX_FILE: u64 = 8 << 30;

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let length = file.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    if length.is_dir() {
        return Err(Failure::Other(anyhow::anyhow!("{} is a directory, a file is expected", path.display())));
    }
    let mut bytes = Vec::with_capacity(length.len().min(MAX_FILE) as usize);
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::refused(path.display().to_string(), "it is larger than 8 GiB"));
    }
    Ok(bytes)
}

/// Writes a file beside its place and moves it there, so that no half-written file is ever seen.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let name = path.file_name().ok_or_else(|| Failure::Usage(format!("{} names no file", path.display())))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = folder.join(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    let result = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if result.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    result.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// A model file with what it took on disk.
pub(crate) struct ModelFile {
    /// The checked model, ready to run.
    pub loaded: Arc<LoadedModel>,
    /// Length of the file.
    pub length: u64,
}

/// Decodes and checks a model file.
pub(crate) fn read_model(path: &Path) -> Result<ModelFile, Failure> {
    let bytes = read(path)?;
    let refuse = |e: lockstep_engine::Error| {
        let hint = if bytes.starts_with(b"LOCKSTEP") {
            "write it again with `lockstep import`"
        } else {
            "a model file (.lsm) is expected: `lockstep import model.onnx -o model.lsm` makes one"
        };
        Failure::refused_with(path.display().to_string(), e.to_string(), hint)
    };
    let limits = Limits::default();
    let model = Model::decode(&bytes, &limits).map_err(refuse)?;
    let loaded = LoadedModel::new(model, &limits).map_err(refuse)?;
    Ok(ModelFile { loaded: Arc::new(loaded), length: bytes.len() as u64 })
}
