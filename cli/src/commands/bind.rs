//! `lockstep bind`: a Solidity library with the model's id, its features by name and its classes as constants.

use std::path::PathBuf;

use serde_json::json;

use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::report::number;
use crate::solidity::{self, Source};

/// Write a typed Solidity library for a model
///
/// The library's name is the file's. Features become the fields of a struct (18 decimals each), classes become
/// constants, and the card's example row becomes a fixture for tests, with the answer that the chain gives.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep bind risk.lsm -o contracts/src/Risk.sol
  lockstep bind risk.lsm -o src/Risk.sol --import ../lib/lockstep/contracts/src/Inference.sol

In a contract:
  import {Risk} from \"./Risk.sol\";
  (uint256 class, int256 score) = Risk.classify(Risk.Features({age: 42e18, income: 51_000e18}));
  if (class == Risk.CLASS_BAD) revert Refused();")]
pub(crate) struct Args {
    /// The model
    model: PathBuf,
    /// The Solidity file
    #[arg(short, long, value_name = "FILE.sol")]
    output: PathBuf,
    /// Where the library Inference is imported from
    #[arg(long, value_name = "PATH", default_value = "lockstep/Inference.sol")]
    import: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let model = files::read_model(&args.model)?.loaded;
    let stem = args.output.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    if args.output.extension().is_none_or(|e| e != "sol") || stem.is_empty() {
        return Err(Failure::Usage(format!("{} is no Solidity file: name it like Risk.sol", args.output.display())));
    }
    if args.import.contains(['"', '\n', '\\']) {
        return Err(Failure::Usage("--import is the path of an import statement, without quotes".into()));
    }
    let source = args.model.file_name().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let library = solidity::Library::of(&Source { model: model.clone(), file: source, import: args.import }, &stem)?;
    files::write(&args.output, library.text.as_bytes())?;
    let text = format!(
        "library {} in {}: {}\n",
        library.name,
        args.output.display(),
        match library.fields.len() {
            0 if model.graph.row_features().is_some() => "it takes plain arrays".into(),
            0 => "it takes tensors".into(),
            n => format!("{n} features by name"),
        }
    );
    let json = json!({
        "library": library.name,
        "file": args.output.display().to_string(),
        "modelId": number::hex32(&model.id),
        "features": library.fields,
        "classes": model.graph.labels.len(),
        "example": library.has_example,
    });
    Ok(Output::new(text, json))
}
