//! What a command prints: text for people or JSON for programs, from one result.

use std::io::{ErrorKind, Write};

use serde_json::Value;

/// The result of a command that succeeded.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// For people; ends with a newline unless empty.
    pub text: String,
    /// For `--json`.
    pub json: Value,
    /// Remarks, on stderr in text mode.
    pub warnings: Vec<String>,
}

impl Output {
    /// Text and JSON.
    pub(crate) fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, warnings: Vec::new() }
    }

    /// With remarks; they are in the JSON as well.
    pub(crate) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        if let Some(map) = self.json.as_object_mut() {
            map.insert("warnings".into(), warnings.clone().into());
        }
        self.warnings = warnings;
        self
    }

    /// Prints it.
    pub(crate) fn print(&self, json: bool) {
        if json {
            write_stdout(&format!("{}\n", serde_json::to_string_pretty(&self.json).unwrap_or_default()));
        } else {
            for w in &self.warnings {
                eprintln!("note: {w}");
            }
            write_stdout(&self.text);
        }
    }
}

/// Writes to stdout; a reader that went away is no error.
pub(crate) fn write_stdout(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(e) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && e.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("error: cannot write to stdout: {e}");
    }
}
