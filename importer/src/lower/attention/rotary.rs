//! Rotary position embedding (ONNX RotaryEmbedding, operator set 23).

use lockstep_engine::Dim;

use super::super::{Call, Outputs, one};
use super::unpack;
use crate::error::{Refusal, refuse};

/// real = cos * a - sin * b, imag = sin * a + cos * b, with a and b the halves of the rotated part, or its
/// even and odd elements.
pub(in super::super) fn rotary_embedding(c: &mut Call<'_>) -> Outputs {
    let (x, mut cos, mut sin) = (c.f32(0)?, c.f32(1)?, c.f32(2)?);
    let interleaved = c.attrs.flag("interleaved", false)?;
    let heads = c.attrs.int("num_heads", 0)?;
    let shape = c.b.shape(x);
    // The cosines are (batch, sequence, half): they broadcast over the heads, wherever those stand.
    let (y, head_axis) = match (shape.len(), u64::try_from(heads)) {
        (4, _) => (x, 1),
        (3, Ok(heads)) if heads > 0 => (unpack(c, x, heads)?, 2),
        _ => return refuse!("rank 4, or rank 3 with num_heads, is expected; rank {} came", shape.len()),
    };
    let size = match c.b.shape(y)[3].as_known() {
        Some(n) => n,
        None => return refuse!("a size of the heads that is symbolic"),
    };
    let turned = match u64::try_from(c.attrs.int("rotary_embedding_dim", 0)?) {
        Ok(0) => size,
        Ok(n) if n <= size => n,
        _ => return refuse!("rotary_embedding_dim beyond heads of {size}"),
    };
    if turned == 0 || turned % 2 != 0 {
        return refuse!("{turned} elements to rotate, an even number is expected");
    }
    let half = turned / 2;
    if c.has(3) {
        let at = c.x(3)?;
        cos = c.b.gather(cos, at, 0)?;
        sin = c.b.gather(sin, at, 0)?;
    }
    if c.b.rank(cos) != 3 || c.b.rank(sin) != 3 {
        return refuse!("cosines and sines of (batch, sequence, {half}) are expected");
    }
    if [cos, sin].iter().any(|v| c.b.shape(*v)[2] != Dim::Known(half)) {
        return Err(Refusal::new(format!("cosines and sines have to have a last dimension of {half}")));
    }
    let (cos, sin) = (c.b.unsqueeze(cos, &[head_axis])?, c.b.unsqueeze(sin, &[head_axis])?);
    let (second, step) = if interleaved { (1, 2) } else { (half, 1) };
    let a = c.b.slice_axis(y, 3, 0, step, Dim::Known(half))?;
    let b = c.b.slice_axis(y, 3, second, step, Dim::Known(half))?;
    let (ca, sb) = (c.b.mul2(cos, a)?, c.b.mul2(sin, b)?);
    let mut real = c.b.sub2(ca, sb)?;
    let (sa, cb) = (c.b.mul2(sin, a)?, c.b.mul2(cos, b)?);
    let mut imag = c.b.add2(sa, cb)?;
    if c.b.shape(real) != c.b.shape(a) {
        return refuse!("the cosines are larger than the operand");
    }
    let rest = |c: &mut Call<'_>| c.b.slice_axis(y, 3, turned, 1, Dim::Known(size - turned));
    let joined = if interleaved {
        real = c.b.unsqueeze(real, &[4])?;
        imag = c.b.unsqueeze(imag, &[4])?;
        let pairs = c.b.concat(&[real, imag], 4)?;
        let mut flat = c.b.shape(y);
        flat[3] = Dim::Known(turned);
        let pairs = c.b.reshape(pairs, &flat)?;
        if turned == size {
            pairs
        } else {
            let rest = rest(c)?;
            c.b.concat(&[pairs, rest], 3)?
        }
    } else if turned == size {
        c.b.concat(&[real, imag], 3)?
    } else {
        let rest = rest(c)?;
        c.b.concat(&[real, imag, rest], 3)?
    };
    one(c.b.reshape(joined, &shape)?)
}
