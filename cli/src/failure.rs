//! What can end a command, and the exit status of each: the one place where errors become statuses.

use serde_json::{Value, json};

/// One thing wrong with an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// The node concerned, by the name in the author's file.
    pub node: Option<String>,
    /// The tensor or array concerned.
    pub tensor: Option<String>,
    /// The operator concerned.
    pub operator: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// Why a command ended without success.
#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense (status 2).
    Usage(String),
    /// An input is refused (status 3): what it is, and every problem found.
    Refused {
        /// The input, as the user named it.
        what: String,
        /// At least one.
        problems: Vec<Problem>,
    },
    /// A check that the command was asked to make found a difference (status 1).
    Differs(String),
    /// Anything else (status 1).
    Other(anyhow::Error),
}

impl Failure {
    /// An input refused for one reason.
    pub fn refused(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), problems: vec![Problem { reason: reason.into(), ..Problem::default() }] }
    }

    /// The same, with what to do about it.
    pub fn refused_with(what: impl Into<String>, reason: impl Into<String>, advice: impl Into<String>) -> Self {
        let problem = Problem { reason: reason.into(), advice: Some(advice.into()), ..Problem::default() };
        Self::Refused { what: what.into(), problems: vec![problem] }
    }

    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Refused { .. } => 3,
            Self::Differs(_) | Self::Other(_) => 1,
        }
    }

    /// For people, on stderr. The last line is the shortest useful one: tools show it alone.
    pub fn to_text(&self) -> String {
        match self {
            Self::Usage(text) => format!("error: {text}"),
            Self::Differs(text) => text.clone(),
            Self::Other(e) => format!("error: {e:#}"),
            Self::Refused { what, problems } => {
                let mut out = format!("error: {what} is refused");
                if let [Problem { node: None, tensor: None, operator: None, reason, advice }] = problems.as_slice() {
                    out.push_str(&format!(": {reason}"));
                    if let Some(a) = advice {
                        out.push_str(&format!("\n  {a}"));
                    }
                    return out;
                }
                let count = problems.len();
                out.push_str(&format!(", {count} problem{}:", if count == 1 { "" } else { "s" }));
                for p in problems {
                    out.push_str(&format!("\n  {}", p.to_line()));
                }
                out
            }
        }
    }

    /// For programs, on stderr.
    pub fn to_json(&self) -> Value {
        let (kind, reason, what, problems) = match self {
            Self::Usage(t) => ("usage", t.clone(), None, Vec::new()),
            Self::Differs(t) => ("differs", t.clone(), None, Vec::new()),
            Self::Other(e) => ("failed", format!("{e:#}"), None, Vec::new()),
            Self::Refused { what, problems } => {
                let reason = problems.first().map_or(String::new(), |p| p.reason.clone());
                ("refused", reason, Some(what.clone()), problems.iter().map(Problem::to_json).collect())
            }
        };
        json!({ "error": { "status": self.status(), "kind": kind, "input": what, "reason": reason, "problems": problems } })
    }
}

impl Problem {
    /// One line: place, operator, reason, advice.
    fn to_line(&self) -> String {
        let mut out = String::new();
        let operator = self.operator.as_ref();
        match (&self.node, operator) {
            (Some(node), Some(op)) => out.push_str(&format!("node '{node}' ({op})")),
            (Some(node), None) => out.push_str(&format!("node '{node}'")),
            (None, Some(op)) => out.push_str(op),
            (None, None) => {}
        }
        if let Some(t) = &self.tensor {
            out.push_str(&format!("{}'{t}'", if out.is_empty() { "" } else { ", tensor " }));
        }
        if !out.is_empty() {
            out.push_str(": ");
        }
        out.push_str(&self.reason);
        if let Some(a) = &self.advice {
            out.push_str(&format!("; {a}"));
        }
        out.replace('\n', " ")
    }

    fn to_json(&self) -> Value {
        json!({ "node": self.node, "operator": self.operator, "tensor": self.tensor, "reason": self.reason, "advice": self.advice })
    }
}

impl From<anyhow::Error> for Failure {
    fn from(e: anyhow::Error) -> Self {
        Self::Other(e)
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self::Other(e.into())
    }
}

impl From<lockstep_engine::ComputeError> for Failure {
    fn from(e: lockstep_engine::ComputeError) -> Self {
        match e {
            lockstep_engine::ComputeError::Environment(_) => {
                Self::Other(anyhow::anyhow!("{e}; `lockstep doctor` says more"))
            }
            e => Self::refused("this call", e.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_contract() {
        assert_eq!(Failure::Usage("x".into()).status(), 2);
        assert_eq!(Failure::refused("f", "r").status(), 3);
        assert_eq!(Failure::Differs("x".into()).status(), 1);
        assert_eq!(Failure::Other(anyhow::anyhow!("x")).status(), 1);
        assert_eq!(Failure::from(lockstep_engine::ComputeError::Environment("x")).status(), 1);
        assert_eq!(Failure::from(lockstep_engine::ComputeError::InputCount { expected: 1, actual: 2 }).status(), 3);
    }

    #[test]
    fn every_problem_has_its_line() {
        let p = |n: &str| Problem {
            node: Some(n.into()),
            tensor: Some("t".into()),
            operator: Some("Foo".into()),
            reason: "not supported".into(),
            advice: Some("use Bar".into()),
        };
        let f = Failure::Refused { what: "m.onnx".into(), problems: vec![p("a"), p("b")] };
        assert_eq!(
            f.to_text(),
            "error: m.onnx is refused, 2 problems:\n  node 'a' (Foo), tensor 't': not supported; use Bar\n  node 'b' (Foo), tensor 't': not supported; use Bar"
        );
    }
}
