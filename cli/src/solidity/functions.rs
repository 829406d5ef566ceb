//! The functions of a generated library.

use alloy_primitives::I256;
use lockstep_engine::LoadedModel;

use super::Shape;
use super::names::comment;
use super::writer::{Writer, wad_literal};
use crate::report::model::shape_text;

/// Functions over the struct.
pub(super) fn rows(w: &mut Writer, shape: &Shape) {
    infer(w, shape);
    if shape.classifier {
        classify(w, shape);
    }
    w.gap();
    w.doc("notice", "The row as the functions of `Inference` take it, `tryInfer` and `encodeInfer` among them.");
    w.open("function row(Features memory x) internal pure returns (int256[] memory values) {");
    w.line("values = new int256[](FEATURES);");
    for (k, field) in shape.fields.iter().enumerate() {
        w.line(&format!("values[{k}] = x.{field};"));
    }
    w.close();
    if shape.any_rows() {
        w.gap();
        w.doc("notice", "Several rows, one after the other.");
        w.open("function rows(Features[] memory x) internal pure returns (int256[] memory values) {");
        w.line("values = new int256[](FEATURES * x.length);");
        w.open("for (uint256 i; i < x.length; ++i) {");
        w.line("int256[] memory one = row(x[i]);");
        w.open("for (uint256 k; k < FEATURES; ++k) {");
        w.line("values[i * FEATURES + k] = one[k];");
        w.close();
        w.close();
        w.close();
    }
}

fn infer(w: &mut Writer, shape: &Shape) {
    w.gap();
    if shape.outputs == 1 {
        w.doc("notice", "The model's answer for one row, 18 decimals.");
        w.open("function infer(Features memory x) internal view returns (int256 y) {");
        w.line("return Inference.infer(MODEL_ID, row(x))[0];");
    } else {
        w.doc("notice", &format!("The model's {} values for one row, 18 decimals each.", shape.outputs));
        w.open("function infer(Features memory x) internal view returns (int256[] memory y) {");
        w.line("return Inference.infer(MODEL_ID, row(x));");
    }
    w.close();
    if shape.any_rows() {
        w.gap();
        w.doc("notice", "The model's answers for several rows, row by row.");
        w.open("function infer(Features[] memory x) internal view returns (int256[] memory y) {");
        w.line("return Inference.infer(MODEL_ID, rows(x));");
        w.close();
    }
}

fn classify(w: &mut Writer, shape: &Shape) {
    w.gap();
    w.doc("notice", "The class of one row, and the model's score for it, 18 decimals.");
    w.open("function classify(Features memory x) internal view returns (uint256 class, int256 score) {");
    w.line("(uint256[] memory classes, int256[] memory scores) = Inference.classify(MODEL_ID, row(x));");
    w.line("return (classes[0], scores[0]);");
    w.close();
    if shape.any_rows() {
        w.gap();
        w.doc("notice", "The classes of several rows.");
        w.open("function classify(Features[] memory x) internal view returns (uint256[] memory, int256[] memory) {");
        w.line("return Inference.classify(MODEL_ID, rows(x));");
        w.close();
    }
}

/// Functions over plain arrays.
pub(super) fn arrays(w: &mut Writer, shape: &Shape) {
    let rows = shape.fixed_rows.map_or("row by row".into(), |n| format!("{n} rows at a time"));
    w.gap();
    w.doc(
        "notice",
        &format!("The model's answer, 18 decimals. x holds FEATURES values a row, {rows}, 18 decimals each."),
    );
    w.open("function infer(int256[] memory x) internal view returns (int256[] memory y) {");
    w.line("return Inference.infer(MODEL_ID, x);");
    w.close();
    if shape.classifier {
        w.gap();
        w.doc("notice", "The class of each row, and the model's score for it, 18 decimals.");
        w.open("function classify(int256[] memory x) internal view returns (uint256[] memory, int256[] memory) {");
        w.line("return Inference.classify(MODEL_ID, x);");
        w.close();
    }
}

/// The one function of a model whose inputs form no rows.
pub(super) fn tensors(w: &mut Writer, m: &LoadedModel) {
    let g = &m.graph;
    w.gap();
    w.doc("notice", "Runs the model. Tensors.sol builds and reads tensors.");
    let port = |name: &str, dtype: lockstep_engine::DType, shape: &[lockstep_engine::Dim]| {
        format!("{} {dtype} {}", comment(name), comment(&shape_text(shape, &g.symbols)))
    };
    let inputs: Vec<String> = g.inputs.iter().map(|i| port(&i.name, i.dtype, &i.shape)).collect();
    let types = g.outputs.iter().map(|o| (o, &m.checked.types[o.value.0 as usize]));
    let outputs: Vec<String> = types.map(|(o, t)| port(&o.name, t.dtype, &t.shape)).collect();
    w.doc("param", &format!("inputs {}", inputs.join("; ")));
    w.doc("return", &format!("outputs {}", outputs.join("; ")));
    w.open("function run(Tensor[] memory inputs) internal view returns (Tensor[] memory outputs) {");
    w.line("return Inference.run(MODEL_ID, inputs);");
    w.close();
}

/// The card's example.
pub(super) fn fixture(w: &mut Writer, shape: &Shape, row: &[I256], answer: &[I256]) {
    w.gap();
    w.doc("notice", "A row to test with.");
    w.open("function example() internal pure returns (Features memory x) {");
    for (field, v) in shape.fields.iter().zip(row) {
        w.line(&format!("x.{field} = {};", wad_literal(*v)));
    }
    w.close();
    if answer.len() > 1 {
        w.gap();
        w.doc("notice", "The answer to `example()`, to the last digit.");
        w.open("function exampleAnswer() internal pure returns (int256[] memory y) {");
        w.line(&format!("y = new int256[]({});", answer.len()));
        for (k, v) in answer.iter().enumerate() {
            w.line(&format!("y[{k}] = {};", wad_literal(*v)));
        }
        w.close();
    }
}
