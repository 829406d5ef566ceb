//! What an import takes and gives.

use std::io;

use lockstep_engine::{DType, Limits, Model};

use crate::card::{Card, Example};

/// Reads a file that lies beside the model, by its path relative to the model's directory.
pub type External<'a> = &'a dyn Fn(&str) -> io::Result<Vec<u8>>;

/// How a file is imported.
#[derive(Clone, Copy, Default)]
pub struct ImportOptions<'a> {
    /// Reads external data. The importer asks only for paths without `..` and without a root.
    pub external: Option<External<'a>>,
    /// Names of the values of a row, instead of those made from the inputs' names.
    pub features: Option<&'a [String]>,
    /// Names of the classes, in the order of the model's own.
    pub labels: Option<&'a [String]>,
    /// Iterations for which a loop is unrolled whose number of iterations depends on data; a call that needs more
    /// fails. Without it such a loop is refused.
    pub loop_bound: Option<u64>,
    /// The chain's limits.
    pub limits: Limits,
    /// For the card.
    pub card: CardOptions<'a>,
}

impl std::fmt::Debug for ImportOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportOptions")
            .field("external", &self.external.is_some())
            .field("features", &self.features)
            .field("labels", &self.labels)
            .field("loop_bound", &self.loop_bound)
            .field("limits", &self.limits)
            .field("card", &self.card)
            .finish()
    }
}

/// What the card says that the file does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct CardOptions<'a> {
    /// Name of the model; otherwise the graph's.
    pub name: Option<&'a str>,
    /// Licence.
    pub licence: Option<&'a str>,
    /// `classification` or `regression`.
    pub task: Option<&'a str>,
    /// Range of each feature in the training data, in order.
    pub training_ranges: &'a [Option<[f64; 2]>],
    /// One row with its answer.
    pub example: Option<&'a Example>,
}

/// An imported model.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The model; its card is [`Self::card`] as JSON.
    pub model: Model,
    /// The card.
    pub card: Card,
    /// What the import did that the author may want to know.
    pub notes: Vec<String>,
    /// The source file's name of each node of the graph.
    pub node_names: Vec<String>,
    /// The inputs as the author's file has them.
    pub inputs: Vec<InputInfo>,
}

/// An input as the author's file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputInfo {
    /// Name.
    pub name: String,
    /// Type in the file: `float`, `int64`, `string`, ...
    pub onnx_type: String,
    /// Type in the model; strings are i64 codes.
    pub dtype: DType,
    /// Shape as text, dimension by dimension.
    pub shape: Vec<String>,
    /// Position of its first value in a row of features, where the model is tabular.
    pub first_feature: Option<usize>,
}
