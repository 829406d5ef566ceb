//! From bytes to a model: inputs, walk, outputs, tables, card.

use lockstep_engine::limits::MAX_TABLE;
use lockstep_engine::{DType, Dim, Feature, Input, Labels, Model, Tensor};

use crate::build::{Builder, Finished, Label, StringColumn, Val};
use crate::card::{Card, FeatureCard, Opset, Source};
use crate::error::{ImportError, Problem, Refusal};
use crate::options::{ImportOptions, Imported, InputInfo};
use crate::proto::{GraphProto, ModelProto, ValueInfoProto, data_type, type_proto};
use crate::read::{Externals, InputType, input_types};
use crate::slot::{Codes, Slot};
use crate::walk::{Scope, Walk, opsets};

/// Names made up by the importer stand in the graph, which lies on chain: no more than this many.
const MADE_UP_NAMES: u64 = 1_024;

/// Imports an ONNX file.
///
/// # Errors
/// [`ImportError::NotOnnx`] where the bytes are something else, [`ImportError::Refused`] with all problems
/// where something in the file is not supported, [`ImportError::Options`] where names do not fit.
pub fn import(bytes: &[u8], options: &ImportOptions<'_>) -> Result<Imported, ImportError> {
    let mut proto = crate::sniff::decode(bytes)?;
    let graph = proto.graph.take().unwrap_or_default();
    let inputs = graph_inputs(&graph);
    let (types, symbols) = input_types(&inputs).map_err(ImportError::Refused)?;
    let (walk, results) = walk(&proto, &graph, &types, &symbols, options)?;
    let mut b = walk.b;
    let outputs: Vec<(String, Val)> = results.iter().map(|r| (r.name.clone(), r.val)).collect();
    let mut finished = b.finish(&outputs).map_err(|r| ImportError::Refused(vec![of_file(r)]))?;

    finished.graph.symbols = symbols;
    finished.graph.inputs =
        types.iter().map(|t| Input { name: t.name.clone(), dtype: t.dtype, shape: t.shape.clone() }).collect();
    choose_outputs(&mut finished, &results, options)?;
    name_features(&mut finished, &types, &b.columns, options)?;
    note_inputs(&mut b, &graph, &finished);

    let card = make_card(bytes, &proto, &graph, &finished, &b.notes, options);
    let model = build(&finished, &card, options)?;
    let inputs = describe_inputs(&types, &finished);
    Ok(Imported { model, card, notes: b.notes, node_names: finished.node_names, inputs })
}

/// Inputs that are not initialisers: files of old IR versions list both.
fn graph_inputs(graph: &GraphProto) -> Vec<&ValueInfoProto> {
    let initial: std::collections::HashSet<&str> = graph.initializer.iter().filter_map(|t| t.name.as_deref()).collect();
    graph.input.iter().filter(|i| !initial.contains(i.name.as_deref().unwrap_or(""))).collect()
}

fn of_file(r: Refusal) -> Problem {
    Problem::of_file(r.tensor, r.reason, r.advice)
}

/// An output of the model.
struct Result_ {
    name: String,
    val: Val,
    dtype: DType,
    labels: Option<Labels>,
}

/// Walks the graph and reads its outputs; all problems together.
fn walk<'a>(
    proto: &ModelProto,
    graph: &GraphProto,
    types: &[InputType],
    symbols: &[String],
    options: &ImportOptions<'a>,
) -> Result<(Finishing, Vec<Result_>), ImportError> {
    let externals = Externals::new(options.external);
    let mut b = Builder::new(types.to_vec());
    let mut scope = Scope::of(graph, symbols);
    let mut problems = Vec::new();
    for (i, t) in types.iter().enumerate() {
        let val = b.input(i);
        match bind_input(&mut b, i, t, val) {
            Ok(slot) => scope.bind(&t.name, slot),
            Err(r) => problems.push(of_file(r.tensor(&t.name))),
        }
    }
    let names: Vec<String> = graph.output.iter().map(|o| o.name.clone().unwrap_or_default()).collect();
    let mut walk = Walk::new(b, &proto.functions, &externals, symbols.to_vec());
    walk.problems = problems;
    walk.loop_bound = options.loop_bound;
    let mut scopes = vec![scope];
    walk.nodes(&graph.node, &names, &mut scopes, &opsets(&proto.opset_import), "", 0);

    let mut results = Vec::new();
    for o in &graph.output {
        let name = o.name.clone().unwrap_or_default();
        match walk.get(&mut scopes, &name).and_then(|slot| output(&walk.b, slot, o)) {
            Ok((val, labels)) => results.push(Result_ { dtype: walk.b.dtype(val), name, val, labels }),
            Err(r) if r.silent => {}
            Err(r) => walk.problems.push(of_file(if r.tensor.is_none() { r.tensor(&name) } else { r })),
        }
    }
    if graph.output.is_empty() {
        walk.problems.push(Problem::of_file(None, "the graph has no output", None));
    }
    if walk.problems.is_empty() {
        Ok((Finishing { b: walk.b }, results))
    } else {
        Err(ImportError::Refused(walk.problems))
    }
}

/// The builder after the walk.
struct Finishing {
    b: Builder,
}

fn bind_input(b: &mut Builder, i: usize, t: &InputType, val: Val) -> Result<Slot, Refusal> {
    if t.elem_type != data_type::STRING {
        return Ok(Slot::Tensor(val));
    }
    let width = t.shape.iter().skip(1).try_fold(1u64, |n, d| n.checked_mul(d.as_known()?));
    let Some(width) = width.filter(|w| *w <= MAX_TABLE as u64) else {
        return Err(Refusal::new("strings with a symbolic number of columns"));
    };
    let first = b.columns.len();
    b.columns.extend((0..width as usize).map(|position| StringColumn::new(i, position)));
    Ok(Slot::Codes(Codes { val, columns: (first..b.columns.len()).collect() }))
}

/// The value of an output and the labels it may hold; its type has to be the one that the file states.
fn output(b: &Builder, slot: Slot, info: &ValueInfoProto) -> Result<(Val, Option<Labels>), Refusal> {
    let stated = match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::Tensor(t)) => t.elem_type,
        _ => None,
    };
    let (val, labels, elem) = match slot {
        Slot::Tensor(v) => {
            let labels = match b.label(v) {
                Some(Label::OneOf(ints)) => Some(Labels::Ints((*ints).clone())),
                Some(Label::Position) => Some(Labels::None),
                None => None,
            };
            (v, labels, b.dtype(v) as i32)
        }
        Slot::Labels(v, table) => (v, Some(Labels::Strings((*table).clone())), data_type::STRING),
        Slot::Poisoned => return Err(Refusal::silent()),
        Slot::Refused(r) => return Err(*r),
        Slot::Widened(_) => {
            return Err(Refusal::new("an output of float64").advice("export the model in float32"));
        }
        Slot::Foreign(f) => return Err(Refusal::new(format!("an output of {}", f.type_name()))),
        Slot::Strings(_) | Slot::Codes(_) => return Err(Refusal::new("an output of strings that are no labels")),
    };
    match stated {
        Some(s) if s != elem && s != 0 => Err(Refusal::new(format!(
            "the file states an output of {}, the graph gives {}",
            data_type::name(s),
            data_type::name(elem)
        ))),
        _ => Ok((val, labels)),
    }
}

/// Label output: the first that holds labels. Primary output: the first of f32, or the first.
fn choose_outputs(f: &mut Finished, results: &[Result_], options: &ImportOptions<'_>) -> Result<(), ImportError> {
    let label = results.iter().position(|r| r.labels.is_some() && r.dtype == DType::I64);
    let primary = results.iter().position(|r| r.dtype == DType::F32).unwrap_or(0);
    f.graph.label_output = label.and_then(|i| u16::try_from(i).ok());
    f.graph.primary_output = u16::try_from(primary).unwrap_or(0);
    f.graph.labels = label.and_then(|i| results[i].labels.clone()).unwrap_or_default();
    let Some(names) = options.labels else { return Ok(()) };
    let own = f.graph.labels.len();
    if own != 0 && own != names.len() {
        return Err(ImportError::Options(format!("{} labels are given, the model has {own} classes", names.len())));
    }
    if let Labels::Ints(v) = &f.graph.labels
        && !v.iter().enumerate().all(|(i, n)| *n == i as i64)
    {
        return Err(ImportError::Options(format!(
            "the model's labels are the numbers {v:?}: names cannot take their place"
        )));
    }
    f.graph.labels = Labels::Strings(names.to_vec());
    Ok(())
}

/// Names of the values of a row, where the model is tabular; the categories of its strings.
fn name_features(
    f: &mut Finished,
    types: &[InputType],
    columns: &[StringColumn],
    options: &ImportOptions<'_>,
) -> Result<(), ImportError> {
    let count = f.graph.row_features().filter(|n| *n <= MAX_TABLE as u64);
    let refuse = |reason: String| Err(ImportError::Refused(vec![Problem::of_file(None, reason, None)]));
    let Some(count) = count else {
        if !columns.is_empty() {
            return refuse("string inputs need rows of a fixed number of values: every input's first dimension the rows, the others fixed".into());
        }
        return match options.features {
            Some(names) => Err(ImportError::Options(format!(
                "{} features are named, the model has no rows of values",
                names.len()
            ))),
            None => Ok(()),
        };
    };
    if count > MADE_UP_NAMES && columns.is_empty() && options.features.is_none() {
        return Ok(());
    }
    let mut features = Vec::with_capacity(count as usize);
    for (i, t) in types.iter().enumerate() {
        let width = t.shape[1..].iter().filter_map(Dim::as_known).product::<u64>() as usize;
        for position in 0..width {
            let name = if width == 1 { t.name.clone() } else { format!("{}_{position}", t.name) };
            let column = columns.iter().find(|c| (c.input, c.position) == (i, position));
            let categories = column.map(|c| c.categories.clone()).unwrap_or_default();
            if column.is_some() && categories.is_empty() {
                return refuse(format!("the strings of '{name}' are compared with nothing"));
            }
            features.push(Feature { name, categories });
        }
    }
    if let Some(names) = options.features {
        if names.len() != features.len() {
            return Err(ImportError::Options(format!(
                "{} features are named, a row has {}",
                names.len(),
                features.len()
            )));
        }
        features.iter_mut().zip(names).for_each(|(f, n)| f.name.clone_from(n));
    }
    let mut sorted: Vec<&str> = features.iter().map(|f| f.name.as_str()).collect();
    sorted.sort_unstable();
    if let Some(w) = sorted.windows(2).find(|w| w[0] == w[1]) {
        return Err(ImportError::Options(format!("two features are named '{}'", w[0])));
    }
    f.graph.features = features;
    Ok(())
}

fn note_inputs(b: &mut Builder, graph: &GraphProto, f: &Finished) {
    let named = |s: &str| {
        graph_inputs(graph).iter().any(|i| match i.r#type.as_ref().and_then(|t| t.value.as_ref()) {
            Some(type_proto::Value::Tensor(t)) => {
                t.shape.iter().flat_map(|s| &s.dim).any(|d| d.dim_param.as_deref() == Some(s))
            }
            _ => false,
        })
    };
    for s in &f.graph.symbols {
        if !named(s) {
            b.note(format!("a dimension without a name is called '{s}'"));
        }
    }
    if f.graph.features.iter().any(|x| !x.categories.is_empty()) {
        b.note("strings are passed as the numbers of their categories; any other string is -1");
    }
    let used = |i: usize| {
        let v = f.graph.input_value(i);
        f.graph.nodes.iter().any(|n| n.inputs.contains(&Some(v))) || f.graph.outputs.iter().any(|o| o.value == v)
    };
    for i in (0..f.graph.inputs.len()).filter(|i| !used(*i)) {
        b.note(format!("input '{}' has no influence on any output", f.graph.inputs[i].name));
    }
}

fn make_card(
    bytes: &[u8],
    proto: &ModelProto,
    graph: &GraphProto,
    f: &Finished,
    notes: &[String],
    options: &ImportOptions<'_>,
) -> Card {
    let o = &options.card;
    let task = if f.graph.label_output.is_some() || !f.graph.labels.is_empty() { Some("classification") } else { None };
    let hash = lockstep_engine::format::merkle::keccak(&[bytes]);
    Card {
        name: o.name.map(str::to_owned).or_else(|| graph.name.clone()).unwrap_or_default(),
        licence: o.licence.map(str::to_owned),
        source: Source {
            format: "ONNX".into(),
            producer: proto.producer_name.clone().unwrap_or_default(),
            producer_version: proto.producer_version.clone().unwrap_or_default(),
            keccak256: hash.iter().map(|b| format!("{b:02x}")).collect(),
            importer: env!("CARGO_PKG_VERSION").into(),
        },
        opset: proto
            .opset_import
            .iter()
            .map(|o| Opset { domain: o.domain.clone().unwrap_or_default(), version: o.version.unwrap_or(1) })
            .collect(),
        task: o.task.or(task).map(str::to_owned),
        weights: None,
        sequence: None,
        features: f
            .graph
            .features
            .iter()
            .enumerate()
            .map(|(i, x)| FeatureCard {
                name: x.name.clone(),
                training_range: o.training_ranges.get(i).copied().flatten(),
            })
            .collect(),
        example: o.example.cloned(),
        node_names: f.node_names.clone(),
        warnings: notes.to_vec(),
    }
}

/// Builds the model and lets the engine check all of it: graph, limits, tables.
pub(crate) fn build(f: &Finished, card: &Card, options: &ImportOptions<'_>) -> Result<Model, ImportError> {
    let refused = |reason: String, node: Option<usize>| {
        let mut p = Problem::of_file(None, reason, None);
        if let Some(n) = node {
            p.node = f.node_names.get(n).cloned().unwrap_or_default();
            p.op = f.graph.nodes.get(n).map(|n| n.op.name().to_owned()).unwrap_or_default();
        }
        ImportError::Refused(vec![p])
    };
    let model = Model::build(f.graph.clone(), &f.constants, card.to_json(), &options.limits).map_err(|e| match e {
        lockstep_engine::Error::Node { node, source, .. } => refused(source.0, Some(node)),
        other => refused(other.to_string(), None),
    })?;
    for (n, node) in f.graph.nodes.iter().enumerate() {
        let operands: Vec<Option<&Tensor>> = node
            .inputs
            .iter()
            .map(|v| v.and_then(|v| f.graph.as_constant(v)).and_then(|c| f.constants.get(c)))
            .collect();
        node.op.definition().check_constants(&operands).map_err(|e| refused(e.0, Some(n)))?;
    }
    // The file has to be one that a node accepts.
    Model::decode(&model.encode(), &options.limits).map_err(|e| refused(e.to_string(), None))?;
    Ok(model)
}

fn describe_inputs(types: &[InputType], f: &Finished) -> Vec<InputInfo> {
    let mut first = (!f.graph.features.is_empty()).then_some(0usize);
    types
        .iter()
        .map(|t| {
            let width =
                t.shape.iter().skip(1).map(|d| d.as_known().unwrap_or(0) as usize).fold(1, usize::saturating_mul);
            let at = first;
            first = first.map(|n| n.saturating_add(width));
            InputInfo {
                name: t.name.clone(),
                onnx_type: data_type::name(t.elem_type),
                dtype: t.dtype,
                shape: t.shape.iter().map(|d| d.describe(&f.graph.symbols)).collect(),
                first_feature: at,
            }
        })
        .collect()
}
