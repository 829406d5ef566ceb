//! Every committed model imports, answers as its own library does, and has the same bits however it is run.

mod common;

use common::{MODELS, import, lockstep, model_dir, text};
use serde_json::Value;

/// Labels equal on every row; numbers within 1e-6 of the expected range.
#[test]
fn every_committed_model_answers_as_its_library() {
    let dir = tempfile::tempdir().unwrap();
    for name in MODELS {
        let (file, report) = import(name, dir.path());
        assert!(file.is_file());
        let card: Value = serde_json::from_slice(&std::fs::read(model_dir(name).join("card.json")).unwrap()).unwrap();
        let agreement = report["data"]["agreement"].as_array().unwrap();
        assert!(!agreement.is_empty(), "{name}: nothing was compared");
        for a in agreement {
            if a["kind"] == "labels" {
                assert_eq!(a["agreement"], 1.0, "{name}: {a}");
            } else {
                assert!(a["relativeDifference"].as_f64().unwrap() <= 1e-6, "{name}: {a}");
                assert_eq!(a["notComparable"], 0, "{name}: {a}");
            }
        }
        let truth = &report["data"]["truth"];
        if card["task"] == "classification" {
            let accuracy = truth["accuracy"].as_f64().unwrap();
            assert!((accuracy - card["metric"]["accuracy"].as_f64().unwrap()).abs() < 1e-3, "{name}: {truth}");
            if card["classes"].as_array().unwrap().len() == 2 {
                assert!(truth["auc"].as_f64().unwrap() > 0.9, "{name}: {truth}");
            }
        } else {
            let r2 = truth["r2"].as_f64().unwrap();
            assert!((r2 - card["metric"]["r2"].as_f64().unwrap()).abs() < 1e-3, "{name}: {truth}");
        }
        assert!(report["gas"]["run"].as_u64().is_some(), "{name}: {}", report["gas"]);
        assert!(report["gas"]["infer"].as_u64().is_some(), "{name}: {}", report["gas"]);
        assert!(report["cost"]["peakMemoryBytes"].as_u64().unwrap() > 0);
        assert!(report["data"]["ranges"].as_array().unwrap().len() == report["rowFeatures"].as_u64().unwrap() as usize);
    }
}

#[test]
fn the_bits_do_not_depend_on_how_a_model_is_run() {
    let dir = tempfile::tempdir().unwrap();
    for name in MODELS {
        let (file, _) = import(name, dir.path());
        let data = text(model_dir(name).join("test.npz"));
        let mut first = None;
        for way in [
            &["--implementation", "fast", "--threads", "1"][..],
            &["--implementation", "fast", "--threads", "2"],
            &["--implementation", "fast", "--threads", "5"],
            &["--implementation", "reference"],
            &["--compare"],
        ] {
            let out = dir.path().join("out.npz");
            let args = ["run", &text(&file), "--inputs", &data, "--outputs", &text(&out)].map(str::to_owned);
            let run = lockstep(args.into_iter().chain(way.iter().map(|s| (*s).to_owned())));
            assert_eq!(run.status, 0, "{name} {way:?}: {run:?}");
            let bytes = std::fs::read(&out).unwrap();
            assert_eq!(first.get_or_insert_with(|| bytes.clone()), &bytes, "{name} {way:?}");
        }
    }
}

#[test]
fn importing_twice_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (file, report) = import("digits_cnn", dir.path());
    let once = std::fs::read(&file).unwrap();
    let (file, again) = import("digits_cnn", dir.path());
    assert_eq!(once, std::fs::read(&file).unwrap());
    assert_eq!(report["modelId"], again["modelId"]);
}

#[test]
fn what_was_imported_can_be_inspected_and_priced() {
    let dir = tempfile::tempdir().unwrap();
    let (file, report) = import("wine_mixed", dir.path());
    let file = text(&file);
    let shown = lockstep(["inspect", &file, "--json"]).json();
    assert_eq!(shown["modelId"], report["modelId"]);
    assert_eq!(shown["labels"], serde_json::json!(["Barbera", "Barolo", "Grignolino"]));
    assert!(shown["features"].as_array().unwrap().iter().any(|f| f["categories"].as_array().unwrap().len() > 1));
    assert!(shown["card"]["example"].is_object(), "{shown}");
    let svg = dir.path().join("graph.svg");
    let drawn = lockstep(["inspect", &file, "--svg", &text(&svg)]);
    assert_eq!(drawn.status, 0, "{drawn:?}");
    assert!(drawn.stdout.contains("example"), "{drawn:?}");
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg "));

    // The layers' shares add up to the work, and the stages to the quote.
    let quote =
        lockstep(["quote", &file, "--inputs", &text(model_dir("wine_mixed").join("test.npz")), "--json"]).json();
    for (function, gas) in quote["gas"].as_object().unwrap() {
        let stages: u64 = quote["stages"][function].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum();
        assert_eq!(Some(stages), gas.as_u64(), "{function}: {quote}");
    }
    let usage = lockstep(["inspect", &file, "--dim", "nonsense=3"]);
    assert_eq!(usage.status, 2, "{usage:?}");
}

#[test]
fn an_upgrade_is_compared_row_by_row() {
    let dir = tempfile::tempdir().unwrap();
    let (old, _) = import("breast_cancer_logreg", dir.path());
    let data = text(model_dir("breast_cancer_logreg").join("test.npz"));
    let same = lockstep(["compare", &text(&old), &text(&old), "--data", &data, "--json"]).json();
    assert_eq!(same["same"], true);
    assert_eq!(same["labels"]["changed"], 0);
    let text_form = lockstep(["compare", &text(&old), &text(&old), "--data", &data]);
    assert!(text_form.stdout.contains("0 of 171 rows change"), "{text_form:?}");
    // Models whose inputs have other names cannot be compared on one data set: said, not guessed.
    let (new, _) = import("breast_cancer_xgb", dir.path());
    let refused = lockstep(["compare", &text(&old), &text(&new), "--data", &data]);
    assert_eq!(refused.status, 3, "{refused:?}");
}
