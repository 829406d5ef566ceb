//! What authors do at first, and what they are told: data by other names, in other shapes, of other habits.

mod common;

use common::onnx::{model, port};
use common::{lockstep, model_dir, text, write_npz};

const NAMES: &str = "sepal_length\nsepal_width\npetal_length\npetal_width\n";
const ROWS: &str = "5.1,2.5,3.0,1.1,1\n5.1,3.5,1.4,0.2,0\n";

/// Imports iris_forest with this data file; what came on stdout and stderr.
fn import(file: &str, content: &[u8], more: &[&str]) -> common::Run {
    let dir = tempfile::tempdir().unwrap();
    let (names, data) = (dir.path().join("cols.txt"), dir.path().join(file));
    std::fs::write(&names, NAMES).unwrap();
    std::fs::write(&data, content).unwrap();
    let source = text(model_dir("iris_forest").join("model.onnx"));
    let out = text(dir.path().join("m.lsm"));
    let mut args = vec!["import".to_owned(), source, "-o".into(), out, "--features".into(), text(&names)];
    args.extend(["--data".into(), text(&data)]);
    args.extend(more.iter().map(|s| (*s).to_owned()));
    lockstep(args)
}

fn refused(file: &str, content: &str) -> String {
    let run = import(file, content.as_bytes(), &[]);
    assert_eq!(run.status, 3, "{run:?}");
    run.stderr
}

#[test]
fn tables_with_other_habits_are_told_what_is_expected() {
    let e = refused("a.csv", "sepal_length;sepal_width;petal_length;petal_width;y\n5,1;2,5;3,0;1,1;1\n");
    assert!(e.contains("separated by ';'") && e.contains("commas"), "{e}");
    let e = refused("a.csv", "5.1,2.5,3.0,1.1\n5.1,3.5,1.4,0.2\n");
    assert!(e.contains("first line holds numbers"), "{e}");
    let e = refused("a.csv", &format!("Sepal Length,Sepal Width,Petal Length,Petal Width,y\n{ROWS}"));
    assert!(e.contains("'Sepal Length' is given for 'sepal_length'"), "{e}");
    let e = refused("a.csv", "sepal_length,sepal_width,petal_length,y\n5.1,2.5,3.0,1\n");
    assert!(e.contains("features are missing: petal_width"), "{e}");
}

#[test]
fn arrays_of_another_name_or_shape_are_told_the_models() {
    let dir = tempfile::tempdir().unwrap();
    let npz = dir.path().join("a.npz");
    let import_npz = |arrays: &[(&str, &[usize], &[f32])]| {
        write_npz(&npz, arrays);
        let run = import("a.npz", &std::fs::read(&npz).unwrap(), &[]);
        assert_eq!(run.status, 3, "{run:?}");
        run.stderr
    };
    let e = import_npz(&[("data", &[2, 4], &[1.0; 8])]);
    assert!(e.contains("'data' has the right shape") && e.contains("X="), "{e}");
    let e = import_npz(&[("X", &[2, 3], &[1.0; 6])]);
    assert!(e.contains("[2, 3]") && e.contains("[batch, 4]"), "{e}");
    // Only the second class's probability.
    let e = import_npz(&[("X", &[2, 4], &[1.0; 8]), ("expected:probabilities", &[2], &[0.5; 2])]);
    assert!(e.contains("[2, 3]") && e.contains("predict_proba"), "{e}");
}

#[test]
fn answers_that_are_not_the_librarys_are_doubted() {
    let header = NAMES.trim_end().replace('\n', ",");
    let named = format!("{header},y\n5.1,2.5,3.0,1.1,versicolor\n5.1,3.5,1.4,0.2,setosa\n");
    let run = import("a.csv", named.as_bytes(), &[]);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(run.stderr.contains("'versicolor'") && run.stderr.contains("--labels"), "{run:?}");
    let run = import("a.csv", named.as_bytes(), &["--labels", "setosa,versicolor,virginica", "--json"]);
    assert_eq!(run.json()["data"]["truth"]["accuracy"], 1.0);
    // Columns in another order than the header says.
    let swapped = format!("{header},expected:label\n1.1,3.0,2.5,5.1,1\n0.2,1.4,3.5,5.1,0\n");
    let run = import("a.csv", swapped.as_bytes(), &[]);
    assert!(run.stderr.contains("order of training"), "{run:?}");
}

#[test]
fn a_call_that_no_block_holds_is_refused_with_both_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("m.onnx"), text(dir.path().join("m.lsm")));
    let ports = [port("x", &[4000, 1]), port("e", &[1, 4000])];
    std::fs::write(&source, model("Pow", &["x", "e"], &ports, &port("y", &[4000, 4000]), &[])).unwrap();
    let run = lockstep(["import", &text(&source), "-o", &out]);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stderr.contains("a block holds 60,000,000") || run.stderr.contains("maxPeakMemory"), "{run:?}");
}
