//! Load-time checks: after them every count, type and rank of the graph is bounded and proved.

use super::{Graph, Labels, ValueId};
use crate::dim::{Atom, Bindings, Dim, Poly};
use crate::error::Error;
use crate::limits::{Limits, MAX_NAME, MAX_PORTS, MAX_RANK, MAX_SYMBOLS, MAX_TABLE};
use crate::tensor::{DType, TensorType};

/// Alignment of tensors in the weights section.
const ALIGN: u64 = 64;

/// What the checks found.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Type of every value, over the symbols.
    pub types: Vec<TensorType>,
    /// For every value the last node that takes it; `u32::MAX` for outputs, which live to the end.
    pub last_use: Vec<u32>,
    /// Start of every constant in the weights section.
    pub offsets: Vec<u64>,
    /// Length of the weights section.
    pub weights_length: u64,
}

fn graph(text: impl Into<String>) -> Error {
    Error::Graph(text.into())
}

fn limit(name: &'static str, maximum: u64, actual: u64) -> Result<(), Error> {
    if actual > maximum { Err(Error::Limit { limit: name, maximum, actual }) } else { Ok(()) }
}

impl Graph {
    /// Checks everything that does not need the weights.
    pub fn check(&self, limits: &Limits) -> Result<Checked, Error> {
        limit("maxNodes", limits.max_nodes, self.nodes.len() as u64)?;
        limit("inputs", MAX_PORTS as u64, self.inputs.len() as u64)?;
        limit("outputs", MAX_PORTS as u64, self.outputs.len() as u64)?;
        limit("symbols", MAX_SYMBOLS as u64, self.symbols.len() as u64)?;
        self.check_names()?;
        self.check_symbols()?;
        let (offsets, weights_length) = self.check_constants(limits)?;

        let mut types: Vec<TensorType> =
            self.inputs.iter().map(|i| TensorType::new(i.dtype, i.shape.clone())).collect();
        types.extend(self.constants.iter().map(super::Constant::ty));
        let values = types.len() + self.nodes.len();
        let mut last_use: Vec<Option<u32>> = vec![None; values];
        for (n, node) in self.nodes.iter().enumerate() {
            let fail = |source| Error::Node { node: n, operator: node.op.name(), source };
            let definition = node.op.definition();
            let (least, most) = definition.arity();
            if !(least..=most).contains(&node.inputs.len()) || node.inputs.last() == Some(&None) {
                return Err(graph(format!(
                    "node {n} ({}) has {} operands (trailing absent ones are left out), {least} to {most} are expected",
                    node.op.name(),
                    node.inputs.len()
                )));
            }
            let mut operands = Vec::with_capacity(node.inputs.len());
            for v in &node.inputs {
                operands.push(match v {
                    None => None,
                    Some(ValueId(id)) => {
                        let t = types.get(*id as usize).ok_or_else(|| {
                            graph(format!(
                                "node {n} ({}) takes value {id}, which is defined later or never",
                                node.op.name()
                            ))
                        })?;
                        last_use[*id as usize] = Some(n as u32);
                        Some(t)
                    }
                });
            }
            let mut out = definition.infer(&operands, &Bindings::SYMBOLIC).map_err(fail)?;
            let (Some(t), true) = (out.pop(), out.is_empty()) else {
                return Err(graph(format!("node {n} ({}) has no single output", node.op.name())));
            };
            limit("rank", MAX_RANK as u64, t.rank() as u64)?;
            self.check_dims(&t.shape)?;
            types.push(t);
        }
        for o in &self.outputs {
            let slot = last_use
                .get_mut(o.value.0 as usize)
                .ok_or_else(|| graph(format!("output '{}' is no value of the graph", o.name)))?;
            *slot = Some(u32::MAX);
        }
        for (v, used) in last_use.iter().enumerate().skip(self.inputs.len()) {
            if used.is_none() {
                return Err(graph(format!("value {v} is never used")));
            }
        }
        self.check_tables(&types)?;
        let last_use = last_use.into_iter().map(|u| u.unwrap_or(0)).collect();
        Ok(Checked { types, last_use, offsets, weights_length })
    }

    fn check_names(&self) -> Result<(), Error> {
        let ports = [
            ("input", self.inputs.iter().map(|i| &i.name).collect::<Vec<_>>()),
            ("output", self.outputs.iter().map(|o| &o.name).collect()),
            ("symbol", self.symbols.iter().collect()),
        ];
        for (what, names) in ports {
            let mut sorted = names.clone();
            sorted.sort();
            if let Some(w) = sorted.windows(2).find(|w| w[0] == w[1]) {
                return Err(graph(format!("two {what}s are named '{}'", w[0])));
            }
            if let Some(n) = names.iter().find(|n| n.is_empty() || n.len() > MAX_NAME) {
                return Err(graph(format!("an {what}'s name has {} bytes, 1 to {MAX_NAME} are allowed", n.len())));
            }
        }
        Ok(())
    }

    /// Symbols are numbered in the order in which the inputs first use them.
    fn check_symbols(&self) -> Result<(), Error> {
        let mut seen = 0u16;
        for i in &self.inputs {
            limit("rank", MAX_RANK as u64, i.shape.len() as u64)?;
            for d in &i.shape {
                match d {
                    Dim::Known(n) => limit("dimension", u64::from(u32::MAX), *n)?,
                    Dim::Expr(_) => match d.as_symbol() {
                        Some(s) if s < seen => {}
                        Some(s) if s == seen && usize::from(s) < self.symbols.len() => seen += 1,
                        _ => {
                            return Err(graph(format!(
                                "input '{}': symbols are plain and numbered in order of use",
                                i.name
                            )));
                        }
                    },
                }
            }
        }
        if usize::from(seen) == self.symbols.len() { Ok(()) } else { Err(graph("a symbol is not used by any input")) }
    }

    /// Attributes may mention symbols: they must exist.
    fn check_dims(&self, shape: &[Dim]) -> Result<(), Error> {
        fn known(p: &Poly, n: usize) -> bool {
            p.terms.keys().flatten().all(|a| match a {
                Atom::Symbol(s) => usize::from(*s) < n,
                Atom::FloorDiv(p, _) => known(p, n),
            })
        }
        for d in shape {
            if let Dim::Expr(p) = d
                && !known(p, self.symbols.len())
            {
                return Err(graph("a dimension mentions a symbol that the graph does not have"));
            }
        }
        Ok(())
    }

    fn check_constants(&self, limits: &Limits) -> Result<(Vec<u64>, u64), Error> {
        let mut offsets = Vec::with_capacity(self.constants.len());
        let mut at = 0u64;
        for c in &self.constants {
            limit("rank", MAX_RANK as u64, c.shape.len() as u64)?;
            let bytes = c.ty().bytes().ok_or_else(|| graph("a constant is too large"))?;
            offsets.push(at);
            let padded = bytes.checked_next_multiple_of(ALIGN).unwrap_or(u64::MAX);
            at = at.saturating_add(padded);
            limit("maxWeightBytes", limits.max_weight_bytes, at)?;
        }
        Ok((offsets, at))
    }

    fn check_tables(&self, types: &[TensorType]) -> Result<(), Error> {
        let output = |i: u16, what| {
            self.outputs.get(usize::from(i)).ok_or_else(|| graph(format!("the {what} output {i} does not exist")))
        };
        output(self.primary_output, "primary")?;
        if let Some(l) = self.label_output {
            let o = output(l, "label")?;
            let t = &types[o.value.0 as usize];
            if t.dtype != DType::I64 {
                return Err(graph(format!("the label output '{}' is {}, i64 is expected", o.name, t.dtype)));
            }
        }
        limit("features", MAX_TABLE as u64, self.features.len() as u64)?;
        limit("labels", MAX_TABLE as u64, self.labels.len() as u64)?;
        if !self.features.is_empty() && Some(self.features.len() as u64) != self.row_features() {
            return Err(graph(format!(
                "{} features are named, a row has {}",
                self.features.len(),
                self.row_features().map_or_else(|| "no fixed number of values".to_owned(), |n| n.to_string())
            )));
        }
        let long = |s: &String| s.len() > MAX_NAME;
        for f in &self.features {
            limit("categories", MAX_TABLE as u64, f.categories.len() as u64)?;
            if long(&f.name) || f.categories.iter().any(long) {
                return Err(graph(format!("a name of feature '{:.40}' is longer than {MAX_NAME} bytes", f.name)));
            }
            if has_duplicate(&f.categories) {
                return Err(graph(format!("feature '{}' has one category twice", f.name)));
            }
        }
        let twice = match &self.labels {
            Labels::None => false,
            Labels::Ints(v) => has_duplicate(v),
            Labels::Strings(v) => has_duplicate(v) || v.iter().any(long),
        };
        if twice { Err(graph("labels are distinct and at most 256 bytes long")) } else { Ok(()) }
    }
}

fn has_duplicate<T: Ord + Clone>(items: &[T]) -> bool {
    let mut v = items.to_vec();
    v.sort();
    v.windows(2).any(|w| w[0] == w[1])
}
