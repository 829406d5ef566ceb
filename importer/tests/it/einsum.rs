//! ONNX Einsum against a loop over all indices.

use std::collections::BTreeMap;

use crate::common::*;
use lockstep_engine::Tensor;

/// The sum over all values of all letters; letters only.
fn loops(terms: &[&str], output: &str, operands: &[Tensor]) -> Vec<f64> {
    let mut sizes: BTreeMap<char, usize> = BTreeMap::new();
    for (t, x) in terms.iter().zip(operands) {
        sizes.extend(t.chars().zip(x.shape.iter().copied()));
    }
    let letters: Vec<char> = sizes.keys().copied().collect();
    let total: usize = sizes.values().product();
    let mut out = vec![0.0; output.chars().map(|l| sizes[&l]).product()];
    for mut rest in 0..total {
        let mut at = BTreeMap::new();
        for l in &letters {
            at.insert(*l, rest % sizes[l]);
            rest /= sizes[l];
        }
        let place = |t: &str| t.chars().fold(0, |n, l| n * sizes[&l] + at[&l]);
        let product: f64 = terms.iter().zip(operands).map(|(t, x)| f64::from(x.as_f32().unwrap()[place(t)])).product();
        out[place(output)] += product;
    }
    out
}

#[test]
fn equations_are_sums_over_all_indices() {
    for (equation, terms, output, shapes) in [
        ("ij->ji", vec!["ij"], "ji", vec![vec![2, 3]]),
        ("ij->i", vec!["ij"], "i", vec![vec![2, 3]]),
        ("i,i", vec!["i", "i"], "", vec![vec![4], vec![4]]),
        ("bij, bjk -> bik", vec!["bij", "bjk"], "bik", vec![vec![2, 3, 4], vec![2, 4, 2]]),
        ("ij,kl->ikjl", vec!["ij", "kl"], "ikjl", vec![vec![2, 3], vec![3, 2]]),
        ("ba,ac", vec!["ba", "ac"], "bc", vec![vec![2, 3], vec![3, 2]]),
        ("bhqd,bkhd->bhqk", vec!["bhqd", "bkhd"], "bhqk", vec![vec![2, 2, 3, 4], vec![2, 5, 2, 4]]),
        ("ij,jk,kl->il", vec!["ij", "jk", "kl"], "il", vec![vec![2, 3], vec![3, 4], vec![4, 2]]),
        ("ijm,jik->k", vec!["ijm", "jik"], "k", vec![vec![2, 3, 2], vec![3, 2, 4]]),
        ("bii->bi", vec!["bii"], "bi", vec![vec![2, 3, 3]]),
        ("ii", vec!["ii"], "", vec![vec![3, 3]]),
    ] {
        let operands: Vec<Tensor> = shapes
            .iter()
            .enumerate()
            .map(|(k, s)| {
                let n = s.iter().product::<usize>();
                x(s, &(0..n).map(|i| ((i * 37 + k * 11) % 23) as f32 / 8.0 - 1.25).collect::<Vec<_>>())
            })
            .collect();
        let names: Vec<String> = (0..operands.len()).map(|i| format!("x{i}")).collect();
        let mut m = onnx(12);
        for (n, s) in names.iter().zip(&shapes) {
            m = m.input(n, F, &s.iter().map(|d| D::N(*d as i64)).collect::<Vec<_>>());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let m = m.node("Einsum", &names, &["y"], &[string("equation", equation)]).output("y");
        let want = loops(&terms, output, &operands);
        let got = m.f32(&operands);
        assert_eq!(got.len(), want.len(), "{equation}");
        for (g, w) in got.iter().zip(&want) {
            assert!((f64::from(*g) - w).abs() < 1e-4, "{equation}: {got:?} {want:?}");
        }
    }
}

#[test]
fn an_ellipsis_broadcasts() {
    let m = onnx(12)
        .input("a", F, &[D::S("batch"), D::N(1), D::N(2)])
        .input("b", F, &[D::N(2), D::N(2), D::N(3)])
        .node("Einsum", &["a", "b"], &["y"], &[string("equation", "...j,...jk->...k")])
        .output("y");
    let a = x(&[3, 1, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let b = x(&[2, 2, 3], &(0..12).map(|i| i as f32).collect::<Vec<_>>());
    let y = m.run(&[a, b]).remove(0);
    assert_eq!(y.shape, [3, 2, 3]);
    let want = [0., 1., 2., 6., 7., 8., 3., 4., 5., 9., 10., 11., 3., 5., 7., 15., 17., 19.];
    assert_eq!(y.as_f32().unwrap(), want);
}

#[test]
fn equations_that_do_not_fit_are_refused() {
    let reason = |equation: &str| {
        let m = onnx(12).input("x", F, &[D::N(2), D::N(3)]);
        let m = m.node("Einsum", &["x"], &["y"], &[string("equation", equation)]).output("y");
        m.problems()[0].reason.clone()
    };
    assert!(reason("ijk->i").contains("operand of rank 2"));
    assert!(reason("ij->k").contains("stands in no term"));
    assert!(reason("ii->i").contains("diagonal"));
    assert!(reason("ij,j->i").contains("2 terms for 1 operands"));
    assert!(reason("i1j->i").contains("'1'"));
}
