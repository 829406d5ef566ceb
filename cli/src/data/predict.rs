//! Running a model over a whole data set, in batches where its rows allow it.

use lockstep_engine::exec::Options;
use lockstep_engine::{ComputeError, DType, Data, Limits, LoadedModel, Tensor, each_dtype};

use super::rows;
use crate::failure::Failure;
use crate::progress::Progress;

/// Rows of one batch, at most.
const BATCH: usize = 512;

/// Answers to a data set.
#[derive(Debug, Clone)]
pub(crate) struct Predictions {
    /// Rows of the data set; `None` where the model has no rows.
    pub rows: Option<usize>,
    /// One tensor for each output, the batches joined along the first axis.
    pub outputs: Vec<Tensor>,
    /// Rows left out at the end, which do not fill the model's fixed batch.
    pub left_out: usize,
}

/// Runs the model on all rows.
pub(crate) fn predict(model: &LoadedModel, inputs: &[Tensor], options: &Options) -> Result<Predictions, Failure> {
    let limits = Limits::default();
    let rows = model.graph.row_features().and_then(|_| inputs.iter().map(|t| t.shape.first().copied()).min().flatten());
    let same = inputs.iter().all(|t| t.shape.first().copied() == rows);
    let Some(rows) = rows.filter(|r| same && *r > 0) else {
        let outputs = run(model, inputs.to_vec(), options, &limits)?;
        return Ok(Predictions { rows: None, outputs, left_out: 0 });
    };
    let fixed = rows::fixed_rows(&model.graph).map(|n| n as usize);
    let mut batch = fixed.unwrap_or(BATCH.min(rows)).max(1);
    let progress = Progress::new("running", rows as u64, "rows");
    let mut parts: Vec<Vec<Tensor>> = Vec::new();
    let (mut at, mut left_out) = (0, 0);
    while at < rows {
        let end = (at + batch).min(rows);
        if fixed.is_some() && end - at < batch {
            left_out = end - at;
            break;
        }
        let part = inputs.iter().map(|t| slice(t, at, end)).collect();
        match run(model, part, options, &limits) {
            Ok(outputs) => parts.push(outputs),
            Err(ComputeError::Limit { .. }) if fixed.is_none() && batch > 1 => {
                batch /= 2;
                continue;
            }
            Err(e) => return Err(e.into()),
        }
        at = end;
        progress.at(at as u64);
    }
    if parts.is_empty() {
        let reason = format!("it has {rows} rows, the model takes {batch} at a time");
        return Err(Failure::refused("the data", reason));
    }
    let outputs = (0..model.graph.outputs.len()).map(|k| join(parts.iter().map(|p| &p[k]))).collect();
    Ok(Predictions { rows: Some(rows - left_out), outputs, left_out })
}

fn run(
    model: &LoadedModel,
    inputs: Vec<Tensor>,
    options: &Options,
    limits: &Limits,
) -> Result<Vec<Tensor>, ComputeError> {
    let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = model.plan(&types, limits)?;
    model.run(&plan, inputs, options)
}

/// Rows `start..end` of a tensor.
pub(crate) fn slice(t: &Tensor, start: usize, end: usize) -> Tensor {
    let width: usize = t.shape.iter().skip(1).product();
    let mut shape = t.shape.clone();
    if let Some(d) = shape.first_mut() {
        *d = end - start;
    }
    let data = each_dtype!(&t.data, v => v[start * width..end * width].to_vec());
    Tensor { shape, data }
}

/// Tensors joined along the first axis; scalars become a vector.
fn join<'a>(parts: impl Iterator<Item = &'a Tensor> + Clone) -> Tensor {
    let mut all = parts.clone();
    let Some(first) = all.next() else { return Tensor::vector(Vec::new()) };
    if all.next().is_none() {
        return first.clone();
    }
    let mut shape = if first.shape.is_empty() { vec![1] } else { first.shape.clone() };
    shape[0] = parts.clone().map(|t| t.shape.first().copied().unwrap_or(1)).sum();
    let mut out = first.data.clone();
    for t in parts.skip(1) {
        match (&mut out, &t.data) {
            (Data::F32(a), Data::F32(b)) => a.extend(b),
            (Data::U8(a), Data::U8(b)) => a.extend(b),
            (Data::I8(a), Data::I8(b)) => a.extend(b),
            (Data::I32(a), Data::I32(b)) => a.extend(b),
            (Data::I64(a), Data::I64(b)) => a.extend(b),
            (Data::Bool(a), Data::Bool(b)) => a.extend(b),
            _ => {}
        }
    }
    Tensor { shape, data: out }
}
