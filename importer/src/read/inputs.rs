//! Inputs of the graph: element types, and symbols for the dimensions that are not fixed.

use lockstep_engine::{DType, Dim};

use crate::error::Problem;
use crate::proto::{ValueInfoProto, data_type as t, type_proto};

/// An input with its type in the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InputType {
    pub(crate) name: String,
    /// ONNX's number of the element type.
    pub(crate) elem_type: i32,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<Dim>,
}

enum RawDim {
    Known(u64),
    Named(String),
    Unnamed,
}

/// Types of the inputs, and the names of the symbols by number.
pub(crate) fn input_types(inputs: &[&ValueInfoProto]) -> Result<(Vec<InputType>, Vec<String>), Vec<Problem>> {
    let mut raw = Vec::new();
    let mut problems = Vec::new();
    for i in inputs {
        match read(i) {
            Ok(r) => raw.push(r),
            Err(p) => problems.push(*p),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // Exporters of scikit-learn and XGBoost leave the batch without a name: it is one for all inputs.
    let shared = raw.iter().all(|(_, _, _, dims)| matches!(dims.first(), Some(RawDim::Unnamed)));
    let mut symbols: Vec<String> = Vec::new();
    let mut out = Vec::new();
    for (name, elem_type, dtype, dims) in raw {
        let mut shape = Vec::new();
        for (axis, d) in dims.into_iter().enumerate() {
            let symbol = match d {
                RawDim::Known(n) => {
                    shape.push(Dim::Known(n));
                    continue;
                }
                RawDim::Named(s) => s,
                RawDim::Unnamed if shared && axis == 0 => "batch".to_owned(),
                RawDim::Unnamed => format!("{name}_{axis}"),
            };
            let number = symbols.iter().position(|s| *s == symbol).unwrap_or_else(|| {
                symbols.push(symbol);
                symbols.len() - 1
            });
            match u16::try_from(number) {
                Ok(n) => shape.push(Dim::symbol(n)),
                Err(_) => return Err(vec![Problem::of_file(Some(name), "too many symbolic dimensions", None)]),
            }
        }
        out.push(InputType { name, elem_type, dtype, shape });
    }
    Ok((out, symbols))
}

fn read(i: &ValueInfoProto) -> Result<(String, i32, DType, Vec<RawDim>), Box<Problem>> {
    let name = i.name.clone().unwrap_or_default();
    let problem = |reason: String, advice: Option<&str>| {
        Box::new(Problem::of_file(Some(name.clone()), reason, advice.map(str::to_owned)))
    };
    let tensor = match i.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::Tensor(t)) => t,
        Some(type_proto::Value::Sequence(_)) => {
            return Err(problem("an input of type sequence is not supported".into(), None));
        }
        Some(type_proto::Value::Map(_)) => return Err(problem("an input of type map is not supported".into(), None)),
        Some(type_proto::Value::Optional(_)) => return Err(problem("an optional input is not supported".into(), None)),
        Some(type_proto::Value::SparseTensor(_)) => {
            return Err(problem("a sparse input is not supported".into(), Some("pass a dense tensor")));
        }
        None => return Err(problem("the input has no type".into(), None)),
    };
    let elem_type = tensor.elem_type.unwrap_or(0);
    let dtype = match elem_type {
        t::FLOAT => DType::F32,
        t::UINT8 => DType::U8,
        t::INT8 => DType::I8,
        t::INT32 => DType::I32,
        // Strings become codes.
        t::INT64 | t::STRING => DType::I64,
        t::BOOL => DType::Bool,
        t::DOUBLE => {
            return Err(problem(
                "an input of float64: this arithmetic is float32".into(),
                Some("export with float32 inputs: FloatTensorType in skl2onnx, model.float() in PyTorch"),
            ));
        }
        t::FLOAT16 | t::BFLOAT16 => {
            return Err(problem(format!("an input of {}", t::name(elem_type)), Some("export the model in float32")));
        }
        other => {
            return Err(problem(
                format!("an input of {}", t::name(other)),
                Some("float, int8, uint8, int32, int64, bool and string inputs are supported"),
            ));
        }
    };
    let Some(shape) = &tensor.shape else {
        return Err(problem("the input has no shape".into(), Some("export with the number of dimensions stated")));
    };
    let dims = shape
        .dim
        .iter()
        .map(|d| match (d.dim_value, d.dim_param.as_deref()) {
            (Some(n), _) if n >= 0 => RawDim::Known(n as u64),
            // Some exporters write -1, '?' or nothing for what they do not know.
            (None, Some(name)) if !matches!(name, "" | "?" | "-1") => RawDim::Named(name.to_owned()),
            _ => RawDim::Unnamed,
        })
        .collect();
    Ok((name.clone(), elem_type, dtype, dims))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Dimension, TensorShapeProto, TypeProto};

    fn info(name: &str, elem: i32, dims: &[Option<Result<i64, &str>>]) -> ValueInfoProto {
        let dim = dims
            .iter()
            .map(|d| match d {
                None => Dimension::default(),
                Some(Ok(n)) => Dimension { dim_value: Some(*n), dim_param: None },
                Some(Err(s)) => Dimension { dim_value: None, dim_param: Some((*s).to_owned()) },
            })
            .collect();
        let tensor = type_proto::Tensor { elem_type: Some(elem), shape: Some(TensorShapeProto { dim }) };
        ValueInfoProto {
            name: Some(name.into()),
            r#type: Some(TypeProto { value: Some(type_proto::Value::Tensor(tensor)) }),
        }
    }

    #[test]
    fn an_unnamed_first_dimension_of_all_inputs_is_the_batch() {
        let (a, b) = (info("a", 1, &[None, Some(Ok(3))]), info("b", 8, &[None, None]));
        let (types, symbols) = input_types(&[&a, &b]).unwrap();
        assert_eq!(symbols, ["batch", "b_1"]);
        assert_eq!(types[0].shape, [Dim::symbol(0), Dim::Known(3)]);
        assert_eq!(types[1].shape, [Dim::symbol(0), Dim::symbol(1)]);
        assert_eq!(types[1].dtype, DType::I64);
    }

    #[test]
    fn names_bind_and_unnamed_ones_stand_alone() {
        let (a, b) = (info("a", 1, &[Some(Err("N")), Some(Ok(-1))]), info("b", 7, &[None, Some(Err("N"))]));
        let (types, symbols) = input_types(&[&a, &b]).unwrap();
        assert_eq!(symbols, ["N", "a_1", "b_0"]);
        assert_eq!(types[1].shape, [Dim::symbol(2), Dim::symbol(0)]);
    }

    #[test]
    fn every_unsupported_input_is_named() {
        let (a, b) = (info("a", 11, &[]), info("b", 13, &[]));
        let problems = input_types(&[&a, &b]).unwrap_err();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].reason.contains("float64") && problems[1].reason.contains("uint64"));
    }
}
