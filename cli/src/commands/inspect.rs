//! `lockstep inspect`: what a model file holds, and what each of its layers costs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lockstep_engine::LoadedModel;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::Output;
use crate::report::cost::{Cost, parse_dim};
use crate::report::{model, number, svg};
use crate::{files, report};

/// Show a model: inputs, outputs, classes, and the cost of each layer
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep inspect risk.lsm
  lockstep inspect risk.lsm --dim batch=16        sizes of symbolic dimensions, 1 where none is given
  lockstep inspect risk.lsm --svg risk.svg        a drawing of the graph
  lockstep inspect risk.lsm --json | jq .cost.layers

In the table %7 is the result of node 7 and c3 is constant 3 of the weights.")]
pub(crate) struct Args {
    /// The model
    model: PathBuf,
    /// Size of a symbolic dimension for the cost, as NAME=SIZE
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = parse_dim)]
    dims: Vec<(String, u64)>,
    /// Draw the graph into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the author's file called the nodes, as the card remembers them.
pub(crate) fn node_names(m: &LoadedModel) -> Vec<String> {
    let card = model::card(m);
    let names = card.get("nodeNames").and_then(Value::as_array);
    names.into_iter().flatten().map(|v| v.as_str().unwrap_or_default().to_owned()).collect()
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let file = files::read_model(&args.model)?;
    let m = &file.loaded;
    let given: BTreeMap<String, u64> = args.dims.into_iter().collect();
    let names = node_names(m);
    let mut text = model::summary(m, Some(file.length));
    let mut json = model::summary_json(m, Some(file.length));
    let cost = match Cost::at(m, &given) {
        Ok(cost) => Some(cost),
        Err(usage @ Failure::Usage(_)) => return Err(usage),
        // A graph may have no plan with every symbol at 1; what it is can be shown all the same.
        Err(e) => {
            let hint = "give sizes with --dim NAME=SIZE";
            text.push_str(&format!("\nno cost at these sizes ({hint}):\n{}\n", e.to_text()));
            None
        }
    };
    if let Some(cost) = &cost {
        let dims = cost.dims_text();
        let at = if dims.is_empty() { String::new() } else { format!(" at {dims}") };
        text.push_str(&format!(
            "\nlayers{at}: {} gas of work, peak memory {}\n",
            number::grouped(cost.work_gas()),
            number::bytes(cost.peak())
        ));
        text.push_str(&cost.table(m, &names));
        json["cost"] = cost.to_json(m, &names);
    }
    if let Some(path) = &args.svg {
        files::write(path, svg::draw(m, cost.as_ref(), &names).as_bytes())?;
        text.push_str(&format!("\ndrawn into {}\n", path.display()));
    }
    if let Some(example) = report::example::text(m) {
        text.push_str(&example);
    }
    Ok(Output::new(text, json))
}
