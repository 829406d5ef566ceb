//! TensorProto to a constant. Sizes are checked against the data before anything is allocated.

use std::sync::Arc;

use lockstep_engine::{Data, Tensor};

use super::Externals;
use crate::build::Builder;
use crate::error::{Lowered, Refusal, refuse};
use crate::proto::{TensorProto, data_type as t};
use crate::slot::{Foreign, ForeignData, Slot, StringTensor};

/// Reads a tensor as a constant.
pub(crate) fn tensor(p: &TensorProto, externals: &Externals<'_>, b: &mut Builder) -> Lowered<Slot> {
    if p.segment.is_some() {
        return refuse!("the tensor is stored in segments");
    }
    let mut shape = Vec::with_capacity(p.dims.len().min(8));
    let mut n = 1usize;
    for d in &p.dims {
        match usize::try_from(*d).ok().and_then(|d| Some((d, n.checked_mul(d)?))) {
            Some((d, product)) => {
                shape.push(d);
                n = product;
            }
            None => return refuse!("a tensor of shape {:?}", p.dims),
        }
    }
    let external;
    let raw: Option<&[u8]> = if p.data_location == Some(1) {
        external = externals.read(p)?;
        Some(&external)
    } else {
        // An empty raw_data beside typed data is what some writers leave.
        p.raw_data.as_deref().filter(|r| !r.is_empty() || n == 0 || !has_typed_data(p))
    };
    let elem = p.data_type.unwrap_or(0);
    let known = |r: Result<Data, String>| match r {
        Ok(data) if data.len() == n => Ok(data),
        Ok(data) => refuse!("the tensor has shape {:?} and {} values", p.dims, data.len()),
        Err(e) => refuse!("{e}"),
    };
    let foreign = |data: ForeignData, len: usize| {
        if len == n {
            Ok(Slot::Foreign(Arc::new(Foreign { elem_type: elem, shape: shape.clone(), data })))
        } else {
            refuse!("the tensor has shape {:?} and {len} values", p.dims)
        }
    };
    let data = match elem {
        t::FLOAT => known(match raw {
            Some(r) => words(r, f32::from_le_bytes).map(Data::F32),
            None => Ok(Data::F32(p.float_data.clone())),
        })?,
        t::INT32 => known(match raw {
            Some(r) => words(r, i32::from_le_bytes).map(Data::I32),
            None => Ok(Data::I32(p.int32_data.clone())),
        })?,
        t::INT64 => known(match raw {
            Some(r) => words(r, i64::from_le_bytes).map(Data::I64),
            None => Ok(Data::I64(p.int64_data.clone())),
        })?,
        t::UINT8 => known(match raw {
            Some(r) => Ok(Data::U8(r.to_vec())),
            None => narrow(&p.int32_data).map(Data::U8),
        })?,
        t::INT8 => known(match raw {
            Some(r) => Ok(Data::I8(r.iter().map(|x| *x as i8).collect())),
            None => narrow(&p.int32_data).map(Data::I8),
        })?,
        t::BOOL => known(match raw {
            Some(r) => Ok(Data::Bool(r.iter().map(|x| *x != 0).collect())),
            None => Ok(Data::Bool(p.int32_data.iter().map(|x| *x != 0).collect())),
        })?,
        t::DOUBLE => {
            let v = match raw {
                Some(r) => words(r, f64::from_le_bytes).map_err(Refusal::new)?,
                None => p.double_data.clone(),
            };
            let len = v.len();
            return foreign(ForeignData::Float(v), len);
        }
        t::FLOAT16 | t::BFLOAT16 => {
            let bits: Vec<u16> = match raw {
                Some(r) => words(r, u16::from_le_bytes).map_err(Refusal::new)?,
                None => p.int32_data.iter().map(|x| *x as u16).collect(),
            };
            let widen = if elem == t::FLOAT16 { half_to_f64 } else { bfloat_to_f64 };
            let v: Vec<f64> = bits.into_iter().map(widen).collect();
            let len = v.len();
            return foreign(ForeignData::Float(v), len);
        }
        t::INT16 | t::UINT16 | t::UINT32 | t::UINT64 => {
            let v = integers(elem, raw, p).map_err(Refusal::new)?;
            let len = v.len();
            return foreign(ForeignData::Integer(v), len);
        }
        t::STRING => {
            if p.string_data.len() != n {
                return refuse!("the tensor has shape {:?} and {} strings", p.dims, p.string_data.len());
            }
            let data: Option<Vec<String>> = p.string_data.iter().map(|s| String::from_utf8(s.clone()).ok()).collect();
            let Some(data) = data else { return refuse!("a string that is not UTF-8") };
            return Ok(Slot::Strings(Arc::new(StringTensor { shape, data })));
        }
        other => return refuse!("tensors of {} are not supported", t::name(other)),
    };
    Ok(Slot::Tensor(b.constant(canonical(Tensor { shape, data }))))
}

/// One NaN only: the model file has no other.
fn canonical(mut x: Tensor) -> Tensor {
    if let Data::F32(v) = &mut x.data {
        v.iter_mut().for_each(|x| *x = lockstep_engine::float::canonical(*x));
    }
    x
}

fn has_typed_data(p: &TensorProto) -> bool {
    !(p.float_data.is_empty()
        && p.int32_data.is_empty()
        && p.int64_data.is_empty()
        && p.double_data.is_empty()
        && p.uint64_data.is_empty())
}

fn words<const N: usize, T>(raw: &[u8], from: fn([u8; N]) -> T) -> Result<Vec<T>, String> {
    if !raw.len().is_multiple_of(N) {
        return Err(format!("{} bytes of tensor data are no multiple of {N}", raw.len()));
    }
    Ok(raw.chunks_exact(N).filter_map(|c| c.try_into().ok().map(from)).collect())
}

fn narrow<T: TryFrom<i32>>(v: &[i32]) -> Result<Vec<T>, String> {
    v.iter().map(|x| T::try_from(*x).map_err(|_| format!("{x} is outside the tensor's type"))).collect()
}

fn integers(elem: i32, raw: Option<&[u8]>, p: &TensorProto) -> Result<Vec<i128>, String> {
    Ok(match (elem, raw) {
        (t::INT16, Some(r)) => words(r, i16::from_le_bytes)?.into_iter().map(i128::from).collect(),
        (t::UINT16, Some(r)) => words(r, u16::from_le_bytes)?.into_iter().map(i128::from).collect(),
        (t::UINT32, Some(r)) => words(r, u32::from_le_bytes)?.into_iter().map(i128::from).collect(),
        (t::UINT64, Some(r)) => words(r, u64::from_le_bytes)?.into_iter().map(i128::from).collect(),
        (t::UINT32 | t::UINT64, None) => p.uint64_data.iter().map(|x| i128::from(*x)).collect(),
        (_, None) => p.int32_data.iter().map(|x| i128::from(*x)).collect(),
        _ => Vec::new(),
    })
}

/// float16, exactly.
fn half_to_f64(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (e, m) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    sign * match e {
        0 => m * 2f64.powi(-24),
        31 if m == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + m) * 2f64.powi(e - 25),
    }
}

fn bfloat_to_f64(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(p: &TensorProto) -> Lowered<Slot> {
        tensor(p, &Externals::new(None), &mut Builder::new(Vec::new()))
    }

    #[test]
    fn half_floats_are_exact() {
        assert_eq!(half_to_f64(0x3c00), 1.0);
        assert_eq!(half_to_f64(0xc000), -2.0);
        assert_eq!(half_to_f64(0x0001), 2f64.powi(-24));
        assert_eq!(half_to_f64(0x7bff), 65504.0);
        assert_eq!(half_to_f64(0x7c00), f64::INFINITY);
        assert!(half_to_f64(0x7e00).is_nan());
    }

    #[test]
    fn the_number_of_values_must_fit_the_shape() {
        let p = TensorProto {
            dims: vec![2, 1 << 40],
            data_type: Some(1),
            raw_data: Some(vec![0; 8]),
            ..Default::default()
        };
        assert!(read(&p).unwrap_err().reason.contains("2 values"));
        let p = TensorProto { dims: vec![-1], data_type: Some(1), ..Default::default() };
        assert!(read(&p).is_err());
        let p = TensorProto { dims: vec![1 << 40, 1 << 40], data_type: Some(1), ..Default::default() };
        assert!(read(&p).is_err());
        let p = TensorProto { dims: vec![2], data_type: Some(1), raw_data: Some(vec![0; 7]), ..Default::default() };
        assert!(read(&p).unwrap_err().reason.contains("multiple of 4"));
        let p = TensorProto { dims: vec![1], data_type: Some(2), int32_data: vec![300], ..Default::default() };
        assert!(read(&p).unwrap_err().reason.contains("outside"));
    }
}
