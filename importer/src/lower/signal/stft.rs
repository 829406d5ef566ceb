//! ONNX STFT (operator set 17).

use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::{DType, Data, Dim, Tensor};

use super::super::{Call, Outputs, dynamic, one};
use super::Transform;
use crate::build::Val;
use crate::error::{Lowered, refuse};

/// Frames by Gather, times the window, times the matrix of the transform.
pub(in super::super) fn stft(c: &mut Call<'_>) -> Outputs {
    let signal = c.f32(0)?;
    let shape = c.b.shape(signal);
    let (complex, samples) = match shape.as_slice() {
        [_, Dim::Known(n), Dim::Known(1)] => (false, *n),
        [_, Dim::Known(n), Dim::Known(2)] => (true, *n),
        _ => return refuse!("a signal of (batch, known length, 1 or 2) is expected"),
    };
    let window = if c.has(2) { Some(c.f32(2)?) } else { None };
    let onesided = c.attrs.flag("onesided", true)?;
    let mut signal = signal;
    let length = if c.is_data(3) && window.is_none() {
        // The declared number of results, which must be that of an even length, gives it.
        let n = match c.declared(0)?.get(2) {
            Some(Some(Dim::Known(n))) if *n > 0 => {
                if onesided {
                    2 * (n - 1)
                } else {
                    *n
                }
            }
            _ => return refuse!("frame_length from data: the file has to declare the number of results"),
        };
        signal = dynamic::sizes(c, signal, 3, &[Dim::Known(n)])?;
        n
    } else if c.has(3) {
        match c.ints(3, "the length of the frames")?.as_slice() {
            [n] if *n > 0 => *n as u64,
            other => return refuse!("frame_length {other:?}"),
        }
    } else {
        match window.map(|w| c.b.shape(w)).as_deref() {
            Some([Dim::Known(n)]) => *n,
            _ => return refuse!("neither a window of known length nor frame_length"),
        }
    };
    if length == 0 || length > samples {
        return refuse!("frames of {length} of a signal of {samples}");
    }
    if onesided && complex {
        return refuse!("onesided results of a complex signal");
    }
    let (frames, step, fits) = frames(c, samples - length)?;
    if frames.saturating_mul(length) > 1 << 24 {
        return refuse!("{frames} frames of {length}");
    }
    if let Some(fits) = fits {
        signal = c.b.require(signal, &[fits], Requirement::Argument)?;
    }
    let starts = c.b.iota(&Dim::Known(frames))?;
    let starts = c.b.mul2(starts, step)?;
    let starts = c.b.unsqueeze(starts, &[1])?;
    let within = c.b.iota(&Dim::Known(length))?;
    let at = c.b.add2(starts, within)?;
    let mut x = c.b.gather(signal, at, 1)?;
    if let Some(w) = window {
        if c.b.shape(w) != [Dim::Known(length)] {
            return refuse!("a window of {length} elements is expected");
        }
        let w = c.b.along(w, 2, 4)?;
        x = c.b.mul2(x, w)?;
    }
    let t = Transform { taken: length, length, complex, inverse: false, onesided };
    let parts = 1 + u64::from(complex);
    let (rows, columns) = (length * parts, t.results() * 2);
    let w = c.b.constant(Tensor { shape: vec![rows as usize, columns as usize], data: Data::F32(t.matrix()?) });
    let all = super::super::product(&[shape[0].clone(), Dim::Known(frames)])?;
    let x = c.b.reshape(x, &[all, Dim::Known(rows)])?;
    let y = c.b.push(MatMul {}, &[x, w])?;
    one(c.b.reshape(y, &[shape[0].clone(), Dim::Known(frames), Dim::Known(t.results()), Dim::Known(2)])?)
}

/// The number of frames that start within `last`, and the step between them; where that comes from data, the
/// number is the declared one, under the condition that comes with it.
fn frames(c: &mut Call<'_>, last: u64) -> Lowered<(u64, Val, Option<Val>)> {
    if !c.is_data(1) {
        return match c.ints(1, "the step of the frames")?.as_slice() {
            [s] if *s > 0 => Ok((last / *s as u64 + 1, c.b.vector_i64(vec![*s]), None)),
            other => refuse!("frame_step {other:?}"),
        };
    }
    let frames = match c.declared(0)?.get(1) {
        Some(Some(Dim::Known(n))) if *n > 0 => *n,
        _ => return refuse!("frame_step from data: the file has to declare the number of frames"),
    };
    let (step, n) = c.vector(1)?;
    if n != 1 {
        return refuse!("{n} steps, one is expected");
    }
    let [last, expected, zero] = [last as i64, frames as i64 - 1, 0].map(|n| c.b.scalar_of(DType::I64, n));
    let found = c.b.div2(last, step)?;
    let equal = c.b.compare(K::Equal, found, expected)?;
    let forward = c.b.compare(K::Greater, step, zero)?;
    let fits = c.b.binary(lockstep_engine::ops::binary::BinaryKind::And, equal, forward)?;
    Ok((frames, step, Some(fits)))
}
