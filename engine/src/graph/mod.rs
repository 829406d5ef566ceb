//! The graph: typed operators over values, in topological order (spec section 2).

mod check;

pub use check::Checked;

use crate::dim::Dim;
use crate::ops::Op;
use crate::tensor::{DType, TensorType};

/// Number of a value: inputs first, then constants, then the nodes' outputs in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u32);

/// An input of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Name, as in the author's file.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Dimensions: numbers and plain symbols.
    pub shape: Vec<Dim>,
}

/// A tensor of the weights section; its place follows from the ones before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constant {
    /// Element type.
    pub dtype: DType,
    /// Dimensions.
    pub shape: Vec<u32>,
}

impl Constant {
    /// Its type.
    pub fn ty(&self) -> TensorType {
        TensorType::new(self.dtype, self.shape.iter().map(|d| Dim::Known(u64::from(*d))).collect())
    }
}

/// One operator with its operands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The operator.
    pub op: Op,
    /// Operands; an absent optional one is `None`.
    pub inputs: Vec<Option<ValueId>>,
}

/// An output of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Name, as in the author's file.
    pub name: String,
    /// The value.
    pub value: ValueId,
}

/// One value of an input row, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Feature {
    /// Name.
    pub name: String,
    /// The strings that the codes 0.. stand for; empty for a number.
    pub categories: Vec<String>,
}

/// Names of the classes, in the order of their indices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Labels {
    /// No table.
    #[default]
    None,
    /// Integer labels; the label output holds them.
    Ints(Vec<i64>),
    /// String labels; the label output holds their indices.
    Strings(Vec<String>),
}

impl Labels {
    /// Number of classes.
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Ints(v) => v.len(),
            Self::Strings(v) => v.len(),
        }
    }

    /// Whether there is no table.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels as text.
    pub fn to_strings(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Ints(v) => v.iter().map(i64::to_string).collect(),
            Self::Strings(v) => v.clone(),
        }
    }
}

/// A model without its weights. Everything here is part of the modelId.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Names of the symbolic dimensions, by number; in the order in which the inputs first use them.
    pub symbols: Vec<String>,
    /// Inputs.
    pub inputs: Vec<Input>,
    /// Tensors of the weights section.
    pub constants: Vec<Constant>,
    /// Operators, each after those whose outputs it takes.
    pub nodes: Vec<Node>,
    /// Outputs.
    pub outputs: Vec<Output>,
    /// The output that `infer` returns.
    pub primary_output: u16,
    /// The output that holds the model's own class decision.
    pub label_output: Option<u16>,
    /// Names of the values of a row; empty, or one for each.
    pub features: Vec<Feature>,
    /// Names of the classes.
    pub labels: Labels,
}

impl Graph {
    /// The value of input `i`.
    pub fn input_value(&self, i: usize) -> ValueId {
        ValueId(i as u32)
    }

    /// The value of constant `i`.
    pub fn constant_value(&self, i: usize) -> ValueId {
        ValueId((self.inputs.len() + i) as u32)
    }

    /// The constant that a value is, if it is one.
    pub fn as_constant(&self, v: ValueId) -> Option<usize> {
        (v.0 as usize).checked_sub(self.inputs.len()).filter(|c| *c < self.constants.len())
    }

    /// The value that node `i` defines (every operator has one output).
    pub fn node_value(&self, i: usize) -> ValueId {
        ValueId((self.inputs.len() + self.constants.len() + i) as u32)
    }

    /// The node that defines a value, if one does.
    pub fn defining_node(&self, v: ValueId) -> Option<usize> {
        (v.0 as usize).checked_sub(self.inputs.len() + self.constants.len())
    }

    /// What evaluating the shapes of a call has to look at: nodes, their operands, inputs and outputs (spec GAS-1, stage 4).
    pub fn shape_items(&self) -> usize {
        let operands: usize = self.nodes.iter().map(|n| n.inputs.len()).sum();
        self.nodes.len() + operands + self.inputs.len() + self.outputs.len()
    }

    /// Values of one row of `infer`: the product of the dimensions after the first, over all inputs.
    /// `None` where the model is not tabular (spec ABI-3).
    pub fn row_features(&self) -> Option<u64> {
        let rows = self.rows_dim()?;
        self.inputs.iter().try_fold(0u64, |sum, i| {
            if i.shape.first()? != rows {
                return None;
            }
            let n = i.shape[1..].iter().try_fold(1u64, |n, d| n.checked_mul(d.as_known()?))?;
            sum.checked_add(n)
        })
    }

    /// The first dimension that all inputs of a tabular model share.
    pub fn rows_dim(&self) -> Option<&Dim> {
        self.inputs.first()?.shape.first()
    }
}
