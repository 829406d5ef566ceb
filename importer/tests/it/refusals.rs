//! What is refused: by name, all of it, with something to do.

use std::io;

use crate::common::*;
use lockstep_engine::Limits;
use lockstep_importer::proto::*;
use lockstep_importer::{ImportError, ImportOptions, import};

#[test]
fn all_problems_come_in_one_run() {
    let m = onnx(17)
        .input("x", F, &[D::S("batch"), D::N(4)])
        .node("Loop", &["x"], &["a"], &[])
        .node("Relu", &["a"], &["b"], &[])
        .node("NonZero", &["x"], &["c"], &[])
        .ml("DictVectorizer", &["x"], &["d"], &[])
        .node("Unknown", &["b"], &["e"], &[])
        .output("b")
        .output("c")
        .output("d")
        .output("e");
    let p = m.problems();
    let names: Vec<&str> = p.iter().map(|p| p.op.as_str()).collect();
    assert_eq!(names, ["Loop", "NonZero", "DictVectorizer", "Unknown"], "Relu has no problem of its own");
    assert_eq!((p[0].node.as_str(), p[2].domain.as_str()), ("n0", "ai.onnx.ml"));
    let text = m.import().unwrap_err().to_string();
    assert!(text.contains("4 problems") && text.contains("node 'n3' (ai.onnx.ml.DictVectorizer)"), "{text}");
}

#[test]
fn unknown_attributes_are_refused() {
    let m = onnx(17).input("x", F, &[D::S("b")]).node("Relu", &["x"], &["y"], &[int("saturating", 1)]).output("y");
    assert!(m.problems()[0].reason.contains("'saturating'"));
}

#[test]
fn operands_and_attributes_are_named() {
    let m = onnx(17)
        .input("x", F, &[D::S("b"), D::N(2)])
        .input("shape", I, &[D::N(2)])
        .node("Reshape", &["x", "shape"], &["y"], &[])
        .output("y");
    let p = &m.problems()[0];
    assert_eq!(p.tensor.as_deref(), Some("shape"));
    assert!(p.reason.contains("computed from data"));
    let m = onnx(17).input("x", F, &[D::S("b")]).node("Add", &["x", "nowhere"], &["y"], &[]).output("y");
    assert_eq!(m.problems()[0].tensor.as_deref(), Some("nowhere"));
}

#[test]
fn newer_operator_sets_are_refused() {
    let m = onnx(99).input("x", F, &[D::S("b")]).node("Relu", &["x"], &["y"], &[]).output("y");
    assert!(m.problems()[0].reason.contains("operator set 99"));
}

#[test]
fn external_data_come_from_beside_the_model_only() {
    let entry = |k: &str, v: &str| StringStringEntry { key: Some(k.into()), value: Some(v.into()) };
    let stored = |path: &str| TensorProto {
        dims: vec![2],
        data_type: Some(1),
        data_location: Some(1),
        external_data: vec![entry("location", path), entry("offset", "4"), entry("length", "8")],
        ..TensorProto::default()
    };
    let model = |path: &str| {
        onnx(17)
            .input("x", F, &[D::S("b"), D::N(2)])
            .constant("w", stored(path))
            .node("Mul", &["x", "w"], &["y"], &[])
            .output("y")
            .bytes()
    };
    let file = [0.0f32, 2.0, 3.0].map(f32::to_le_bytes).concat();
    let there = |path: &str| {
        assert_eq!(path, "m.data");
        Ok(file.clone())
    };
    let with = |bytes: &[u8], read: &dyn Fn(&str) -> io::Result<Vec<u8>>| {
        import(bytes, &ImportOptions { external: Some(read), ..ImportOptions::default() })
    };
    let m = with(&model("m.data"), &there).unwrap();
    assert_eq!(run(&m, &[x(&[1, 2], &[1.0, 1.0])])[0], x(&[1, 2], &[2.0, 3.0]));

    let text = |r: Result<_, ImportError>| r.map(|_: lockstep_importer::Imported| ()).unwrap_err().to_string();
    let missing = text(with(&model("m.data"), &|_| Err(io::ErrorKind::NotFound.into())));
    assert!(missing.contains("'w'") && missing.contains("m.data") && missing.contains("beside"), "{missing}");
    let short = text(with(&model("m.data"), &|_| Ok(vec![0; 8])));
    assert!(short.contains("truncated"), "{short}");
    for path in ["../m.data", "/etc/passwd", "a/../../b"] {
        let e = text(with(&model(path), &|_| panic!("asked for a file outside")));
        assert!(e.contains("outside"), "{e}");
    }
    assert!(text(import(&model("m.data"), &ImportOptions::default())).contains("not at hand"));
}

#[test]
fn limits_are_told_with_the_number() {
    let m = onnx(17)
        .input("x", F, &[D::S("b"), D::N(64)])
        .constant("w", t_f32(&[64, 64], &[0.5; 4096]))
        .node("MatMul", &["x", "w"], &["y"], &[])
        .output("y");
    let limits = Limits { max_weight_bytes: 1000, ..Limits::default() };
    let e = import(&m.bytes(), &ImportOptions { limits, ..ImportOptions::default() }).unwrap_err().to_string();
    assert!(e.contains("16384") && e.contains("1000"), "{e}");
}

#[test]
fn types_outside_the_arithmetic_are_refused() {
    for elem in [data_type::DOUBLE, data_type::FLOAT16, data_type::UINT32, data_type::INT16] {
        let m = onnx(17).input("x", elem, &[D::S("b")]).node("Identity", &["x"], &["y"], &[]).output("y");
        assert_eq!(m.problems()[0].tensor.as_deref(), Some("x"), "{elem}");
    }
    let m = onnx(17).input("x", F, &[D::S("b")]).node("Cast", &["x"], &["y"], &[int("to", 10)]).output("y");
    assert!(m.problems()[0].reason.contains("float16"));
}

#[test]
fn names_have_to_fit() {
    let m = onnx(17).input("x", F, &[D::S("b"), D::N(2)]).node("Relu", &["x"], &["y"], &[]).output("y").bytes();
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|s| (*s).to_owned()).collect();
        import(&m, &ImportOptions { features: Some(&names), ..ImportOptions::default() })
    };
    assert_eq!(named(&["a", "b"]).unwrap().model.graph.features[1].name, "b");
    assert!(matches!(named(&["a"]), Err(ImportError::Options(_))));
    assert!(matches!(named(&["a", "a"]), Err(ImportError::Options(_))));
}

#[test]
fn results_that_are_not_made_matter_only_where_they_are_taken() {
    let pool = |output: &str| {
        onnx(12)
            .input("x", F, &[D::S("b"), D::N(1), D::N(4)])
            .node("MaxPool", &["x"], &["y", "i"], &[ints("kernel_shape", &[2]), int("storage_order", 1)])
            .output(output)
    };
    assert!(pool("y").import().is_ok());
    assert!(pool("i").problems()[0].reason.contains("column-major"));
}
