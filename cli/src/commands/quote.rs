//! `lockstep quote`: the gas that the precompile charges for these inputs, to the unit.

use std::path::PathBuf;

use alloy_primitives::B256;
use lockstep_engine::{LoadedModel, Tensor};
use serde_json::{Value, json};

use super::inspect::node_names;
use crate::chain::{self, Chain};
use crate::data::{self, inputs, rows};
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::report::cost::{Cost, SCHEDULE};
use crate::report::number::{self, grouped};
use crate::report::table::Table;

/// Say exactly what gas a call with these inputs costs
///
/// It is the precompile's own charge, computed by the precompile's code. A transaction pays 21,000 and its call data
/// besides, and the calling contract its own steps.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep quote risk.lsm --inputs one_row.npz
  lockstep quote risk.lsm --inputs rows.csv --json | jq .gas.infer

Only shapes matter, never values: any row costs what any other does.")]
pub(crate) struct Args {
    /// The model
    model: PathBuf,
    /// Arrays by name (.npz), or a table with a header line (.csv)
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The price of each function that takes these inputs, or why it takes them not.
#[derive(Debug)]
pub(crate) struct Quotes {
    /// Function and gas, or the reason why there is none.
    pub functions: Vec<(&'static str, Result<u64, String>, usize)>,
}

impl Quotes {
    /// Asks the precompile.
    pub(crate) fn ask(chain: &Chain, m: &LoadedModel, inputs: &[Tensor]) -> Result<Self, Failure> {
        let id = B256::from(m.id);
        let mut calls = Vec::new();
        if m.graph.row_features().is_some() {
            // NaNs have no 18-decimal form, but their places cost the same.
            let x = chain::wad_rows(inputs).or_else(|| {
                chain::wad_rows(&inputs.iter().map(|t| chain::zeros(t.dtype(), t.shape.clone())).collect::<Vec<_>>())
            });
            let x = x.unwrap_or_default();
            calls.push(("infer", chain::infer_call(id, x.clone())));
            if rows::has_classes(m) {
                calls.push(("classify", chain::classify_call(id, x)));
            }
        }
        calls.push(("run", chain::run_call(id, inputs)));
        let mut functions = Vec::new();
        for (name, call) in calls {
            let length = call.len();
            let gas = match chain.quote(call) {
                Ok(gas) => Ok(gas),
                Err(Failure::Refused { problems, .. }) => {
                    Err(problems.into_iter().map(|p| p.reason).collect::<Vec<_>>().join("; "))
                }
                Err(e) => return Err(e),
            };
            functions.push((name, gas, length));
        }
        Ok(Self { functions })
    }

    /// The gas of one function.
    pub(crate) fn gas(&self, function: &str) -> Option<u64> {
        self.functions.iter().find(|(f, ..)| *f == function).and_then(|(_, g, _)| g.as_ref().ok().copied())
    }

    /// For programs: gas by function, null where it cannot be called.
    pub(crate) fn to_json(&self) -> Value {
        let gas = |g: &Result<u64, String>| g.as_ref().map_or(Value::Null, |g| json!(g));
        self.functions.iter().map(|(f, g, _)| ((*f).to_owned(), gas(g))).collect::<serde_json::Map<_, _>>().into()
    }
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let model = files::read_model(&args.model)?.loaded;
    let arrays = data::read(&args.inputs, &model.graph)?;
    let inputs = inputs::map(&model.graph, &arrays, &args.inputs.display().to_string())?;
    let cost = Cost::for_inputs(&model, &inputs.tensors)?;
    let names = node_names(&model);
    let table = cost.table(&model, &names);
    let mut json = json!({ "modelId": number::hex32(&model.id), "cost": cost.to_json(&model, &names) });
    let stages = Stages::of(&model, &cost);
    let mut chain = Chain::default();
    chain.add(model.clone())?;
    let quotes = Quotes::ask(&chain, &model, &inputs.tensors)?;
    json["gas"] = quotes.to_json();

    let mut t = Table::new(&["function", ">gas", ">base", ">call data", ">registry", ">shapes", ">work", ">result"]);
    let mut refused = String::new();
    let mut parts = serde_json::Map::new();
    for (name, gas, length) in &quotes.functions {
        match gas {
            Ok(gas) => {
                let bytes = SCHEDULE.call_data(*length);
                let rest = gas.saturating_sub(SCHEDULE.base + bytes + SCHEDULE.registry + stages.shapes + stages.work);
                let cells = [SCHEDULE.base, bytes, SCHEDULE.registry, stages.shapes, stages.work, rest];
                t.row([(*name).to_owned(), grouped(*gas)].into_iter().chain(cells.into_iter().map(grouped)));
                let keys = ["base", "callData", "registry", "shapes", "work", "result"];
                parts.insert(
                    (*name).to_owned(),
                    keys.into_iter()
                        .zip(cells)
                        .map(|(k, v)| (k.to_owned(), json!(v)))
                        .collect::<serde_json::Map<_, _>>()
                        .into(),
                );
            }
            Err(reason) => refused.push_str(&format!("  {name}: {reason}\n")),
        }
    }
    json["stages"] = parts.into();
    let text = format!("{}{refused}\nwork by layer\n{table}", t.render());
    Ok(Output::new(text, json).with_warnings(inputs.notes))
}

/// The charges that are the same for every function.
struct Stages {
    shapes: u64,
    work: u64,
}

impl Stages {
    fn of(m: &LoadedModel, cost: &Cost) -> Self {
        let items = m.graph.nodes.len() + m.graph.inputs.len() + m.graph.outputs.len();
        Self { shapes: SCHEDULE.shapes(items), work: cost.work_gas() }
    }
}
