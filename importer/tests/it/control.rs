//! If on data, Scan and Loop: unrolled, their ends required.

use crate::common::*;
use lockstep_engine::{Data, Tensor};
use lockstep_importer::proto::*;
use lockstep_importer::{ImportOptions, import};

fn body(nodes: Onnx, inputs: &[&str], outputs: &[&str]) -> GraphProto {
    let value = |n: &&str| ValueInfoProto { name: Some((*n).into()), r#type: None };
    GraphProto { input: inputs.iter().map(value).collect(), output: outputs.iter().map(value).collect(), ..nodes.graph }
}

fn flag(b: bool) -> Tensor {
    Tensor::new(Vec::new(), Data::Bool(vec![b])).unwrap()
}

#[test]
fn both_branches_are_computed_and_one_is_chosen() {
    let m = |then: Onnx| {
        let branches = [
            graph_attribute("then_branch", body(then, &[], &["out"])),
            graph_attribute("else_branch", body(onnx(17).node("Neg", &["x"], &["out"], &[]), &[], &["out"])),
        ];
        onnx(17).input("x", F, &[D::N(2)]).input("c", 9, &[]).node("If", &["c"], &["y"], &branches).output("y")
    };
    let one = m(onnx(17).node("Abs", &["x"], &["out"], &[]));
    let v = x(&[2], &[1.0, -2.0]);
    assert_eq!(one.f32(&[v.clone(), flag(true)]), [1.0, 2.0]);
    assert_eq!(one.f32(&[v, flag(false)]), [-1.0, 2.0]);
    let other_shape = m(onnx(17).node("Concat", &["x", "x"], &["out"], &[int("axis", 0)]));
    assert!(other_shape.problems()[0].reason.contains("different shapes"));
}

/// s = s + 1 while s < limit; also every s.
fn counting(scan: bool) -> Onnx {
    let nodes = onnx(17)
        .constant("one", t_f32(&[], &[1.0]))
        .node("Add", &["s", "one"], &["next"], &[])
        .node("Less", &["next", "limit"], &["go"], &[])
        .node("Identity", &["next"], &["each"], &[]);
    let outputs: &[&str] = if scan { &["go", "next", "each"] } else { &["go", "next"] };
    let attribute = graph_attribute("body", body(nodes, &["i", "cond", "s"], outputs));
    let results: &[&str] = if scan { &["y", "all"] } else { &["y"] };
    let mut m = onnx(17)
        .input("trips", I, &[])
        .input("start", 9, &[])
        .input("x", F, &[])
        .input("limit", F, &[])
        .node("Loop", &["trips", "start", "x"], results, &[attribute])
        .output("y");
    if scan {
        m.graph.output.push(info("all", F, Some(&[D::N(3)])));
    }
    m
}

fn run_loop(m: &lockstep_importer::Imported, trips: i64, start: bool, limit: f32) -> Result<Vec<Tensor>, String> {
    try_run(m, &[xi(&[], &[trips]), flag(start), x(&[], &[0.0]), x(&[], &[limit])])
}

#[test]
fn a_loop_takes_as_many_iterations_as_its_scan_output_is_declared_with() {
    let m = counting(true).import().unwrap();
    let y = run_loop(&m, 3, true, 99.0).unwrap();
    assert_eq!((y[0].as_f32().unwrap(), y[1].as_f32().unwrap()), (&[3.0][..], &[1.0, 2.0, 3.0][..]));
    // Ended by its condition.
    assert_eq!(run_loop(&m, 50, true, 3.0).unwrap()[1].as_f32().unwrap(), [1.0, 2.0, 3.0]);
    for (trips, start, limit) in [(2, true, 99.0), (4, true, 99.0), (3, false, 99.0), (3, true, 2.0), (-1, true, 9.0)] {
        let e = run_loop(&m, trips, start, limit).unwrap_err();
        assert!(e.contains("more iterations than were declared"), "{trips} {start} {limit}: {e}");
    }
}

#[test]
fn a_loop_of_unknown_length_needs_a_bound_and_fails_beyond_it() {
    let m = counting(false);
    let advice = m.problems()[0].advice.clone().unwrap();
    assert!(advice.contains("--loop-bound"), "{advice}");
    let bounded = import(&m.bytes(), &ImportOptions { loop_bound: Some(4), ..ImportOptions::default() }).unwrap();
    let s = |trips, start, limit| run_loop(&bounded, trips, start, limit).map(|v| v[0].as_f32().unwrap()[0]);
    assert_eq!(s(3, true, 99.0), Ok(3.0));
    assert_eq!(s(99, true, 2.0), Ok(2.0));
    assert_eq!(s(4, true, 99.0), Ok(4.0));
    assert_eq!(s(9, false, 99.0), Ok(0.0));
    assert_eq!(s(-1, true, 99.0), Ok(0.0));
    assert!(s(5, true, 99.0).unwrap_err().contains("more iterations than were declared"));
    let beyond = ImportOptions { loop_bound: Some(1 << 40), ..ImportOptions::default() };
    assert!(import(&m.bytes(), &beyond).unwrap_err().to_string().contains("4096"));
}

#[test]
fn a_loop_with_constant_trips_is_its_iterations() {
    let nodes = onnx(17)
        .node("Mul", &["s", "two"], &["next"], &[])
        .node("Identity", &["cond"], &["go"], &[])
        .constant("two", t_f32(&[], &[2.0]));
    let attribute = graph_attribute("body", body(nodes, &["i", "cond", "s"], &["go", "next"]));
    let m = |n: i64| {
        onnx(17)
            .input("x", F, &[D::S("batch")])
            .constant("n", t_i64(&[], &[n]))
            .node("Loop", &["n", "", "x"], &["y"], std::slice::from_ref(&attribute))
            .output("y")
    };
    assert_eq!(m(3).f32(&[x(&[2], &[1.0, -1.0])]), [8.0, -8.0]);
    assert_eq!(m(0).f32(&[x(&[2], &[1.0, -1.0])]), [1.0, -1.0]);
    let nodes = &m(3).import().unwrap().model.graph.nodes.len();
    assert_eq!(*nodes, 3, "nothing is left to check");
}

#[test]
fn a_scan_has_a_copy_of_its_body_for_each_step() {
    let nodes = onnx(17).node("Add", &["s", "v"], &["next"], &[]).node("Identity", &["next"], &["each"], &[]);
    let attribute = graph_attribute("body", body(nodes, &["s", "v"], &["next", "each"]));
    let m = |steps: D, directions: &[i64]| {
        onnx(17)
            .input("s", F, &[])
            .input("x", F, &[steps])
            .node(
                "Scan",
                &["s", "x"],
                &["y", "all"],
                &[
                    attribute.clone(),
                    int("num_scan_inputs", 1),
                    ints("scan_input_directions", directions),
                    ints("scan_output_directions", directions),
                ],
            )
            .output("y")
            .output("all")
    };
    let inputs = [x(&[], &[10.0]), x(&[3], &[1.0, 2.0, 3.0])];
    let forward = m(D::N(3), &[0]).run(&inputs);
    assert_eq!((forward[0].as_f32().unwrap(), forward[1].as_f32().unwrap()), (&[16.0][..], &[11.0, 13.0, 16.0][..]));
    assert_eq!(m(D::N(3), &[1]).run(&inputs)[1].as_f32().unwrap(), [16.0, 15.0, 13.0]);
    assert!(m(D::S("steps"), &[0]).problems()[0].reason.contains("symbolic"));
}
