//! ONNX's own quantised operators: exact sums of 8-bit integers, everything around them in f32 as ONNX writes it.

use lockstep_engine::ops::binary::BinaryKind;
use lockstep_engine::ops::integer::{IntegerConv, IntegerMatMul};
use lockstep_engine::ops::reduce::ReduceKind;
use lockstep_engine::ops::unary::UnaryKind;
use lockstep_engine::{DType, Data, Dim, Tensor};

use super::window::Window;
use super::{Call, Outputs, known, one};
use crate::build::{Builder, Val};
use crate::error::{Lowered, Refusal, refuse};
use crate::proto::data_type;
use crate::slot::Slot;

/// Whether a type is one of the 8-bit integers.
fn byte(d: DType) -> bool {
    matches!(d, DType::I8 | DType::U8)
}

/// Operand `i` of 8-bit integers.
fn bytes(c: &Call<'_>, i: usize) -> Lowered<Val> {
    let v = c.x(i)?;
    match c.b.dtype(v) {
        d if byte(d) => Ok(v),
        d => Err(Refusal::new(format!("operand {i} is {d}, int8 or uint8 is expected"))),
    }
}

/// A vector of one value as a scalar; anything else as it is.
fn scalar(b: &mut Builder, v: Val) -> Lowered<Val> {
    let shape = b.shape(v);
    if !shape.is_empty() && shape.iter().all(|d| *d == Dim::Known(1)) { b.reshape(v, &[]) } else { Ok(v) }
}

/// A scale or zero point laid beside a tensor of type `like`: per tensor, along `axis`, or in blocks along it.
fn beside(b: &mut Builder, v: Val, like: &[Dim], axis: i64, block: i64) -> Lowered<Val> {
    let v = if block == 0 { scalar(b, v)? } else { v };
    let (shape, rank) = (b.shape(v), like.len());
    match (shape.len(), block) {
        (0, 0) => Ok(v),
        (1, 0) => {
            let axis = b.axis(axis, rank)?;
            lockstep_engine::ops::shape::same(&shape[0], &like[axis], "scales or zero points along the axis")?;
            b.along(v, axis, rank)
        }
        (_, 0) => {
            refuse!("scales of rank {}: a scalar, or one value for each position of an axis, is expected", shape.len())
        }
        (r, block) if r == rank && block > 0 => {
            let axis = b.axis(axis, rank)?;
            let (Some(n), Some(length)) = (shape[axis].as_known(), like[axis].as_known()) else {
                return refuse!("blocks along a symbolic dimension");
            };
            if length.div_ceil(block as u64) != n {
                return refuse!("{n} blocks of {block} for a dimension of {length}");
            }
            // Each value once for each position of its block; the last block may be short.
            let apart = b.unsqueeze(v, &[axis + 1])?;
            let mut wide = b.shape(apart);
            wide[axis + 1] = Dim::Known(block as u64);
            let wide = b.expand(apart, &wide)?;
            let mut joined = shape.clone();
            joined[axis] = Dim::Known(n.saturating_mul(block as u64));
            let joined = b.reshape(wide, &joined)?;
            b.slice_axis(joined, axis, 0, 1, Dim::Known(length))
        }
        (r, block) => refuse!("scales of rank {r} in blocks of {block} for a tensor of rank {rank}"),
    }
}

/// RNE(x), + zero point, saturated to the type of the zero point.
fn saturate(b: &mut Builder, x: Val, zero: Option<Val>, to: DType) -> Lowered<Val> {
    let mut y = b.unary(UnaryKind::Round, x)?;
    if let Some(z) = zero {
        let z = b.cast(z, DType::F32)?;
        y = b.add2(y, z)?;
    }
    let (low, high) = match to {
        DType::I8 => (-128.0, 127.0),
        _ => (0.0, 255.0),
    };
    let (low, high) = (b.scalar(low), b.scalar(high));
    y = b.binary(BinaryKind::Max, y, low)?;
    y = b.binary(BinaryKind::Min, y, high)?;
    b.cast(y, to)
}

/// f32(x / scale), RNE, + zero point, saturate.
fn quantized(b: &mut Builder, x: Val, scale: Val, zero: Option<Val>, to: DType) -> Lowered<Val> {
    let y = b.div2(x, scale)?;
    saturate(b, y, zero, to)
}

/// f32(x - zero point) * scale.
fn dequantized(b: &mut Builder, x: Val, scale: Val, zero: Option<Val>) -> Lowered<Val> {
    let mut wide = b.cast(x, DType::I32)?;
    if let Some(z) = zero {
        let z = b.cast(z, DType::I32)?;
        wide = b.sub2(wide, z)?;
    }
    let float = b.cast(wide, DType::F32)?;
    b.mul2(float, scale)
}

/// Axis, length of blocks, and whether they matter.
fn layout(c: &Call<'_>) -> Lowered<(i64, i64)> {
    let (axis, block) = (c.attrs.int("axis", 1)?, c.attrs.int("block_size", 0)?);
    if block < 0 {
        return refuse!("block_size {block}");
    }
    Ok((axis, block))
}

pub(super) fn quantize_linear(c: &mut Call<'_>) -> Outputs {
    let (x, scale) = (c.f32(0)?, c.f32(1)?);
    let zero = c.opt(2)?;
    let (axis, block) = layout(c)?;
    c.attrs.ignore(&["saturate"]); // of float8 only
    for name in ["output_dtype", "precision"] {
        let (stated, fits) = (c.attrs.int(name, 0)?, zero.map(|z| c.b.dtype(z) as i64));
        let allowed = if name == "precision" { [0, 1].contains(&stated) } else { [0, 2, 3].contains(&stated) };
        if !allowed || (name == "output_dtype" && stated != 0 && fits.is_some_and(|f| f != stated)) {
            return refuse!("{name} {}", data_type::name(stated as i32));
        }
    }
    let to = match (zero.map(|z| c.b.dtype(z)), c.attrs.int("output_dtype", 0)?) {
        (Some(d), _) if byte(d) => d,
        (Some(d), _) => return refuse!("a zero point of {d}, int8 or uint8 is expected"),
        (None, 3) => DType::I8,
        (None, _) => DType::U8,
    };
    let like = c.b.shape(x);
    let scale = beside(c.b, scale, &like, axis, block)?;
    let zero = zero.map(|z| beside(c.b, z, &like, axis, block)).transpose()?;
    one(quantized(c.b, x, scale, zero, to)?)
}

pub(super) fn dequantize_linear(c: &mut Call<'_>) -> Outputs {
    let (x, scale) = (c.x(0)?, c.f32(1)?);
    let zero = c.opt(2)?;
    let (axis, block) = layout(c)?;
    let output = c.attrs.int("output_dtype", 0)?;
    if ![0, 1].contains(&output) {
        return refuse!("output_dtype {}", data_type::name(output as i32));
    }
    let d = c.b.dtype(x);
    if !byte(d) && d != DType::I32 {
        return refuse!("a tensor of {d}, int8, uint8 or int32 is expected");
    }
    if let Some(z) = zero.map(|z| c.b.dtype(z)).filter(|z| *z != d) {
        return refuse!("a zero point of {z} for a tensor of {d}");
    }
    let like = c.b.shape(x);
    let scale = beside(c.b, scale, &like, axis, block)?;
    let zero = zero.map(|z| beside(c.b, z, &like, axis, block)).transpose()?;
    if let Some(t) = weights(c.b, x, scale, zero) {
        return one(c.b.constant(t));
    }
    one(dequantized(c.b, x, scale, zero)?)
}

/// A constant of any size dequantised once and for all: the same exact difference and one rounding as the operators.
fn weights(b: &Builder, x: Val, scale: Val, zero: Option<Val>) -> Option<Tensor> {
    use lockstep_engine::ops::shape::{broadcast_strides, for_each_offset};
    let (x, scale) = (b.as_constant(x)?, b.as_constant(scale)?);
    let zero = match zero {
        Some(z) => Some(b.as_constant(z)?),
        None => None,
    };
    let at = |t: &Tensor, i: usize| match &t.data {
        Data::I8(v) => Some(i32::from(v[i])),
        Data::U8(v) => Some(i32::from(v[i])),
        Data::I32(v) => Some(v[i]),
        _ => None,
    };
    let scales = scale.as_f32()?;
    at(&x, 0).filter(|_| !x.data.is_empty())?;
    let zeros = zero.as_ref().map_or(&[][..], |z| z.shape.as_slice());
    let strides = [&x.shape, &scale.shape, zeros].map(|s| broadcast_strides(s, &x.shape));
    let mut v = Vec::with_capacity(x.data.len());
    for_each_offset(&x.shape, [&strides[0], &strides[1], &strides[2]], |[i, s, z]| {
        let zero = zero.as_ref().and_then(|t| at(t, z)).unwrap_or(0);
        let x = at(&x, i).unwrap_or(0);
        v.push(lockstep_engine::float::canonical(x.wrapping_sub(zero) as f32 * scales[s]));
    });
    Some(Tensor { shape: x.shape.clone(), data: Data::F32(v) })
}

/// ONNX's function: the range of x with 0, a scale of a 255th of it, the zero point that 0 falls on.
pub(super) fn dynamic_quantize_linear(c: &mut Call<'_>) -> Outputs {
    let x = c.f32(0)?;
    let shape = c.b.shape(x);
    let axes: Vec<usize> = (0..shape.len()).collect();
    let b = &mut *c.b;
    let (zero, most) = (b.scalar(0.0), b.scalar(255.0));
    let least = b.reduce(ReduceKind::Min, x, &axes, false)?;
    let least = b.binary(BinaryKind::Min, least, zero)?;
    let greatest = b.reduce(ReduceKind::Max, x, &axes, false)?;
    let greatest = b.binary(BinaryKind::Max, greatest, zero)?;
    let range = b.sub2(greatest, least)?;
    let scale = b.div2(range, most)?;
    let point = b.div2(least, scale)?;
    let point = b.sub2(zero, point)?;
    let point = b.binary(BinaryKind::Max, point, zero)?;
    let point = b.binary(BinaryKind::Min, point, most)?;
    let point = b.unary(UnaryKind::Round, point)?;
    let point = b.cast(point, DType::U8)?;
    let y = quantized(b, x, scale, Some(point), DType::U8)?;
    if shape.first().is_some_and(|d| d.as_known() != Some(1)) {
        b.note(
            "DynamicQuantizeLinear takes its scale from the whole tensor: the answer to a row depends on the other rows of its call",
        );
    }
    Ok(vec![Slot::Tensor(y), Slot::Tensor(scale), Slot::Tensor(point)])
}

/// A zero point as the engine takes it: a scalar or a vector.
fn zero_point(c: &mut Call<'_>, i: usize) -> Lowered<Option<Val>> {
    let Some(z) = c.opt(i)? else { return Ok(None) };
    let z = scalar(c.b, z)?;
    if c.b.rank(z) > 1 {
        return refuse!("a zero point of rank {}, a scalar or a vector is expected", c.b.rank(z));
    }
    Ok(Some(z))
}

pub(super) fn matmul_integer(c: &mut Call<'_>) -> Outputs {
    let (a, b) = (bytes(c, 0)?, bytes(c, 1)?);
    let (za, zb) = (zero_point(c, 2)?, zero_point(c, 3)?);
    one(c.b.push_opt(IntegerMatMul {}, &[Some(a), Some(b), za, zb])?)
}

/// IntegerConv of operands `x` and `w` with zero points.
fn conv(c: &mut Call<'_>, x: Val, w: Val, zeros: [Option<Val>; 2]) -> Lowered<Val> {
    let weights = c.b.shape(w);
    let Some(kernel) = weights.get(2..).and_then(known) else {
        return refuse!("the kernel's size depends on a symbolic dimension");
    };
    let kernel = kernel.into_iter().map(|k| u32::try_from(k).unwrap_or(u32::MAX)).collect();
    let Ok(groups) = u32::try_from(c.attrs.int("group", 1)?) else { return refuse!("a negative number of groups") };
    let window = Window::read(c, x, Some(kernel))?;
    let op = IntegerConv {
        groups,
        strides: window.strides,
        dilations: window.dilations,
        pads_begin: window.pads_begin,
        pads_end: window.pads_end,
    };
    c.b.push_opt(op, &[Some(x), Some(w), zeros[0], zeros[1]])
}

pub(super) fn conv_integer(c: &mut Call<'_>) -> Outputs {
    let (x, w) = (bytes(c, 0)?, bytes(c, 1)?);
    let zeros = [zero_point(c, 2)?, zero_point(c, 3)?];
    one(conv(c, x, w, zeros)?)
}

/// A scale beside a result: a scalar, or a vector along `axis` counted from the end.
fn factor(c: &mut Call<'_>, i: usize, from_end: usize, rank: usize) -> Lowered<Val> {
    let v = c.f32(i)?;
    let v = scalar(c.b, v)?;
    match c.b.rank(v) {
        0 => Ok(v),
        1 => match rank.checked_sub(from_end) {
            Some(axis) => c.b.along(v, axis, rank),
            None => refuse!("a vector of scales for a result of rank {rank}"),
        },
        r => refuse!("scales of rank {r}, a scalar or a vector is expected"),
    }
}

/// A zero point of the result, which gives its type.
fn result_zero(c: &mut Call<'_>, i: usize) -> Lowered<(Val, DType)> {
    let z = c.x(i)?;
    let z = scalar(c.b, z)?;
    let d = c.b.dtype(z);
    if !byte(d) || c.b.rank(z) != 0 {
        return refuse!("a zero point of {d} and rank {}: one of int8 or uint8 is expected", c.b.rank(z));
    }
    Ok((z, d))
}

/// m = (sa * sb) / sy; f32(acc) * m, RNE, + zero point, saturate.
fn requantized(b: &mut Builder, acc: Val, [sa, sb, sy]: [Val; 3], zero: (Val, DType)) -> Lowered<Val> {
    let m = b.mul2(sa, sb)?;
    let m = b.div2(m, sy)?;
    let acc = b.cast(acc, DType::F32)?;
    let y = b.mul2(acc, m)?;
    saturate(b, y, Some(zero.0), zero.1)
}

pub(super) fn qlinear_matmul(c: &mut Call<'_>) -> Outputs {
    let (a, b) = (bytes(c, 0)?, bytes(c, 3)?);
    let (za, zb) = (zero_point(c, 2)?, zero_point(c, 5)?);
    let acc = c.b.push_opt(IntegerMatMul {}, &[Some(a), Some(b), za, zb])?;
    let rank = c.b.rank(acc);
    let scales = [factor(c, 1, 2, rank)?, factor(c, 4, 1, rank)?, factor(c, 6, 1, rank)?];
    let zero = result_zero(c, 7)?;
    one(requantized(c.b, acc, scales, zero)?)
}

pub(super) fn qlinear_conv(c: &mut Call<'_>) -> Outputs {
    let (x, w) = (bytes(c, 0)?, bytes(c, 3)?);
    let zeros = [zero_point(c, 2)?, zero_point(c, 5)?];
    let mut acc = conv(c, x, w, zeros)?;
    let rank = c.b.rank(acc);
    if let Some(bias) = c.opt(8)? {
        within(c, 8, w, 5, |shape| shape.first().copied().unwrap_or(0), false)?;
        let bias = c.b.along(bias, 1, rank)?;
        acc = c.b.add2(acc, bias)?;
    }
    let scales = [factor(c, 1, rank, rank)?, factor(c, 4, rank - 1, rank)?, factor(c, 6, rank, rank)?];
    let zero = result_zero(c, 7)?;
    one(requantized(c.b, acc, scales, zero)?)
}

/// Refuses an i32 bias that is not constant, or with which a sum could leave i32. Operand `bias` is added to sums of at
/// most 255 times the weights; `zero` is the operand of the weights' zero point.
fn within(
    c: &Call<'_>,
    bias: usize,
    w: Val,
    zero: usize,
    channels: impl Fn(&[usize]) -> usize,
    columns: bool,
) -> Lowered<()> {
    let t = c.constant(bias, "the bias")?;
    let Data::I32(bias) = &t.data else { return refuse!("a bias of {}, int32 is expected", t.dtype()) };
    let most = bias.iter().map(|b| i64::from(*b).abs()).max().unwrap_or(0);
    let number = |t: &Tensor, i: usize| match &t.data {
        Data::I8(v) => v.get(i).map(|x| i64::from(*x)),
        Data::U8(v) => v.get(i).map(|x| i64::from(*x)),
        _ => None,
    };
    let sum = match c.b.as_constant(w) {
        // The greatest sum of magnitudes of a channel.
        Some(w) if !w.data.is_empty() => {
            let zero = if c.has(zero) { Some(c.constant(zero, "the zero point of the weights")?) } else { None };
            let n = channels(&w.shape).max(1);
            let mut sums = vec![0i64; n];
            let per = w.data.len() / n;
            for i in 0..w.data.len() {
                let channel = if columns { i % n } else { i / per.max(1) };
                let z = zero.as_ref().and_then(|z| number(z, if z.data.len() == 1 { 0 } else { channel })).unwrap_or(0);
                sums[channel.min(n - 1)] += (number(&w, i).unwrap_or(0) - z).abs() * 255;
            }
            sums.into_iter().max().unwrap_or(0)
        }
        _ => i64::from(i32::MAX),
    };
    if sum + most > i64::from(i32::MAX) {
        return refuse!("a sum with its bias could leave int32: up to {}", sum + most);
    }
    Ok(())
}

/// com.microsoft.QGemm: (a, sa, za, b, sb, zb, C, sy, zy).
pub(super) fn qgemm(c: &mut Call<'_>) -> Outputs {
    let (mut a, mut b) = (bytes(c, 0)?, bytes(c, 3)?);
    let (turn_a, turn_b) = (c.attrs.flag("transA", false)?, c.attrs.flag("transB", false)?);
    if c.b.rank(a) != 2 || c.b.rank(b) != 2 {
        return refuse!("matrices are expected");
    }
    if turn_a {
        a = c.b.transpose(a, &[1, 0])?;
    }
    if turn_b {
        b = c.b.transpose(b, &[1, 0])?;
    }
    let (za, zb) = (zero_point(c, 2)?, zero_point(c, 5)?);
    let mut acc = c.b.push_opt(IntegerMatMul {}, &[Some(a), Some(b), za, zb])?;
    if let Some(bias) = c.opt(6)? {
        within(c, 6, b, 5, |shape| shape.get(1).copied().unwrap_or(0), true)?;
        acc = c.b.add2(acc, bias)?;
    }
    let (sa, sb) = (factor(c, 1, 2, 2)?, factor(c, 4, 1, 2)?);
    let alpha = c.attrs.float("alpha", 1.0)?;
    let alpha = c.b.scalar(alpha);
    let sa = c.b.mul2(alpha, sa)?;
    if !c.has(7) {
        let m = c.b.mul2(sa, sb)?;
        let acc = c.b.cast(acc, DType::F32)?;
        return one(c.b.mul2(acc, m)?);
    }
    let sy = factor(c, 7, 1, 2)?;
    let zero = result_zero(c, 8)?;
    one(requantized(c.b, acc, [sa, sb, sy], zero)?)
}

/// com.microsoft.QLinearAdd, QLinearMul: (a, sa, za, b, sb, zb, sy, zy).
pub(super) fn qlinear_binary(c: &mut Call<'_>) -> Outputs {
    let (a, b) = (bytes(c, 0)?, bytes(c, 3)?);
    let (sa, sb, sy) = (factor(c, 1, 0, 0)?, factor(c, 4, 0, 0)?, factor(c, 6, 0, 0)?);
    let (za, zb) = (zero_point(c, 2)?, zero_point(c, 5)?);
    let (a, b) = (dequantized(c.b, a, sa, za)?, dequantized(c.b, b, sb, zb)?);
    let y = if c.op == "QLinearAdd" { c.b.add2(a, b)? } else { c.b.mul2(a, b)? };
    let (zero, to) = if c.has(7) {
        let (zero, to) = result_zero(c, 7)?;
        (Some(zero), to)
    } else {
        (None, DType::U8)
    };
    one(quantized(c.b, y, sy, zero, to)?)
}

/// com.microsoft.QLinearGlobalAveragePool: (x, sx, zx, sy, zy).
pub(super) fn qlinear_average(c: &mut Call<'_>) -> Outputs {
    let x = bytes(c, 0)?;
    if c.attrs.flag("channels_last", false)? {
        return refuse!("channels_last");
    }
    let (sx, sy) = (factor(c, 1, 0, 0)?, factor(c, 3, 0, 0)?);
    let zx = zero_point(c, 2)?;
    let (zero, to) = result_zero(c, 4)?;
    let axes: Vec<usize> = (2..c.b.rank(x)).collect();
    let float = dequantized(c.b, x, sx, zx)?;
    let mean = c.b.reduce(ReduceKind::Mean, float, &axes, true)?;
    one(quantized(c.b, mean, sy, Some(zero), to)?)
}
