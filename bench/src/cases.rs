//! What is measured: matrix products, networks, trees, elementary functions, calls of the precompile.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use lockstep_engine::fast::{Level, elementary};
use lockstep_engine::{Model, Tensor};
use serde::{Deserialize, Serialize};

use crate::measure::{Contender, in_turn, median, ratio};
use crate::peers::{self, OnnxRuntime};
use crate::{calls, ours};

/// One line of the summary. `ratio` is how many times as fast as the peer we are; where there is no peer, `theirs` and
/// `ratio` are absent and the target is an amount that `ours` must not exceed (or reach, for Mgas/s).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Case and threads.
    pub name: String,
    /// Our time or amount.
    pub ours: f64,
    /// The peer's.
    pub theirs: Option<f64>,
    /// Whom we are compared with.
    pub peer: Option<String>,
    /// Of `ours` and `theirs`.
    pub unit: String,
    /// theirs / ours.
    pub ratio: Option<f64>,
    /// What the ratio, or the amount, should reach.
    pub target: Option<f64>,
    /// Whether it does.
    pub met: Option<bool>,
}

/// How the benchmark runs.
pub struct Bench {
    /// Threads of every contender.
    pub threads: usize,
    /// Rounds in which all contenders take their turn.
    pub rounds: usize,
    /// Seconds of one turn.
    pub seconds: f64,
    /// The ONNX files of models.py.
    pub models: PathBuf,
    /// Only cases with this in their name.
    pub only: Option<String>,
    /// onnxruntime.
    pub python: PathBuf,
    /// Results so far.
    pub rows: Vec<Row>,
}

type Process = Arc<Mutex<OnnxRuntime>>;

impl Bench {
    /// Everything.
    pub fn run(&mut self) -> Result<()> {
        let folder = self.models.with_file_name("inputs");
        let process = Arc::new(Mutex::new(OnnxRuntime::start(&self.python, &folder)?));
        for (file, m, k, n) in [
            ("gemm_4096x4096", 128, 4096, 4096),
            ("gemm_768x768", 256, 768, 768),
            ("gemm_4096x4096", 1, 4096, 4096),
            ("gemm_768x3072", 1, 768, 3072),
        ] {
            self.gemm(&process, file, [m, k, n])?;
        }
        let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/digits_cnn/model.onnx");
        for batch in [1, 64] {
            self.network(&process, &format!("digits_cnn {batch}"), &digits, &[vec![batch, 1, 8, 8]], None)?;
        }
        for name in ["resnet18_112", "mobilenetv2_112"] {
            let path = self.models.join(format!("{name}.onnx"));
            self.network(&process, name, &path, &[vec![1, 3, 112, 112]], Some(0.0))?;
        }
        let path = self.models.join("minilm.onnx");
        for (batch, length) in [(1, 16), (1, 128), (32, 16), (32, 128)] {
            let shapes = [vec![batch, length], vec![batch, length]];
            self.network(
                &process,
                &format!("minilm {batch}x{length}"),
                &path,
                &shapes,
                Some(if length == 128 { 1.5 } else { 0.0 }),
            )?;
        }
        for trees in [100, 1000] {
            for batch in [1, 1000] {
                let path = self.models.join(format!("xgboost_{trees}.onnx"));
                self.network(&process, &format!("xgboost_{trees} {batch} rows"), &path, &[vec![batch, 30]], None)?;
            }
        }
        if self.threads == 1 {
            self.elementary()?;
            calls::measure(self)?;
        }
        Ok(())
    }

    /// Whether a case is wanted.
    pub fn wanted(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|o| name.contains(o.as_str()))
    }

    /// Measures contenders, of which the first are ours, one for each list of targets (by peer's name), and notes a row
    /// for each of ours and each peer.
    fn compare(&mut self, name: &str, mut contenders: Vec<Contender<'_>>, targets: &[&[(&str, f64)]]) -> Result<()> {
        let samples = in_turn(&mut contenders, self.rounds, self.seconds)?;
        let (own, peers) = contenders.split_at(targets.len());
        let (own_samples, peer_samples) = samples.split_at(targets.len());
        for ((us, ours), targets) in own.iter().zip(own_samples).zip(targets) {
            let class = us.name.trim_start_matches("lockstep ");
            for (peer, theirs) in peers.iter().zip(peer_samples) {
                let ratio = ratio(ours, theirs);
                let target = targets.iter().find(|t| t.0 == peer.name).map(|t| t.1).filter(|_| self.threads == 1);
                self.note(Row {
                    name: format!("{name} {class}, {}", threads(self.threads)),
                    ours: 1e6 * median(ours),
                    theirs: Some(1e6 * median(theirs)),
                    peer: Some(peer.name.into()),
                    unit: "microseconds".into(),
                    ratio: Some(ratio),
                    target,
                    met: target.map(|t| ratio >= t),
                });
            }
        }
        Ok(())
    }

    /// Prints a row and keeps it.
    pub fn note(&mut self, row: Row) {
        let peer = match (row.ratio, &row.peer, row.theirs) {
            (Some(r), Some(p), Some(t)) => format!("{r:6.2} x {p} ({t:.1})"),
            _ => String::new(),
        };
        let target = match (row.target, row.met) {
            (Some(t), Some(met)) => format!("target {t}: {}", if met { "met" } else { "MISSED" }),
            _ => String::new(),
        };
        println!("{:44} {:10.2} {:12} {peer:36} {target}", row.name, row.ours, row.unit);
        self.rows.push(row);
    }

    fn gemm(&mut self, process: &Process, file: &str, shape: [usize; 3]) -> Result<()> {
        let [m, k, n] = shape;
        let name = format!("GEMM {m}x{k}x{n}");
        if !self.wanted(&name) {
            return Ok(());
        }
        let path = self.models.join(format!("{file}.onnx"));
        // With one row the weights come from memory, as they do when many models take turns.
        let copies = if m == 1 { 6 } else { 1 };
        let imported = ours::imported(&path)?;
        let quantised = ours::quantised(&imported)?;
        let several = |model: &Model| (0..copies).map(|_| ours::loaded(model.clone())).collect::<Result<Vec<_>>>();
        let (models, int_models) = (several(&imported.model)?, several(&quantised)?);
        let inputs = ours::inputs(&models[0], &[vec![m, k]], 1);
        let x = inputs[0].1.as_f32().context("f32")?.to_vec();
        let w = transposed(models[0].constants()[0].as_f32().context("f32")?, [k, n]);
        let weights = vec![w; copies];
        let sessions = |quantise| -> Result<Vec<u64>> {
            (0..copies)
                .map(|_| process.lock().expect("one thread").load(&path, &inputs, self.threads, quantise))
                .collect()
        };
        let contenders = vec![
            ours::contender("lockstep f32", models, &inputs, self.threads)?,
            ours::contender("lockstep I8", int_models, &inputs, self.threads)?,
            peers::onnxruntime("onnxruntime", process, sessions(false)?),
            peers::onnxruntime("onnxruntime int8", process, sessions(true)?),
            peers::candle(&x, &weights, shape)?,
            peers::candle_q8(&x, &weights, shape)?,
        ];
        let vectors = Level::available().last().is_some_and(|l| l.name() == "AVX-512");
        let (f32_targets, i8_targets): (&[_], &[_]) = match (m, k) {
            (128, _) => (&[("onnxruntime", 0.95), ("candle", 1.12)], &[("candle", if vectors { 2.0 } else { 1.45 })]),
            (256, _) => (&[("onnxruntime", 0.95), ("candle", 1.05)], &[("candle", if vectors { 1.85 } else { 1.35 })]),
            (1, 4096) => (&[], &[("candle", 3.8), ("candle Q8_0", 1.6)]),
            _ => (&[], &[("candle", 2.3)]),
        };
        self.compare(&name, contenders, &[f32_targets, i8_targets])
    }

    /// A network end to end, in f32 and, where `int_target` is given, with weights of class I8.
    fn network(
        &mut self,
        process: &Process,
        name: &str,
        path: &Path,
        shapes: &[Vec<usize>],
        int_target: Option<f64>,
    ) -> Result<()> {
        if !self.wanted(name) {
            return Ok(());
        }
        let imported = ours::imported(path)?;
        let quantised = int_target.map(|_| ours::quantised(&imported)).transpose()?;
        let model = ours::loaded(imported.model)?;
        let inputs: Vec<(String, Tensor)> = ours::inputs(&model, shapes, 30_000);
        let load = |quantise| process.lock().expect("one thread").load(path, &inputs, self.threads, quantise);
        let mut contenders = vec![ours::contender("lockstep f32", vec![model], &inputs, self.threads)?];
        if let Some(model) = quantised {
            contenders.push(ours::contender("lockstep I8", vec![ours::loaded(model)?], &inputs, self.threads)?);
        }
        contenders.push(peers::onnxruntime("onnxruntime", process, vec![load(false)?]));
        if !name.starts_with("xgboost") {
            match load(true) {
                Ok(key) => contenders.push(peers::onnxruntime("onnxruntime int8", process, vec![key])),
                Err(e) => eprintln!("{name}: {e}"),
            }
            // tract works on one thread.
            if self.threads == 1 {
                match peers::tract(path, &inputs) {
                    Ok(c) => contenders.push(c),
                    Err(e) => eprintln!("{name}: tract: {e}"),
                }
            }
        }
        let int_targets: Vec<(&str, f64)> =
            int_target.filter(|t| *t > 0.0).map(|t| ("onnxruntime", t)).into_iter().collect();
        let targets: [&[(&str, f64)]; 2] = [&[("onnxruntime", 1.0)], &int_targets];
        self.compare(name, contenders, &targets[..1 + usize::from(int_target.is_some())])
    }

    fn elementary(&mut self) -> Result<()> {
        type Function = fn(Level, &[f32], &mut [f32]);
        let x: Vec<f32> = (0..4096).map(|i| (i as f32 - 2048.0) / 256.0).collect();
        for level in Level::available() {
            for (name, f) in [("exp", elementary::exp as Function), ("tanh", elementary::tanh)] {
                let case = format!("{name}, an element, {}", level.name());
                if !self.wanted(&case) {
                    continue;
                }
                let mut y = vec![0.0; x.len()];
                let run = Contender::new("lockstep", || {
                    f(level, &x, &mut y);
                    std::hint::black_box(&y);
                    Ok(())
                });
                let samples = in_turn(&mut [run], self.rounds, self.seconds / 10.0)?;
                let ours = 1e9 * median(&samples[0]) / x.len() as f64;
                let target = match (name, level.name()) {
                    ("exp", "AVX-512") => Some(0.8),
                    ("exp", "AVX2") => Some(1.6),
                    ("tanh", "AVX-512") => Some(1.5),
                    _ => None,
                };
                self.note(Row {
                    name: case,
                    ours,
                    theirs: None,
                    peer: None,
                    unit: "nanoseconds".into(),
                    ratio: None,
                    target,
                    met: target.map(|t| ours <= t),
                });
            }
        }
        Ok(())
    }
}

/// "1 thread", "2 threads".
fn threads(n: usize) -> String {
    format!("{n} thread{}", if n == 1 { "" } else { "s" })
}

fn transposed(w: &[f32], [k, n]: [usize; 2]) -> Vec<f32> {
    let mut out = vec![0.0; w.len()];
    for (i, row) in w.chunks_exact(n).enumerate() {
        for (j, v) in row.iter().enumerate() {
            out[j * k + i] = *v;
        }
    }
    out
}
