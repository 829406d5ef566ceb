//! A group bound to the tensors of a call, and its computation block by block.

use std::sync::{Mutex, PoisonError};

use super::groups::{Group, Source, Step, Target, Task};
use super::loops::{self, Operand};
use crate::fast::level::Level;
use crate::fast::softmax;
use crate::ops::binary::BinaryKind;
use crate::ops::shape::broadcast_strides;
use crate::ops::unary::UnaryKind;
use crate::tensor::{Data, Tensor};

/// Elements of a block: its intermediate results stay in the first cache.
const BLOCK: usize = 1024;
/// Elements of the longest row that steps on rows work on.
const LONGEST: usize = 4096;

/// Elements of the shortest row that an operand may repeat in: below, finding a row costs more than the row.
const SHORTEST: usize = 8;

/// Elements of an operand.
#[derive(Debug, Clone, Copy)]
enum Values<'a> {
    F32(&'a [f32]),
    Bool(&'a [bool]),
}

/// How an operand lies under the result.
#[derive(Debug, Clone, PartialEq)]
enum Layout {
    /// One element for all.
    Single,
    /// Element by element.
    Same,
    /// Each row starts at the sum of these distances times its coordinates, and goes on by `step`, 0 or 1.
    Rows { strides: Vec<usize>, step: usize },
}

#[derive(Debug)]
struct External<'a> {
    values: Values<'a>,
    layout: Layout,
}

/// A group with the tensors it reads.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    level: Level,
    group: &'a Group,
    externals: Vec<External<'a>>,
    /// Lengths of the axes before a row.
    lead: Vec<usize>,
    /// Elements of a row, and of the result.
    n: usize,
    count: usize,
    /// For each step whether one call does a whole block.
    whole: Vec<bool>,
    /// Of parts that are done, for those to come.
    spare: Mutex<Vec<Memory>>,
}

/// Some elements of the result: whole rows, or a part of one.
#[derive(Debug, Clone, Copy)]
struct Span {
    row: usize,
    column: usize,
    length: usize,
}

/// Intermediate results of a block.
#[derive(Debug)]
struct Memory {
    registers: Vec<Vec<f32>>,
    rows: Vec<Vec<f32>>,
}

/// One axis of the result with each operand's distance along it.
type Axis = (usize, Vec<usize>);

impl<'a> Chain<'a> {
    /// `None` where the operands lie in a way that blocks do not have.
    pub(super) fn bind(level: Level, group: &'a Group, tensors: &[&'a Tensor], shape: &[usize]) -> Option<Self> {
        let strides: Vec<Vec<usize>> = tensors.iter().map(|t| broadcast_strides(&t.shape, shape)).collect();
        let kept = shape.len() - group.trailing;
        let axes = |range: std::ops::Range<usize>| {
            joined(range.map(|i| (shape[i], strides.iter().map(|s| s[i]).collect())).collect())
        };
        // What steps work on as rows stays apart.
        let (mut lead, mut tail) = match group.trailing {
            0 => (axes(0..shape.len()), Vec::new()),
            _ => (axes(0..kept), axes(kept..shape.len())),
        };
        if group.trailing == 0 {
            tail.extend(lead.pop());
        }
        let (n, steps) = match tail.len() {
            0 => (1, vec![0; tensors.len()]),
            1 => tail.pop()?,
            _ => return None,
        };
        if group.trailing > 0 && n > LONGEST {
            return None;
        }
        let count: usize = shape.iter().product();
        let mut externals = Vec::with_capacity(tensors.len());
        for (i, t) in tensors.iter().enumerate() {
            let values = match &t.data {
                Data::F32(v) => Values::F32(v),
                Data::Bool(v) => Values::Bool(v),
                _ => return None,
            };
            let layout = if t.data.len() == 1 {
                Layout::Single
            } else if t.data.len() == count {
                Layout::Same
            } else if steps[i] <= 1 {
                Layout::Rows { strides: lead.iter().map(|a| a.1[i]).collect(), step: steps[i] }
            } else {
                return None;
            };
            if group.trailing == 0 && n < SHORTEST && matches!(layout, Layout::Rows { .. }) {
                return None;
            }
            externals.push(External { values, layout });
        }
        let alike = |s: &Source| match s {
            Source::Register(_) => true,
            Source::Row(_) => false,
            Source::External(e) => !matches!(externals[*e].layout, Layout::Rows { .. }),
        };
        let on_rows = |s: &Step| matches!(s.task, Task::Softmax { .. } | Task::Reduce(_));
        let whole = group.steps.iter().map(|s| !on_rows(s) && s.operands.iter().all(alike)).collect();
        let lead = lead.into_iter().map(|a| a.0).collect();
        Some(Self { level, group, externals, lead, n, count, whole, spare: Mutex::default() })
    }

    /// Elements that are computed only together.
    pub(super) fn unit(&self) -> usize {
        if self.group.trailing > 0 { self.n } else { 1 }
    }

    /// Computes the elements of the result that `out` holds, from `first` on; whole units. Where the group has a
    /// contraction, `out` holds its outputs.
    pub(super) fn run(&self, mut first: usize, mut out: &mut [f32]) {
        let block = if self.group.trailing > 0 { self.n.max(BLOCK) } else { BLOCK };
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut memory = spare.unwrap_or_else(|| {
            let most = block.min(self.count);
            let rows = most.div_ceil(self.n);
            Memory {
                registers: vec![vec![0.0; most]; self.group.registers],
                rows: vec![vec![0.0; rows]; self.group.rows],
            }
        });
        let by_rows = self.whole.iter().any(|w| !w);
        while !out.is_empty() {
            let column = first % self.n;
            let length = if !by_rows {
                block
            } else if column == 0 && self.n <= block {
                block / self.n * self.n
            } else {
                block.min(self.n - column)
            };
            let length = length.min(out.len());
            let (part, rest) = std::mem::take(&mut out).split_at_mut(length);
            self.block(Span { row: first / self.n, column, length: part.len() }, &mut memory, part);
            first += part.len();
            out = rest;
        }
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }

    fn block(&self, span: Span, memory: &mut Memory, out: &mut [f32]) {
        if let Some(r) = self.group.head {
            memory.registers[r][..span.length].copy_from_slice(out);
        }
        for (step, whole) in self.group.steps.iter().zip(&self.whole) {
            // The target is no operand: it can be taken out.
            match step.to {
                Target::Output => self.step(step, *whole, span, memory, out),
                Target::Register(r) => {
                    let mut to = std::mem::take(&mut memory.registers[r]);
                    self.step(step, *whole, span, memory, &mut to[..span.length]);
                    memory.registers[r] = to;
                }
                Target::Row(r) => {
                    let mut to = std::mem::take(&mut memory.rows[r]);
                    self.row_step(step, span, memory, &mut to[..span.length / self.n]);
                    memory.rows[r] = to;
                }
            }
        }
    }

    /// A step with one result for each element.
    fn step(&self, step: &Step, whole: bool, span: Span, memory: &Memory, out: &mut [f32]) {
        if whole {
            return self.piece(step, span, 0, memory, out);
        }
        let mut at = 0;
        while at < span.length {
            let column = (span.column + at) % self.n;
            let length = (self.n - column).min(span.length - at);
            let part = Span { row: span.row + (span.column + at) / self.n, column, length };
            self.piece(step, part, at, memory, &mut out[at..at + length]);
            at += length;
        }
    }

    /// The same for a part of one row, or for all of a block where no operand has rows; `at` is its place in the block.
    fn piece(&self, step: &Step, span: Span, at: usize, memory: &Memory, out: &mut [f32]) {
        let operand = |i: usize| self.operand(step.operands[i], span, at, memory);
        match step.task {
            Task::Unary(kind) => match operand(0) {
                Operand::Slice(x) => loops::unary(self.level, kind, x, out),
                Operand::Value(x) => fill_unary(self.level, kind, x, out),
            },
            Task::Binary(kind) => loops::binary(self.level, kind, operand(0), operand(1), out),
            Task::Select => {
                let condition = self.condition(step.operands[0], span);
                loops::select(self.level, condition, operand(1), operand(2), out);
            }
            Task::Softmax { log } => {
                match operand(0) {
                    Operand::Slice(x) => out.copy_from_slice(x),
                    Operand::Value(x) => out.fill(x),
                }
                softmax::row(self.level, log, out);
            }
            // Has one result for each row.
            Task::Reduce(_) => {}
        }
    }

    /// A step with one result for each row.
    fn row_step(&self, step: &Step, span: Span, memory: &Memory, out: &mut [f32]) {
        let number = |i: usize| match step.operands[i] {
            Source::Row(r) => Operand::Slice(&memory.rows[r][..out.len()]),
            Source::External(e) => match self.externals[e].values {
                Values::F32(v) => Operand::Value(v[0]),
                Values::Bool(_) => Operand::Value(0.0),
            },
            Source::Register(_) => Operand::Value(0.0),
        };
        match step.task {
            Task::Reduce(kind) => {
                let mut constant = Vec::new();
                for (i, out) in out.iter_mut().enumerate() {
                    let row = Span { row: span.row + i, column: 0, length: self.n };
                    let x = match self.operand(step.operands[0], row, i * self.n, memory) {
                        Operand::Slice(x) => x,
                        Operand::Value(x) => {
                            constant.clear();
                            constant.resize(self.n, x);
                            &constant
                        }
                    };
                    *out = loops::reduce(self.level, kind, x);
                }
            }
            Task::Unary(kind) => match number(0) {
                Operand::Slice(x) => loops::unary(self.level, kind, x, out),
                Operand::Value(x) => fill_unary(self.level, kind, x, out),
            },
            Task::Binary(kind) => loops::binary(self.level, kind, number(0), number(1), out),
            Task::Select | Task::Softmax { .. } => {}
        }
    }

    fn operand<'m>(&'m self, source: Source, span: Span, at: usize, memory: &'m Memory) -> Operand<'m> {
        match source {
            Source::Register(r) => Operand::Slice(&memory.registers[r][at..at + span.length]),
            Source::Row(r) => Operand::Value(memory.rows[r][at / self.n]),
            Source::External(e) => match self.externals[e].values {
                Values::F32(v) => self.part(&self.externals[e].layout, v, span),
                // Not an operand that infer accepts.
                Values::Bool(_) => Operand::Value(f32::NAN),
            },
        }
    }

    fn condition(&self, source: Source, span: Span) -> Operand<'_, bool> {
        match source {
            Source::External(e) => match self.externals[e].values {
                Values::Bool(v) => self.part(&self.externals[e].layout, v, span),
                Values::F32(_) => Operand::Value(false),
            },
            _ => Operand::Value(false),
        }
    }

    fn part<'v, T: Copy>(&self, layout: &Layout, v: &'v [T], span: Span) -> Operand<'v, T> {
        match layout {
            Layout::Single => Operand::Value(v[0]),
            Layout::Same => {
                let first = span.row * self.n + span.column;
                Operand::Slice(&v[first..first + span.length])
            }
            Layout::Rows { strides, step } => {
                let (mut at, mut rest) = (0, span.row);
                for (length, stride) in self.lead.iter().zip(strides).rev() {
                    at += rest % length * stride;
                    rest /= length;
                }
                match step {
                    0 => Operand::Value(v[at]),
                    _ => Operand::Slice(&v[at + span.column..at + span.column + span.length]),
                }
            }
        }
    }
}

fn fill_unary(level: Level, kind: UnaryKind, x: f32, out: &mut [f32]) {
    let mut y = [0.0];
    loops::unary(level, kind, &[x], &mut y);
    out.fill(y[0]);
}

/// Axes of one element left out, neighbours that all operands walk through evenly as one.
fn joined(axes: Vec<Axis>) -> Vec<Axis> {
    let mut out: Vec<Axis> = Vec::new();
    for (n, strides) in axes.into_iter().filter(|a| a.0 != 1) {
        match out.last_mut() {
            Some(outer) if outer.1.iter().zip(&strides).all(|(o, s)| *o == n * s) => {
                *outer = (outer.0 * n, strides);
            }
            _ => out.push((n, strides)),
        }
    }
    out
}

/// Multiply-adds that take as long as one element of a task, for [`crate::fast::Threads::split`].
pub(super) fn cost(task: &Task) -> u64 {
    match task {
        Task::Softmax { .. } => 64,
        Task::Unary(UnaryKind::Exp | UnaryKind::Tanh | UnaryKind::Erf | UnaryKind::Sigmoid) => 64,
        Task::Unary(UnaryKind::Neg | UnaryKind::Abs | UnaryKind::Reciprocal | UnaryKind::Sqrt | UnaryKind::Relu) => 8,
        Task::Binary(BinaryKind::Pow | BinaryKind::FMod) | Task::Unary(_) => 256,
        Task::Binary(_) | Task::Select | Task::Reduce(_) => 8,
    }
}
