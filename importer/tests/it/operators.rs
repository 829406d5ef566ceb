//! The table of operators: complete, and the document made from it is fresh.

use lockstep_importer::operators;

#[test]
fn every_operator_of_onnx_stands_in_one_list() {
    let bad = operators::inconsistencies();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(operators::list().len() > 200, "the list of ONNX's operators broke");
}

#[test]
fn the_document_of_operators_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operators.md");
    let found = std::fs::read_to_string(path).expect("docs/operators.md");
    assert!(
        found == operators::markdown(),
        "docs/operators.md is stale: cargo run -p lockstep-importer --example operators -- --write"
    );
}
