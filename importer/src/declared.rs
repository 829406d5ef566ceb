//! The shapes that a file declares for its values.
//!
//! They are what shape-like arguments that come from data are taken from; the graph then checks the argument itself
//! while running, so that a wrong declaration can fail a call and never change an answer (spec IMP-10).

use std::collections::{HashMap, HashSet};

use lockstep_engine::Dim;

use crate::proto::{GraphProto, NodeProto, ValueInfoProto, type_proto};

/// A declared shape: `None` for what the file leaves open, as a whole or dimension by dimension.
pub(crate) type Declared = Option<Vec<Option<Dim>>>;

/// Declared shapes by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shapes(HashMap<String, Vec<Option<Dim>>>);

/// Operators whose result has the shape of their operands broadcast.
const ELEMENTWISE: [&str; 47] = [
    "Abs",
    "Add",
    "And",
    "Cast",
    "CastLike",
    "Ceil",
    "Clip",
    "Cos",
    "Div",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "Greater",
    "GreaterOrEqual",
    "HardSigmoid",
    "Identity",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Sub",
    "Sum",
    "Tan",
    "Tanh",
    "Where",
    "Xor",
];

impl Shapes {
    /// Those of a graph's outputs and `value_info`; named dimensions are symbols where an input has the name.
    pub(crate) fn of(g: &GraphProto, symbols: &[String]) -> Self {
        let mut out = Self::default();
        for v in g.output.iter().chain(&g.value_info) {
            if let (Some(name), Some(shape)) = (v.name.as_deref(), shape_of(v, symbols)) {
                out.add(name, shape);
            }
        }
        out
    }

    /// Declares a name that has no declaration yet.
    pub(crate) fn add(&mut self, name: &str, shape: Vec<Option<Dim>>) {
        self.0.entry(name.to_owned()).or_insert(shape);
    }

    /// The shape declared for a name.
    pub(crate) fn get(&self, name: &str) -> Declared {
        self.0.get(name).cloned()
    }

    /// From declared results of elementwise operators to their operands that have no declaration and are results of
    /// nodes themselves. An operand that is repeated has another shape: what is made of it then does not fit and is
    /// refused, or fails the check while running.
    pub(crate) fn spread(&mut self, nodes: &[NodeProto]) {
        let made: HashSet<&str> = nodes.iter().flat_map(|n| &n.output).map(String::as_str).collect();
        for n in nodes.iter().rev() {
            let (Some(op), [result]) = (n.op_type.as_deref(), n.output.as_slice()) else { continue };
            if !n.domain.as_deref().unwrap_or("").is_empty() || !ELEMENTWISE.contains(&op) {
                continue;
            }
            let Some(shape) = self.get(result) else { continue };
            let operands = if op == "CastLike" { 1 } else { n.input.len() };
            for i in n.input.iter().take(operands).filter(|i| made.contains(i.as_str())) {
                self.add(i, shape.clone());
            }
        }
    }
}

fn shape_of(v: &ValueInfoProto, symbols: &[String]) -> Option<Vec<Option<Dim>>> {
    let Some(type_proto::Value::Tensor(t)) = v.r#type.as_ref().and_then(|t| t.value.as_ref()) else { return None };
    let dim = |d: &crate::proto::Dimension| match (d.dim_value, d.dim_param.as_deref()) {
        (Some(n), _) => u64::try_from(n).ok().map(Dim::Known),
        (None, Some(name)) => {
            let number = symbols.iter().position(|s| s == name)?;
            u16::try_from(number).ok().map(Dim::symbol)
        }
        (None, None) => None,
    };
    Some(t.shape.as_ref()?.dim.iter().map(dim).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_spread_backwards_through_elementwise_operators() {
        let node = |op: &str, inputs: &[&str], output: &str| NodeProto {
            op_type: Some(op.into()),
            input: inputs.iter().map(|s| (*s).to_owned()).collect(),
            output: vec![output.into()],
            ..NodeProto::default()
        };
        let nodes = [
            node("Range", &["zero", "n", "one"], "r"),
            node("Mul", &["r", "step"], "a"),
            node("ReduceSum", &["b", "axes"], "c"),
            node("Cos", &["a"], "y"),
        ];
        let mut s = Shapes::default();
        s.add("y", vec![Some(Dim::Known(10))]);
        s.spread(&nodes);
        assert_eq!(s.get("r"), Some(vec![Some(Dim::Known(10))]));
        assert_eq!(s.get("step"), None, "an input of the graph is what it is");
        assert_eq!(s.get("c"), None);
    }
}
