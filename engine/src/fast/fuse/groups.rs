//! Which operators are computed together: found once, when a model is loaded.
//!
//! A group is a run of neighbouring nodes of which only the last one's result is read by anything outside. Nothing else is
//! computed between them, so that all that a group reads is alive when its first node runs; it makes one result where
//! its nodes, one by one, would hold two: peak memory can only be lower.

use crate::Dim;
use crate::graph::{Checked, Graph, Node, ValueId};
use crate::ops::Op;
use crate::ops::binary::BinaryKind;
use crate::ops::reduce::ReduceKind;
use crate::ops::unary::UnaryKind;
use crate::tensor::DType;

use super::loops;

/// Most nodes of a group.
const MOST: usize = 24;

/// What a step computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Task {
    Unary(UnaryKind),
    Binary(BinaryKind),
    /// The condition comes first.
    Select,
    /// Softmax of each row, or its logarithm.
    Softmax {
        log: bool,
    },
    /// One number for each row.
    Reduce(ReduceKind),
}

/// Where an operand of a step comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Source {
    /// A whole intermediate result.
    Register(usize),
    /// One number for each row.
    Row(usize),
    /// A tensor from outside.
    External(usize),
}

/// Where a step's result goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    Register(usize),
    Row(usize),
    Output,
}

/// One node of a group.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) task: Task,
    pub(super) operands: Vec<Source>,
    pub(super) to: Target,
}

/// Nodes that are computed together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    /// First and last node.
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// The register of the first node's result where that is a contraction, to whose outputs the rest is done.
    pub(super) head: Option<usize>,
    /// Last axes that make a row, where a step works on rows; 0 where none does.
    pub(super) trailing: usize,
    pub(super) steps: Vec<Step>,
    /// Tensors from outside.
    pub(crate) externals: Vec<ValueId>,
    /// Whole intermediate results held at a time.
    pub(super) registers: usize,
    /// Results of one number for each row.
    pub(super) rows: usize,
}

/// The groups of a graph, ascending.
pub(crate) fn find(graph: &Graph, checked: &Checked) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut first = 0;
    while first < graph.nodes.len() {
        let group = Growing::new(graph, checked, first).grow();
        first = group.as_ref().map_or(first, |g| g.last) + 1;
        groups.extend(group);
    }
    groups
}

/// Whether a node is a contraction that hands its outputs on.
pub(super) fn is_head(op: &Op) -> bool {
    matches!(op, Op::MatMul(_) | Op::Gemm(_) | Op::Conv(_) | Op::QuantizedMatMul(_) | Op::QuantizedConv(_))
}

/// Form of an intermediate result.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Full,
    Row,
}

struct Growing<'a> {
    graph: &'a Graph,
    checked: &'a Checked,
    first: usize,
    /// Shape of a whole result.
    full: Option<&'a [Dim]>,
    trailing: usize,
    members: Vec<(Option<Task>, Form)>,
}

impl<'a> Growing<'a> {
    fn new(graph: &'a Graph, checked: &'a Checked, first: usize) -> Self {
        Self { graph, checked, first, full: None, trailing: 0, members: Vec::new() }
    }

    fn shape(&self, v: ValueId) -> &'a [Dim] {
        &self.checked.types[v.0 as usize].shape
    }

    fn dtype(&self, v: ValueId) -> DType {
        self.checked.types[v.0 as usize].dtype
    }

    /// The member that makes a value.
    fn member(&self, v: ValueId) -> Option<usize> {
        self.graph.defining_node(v)?.checked_sub(self.first)
    }

    fn grow(mut self) -> Option<Group> {
        let mut best = None;
        for n in self.first..self.graph.nodes.len().min(self.first + MOST) {
            let Some(member) = self.classify(n) else { break };
            self.members.push(member);
            if self.ends(n) {
                best = Some((n, self.trailing));
            }
        }
        let (last, trailing) = best?;
        // A contraction alone is no group.
        if last == self.first && self.members[0].0.is_none() {
            return None;
        }
        self.members.truncate(last - self.first + 1);
        self.trailing = trailing;
        Some(self.assign(last))
    }

    /// Whether a group may end with this member: it is whole, and nothing outside reads another.
    fn ends(&self, last: usize) -> bool {
        let inside = |n: usize| self.checked.last_use[self.graph.node_value(n).0 as usize] <= last as u32;
        self.members.last().is_some_and(|m| m.1 == Form::Full) && (self.first..last).all(inside)
    }

    /// What a node would do in this group; `None` where it cannot be part of it.
    fn classify(&mut self, n: usize) -> Option<(Option<Task>, Form)> {
        let node: &Node = &self.graph.nodes[n];
        let value = self.graph.node_value(n);
        if self.dtype(value) != DType::F32 {
            return None;
        }
        let operands: Vec<ValueId> = node.inputs.iter().copied().collect::<Option<_>>().unwrap_or_default();
        if n == self.first {
            if is_head(&node.op) {
                self.full = Some(self.shape(value));
                return Some((None, Form::Full));
            }
        } else if !operands.iter().any(|v| self.member(*v).is_some()) {
            return None;
        }
        let shape = self.shape(value);
        let task = match &node.op {
            Op::Unary(u) if u.kind.on_f32().is_some() && self.dtype(operands[0]) == DType::F32 => Task::Unary(u.kind),
            Op::Binary(b) if b.kind.on_f32().is_some() => Task::Binary(b.kind),
            Op::Select(_) => Task::Select,
            Op::Softmax(s) if usize::from(s.axis) + 1 == shape.len() => {
                self.rows_of(1)?;
                Task::Softmax { log: s.log }
            }
            Op::Reduce(r) if r.keep_dims && loops::reduces(r.kind) => {
                let x = self.shape(*operands.first()?);
                let kept = x.len().checked_sub(r.axes.len())?;
                let last = r.axes.iter().zip(kept..).all(|(a, i)| usize::from(*a) == i);
                if !last || *self.full.get_or_insert(x) != x {
                    return None;
                }
                self.rows_of(r.axes.len())?;
                return Some((Some(Task::Reduce(r.kind)), Form::Row));
            }
            _ => return None,
        };
        if *self.full.get_or_insert(shape) == shape {
            return Some((Some(task), Form::Full));
        }
        // Numbers of rows among themselves, and with single numbers.
        let fits = |v: &ValueId| match self.member(*v) {
            Some(m) => self.members[m].1 == Form::Row,
            None => self.dtype(*v) == DType::F32 && self.shape(*v).iter().all(|d| *d == Dim::Known(1)),
        };
        let simple = matches!(task, Task::Unary(_) | Task::Binary(_));
        (simple && self.is_row(shape) && operands.iter().all(fits)).then_some((Some(task), Form::Row))
    }

    /// Rows of so many last axes, the same for all steps.
    fn rows_of(&mut self, axes: usize) -> Option<()> {
        if self.trailing == 0 {
            self.trailing = axes;
        }
        (self.trailing == axes).then_some(())
    }

    fn is_row(&self, shape: &[Dim]) -> bool {
        let Some(full) = self.full.filter(|f| f.len() == shape.len() && self.trailing > 0) else { return false };
        let kept = full.len() - self.trailing;
        shape[..kept] == full[..kept] && shape[kept..].iter().all(|d| *d == Dim::Known(1))
    }

    /// Gives registers to results, each until its last reader.
    fn assign(self, last: usize) -> Group {
        let mut group = Group {
            first: self.first,
            last,
            head: None,
            trailing: self.trailing,
            steps: Vec::new(),
            externals: Vec::new(),
            registers: 0,
            rows: 0,
        };
        let mut places: Vec<Source> = Vec::new();
        let mut free: Vec<usize> = Vec::new();
        for (i, (task, form)) in self.members.iter().enumerate() {
            let n = self.first + i;
            let inputs = &self.graph.nodes[n].inputs;
            let to = match form {
                _ if n == last => Target::Output,
                Form::Row => {
                    group.rows += 1;
                    Target::Row(group.rows - 1)
                }
                // One that no operand of this step is in.
                Form::Full => Target::Register(free.pop().unwrap_or_else(|| {
                    group.registers += 1;
                    group.registers - 1
                })),
            };
            if let Some(task) = task {
                let source = |v: &ValueId| match self.member(*v) {
                    Some(m) => places[m],
                    None => Source::External(group.externals.iter().position(|e| e == v).unwrap_or_else(|| {
                        group.externals.push(*v);
                        group.externals.len() - 1
                    })),
                };
                let operands = inputs.iter().flatten().map(source).collect();
                group.steps.push(Step { task: *task, operands, to });
            } else if let Target::Register(r) = to {
                group.head = Some(r);
            }
            places.push(match to {
                Target::Row(r) => Source::Row(r),
                Target::Register(r) => Source::Register(r),
                // Nothing in the group reads the last result.
                Target::Output => Source::External(usize::MAX),
            });
            for (m, place) in places.iter().enumerate() {
                let dies = self.checked.last_use[self.graph.node_value(self.first + m).0 as usize] == n as u32;
                if let (true, Source::Register(r)) = (dies && task.is_some(), place) {
                    free.push(*r);
                }
            }
        }
        group
    }
}
