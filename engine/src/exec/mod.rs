//! Running a model: the plain reference, the fast path, and what compares them.

mod compare;
mod fast;
mod reference;

pub use compare::{Difference, first_difference};

use crate::error::ComputeError;
use crate::fast::Level;
use crate::model::{LoadedModel, Plan};
use crate::ops::Op;
use crate::ops::shape::known_shape;
use crate::tensor::{Tensor, TensorType};

/// Which implementation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Implementation {
    /// Prepacked, SIMD, threads.
    #[default]
    Fast,
    /// Plain scalar code that reads like the specification.
    Reference,
}

/// How a run is carried out; never what it computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Which implementation.
    pub implementation: Implementation,
    /// Threads that may work on one operator; 1 keeps everything on the caller's.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { implementation: Implementation::Fast, threads: 1 }
    }
}

/// The result of a node that has no element: such a node is not executed (spec OP-10), so that a shape like
/// (2^32, 0), which costs nothing, also takes no time. A check runs all the same.
fn empty_result(op: &Op, output: &TensorType) -> Option<Tensor> {
    (output.elements() == Some(0) && !matches!(op, Op::Require(_)))
        .then(|| Tensor::empty(output.dtype, known_shape(output)))
}

/// Receives each node's result as it is made.
pub type Observer<'a> = &'a mut dyn FnMut(usize, &Tensor);

impl LoadedModel {
    /// Runs a planned call. `inputs` have the types the plan was made for.
    pub fn run(&self, plan: &Plan, inputs: Vec<Tensor>, options: &Options) -> Result<Vec<Tensor>, ComputeError> {
        match options.implementation {
            Implementation::Fast => self.run_at(Level::detect(), plan, inputs, options.threads),
            Implementation::Reference => self.run_observed(plan, inputs, options, &mut |_, _| {}),
        }
    }

    /// The fast path with the instructions of `level`: for tests and benchmarks, since no bit depends on them.
    pub fn run_at(
        &self,
        level: Level,
        plan: &Plan,
        inputs: Vec<Tensor>,
        threads: usize,
    ) -> Result<Vec<Tensor>, ComputeError> {
        crate::float::env::check().map_err(ComputeError::Environment)?;
        fast::run(self, plan, inputs, fast::Way { level, threads, together: true }, &mut |_, _| {})
    }

    /// The same, with operators computed together as [`Self::run`] does it, showing the results that are made: those of
    /// the last operators of groups. For tests and benchmarks.
    pub fn run_together(
        &self,
        plan: &Plan,
        inputs: Vec<Tensor>,
        threads: usize,
        observer: Observer<'_>,
    ) -> Result<Vec<Tensor>, ComputeError> {
        crate::float::env::check().map_err(ComputeError::Environment)?;
        fast::run(self, plan, inputs, fast::Way { level: Level::detect(), threads, together: true }, observer)
    }

    /// The same as [`Self::run`], operator by operator, showing every node's result.
    pub fn run_observed(
        &self,
        plan: &Plan,
        inputs: Vec<Tensor>,
        options: &Options,
        observer: Observer<'_>,
    ) -> Result<Vec<Tensor>, ComputeError> {
        crate::float::env::check().map_err(ComputeError::Environment)?;
        match options.implementation {
            Implementation::Fast => {
                let way = fast::Way { level: Level::detect(), threads: options.threads, together: false };
                fast::run(self, plan, inputs, way, observer)
            }
            Implementation::Reference => reference::run(self, plan, inputs, observer),
        }
    }
}
