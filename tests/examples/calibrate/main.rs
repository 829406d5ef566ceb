//! What a unit of gas costs in time: every operator over a grid of shapes, beside ecrecover on the same core.
//!
//! `cargo run --release -p lockstep-tests --example calibrate`. The gas table is right when the worst line is at most ecrecover's.

mod grid;
mod selection;

use std::hint::black_box;
use std::time::Instant;

use lockstep_engine::dim::Dim;
use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::fast::Level;
use lockstep_engine::graph::{Constant, Graph, Input, Node, Output, ValueId};
use lockstep_engine::{DType, Limits, LoadedModel, Model};
use lockstep_precompile::gas::SCHEDULES;

use grid::Case;

/// Median time of one call in nanoseconds, over at least 30 ms.
fn time(mut f: impl FnMut()) -> f64 {
    f();
    let mut samples = Vec::new();
    let began = Instant::now();
    while samples.len() < 5 || began.elapsed().as_millis() < 30 {
        let t = Instant::now();
        f();
        samples.push(t.elapsed().as_nanos() as f64);
        if samples.len() > 20_000 {
            break;
        }
    }
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// (nanoseconds, gas) of one run, operator by operator: neighbours that are computed together cost less.
fn measure(case: &Case, level: Option<Level>) -> (f64, f64) {
    let mut g = Graph {
        inputs: case
            .inputs
            .iter()
            .enumerate()
            .map(|(i, t)| Input {
                name: format!("x{i}"),
                dtype: t.dtype(),
                shape: t.shape.iter().map(|d| Dim::Known(*d as u64)).collect(),
            })
            .collect(),
        constants: case
            .constants
            .iter()
            .map(|t| Constant { dtype: t.dtype(), shape: t.shape.iter().map(|d| *d as u32).collect() })
            .collect(),
        ..Graph::default()
    };
    let operands = case.inputs.len() + case.constants.len();
    let mut first = ValueId(0);
    for r in 0..case.repeat {
        let mut inputs: Vec<Option<ValueId>> = (0..operands).map(|i| Some(ValueId(i as u32))).collect();
        inputs[0] = Some(first);
        g.nodes.push(Node { op: case.op.clone(), inputs });
        first = ValueId((operands + r) as u32);
    }
    g.outputs.push(Output { name: "y".into(), value: first });
    let limits = Limits::default();
    let model = Model::build(g, &case.constants, Vec::new(), &limits).unwrap();
    let model = LoadedModel::new(model, &limits).unwrap();
    let types: Vec<(DType, &[usize])> = case.inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = model.plan(&types, &limits).unwrap();
    let options = Options { implementation: Implementation::Fast, threads: 1 };
    let copy = time(|| {
        black_box(case.inputs.clone());
    });
    let run = time(|| {
        let out = match level {
            None => model.run_observed(&plan, case.inputs.clone(), &options, &mut |_, _| {}),
            Some(level) => model.run_at(level, &plan, case.inputs.clone(), 1),
        };
        black_box(out).ok();
    });
    let shapes = time(|| {
        black_box(model.plan(&types, &limits)).ok();
    });
    let schedule = &SCHEDULES[0];
    let items = case.repeat + case.inputs.len() + 1;
    let gas = schedule.price(&plan.work, 0) + schedule.shapes(items);
    ((run - copy).max(1.0) + shapes, gas as f64)
}

/// Nanoseconds per gas of ecrecover.
fn ecrecover() -> f64 {
    let mut input = [0u8; 128];
    input[31] = 7;
    input[63] = 27;
    // r = 1 is the x coordinate of a curve point; any s below the order recovers some key.
    input[95] = 1;
    input[127] = 9;
    let gas = 3_000.0;
    time(|| {
        black_box(revm::precompile::secp256k1::ec_recover_run(black_box(&input), 100_000)).ok();
    }) / gas
}

fn main() {
    let peer = ecrecover();
    println!("ecrecover: {peer:.2} ns a gas");
    let mut rows: Vec<(f64, String, f64, f64)> = Vec::new();
    for c in grid::grid() {
        let (ns, gas) = measure(&c, None);
        rows.push((ns / gas, c.name.clone(), ns, gas));
        // Contractions of integers without vectors: what a processor of no known level runs.
        let portable = Level::available().into_iter().next().filter(|_| c.name.starts_with("Quantized"));
        if let Some(level) = portable {
            let (ns, gas) = measure(&c, Some(level));
            rows.push((ns / gas, format!("{} {}", c.name, level.name()), ns, gas));
        }
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{:>8} {:>8} {:>14} {:>12}  case", "ns/gas", "of peer", "ns", "gas");
    for (ratio, name, ns, gas) in &rows {
        println!("{ratio:8.2} {:7.0}% {ns:14.0} {gas:12.0}  {name}", 100.0 * ratio / peer);
    }
    println!("median {:.2} ns a gas; worst {:.2}; ecrecover {peer:.2}", rows[rows.len() / 2].0, rows[0].0);
}
