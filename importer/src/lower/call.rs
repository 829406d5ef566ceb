//! One node as a lowering sees it: operands, attributes, the graph to append to.

use lockstep_engine::{DType, Data, Dim, Tensor};

use crate::build::{Builder, Elem, Val};
use crate::declared::Declared;
use crate::error::{Lowered, Refusal, refuse};
use crate::proto::TensorProto;
use crate::read::{Attrs, Externals};
use crate::slot::{Foreign, ForeignData, Slot};

/// One node.
pub(crate) struct Call<'a> {
    pub(crate) b: &'a mut Builder,
    pub(crate) op: &'a str,
    /// Version of the operator set that the node's domain has in this file.
    pub(crate) version: i64,
    pub(crate) attrs: Attrs<'a>,
    pub(crate) inputs: Vec<Option<Slot>>,
    pub(crate) input_names: &'a [String],
    /// Which outputs are named.
    pub(crate) outputs: Vec<bool>,
    /// The shapes that the file declares for the outputs.
    pub(crate) declared: Vec<Declared>,
    pub(crate) externals: &'a Externals<'a>,
}

/// What a lowering gives: its outputs in order.
pub(crate) type Outputs = Lowered<Vec<Slot>>;

/// One output.
pub(crate) fn one(v: Val) -> Outputs {
    Ok(vec![Slot::Tensor(v)])
}

impl Call<'_> {
    fn name(&self, i: usize) -> String {
        self.input_names.get(i).cloned().unwrap_or_default()
    }

    /// Whether operand `i` is there.
    pub(crate) fn has(&self, i: usize) -> bool {
        matches!(self.inputs.get(i), Some(Some(_)))
    }

    /// Whether output `i` is taken by name.
    pub(crate) fn wants(&self, i: usize) -> bool {
        self.outputs.get(i) == Some(&true)
    }

    /// Operand `i`, whatever it is.
    pub(crate) fn slot(&self, i: usize) -> Lowered<Slot> {
        match self.inputs.get(i) {
            Some(Some(s)) => Ok(s.clone()),
            _ => refuse!("operand {i} is missing"),
        }
    }

    /// Operand `i` as a tensor.
    pub(crate) fn x(&self, i: usize) -> Lowered<Val> {
        match self.slot(i)? {
            Slot::Tensor(v) => Ok(v),
            other => Err(self.no_tensor(&other, i)),
        }
    }

    /// Operand `i` as a tensor, where it is there.
    pub(crate) fn opt(&self, i: usize) -> Lowered<Option<Val>> {
        if self.has(i) { self.x(i).map(Some) } else { Ok(None) }
    }

    /// Why operand `i` is no tensor to compute with.
    pub(crate) fn no_tensor(&self, s: &Slot, i: usize) -> Refusal {
        let r = match s {
            Slot::Poisoned => return Refusal::silent(),
            Slot::Refused(r) => return (**r).clone(),
            Slot::Foreign(f) => Refusal::new(format!("a constant of {} is used in a computation", f.type_name()))
                .advice("export the model in float32 with int32 or int64 integers"),
            Slot::Widened(_) => Refusal::new("a computation in float64: this arithmetic is float32")
                .advice("export the model in float32"),
            Slot::Strings(_) | Slot::Codes(_) | Slot::Labels(..) => {
                Refusal::new("a tensor of strings where only categories and labels may be")
            }
            Slot::Tensor(_) => Refusal::new("internal: a tensor is none"),
        };
        r.tensor(self.name(i))
    }

    /// All operands as tensors.
    pub(crate) fn all(&self) -> Lowered<Vec<Val>> {
        (0..self.inputs.len()).map(|i| self.x(i)).collect()
    }

    /// Operand `i`, constant integers of any type.
    pub(crate) fn ints(&self, i: usize, what: &str) -> Lowered<Vec<i64>> {
        self.elems(i, what)?
            .iter()
            .map(|e| {
                e.as_int()
                    .ok_or_else(|| Refusal::new(format!("{what} depends on a symbolic dimension")).tensor(self.name(i)))
            })
            .collect()
    }

    /// Operand `i`, integers that are constant or made of dimensions.
    pub(crate) fn elems(&self, i: usize, what: &str) -> Lowered<Vec<Elem>> {
        let v = self.x(i)?;
        self.b.elems(v).ok_or_else(|| {
            Refusal::new(format!("{what} is computed from data: it has to be constant or follow from shapes"))
                .tensor(self.name(i))
        })
    }

    /// Operand `i`, a constant.
    pub(crate) fn constant(&self, i: usize, what: &str) -> Lowered<std::sync::Arc<Tensor>> {
        let v = self.x(i)?;
        self.b.as_constant(v).ok_or_else(|| Refusal::new(format!("{what} is not constant")).tensor(self.name(i)))
    }

    /// Operand `i`, one constant number.
    pub(crate) fn number(&self, i: usize, what: &str) -> Lowered<f64> {
        if let Ok(Slot::Foreign(f)) = self.slot(i) {
            return scalar_of_foreign(&f).ok_or_else(|| Refusal::new(format!("{what} is no single number")));
        }
        let t = self.constant(i, what)?;
        let x = match &t.data {
            Data::F32(v) => v.first().map(|x| f64::from(*x)),
            Data::I64(v) => v.first().map(|x| *x as f64),
            Data::I32(v) => v.first().map(|x| f64::from(*x)),
            Data::U8(v) => v.first().map(|x| f64::from(*x)),
            Data::I8(v) => v.first().map(|x| f64::from(*x)),
            Data::Bool(v) => v.first().map(|x| f64::from(u8::from(*x))),
        };
        match x {
            Some(x) if t.data.len() == 1 => Ok(x),
            _ => refuse!("{what} has {} values, one is expected", t.data.len()),
        }
    }

    /// Type of operand `i`, known and f32.
    pub(crate) fn f32(&self, i: usize) -> Lowered<Val> {
        let v = self.x(i)?;
        match self.b.dtype(v) {
            DType::F32 => Ok(v),
            other => Err(Refusal::new(format!("is {other}, f32 is expected")).tensor(self.name(i))),
        }
    }

    /// Operand `i` as f32: integers are converted with one rounding, as the operators of ai.onnx.ml do.
    pub(crate) fn converted(&mut self, i: usize) -> Lowered<Val> {
        let v = self.x(i)?;
        self.b.cast(v, DType::F32)
    }

    /// An attribute that is a tensor, as a constant.
    pub(crate) fn tensor(&mut self, p: &TensorProto) -> Lowered<Slot> {
        crate::read::tensor(p, self.externals, self.b)
    }
}

fn scalar_of_foreign(f: &Foreign) -> Option<f64> {
    match &f.data {
        ForeignData::Float(v) if v.len() == 1 => v.first().copied(),
        ForeignData::Integer(v) if v.len() == 1 => v.first().map(|x| *x as f64),
        _ => None,
    }
}

/// Numbers, where all dimensions are.
pub(crate) fn known(shape: &[Dim]) -> Option<Vec<usize>> {
    shape.iter().map(|d| d.as_known().and_then(|n| usize::try_from(n).ok())).collect()
}

/// The product of dimensions.
pub(crate) fn product(shape: &[Dim]) -> Lowered<Dim> {
    shape
        .iter()
        .try_fold(Dim::Known(1), |n, d| n.mul(d))
        .ok_or_else(|| Refusal::new("the number of elements is too large or too complex an expression"))
}
