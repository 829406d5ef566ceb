//! `lockstep bind`: a Solidity library with the model's id, its features by name and its classes as constants, and a
//! fixture with the model itself, for tests.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::report::number;
use crate::solidity::fixture::MOST_BYTES;
use crate::solidity::{self, Source};

/// Write a typed Solidity library for a model, and a fixture to test with
///
/// The library's name is the file's. Features become the fields of a struct (18 decimals each), classes become
/// constants, and the card's example row becomes a function, with the answer that the chain gives. The fixture holds
/// the model's bytes: a forge test that uses it reads no file and starts no program.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep bind risk.lsm -o contracts/src/Risk.sol
  lockstep bind risk.lsm -o src/Risk.sol --fixture test/RiskFixture.sol
  lockstep bind risk.lsm -o src/Risk.sol --import ../lib/lockstep/contracts/src/Inference.sol

In a contract:
  import {Risk} from \"./Risk.sol\";
  (uint256 class, int256 score) = Risk.classify(Risk.Features({age: 42e18, income: 51_000e18}));
  if (class == Risk.CLASS_BAD) revert Refused();

In a test:
  import {RiskFixture} from \"./RiskFixture.sol\";
  contract RiskTest is InferenceTest {
      function setUp() public { useModel(RiskFixture.model()); }
  }")]
pub(crate) struct Args {
    /// The model
    model: PathBuf,
    /// The Solidity file
    #[arg(short, long, value_name = "FILE.sol")]
    output: PathBuf,
    /// The file of the fixture; beside the library, as RiskFixture.sol for Risk.sol, unless told
    #[arg(long, value_name = "FILE.sol", conflicts_with = "no_fixture")]
    fixture: Option<PathBuf>,
    /// Write no fixture
    #[arg(long)]
    no_fixture: bool,
    /// Where the library Inference is imported from
    #[arg(long, value_name = "PATH", default_value = "lockstep/Inference.sol")]
    import: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    for file in [Some(&args.output), args.fixture.as_ref()].into_iter().flatten() {
        if file.extension().is_none_or(|e| e != "sol") || stem(file).is_empty() {
            return Err(Failure::Usage(format!("{} is no Solidity file: name it like Risk.sol", file.display())));
        }
    }
    if args.import.contains(['"', '\n', '\\']) {
        return Err(Failure::Usage("--import is the path of an import statement, without quotes".into()));
    }
    let model = files::read_model(&args.model)?.loaded;
    let bytes = files::read(&args.model)?;
    let file = args.model.file_name().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let source = Source { model: model.clone(), bytes, file, import: args.import };
    let library = solidity::Library::of(&source, &stem(&args.output))?;
    let beside = args.fixture.unwrap_or_else(|| args.output.with_file_name(format!("{}Fixture.sol", library.name)));
    let fixture = library.fixture.as_ref().filter(|_| !args.no_fixture);
    files::write(&args.output, library.text.as_bytes())?;
    let mut text = format!(
        "library {} in {}: {}\n",
        library.name,
        args.output.display(),
        match library.fields.len() {
            0 if model.graph.row_features().is_some() => "it takes plain arrays".into(),
            0 => "it takes tensors".into(),
            n => format!("{n} features by name"),
        }
    );
    if let Some(fixture) = fixture {
        files::write(&beside, fixture.as_bytes())?;
        text.push_str(&format!(
            "library {0}Fixture in {1}: in a test, useModel({0}Fixture.model())\n",
            library.name,
            beside.display()
        ));
    } else if !args.no_fixture {
        text.push_str(&format!(
            "no fixture: the model has more than {} KiB; test with useModel(\"{}\") and LOCKSTEP_BACKEND=native\n",
            MOST_BYTES / 1024,
            args.model.display()
        ));
    }
    let json = json!({
        "library": library.name,
        "file": args.output.display().to_string(),
        "fixture": fixture.map(|_| beside.display().to_string()),
        "modelId": number::hex32(&model.id),
        "features": library.fields,
        "classes": model.graph.labels.len(),
        "example": library.has_example,
    });
    Ok(Output::new(text, json))
}

fn stem(file: &Path) -> String {
    file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}
