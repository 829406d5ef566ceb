//! Small models, one for each thing that a call can meet.

use lockstep_engine::graph::Constant;
use lockstep_engine::ops::binary::{Binary, BinaryKind};
use lockstep_engine::ops::cast::Cast;
use lockstep_engine::ops::concat::Concat;
use lockstep_engine::ops::reshape::Reshape;
use lockstep_engine::ops::unary::{Unary, UnaryKind};
use lockstep_engine::{
    DType, Data, Dim, Feature, Graph, Input, Labels, Limits, LoadedModel, Model, Node, Op, Output, Tensor, ValueId,
};

/// Builds a graph value by value.
#[derive(Default)]
pub struct Builder {
    pub graph: Graph,
    constants: Vec<Tensor>,
}

impl Builder {
    pub fn new(symbols: &[&str]) -> Self {
        let mut b = Self::default();
        b.graph.symbols = symbols.iter().map(|s| (*s).to_owned()).collect();
        b
    }

    pub fn input(&mut self, name: &str, dtype: DType, shape: &[Dim]) -> ValueId {
        self.graph.inputs.push(Input { name: name.to_owned(), dtype, shape: shape.to_vec() });
        ValueId(self.graph.inputs.len() as u32 - 1)
    }

    /// After all inputs.
    pub fn constant(&mut self, t: Tensor) -> ValueId {
        self.graph.constants.push(Constant { dtype: t.dtype(), shape: t.shape.iter().map(|d| *d as u32).collect() });
        self.constants.push(t);
        self.graph.constant_value(self.constants.len() - 1)
    }

    /// After all constants.
    pub fn node(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        self.graph.nodes.push(Node { op: op.into(), inputs: inputs.iter().copied().map(Some).collect() });
        self.graph.node_value(self.graph.nodes.len() - 1)
    }

    pub fn binary(&mut self, kind: BinaryKind, a: ValueId, b: ValueId) -> ValueId {
        self.node(Binary { kind }, &[a, b])
    }

    pub fn unary(&mut self, kind: UnaryKind, a: ValueId) -> ValueId {
        self.node(Unary { kind }, &[a])
    }

    pub fn output(&mut self, name: &str, value: ValueId) {
        self.graph.outputs.push(Output { name: name.to_owned(), value });
    }

    pub fn load(self) -> LoadedModel {
        self.load_with(&Limits::default())
    }

    pub fn load_with(self, limits: &Limits) -> LoadedModel {
        let model = Model::build(self.graph, &self.constants, Vec::new(), limits).unwrap();
        LoadedModel::new(model, limits).unwrap()
    }
}

pub fn n() -> Dim {
    Dim::symbol(0)
}

pub fn vector(v: &[f32]) -> Tensor {
    Tensor::vector(v.to_vec())
}

/// y = x * [1, 2, 3] + 0.5 over rows of three.
pub fn affine() -> LoadedModel {
    let mut b = Builder::new(&["rows"]);
    let x = b.input("x", DType::F32, &[n(), 3.into()]);
    let (w, c) = (b.constant(vector(&[1.0, 2.0, 3.0])), b.constant(vector(&[0.5])));
    let m = b.binary(BinaryKind::Mul, x, w);
    let y = b.binary(BinaryKind::Add, m, c);
    b.output("y", y);
    b.graph.features = ["a", "b", "c"].map(|f| Feature { name: f.to_owned(), categories: Vec::new() }).to_vec();
    b.load()
}

/// One function of one value a row.
pub fn function(kind: UnaryKind) -> LoadedModel {
    let mut b = Builder::new(&["rows"]);
    let x = b.input("x", DType::F32, &[n(), 1.into()]);
    let y = b.unary(kind, x);
    b.output("y", y);
    b.load()
}

/// Scores are the first `columns` values of a row, the label is its last; the table is given.
pub fn labelled(columns: u64, labels: Labels) -> LoadedModel {
    let mut b = Builder::new(&["rows"]);
    let x = b.input("x", DType::F32, &[n(), columns.into()]);
    let l = b.input("l", DType::I64, &[n(), 1.into()]);
    let zero = b.constant(vector(&[0.0]));
    let y = b.binary(BinaryKind::Add, x, zero);
    let l = b.node(Reshape { shape: vec![n()] }, &[l]);
    b.output("scores", y);
    b.output("label", l);
    b.graph.label_output = Some(1);
    b.graph.labels = labels;
    b.load()
}

/// Scores are the row itself; no label.
pub fn scores(columns: u64) -> LoadedModel {
    let mut b = Builder::new(&["rows"]);
    let x = b.input("x", DType::F32, &[n(), columns.into()]);
    let zero = b.constant(vector(&[0.0]));
    let y = b.binary(BinaryKind::Add, x, zero);
    b.output("scores", y);
    b.load()
}

/// Integer division of two values a row.
pub fn divide() -> LoadedModel {
    let mut b = Builder::new(&["rows"]);
    let x = b.input("a", DType::I64, &[n(), 1.into()]);
    let d = b.input("b", DType::I64, &[n(), 1.into()]);
    let y = b.binary(BinaryKind::Div, x, d);
    b.output("y", y);
    b.load()
}

/// Not tabular: a + b of shape [m, k].
pub fn add() -> LoadedModel {
    let mut b = Builder::new(&["m", "k"]);
    let (m, k) = (Dim::symbol(0), Dim::symbol(1));
    let x = b.input("a", DType::F32, &[m.clone(), k.clone()]);
    let y = b.input("b", DType::F32, &[m, k]);
    let y = b.binary(BinaryKind::Add, x, y);
    b.output("sum", y);
    b.load()
}

/// x of [rows, 3] plus five rows of zeros: fits 5 rows, and 1 by broadcasting.
pub fn five_rows() -> LoadedModel {
    let mut b = Builder::new(&["rows"]);
    let x = b.input("x", DType::F32, &[n(), 3.into()]);
    let five = b.constant(Tensor::new(vec![5, 3], Data::F32(vec![0.0; 15])).unwrap());
    let y = b.binary(BinaryKind::Add, x, five);
    b.output("y", y);
    b.load()
}

/// Exactly two rows of two.
pub fn fixed_rows() -> LoadedModel {
    let mut b = Builder::new(&[]);
    let x = b.input("x", DType::F32, &[2.into(), 2.into()]);
    let y = b.unary(UnaryKind::Neg, x);
    b.output("y", y);
    b.load()
}

/// One input of each type, all of [rows, 1]; the outputs are the inputs as f32, joined, and as they are.
pub fn all_types() -> LoadedModel {
    let mut b = Builder::new(&["rows"]);
    let inputs: Vec<ValueId> = DType::ALL.iter().map(|t| b.input(t.name(), *t, &[n(), 1.into()])).collect();
    let floats: Vec<ValueId> = inputs.iter().map(|v| b.node(Cast { to: DType::F32 }, &[*v])).collect();
    let joined = b.node(Concat { axis: 1 }, &floats);
    b.output("joined", joined);
    for (t, v) in DType::ALL.iter().zip(&inputs) {
        let same = b.node(Cast { to: *t }, &[*v]);
        b.output(t.name(), same);
    }
    b.load()
}
