//! What is refused, how it is said, and with which exit status.

mod common;

use common::onnx::{self, bytes, int, port, tensor_field};
use common::{import, lockstep, model_dir, text, write_npz};

#[test]
fn a_file_that_is_no_onnx_is_refused_with_its_kind() {
    let dir = tempfile::tempdir().unwrap();
    let out = text(dir.path().join("m.lsm"));
    let whole = std::fs::read(model_dir("digits_cnn").join("model.onnx")).unwrap();
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("pickle", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}".to_vec(), "pickle"),
        ("text", b"hello, this is a readme\n".to_vec(), "text"),
        ("empty", Vec::new(), "empty"),
        ("zip", b"PK\x03\x04rest".to_vec(), "zip"),
        ("truncated", whole[..whole.len() / 2].to_vec(), ""),
    ];
    for (name, bytes, word) in cases {
        let source = dir.path().join(name);
        std::fs::write(&source, bytes).unwrap();
        let plain = lockstep(["import", &text(&source), "-o", &out]);
        assert_eq!(plain.status, 3, "{name}: {plain:?}");
        assert!(plain.stdout.is_empty() && plain.stderr.contains(word), "{name}: {plain:?}");
        let json = lockstep(["import", &text(&source), "-o", &out, "--json"]);
        assert_eq!(json.status, 3, "{name}");
        assert_eq!(json.error()["error"]["kind"], "refused", "{name}");
        assert!(!json.error()["error"]["reason"].as_str().unwrap().is_empty(), "{name}");
        assert!(!std::path::Path::new(&out).exists(), "{name}: nothing is written");
    }
}

#[test]
fn statuses_tell_usage_refusal_and_failure_apart() {
    let dir = tempfile::tempdir().unwrap();
    let missing = text(dir.path().join("nothing.lsm"));
    assert_eq!(lockstep(["frobnicate"]).status, 2);
    assert_eq!(lockstep(["run"]).status, 2);
    assert_eq!(lockstep(["inspect", &missing]).status, 1);
    let garbage = dir.path().join("garbage.lsm");
    std::fs::write(&garbage, b"garbage, but long enough to hold a header of a model file").unwrap();
    let run = lockstep(["inspect", &text(&garbage), "--json"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.error()["error"]["problems"][0]["advice"].as_str().unwrap().contains("lockstep import"));
    assert_eq!(lockstep(["--version"]).status, 0);
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (model, _) = import("iris_forest", dir.path());
    let (model, npz) = (text(&model), dir.path().join("in.npz"));
    let out = text(dir.path().join("out.npz"));
    let run = |npz: &std::path::Path| lockstep(["run", &model, "--inputs", &text(npz), "--outputs", &out]);

    write_npz(&npz, &[("wrong", &[1, 4], &[1.0; 4])]);
    let r = run(&npz);
    assert_eq!(r.status, 3, "{r:?}");
    assert!(r.stderr.contains("'X'") && r.stderr.contains("wrong"), "{r:?}");

    write_npz(&npz, &[("X", &[1, 5], &[1.0; 5])]);
    let r = run(&npz);
    assert_eq!(r.status, 3, "{r:?}");
    assert!(r.stderr.contains("[1, 5]") && r.stderr.contains("[batch, 4]"), "{r:?}");

    std::fs::write(&npz, b"no zip").unwrap();
    assert_eq!(run(&npz).status, 3);

    write_npz(&npz, &[("X", &[2, 4], &[1.0; 8]), ("extra", &[1], &[0.0])]);
    let r = run(&npz);
    assert_eq!(r.status, 0, "{r:?}");
    assert!(r.stderr.contains("extra"), "{r:?}");
}

#[test]
fn tables_are_read_by_feature_names() {
    let dir = tempfile::tempdir().unwrap();
    let source = text(model_dir("iris_forest").join("model.onnx"));
    let (model, names) = (text(dir.path().join("m.lsm")), dir.path().join("cols.txt"));
    std::fs::write(&names, "sepal_length\nsepal_width\npetal_length\npetal_width\n").unwrap();
    let table = dir.path().join("rows.csv");
    let rows = "petal_width,sepal_length,sepal_width,petal_length,y,expected:label\n1.1,5.1,2.5,3.0,1,1\n0.2,5.1,3.5,1.4,0,0\n";
    std::fs::write(&table, rows).unwrap();
    let args = ["import", &source, "-o", &model, "--features", &text(&names), "--data", &text(&table), "--json"];
    let report = lockstep(args).json();
    assert_eq!(report["data"]["truth"]["accuracy"], 1.0, "{report}");
    assert_eq!(report["data"]["agreement"][0]["equal"], 2, "{report}");
    assert_eq!(report["features"][3]["name"], "petal_width");
    assert_eq!(report["data"]["ranges"][3]["range"], serde_json::json!([0.2, 1.1]));

    let wrong = lockstep(["import", &source, "-o", &model, "--features", &text(&table)]);
    assert_eq!(wrong.status, 3, "{wrong:?}");
}

#[test]
fn external_data_stays_in_the_models_folder() {
    // A model whose only initializer points outside: tensor data_location = EXTERNAL, location = ../secret.
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("models");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(dir.path().join("secret"), [0u8; 16]).unwrap();
    for location in ["../secret", "/etc/passwd", "link"] {
        #[cfg(unix)]
        let _ = std::os::unix::fs::symlink(dir.path().join("secret"), inside.join("link"));
        let model = inside.join("m.onnx");
        std::fs::write(&model, external_model(location)).unwrap();
        let run = lockstep(["import", &text(&model), "-o", &text(dir.path().join("m.lsm"))]);
        assert_eq!(run.status, 3, "{location}: {run:?}");
    }
    // The same data beside the model are taken.
    std::fs::write(inside.join("weights.bin"), [0u8; 16]).unwrap();
    let model = inside.join("m.onnx");
    std::fs::write(&model, external_model("weights.bin")).unwrap();
    let run = lockstep(["import", &text(&model), "-o", &text(dir.path().join("m.lsm"))]);
    assert_eq!(run.status, 0, "{run:?}");
}

/// `y = x + w` with w (f32, 4 values) in an external file.
fn external_model(location: &str) -> Vec<u8> {
    let entry =
        |key: &str, value: &str| tensor_field(13, &[bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat());
    // TensorProto: dims 1, data_type 2, name 8, external_data 13, data_location 14.
    let tensor = [int(1, 4), int(2, 1), bytes(8, b"w"), entry("location", location), int(14, 1)].concat();
    onnx::model("Add", &["x", "w"], &[port("x", &[4])], &port("y", &[4]), &[tensor])
}

#[test]
fn every_problem_is_listed_and_limits_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("m.onnx"), text(dir.path().join("m.lsm")));
    std::fs::write(&source, onnx::model("Frobnicate", &["x"], &[port("x", &[4])], &port("y", &[4]), &[])).unwrap();
    let run = lockstep(["import", &text(&source), "-o", &out, "--json"]);
    assert_eq!(run.status, 3, "{run:?}");
    assert_eq!(run.error()["error"]["problems"][0]["operator"], "Frobnicate");

    // A call of this model does not fit the call data of any transaction.
    std::fs::write(
        &source,
        onnx::model("Relu", &["x"], &[port("x", &[1, 1_000_000])], &port("y", &[1, 1_000_000]), &[]),
    )
    .unwrap();
    let run = lockstep(["import", &text(&source), "-o", &out]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stderr.contains("maxCallData is 1048576"), "{run:?}");
}
