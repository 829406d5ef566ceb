//! The others: onnxruntime in a Python process, candle and tract as crates.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use lockstep_engine::{Data, Tensor};
use serde_json::{Value, json};
use tract_onnx::prelude::*;

use crate::measure::Contender;

/// A Python process that runs onnxruntime.
pub struct OnnxRuntime {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    inputs: usize,
}

impl OnnxRuntime {
    /// Starts it; `folder` holds the inputs it reads.
    pub fn start(python: &Path, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/onnxruntime_peer.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", python.display()))?;
        let requests = child.stdin.take().context("no standard input")?;
        let answers = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, requests, answers, folder: folder.into(), inputs: 0 })
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.requests, "{request}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).context("onnxruntime's process ended")?;
        match answer.get("error") {
            Some(e) => bail!("onnxruntime: {e}"),
            None => Ok(answer),
        }
    }

    /// Loads a model and its inputs, and gives the key for running it.
    pub fn load(&mut self, model: &Path, inputs: &[(String, Tensor)], threads: usize, quantise: bool) -> Result<u64> {
        let mut specs = serde_json::Map::new();
        for (name, t) in inputs {
            let file = self.folder.join(format!("{}.raw", self.inputs));
            self.inputs += 1;
            std::fs::write(&file, t.to_le_bytes())?;
            specs.insert(name.clone(), json!([t.dtype().name(), t.shape, file]));
        }
        let answer = self.ask(&json!({"load": model, "threads": threads, "quantise": quantise, "inputs": specs}))?;
        answer["key"].as_u64().context("no key")
    }

    /// Runs a loaded model.
    pub fn run(&mut self, key: u64, times: usize) -> Result<f64> {
        self.ask(&json!({"run": key, "times": times}))?["seconds"].as_f64().context("no time")
    }
}

impl Drop for OnnxRuntime {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// onnxruntime on a model, or on its dynamically quantised form. Several keys are run one after the other.
pub fn onnxruntime(name: &'static str, process: &Arc<Mutex<OnnxRuntime>>, keys: Vec<u64>) -> Contender<'static> {
    let process = process.clone();
    let run = move |times: usize| {
        let mut process = process.lock().expect("one thread");
        if let [key] = keys[..] {
            return process.run(key, times);
        }
        // Copies in turn: each finds its weights in memory, not in a cache.
        let rounds = times.div_ceil(keys.len());
        let mut seconds = 0.0;
        for _ in 0..rounds {
            for key in &keys {
                seconds += process.run(*key, 1)?;
            }
        }
        Ok(seconds * times as f64 / (rounds * keys.len()) as f64)
    };
    Contender { name, run: Box::new(run) }
}

/// tract on a model at these inputs.
pub fn tract(model: &Path, inputs: &[(String, Tensor)]) -> Result<Contender<'static>> {
    let mut loaded = tract_onnx::onnx().model_for_path(model)?;
    let mut values = tvec![];
    for (i, (_, t)) in inputs.iter().enumerate() {
        let value = match &t.data {
            Data::F32(v) => tract_onnx::prelude::Tensor::from_shape(&t.shape, v)?,
            Data::I64(v) => tract_onnx::prelude::Tensor::from_shape(&t.shape, v)?,
            other => bail!("tract: an input of {}", other.dtype()),
        };
        loaded.set_input_fact(i, InferenceFact::dt_shape(value.datum_type(), value.shape()))?;
        values.push(TValue::from(value));
    }
    let plan = loaded.into_optimized()?.into_runnable()?;
    Ok(Contender::new("tract", move || {
        std::hint::black_box(plan.run(values.clone())?);
        Ok(())
    }))
}

/// candle: x times the transpose of w, for several w in turn.
pub fn candle(x: &[f32], copies: &[Vec<f32>], [m, k, n]: [usize; 3]) -> Result<Contender<'static>> {
    use candle_core::{Device, Tensor};
    let x = Tensor::from_vec(x.to_vec(), (m, k), &Device::Cpu)?;
    let weights =
        copies.iter().map(|w| Tensor::from_vec(w.clone(), (n, k), &Device::Cpu)).collect::<Result<Vec<_>, _>>()?;
    let mut next = 0;
    Ok(Contender::new("candle", move || {
        std::hint::black_box(x.matmul(&weights[next].t()?)?);
        next = (next + 1) % weights.len();
        Ok(())
    }))
}

/// candle with weights in Q8_0, as GGUF has it.
pub fn candle_q8(x: &[f32], copies: &[Vec<f32>], [m, k, n]: [usize; 3]) -> Result<Contender<'static>> {
    use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
    use candle_core::{Device, Module, Tensor};
    let x = Tensor::from_vec(x.to_vec(), (m, k), &Device::Cpu)?;
    let quantised = |w: &Vec<f32>| -> Result<QMatMul> {
        let w = Tensor::from_vec(w.clone(), (n, k), &Device::Cpu)?;
        Ok(QMatMul::from_qtensor(QTensor::quantize(&w, GgmlDType::Q8_0)?)?)
    };
    let weights = copies.iter().map(quantised).collect::<Result<Vec<_>>>()?;
    let mut next = 0;
    Ok(Contender::new("candle Q8_0", move || {
        std::hint::black_box(weights[next].forward(&x)?);
        next = (next + 1) % weights.len();
        Ok(())
    }))
}
