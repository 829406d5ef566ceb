//! One hash for every operator over seeded cases, special values included.
//!
//! `engine/conformance.toml` holds what the reference gave when it was last approved. Whatever computes LS1 (SIMD
//! level, number of threads, batch size, processor, language) has to give the same; a node may ask itself at
//! start ([`self_test`]). Regenerating the file is a change of bits, and so of the LS1 version, unless it only adds:
//! `cargo run --release -p lockstep-engine --example conformance -- --write`.
//!
//! Nothing here reads a clock, the environment or a file.

mod cases;
mod random;
mod selection;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use sha3::{Digest, Keccak256};

use crate::dim::Bindings;
use crate::error::ValueFault;
use crate::fast::{self, Budget, Failure, Level, Threads};
use crate::float::env;
use crate::format::Writer;
use crate::tensor::{Tensor, TensorType};
use cases::{Case, Subject};

/// The approved hashes: `engine/conformance.toml`.
pub const RECORDED: &str = include_str!("../../conformance.toml");

/// How the cases are computed; never what comes of it.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The fast path with these instructions on so many threads; the reference where absent.
    pub fast: Option<(Level, Threads)>,
    /// So many rows at a time; all at once where absent.
    pub batch: Option<usize>,
}

impl Way {
    /// The reference, all rows at once.
    pub const REFERENCE: Self = Self { fast: None, batch: None };

    /// The fast path on this thread, all rows at once.
    pub fn fast(level: Level) -> Self {
        Self { fast: Some((level, Threads::new(1))), batch: None }
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.fast {
            None => f.write_str("the reference")?,
            Some((level, threads)) => write!(f, "the fast path ({}, {} threads)", level.name(), threads.count())?,
        }
        match self.batch {
            None => Ok(()),
            Some(n) => write!(f, ", {n} rows at a time"),
        }
    }
}

/// Why this machine does not compute LS1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Other bits than approved.
    #[error("{operator} by {way} has hash {actual}, {expected} is approved")]
    Bits {
        /// The operator, as the file names it.
        operator: String,
        /// How it was computed.
        way: String,
        /// The approved hash.
        expected: String,
        /// The hash that came.
        actual: String,
    },
    /// The file and the operators differ.
    #[error("{0} is in only one of conformance.toml and the table of operators: regenerate the file")]
    Unknown(String),
    /// This thread or process cannot compute.
    #[error("this node's fault: {0}")]
    Environment(&'static str),
}

/// Names of the operators, as the file has them: family, and kind where the family has kinds.
pub fn operators() -> Vec<String> {
    Subject::all().iter().map(Subject::name).collect()
}

/// The hash of every operator, computed in this way, in the file's order.
pub fn hashes(way: &Way) -> Result<Vec<(String, String)>, Fault> {
    hashes_through(way, &|_, t| t)
}

fn hashes_through(way: &Way, kernel: Kernel<'_>) -> Result<Vec<(String, String)>, Fault> {
    env::check().map_err(Fault::Environment)?;
    Subject::all().iter().map(|s| Ok((s.name(), hash(s, way, kernel)?))).collect()
}

/// The text of the file, from the reference.
pub fn record() -> Result<String, Fault> {
    let mut out = String::from(
        "# One keccak256 for every operator over seeded cases (engine/src/conformance). To approve a change:\n\
         # cargo run --release -p lockstep-engine --example conformance -- --write\n",
    );
    let mut family = String::new();
    for (name, hash) in hashes(&Way::REFERENCE)? {
        let now = name.split('.').next().unwrap_or_default();
        if family != now {
            out.push('\n');
            now.clone_into(&mut family);
        }
        writeln!(out, "{name} = \"{hash}\"").map_err(|_| Fault::Environment("no memory"))?;
    }
    Ok(out)
}

/// Compares every operator, computed in this way, with the approved hashes; gives the first that differs.
pub fn check(way: &Way) -> Result<(), Fault> {
    check_through(way, &|_, t| t)
}

/// What stands between an operator, named as in the file, and its result: for proving that a wrong kernel is found.
pub type Kernel<'a> = &'a dyn Fn(&str, Tensor) -> Tensor;

/// As [`check`], with every result passed through `kernel`.
pub fn check_through(way: &Way, kernel: Kernel<'_>) -> Result<(), Fault> {
    let mut recorded: Vec<(&str, &str)> = RECORDED
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.split_once(" = "))
        .map(|(name, hash)| (name, hash.trim_matches('"')))
        .collect();
    for (operator, actual) in hashes_through(way, kernel)? {
        let Some(i) = recorded.iter().position(|(name, _)| *name == operator) else {
            return Err(Fault::Unknown(operator));
        };
        let (_, expected) = recorded.remove(i);
        if expected != actual {
            let expected = expected.to_owned();
            return Err(Fault::Bits { operator, way: way.to_string(), expected, actual });
        }
    }
    match recorded.first() {
        Some((name, _)) => Err(Fault::Unknown((*name).to_owned())),
        None => Ok(()),
    }
}

/// Whether this machine computes LS1: the reference and every level that its processor has. For a node's start.
pub fn self_test() -> Result<(), Fault> {
    check(&Way::REFERENCE)?;
    Level::available().into_iter().try_for_each(|level| check(&Way::fast(level)))
}

fn hash(subject: &Subject, way: &Way, kernel: Kernel<'_>) -> Result<String, Fault> {
    let name = subject.name();
    let mut h = Keccak256::new();
    for case in subject.cases() {
        let mut w = Writer::default();
        case.operands.iter().for_each(|t| write_tensor(&mut w, t.as_ref()));
        match case.compute(way) {
            Ok(t) => write_tensor(&mut w, Some(&kernel(&name, t))),
            Err(Failure::Value(fault)) => w.u8(match fault {
                ValueFault::DivisionByZero => 0xf1,
                ValueFault::IndexOutOfRange => 0xf2,
                ValueFault::NegativeExponent => 0xf3,
                ValueFault::Required(_) => 0xf4,
            }),
            Err(Failure::Environment(e)) => return Err(Fault::Environment(e)),
        }
        h.update(&w.bytes);
    }
    Ok(h.finalize().iter().fold(String::new(), |s, b| s + &format!("{b:02x}")))
}

fn write_tensor(w: &mut Writer, t: Option<&Tensor>) {
    let Some(t) = t else { return w.u8(0) };
    w.u8(t.dtype().code());
    w.u8(t.shape.len() as u8);
    t.shape.iter().for_each(|d| w.u64(*d as u64));
    w.bytes.extend(t.to_le_bytes());
}

impl Case {
    /// The result, its rows computed as many at a time as the way says.
    fn compute(&self, way: &Way) -> Result<Tensor, Failure> {
        let rows = self.rows();
        let (Some(rows), Some(step)) = (rows, way.batch) else {
            return compute_at_once(self, &self.operands.iter().map(Option::as_ref).collect::<Vec<_>>(), rows, way);
        };
        let mut parts = Vec::new();
        let mut first = 0;
        while first < rows || parts.is_empty() {
            let end = rows.min(first + step.max(1));
            let operands: Vec<Option<Tensor>> = (0..self.operands.len()).map(|i| self.part(i, first, end)).collect();
            let operands: Vec<Option<&Tensor>> = operands.iter().map(Option::as_ref).collect();
            parts.push(compute_at_once(self, &operands, Some(end - first), way)?);
            first = end;
        }
        join(parts).ok_or(Failure::Environment("the rows of a case do not join"))
    }
}

fn compute_at_once(
    case: &Case,
    operands: &[Option<&Tensor>],
    rows: Option<usize>,
    way: &Way,
) -> Result<Tensor, Failure> {
    let missing = Failure::Environment("a case of the conformance test does not run");
    let output = case.output(operands, rows).ok_or(missing)?;
    match &way.fast {
        None => case.op.definition().reference(operands, std::slice::from_ref(&output))?.pop().ok_or(missing),
        Some((level, threads)) => {
            let known: Vec<_> = operands.iter().enumerate().map(|(i, t)| t.filter(|_| i >= case.constants)).collect();
            let prepared = fast::prepare(&case.op, &known, &mut Budget::new(0));
            fast::run_at(*level, &case.op, &prepared, operands, &output, threads)
        }
    }
}

/// One tensor of those, along the first axis.
fn join(parts: Vec<Tensor>) -> Option<Tensor> {
    let bytes: Vec<u8> = parts.iter().flat_map(Tensor::to_le_bytes).collect();
    let rows = parts.iter().map(|t| t.shape.first().copied()).sum::<Option<usize>>()?;
    let first = parts.into_iter().next()?;
    let mut shape = first.shape.clone();
    *shape.first_mut()? = rows;
    Tensor::from_le_bytes(first.dtype(), shape, &bytes)
}

impl Case {
    /// Rows that may be computed apart; `None` where the operator joins them.
    fn rows(&self) -> Option<usize> {
        self.operands.get(*self.batched.first()?)?.as_ref()?.shape.first().copied()
    }

    /// Operand `i` for rows `first..end`.
    fn part(&self, i: usize, first: usize, end: usize) -> Option<Tensor> {
        let t = self.operands[i].as_ref()?;
        if !self.batched.contains(&i) {
            return Some(t.clone());
        }
        let bytes = t.to_le_bytes();
        let row = t.shape[1..].iter().product::<usize>() * t.dtype().size();
        let mut shape = t.shape.clone();
        shape[0] = end - first;
        Tensor::from_le_bytes(t.dtype(), shape, &bytes[first * row..end * row])
    }

    /// The result's type; `None` where the operator refuses the operands.
    fn output(&self, operands: &[Option<&Tensor>], rows: Option<usize>) -> Option<TensorType> {
        let types: Vec<Option<TensorType>> = operands.iter().map(|t| t.map(Tensor::ty)).collect();
        let types: Vec<Option<&TensorType>> = types.iter().map(Option::as_ref).collect();
        let symbols = [rows.map(|n| n as u64)];
        self.op.definition().infer(&types, &Bindings::of(&symbols)).ok()?.pop()
    }
}
