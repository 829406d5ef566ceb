//! What a call of a model costs, layer by layer.

use std::collections::BTreeMap;

use lockstep_engine::cost::{Unit, Work};
use lockstep_engine::{DType, Dim, LoadedModel, Plan, Tensor, TensorType};
use lockstep_precompile::GasSchedule;
use lockstep_precompile::gas::SCHEDULES;
use serde_json::{Value, json};

use super::model::{type_text, value_name};
use super::number::{grouped, percent};
use super::quantized::{operator_json, operator_text};
use super::table::Table;
use crate::failure::Failure;

/// The gas table that a new chain has.
pub(crate) const SCHEDULE: &GasSchedule = &SCHEDULES[0];

/// The plan of one call with its sizes.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Sizes of the symbols, by name.
    pub dims: BTreeMap<String, u64>,
    /// The plan.
    pub plan: Plan,
}

impl Cost {
    /// Plans a call whose symbols have these sizes; 1 where none is given.
    pub(crate) fn at(m: &LoadedModel, given: &BTreeMap<String, u64>) -> Result<Self, Failure> {
        let symbols = &m.graph.symbols;
        if let Some(unknown) = given.keys().find(|k| !symbols.contains(k)) {
            let known = if symbols.is_empty() { "none".into() } else { symbols.join(", ") };
            return Err(Failure::Usage(format!(
                "the model has no dimension '{unknown}'; its symbolic dimensions: {known}"
            )));
        }
        let values: Vec<Option<u64>> = symbols.iter().map(|s| Some(given.get(s).copied().unwrap_or(1))).collect();
        let size = |d: &Dim| d.eval(&values).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let shapes: Vec<(DType, Vec<usize>)> =
            m.graph.inputs.iter().map(|i| (i.dtype, i.shape.iter().map(size).collect())).collect();
        let types: Vec<(DType, &[usize])> = shapes.iter().map(|(d, s)| (*d, s.as_slice())).collect();
        let plan = m.plan(&types, &lockstep_engine::Limits::default())?;
        let dims = symbols.iter().cloned().zip(values.into_iter().flatten()).collect();
        Ok(Self { dims, plan })
    }

    /// Plans a call with these inputs.
    pub(crate) fn for_inputs(m: &LoadedModel, inputs: &[Tensor]) -> Result<Self, Failure> {
        let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
        let plan = m.plan(&types, &lockstep_engine::Limits::default())?;
        let symbols = &m.graph.symbols;
        let ports = m.graph.inputs.iter().zip(inputs).flat_map(|(i, t)| i.shape.iter().zip(&t.shape));
        let dims =
            ports.filter_map(|(d, n)| Some((symbols.get(usize::from(d.as_symbol()?))?.clone(), *n as u64))).collect();
        Ok(Self { dims, plan })
    }

    /// Gas of one node's work.
    pub(crate) fn node_gas(&self, node: usize) -> u64 {
        self.plan.node_work.get(node).map_or(0, |w| SCHEDULE.price(w, 0))
    }

    /// Gas of all work.
    pub(crate) fn work_gas(&self) -> u64 {
        SCHEDULE.price(&self.plan.work, 0)
    }

    /// Peak memory of the call.
    pub(crate) fn peak(&self) -> u64 {
        self.plan.peak_memory
    }

    /// The sizes as text: `batch = 1`.
    pub(crate) fn dims_text(&self) -> String {
        self.dims.iter().map(|(k, v)| format!("{k} = {v}")).collect::<Vec<_>>().join(", ")
    }

    /// The table of layers. `names`: what the author's file calls the nodes.
    pub(crate) fn table(&self, m: &LoadedModel, names: &[String]) -> String {
        let g = &m.graph;
        let mut t = Table::new(&["node", "operator", "operands", "result", "work", ">gas", ">share"]);
        let total = self.work_gas();
        for (n, node) in g.nodes.iter().enumerate() {
            let operands: Vec<String> =
                node.inputs.iter().map(|v| v.map_or("-".into(), |v| value_name(g, v))).collect();
            let result = type_text(&m.checked.types[g.node_value(n).0 as usize], &g.symbols);
            let outputs: Vec<&str> =
                g.outputs.iter().filter(|o| g.defining_node(o.value) == Some(n)).map(|o| o.name.as_str()).collect();
            let result = if outputs.is_empty() { result } else { format!("{result} = {}", outputs.join(" = ")) };
            let own = names.get(n).filter(|s| !s.is_empty()).map(|s| format!(" {s}")).unwrap_or_default();
            let gas = self.node_gas(n);
            let work = self.plan.node_work.get(n).map(work_text).unwrap_or_default();
            t.row([
                format!("%{n}{own}"),
                operator_text(&node.op),
                operands.join(" "),
                result,
                work,
                grouped(gas),
                percent(gas, total),
            ]);
        }
        t.render()
    }

    /// The same for programs.
    pub(crate) fn to_json(&self, m: &LoadedModel, names: &[String]) -> Value {
        let g = &m.graph;
        let layers: Vec<Value> = g
            .nodes
            .iter()
            .enumerate()
            .map(|(n, node)| {
                json!({
                    "node": n,
                    "name": names.get(n),
                    "operator": node.op.name(),
                    "weights": operator_json(&node.op),
                    "operands": node.inputs.iter().map(|v| v.map(|v| value_name(g, v))).collect::<Vec<_>>(),
                    "result": known_text(self.plan.types.get(n)),
                    "work": self.plan.node_work.get(n).map(work_json),
                    "gas": self.node_gas(n),
                })
            })
            .collect();
        json!({
            "dimensions": self.dims,
            "gasSchedule": SCHEDULE.version,
            "layers": layers,
            "work": work_json(&self.plan.work),
            "workGas": self.work_gas(),
            "peakMemoryBytes": self.peak(),
        })
    }
}

fn known_text(t: Option<&TensorType>) -> Option<String> {
    t.map(|t| type_text(t, &[]))
}

/// The units that matter: all but the one that every node has.
fn work_text(w: &Work) -> String {
    let units = Unit::ALL.into_iter().filter(|u| *u != Unit::Node && w.get(*u) > 0);
    units.map(|u| format!("{} {}", grouped(w.get(u)), u.name())).collect::<Vec<_>>().join(", ")
}

fn work_json(w: &Work) -> Value {
    Unit::ALL
        .into_iter()
        .filter(|u| w.get(*u) > 0)
        .map(|u| (u.name().to_owned(), json!(w.get(u))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// `NAME=SIZE` of the command line.
pub(crate) fn parse_dim(text: &str) -> Result<(String, u64), String> {
    let (name, size) = text.split_once('=').ok_or("write NAME=SIZE, as in batch=16")?;
    Ok((name.to_owned(), size.parse().map_err(|_| format!("'{size}' is no size"))?))
}
