//! ONNX STFT (operator set 17).

use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::{Data, Dim, Tensor};

use super::super::{Call, Outputs, one};
use super::Transform;
use crate::error::refuse;

/// Frames by Gather, times the window, times the matrix of the transform.
pub(in super::super) fn stft(c: &mut Call<'_>) -> Outputs {
    let signal = c.f32(0)?;
    let shape = c.b.shape(signal);
    let (complex, samples) = match shape.as_slice() {
        [_, Dim::Known(n), Dim::Known(1)] => (false, *n),
        [_, Dim::Known(n), Dim::Known(2)] => (true, *n),
        _ => return refuse!("a signal of (batch, known length, 1 or 2) is expected"),
    };
    let step = match c.ints(1, "the step of the frames")?.as_slice() {
        [s] if *s > 0 => *s as u64,
        other => return refuse!("frame_step {other:?}"),
    };
    let window = if c.has(2) { Some(c.f32(2)?) } else { None };
    let length = if c.has(3) {
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
    let onesided = c.attrs.flag("onesided", true)?;
    if onesided && complex {
        return refuse!("onesided results of a complex signal");
    }
    let frames = (samples - length) / step + 1;
    if frames.saturating_mul(length) > 1 << 24 {
        return refuse!("{frames} frames of {length}");
    }
    let starts = (0..frames).flat_map(|f| (0..length).map(move |i| (f * step + i) as i64)).collect();
    let at = c.b.constant(Tensor { shape: vec![frames as usize, length as usize], data: Data::I64(starts) });
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
