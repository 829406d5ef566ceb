//! The committed models: imported, run on their whole test splits, compared with their own libraries.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::common::{
    self,
    npz::{self, Array, Values},
};
use lockstep_engine::{DType, Data, Labels, Tensor};
use lockstep_importer::Imported;

/// Probabilities may differ from a library's by this much, regressors by this part of their range.
const PROBABILITY: f64 = 1e-5;
const REGRESSION: f64 = 1e-6;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models")
}

fn names() -> Vec<String> {
    names_in("")
}

fn names_in(family: &str) -> Vec<String> {
    common::models_in(&folder().join(family))
}

fn imported(name: &str) -> Imported {
    common::import_folder(&folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The inputs of the test split, strings as codes.
fn inputs(m: &Imported, data: &BTreeMap<String, Array>) -> Vec<Tensor> {
    let to_tensor = |(i, input): (usize, &lockstep_importer::InputInfo)| {
        let a = &data[&input.name];
        let values = match (&a.values, input.dtype) {
            (Values::F32(v), DType::F32) => Data::F32(v.clone()),
            (Values::F64(v), DType::F32) => Data::F32(v.iter().map(|x| *x as f32).collect()),
            (Values::I64(v), DType::I64) => Data::I64(v.clone()),
            (Values::Text(v), DType::I64) => {
                let categories = &m.model.graph.features[m.inputs[i].first_feature.unwrap()].categories;
                let code = |s: &String| categories.iter().position(|c| c == s).map_or(-1, |p| p as i64);
                Data::I64(v.iter().map(code).collect())
            }
            (v, t) => panic!("{}: {v:?} for {t}", input.name),
        };
        Tensor::new(a.shape.clone(), values).expect("an input")
    };
    m.inputs.iter().enumerate().map(to_tensor).collect()
}

fn check(name: &str) {
    let m = imported(name);
    let data = npz::read(&folder().join(name).join("test.npz"));
    let got = common::run(&m, &inputs(&m, &data));
    let mut compared = 0;
    for (output, got) in m.model.graph.outputs.iter().zip(&got) {
        let want = &data[&format!("expected:{}", output.name)];
        assert_eq!(got.shape, want.shape, "{name}: {}", output.name);
        compared += 1;
        match (&got.data, &want.values) {
            (Data::I64(g), Values::I64(w)) => assert_eq!(g, w, "{name}: labels"),
            (Data::I64(g), Values::Text(w)) => {
                let Labels::Strings(table) = &m.model.graph.labels else { panic!("{name}: no table of labels") };
                let g: Vec<&String> = g.iter().map(|i| &table[*i as usize]).collect();
                assert_eq!(g, w.iter().collect::<Vec<_>>(), "{name}: labels");
            }
            (Data::F32(g), Values::F32(w)) => {
                let probabilities = got.shape.get(1).is_some_and(|n| *n > 1);
                let range = w.iter().fold(f32::MIN, |a, b| a.max(*b)) - w.iter().fold(f32::MAX, |a, b| a.min(*b));
                let bound = if probabilities { PROBABILITY } else { REGRESSION * f64::from(range) };
                let worst = g.iter().zip(w).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).fold(0.0, f64::max);
                assert!(worst <= bound, "{name}: {} is off by {worst:e}, {bound:e} is allowed", output.name);
                if probabilities {
                    let greatest = |v: &[f32]| -> Vec<usize> {
                        v.chunks(got.shape[1])
                            .map(|r| (0..r.len()).fold(0, |b, i| if r[i] > r[b] { i } else { b }))
                            .collect()
                    };
                    assert_eq!(greatest(g), greatest(w), "{name}: the likeliest class");
                }
            }
            (g, w) => panic!("{name}: {g:?} against {w:?}"),
        }
    }
    assert!(compared > 0);
}

macro_rules! models {
    ($($name:ident),+) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })+

        #[test]
        fn every_committed_model_is_tested() {
            assert_eq!(names(), [$(stringify!($name)),+]);
        }
    };
}

models!(
    breast_cancer_logreg,
    breast_cancer_xgb,
    diabetes_gbr,
    diabetes_xgb,
    digits_cnn,
    digits_mlp,
    iris_forest,
    volatility_mlp,
    wine_mixed
);

/// The same file gives the same model everywhere. After a deliberate change:
/// `LOCKSTEP_REGENERATE=1 cargo nextest run --release -p lockstep-importer model_ids`.
#[test]
fn model_ids_are_pinned() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/model_ids.txt");
    let line = |n: &String| {
        let id: String = imported(n).model.id().iter().map(|b| format!("{b:02x}")).collect();
        format!("{n} {id}\n")
    };
    let families = names_in("families").into_iter().map(|n| format!("families/{n}"));
    let now: String = names().into_iter().chain(families).map(|n| line(&n)).collect();
    if std::env::var_os("LOCKSTEP_REGENERATE").is_some() {
        std::fs::write(&path, &now).expect("model_ids.txt");
    }
    let pinned = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(now, pinned, "the importer gives other models than before");
}

#[test]
fn graphs_hold_tables_outputs_and_names() {
    let m = imported("wine_mixed");
    let g = &m.model.graph;
    assert_eq!(g.labels, Labels::Strings(["Barbera", "Barolo", "Grignolino"].map(String::from).to_vec()));
    assert_eq!((g.label_output, g.primary_output), (Some(0), 1));
    assert_eq!(g.outputs[1].name, "output_probability");
    assert_eq!(g.symbols, ["batch"]);
    let tone = g.features.last().expect("features");
    assert_eq!((tone.name.as_str(), tone.categories.len()), ("tone", 3));
    assert_eq!(m.node_names.len(), g.nodes.len());
    assert!(m.notes.iter().any(|n| n.contains("ZipMap")), "{:?}", m.notes);

    let m = imported("digits_mlp");
    assert_eq!(m.model.graph.labels, Labels::Ints((0..10).collect()));
    assert_eq!(m.model.graph.label_output, Some(0));

    let m = imported("volatility_mlp");
    assert_eq!((m.model.graph.label_output, m.model.graph.primary_output), (None, 0));
    assert_eq!(m.model.graph.features.len(), 8);
    assert_eq!(m.model.graph.features[3].name, "returns_3");
}
