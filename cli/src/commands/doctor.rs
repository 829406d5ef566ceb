//! `lockstep doctor`: whether this machine can do what is asked of it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use lockstep_engine::exec::first_difference;
use lockstep_engine::fast::Level;
use lockstep_engine::graph::Constant;
use lockstep_engine::ops::binary::{Binary, BinaryKind};
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::ops::softmax::Softmax;
use lockstep_engine::ops::unary::{Unary, UnaryKind};
use lockstep_engine::{DType, Data, Dim, Graph, Input, Limits, LoadedModel, Model, Node, Op, Output as Port, Tensor};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::Output;

/// Check this machine: processor, floating-point environment, a self-test, disk and ports
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep doctor
  lockstep doctor --datadir /var/lib/lockstep --http-port 8545

Every line is ok or says what to do. Exit status 1 where something is wrong.")]
pub(crate) struct Args {
    /// The folder where a node would keep its chain
    #[arg(long, value_name = "DIR")]
    datadir: Option<PathBuf>,
    /// The port where a node would listen
    #[arg(long, value_name = "PORT", default_value_t = 8545)]
    http_port: u16,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// One finding.
struct Check {
    name: &'static str,
    state: State,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Slower or less convenient, not wrong.
    Remark,
    Wrong,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Remark => "note",
            Self::Wrong => "WRONG",
        }
    }
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let folder = args.datadir.clone().unwrap_or_else(|| PathBuf::from("."));
    let checks = [versions(), processor(), floats(), self_test(), disk(&folder), port(args.http_port)];
    let text: String = checks.iter().map(|c| format!("{:<6} {:<15} {}\n", c.state.name(), c.name, c.text)).collect();
    let list: Vec<Value> =
        checks.iter().map(|c| json!({ "check": c.name, "state": c.state.name(), "text": c.text })).collect();
    if checks.iter().any(|c| c.state == State::Wrong) {
        // The findings belong on stdout even then; the status says that something is wrong.
        Output::new(text, json!({ "checks": list })).print(args.json);
        return Err(Failure::Other(anyhow::anyhow!("this machine is not ready: see the lines marked WRONG")));
    }
    Ok(Output::new(text, json!({ "checks": list })))
}

fn versions() -> Check {
    let text = format!(
        "lockstep {}, LS1 version {}, gas schedule {}, model format {}",
        env!("CARGO_PKG_VERSION"),
        lockstep_engine::LS1_VERSION,
        crate::report::cost::SCHEDULE.version,
        lockstep_engine::format::FORMAT_VERSION
    );
    Check { name: "versions", state: State::Good, text }
}

fn processor() -> Check {
    let threads = super::run::all_cores();
    let (features, fast) = features();
    let list = if features.is_empty() { "none of those that matter".into() } else { features.join(", ") };
    let levels: Vec<&str> = Level::available().into_iter().map(Level::name).collect();
    let text = format!(
        "{}, {threads} threads, {list}; kernels {} (of {})",
        std::env::consts::ARCH,
        Level::detect().name(),
        levels.join(", ")
    );
    if fast {
        Check { name: "processor", state: State::Good, text }
    } else {
        let text = format!("{text}; without AVX2 and FMA (or NEON) inference is slow, its bits are the same");
        Check { name: "processor", state: State::Remark, text }
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> (Vec<&'static str>, bool) {
    let all = [
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ("avx512vnni", std::is_x86_feature_detected!("avx512vnni")),
    ];
    (all.iter().filter(|(_, has)| *has).map(|(n, _)| *n).collect(), all[0].1 && all[1].1)
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> (Vec<&'static str>, bool) {
    let neon = cfg!(target_arch = "aarch64");
    (if neon { vec!["neon"] } else { Vec::new() }, neon)
}

fn floats() -> Check {
    match lockstep_engine::float::env::check() {
        Ok(()) => Check {
            name: "floating point",
            state: State::Good,
            text: "round to nearest, subnormals kept, no traps".into(),
        },
        Err(e) => Check {
            name: "floating point",
            state: State::Wrong,
            text: format!("{e}: something in this process changed it; a node must not run here"),
        },
    }
}

fn self_test() -> Check {
    let wrong = |text: String| Check { name: "self-test", state: State::Wrong, text };
    let model = match small_model() {
        Ok(m) => m,
        Err(e) => return wrong(format!("the built-in model is refused: {e}")),
    };
    for (rows, threads) in [(1, 1), (7, 1), (33, 2), (64, super::run::all_cores())] {
        let x = Data::F32(values(rows * 40, 17));
        let Some(input) = Tensor::new(vec![rows, 40], x) else { continue };
        match first_difference(&model, &[input], &Limits::default(), threads) {
            Ok(None) => {}
            Ok(Some(d)) => return wrong(super::run::describe(&d)),
            Err(e) => return wrong(e.to_string()),
        }
    }
    Check { name: "self-test", state: State::Good, text: "fast path and scalar reference agree in every bit".into() }
}

/// tanh(x W + b), normalised by softmax.
fn small_model() -> Result<LoadedModel, lockstep_engine::Error> {
    let mut g = Graph {
        symbols: vec!["rows".into()],
        inputs: vec![Input { name: "x".into(), dtype: DType::F32, shape: vec![Dim::symbol(0), Dim::Known(40)] }],
        constants: vec![
            Constant { dtype: DType::F32, shape: vec![40, 24] },
            Constant { dtype: DType::F32, shape: vec![24] },
        ],
        ..Graph::default()
    };
    let ops: [(Op, Option<usize>); 4] = [
        (MatMul {}.into(), Some(0)),
        (Binary { kind: BinaryKind::Add }.into(), Some(1)),
        (Unary { kind: UnaryKind::Tanh }.into(), None),
        (Softmax { axis: 1, log: false }.into(), None),
    ];
    let mut last = g.input_value(0);
    for (op, constant) in ops {
        let mut inputs = vec![Some(last)];
        inputs.extend(constant.map(|c| Some(g.constant_value(c))));
        g.nodes.push(Node { op, inputs });
        last = g.node_value(g.nodes.len() - 1);
    }
    g.outputs.push(Port { name: "y".into(), value: last });
    let tensor = |shape: Vec<usize>, seed| Tensor { data: Data::F32(values(shape.iter().product(), seed)), shape };
    let constants = [tensor(vec![40, 24], 3), tensor(vec![24], 5)];
    LoadedModel::new(Model::build(g, &constants, Vec::new(), &Limits::default())?, &Limits::default())
}

/// Numbers between -1 and 1 from a linear congruence.
fn values(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

fn disk(folder: &Path) -> Check {
    // A folder that is not there yet is made by the node: what counts is its nearest parent.
    let mut there = folder;
    while !there.exists() {
        match there.parent() {
            Some(p) if !p.as_os_str().is_empty() => there = p,
            _ => {
                there = Path::new(".");
                break;
            }
        }
    }
    let probe = there.join(format!(".lockstep-doctor-{}", std::process::id()));
    let result = std::fs::write(&probe, b"probe");
    let _ = std::fs::remove_file(&probe);
    match result {
        Ok(()) => Check { name: "disk", state: State::Good, text: format!("{} can be written", folder.display()) },
        Err(e) => Check {
            name: "disk",
            state: State::Wrong,
            text: format!("{} cannot be written: {e}; choose another with --datadir", folder.display()),
        },
    }
}

fn port(number: u16) -> Check {
    match TcpListener::bind(("127.0.0.1", number)) {
        Ok(_) => Check { name: "port", state: State::Good, text: format!("{number} is free") },
        Err(e) => Check {
            name: "port",
            state: State::Remark,
            text: format!("{number} is not free ({e}); `lockstep node --http-port` takes another"),
        },
    }
}
