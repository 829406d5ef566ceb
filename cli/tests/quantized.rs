//! `lockstep import --weights i8|i16`: what it says before it writes, and the models that it makes.

mod common;

use common::{lockstep, model_dir, text};

fn import(name: &str, weights: &str, folder: &std::path::Path, json: bool) -> (String, common::Run) {
    let dir = model_dir(name);
    let file = text(folder.join(format!("{name}-{weights}.lsm")));
    let (model, data) = (text(dir.join("model.onnx")), text(dir.join("test.npz")));
    let mut args = vec!["import", &model, "-o", &file, "--data", &data, "--weights", weights];
    if json {
        args.push("--json");
    }
    let run = lockstep(args);
    (file, run)
}

#[test]
fn the_author_sees_what_quantised_weights_change() {
    let dir = tempfile::tempdir().unwrap();
    for (weights, class, share, most) in [("i8", "I8", 0.5, 0.05), ("i16", "I16", 0.75, 1e-3)] {
        for name in ["digits_mlp", "digits_cnn"] {
            let (file, run) = import(name, weights, dir.path(), true);
            let report = run.json();
            let q = &report["quantization"];
            let [before, after] = ["f32", "quantized"].map(|s| q[s]["weightBytes"].as_f64().unwrap());
            assert!(after < before * share, "{name} {weights}: {before} {after}");
            assert_ne!(q["f32"]["modelId"], q["quantized"]["modelId"]);
            assert_eq!(q["quantized"]["modelId"], report["modelId"]);
            assert!(!q["layers"].as_array().unwrap().is_empty());
            for l in q["layers"].as_array().unwrap() {
                let loss = l["relativeError"].as_f64().unwrap();
                assert!(loss > 0.0 && loss < 0.01, "{name}: {l}");
            }
            let classes = &q["answers"]["classes"];
            let [equal, rows] = ["equal", "rows"].map(|k| classes[k].as_f64().unwrap());
            assert!(equal >= rows * 0.99, "{name} {weights}: {classes}");
            for o in q["answers"]["outputs"].as_array().unwrap() {
                let [greatest, mean] = ["greatestDifference", "meanDifference"].map(|k| o[k].as_f64().unwrap());
                assert!(mean <= greatest && (greatest <= most || o["name"] == "label"), "{name} {weights}: {o}");
            }
            let truth = ["f32", "quantized"].map(|s| q["answers"][s]["truth"]["accuracy"].as_f64().unwrap());
            assert!((truth[0] - truth[1]).abs() < 0.01);

            let shown = lockstep(["inspect", &file]);
            assert!(shown.stdout.contains(&format!("weights   {class}, blocks of ")), "{}", shown.stdout);
            assert!(shown.stdout.contains("QuantizedMatMul (") || shown.stdout.contains("QuantizedConv ("));
            let shown = lockstep(["inspect", &file, "--json"]).json();
            let layers = shown["cost"]["layers"].as_array().unwrap();
            assert!(layers.iter().any(|l| l["weights"]["class"] == class), "{layers:?}");

            // The same bits by both implementations, and the same model again.
            let data = text(model_dir(name).join("test.npz"));
            let out = text(dir.path().join("out.npz"));
            assert_eq!(lockstep(["run", &file, "--inputs", &data, "--outputs", &out, "--compare"]).status, 0);
            let (_, again) = import(name, weights, dir.path(), true);
            assert_eq!(again.json()["modelId"], report["modelId"]);
        }
    }
}

#[test]
fn the_comparison_comes_before_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (file, run) = import("digits_mlp", "i8", dir.path(), false);
    assert_eq!(run.status, 0, "{run:?}");
    let comparison = run.stdout.find("quantised weights: file").unwrap();
    assert!(comparison < run.stdout.find("model     0x").unwrap(), "{}", run.stdout);
    for text in ["relative error", "against the f32 model of the same file", "classes: ", "f32 ", "quantised "] {
        assert!(run.stdout.contains(text), "{text}: {}", run.stdout);
    }
    assert!(std::path::Path::new(&file).is_file());
    // Where the file cannot be written, the comparison was printed all the same.
    let nowhere = text(dir.path().join("no/such/folder/m.lsm"));
    let model = text(model_dir("digits_mlp").join("model.onnx"));
    let run = lockstep(["import", &model, "-o", &nowhere, "--weights", "i16"]);
    assert_ne!(run.status, 0);
    assert!(run.stdout.contains("relative error") && !run.stdout.contains("against the f32 model"), "{}", run.stdout);
}

#[test]
fn a_model_without_large_weights_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (file, run) = import("iris_forest", "i8", dir.path(), true);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stderr.contains("no weight can be I8"), "{}", run.stderr);
    assert!(!std::path::Path::new(&file).exists());
}
