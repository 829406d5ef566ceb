//! From the values to the engine's graph: what outputs need, in order; constants once each.

use std::collections::HashMap;

use lockstep_engine::graph::Constant;
use lockstep_engine::{DType, Graph, Node, Output, Tensor, ValueId};

use super::{Builder, Kind, Val};
use crate::error::Lowered;

/// The graph's nodes, constants and outputs; what names them comes from elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) graph: Graph,
    pub(crate) constants: Vec<Tensor>,
    pub(crate) node_names: Vec<String>,
}

impl Builder {
    /// Drops what no output needs and numbers the rest: constants in order of first use.
    pub(crate) fn finish(&mut self, outputs: &[(String, Val)]) -> Lowered<Finished> {
        let mut wanted = Vec::with_capacity(outputs.len());
        for (name, v) in outputs {
            wanted.push((name.clone(), self.materialise(*v)?));
        }
        let mut live = vec![false; self.values.len()];
        let mut stack: Vec<Val> = wanted.iter().map(|(_, v)| *v).collect();
        while let Some(v) = stack.pop() {
            if std::mem::replace(&mut live[v.0 as usize], true) {
                continue;
            }
            if let Kind::Node { inputs, .. } = &self.values[v.0 as usize].kind {
                stack.extend(inputs.iter().flatten());
            }
        }
        let nodes: Vec<usize> =
            (0..self.values.len()).filter(|i| live[*i] && matches!(self.values[*i].kind, Kind::Node { .. })).collect();

        // Constants, in order of first use; equal ones are one.
        let mut out = Finished::default();
        let mut known: HashMap<(DType, Vec<usize>, Vec<u8>), usize> = HashMap::new();
        let mut place: HashMap<Val, ValueId> = HashMap::new();
        let uses = nodes.iter().flat_map(|i| match &self.values[*i].kind {
            Kind::Node { inputs, .. } => inputs.iter().flatten().copied().collect(),
            _ => Vec::new(),
        });
        for v in uses.chain(wanted.iter().map(|(_, v)| *v)) {
            if place.contains_key(&v) {
                continue;
            }
            match &self.values[v.0 as usize].kind {
                Kind::Input(i) => {
                    place.insert(v, ValueId(*i as u32));
                }
                Kind::Constant(t) => {
                    let key = (t.dtype(), t.shape.clone(), t.to_le_bytes());
                    let index = *known.entry(key).or_insert_with(|| {
                        out.constants.push((**t).clone());
                        out.constants.len() - 1
                    });
                    place.insert(v, ValueId((self.inputs + index) as u32));
                }
                _ => {}
            }
        }
        let first = self.inputs + out.constants.len();
        for (n, i) in nodes.iter().enumerate() {
            place.insert(Val(*i as u32), ValueId((first + n) as u32));
        }
        out.graph.constants = out
            .constants
            .iter()
            .map(|t| Constant { dtype: t.dtype(), shape: t.shape.iter().map(|d| *d as u32).collect() })
            .collect();
        for i in nodes {
            if let Kind::Node { op, inputs, name } = &self.values[i].kind {
                let inputs = inputs.iter().map(|v| v.and_then(|v| place.get(&v).copied())).collect();
                out.graph.nodes.push(Node { op: op.clone(), inputs });
                out.node_names.push(name.to_string());
            }
        }
        out.graph.outputs =
            wanted.into_iter().filter_map(|(name, v)| Some(Output { name, value: *place.get(&v)? })).collect();
        Ok(out)
    }
}
