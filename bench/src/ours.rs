//! Lockstep's own side: models through the importer, runs through the fast path.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::{DType, Data, Limits, LoadedModel, Model, Tensor};
use lockstep_importer::quantize::{WeightClass, quantize};
use lockstep_importer::{ImportOptions, Imported, import};

use crate::measure::Contender;

/// Limits of a benchmark: memory is no question here.
pub fn limits() -> Limits {
    Limits { max_peak_memory: 1 << 36, max_weight_bytes: 1 << 36, ..Limits::default() }
}

/// An ONNX file, imported.
pub fn imported(path: &Path) -> Result<Imported> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let options = ImportOptions { limits: limits(), ..ImportOptions::default() };
    Ok(import(&bytes, &options)?)
}

/// The same with weights of class I8.
pub fn quantised(imported: &Imported) -> Result<Model> {
    Ok(quantize(imported, WeightClass::I8, &limits())?.imported.model)
}

/// The model ready to run.
pub fn loaded(model: Model) -> Result<Arc<LoadedModel>> {
    Ok(Arc::new(LoadedModel::new(model, &limits())?))
}

/// Seeded inputs of these shapes in the model's order: floats in [-1, 1), integers below `ids`, masks of ones.
pub fn inputs(model: &LoadedModel, shapes: &[Vec<usize>], ids: u32) -> Vec<(String, Tensor)> {
    let mut state = 0x9e37_79b9u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut one = |(i, shape): (usize, &Vec<usize>)| {
        let input = &model.graph.inputs[i];
        let n: usize = shape.iter().product();
        let data = match input.dtype {
            DType::I64 if input.name.contains("mask") => Data::I64(vec![1; n]),
            DType::I64 => Data::I64((0..n).map(|_| i64::from(next() % ids)).collect()),
            _ => Data::F32((0..n).map(|_| next() as f32 / (1 << 23) as f32 - 1.0).collect()),
        };
        (input.name.clone(), Tensor { shape: shape.clone(), data })
    };
    shapes.iter().enumerate().map(&mut one).collect()
}

/// Runs the models in turn.
pub fn contender(
    name: &'static str,
    models: Vec<Arc<LoadedModel>>,
    inputs: &[(String, Tensor)],
    threads: usize,
) -> Result<Contender<'static>> {
    let inputs: Vec<Tensor> = inputs.iter().map(|(_, t)| t.clone()).collect();
    let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = models[0].plan(&types, &limits())?;
    let options = Options { implementation: Implementation::Fast, threads };
    let mut next = 0;
    Ok(Contender::new(name, move || {
        std::hint::black_box(models[next].run(&plan, inputs.clone(), &options)?);
        next = (next + 1) % models.len();
        Ok(())
    }))
}
