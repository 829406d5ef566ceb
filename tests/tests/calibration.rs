//! The calibration says something about every operator only if its grid has every operator.

#[allow(dead_code)]
#[path = "../examples/calibrate/grid.rs"]
mod grid;
#[path = "../examples/calibrate/selection.rs"]
mod selection;

use lockstep_engine::dim::Bindings;
use lockstep_engine::{Op, TensorType};

#[test]
fn every_operator_is_calibrated() {
    let cases = grid::grid();
    let missing: Vec<_> = Op::TABLE.iter().filter(|(code, _)| cases.iter().all(|c| c.op.code() != *code)).collect();
    assert!(missing.is_empty(), "no case in tests/examples/calibrate: {missing:?}");
}

#[test]
fn every_case_has_a_meaning() {
    for case in grid::grid() {
        let types: Vec<TensorType> = case.inputs.iter().chain(&case.constants).map(|t| t.ty()).collect();
        let operands: Vec<_> = types.iter().map(Some).collect();
        let found = case.op.definition().infer(&operands, &Bindings::SYMBOLIC);
        assert!(found.is_ok(), "{}: {found:?}", case.name);
    }
}
