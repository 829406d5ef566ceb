//! The families of models that people have (tests/models/families): imported, run, compared with the library that
//! trained them, and independent of the batch that a row stands in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::{
    self,
    npz::{self, Array, Values},
};
use lockstep_engine::{Data, Tensor};
use lockstep_importer::Imported;

/// Numbers differ from the library's by at most this part of the output's range (of 1 where that is smaller).
const BOUND: f64 = 1e-6;

/// Families for which it is more, and why. Measured values are in tests/models/families/README.md.
const WIDER: &[(&str, f64, &str)] = &[
    ("cancer_svc_proba", 3e-6, "libsvm couples probabilities in float64, here in float32"),
    ("digits_bernoulli_nb", 3e-6, "log-likelihoods of hundreds in float32, then exp; onnxruntime: 4.5e-6"),
    ("digits_multinomial_nb", 1e-4, "log-likelihoods of hundreds in float32, then exp; onnxruntime: 5.7e-5"),
    ("iris_kmeans", 1e-5, "the file computes |x|^2 - 2xc + |c|^2 in float32; onnxruntime: 4.0e-6"),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models/families")
}

fn names() -> Vec<String> {
    common::models_in(&folder())
}

fn imported(dir: &Path) -> Result<Imported, String> {
    common::import_folder(dir).map_err(|e| e.to_string())
}

fn inputs(m: &Imported, data: &BTreeMap<String, Array>) -> Vec<Tensor> {
    let one = |input: &lockstep_importer::InputInfo| {
        let a = &data[&input.name];
        let Values::F32(v) = &a.values else { panic!("{}: f32 is expected", input.name) };
        Tensor::new(a.shape.clone(), Data::F32(v.clone())).expect("an input")
    };
    m.inputs.iter().map(one).collect()
}

/// The greatest difference over the output's range, and whether all labels are equal.
fn compare(got: &Tensor, want: &Array) -> Result<f64, String> {
    // Exporters keep axes of length 1 that libraries leave out.
    let plain = |s: &[usize]| s.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    if plain(&got.shape) != plain(&want.shape) {
        return Err(format!("shape {:?}, the library's is {:?}", got.shape, want.shape));
    }
    match (&got.data, &want.values) {
        (Data::I64(g), Values::I64(w)) => {
            let wrong = g.iter().zip(w).filter(|(a, b)| a != b).count();
            if wrong == 0 { Ok(0.0) } else { Err(format!("{wrong} of {} labels differ", w.len())) }
        }
        (Data::F32(g), Values::F32(w)) => {
            let range = w.iter().fold(f32::MIN, |a, b| a.max(*b)) - w.iter().fold(f32::MAX, |a, b| a.min(*b));
            let worst = g.iter().zip(w).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).fold(0.0, f64::max);
            Ok(worst / f64::from(range.max(1.0)))
        }
        (g, w) => Err(format!("{g:?} against {w:?}")),
    }
}

#[test]
fn every_family_answers_as_its_library() {
    let mut bad = Vec::new();
    for name in names() {
        let dir = folder().join(&name);
        let m = match imported(&dir) {
            Ok(m) => m,
            Err(e) => {
                bad.push(format!("{name}: {e}"));
                continue;
            }
        };
        let data = npz::read(&dir.join("test.npz"));
        // Reference and fast path, which have to have the same bits.
        let got = common::run(&m, &inputs(&m, &data));
        let bound = WIDER.iter().find(|(n, ..)| *n == name).map_or(BOUND, |(_, b, _)| *b);
        let mut compared = 0;
        for (output, got) in m.model.graph.outputs.iter().zip(&got) {
            let Some(want) = data.get(&format!("expected:{}", output.name)) else {
                bad.push(format!("{name}: the library has no '{}'", output.name));
                continue;
            };
            compared += 1;
            match compare(got, want) {
                Ok(off) => {
                    println!("{name:24} {:20} {off:9.2e}", output.name);
                    if off > bound {
                        bad.push(format!("{name}: {} is off by {off:e} of its range", output.name));
                    }
                }
                Err(e) => bad.push(format!("{name}: {}: {e}", output.name)),
            }
        }
        assert!(compared > 0, "{name}: nothing was compared");
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    let mut several = 0;
    for name in names() {
        let dir = folder().join(&name);
        let m = imported(&dir).unwrap_or_else(|e| panic!("{name}: {e}"));
        if m.model.graph.inputs.iter().any(|i| i.shape.first().is_none_or(|d| d.as_known().is_some())) {
            continue; // a fixed batch
        }
        several += 1;
        let all = inputs(&m, &npz::read(&dir.join("test.npz")));
        let together = common::run(&m, &all);
        let rows = all[0].shape[0];
        for row in [0, 1, rows / 2, rows - 1] {
            let one: Vec<Tensor> = all.iter().map(|t| slice(t, row)).collect();
            for (alone, joint) in common::run(&m, &one).iter().zip(&together) {
                // The rows are the first axis of more than one element.
                let (bytes, n) = (joint.to_le_bytes(), joint.to_le_bytes().len() / rows);
                assert_eq!(alone.to_le_bytes(), bytes[row * n..(row + 1) * n], "{name}: row {row}");
            }
        }
    }
    assert!(several > 30, "only {several} families have a dynamic batch");
}

fn slice(t: &Tensor, row: usize) -> Tensor {
    let n: usize = t.shape[1..].iter().product();
    let mut shape = t.shape.clone();
    shape[0] = 1;
    let at = row * n..(row + 1) * n;
    let data = match &t.data {
        Data::F32(v) => Data::F32(v[at].to_vec()),
        Data::I64(v) => Data::I64(v[at].to_vec()),
        other => panic!("{other:?}"),
    };
    Tensor::new(shape, data).expect("a row")
}

/// Every family of the list is there, with its training script.
#[test]
fn every_family_is_committed() {
    let names = names();
    let scripts = std::fs::read_to_string(folder().join("../train/train_all.py")).expect("train_all.py");
    for name in &names {
        let known = scripts.contains(&format!("\"{name}\""))
            || name.rsplit_once('_').is_some_and(|(kind, _)| scripts.contains(&format!("\"{kind}\"")));
        assert!(known, "{name} has no training script");
    }
    for part in ["svc", "svr", "knn", "_nb", "kmeans", "pca", "isolation", "forest", "hgb", "lgbm", "xgb", "script"] {
        assert!(names.iter().any(|n| n.contains(part)), "no model of {part}");
    }
    for (name, ..) in WIDER {
        assert!(names.iter().any(|n| n == name), "{name} has a bound of its own and is not there");
    }
}
