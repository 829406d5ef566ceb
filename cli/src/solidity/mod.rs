//! Generating Solidity for a model.

pub(crate) mod fixture;
mod functions;
mod names;
mod writer;

use std::sync::Arc;

use alloy_primitives::{I256, U256};
use alloy_sol_types::SolCall;
use lockstep_engine::{DType, Graph, LoadedModel, Tensor};
use lockstep_precompile::Outcome;
use lockstep_precompile::abi::IInference;

use self::names::{comment, constant_case, library_name, mixed_case, unique};
use self::writer::{Writer, wad_literal};
use crate::chain::{self, Chain};
use crate::data::rows::{self, Column};
use crate::failure::Failure;
use crate::report::cost::Cost;
use crate::report::{example, model, number};

/// Features beyond which a struct would be of no help: an image's pixels, say.
const MOST_FIELDS: usize = 128;

/// A model with what the generated file says of its origin.
#[derive(Debug)]
pub(crate) struct Source {
    /// The model.
    pub model: Arc<LoadedModel>,
    /// Its file, as it was read.
    pub bytes: Vec<u8>,
    /// Name of its file.
    pub file: String,
    /// Path of the import statement.
    pub import: String,
}

/// A generated file.
#[derive(Debug)]
pub(crate) struct Library {
    /// Name of the library.
    pub name: String,
    /// The source.
    pub text: String,
    /// Names of the struct's fields; empty where the model takes arrays.
    pub fields: Vec<String>,
    /// The fixture's source; `None` for a model too large for one.
    pub fixture: Option<String>,
    /// Whether there is an example to test with.
    pub has_example: bool,
}

/// What the functions need to know of the model.
struct Shape {
    columns: Vec<Column>,
    /// Names of the struct's fields; empty where there is no struct.
    fields: Vec<String>,
    /// Values of the primary output in a row.
    outputs: u64,
    classifier: bool,
    /// Rows that every call must have; `None`: any number.
    fixed_rows: Option<u64>,
}

/// The example row and what the chain answers.
struct Example {
    row: Vec<I256>,
    answer: Vec<I256>,
    class: Option<(U256, I256)>,
}

impl Library {
    /// The library of a model, named after the file's stem.
    pub(crate) fn of(source: &Source, stem: &str) -> Result<Self, Failure> {
        let m = &*source.model;
        let name = library_name(stem);
        if ["Inference", "Tensor"].contains(&name.as_str()) {
            return Err(Failure::Usage(format!("the library cannot be called {name}: choose another file name")));
        }
        let mut chain = Chain::default();
        let id = chain.add(source.model.clone())?;
        let shape = Shape::of(m, &chain)?;
        let example = Example::of(m, &chain, id, &shape)?;
        let mut w = Writer::default();
        header(&mut w, source, &name, shape.columns.is_empty());
        w.open(&format!("library {name} {{"));
        constants(&mut w, m, &shape, example.as_ref());
        if shape.columns.is_empty() {
            functions::tensors(&mut w, m);
        } else if shape.fields.is_empty() {
            functions::arrays(&mut w, &shape);
        } else {
            structure(&mut w, m, &shape);
            functions::rows(&mut w, &shape);
            if let Some(e) = &example {
                functions::fixture(&mut w, &shape, &e.row, &e.answer);
            }
        }
        w.close();
        let fixture = fixture::text(source, &name, &shape, &chain)?;
        Ok(Self { name, text: w.text, fields: shape.fields, fixture, has_example: example.is_some() })
    }
}

impl Shape {
    fn of(m: &LoadedModel, chain: &Chain) -> Result<Self, Failure> {
        let g = &m.graph;
        let columns = rows::columns(g).unwrap_or_default();
        let fixed_rows = rows::fixed_rows(g);
        let structured = (1..=MOST_FIELDS).contains(&columns.len()) && fixed_rows.is_none_or(|n| n == 1);
        let fields = columns.iter().enumerate().map(|(k, c)| mixed_case(&c.name, &format!("feature{k}")));
        let fields = if structured { unique(fields, &[]) } else { Vec::new() };
        let (mut outputs, mut classifier) = (0, false);
        if !columns.is_empty() {
            let cost = Cost::at(m, &Default::default())?;
            let rows = fixed_rows.unwrap_or(1).max(1);
            let primary = cost.plan.outputs.get(usize::from(g.primary_output));
            outputs = primary.and_then(lockstep_engine::TensorType::elements).unwrap_or(0) / rows;
            let zeros = |i: &lockstep_engine::Input| {
                let shape = i.shape.iter().map(|d| d.as_known().unwrap_or(1) as usize).collect();
                chain::zeros(i.dtype, shape)
            };
            let inputs: Vec<Tensor> = g.inputs.iter().map(zeros).collect();
            let call = chain::classify_call(m.id.into(), chain::wad_rows(&inputs).unwrap_or_default());
            classifier = rows::has_classes(m) && chain.quote(call).is_ok();
        }
        Ok(Self { columns, fields, outputs, classifier, fixed_rows })
    }

    /// Whether calls may have more than one row.
    fn any_rows(&self) -> bool {
        self.fixed_rows.is_none()
    }
}

impl Example {
    /// The precompile's own core answers, so that the fixture holds on chain to the last digit.
    fn of(m: &LoadedModel, chain: &Chain, id: alloy_primitives::B256, shape: &Shape) -> Result<Option<Self>, Failure> {
        let Some(row) = example::row(m).filter(|_| !shape.fields.is_empty()) else { return Ok(None) };
        let ask = |call: Vec<u8>| match chain.call(&call, u64::MAX, U256::ZERO, None) {
            Outcome::Success { output, .. } => Some(output),
            _ => None,
        };
        let Some(answer) = ask(chain::infer_call(id, row.clone())) else { return Ok(None) };
        let answer = IInference::inferCall::abi_decode_returns(&answer).map_err(anyhow::Error::from)?;
        let class = shape.classifier.then(|| ask(chain::classify_call(id, row.clone()))).flatten();
        let class = class.and_then(|c| IInference::classifyCall::abi_decode_returns(&c).ok());
        let class = class.and_then(|c| Some((*c.classIndex.first()?, *c.score.first()?)));
        Ok(Some(Self { row, answer, class }))
    }
}

fn file_header(w: &mut Writer, source: &Source) {
    w.line("// SPDX-License-Identifier: MIT OR Apache-2.0");
    w.line("pragma solidity ^0.8.20;");
    w.line("");
    w.line(&format!(
        "// Generated by `lockstep bind` {} from {}. Do not edit: bind again after an import.",
        env!("CARGO_PKG_VERSION"),
        comment(&source.file)
    ));
    w.line("");
}

fn header(w: &mut Writer, source: &Source, name: &str, tensors: bool) {
    let m = &*source.model;
    file_header(w, source);
    if tensors {
        let folder = source.import.rsplit_once('/').map(|(f, _)| format!("{f}/")).unwrap_or_default();
        w.line(&format!("import {{Tensor}} from \"{folder}IInference.sol\";"));
    }
    w.line(&format!("import {{Inference}} from \"{}\";", source.import));
    w.line("");
    let title = model::card_text(m, "name").unwrap_or_else(|| source.file.clone());
    w.doc("title", &format!("{name}: typed calls of the model {}", comment(&title)));
    if let Some(licence) = model::card_text(m, "licence") {
        w.doc("notice", &format!("The model's licence: {}", comment(&licence)));
    }
    let text = "MODEL_ID is the model's content: whoever changes a weight, a label or a feature's name changes it.";
    w.doc("dev", text);
}

fn constants(w: &mut Writer, m: &LoadedModel, shape: &Shape, example: Option<&Example>) {
    let g = &m.graph;
    let own = ["MODEL_ID", "FEATURES", "CLASSES", "EXAMPLE_CLASS", "EXAMPLE_SCORE", "EXAMPLE_ANSWER"];
    w.doc("notice", "The model.");
    w.constant("bytes32", "MODEL_ID", &number::hex32(&m.id));
    if !shape.columns.is_empty() {
        w.doc("notice", "Values of a row.");
        w.constant("uint256", "FEATURES", &shape.columns.len().to_string());
    }
    let labels = g.labels.to_strings();
    let names = |k: usize, l: &String| format!("CLASS_{}", constant_case(l, &k.to_string()));
    let classes = unique(labels.iter().enumerate().map(|(k, l)| names(k, l)), &own);
    if !labels.is_empty() && labels.len() <= MOST_FIELDS {
        w.doc("notice", "Classes.");
        w.constant("uint256", "CLASSES", &labels.len().to_string());
        for (k, (label, name)) in labels.iter().zip(&classes).enumerate() {
            w.doc("notice", &format!("The class \"{}\".", comment(label)));
            w.constant("uint256", name, &k.to_string());
        }
    }
    categories(w, g, shape, [own.map(str::to_owned).to_vec(), classes].concat());
    if let Some(e) = example {
        if let Some((class, score)) = e.class {
            w.doc("notice", "The class of `example()`, and its score.");
            w.constant("uint256", "EXAMPLE_CLASS", &class.to_string());
            w.constant("int256", "EXAMPLE_SCORE", &wad_literal(score));
        }
        if let [answer] = e.answer.as_slice() {
            w.doc("notice", "The answer to `example()`, 18 decimals.");
            w.constant("int256", "EXAMPLE_ANSWER", &wad_literal(*answer));
        }
    }
}

/// The codes of strings, 18 decimals like every value.
fn categories(w: &mut Writer, g: &Graph, shape: &Shape, taken: Vec<String>) {
    let mut taken = taken;
    for c in shape.columns.iter().filter(|c| (1..=MOST_FIELDS).contains(&c.categories.len())) {
        let prefix = constant_case(&c.name, &g.inputs[c.input].name);
        let names =
            c.categories.iter().enumerate().map(|(k, s)| format!("{prefix}_{}", constant_case(s, &k.to_string())));
        let names = unique(names, &taken.iter().map(String::as_str).collect::<Vec<_>>());
        for (k, (category, name)) in c.categories.iter().zip(&names).enumerate() {
            w.doc("notice", &format!("The value of {} that stands for \"{}\".", comment(&c.name), comment(category)));
            w.constant("int256", name, &if k == 0 { "0".into() } else { format!("{k}e18") });
        }
        w.doc("notice", &format!("A value of {} that the model does not know.", comment(&c.name)));
        let unknown =
            unique(std::iter::once(format!("{prefix}_UNKNOWN")), &names.iter().map(String::as_str).collect::<Vec<_>>());
        w.constant("int256", &unknown[0], "-1e18");
        taken.extend(names);
        taken.extend(unknown);
    }
}

fn structure(w: &mut Writer, m: &LoadedModel, shape: &Shape) {
    w.gap();
    w.doc("notice", "One row. Every value has 18 decimals: 1.5 is 1.5e18.");
    let card = model::card(m);
    let ranges = card.get("features").and_then(|f| f.as_array()).cloned().unwrap_or_default();
    for (k, (c, field)) in shape.columns.iter().zip(&shape.fields).enumerate() {
        let mut text = comment(&c.name);
        if !c.categories.is_empty() {
            text.push_str(", one of the constants above");
        } else if c.dtype == DType::Bool {
            text.push_str(": 0 or 1e18");
        } else if c.dtype != DType::F32 {
            text.push_str(", a whole number");
        }
        if let Some(range) = ranges.get(k).and_then(|r| r.get("training_range")).and_then(|r| r.as_array())
            && let [low, high] = range.as_slice()
        {
            text.push_str(&format!(", in the data {low} to {high}"));
        }
        w.doc("param", &format!("{field} {text}"));
    }
    w.open("struct Features {");
    for field in &shape.fields {
        w.line(&format!("int256 {field};"));
    }
    w.close();
}
