//! RNN, GRU and LSTM, step after step.
//!
//! A sequence of known length is written out: every step is a few nodes, and its products are those of the engine.
//! `T` steps cost about `T * 20` nodes; longer sequences are refused.

mod activation;
mod cell;

use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::{DType, Data, Dim, Tensor};

use self::activation::Activation;
use self::cell::{Cell, Kind, State};
use super::{Call, Outputs};
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};
use crate::slot::Slot;

/// Steps that are written out.
const MAX_STEPS: u64 = 128;

/// The sequence as (steps, batch, features), and what is known of it.
struct Sequence {
    x: Val,
    steps: u64,
    batch: Dim,
    /// For each step whether each row still runs, (batch, 1); none: all do.
    running: Option<Vec<Val>>,
}

/// Sizes and settings that all directions share.
struct Settings {
    kind: Kind,
    hidden: u64,
    batch_first: bool,
    clip: Option<f32>,
}

impl Settings {
    fn read(c: &Call<'_>) -> Lowered<Self> {
        let kind = match c.op {
            "RNN" => Kind::Rnn,
            "GRU" => Kind::Gru { reset_after: c.attrs.flag("linear_before_reset", false)? },
            _ => Kind::Lstm { coupled: c.attrs.flag("input_forget", false)? },
        };
        if c.version < 7 {
            c.attrs.ignore(&["output_sequence"]);
        }
        let r = c.b.shape(c.f32(2)?);
        let stated = c.attrs.int_opt("hidden_size")?;
        let hidden = match r.get(2).and_then(Dim::as_known) {
            Some(n) if n > 0 && r.len() == 3 && stated.is_none_or(|s| u64::try_from(s) == Ok(n)) => n,
            _ => return refuse!("recurrence weights whose last dimension is hidden_size {stated:?} are expected"),
        };
        let clip = c.attrs.float_opt("clip")?;
        if clip.is_some_and(|t| t.is_nan() || t < 0.0) {
            return refuse!("clip {clip:?}");
        }
        Ok(Self { kind, hidden, batch_first: c.attrs.flag("layout", false)?, clip })
    }
}

fn sequence(c: &mut Call<'_>, batch_first: bool) -> Lowered<Sequence> {
    let mut x = c.f32(0)?;
    if c.b.rank(x) != 3 {
        return refuse!("an operand of rank {}, 3 is expected", c.b.rank(x));
    }
    if batch_first {
        x = c.b.transpose(x, &[1, 0, 2])?;
    }
    let shape = c.b.shape(x);
    let steps = match shape[0].as_known() {
        Some(n) if (1..=MAX_STEPS).contains(&n) => n,
        Some(n) => {
            return Err(Refusal::new(format!("a sequence of {n} steps, 1 to {MAX_STEPS} are supported"))
                .advice("export with a shorter sequence"));
        }
        None => {
            return Err(Refusal::new("the length of the sequence is symbolic").advice("export with a fixed length"));
        }
    };
    let running = match c.opt(4)? {
        Some(lengths) => running(c, lengths, steps)?,
        None => None,
    };
    Ok(Sequence { x, steps, batch: shape[1].clone(), running })
}

fn running(c: &mut Call<'_>, lengths: Val, steps: u64) -> Lowered<Option<Vec<Val>>> {
    let full = |t: &Tensor| match &t.data {
        Data::I32(v) => v.iter().all(|n| i64::from(*n) == steps as i64),
        Data::I64(v) => v.iter().all(|n| *n == steps as i64),
        _ => false,
    };
    if c.b.as_constant(lengths).is_some_and(|t| full(&t)) {
        return Ok(None);
    }
    let lengths = c.b.cast(lengths, DType::I64)?;
    let lengths = c.b.unsqueeze(lengths, &[1])?;
    let mut out = Vec::with_capacity(steps as usize);
    for t in 0..steps {
        let t = c.b.scalar_of(DType::I64, t as i64);
        out.push(c.b.compare(K::Less, t, lengths)?);
    }
    Ok(Some(out))
}

/// Part `index` of a tensor's first axis, without that axis.
fn part(c: &mut Call<'_>, x: Val, index: u64) -> Lowered<Val> {
    let shape = c.b.shape(x);
    let Some((_, rest)) = shape.split_first() else { return refuse!("a scalar where a direction is expected") };
    let x = c.b.slice_axis(x, 0, index, 1, Dim::Known(1))?;
    c.b.reshape(x, rest)
}

/// The state that operand `i` gives to a direction, or zeros, as (batch, hidden).
fn initial(c: &mut Call<'_>, i: usize, direction: u64, s: &Settings) -> Lowered<Val> {
    match c.opt(i)? {
        Some(v) => {
            c.f32(i)?;
            if c.b.rank(v) != 3 {
                return refuse!("an initial state of rank {}, 3 is expected", c.b.rank(v));
            }
            let v = if s.batch_first { c.b.transpose(v, &[1, 0, 2])? } else { v };
            part(c, v, direction)
        }
        None => {
            let zeros = vec![0.0; s.hidden as usize];
            Ok(c.b.constant(Tensor { shape: vec![1, s.hidden as usize], data: Data::F32(zeros) }))
        }
    }
}

/// What one direction gives: all its states in the order of the sequence, and the last.
struct Run {
    all: Vec<Val>,
    last: State,
}

fn direction(c: &mut Call<'_>, s: &Settings, q: &Sequence, d: u64, back: bool, f: &[Activation]) -> Lowered<Run> {
    let (w, r) = (c.f32(1)?, c.f32(2)?);
    let gates = s.kind.gates() * s.hidden;
    let w = part(c, w, d)?;
    let r = part(c, r, d)?;
    if c.b.shape(w).first() != Some(&Dim::Known(gates)) || c.b.shape(r) != [Dim::Known(gates), Dim::Known(s.hidden)] {
        return refuse!("weights of {gates} rows are expected for {} hidden elements", s.hidden);
    }
    // All steps' products with the input are one.
    let w = c.b.transpose(w, &[1, 0])?;
    let shape = c.b.shape(q.x);
    let rows = shape[0].mul(&shape[1]).ok_or_else(|| Refusal::new("the batch is too large"))?;
    let flat = c.b.reshape(q.x, &[rows, shape[2].clone()])?;
    let products = c.b.push(MatMul {}, &[flat, w])?;
    let products = c.b.reshape(products, &[shape[0].clone(), q.batch.clone(), Dim::Known(gates)])?;

    let mut cell = Cell::new(s.kind, s.hidden, s.clip, f);
    cell.recurrence(c, r)?;
    if c.has(3) {
        let b = c.f32(3)?;
        let b = part(c, b, d)?;
        cell.biases(c, b)?;
    }
    let mut state = State { h: initial(c, 5, d, s)?, c: None };
    if let Kind::Lstm { .. } = s.kind {
        state.c = Some(initial(c, 6, d, s)?);
        if c.has(7) {
            let p = c.f32(7)?;
            let p = part(c, p, d)?;
            cell.peepholes(c, p)?;
        }
    }
    let mut all = vec![state.h; q.steps as usize];
    let zero = c.b.scalar(0.0);
    for k in 0..q.steps {
        let t = if back { q.steps - 1 - k } else { k };
        let at = c.b.scalar_of(DType::I64, t as i64);
        let x = c.b.gather(products, at, 0)?;
        let next = cell.step(c, x, &state)?;
        let running = q.running.as_ref().and_then(|r| r.get(t as usize)).copied();
        let shown;
        (state, shown) = match running {
            None => (next, next.h),
            Some(m) => {
                let old = match (next.c, state.c) {
                    (Some(new), Some(old)) => Some(c.b.select(m, new, old)?),
                    _ => None,
                };
                (State { h: c.b.select(m, next.h, state.h)?, c: old }, c.b.select(m, next.h, zero)?)
            }
        };
        all[t as usize] = shown;
    }
    Ok(Run { all, last: state })
}

/// ONNX RNN, GRU and LSTM.
pub(super) fn recurrent(c: &mut Call<'_>) -> Outputs {
    let s = Settings::read(c)?;
    let q = sequence(c, s.batch_first)?;
    let directions = match c.attrs.string("direction", "forward")?.as_str() {
        "forward" => vec![false],
        "reverse" => vec![true],
        "bidirectional" => vec![false, true],
        other => return refuse!("direction '{other}'"),
    };
    for i in 1..3 {
        let v = c.f32(i)?;
        if c.b.rank(v) != 3 || c.b.shape(v)[0] != Dim::Known(directions.len() as u64) {
            return refuse!("weights of rank 3 for {} directions are expected", directions.len());
        }
    }
    let f = activation::read(c, s.kind.activations(), directions.len())?;
    let each = f.len() / directions.len();
    let mut runs = Vec::new();
    for (d, (back, f)) in directions.iter().zip(f.chunks(each)).enumerate() {
        runs.push(direction(c, &s, &q, d as u64, *back, f)?);
    }

    let hidden = Dim::Known(s.hidden);
    let mut y = Vec::new();
    for run in &runs {
        let flat = c.b.concat(&run.all, 0)?;
        y.push(c.b.reshape(flat, &[Dim::Known(q.steps), Dim::Known(1), q.batch.clone(), hidden.clone()])?);
    }
    let mut y = c.b.concat(&y, 1)?;
    if s.batch_first {
        y = c.b.transpose(y, &[2, 0, 1, 3])?;
    }
    let mut outputs = vec![Slot::Tensor(y)];
    for of in [|s: &State| Some(s.h), |s: &State| s.c] {
        let states: Option<Vec<Val>> = runs.iter().map(|r| of(&r.last)).collect();
        let Some(states) = states else { continue };
        let mut parts = Vec::new();
        for v in states {
            parts.push(c.b.unsqueeze(v, &[usize::from(s.batch_first)])?);
        }
        outputs.push(Slot::Tensor(c.b.concat(&parts, usize::from(s.batch_first))?));
    }
    Ok(outputs)
}
