//! From call data to the tensors that a model takes.

use alloy_primitives::{B256, I256, U256};
use lockstep_engine::{DType, Data, Graph, Tensor};

use super::stop::Stop;
use crate::abi::{IInference as E, TensorView, Words};
use crate::wad;

/// Type and dimensions of each input of a call.
pub(super) type InputTypes = Vec<(DType, Vec<usize>)>;

/// The rows of `infer` and `classify` (spec ABI-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    /// Number of rows, at least 1.
    pub(super) count: usize,
    /// Values of a row, at least 1.
    pub(super) features: usize,
}

impl Rows {
    /// How many rows `length` values are.
    pub(super) fn of(graph: &Graph, model_id: &B256, length: usize) -> Result<Self, Stop> {
        let not_tabular = || Stop::revert(&E::NotTabular { modelId: *model_id });
        let features = graph.row_features().filter(|n| *n > 0).ok_or_else(not_tabular)?;
        let fixed = graph.rows_dim().and_then(lockstep_engine::Dim::as_known);
        let expected = match fixed {
            Some(rows) => U256::from(rows) * U256::from(features),
            None => U256::from(features),
        };
        let features = usize::try_from(features).unwrap_or(usize::MAX);
        let fits = match fixed {
            Some(_) => U256::from(length) == expected,
            None => length.is_multiple_of(features),
        };
        if !fits || length == 0 {
            return Err(Stop::input_length(0, expected, length));
        }
        Ok(Self { count: length / features, features })
    }

    /// The inputs' types with this many rows.
    pub(super) fn types(&self, graph: &Graph) -> InputTypes {
        let dims = |i: &lockstep_engine::Input| {
            let rest = i.shape[1..].iter().map(|d| d.as_known().and_then(|n| usize::try_from(n).ok()).unwrap_or(0));
            std::iter::once(self.count).chain(rest).collect()
        };
        graph.inputs.iter().map(|i| (i.dtype, dims(i))).collect()
    }

    /// Converts the values, row by row; the first that does not fit its type is refused by its position.
    pub(super) fn tensors(&self, types: InputTypes, x: Words<'_>) -> Result<Vec<Tensor>, Stop> {
        // A row's width was checked against overflow by `row_features`, and rows times widths are the values given.
        let widths: Vec<usize> = types.iter().map(|(_, shape)| shape[1..].iter().product()).collect();
        let mut tensors: Vec<Tensor> = types
            .into_iter()
            .zip(&widths)
            .map(|((dtype, shape), width)| Tensor { shape, data: empty(dtype, self.count * width) })
            .collect();
        let mut words = x.iter().enumerate();
        for _ in 0..self.count {
            for (t, width) in tensors.iter_mut().zip(&widths) {
                let values = words.by_ref().take(*width).map(|(at, w)| (at, I256::from_be_bytes(*w)));
                fill(&mut t.data, values)?;
            }
        }
        Ok(tensors)
    }
}

fn empty(dtype: DType, n: usize) -> Data {
    match dtype {
        DType::F32 => Data::F32(Vec::with_capacity(n)),
        DType::U8 => Data::U8(Vec::with_capacity(n)),
        DType::I8 => Data::I8(Vec::with_capacity(n)),
        DType::I32 => Data::I32(Vec::with_capacity(n)),
        DType::I64 => Data::I64(Vec::with_capacity(n)),
        DType::Bool => Data::Bool(Vec::with_capacity(n)),
    }
}

fn fill(data: &mut Data, values: impl Iterator<Item = (usize, I256)>) -> Result<(), Stop> {
    let dtype = data.dtype();
    // `to_integer` gives only what the type holds, so that the conversions below are exact.
    macro_rules! integers {
        ($v:expr, $from:expr) => {
            for (at, w) in values {
                $v.push($from(wad::to_integer(w, dtype).ok_or_else(|| Stop::out_of_range(0, at))?));
            }
        };
    }
    match data {
        Data::F32(v) => {
            for (at, w) in values {
                v.push(wad::to_f32(w).ok_or_else(|| Stop::out_of_range(0, at))?);
            }
        }
        Data::U8(v) => integers!(v, |n: i64| n as u8),
        Data::I8(v) => integers!(v, |n: i64| n as i8),
        Data::I32(v) => integers!(v, |n: i64| n as i32),
        Data::I64(v) => integers!(v, |n: i64| n),
        Data::Bool(v) => integers!(v, |n: i64| n == 1),
    }
    Ok(())
}

/// The types of the inputs of `run` as the model takes them: u8 and i8 widen where it wants f32 (spec ABI-8).
pub(super) fn run_types(graph: &Graph, inputs: &[TensorView<'_>]) -> Result<InputTypes, Stop> {
    if inputs.len() != graph.inputs.len() {
        let (expected, actual) = (U256::from(graph.inputs.len()), U256::from(inputs.len()));
        return Err(Stop::revert(&E::WrongInputCount { expected, actual }));
    }
    for (i, (view, want)) in inputs.iter().zip(&graph.inputs).enumerate() {
        let same = view.dtype == want.dtype.code();
        if !(same || want.dtype == DType::F32 && widens(view.dtype)) {
            return Err(Stop::input_type(i, want.dtype.code(), view.dtype));
        }
    }
    let dims = |view: &TensorView<'_>| view.shape.iter_u32().map(|d| d as usize).collect();
    Ok(inputs.iter().zip(&graph.inputs).map(|(view, want)| (want.dtype, dims(view))).collect())
}

fn widens(dtype: u8) -> bool {
    matches!(DType::from_code(dtype), Some(DType::U8 | DType::I8))
}

/// The tensors of `run`, whose types and shapes fit the model.
pub(super) fn run_tensors(types: InputTypes, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Stop> {
    let mut tensors = Vec::with_capacity(inputs.len());
    for (i, ((dtype, shape), view)) in types.into_iter().zip(inputs).enumerate() {
        // The caller's type says how wide the data is; it is known, since it is the model's or widens to it.
        let given = DType::from_code(view.dtype).unwrap_or(dtype);
        let bytes = shape.iter().fold(U256::from(given.size()), |n, d| n.saturating_mul(U256::from(*d)));
        if bytes != U256::from(view.data.len()) {
            return Err(Stop::input_length(i, bytes, view.data.len()));
        }
        if given == DType::Bool
            && let Some(at) = view.data.iter().position(|b| *b > 1)
        {
            return Err(Stop::out_of_range(i, at));
        }
        let tensor = match (dtype, given) {
            (DType::F32, DType::U8) => {
                Some(Tensor { shape, data: Data::F32(view.data.iter().map(|b| f32::from(*b)).collect()) })
            }
            (DType::F32, DType::I8) => {
                Some(Tensor { shape, data: Data::F32(view.data.iter().map(|b| f32::from(*b as i8)).collect()) })
            }
            _ => Tensor::from_le_bytes(dtype, shape, view.data),
        };
        tensors.push(tensor.ok_or_else(|| Stop::Fatal(format!("input {i} passed its checks and is no tensor")))?);
    }
    Ok(tensors)
}
