//! The fixture of a model: its bytes, its description and its training ranges as Solidity, so that a test needs no file.

use std::fmt::Write as _;

use alloy_primitives::U256;
use alloy_sol_types::SolCall;
use lockstep_engine::LoadedModel;
use lockstep_precompile::Outcome;
use lockstep_precompile::abi::IInference;

use super::names::comment;
use super::writer::Writer;
use super::{Shape, Source};
use crate::chain::Chain;
use crate::failure::Failure;
use crate::report::{model, number};

/// Largest model, in bytes of graph and weights, that is written into a source. The compiler takes a larger one only slowly.
pub(crate) const MOST_BYTES: usize = 256 * 1024;

/// Longest section that is one literal.
const LITERAL: usize = 4096;

/// Bytes that one function stores.
const PART: usize = 2048;

/// Hex digits in a line.
const DIGITS: usize = 96;

/// The sections of a model file.
struct Sections<'a> {
    graph: &'a [u8],
    weights: &'a [u8],
}

/// The library `<name>Fixture`; `None` where the model is larger than [`MOST_BYTES`].
pub(super) fn text(source: &Source, name: &str, shape: &Shape, chain: &Chain) -> Result<Option<String>, Failure> {
    let m = &*source.model;
    let sections = Sections::of(&source.bytes, m).ok_or_else(|| {
        Failure::Other(anyhow::anyhow!("the sections of {} are not where its header says", source.file))
    })?;
    if sections.graph.len() + sections.weights.len() > MOST_BYTES {
        return Ok(None);
    }
    let mut w = Writer::default();
    super::file_header(&mut w, source);
    let folder = source.import.rsplit_once('/').map(|(f, _)| format!("{f}/")).unwrap_or_default();
    w.line(&format!("import {{ModelFixture}} from \"{folder}test-kit/ModelFixture.sol\";"));
    w.line("");
    w.doc(
        "title",
        &format!("{name}Fixture: the model of {name}, for `useModel({name}Fixture.model())` in a forge test"),
    );
    w.doc("notice", "For tests only. The test needs no file, no ffi and no running node.");
    w.open(&format!("library {name}Fixture {{"));
    w.doc("notice", "The model's bytes, its description, and the ranges of its training data.");
    w.open("function model() internal pure returns (ModelFixture memory m) {");
    let title = model::card_text(m, "name").unwrap_or_else(|| source.file.clone());
    w.line(&format!("m.name = \"{}\";", string(&title)));
    w.line(&format!("m.modelId = {};", number::hex32(&m.id)));
    w.line(&format!("m.rowFeatures = {};", shape.columns.len()));
    w.line(&format!("m.shapeItems = {};", m.graph.shape_items()));
    if shape.classifier {
        w.line("m.classifies = true;");
    }
    if (1..=super::MOST_FIELDS).contains(&shape.columns.len()) {
        ranges(&mut w, m, shape);
    }
    bytes(&mut w, "description", &description(m, chain)?);
    let long = [("graph", sections.graph), ("weights", sections.weights)];
    for (field, value) in long {
        if value.len() > LITERAL {
            w.line(&format!("m.{field} = _{field}();"));
        } else {
            bytes(&mut w, field, value);
        }
    }
    w.close();
    for (field, value) in long {
        if value.len() > LITERAL {
            words(&mut w, field, value);
        }
    }
    w.close();
    Ok(Some(w.text))
}

/// Bytes as stores of words, in functions of [`PART`]: via-ir's optimizer takes time with the square of the stores of a
/// function, and a literal is one store for each word.
fn words(w: &mut Writer, field: &str, value: &[u8]) {
    w.gap();
    w.open(&format!("function _{field}() private pure returns (bytes memory data) {{"));
    w.line(&format!("data = new bytes({});", value.len()));
    w.line("uint256 p;");
    w.open("assembly (\"memory-safe\") {");
    w.line("p := add(data, 32)");
    w.close();
    for k in 0..value.len().div_ceil(PART) {
        w.line(&format!("_{field}{k}(p + {});", k * PART));
    }
    w.close();
    for (k, part) in value.chunks(PART).enumerate() {
        w.gap();
        w.open(&format!("function _{field}{k}(uint256 p) private pure {{"));
        w.open("assembly (\"memory-safe\") {");
        for (i, word) in part.chunks(32).enumerate() {
            // The last word is filled with zeros, as the memory of `bytes` is.
            let at = if i == 0 { "p".to_owned() } else { format!("add(p, {})", 32 * i) };
            w.line(&format!("mstore({at}, 0x{:0<64})", hex(word)));
        }
        w.close();
        w.close();
    }
}

fn hex(value: &[u8]) -> String {
    value.iter().fold(String::with_capacity(2 * value.len()), |mut digits, b| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{b:02x}");
        digits
    })
}

impl<'a> Sections<'a> {
    fn of(file: &'a [u8], m: &LoadedModel) -> Option<Self> {
        let graph_end = 32 + usize::try_from(m.graph_length).ok()?;
        let start = graph_end.next_multiple_of(64);
        let weights = file.get(start..start.checked_add(usize::try_from(m.weights_length).ok()?)?)?;
        Some(Self { graph: file.get(32..graph_end)?, weights })
    }
}

/// What `describe` returns.
fn description(m: &LoadedModel, chain: &Chain) -> Result<Vec<u8>, Failure> {
    let call = IInference::describeCall { modelId: m.id.into() }.abi_encode();
    match chain.call(&call, u64::MAX, U256::ZERO, None) {
        Outcome::Success { output, .. } => Ok(output),
        other => Err(Failure::Other(anyhow::anyhow!("describe gives no answer: {other:?}"))),
    }
}

/// Names of the features, one a line, and the lowest and highest value of each in the training data (i128, 18 decimals;
/// the lowest i128 where they are not known).
fn ranges(w: &mut Writer, m: &LoadedModel, shape: &Shape) {
    let names: Vec<String> = shape.columns.iter().map(|c| string(&c.name)).collect();
    let card = model::card(m);
    let known = card.get("features").and_then(|f| f.as_array()).cloned().unwrap_or_default();
    let mut packed = Vec::new();
    for k in 0..names.len() {
        let range = known.get(k).and_then(|r| r.get("training_range")).and_then(|r| r.as_array());
        let range = range.and_then(|r| Some((r.first()?.as_f64()?, r.get(1)?.as_f64()?)));
        let (low, high) = range.map_or((i128::MIN, i128::MIN), |(low, high)| (wad(low), wad(high)));
        packed.extend_from_slice(&low.to_be_bytes());
        packed.extend_from_slice(&high.to_be_bytes());
    }
    let names = names.join("\\n");
    if names.len() + 23 > 120 {
        w.line("m.features =");
        w.line(&format!("    \"{names}\";"));
    } else {
        w.line(&format!("m.features = \"{names}\";"));
    }
    bytes(w, "ranges", &packed);
}

/// Only compared with values that are off by a thousand: the last digits do not matter.
fn wad(x: f64) -> i128 {
    ((x * 1e18) as i128).max(-i128::MAX)
}

/// A string literal's content: what is not printable ASCII becomes `?`.
fn string(text: &str) -> String {
    comment(text)
        .chars()
        .map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' { c } else { '?' })
        .collect()
}

/// An assignment of bytes, as forge fmt leaves it.
fn bytes(w: &mut Writer, field: &str, value: &[u8]) {
    let digits = hex(value);
    if digits.is_empty() {
        return;
    }
    let mut lines = digits.as_bytes().chunks(DIGITS).map(|line| String::from_utf8_lossy(line).into_owned());
    let first = lines.next().unwrap_or_default();
    let rest: Vec<String> = lines.collect();
    if rest.is_empty() && 8 + field.len() + first.len() + 11 > 120 {
        w.line(&format!("m.{field} ="));
        w.line(&format!("    hex\"{first}\";"));
        return;
    }
    w.line(&format!("m.{field} = hex\"{first}\"{}", if rest.is_empty() { ";" } else { "" }));
    for (k, line) in rest.iter().enumerate() {
        w.line(&format!("    hex\"{line}\"{}", if k + 1 == rest.len() { ";" } else { "" }));
    }
}
