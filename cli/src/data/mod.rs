//! Data that users bring: arrays, tables, and how they become a model's inputs.

mod array;
pub mod csv;
pub mod evaluate;
mod finding;
pub mod inputs;
pub mod metrics;
pub mod predict;
pub mod ranges;
pub mod rows;

pub use array::{Array, Values};
pub use finding::Recorded;

use std::path::Path;

use crate::failure::Failure;
use crate::npz::Arrays;

/// What a block says of the inference, where the file is a finding or an alert of the cross-check.
pub(crate) fn recorded(path: &Path) -> Result<Option<Recorded>, Failure> {
    if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
        return Ok(None);
    }
    Ok(finding::recorded(&crate::files::read(path)?))
}

/// Reads .npz, .json where it is a finding of the cross-check, or .csv where `rows` of named columns make sense.
pub fn read(path: &Path, graph: &lockstep_engine::Graph) -> Result<Arrays, Failure> {
    let bytes = crate::files::read(path)?;
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
        return finding::read(&bytes, graph).map_err(|reason| Failure::refused(path.display().to_string(), reason));
    }
    let named_csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let parsed = if named_csv { csv::read(&bytes, graph) } else { crate::npz::read(&bytes) };
    parsed.map_err(|reason| Failure::refused(path.display().to_string(), reason))
}
