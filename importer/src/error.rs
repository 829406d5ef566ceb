//! Why a file is refused: what came, and what to do.

use serde::Serialize;

/// An import that gives no model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// The bytes are no ONNX file.
    #[error("not an ONNX model: {reason}")]
    NotOnnx {
        /// What they are, as far as can be told, and what to do.
        reason: String,
    },
    /// The file is ONNX, and something in it cannot run exactly. All problems of the file, not the first only.
    #[error("{}", list(.0))]
    Refused(Vec<Problem>),
    /// The options do not fit the model.
    #[error("{0}")]
    Options(String),
}

/// One thing that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", self.describe())]
pub struct Problem {
    /// Name of the node, or its position; empty where no node is concerned.
    pub node: String,
    /// Operator.
    pub op: String,
    /// The operator's domain; empty for ONNX's own.
    pub domain: String,
    /// The tensor concerned, where there is one.
    pub tensor: Option<String>,
    /// Why.
    pub reason: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Problem {
    /// One that concerns a tensor, or the whole file, and no node.
    pub fn of_file(tensor: Option<String>, reason: impl Into<String>, advice: Option<String>) -> Self {
        Self { node: String::new(), op: String::new(), domain: String::new(), tensor, reason: reason.into(), advice }
    }

    fn describe(&self) -> String {
        let mut out = String::new();
        if !self.op.is_empty() {
            let domain = if self.domain.is_empty() { String::new() } else { format!("{}.", self.domain) };
            out.push_str(&format!("node '{}' ({domain}{})", self.node, self.op));
        }
        if let Some(t) = &self.tensor {
            out.push_str(&format!("{}tensor '{t}'", if out.is_empty() { "" } else { ", " }));
        }
        out.push_str(&format!("{}{}", if out.is_empty() { "" } else { ": " }, self.reason));
        if let Some(a) = &self.advice {
            out.push_str(&format!(" ({a})"));
        }
        out
    }
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|p| format!("  - {p}")).collect();
    let s = if problems.len() == 1 { "" } else { "s" };
    format!("the model cannot be imported, {} problem{s}:\n{}", problems.len(), lines.join("\n"))
}

/// Why one node is refused; the walk adds which node it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) tensor: Option<String>,
    pub(crate) reason: String,
    pub(crate) advice: Option<String>,
    /// An operand came from a node that is refused itself: nothing to say about this one.
    pub(crate) silent: bool,
}

impl Refusal {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { tensor: None, reason: reason.into(), advice: None, silent: false }
    }

    pub(crate) fn silent() -> Self {
        Self { silent: true, ..Self::new("an operand's node is refused") }
    }

    pub(crate) fn tensor(mut self, name: impl Into<String>) -> Self {
        self.tensor = Some(name.into());
        self
    }

    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl From<lockstep_engine::OpError> for Refusal {
    fn from(e: lockstep_engine::OpError) -> Self {
        Self::new(e.0)
    }
}

/// Result of a lowering.
pub(crate) type Lowered<T> = Result<T, Refusal>;

/// A refusal with a formatted reason.
macro_rules! refuse {
    ($($arg:tt)+) => { Err($crate::error::Refusal::new(format!($($arg)+))) };
}
pub(crate) use refuse;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_listed_with_node_operator_and_advice() {
        let p = Problem {
            node: "n1".into(),
            op: "Loop".into(),
            domain: String::new(),
            tensor: Some("x".into()),
            reason: "not supported".into(),
            advice: Some("unroll it".into()),
        };
        let e = ImportError::Refused(vec![p.clone(), Problem::of_file(None, "too large", None)]);
        let text = e.to_string();
        assert!(text.contains("2 problems"), "{text}");
        assert!(text.contains("node 'n1' (Loop), tensor 'x': not supported (unroll it)"), "{text}");
        assert!(text.contains("- too large"), "{text}");
    }
}
