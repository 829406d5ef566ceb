//! What the tests of the command line share: they run the binary and read what it prints.
#![allow(dead_code, unreachable_pub)]

pub mod onnx;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The committed models.
pub const MODELS: [&str; 9] = [
    "breast_cancer_logreg",
    "breast_cancer_xgb",
    "diabetes_gbr",
    "diabetes_xgb",
    "digits_cnn",
    "digits_mlp",
    "iris_forest",
    "volatility_mlp",
    "wine_mixed",
];

/// A run of the binary.
#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// stdout as JSON.
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The JSON that a refusal prints on stderr.
    pub fn error(&self) -> Value {
        serde_json::from_str(&self.stderr).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl From<Output> for Run {
    fn from(o: Output) -> Self {
        Self {
            status: o.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&o.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&o.stderr).into_owned(),
        }
    }
}

/// The binary, ready to be given arguments.
pub fn command() -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    c.env_remove("LOCKSTEP_PRIVATE_KEY").env_remove("LOCKSTEP_PASSWORD").env_remove("RUST_LOG");
    c
}

/// Runs the binary.
pub fn lockstep<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    command().args(args).output().unwrap().into()
}

/// The folder of a committed model.
pub fn model_dir(name: &str) -> PathBuf {
    root().join("tests/models").join(name)
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A path as an argument.
pub fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

/// Imports a committed model into a folder; gives the file and what the import printed as JSON.
pub fn import(name: &str, folder: &Path) -> (PathBuf, Value) {
    let dir = model_dir(name);
    let file = folder.join(format!("{name}.lsm"));
    let run = lockstep([
        "import".to_owned(),
        text(dir.join("model.onnx")),
        "-o".into(),
        text(&file),
        "--data".into(),
        text(dir.join("test.npz")),
        "--json".into(),
    ]);
    (file, run.json())
}

/// A .npz of f32 arrays.
pub fn write_npz(path: &Path, arrays: &[(&str, &[usize], &[f32])]) {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, shape, values) in arrays {
        let shape: String = shape.iter().map(|d| format!("{d}, ")).collect();
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
        zip.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
        zip.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        zip.write_all(header.as_bytes()).unwrap();
        zip.write_all(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>()).unwrap();
    }
    zip.finish().unwrap();
}
