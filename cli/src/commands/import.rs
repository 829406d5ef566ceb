//! `lockstep import`: a trained model becomes a model file, or its author learns in one run why not.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use lockstep_engine::exec::Options;
use lockstep_engine::{Limits, LoadedModel, Model, Tensor};
use lockstep_importer::options::CardOptions;
use lockstep_importer::quantize::{self, Layer, WeightClass};
use lockstep_importer::{ImportError, ImportOptions, Imported};
use serde_json::{Value, json};

use super::quote::Quotes;
use crate::chain::{self, Chain};
use crate::data::{self, evaluate, inputs, predict, ranges};
use crate::failure::{Failure, Problem};
use crate::files;
use crate::npz::Arrays;
use crate::output::Output;
use crate::report::cost::Cost;
use crate::report::number::{self, grouped};
use crate::report::{evaluation, example, model, quantized};

/// Gas of a block of a new chain.
pub(crate) const BLOCK_GAS: u64 = 60_000_000;
/// The most gas that one transaction may have (EIP-7825).
pub(crate) const TRANSACTION_GAS: u64 = 16_777_216;

/// Turn a trained model into a model file; say how exact it is and what it costs
///
/// Every problem of a file that is refused is listed: node, operator, reason, advice. Nothing is approximated silently.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep import risk.onnx -o risk.lsm
  lockstep import risk.onnx -o risk.lsm --data test.npz      compare with your library's own answers
  lockstep import risk.onnx -o risk.lsm --features cols.txt --labels good,bad
  lockstep import big.onnx -o big.lsm --weights i8 --data test.npz      what that changes is printed before the file is written
  lockstep import all-MiniLM-L6-v2/ -o minilm.lsm            a sentence transformer: config.json, model.safetensors

--data holds, by name:
  the inputs           by the ONNX tensor names, or one array (one CSV column) a feature
  expected:<output>    what your library answers: greatest difference and label agreement are reported
  y                    the truth: accuracy and AUC, or R2

In Python:
  numpy.savez('test.npz', X=X_test.astype('float32'), y=y_test, **{'expected:probabilities': model.predict_proba(X_test)})

Feature names and labels are part of the model's id: change them and it is another model.")]
pub(crate) struct Args {
    /// The trained model: a file (.onnx), or a directory with config.json and model.safetensors (BERT)
    source: PathBuf,
    /// The model file to write
    #[arg(short, long, value_name = "MODEL.lsm")]
    output: PathBuf,
    /// Type of the weights: f32 as in the file; i8 with a scale for 32 weights, a quarter of the size; i16, half of it
    #[arg(long, value_enum, default_value_t = Weights::F32)]
    weights: Weights,
    /// Rows to compare on (.npz or .csv)
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// A file with one feature name a line, in the order of a row
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Class names in the model's order: a,b,c or a file with one a line
    #[arg(long, value_name = "NAMES|FILE")]
    labels: Option<String>,
    /// Unroll loops whose number of iterations depends on data; a call that needs more than N fails
    #[arg(long, value_name = "N")]
    loop_bound: Option<u64>,
    /// The model's name, for the card
    #[arg(long)]
    name: Option<String>,
    /// The model's licence, for the card
    #[arg(long)]
    licence: Option<String>,
    /// Print JSON; a refusal is JSON on stderr
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weights {
    F32,
    I8,
    I16,
}

impl Weights {
    fn class(self) -> Option<WeightClass> {
        match self {
            Self::F32 => None,
            Self::I8 => Some(WeightClass::I8),
            Self::I16 => Some(WeightClass::I16),
        }
    }
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let source = args.source.display().to_string();
    let class = args.weights.class();
    let features = args.features.as_deref().map(lines).transpose()?;
    let labels = args.labels.as_deref().map(label_names).transpose()?;
    let is_directory = args.source.is_dir();
    let folder = match args.source.parent() {
        _ if is_directory => &args.source,
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let external = |path: &str| read_beside(folder, path);
    let options = ImportOptions {
        external: Some(&external),
        features: features.as_deref(),
        labels: labels.as_deref(),
        loop_bound: args.loop_bound,
        // Weights that are too large as f32 may not be as integers.
        limits: if class.is_some() { WIDE } else { Limits::default() },
        card: CardOptions { name: args.name.as_deref(), licence: args.licence.as_deref(), ..CardOptions::default() },
    };
    let imported = if is_directory {
        lockstep_importer::import_directory(&external, &options)
    } else {
        lockstep_importer::import(&files::read(&args.source)?, &options)
    };
    let mut imported = imported.map_err(|e| refusal(&source, e))?;
    let float = match class {
        Some(class) => Some(Float::replace(&source, &mut imported, class)?),
        None => None,
    };
    let loaded = load(&source, imported.model.clone(), &Limits::default())?;
    let mut report = Report::new(&args, &loaded, &imported);
    report.price(&source, &loaded, &imported)?;
    let measured = match &args.data {
        Some(path) => Some(report.measure(path, &loaded, &mut imported)?),
        None => None,
    };
    imported.model.card = imported.card.to_json();
    let file = imported.model.encode();
    if let Some(float) = &float {
        let text = report.compare(float, &loaded, file.len() as u64, measured.as_ref())?;
        if !args.json {
            // The author reads this before anything is written.
            crate::output::write_stdout(&format!("{text}\n"));
        }
    }
    // What is written must be readable: by this very decoder, as every node will.
    Model::decode(&file, &Limits::default()).map_err(|e| Failure::refused(&source, e.to_string()))?;
    files::write(&args.output, &file)?;
    report.finish(&args, &loaded, &file)
}

/// Limits for a model that is read and not written.
const WIDE: Limits =
    Limits { max_graph_bytes: u64::MAX, max_weight_bytes: u64::MAX, max_nodes: u64::MAX, max_peak_memory: u64::MAX };

/// The model as it was in f32.
struct Float {
    model: Arc<LoadedModel>,
    file_length: u64,
    layers: Vec<Layer>,
}

impl Float {
    /// Replaces an imported model by one with weights of the class, and keeps what it was.
    fn replace(source: &str, imported: &mut Imported, class: WeightClass) -> Result<Self, Failure> {
        let model = load(source, imported.model.clone(), &WIDE)?;
        let file_length = imported.model.encode().len() as u64;
        let quantized = quantize::quantize(imported, class, &Limits::default()).map_err(|e| refusal(source, e))?;
        *imported = quantized.imported;
        Ok(Self { model, file_length, layers: quantized.layers })
    }
}

/// What a model answered on the author's data.
struct Measured {
    path: PathBuf,
    arrays: Arrays,
    inputs: Vec<Tensor>,
    predictions: predict::Predictions,
    evaluation: evaluate::Evaluation,
}

fn load(source: &str, model: Model, limits: &Limits) -> Result<Arc<LoadedModel>, Failure> {
    let loaded = LoadedModel::new(model, limits);
    Ok(Arc::new(loaded.map_err(|e| Failure::refused(source, e.to_string()))?))
}

fn refusal(source: &str, e: ImportError) -> Failure {
    match e {
        ImportError::Refused(problems) => {
            let problem = |p: lockstep_importer::Problem| {
                let operator = if p.domain.is_empty() { p.op } else { format!("{}.{}", p.domain, p.op) };
                Problem {
                    node: Some(p.node).filter(|n| !n.is_empty()),
                    tensor: p.tensor,
                    operator: (!operator.is_empty()).then_some(operator),
                    reason: p.reason,
                    advice: p.advice,
                }
            };
            Failure::Refused { what: source.into(), problems: problems.into_iter().map(problem).collect() }
        }
        e => Failure::refused(source, e.to_string()),
    }
}

/// External data of a model: only files that really lie in its directory or below, symbolic links followed.
fn read_beside(folder: &Path, path: &str) -> io::Result<Vec<u8>> {
    let folder = folder.canonicalize()?;
    let file = folder.join(path).canonicalize()?;
    if !file.starts_with(&folder) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it lies outside the model's directory"));
    }
    std::fs::read(file)
}

/// Names, one a line; or all on one line with commas between.
fn lines(path: &Path) -> Result<Vec<String>, Failure> {
    let text = String::from_utf8(files::read(path)?).map_err(|_| {
        Failure::refused(path.display().to_string(), "it is no UTF-8 text; one name a line is expected")
    })?;
    let names: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    Ok(match names.as_slice() {
        [one] if one.contains(',') => split(one),
        many => many.iter().map(|s| (*s).to_owned()).collect(),
    })
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(|s| s.trim().to_owned()).collect()
}

fn label_names(text: &str) -> Result<Vec<String>, Failure> {
    let path = Path::new(text);
    if path.is_file() { lines(path) } else { Ok(split(text)) }
}

/// What the import says, as it comes to be known.
struct Report {
    text: String,
    json: Value,
    notes: Vec<String>,
}

impl Report {
    fn new(args: &Args, m: &LoadedModel, imported: &Imported) -> Self {
        let mut json = model::summary_json(m, None);
        json["source"] = json!(args.source.display().to_string());
        json["output"] = json!(args.output.display().to_string());
        Self { text: String::new(), json, notes: imported.notes.clone() }
    }

    /// Cost by layer, gas of one row; a call that no block holds is refused.
    fn price(&mut self, source: &str, m: &Arc<LoadedModel>, imported: &Imported) -> Result<(), Failure> {
        let cost = match Cost::at(m, &Default::default()) {
            Ok(cost) => cost,
            Err(Failure::Refused { problems, .. }) if !m.graph.symbols.is_empty() => {
                let reasons: Vec<String> = problems.into_iter().map(|p| p.reason).collect();
                let symbols = m.graph.symbols.join(", ");
                let dims: Vec<String> = m.graph.symbols.iter().map(|s| format!("--dim {s}=N")).collect();
                self.notes.push(format!(
                    "no cost with every dimension ({symbols}) at 1: {}; lockstep inspect MODEL.lsm {} gives it",
                    reasons.join("; "),
                    dims.join(" ")
                ));
                return Ok(());
            }
            Err(Failure::Refused { problems, .. }) => return Err(Failure::Refused { what: source.into(), problems }),
            Err(e) => return Err(e),
        };
        let dims = cost.dims_text();
        let at = if dims.is_empty() { String::new() } else { format!(" at {dims}") };
        self.text.push_str(&format!(
            "\nlayers{at}: {} gas of work, peak memory {}\n{}",
            grouped(cost.work_gas()),
            number::bytes(cost.peak()),
            cost.table(m, &imported.node_names)
        ));
        self.json["cost"] = cost.to_json(m, &imported.node_names);

        let mut chain = Chain::default();
        chain.add(m.clone())?;
        let size = |d: &lockstep_engine::Dim| d.as_known().unwrap_or(1) as usize;
        let zeros: Vec<_> =
            m.graph.inputs.iter().map(|i| chain::zeros(i.dtype, i.shape.iter().map(size).collect())).collect();
        let quotes = Quotes::ask(&chain, m, &zeros)?;
        let unit = match (m.graph.row_features(), data::rows::fixed_rows(&m.graph)) {
            (None, _) => "one call".into(),
            (Some(_), None | Some(1)) => "one row".into(),
            (Some(_), Some(rows)) => format!("one call of {rows} rows"),
        };
        let list: Vec<String> = quotes
            .functions
            .iter()
            .filter_map(|(f, g, _)| Some(format!("{f} {}", grouped(*g.as_ref().ok()?))))
            .collect();
        let Some(least) = quotes.functions.iter().filter_map(|(_, g, _)| g.as_ref().ok()).min() else {
            // `run` is last and takes the least call data.
            let reason = quotes.functions.into_iter().rev().find_map(|(_, g, _)| g.err()).unwrap_or_default();
            return Err(Failure::refused(source, format!("no function of the precompile can call it: {reason}")));
        };
        if *least > BLOCK_GAS {
            let reason = format!("{unit} costs {} gas, a block holds {}", grouped(*least), grouped(BLOCK_GAS));
            return Err(Failure::refused_with(
                source,
                reason,
                "make the model smaller; the layers that cost most say where",
            ));
        }
        if *least > TRANSACTION_GAS {
            self.notes.push(format!(
                "{unit} costs {} gas, a transaction may have {}: only eth_call can run it",
                grouped(*least),
                grouped(TRANSACTION_GAS)
            ));
        }
        self.text.push_str(&format!("\ngas of {unit}: {}\n", list.join(", ")));
        self.json["gas"] = quotes.to_json();
        Ok(())
    }

    /// Runs the model on the author's data.
    fn measure(&mut self, path: &Path, m: &LoadedModel, imported: &mut Imported) -> Result<Measured, Failure> {
        let what = path.display().to_string();
        let arrays = data::read(path, &m.graph)?;
        let given = inputs::map(&m.graph, &arrays, &what)?;
        let options = Options { threads: super::run::all_cores(), ..Options::default() };
        let predictions = predict::predict(m, &given.tensors, &options)?;
        let measured = evaluate::evaluate(&m.graph, &predictions, &arrays, &what)?;
        let spans = ranges::ranges(&m.graph, &given.tensors);
        self.notes.extend(given.notes);
        self.notes.extend(measured.notes.iter().cloned());
        let rows = predictions.rows.map(|n| format!("{} rows of ", grouped(n as u64))).unwrap_or_default();
        self.text.push_str(&format!("\ndata: {rows}{what}\n{}", evaluation::text(&measured)));
        if !spans.is_empty() {
            self.text.push_str(&format!("  its values:\n{}", evaluation::ranges_text(&spans)));
        }
        self.json["data"] = evaluation::to_json(&measured);
        self.json["data"]["file"] = json!(what);
        self.json["data"]["ranges"] = evaluation::ranges_json(&spans);

        for (card, span) in imported.card.features.iter_mut().zip(&spans) {
            card.training_range = span
                .span
                .map(|(a, b)| [ranges::shortest(a, span.column.dtype), ranges::shortest(b, span.column.dtype)]);
        }
        let single = data::rows::fixed_rows(&m.graph).is_none_or(|n| n == 1);
        if let Some(rows) = predictions.rows.filter(|_| single) {
            // The first row that Solidity can express exactly.
            for row in 0..rows.min(256) {
                let one: Vec<_> = given.tensors.iter().map(|t| predict::slice(t, row, row + 1)).collect();
                let answer = predict::predict(m, &one, &options)?;
                let built = example::build(m, &one, &answer.outputs);
                imported.card.example =
                    built.map(|e| lockstep_importer::card::Example { inputs: e.inputs, outputs: e.outputs });
                if imported.card.example.is_some() {
                    break;
                }
            }
        }
        let path = path.to_owned();
        Ok(Measured { path, arrays, inputs: given.tensors, predictions, evaluation: measured })
    }

    /// What quantised weights change: sizes, the weights of each layer, answers on the author's data.
    fn compare(
        &mut self,
        old: &Float,
        new: &LoadedModel,
        file_length: u64,
        measured: Option<&Measured>,
    ) -> Result<String, Failure> {
        let side = |model, file_length| quantized::Side { model, file_length };
        let (mut text, mut json) =
            quantized::weights(side(&old.model, old.file_length), side(new, file_length), &old.layers);
        if let Some(m) = measured {
            let options = Options { threads: super::run::all_cores(), ..Options::default() };
            let before = predict::predict(&old.model, &m.inputs, &options)?;
            let evaluation = evaluate::evaluate(&new.graph, &before, &m.arrays, &m.path.display().to_string())?;
            let (lines, value) =
                quantized::answers(&new.graph, (&before, &evaluation), (&m.predictions, &m.evaluation));
            text.push_str(&lines);
            json["answers"] = value;
        }
        self.json["quantization"] = json;
        Ok(text)
    }

    fn finish(mut self, args: &Args, m: &LoadedModel, file: &[u8]) -> Result<Output, Failure> {
        self.json["fileBytes"] = json!(file.len());
        let head = format!(
            "{} -> {}\n{}",
            args.source.display(),
            args.output.display(),
            model::summary(m, Some(file.len() as u64))
        );
        Ok(Output::new(format!("{head}{}", self.text), self.json).with_warnings(self.notes))
    }
}
