//! Encoders of results, and their sizes, which the price needs before there is a result.

use alloy_primitives::I256;
use lockstep_engine::{Tensor, TensorType};

/// Bytes of `int256[]` as the only result.
pub fn int_array_size(n: u64) -> u64 {
    n.saturating_add(2).saturating_mul(32)
}

/// Bytes of the two arrays of `classify`.
pub fn arrays_size(rows: u64) -> u64 {
    rows.saturating_add(2).saturating_mul(64)
}

/// Bytes of `Tensor[]` with these types, all of whose dimensions are known.
pub fn tensor_array_size(types: &[TensorType]) -> u64 {
    types.iter().fold(64u64, |size, t| {
        let data = t.bytes().and_then(|n| n.checked_next_multiple_of(32)).unwrap_or(u64::MAX);
        // Its offset, type, two offsets, rank, dimensions, length, data.
        size.saturating_add((6 + t.rank() as u64) * 32).saturating_add(data)
    })
}

/// Encodes `int256[]`.
pub fn int_array(values: &[I256]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 32 * values.len());
    number(&mut out, 32);
    ints(&mut out, values);
    out
}

/// Encodes `(uint256[], int256[])`, which have one length.
pub fn classify_result(classes: &[u64], scores: &[I256]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + 64 * classes.len());
    number(&mut out, 64);
    number(&mut out, 96 + 32 * classes.len());
    number(&mut out, classes.len());
    for c in classes {
        out.extend_from_slice(&[0; 24]);
        out.extend_from_slice(&c.to_be_bytes());
    }
    ints(&mut out, scores);
    out
}

/// Encodes `Tensor[]`.
pub fn tensor_array(tensors: &[Tensor]) -> Vec<u8> {
    let types: Vec<TensorType> = tensors.iter().map(Tensor::ty).collect();
    let mut out = Vec::with_capacity(tensor_array_size(&types) as usize);
    number(&mut out, 32);
    number(&mut out, tensors.len());
    let mut at = 32 * tensors.len();
    for t in &types {
        number(&mut out, at);
        at += (tensor_array_size(std::slice::from_ref(t)) - 96) as usize;
    }
    for t in tensors {
        number(&mut out, usize::from(t.dtype().code()));
        number(&mut out, 0x60);
        number(&mut out, 0x80 + 32 * t.shape.len());
        number(&mut out, t.shape.len());
        for d in &t.shape {
            number(&mut out, *d);
        }
        let data = t.to_le_bytes();
        number(&mut out, data.len());
        out.extend_from_slice(&data);
        let padded = out.len().next_multiple_of(32);
        out.resize(padded, 0);
    }
    out
}

/// Encodes the result of `validate`.
pub fn validate_result(ls1_version: u32, weights_length: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    number(&mut out, ls1_version as usize);
    out.extend_from_slice(&[0; 24]);
    out.extend_from_slice(&weights_length.to_be_bytes());
    out
}

fn ints(out: &mut Vec<u8>, values: &[I256]) {
    number(out, values.len());
    for v in values {
        out.extend_from_slice(&v.to_be_bytes::<32>());
    }
}

fn number(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&[0; 24]);
    out.extend_from_slice(&(n as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{self, IInference};
    use alloy_sol_types::SolCall;
    use lockstep_engine::Data;

    #[test]
    fn results_are_what_alloy_encodes_and_have_the_size_foreseen() {
        for n in [0usize, 1, 3] {
            let ints: Vec<I256> = (0..n).map(|i| I256::try_from(i as i64 * 7 - 7).unwrap()).collect();
            let ours = int_array(&ints);
            assert_eq!(ours, IInference::inferCall::abi_encode_returns(&ints));
            assert_eq!(ours.len() as u64, int_array_size(n as u64));

            let classes: Vec<u64> = (0..n as u64).collect();
            let ours = classify_result(&classes, &ints);
            let theirs = IInference::classifyReturn {
                classIndex: classes.iter().map(|c| alloy_primitives::U256::from(*c)).collect(),
                score: ints,
            };
            assert_eq!(ours, IInference::classifyCall::abi_encode_returns(&theirs));
            assert_eq!(ours.len() as u64, arrays_size(n as u64));
        }
        let theirs = IInference::validateReturn { ls1Version: 7, weightsLength: 1 << 40 };
        assert_eq!(validate_result(7, 1 << 40), IInference::validateCall::abi_encode_returns(&theirs));
    }

    #[test]
    fn tensors_are_what_alloy_encodes_and_have_the_size_foreseen() {
        let t = |shape: &[usize], data| Tensor::new(shape.to_vec(), data).unwrap();
        let tensors = [
            t(&[2, 4], Data::F32(vec![1.5; 8])),
            t(&[], Data::I64(vec![-1])),
            t(&[3, 0], Data::U8(vec![])),
            t(&[33], Data::Bool(vec![true; 33])),
        ];
        for n in 0..=tensors.len() {
            let part = &tensors[..n];
            let theirs: Vec<abi::Tensor> = part
                .iter()
                .map(|t| abi::Tensor {
                    dtype: t.dtype().code(),
                    shape: t.shape.iter().map(|d| *d as u32).collect(),
                    data: t.to_le_bytes().into(),
                })
                .collect();
            let ours = tensor_array(part);
            assert_eq!(ours, IInference::runCall::abi_encode_returns(&theirs));
            let types: Vec<TensorType> = part.iter().map(Tensor::ty).collect();
            assert_eq!(ours.len() as u64, tensor_array_size(&types));
        }
    }
}
