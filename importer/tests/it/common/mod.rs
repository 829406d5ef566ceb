//! What the importer's tests share: models built in Rust, runs, and numpy files.

#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod bert;
pub mod npz;

use std::path::Path;

use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::{DType, Data, Limits, LoadedModel, Tensor};
use lockstep_importer::proto::*;
use lockstep_importer::{ImportError, ImportOptions, Imported, Problem, import};
use prost::Message;

/// A dimension of an input.
#[derive(Clone, Copy)]
pub enum D {
    N(i64),
    S(&'static str),
    Unnamed,
}

/// A model under construction.
#[derive(Clone, Default)]
pub struct Onnx {
    pub graph: GraphProto,
    pub opset: i64,
    pub ml: i64,
}

pub fn onnx(opset: i64) -> Onnx {
    Onnx { opset, ml: 3, ..Onnx::default() }
}

impl Onnx {
    pub fn input(mut self, name: &str, elem: i32, dims: &[D]) -> Self {
        self.graph.input.push(info(name, elem, Some(dims)));
        self
    }

    pub fn output(mut self, name: &str) -> Self {
        self.graph.output.push(ValueInfoProto { name: Some(name.into()), r#type: None });
        self
    }

    pub fn node(self, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[AttributeProto]) -> Self {
        self.domain_node("", op, inputs, outputs, attributes)
    }

    pub fn ml(self, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[AttributeProto]) -> Self {
        self.domain_node("ai.onnx.ml", op, inputs, outputs, attributes)
    }

    pub fn domain_node(mut self, domain: &str, op: &str, i: &[&str], o: &[&str], a: &[AttributeProto]) -> Self {
        let owned = |v: &[&str]| v.iter().map(|s| (*s).to_owned()).collect();
        self.graph.node.push(NodeProto {
            input: owned(i),
            output: owned(o),
            name: Some(format!("n{}", self.graph.node.len())),
            op_type: Some(op.into()),
            attribute: a.to_vec(),
            domain: Some(domain.into()),
            overload: None,
        });
        self
    }

    pub fn constant(mut self, name: &str, t: TensorProto) -> Self {
        self.graph.initializer.push(TensorProto { name: Some(name.into()), ..t });
        self
    }

    pub fn proto(&self) -> ModelProto {
        let opset = |domain: &str, version| OperatorSetId { domain: Some(domain.into()), version: Some(version) };
        ModelProto {
            ir_version: Some(8),
            graph: Some(self.graph.clone()),
            opset_import: vec![opset("", self.opset), opset("ai.onnx.ml", self.ml), opset("com.microsoft", 1)],
            ..ModelProto::default()
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.proto().encode_to_vec()
    }

    pub fn import(&self) -> Result<Imported, ImportError> {
        import(&self.bytes(), &ImportOptions::default())
    }

    /// The problems of a file that is refused.
    pub fn problems(&self) -> Vec<Problem> {
        match self.import() {
            Err(ImportError::Refused(p)) => p,
            other => panic!("a refusal is expected, {other:?} came"),
        }
    }

    /// All outputs, by the reference and by the fast path, which have to agree.
    pub fn run(&self, inputs: &[Tensor]) -> Vec<Tensor> {
        run(&self.import().unwrap_or_else(|e| panic!("{e}")), inputs)
    }

    /// The only f32 output.
    pub fn f32(&self, inputs: &[Tensor]) -> Vec<f32> {
        self.run(inputs)[0].as_f32().expect("f32").to_vec()
    }
}

/// Names of the folders in `dir` that hold a model.
pub fn models_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.join("model.onnx").exists())
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The model of a folder, with the weights beside it where it has such.
pub fn import_folder(dir: &Path) -> Result<Imported, ImportError> {
    let bytes = std::fs::read(dir.join("model.onnx")).expect("a model");
    let external = |path: &str| std::fs::read(dir.join(path));
    import(&bytes, &ImportOptions { external: Some(&external), ..ImportOptions::default() })
}

pub fn run(imported: &Imported, inputs: &[Tensor]) -> Vec<Tensor> {
    try_run(imported, inputs).unwrap_or_else(|e| panic!("{e}"))
}

pub fn try_run(imported: &Imported, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let limits = Limits::default();
    let model = LoadedModel::new(imported.model.clone(), &limits).map_err(|e| e.to_string())?;
    let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = model.plan(&types, &limits).map_err(|e| e.to_string())?;
    let one = |implementation| {
        model.run(&plan, inputs.to_vec(), &Options { implementation, threads: 1 }).map_err(|e| e.to_string())
    };
    let (reference, fast) = (one(Implementation::Reference)?, one(Implementation::Fast)?);
    for (r, f) in reference.iter().zip(&fast) {
        assert_eq!(r.to_le_bytes(), f.to_le_bytes());
    }
    Ok(reference)
}

pub fn info(name: &str, elem: i32, dims: Option<&[D]>) -> ValueInfoProto {
    let dim = |d: &D| match d {
        D::N(n) => Dimension { dim_value: Some(*n), dim_param: None },
        D::S(s) => Dimension { dim_value: None, dim_param: Some((*s).into()) },
        D::Unnamed => Dimension::default(),
    };
    let shape = dims.map(|d| TensorShapeProto { dim: d.iter().map(dim).collect() });
    let value = type_proto::Value::Tensor(type_proto::Tensor { elem_type: Some(elem), shape });
    ValueInfoProto { name: Some(name.into()), r#type: Some(TypeProto { value: Some(value) }) }
}

fn attribute(name: &str, t: i32) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(t), ..AttributeProto::default() }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i: Some(i), ..attribute(name, attribute_type::INT) }
}

pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { f: Some(f), ..attribute(name, attribute_type::FLOAT) }
}

pub fn string(name: &str, s: &str) -> AttributeProto {
    AttributeProto { s: Some(s.into()), ..attribute(name, attribute_type::STRING) }
}

pub fn ints(name: &str, v: &[i64]) -> AttributeProto {
    AttributeProto { ints: v.to_vec(), ..attribute(name, attribute_type::INTS) }
}

pub fn floats(name: &str, v: &[f32]) -> AttributeProto {
    AttributeProto { floats: v.to_vec(), ..attribute(name, attribute_type::FLOATS) }
}

pub fn strings(name: &str, v: &[&str]) -> AttributeProto {
    AttributeProto {
        strings: v.iter().map(|s| s.as_bytes().to_vec()).collect(),
        ..attribute(name, attribute_type::STRINGS)
    }
}

pub fn tensor_attribute(name: &str, t: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(t), ..attribute(name, attribute_type::TENSOR) }
}

pub fn graph_attribute(name: &str, g: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(g), ..attribute(name, attribute_type::GRAPH) }
}

pub fn t_f32(dims: &[i64], v: &[f32]) -> TensorProto {
    TensorProto { dims: dims.to_vec(), data_type: Some(1), float_data: v.to_vec(), ..TensorProto::default() }
}

pub fn t_f64(dims: &[i64], v: &[f64]) -> TensorProto {
    TensorProto { dims: dims.to_vec(), data_type: Some(11), double_data: v.to_vec(), ..TensorProto::default() }
}

pub fn t_i64(dims: &[i64], v: &[i64]) -> TensorProto {
    TensorProto { dims: dims.to_vec(), data_type: Some(7), int64_data: v.to_vec(), ..TensorProto::default() }
}

pub fn t_bool(dims: &[i64], v: &[i32]) -> TensorProto {
    TensorProto { dims: dims.to_vec(), data_type: Some(9), int32_data: v.to_vec(), ..TensorProto::default() }
}

pub fn t_strings(dims: &[i64], v: &[&str]) -> TensorProto {
    let string_data = v.iter().map(|s| s.as_bytes().to_vec()).collect();
    TensorProto { dims: dims.to_vec(), data_type: Some(8), string_data, ..TensorProto::default() }
}

pub fn x(shape: &[usize], v: &[f32]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::F32(v.to_vec())).expect("as many values as the shape has")
}

pub fn xi(shape: &[usize], v: &[i64]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::I64(v.to_vec())).expect("as many values as the shape has")
}

pub fn i64s(t: &Tensor) -> &[i64] {
    t.as_i64().expect("i64")
}

pub const F: i32 = data_type::FLOAT;
pub const I: i32 = data_type::INT64;
pub const S: i32 = data_type::STRING;
