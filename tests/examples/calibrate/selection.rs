//! Picks, updates, sorted parts, running sums, borders and checks: from the smallest to what misses every cache.

use lockstep_engine::dim::Dim;
use lockstep_engine::ops::{
    bit_cast, contraction, cumulate, gather_elements, gather_nd, pad, require, scatter, slice, top_k,
};
use lockstep_engine::{DType, Data, Tensor};

use crate::grid::{Case, case, weights};

/// Places below `n` that are far from each other.
fn scattered(count: usize, n: usize) -> Data {
    Data::I64((0..count).map(|i| (i * 7_919 % n) as i64).collect())
}

pub(crate) fn cases(out: &mut Vec<Case>) {
    for shape in [[1usize, 1], [1, 64], [64, 256], [512, 1024], [1, 300_000], [300_000, 1]] {
        let [rows, columns] = shape;
        let n = rows * columns;
        for axis in [0u8, 1] {
            let length = shape[usize::from(axis)];
            let index = Tensor { shape: shape.to_vec(), data: scattered(n, length) };
            let op = gather_elements::GatherElements { axis };
            out.push(case(&format!("GatherElements axis {axis}"), op, &[(&shape, 0)], vec![index.clone()]));
            for kind in [scatter::ScatterKind::Assign, scatter::ScatterKind::Add] {
                let op = scatter::ScatterElements { axis, kind };
                let constants = vec![index.clone(), weights(&shape)];
                out.push(case(&format!("ScatterElements {kind:?} axis {axis}"), op, &[(&shape, 0)], constants));
            }
            for exclusive in [false, true] {
                let op = cumulate::Cumulate { kind: cumulate::CumulateKind::Sum, axis, exclusive, reverse: exclusive };
                out.push(case(&format!("Cumulate axis {axis} {exclusive}"), op, &[(&shape, 0)], vec![]));
            }
            for k in [1, length.div_ceil(2), length] {
                let op = top_k::TopK { axis, k: Dim::Known(k as u64), greatest: true };
                out.push(case(&format!("TopK {k} axis {axis}"), op, &[(&shape, 0)], vec![]));
            }
        }
        // Single elements, far from each other.
        let Data::I64(places) = scattered(n, n) else { continue };
        let pairs = places.iter().flat_map(|p| [p / columns as i64, p % columns as i64]).collect();
        let index = Tensor { shape: vec![n, 2], data: Data::I64(pairs) };
        let op = gather_nd::GatherND { batch_dims: 0 };
        out.push(case("GatherND", op, &[(&shape, 0)], vec![index.clone()]));
        for kind in [scatter::ScatterKind::Assign, scatter::ScatterKind::Max] {
            let op = scatter::ScatterND { kind };
            out.push(case(&format!("ScatterND {kind:?}"), op, &[(&shape, 0)], vec![index.clone(), weights(&[n])]));
        }
        let op =
            slice::Slice { start: vec![0; 2], step: vec![1; 2], size: shape.map(|d| Dim::Known(d as u64)).to_vec() };
        out.push(case("Slice", op, &[(&shape, 0)], vec![]));
        let backwards = slice::Slice {
            start: shape.map(|d| d as u64 - 1).to_vec(),
            step: vec![-1; 2],
            size: shape.map(|d| Dim::Known(d as u64)).to_vec(),
        };
        out.push(case("Slice backwards", backwards, &[(&shape, 0)], vec![]));
        for mode in [pad::PadMode::Constant, pad::PadMode::Edge] {
            let op = pad::Pad { mode, begin: vec![1, 1], end: vec![1, 1] };
            let fill = if mode == pad::PadMode::Constant { vec![weights(&[])] } else { vec![] };
            out.push(case(&format!("Pad {mode:?}"), op, &[(&shape, 0)], fill));
        }
        out.push(case("BitCast", bit_cast::BitCast { to: DType::I32 }, &[(&shape, 0)], vec![]));
        let mut check =
            case("Require", require::Require { what: require::Requirement::Argument }, &[(&shape, 0)], vec![]);
        check.inputs.push(Tensor { shape: vec![n], data: Data::Bool(vec![true; n]) });
        out.push(check);
    }
    for (m, k, n) in [(1usize, 30usize, 1usize), (1, 4096, 1), (64, 768, 768), (4096, 1024, 1)] {
        let op = contraction::Gemm { alpha: 0.5, beta: 2.0, trans_a: false, trans_b: true };
        out.push(case(&format!("Gemm N = {n}"), op, &[(&[m, k], 0)], vec![weights(&[n, k]), weights(&[n])]));
    }
}
