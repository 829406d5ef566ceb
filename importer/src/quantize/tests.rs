use super::*;
use crate::card::Card;
use lockstep_engine::exec::Options;
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::ops::gather::Gather;
use lockstep_engine::{DType, Dim, Graph, Input, Output};

/// Numbers of ordinary size that look random.
fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn tensor(shape: &[usize], seed: u32) -> Tensor {
    Tensor::new(shape.to_vec(), Data::F32(numbers(shape.iter().product(), seed))).unwrap()
}

/// A model of nodes over one input; operand 0 is the input, then the constants, then the nodes.
fn model(input: &[Dim], constants: &[Tensor], nodes: &[(Op, &[u32])]) -> Imported {
    let graph = Graph {
        symbols: if input.iter().any(|d| d.as_symbol().is_some()) { vec!["batch".into()] } else { Vec::new() },
        inputs: vec![Input { name: "x".into(), dtype: DType::F32, shape: input.to_vec() }],
        constants: constants
            .iter()
            .map(|t| Constant { dtype: t.dtype(), shape: t.shape.iter().map(|d| *d as u32).collect() })
            .collect(),
        nodes: nodes
            .iter()
            .map(|(op, inputs)| Node { op: op.clone(), inputs: inputs.iter().map(|v| Some(ValueId(*v))).collect() })
            .collect(),
        outputs: vec![Output { name: "y".into(), value: ValueId((constants.len() + nodes.len()) as u32) }],
        ..Graph::default()
    };
    let model = Model::build(graph, constants, Vec::new(), &Limits::default()).unwrap();
    let node_names = (0..nodes.len()).map(|n| format!("n{n}")).collect();
    Imported { model, card: Card::default(), notes: Vec::new(), node_names, inputs: Vec::new() }
}

fn answer(m: &Imported, x: &Tensor) -> Vec<f32> {
    let loaded = LoadedModel::new(m.model.clone(), &Limits::default()).unwrap();
    let plan = loaded.plan(&[(DType::F32, &x.shape)], &Limits::default()).unwrap();
    let y = loaded.run(&plan, vec![x.clone()], &Options::default()).unwrap();
    y[0].as_f32().unwrap().to_vec()
}

/// Greatest difference as a share of the greatest answer.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let most = a.iter().fold(0f32, |m, x| m.max(x.abs()));
    a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / most
}

fn gemm(alpha: f32, beta: f32, trans_a: bool, trans_b: bool) -> Op {
    Gemm { alpha, beta, trans_a, trans_b }.into()
}

#[test]
fn every_form_of_a_product_answers_nearly_as_before() {
    let (k, n) = (300, 24);
    let rows = [Dim::symbol(0), Dim::Known(k as u64)];
    let w = tensor(&[k, n], 1);
    let turned = tensor(&[n, k], 2);
    let fixed = [Dim::Known(k as u64), Dim::Known(5)];
    let models = [
        model(&rows, std::slice::from_ref(&w), &[(MatMul {}.into(), &[0, 1])]),
        model(&rows, &[w.clone(), tensor(&[n], 3)], &[(gemm(1.0, 1.0, false, false), &[0, 1, 2])]),
        model(&rows, &[turned.clone(), tensor(&[1, n], 3)], &[(gemm(1.0, -2.5, false, true), &[0, 1, 2])]),
        model(&rows, &[turned.clone(), tensor(&[n], 3)], &[(gemm(0.3, 2.0, false, true), &[0, 1, 2])]),
        model(&rows, &[w.clone(), tensor(&[], 3)], &[(gemm(1.0, 1.0, false, false), &[0, 1, 2])]),
        model(&fixed, &[w.clone(), tensor(&[5, n], 3)], &[(gemm(1.0, 0.5, true, false), &[0, 1, 2])]),
        model(&fixed, &[turned, tensor(&[5, 1], 3)], &[(gemm(-1.5, 1.0, true, true), &[0, 1, 2])]),
    ];
    for (i, m) in models.iter().enumerate() {
        let x = if i < 5 { tensor(&[7, k], 9) } else { tensor(&[k, 5], 9) };
        let before = answer(m, &x);
        for (class, most) in [(WeightClass::I8, 0.01), (WeightClass::I16, 1e-4)] {
            let q = quantize(m, class, &Limits::default()).unwrap();
            assert_eq!((q.layers.len(), q.layers[0].channels, q.layers[0].length), (1, n, k));
            let d = difference(&before, &answer(&q.imported, &x));
            assert!(d > 0.0 && d < most, "model {i} in {class}: {d}");
            assert!(q.imported.model.weights.len() * 3 < m.model.weights.len() * 2);
            assert_eq!(q.imported.node_names.len(), q.imported.model.graph.nodes.len());
            assert_eq!(q.imported.card.weights, Some(format!("{class}, blocks of {}", class.block())));
        }
    }
}

#[test]
fn convolutions_are_converted_group_by_group() {
    let input = [Dim::symbol(0), Dim::Known(8), Dim::Known(9), Dim::Known(7)];
    let conv =
        Conv { groups: 2, strides: vec![2, 1], dilations: vec![1, 1], pads_begin: vec![1, 1], pads_end: vec![1, 1] };
    let m = model(&input, &[tensor(&[10, 4, 3, 3], 1), tensor(&[10], 2)], &[(conv.into(), &[0, 1, 2])]);
    let x = tensor(&[2, 8, 9, 7], 3);
    let before = answer(&m, &x);
    for (class, most) in [(WeightClass::I8, 0.01), (WeightClass::I16, 1e-4)] {
        let q = quantize(&m, class, &Limits::default()).unwrap();
        assert_eq!(q.layers[0].operator, "Conv");
        let d = difference(&before, &answer(&q.imported, &x));
        assert!(d > 0.0 && d < most, "{class}: {d}");
    }
}

#[test]
fn the_same_model_gives_the_same_id_and_shared_weights_are_one() {
    let m = model(
        &[Dim::symbol(0), Dim::Known(40)],
        &[tensor(&[40, 40], 1)],
        &[(MatMul {}.into(), &[0, 1]), (MatMul {}.into(), &[2, 1])],
    );
    let [a, b] = [0, 1].map(|_| quantize(&m, WeightClass::I8, &Limits::default()).unwrap());
    assert_eq!(a.imported.model.id(), b.imported.model.id());
    assert_eq!(a.imported.model.graph.constants.len(), 2, "one weight and its scales");
    assert_ne!(a.imported.model.id(), m.model.id());
}

#[test]
fn tables_and_small_weights_stay_f32() {
    let index = Tensor::new(vec![2], Data::I64(vec![1, 0])).unwrap();
    // A table of rows that a product and a Gather read; a weight of 7 outputs.
    let m = model(
        &[Dim::symbol(0), Dim::Known(16)],
        &[tensor(&[16, 16], 1), index, tensor(&[16, 7], 2)],
        &[
            (Gather { axis: 0 }.into(), &[1, 2]),
            (MatMul {}.into(), &[0, 1]),
            (MatMul {}.into(), &[5, 3]),
            (Op::from(Gather { axis: 1 }), &[6, 2]),
            (MatMul {}.into(), &[7, 4]),
        ],
    );
    let q = quantize(&m, WeightClass::I8, &Limits::default()).unwrap();
    let families: Vec<&str> = q.imported.model.graph.nodes.iter().map(|n| n.op.family()).collect();
    assert_eq!(families, ["Gather", "QuantizedMatMul", "MatMul", "Gather", "MatMul"]);
    assert_eq!(q.layers[0].name, "n1");

    let small = model(&[Dim::symbol(0), Dim::Known(16)], &[tensor(&[16, 7], 2)], &[(MatMul {}.into(), &[0, 1])]);
    let e = quantize(&small, WeightClass::I16, &Limits::default()).unwrap_err().to_string();
    assert!(e.contains("no weight can be I16") && e.contains("--weights f32"), "{e}");
}
