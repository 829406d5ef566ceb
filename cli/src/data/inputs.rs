//! Arrays by name become the tensors a model takes; nothing is changed silently.

use lockstep_engine::{DType, Data, Graph, Tensor};

use super::{Array, Values, rows};
use crate::failure::{Failure, Problem};
use crate::npz::Arrays;

/// The inputs of a call.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// One tensor for each input of the model.
    pub tensors: Vec<Tensor>,
    /// What the user may want to know.
    pub notes: Vec<String>,
}

/// Finds and converts every input of the model, or says all that is wrong.
pub fn map(graph: &Graph, arrays: &Arrays, what: &str) -> Result<Inputs, Failure> {
    let columns = rows::columns(graph).unwrap_or_default();
    let mut notes = Vec::new();
    let mut problems = Vec::new();
    let mut tensors = Vec::new();
    let mut used = Vec::new();
    for (i, input) in graph.inputs.iter().enumerate() {
        let found = match find(graph, arrays, &columns, i, &mut used) {
            Ok(a) => a,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let offset = columns.iter().position(|c| c.input == i).unwrap_or(0);
        let categories = |k: usize| -> &[String] {
            let width = rows::width(graph, i).unwrap_or(1).max(1);
            columns.get(offset + k % width).map_or(&[], |c| &c.categories)
        };
        match convert(&found, input.dtype, &categories, &input.name, &mut notes) {
            Ok(data) => {
                let shape = fit_shape(&found.shape, &input.shape);
                if let Some(p) = misfit(graph, i, &shape) {
                    problems.push(p);
                    continue;
                }
                match Tensor::new(shape, data) {
                    Some(t) => tensors.push(t),
                    None => problems.push(problem(&input.name, "its shape and its elements disagree".into())),
                }
            }
            Err(reason) => problems.push(problem(&input.name, reason)),
        }
    }
    if !problems.is_empty() {
        return Err(Failure::Refused { what: what.into(), problems });
    }
    let extra: Vec<&str> = arrays
        .keys()
        .filter(|k| !used.contains(k) && *k != "y" && !k.starts_with("expected:"))
        .map(String::as_str)
        .collect();
    if !extra.is_empty() {
        notes.push(format!("not used, the model has no input of that name: {}", extra.join(", ")));
    }
    Ok(Inputs { tensors, notes })
}

fn problem(name: &str, reason: String) -> Problem {
    Problem { tensor: Some(name.to_owned()), reason, ..Problem::default() }
}

/// What is wrong with a shape, where the model's is known.
fn misfit(graph: &Graph, i: usize, shape: &[usize]) -> Option<Problem> {
    let want = &graph.inputs[i].shape;
    let fits = |(d, n): (&lockstep_engine::Dim, &usize)| d.as_known().is_none_or(|d| d == *n as u64);
    // A batch fixed by the model is filled by as many calls as it takes.
    if shape.len() == want.len() && want.iter().zip(shape).skip(1).all(fits) {
        return None;
    }
    let wanted: Vec<String> = want.iter().map(|d| d.describe(&graph.symbols)).collect();
    let out =
        problem(&graph.inputs[i].name, format!("its shape is {shape:?}, the model takes [{}]", wanted.join(", ")));
    Some(Problem {
        advice: Some("give a row for each sample, with a column for each feature of training".into()),
        ..out
    })
}

/// The array of input `i`: by its name, by the names of its features, or the only one there is.
fn find<'a>(
    graph: &Graph,
    arrays: &'a Arrays,
    columns: &[rows::Column],
    i: usize,
    used: &mut Vec<&'a String>,
) -> Result<Array, Problem> {
    let name = &graph.inputs[i].name;
    if let Some((k, a)) = arrays.get_key_value(name) {
        used.push(k);
        return Ok(a.clone());
    }
    let mine: Vec<&rows::Column> = columns.iter().filter(|c| c.input == i).collect();
    let parts: Vec<_> = mine.iter().map(|c| arrays.get_key_value(&c.name)).collect();
    if !parts.is_empty() && parts.iter().all(Option::is_some) {
        let parts: Vec<(&String, &Array)> = parts.into_iter().flatten().collect();
        used.extend(parts.iter().map(|(k, _)| *k));
        let dims: Vec<usize> =
            graph.inputs[i].shape[1..].iter().filter_map(|d| d.as_known()).map(|d| d as usize).collect();
        return interleave(&parts.iter().map(|(_, a)| *a).collect::<Vec<_>>(), &dims)
            .map_err(|reason| problem(name, reason));
    }
    // numpy.savez(file, x) names the array arr_0.
    if let Some((k, a)) = arrays.get_key_value(&format!("arr_{i}")) {
        used.push(k);
        return Ok(a.clone());
    }
    let missing: Vec<&str> = mine.iter().filter(|c| !arrays.contains_key(&c.name)).map(|c| c.name.as_str()).collect();
    let reason = if missing.len() < mine.len() {
        format!("these features are missing: {}", few(&missing))
    } else {
        let there: Vec<&str> = arrays.keys().map(String::as_str).collect();
        format!("no array of this name is given; given are: {}", few(&there))
    };
    Err(Problem { advice: advice(graph, arrays, &missing, i), ..problem(name, reason) })
}

/// Some of the names, and how many more there are.
fn few(names: &[&str]) -> String {
    let shown = names.iter().take(8).copied().collect::<Vec<_>>().join(", ");
    if names.len() > 8 { format!("{shown}, and {} more", names.len() - 8) } else { shown }
}

/// What an author may have meant by the names given.
fn advice(graph: &Graph, arrays: &Arrays, missing: &[&str], i: usize) -> Option<String> {
    let free = || arrays.keys().filter(|k| *k != "y" && !k.starts_with("expected:"));
    let plain = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let alike = missing.iter().find_map(|m| free().find(|k| plain(k) == plain(m)).map(|k| (k, m)));
    if let Some((given, wanted)) = alike {
        return Some(format!("names have to be equal: '{given}' is given for '{wanted}' (or import with --features)"));
    }
    let input = &graph.inputs[i];
    let mut fitting = free().filter(|k| misfit(graph, i, &arrays[*k].shape).is_none());
    if let (Some(k), None) = (fitting.next(), fitting.next()) {
        return Some(format!(
            "'{k}' has the right shape: save it by the input's name, numpy.savez(file, {}=...)",
            input.name
        ));
    }
    let wanted = if missing.is_empty() { input.name.clone() } else { few(missing) };
    Some(format!("give an array '{}', or one for each of its features: {wanted}", input.name))
}

/// Columns side by side as one array of rows.
fn interleave(parts: &[&Array], dims: &[usize]) -> Result<Array, String> {
    let count = parts.first().map_or(0, |a| a.len());
    if let Some(a) = parts.iter().find(|a| a.len() != count) {
        return Err(format!("its features have different lengths: {count} and {}", a.len()));
    }
    let mut shape = vec![count];
    shape.extend(dims);
    let cells = || (0..count).flat_map(|r| parts.iter().map(move |a| (&a.values, r)));
    let values = if parts.iter().any(|a| matches!(a.values, Values::Text(_))) {
        let all: Option<Vec<String>> = cells().map(|(v, r)| v.text(r).map(str::to_owned)).collect();
        Values::Text(all.ok_or("some of its features are text and some are numbers")?)
    } else if parts.iter().all(|a| matches!(a.values, Values::Int(_) | Values::Bool(_))) {
        Values::Int(cells().filter_map(|(v, r)| v.integer(r)).collect())
    } else if parts.iter().any(|a| matches!(a.values, Values::F64(_) | Values::UInt(_))) {
        Values::F64(cells().filter_map(|(v, r)| v.number(r)).collect())
    } else {
        Values::F32(cells().filter_map(|(v, r)| v.number(r)).map(|x| x as f32).collect())
    };
    Ok(Array { shape, values, kind: "columns".into() })
}

/// `[n]` becomes `[n, 1]` where the model wants that, and `[n, 1]` becomes `[n]`; any other shape is left for the engine
/// to judge.
fn fit_shape(shape: &[usize], want: &[lockstep_engine::Dim]) -> Vec<usize> {
    let ones = |dims: &[lockstep_engine::Dim]| dims.iter().all(|d| d.as_known() == Some(1));
    if shape.len() < want.len() && !shape.is_empty() && ones(&want[shape.len()..]) {
        let mut out = shape.to_vec();
        out.resize(want.len(), 1);
        return out;
    }
    if shape.len() > want.len() && !want.is_empty() && shape[want.len()..].iter().all(|d| *d == 1) {
        return shape[..want.len()].to_vec();
    }
    shape.to_vec()
}

/// The elements in the model's type. Only float64 may lose digits (and says so); all else is exact or refused.
fn convert<'a>(
    a: &Array,
    want: DType,
    categories: &dyn Fn(usize) -> &'a [String],
    name: &str,
    notes: &mut Vec<String>,
) -> Result<Data, String> {
    let n = a.len();
    if let Values::Text(texts) = &a.values {
        return codes(texts, want, categories, name, notes);
    }
    let integer = |i: usize, low: i64, high: i64| {
        a.values.integer(i).filter(|v| (low..=high).contains(v)).ok_or_else(|| {
            let value = a.values.number(i).unwrap_or(f64::NAN);
            format!("element {i} is {value} ({}), the model takes {want}", a.kind)
        })
    };
    Ok(match want {
        DType::F32 => match &a.values {
            Values::F32(v) => Data::F32(v.clone()),
            Values::F64(v) => {
                let inexact = v.iter().filter(|x| f64::from(**x as f32) != **x && !x.is_nan()).count();
                if inexact > 0 {
                    notes.push(format!(
                        "'{name}': {inexact} of {n} values are float64 that float32 cannot hold; each was rounded once"
                    ));
                }
                Data::F32(v.iter().map(|x| *x as f32).collect())
            }
            _ => {
                let exact = |i: usize| {
                    let v = a.values.integer(i);
                    v.map(|v| v as f32).filter(|f| (*f as i128) == i128::from(v.unwrap_or(0))).ok_or_else(|| {
                        format!(
                            "element {i} is {}, which float32 cannot hold exactly",
                            a.values.number(i).unwrap_or(0.0)
                        )
                    })
                };
                Data::F32((0..n).map(exact).collect::<Result<_, _>>()?)
            }
        },
        DType::I64 => Data::I64((0..n).map(|i| integer(i, i64::MIN, i64::MAX)).collect::<Result<_, _>>()?),
        DType::I32 => Data::I32(
            (0..n).map(|i| integer(i, i32::MIN.into(), i32::MAX.into()).map(|v| v as i32)).collect::<Result<_, _>>()?,
        ),
        DType::I8 => Data::I8((0..n).map(|i| integer(i, -128, 127).map(|v| v as i8)).collect::<Result<_, _>>()?),
        DType::U8 => Data::U8((0..n).map(|i| integer(i, 0, 255).map(|v| v as u8)).collect::<Result<_, _>>()?),
        DType::Bool => Data::Bool((0..n).map(|i| integer(i, 0, 1).map(|v| v == 1)).collect::<Result<_, _>>()?),
    })
}

/// Strings as the codes of their feature's table; -1 for one that is not in it, as at import.
fn codes<'a>(
    texts: &[String],
    want: DType,
    categories: &dyn Fn(usize) -> &'a [String],
    name: &str,
    notes: &mut Vec<String>,
) -> Result<Data, String> {
    let mut unknown: Vec<&str> = Vec::new();
    let mut codes = Vec::with_capacity(texts.len());
    for (k, text) in texts.iter().enumerate() {
        let table = categories(k);
        if table.is_empty() {
            return Err(format!("it holds text ('{text}'), and the model has no table of categories for it"));
        }
        let code = table.iter().position(|c| c == text);
        if code.is_none() && !unknown.contains(&text.as_str()) && unknown.len() < 8 {
            unknown.push(text);
        }
        codes.push(code.map_or(-1, |c| c as i64));
    }
    if !unknown.is_empty() {
        notes.push(format!("'{name}': the model does not know {unknown:?}; their code is -1"));
    }
    let narrow = |low: i64, high: i64| {
        let bad = codes.iter().find(|c| !(low..=high).contains(*c));
        bad.map_or(Ok(()), |c| Err(format!("the code {c} of a category does not fit {want}")))
    };
    Ok(match want {
        DType::I64 => Data::I64(codes),
        DType::I32 => Data::I32(codes.iter().map(|c| *c as i32).collect()),
        DType::F32 => Data::F32(codes.iter().map(|c| *c as f32).collect()),
        DType::I8 => {
            narrow(-128, 127)?;
            Data::I8(codes.iter().map(|c| *c as i8).collect())
        }
        DType::U8 => {
            narrow(0, 255)?;
            Data::U8(codes.iter().map(|c| *c as u8).collect())
        }
        DType::Bool => return Err("it holds text, the model takes bool".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::{Dim, Feature, Graph, Input};

    fn graph(dtype: DType, categories: &[&str]) -> Graph {
        let categories = categories.iter().map(|c| (*c).to_owned()).collect();
        Graph {
            symbols: vec!["n".into()],
            inputs: vec![Input { name: "x".into(), dtype, shape: vec![Dim::symbol(0), Dim::Known(2)] }],
            features: vec![
                Feature { name: "a".into(), categories },
                Feature { name: "b".into(), ..Feature::default() },
            ],
            ..Graph::default()
        }
    }

    fn arrays(list: Vec<(&str, Vec<usize>, Values)>) -> Arrays {
        list.into_iter()
            .map(|(n, shape, values)| (n.to_owned(), Array { shape, values, kind: "test".into() }))
            .collect()
    }

    #[test]
    fn by_tensor_or_by_feature() {
        let g = graph(DType::F32, &[]);
        let whole = arrays(vec![("x", vec![1, 2], Values::F64(vec![1.0, 0.1]))]);
        let m = map(&g, &whole, "d").unwrap();
        assert_eq!(m.tensors[0].data, Data::F32(vec![1.0, 0.1]));
        assert!(m.notes[0].contains("1 of 2 values are float64"));
        let split = arrays(vec![
            ("a", vec![2], Values::Int(vec![1, 3])),
            ("b", vec![2, 1], Values::F32(vec![2.0, 4.0])),
            ("y", vec![2], Values::Int(vec![0, 0])),
        ]);
        let m = map(&g, &split, "d").unwrap();
        assert_eq!(
            (m.tensors[0].shape.as_slice(), &m.tensors[0].data),
            (&[2, 2][..], &Data::F32(vec![1.0, 2.0, 3.0, 4.0]))
        );
        assert!(m.notes.is_empty());
        let part = arrays(vec![("a", vec![2], Values::Int(vec![1, 3]))]);
        assert!(map(&g, &part, "d").unwrap_err().to_text().contains("features are missing: b"));
    }

    #[test]
    fn nothing_is_lost_silently() {
        let int = |v| arrays(vec![("x", vec![1, 2], Values::Int(v))]);
        assert!(map(&graph(DType::F32, &[]), &int(vec![16_777_217, 0]), "d").is_err());
        assert!(map(&graph(DType::F32, &[]), &int(vec![16_777_218, 0]), "d").is_ok());
        assert!(map(&graph(DType::U8, &[]), &int(vec![256, 0]), "d").is_err());
        assert!(map(&graph(DType::Bool, &[]), &int(vec![2, 0]), "d").is_err());
        let fraction = arrays(vec![("x", vec![1, 2], Values::F32(vec![1.5, 0.0]))]);
        assert!(map(&graph(DType::I64, &[]), &fraction, "d").is_err());
    }

    #[test]
    fn categories_become_codes() {
        let mut g = graph(DType::I64, &["low", "high"]);
        g.features[1].categories = vec!["z".into()];
        let text = |v: &[&str]| Values::Text(v.iter().map(|s| (*s).to_owned()).collect());
        let m = map(&g, &arrays(vec![("x", vec![1, 2], text(&["high", "q"]))]), "d").unwrap();
        assert_eq!(m.tensors[0].data, Data::I64(vec![1, -1]));
        assert!(m.notes[0].contains("\"q\""));
    }
}
