//! The fast path: kernels with the reference's bits, chosen by CPU feature only.
//!
//! A family without a kernel here runs its reference. Adding one: a file beside these with the family's
//! kernel, an arm in [`run_at`], and, where constants are laid out at load, a variant of [`Prepared`]
//! and an arm in [`prepare`].

mod contraction;
mod conv;
mod depthwise;
pub mod elementary;
mod elementwise;
pub(crate) mod fuse;
mod gemm;
mod integer;
mod kernel;
mod level;
mod panels;
mod pool;
mod positions;
mod reduce;
mod sheet;
mod slice;
mod softmax;
pub(crate) mod spare;
#[cfg(test)]
pub(crate) mod testing;
mod threads;
mod transpose;
mod tree;

pub use integer::BytePanels;
pub use level::Level;
pub use panels::Panels;
pub use threads::{MAX_THREADS, Threads, check_workers};
pub use tree::Forest;

use crate::error::ValueFault;
use crate::ops::Op;
use crate::tensor::{Tensor, TensorType};

/// Operands that are constants, laid out for a kernel at load.
#[derive(Debug)]
pub enum Prepared {
    /// Nothing to prepare.
    None,
    /// The right side of a contraction.
    Panels(Panels),
    /// The same of integers.
    Bytes(BytePanels),
    /// The trees of an ensemble.
    Forest(Forest),
}

impl Prepared {
    /// Adds all words to a sum.
    pub(crate) fn add_to(&self, sum: &mut crate::resident::Sum) {
        match self {
            Self::None => {}
            Self::Panels(p) => p.add_to(sum),
            Self::Bytes(p) => p.add_to(sum),
            Self::Forest(f) => f.add_to(sum),
        }
    }
}

/// Why a kernel gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The call's values.
    Value(ValueFault),
    /// This machine.
    Environment(&'static str),
}

impl From<ValueFault> for Failure {
    fn from(v: ValueFault) -> Self {
        Self::Value(v)
    }
}

/// Bytes that the laid-out constants of a model may take. Many nodes may share one constant, and a column stands in
/// a panel of sixteen: without a bound a small file could fill the memory.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    /// For a model with so many bytes of weights: four times those, and 16 MiB.
    pub fn new(weight_bytes: u64) -> Self {
        Self(weight_bytes.saturating_mul(4).saturating_add(16 << 20))
    }

    /// Takes bytes, where so many are left.
    fn take(&mut self, bytes: u64) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// Lays out the constant operands of a node. What the budget has no room for is laid out by each run (the price of
/// a run always includes it), or taken by the reference.
pub fn prepare(op: &Op, constants: &[Option<&Tensor>], budget: &mut Budget) -> Prepared {
    let constant = |i: usize| constants.get(i).copied().flatten();
    if let Op::TreeEnsemble(t) = op {
        // Tables once more, widened.
        let bytes = constants.iter().flatten().fold(0u64, |n, t| n.saturating_add(8 * t.data.len() as u64));
        return match budget.take(bytes) {
            true => tree::prepare(t, constants).map_or(Prepared::None, Prepared::Forest),
            false => Prepared::None,
        };
    }
    if let Some(panels) = integer::prepare(op, constants, |bytes| budget.take(bytes)) {
        return Prepared::Bytes(panels);
    }
    let layout = match op {
        Op::MatMul(_) => constant(1).and_then(contraction::matmul_layout),
        Op::Gemm(g) => constant(1).and_then(|b| contraction::gemm_layout(g, b)),
        Op::Conv(c) => constant(1).and_then(|w| conv::layout(c, w)),
        _ => None,
    };
    if !layout.is_some_and(|[count, k, n]| budget.take(Panels::bytes(count, k, n))) {
        return Prepared::None;
    }
    let panels = match op {
        Op::MatMul(_) => constant(1).and_then(contraction::prepare_matmul),
        Op::Gemm(g) => constant(1).and_then(|b| contraction::prepare_gemm(g, b)),
        Op::Conv(c) => constant(1).and_then(|w| conv::prepare(c, w)),
        _ => None,
    };
    panels.map_or(Prepared::None, Prepared::Panels)
}

/// Runs one operator.
pub fn run(
    op: &Op,
    prepared: &Prepared,
    inputs: &[Option<&Tensor>],
    output: &TensorType,
    threads: &Threads,
) -> Result<Tensor, Failure> {
    run_at(Level::detect(), op, prepared, inputs, output, threads)
}

/// Runs one operator with the instructions of `level`; the bits are the same with any.
pub fn run_at(
    level: Level,
    op: &Op,
    prepared: &Prepared,
    inputs: &[Option<&Tensor>],
    output: &TensorType,
    threads: &Threads,
) -> Result<Tensor, Failure> {
    let operand = |i: usize| inputs.get(i).copied().flatten();
    if let Some(done) = contraction_at(level, op, prepared, inputs, output, threads, None) {
        return done;
    }
    if let (Op::TreeEnsemble(t), Prepared::Forest(forest), Some(x)) = (op, prepared, operand(0)) {
        return tree::run(t, forest, x, output, threads);
    }
    let done = match (op, operand(0)) {
        (Op::Pool(p), Some(x)) => pool::run(p, level, x, output, threads),
        (Op::Softmax(s), Some(x)) => softmax::run(s, level, x, threads),
        (Op::Reduce(r), Some(x)) => reduce::run(r, x, output, threads),
        (Op::Slice(s), Some(x)) => slice::run(s, x, output).map(Ok),
        (Op::Transpose(t), Some(x)) => transpose::run(t, x, output, threads),
        _ => elementwise::run(op, level, inputs, output, threads),
    };
    if let Some(done) = done {
        return done;
    }
    let out = op.definition().reference(inputs, std::slice::from_ref(output))?;
    out.into_iter().next().ok_or(Failure::Environment("an operator gave no result"))
}

/// Runs a contraction, and `after` on its outputs, where they are f32, part by part; `None` where there is no kernel for it.
/// The parts of a matrix product of several rows are whole rows.
fn contraction_at(
    level: Level,
    op: &Op,
    prepared: &Prepared,
    inputs: &[Option<&Tensor>],
    output: &TensorType,
    threads: &Threads,
    after: Option<fuse::After<'_>>,
) -> Option<Result<Tensor, Failure>> {
    let operand = |i: usize| inputs.get(i).copied().flatten();
    let (panels, bytes) = match prepared {
        Prepared::Panels(p) => (Some(p), None),
        Prepared::Bytes(p) => (None, Some(p)),
        _ => (None, None),
    };
    let (x, w) = (operand(0)?, operand(1)?);
    // Without a tap there is nothing to unfold.
    let taps = !w.data.is_empty();
    Some(match op {
        Op::IntegerMatMul(m) => integer::integer_matmul(m, level, bytes, inputs, output, threads),
        Op::IntegerConv(c) if taps => integer::integer_conv(c, level, bytes, inputs, output, threads),
        Op::QuantizedMatMul(m) => integer::quantized_matmul(m, level, bytes, inputs, output, threads, after),
        Op::QuantizedConv(c) if taps => integer::quantized_conv(c, level, bytes, inputs, output, threads, after),
        Op::MatMul(m) => contraction::matmul(m, level, panels, [x, w], output, threads, after),
        Op::Gemm(g) => contraction::gemm_operator(g, level, panels, [x, w], operand(2), output, threads, after),
        Op::Conv(c) if taps => conv::run(c, level, panels, [x, w], operand(2), output, threads, after),
        _ => return None,
    })
}
