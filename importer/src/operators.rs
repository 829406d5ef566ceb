//! Every operator of ONNX and what becomes of it here: what docs/operators.md is made from.

use std::fmt::Write as _;

use crate::lower;

/// ONNX's own list, written by `data/onnx_operators.py`.
const ONNX: &str = include_str!("../data/onnx_operators.txt");

/// A domain that is not ONNX's, of which some operators run.
const MICROSOFT: &str = "com.microsoft";

/// What becomes of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It runs, in all that ONNX says of it, for the types of the engine.
    Runs,
    /// It runs, but for what the text names.
    Limited(&'static str),
    /// It is refused at import.
    Refused,
}

/// One operator.
#[derive(Debug, Clone)]
pub struct Operator {
    /// `ai.onnx`, `ai.onnx.ml`, ...
    pub domain: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The operator sets that define it anew, separated by commas.
    pub versions: &'static str,
    /// Whether ONNX has given it up.
    pub deprecated: bool,
    /// What becomes of it.
    pub status: Status,
    /// How it is written in the engine's operators; why it is refused.
    pub text: &'static str,
    /// What an author can do where it is refused; may be empty.
    pub advice: &'static str,
}

/// The newest operator set of a domain that is read.
pub fn newest(domain: &str) -> i64 {
    lower::latest(if domain == "ai.onnx" { "" } else { domain })
}

/// Every operator of ONNX, by domain and name. One that stands in no list of the importer is left out:
/// a test holds that there is none.
pub fn list() -> Vec<Operator> {
    let mut out = Vec::new();
    for line in ONNX.lines().filter(|l| !l.starts_with('#')) {
        let mut parts = line.split(' ');
        let (Some(domain), Some(name), Some(versions)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let key = if domain == "ai.onnx" { "" } else { domain };
        let (status, text, advice) = match (lower::row(key, name), lower::refused(key, name)) {
            (Some(r), _) if r.limits.is_empty() => (Status::Runs, r.written, ""),
            (Some(r), _) => (Status::Limited(r.limits), r.written, ""),
            (None, Some(r)) => (Status::Refused, r.reason, r.advice),
            (None, None) => continue,
        };
        out.push(Operator { domain, name, versions, deprecated: parts.next().is_some(), status, text, advice });
    }
    for r in lower::rows(MICROSOFT) {
        let status = if r.limits.is_empty() { Status::Runs } else { Status::Limited(r.limits) };
        out.extend(r.names.split_ascii_whitespace().map(|name| {
            let (versions, advice) = ("1", "");
            Operator { domain: MICROSOFT, name, versions, deprecated: false, status, text: r.written, advice }
        }));
    }
    out
}

/// What is wrong with the lists: names of no operator, twice, in both, in none.
pub fn inconsistencies() -> Vec<String> {
    let mut out = Vec::new();
    let mut known = std::collections::BTreeMap::new();
    for line in ONNX.lines().filter(|l| !l.starts_with('#')) {
        let mut parts = line.split(' ');
        if let (Some(domain), Some(name)) = (parts.next(), parts.next()) {
            known.insert((domain, name), 0usize);
        }
    }
    for domain in lower::DOMAINS.into_iter().filter(|d| *d != MICROSOFT) {
        let shown = if domain.is_empty() { "ai.onnx" } else { domain };
        let rows = lower::rows(domain).iter().map(|r| r.names);
        for name in rows.chain(lower::refusals(domain).iter().map(|r| r.names)).flat_map(str::split_ascii_whitespace) {
            match known.get_mut(&(shown, name)) {
                None => out.push(format!("{shown} {name}: ONNX has no such operator")),
                Some(n) => *n += 1,
            }
        }
    }
    for ((domain, name), n) in known {
        match n {
            0 => out.push(format!("{domain} {name}: add it to lower/table.rs or to lower/refused.rs")),
            1 => {}
            _ => out.push(format!("{domain} {name}: stands {n} times in lower/table.rs, lower/refused.rs")),
        }
    }
    out
}

/// The document docs/operators.md.
pub fn markdown() -> String {
    let all = list();
    let mut out = String::from(
        "# ONNX operators\n\n\
         Made by `cargo run -p lockstep-importer --example operators -- --write` from the importer's own tables \
         (`importer/src/lower/`); a test fails when it is stale. The column *how* is normative: the importer rewrites \
         only as written here ([spec.md](spec.md), section 4).\n\n\
         Types: f32, i64, i32, i8, u8, bool. float16 and bfloat16 constants widen, float64 constants round once; \
         computation in other types is refused, and so is a tensor of strings that is no column of an input, constant or \
         label. Shapes may be symbolic; ranks go up to 8. Operators of other domains (`com.microsoft`, ...) are \
         refused unless a section below names them, or the file has them as functions.\n",
    );
    for domain in lower::DOMAINS {
        let shown = if domain.is_empty() { "ai.onnx" } else { domain };
        let of: Vec<&Operator> = all.iter().filter(|o| o.domain == shown).collect();
        if of.is_empty() {
            continue;
        }
        let _ = write!(
            out,
            "\n## {shown}\n\nOperator sets up to {}. {} operators.\n\n\
             | operator | sets | status | how; or why not |\n|---|---|---|---|\n",
            newest(shown),
            of.len()
        );
        for o in of {
            let (status, text) = match o.status {
                Status::Runs => ("runs", o.text.to_owned()),
                Status::Limited(l) => ("limits", format!("{}. *Limits:* {l}", o.text)),
                Status::Refused if o.advice.is_empty() => ("refused", o.text.to_owned()),
                Status::Refused => ("refused", format!("{}. *Instead:* {}", o.text, o.advice)),
            };
            let name = if o.deprecated { format!("{} (deprecated)", o.name) } else { o.name.to_owned() };
            let _ = writeln!(out, "| {name} | {} | {status} | {} |", o.versions, text.replace('|', "\\|"));
        }
    }
    out
}
