//! What others learn of a successful inference.

use std::sync::Arc;

use alloy_primitives::{B256, Keccak256};
use lockstep_engine::Tensor;

/// One call of `infer`, `classify` or `run` that returned success, also where an outer frame reverts later.
#[derive(Debug, Clone, PartialEq)]
pub struct InferenceRecord {
    /// The model.
    pub model_id: B256,
    /// The function called.
    pub selector: [u8; 4],
    /// The inputs as the model took them.
    pub inputs: Arc<Vec<Tensor>>,
    /// [`tensors_hash`] of all outputs of the model.
    pub outputs_hash: B256,
    /// keccak256 of the bytes that the call returned.
    pub returned_hash: B256,
    /// Gas charged.
    pub gas: u64,
}

/// Receives records in the order of execution. It is called on the path of a call: it must be quick.
pub trait InferenceSink: Send + Sync {
    /// Takes a record.
    fn record(&self, record: InferenceRecord);
}

/// keccak256 over tensors: their number; then for each its type, rank, dimensions and values, all little-endian.
pub fn tensors_hash(tensors: &[Tensor]) -> B256 {
    let mut hash = Keccak256::new();
    hash.update((tensors.len() as u32).to_le_bytes());
    for t in tensors {
        hash.update([t.dtype().code(), t.shape.len() as u8]);
        for d in &t.shape {
            hash.update((*d as u64).to_le_bytes());
        }
        hash.update(t.to_le_bytes());
    }
    hash.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::Data;

    #[test]
    fn the_hash_tells_shape_type_and_grouping_apart() {
        let t = |shape: &[usize], data| Tensor::new(shape.to_vec(), data).unwrap();
        let four = t(&[4], Data::U8(vec![0; 4]));
        let all = [
            tensors_hash(&[]),
            tensors_hash(std::slice::from_ref(&four)),
            tensors_hash(&[t(&[2, 2], Data::U8(vec![0; 4]))]),
            tensors_hash(&[t(&[1], Data::F32(vec![0.0]))]),
            tensors_hash(&[t(&[4], Data::I8(vec![0; 4]))]),
            tensors_hash(&[four.clone(), four]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b), "{i}");
        }
    }
}
