//! `lockstep run`: the answer that every node would give.

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use lockstep_engine::exec::{Difference, Implementation, Options, first_difference};
use lockstep_engine::{DType, Limits, Tensor};
use lockstep_precompile::sink::tensors_hash;
use serde_json::{Value, json};

use crate::data::{self, inputs};
use crate::failure::Failure;
use crate::output::Output;
use crate::report::model::type_text;
use crate::report::number;
use crate::{files, npz};

/// Run a model on arrays, with the bits that every node computes
///
/// Inputs are found by the names of the model's tensors, or of its features; text becomes the codes of the model's
/// categories. What float32 cannot hold exactly is refused, except float64 values, which are rounded once (and counted).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep run risk.lsm --inputs in.npz --outputs out.npz
  lockstep run risk.lsm --inputs rows.csv --outputs out.npz --implementation reference
  lockstep run risk.lsm --inputs in.npz --compare          fast path against the scalar reference, operator by operator
  lockstep run risk.lsm --inputs finding.json --compare    the same on what the node's cross-check found

In Python:
  numpy.savez('in.npz', features=x.astype('float32'))      # the name that `lockstep inspect` shows
  numpy.load('out.npz')['probabilities']")]
pub(crate) struct Args {
    /// The model
    model: PathBuf,
    /// Arrays by name (.npz), a table with a header line (.csv), or a finding of the cross-check (.json)
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
    /// Where to write all outputs, as .npz under the model's names
    #[arg(long, value_name = "FILE", required_unless_present = "compare")]
    outputs: Option<PathBuf>,
    /// Which implementation of the arithmetic computes; the bits are the same
    #[arg(long, value_enum, default_value_t = Which::Fast)]
    implementation: Which,
    /// Threads of the fast path; all cores where not given. The bits are the same
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Run both implementations and name the first operator whose bits differ (exit status 1)
    #[arg(long)]
    compare: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// An implementation, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    /// Prepacked operands, SIMD, threads
    Fast,
    /// Plain scalar code that reads like the specification
    Reference,
}

/// Threads to use where the user gives none.
pub(crate) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let model = files::read_model(&args.model)?.loaded;
    let arrays = data::read(&args.inputs, &model.graph)?;
    let recorded = data::recorded(&args.inputs)?.filter(|_| args.compare);
    if let Some(other) = recorded.filter(|recorded| recorded.model_id.0 != model.id) {
        let (what, reason) = (args.inputs.display().to_string(), format!("it is about model {}", other.model_id));
        return Err(Failure::refused_with(
            what,
            reason,
            format!("{} is model {}", args.model.display(), number::hex32(&model.id)),
        ));
    }
    let inputs = inputs::map(&model.graph, &arrays, &args.inputs.display().to_string())?;
    let threads = args.threads.map_or_else(all_cores, usize::from);
    let limits = Limits::default();

    if args.compare {
        let difference = first_difference(&model, &inputs.tensors, &limits, threads)?;
        if let Some(d) = difference {
            return Err(Failure::Differs(describe(&d)));
        }
    }
    let implementation = match args.implementation {
        Which::Fast => Implementation::Fast,
        Which::Reference => Implementation::Reference,
    };
    let types: Vec<(DType, &[usize])> = inputs.tensors.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = model.plan(&types, &limits).map_err(|e| refuse(&args, e))?;
    let started = Instant::now();
    let outputs =
        model.run(&plan, inputs.tensors, &Options { implementation, threads }).map_err(|e| refuse(&args, e))?;
    let elapsed = started.elapsed();
    let found = tensors_hash(&outputs);
    if let Some(said) = recorded.and_then(|recorded| recorded.outputs_hash).filter(|said| *said != found) {
        return Err(Failure::Differs(format!(
            "both implementations agree here in every bit of every operator; their outputs have the hash {found}, the block says {said}: the block's answer is not this machine's"
        )));
    }
    if let Some(path) = &args.outputs {
        let named = model.graph.outputs.iter().map(|o| o.name.as_str()).zip(&outputs);
        let bytes = npz::write(named).map_err(|e| Failure::Other(anyhow::anyhow!("{}: {e}", path.display())))?;
        files::write(path, &bytes)?;
    }

    let mut text = String::new();
    for (o, t) in model.graph.outputs.iter().zip(&outputs) {
        text.push_str(&format!("{}  {}  {}\n", o.name, type_text(&t.ty(), &[]), preview(t)));
    }
    if args.compare {
        text.push_str("both implementations agree in every bit of every operator\n");
        if recorded.is_some_and(|recorded| recorded.outputs_hash.is_some()) {
            text.push_str("the block says the same: what it found is not to be seen on this machine\n");
        }
    }
    let list: Vec<Value> = model
        .graph
        .outputs
        .iter()
        .zip(&outputs)
        .map(|(o, t)| json!({ "name": o.name, "dtype": t.dtype().name(), "shape": t.shape }))
        .collect();
    let json = json!({
        "modelId": number::hex32(&model.id),
        "implementation": if implementation == Implementation::Fast { "fast" } else { "reference" },
        "threads": threads,
        "seconds": elapsed.as_secs_f64(),
        "compared": args.compare,
        "outputs": list,
    });
    Ok(Output::new(text, json).with_warnings(inputs.notes))
}

fn refuse(args: &Args, e: lockstep_engine::ComputeError) -> Failure {
    match Failure::from(e) {
        Failure::Refused { problems, .. } => Failure::Refused { what: args.inputs.display().to_string(), problems },
        f => f,
    }
}

/// Where the implementations part, in one line.
pub(crate) fn describe(d: &Difference) -> String {
    let show = |bytes: &[u8]| {
        let value = Tensor::from_le_bytes(d.dtype, vec![1], bytes).map(|t| preview(&t)).unwrap_or_default();
        format!("{} ({value})", number::hex(&bytes.iter().rev().copied().collect::<Vec<_>>()))
    };
    format!(
        "difference: node %{} ({}), element {}: fast {}, reference {}",
        d.node,
        d.operator,
        d.element,
        show(&d.fast),
        show(&d.reference)
    )
}

/// The first elements.
fn preview(t: &Tensor) -> String {
    const SHOWN: usize = 6;
    let n = t.data.len();
    let mut items: Vec<String> =
        (0..n.min(SHOWN)).map(|k| number::value(crate::data::ranges::number(&t.data, k))).collect();
    if n > SHOWN {
        items.push("…".into());
    }
    items.join(" ")
}
