//! The graph under construction: values with their types, engine operators appended one by one.
//!
//! Appending infers the type by the engine's own rule and folds constants by the engine's own
//! arithmetic, so that a lowering sees types and constants, and the same file gives the same model.

mod elem;
mod finish;
mod fold;
mod helpers;

use std::collections::HashMap;
use std::sync::Arc;

use lockstep_engine::dim::Bindings;
use lockstep_engine::{DType, Data, Dim, Op, Tensor, TensorType};

pub(crate) use elem::Elem;
pub(crate) use finish::Finished;

use crate::error::{Lowered, refuse};
use crate::read::InputType;

/// A value of the graph under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Val(u32);

/// Where a value comes from.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Input(usize),
    Constant(Arc<Tensor>),
    Node {
        op: Op,
        inputs: Vec<Option<Val>>,
        name: Arc<str>,
    },
    /// An integer tensor made of dimensions, row-major; becomes a node only where an operator takes it.
    Dims(Arc<Vec<Elem>>),
}

/// What a value says about classes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Label {
    /// Positions of the greatest score.
    Position,
    /// One of these integers.
    OneOf(Arc<Vec<i64>>),
}

#[derive(Debug, Clone)]
struct Value {
    ty: TensorType,
    kind: Kind,
    label: Option<Label>,
}

/// A column of strings of an input: its categories, in the order in which the model mentions them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct StringColumn {
    pub(crate) input: usize,
    pub(crate) position: usize,
    pub(crate) categories: Vec<String>,
    codes: HashMap<String, i64>,
}

impl StringColumn {
    /// The values at one position of an input's rows.
    pub(crate) fn new(input: usize, position: usize) -> Self {
        Self { input, position, ..Self::default() }
    }

    /// The code of a category.
    pub(crate) fn code(&mut self, category: &str) -> i64 {
        if let Some(code) = self.codes.get(category) {
            return *code;
        }
        let code = self.categories.len() as i64;
        self.categories.push(category.to_owned());
        self.codes.insert(category.to_owned(), code);
        code
    }
}

/// The graph under construction.
#[derive(Debug)]
pub(crate) struct Builder {
    values: Vec<Value>,
    inputs: usize,
    node_name: Arc<str>,
    fold_budget: u64,
    fold_bytes: u64,
    /// Columns of the string inputs.
    pub(crate) columns: Vec<StringColumn>,
    /// What the author may want to know.
    pub(crate) notes: Vec<String>,
}

impl Builder {
    /// A graph with these inputs; they are its first values.
    pub(crate) fn new(inputs: Vec<InputType>) -> Self {
        let values: Vec<Value> = inputs
            .into_iter()
            .enumerate()
            .map(|(i, t)| Value { ty: TensorType::new(t.dtype, t.shape), kind: Kind::Input(i), label: None })
            .collect();
        Self {
            inputs: values.len(),
            values,
            node_name: "".into(),
            fold_budget: fold::BUDGET,
            fold_bytes: fold::BYTES,
            columns: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The value of input `i`.
    pub(crate) fn input(&self, i: usize) -> Val {
        Val(i as u32)
    }

    /// Nodes appended from now on come from this one of the source.
    pub(crate) fn set_node_name(&mut self, name: &str) {
        self.node_name = name.into();
    }

    /// The node of the source that is being written.
    pub(crate) fn node_name(&self) -> &str {
        &self.node_name
    }

    /// Adds a note, once.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    fn add(&mut self, ty: TensorType, kind: Kind) -> Val {
        self.values.push(Value { ty, kind, label: None });
        Val((self.values.len() - 1) as u32)
    }

    /// A constant.
    pub(crate) fn constant(&mut self, t: Tensor) -> Val {
        self.add(t.ty(), Kind::Constant(Arc::new(t)))
    }

    /// An integer tensor whose elements are dimensions.
    pub(crate) fn dims_value(&mut self, elems: Vec<Elem>, shape: Vec<usize>, dtype: DType) -> Val {
        let numbers: Option<Vec<i64>> = elems.iter().map(Elem::as_int).collect();
        match numbers {
            Some(v) => {
                let data = match dtype {
                    DType::I32 => Data::I32(v.into_iter().map(|x| x as i32).collect()),
                    _ => Data::I64(v),
                };
                self.constant(Tensor { shape, data })
            }
            None => self.add(TensorType::known(dtype, &shape), Kind::Dims(Arc::new(elems))),
        }
    }

    /// Type of a value.
    pub(crate) fn ty(&self, v: Val) -> &TensorType {
        &self.values[v.0 as usize].ty
    }

    /// Element type of a value.
    pub(crate) fn dtype(&self, v: Val) -> DType {
        self.ty(v).dtype
    }

    /// Shape of a value.
    pub(crate) fn shape(&self, v: Val) -> Vec<Dim> {
        self.ty(v).shape.clone()
    }

    /// Rank of a value.
    pub(crate) fn rank(&self, v: Val) -> usize {
        self.ty(v).rank()
    }

    /// The tensor, where the value is constant.
    pub(crate) fn as_constant(&self, v: Val) -> Option<Arc<Tensor>> {
        match &self.values[v.0 as usize].kind {
            Kind::Constant(t) => Some(t.clone()),
            _ => None,
        }
    }

    /// The elements of an integer tensor that is constant or made of dimensions.
    pub(crate) fn elems(&self, v: Val) -> Option<Vec<Elem>> {
        match &self.values[v.0 as usize].kind {
            Kind::Dims(e) => Some((**e).clone()),
            // Without elements nothing depends on data.
            Kind::Input(_) | Kind::Node { .. } if self.ty(v).shape == [Dim::Known(0)] => Some(Vec::new()),
            Kind::Constant(t) if t.data.len() <= elem::MAX_ELEMENTS => match &t.data {
                Data::I64(v) => Some(v.iter().map(|x| Elem::Int(*x)).collect()),
                Data::I32(v) => Some(v.iter().map(|x| Elem::Int(i64::from(*x))).collect()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the value is made of dimensions, some of them symbolic.
    pub(crate) fn is_dims(&self, v: Val) -> bool {
        matches!(self.values[v.0 as usize].kind, Kind::Dims(_))
    }

    /// What the value says about classes.
    pub(crate) fn label(&self, v: Val) -> Option<Label> {
        self.values[v.0 as usize].label.clone()
    }

    /// Marks what the value says about classes.
    pub(crate) fn set_label(&mut self, v: Val, label: Option<Label>) {
        if label.is_some() && self.as_constant(v).is_none() {
            self.values[v.0 as usize].label = label;
        }
    }

    /// Appends an operator.
    pub(crate) fn push(&mut self, op: impl Into<Op>, inputs: &[Val]) -> Lowered<Val> {
        self.push_opt(op, &inputs.iter().map(|v| Some(*v)).collect::<Vec<_>>())
    }

    /// Appends an operator, some of whose operands may be absent.
    pub(crate) fn push_opt(&mut self, op: impl Into<Op>, inputs: &[Option<Val>]) -> Lowered<Val> {
        let op = op.into();
        let mut operands: Vec<Option<Val>> = Vec::with_capacity(inputs.len());
        for v in inputs {
            operands.push(v.map(|v| self.materialise(v)).transpose()?);
        }
        while operands.last() == Some(&None) {
            operands.pop();
        }
        let (least, most) = op.definition().arity();
        if !(least..=most).contains(&operands.len()) {
            return refuse!("{} takes {least} to {most} operands, {} came", op.name(), operands.len());
        }
        let types: Vec<Option<&TensorType>> = operands.iter().map(|v| v.map(|v| self.ty(v))).collect();
        let mut out = op.definition().infer(&types, &Bindings::SYMBOLIC)?;
        let (Some(ty), true) = (out.pop(), out.is_empty()) else {
            return refuse!("{} has no single result", op.name());
        };
        if let Some(t) = self.fold(&op, &operands, &ty)? {
            return Ok(self.constant(t));
        }
        let name = self.node_name.clone();
        Ok(self.add(ty, Kind::Node { op, inputs: operands, name }))
    }

    /// The value as one that a node can take.
    fn materialise(&mut self, v: Val) -> Lowered<Val> {
        let value = &self.values[v.0 as usize];
        let Kind::Dims(elems) = &value.kind else { return Ok(v) };
        let (elems, ty) = (elems.clone(), value.ty.clone());
        let mut parts = Vec::with_capacity(elems.len());
        for e in elems.iter() {
            parts.push(match e {
                Elem::Int(n) => self.constant(Tensor { shape: vec![1], data: Data::I64(vec![*n]) }),
                Elem::Dim(d) if Elem::is_natural(d) => self.count(d)?,
                Elem::Dim(_) => return refuse!("a dimension that may be negative is used as a number"),
            });
        }
        let joined = self.concat(&parts, 0)?;
        let cast = self.cast(joined, ty.dtype)?;
        let out = self.reshape(cast, &ty.shape)?;
        // The next use takes the same node.
        self.values[v.0 as usize].kind = self.values[out.0 as usize].kind.clone();
        Ok(out)
    }

    /// A dimension as an i64 tensor of shape [1]: the sum of that many ones.
    fn count(&mut self, d: &Dim) -> Lowered<Val> {
        use lockstep_engine::ops::{expand::Expand, reduce::Reduce, reduce::ReduceKind};
        let one = self.constant(Tensor { shape: vec![1], data: Data::I64(vec![1]) });
        let ones = self.push(Expand { shape: vec![d.clone()] }, &[one])?;
        self.push(Reduce { kind: ReduceKind::Sum, axes: vec![0], keep_dims: true }, &[ones])
    }
}
