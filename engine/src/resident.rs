//! Whether a model in memory is still the one that was loaded (spec CARE-2, CARE-3), and faults on purpose.
//!
//! Weights stay in memory for months, and a bit of memory may flip. The sum is what can be afforded after each block:
//! one pass over the bytes, from which no change of a single word can hide. The full check hashes everything again.

use crate::fast::Prepared;
use crate::format::{
    encode_graph,
    merkle::{self, LeafHasher},
};
use crate::model::LoadedModel;
use crate::tensor::{Data, Tensor};
use std::sync::Arc;

/// Lanes of a sum: what the compiler makes vectors of.
const LANES: usize = 16;
/// Odd, so that multiplying by it loses nothing.
const FACTOR: u32 = 0x9e37_79b1;

/// A sum over all words of a model in memory. Each step is a bijection of its lane, so that a change within one word
/// always changes the sum; changes of several words hide with a probability of 2^-32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    lanes: [u32; LANES],
    bytes: u64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { lanes: [1; LANES], bytes: 0 }
    }
}

impl Sum {
    /// Takes in items of one word each.
    pub(crate) fn take<T>(&mut self, items: &[T], word: impl Fn(&T) -> u32) {
        self.bytes += size_of_val(items) as u64;
        for items in items.chunks(LANES) {
            for (lane, item) in self.lanes.iter_mut().zip(items) {
                *lane = (*lane ^ word(item)).wrapping_mul(FACTOR);
            }
        }
    }

    /// Takes in items of two words each.
    pub(crate) fn take_wide<T>(&mut self, items: &[T], word: impl Fn(&T) -> u64) {
        let before = self.bytes;
        self.take(items, |item| word(item) as u32);
        self.take(items, |item| (word(item) >> 32) as u32);
        self.bytes = before + size_of_val(items) as u64;
    }

    /// Takes in items of one byte each, four at a time.
    pub(crate) fn take_bytes<T>(&mut self, items: &[T], byte: impl Fn(&T) -> u8) {
        let (words, rest) = items.as_chunks::<4>();
        self.take(words, |four| u32::from_le_bytes([byte(&four[0]), byte(&four[1]), byte(&four[2]), byte(&four[3])]));
        self.take(rest, |item| u32::from(byte(item)));
    }

    fn take_tensor(&mut self, tensor: &Tensor) {
        match &tensor.data {
            Data::F32(v) => self.take(v, |x| x.to_bits()),
            Data::I32(v) => self.take(v, |x| *x as u32),
            Data::I64(v) => self.take_wide(v, |x| *x as u64),
            Data::U8(v) => self.take_bytes(v, |x| *x),
            Data::I8(v) => self.take_bytes(v, |x| *x as u8),
            Data::Bool(v) => self.take_bytes(v, |x| u8::from(*x)),
        }
    }

    /// Over what both executors read.
    pub(crate) fn of(constants: &[Arc<Tensor>], fast_constants: &[Arc<Tensor>], prepared: &[Prepared]) -> Self {
        let mut sum = Self::default();
        constants.iter().for_each(|t| sum.take_tensor(t));
        let apart = fast_constants.iter().zip(constants).filter(|(fast, plain)| !Arc::ptr_eq(fast, plain));
        apart.for_each(|(fast, _)| sum.take_tensor(fast));
        prepared.iter().for_each(|p| p.add_to(&mut sum));
        sum
    }
}

/// What of a model in memory is not what was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The sum over weights and prepared operands.
    #[error("its weights or prepared operands have changed in memory since it was loaded")]
    Sum,
    /// The graph.
    #[error("its graph has changed in memory since it was loaded")]
    Graph,
    /// The hash of the weights.
    #[error("its weights in memory do not have the hash that names the model")]
    Weights,
}

impl LoadedModel {
    /// Whether a word of the weights, or of what was prepared of them, has changed since the model was loaded: one pass
    /// over the bytes.
    pub fn check_sum(&self) -> Result<(), Damage> {
        (self.sum_now().lanes == self.sum.lanes).then_some(()).ok_or(Damage::Sum)
    }

    /// The same, and graph and weights are hashed again: they must have the hashes that name the model.
    pub fn check_content(&self) -> Result<(), Damage> {
        if merkle::keccak(&[&encode_graph(&self.graph, self.weights_length)]) != self.graph_hash {
            return Err(Damage::Graph);
        }
        for constants in [&self.constants, &self.fast_constants] {
            let mut leaves = LeafHasher::default();
            for tensor in constants {
                let bytes = tensor.to_le_bytes();
                leaves.push(&bytes);
                leaves.push(&[0; 64][..bytes.len().next_multiple_of(64) - bytes.len()]);
            }
            if leaves.root() != self.weights_root {
                return Err(Damage::Weights);
            }
            if self.constants.iter().zip(&self.fast_constants).all(|(a, b)| Arc::ptr_eq(a, b)) {
                break;
            }
        }
        self.check_sum()
    }

    /// Bytes of the weights and of what was prepared of them.
    pub fn resident_bytes(&self) -> u64 {
        self.sum.bytes
    }

    fn sum_now(&self) -> Sum {
        Sum::of(&self.constants, &self.fast_constants, &self.prepared)
    }

    /// A copy whose fast path has a kernel with one wrong bit: in the first element that node `node` gives. For proving
    /// that the cross-check notices. `None` where there is no such node or bit.
    pub fn with_wrong_kernel(&self, node: usize, bit: usize) -> Option<Self> {
        let dtype = self.checked.types.get(self.graph.inputs.len() + self.constants.len() + node)?.dtype;
        (bit < 8 * dtype.size()).then_some(())?;
        let mut copy = self.with_flipped_bits(&[])?;
        copy.wrong_kernel = Some((node, bit));
        Some(copy)
    }

    /// Makes the sum fit what is in memory now: as if the fault had come before the sum was taken, or between memory and
    /// the processor. For proving what finds a fault that the sum does not.
    #[must_use]
    pub fn with_sum_made_to_fit(mut self) -> Self {
        self.sum = self.sum_now();
        self
    }
}

/// The tensor with one bit flipped; as it is where it has no such bit.
pub fn flip(tensor: Tensor, bit: usize) -> Tensor {
    let mut bytes = tensor.to_le_bytes();
    match bytes.get_mut(bit / 8) {
        Some(byte) => *byte ^= 1 << (bit % 8),
        None => return tensor,
    }
    Tensor::from_le_bytes(tensor.dtype(), tensor.shape.clone(), &bytes).unwrap_or(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Constant, Graph, Input, Node, Output, ValueId};
    use crate::ops::contraction::MatMul;
    use crate::{DType, Dim, Limits, Model};

    fn model(dtype: DType) -> LoadedModel {
        let op = match dtype {
            DType::F32 => MatMul {}.into(),
            _ => crate::ops::integer::IntegerMatMul {}.into(),
        };
        let constant = |shape: [usize; 2]| {
            let n = shape[0] * shape[1];
            let data = match dtype {
                DType::F32 => Data::F32((0..n).map(|i| i as f32).collect()),
                _ => Data::I8((0..n).map(|i| i as i8).collect()),
            };
            Tensor::new(shape.to_vec(), data).unwrap()
        };
        let graph = Graph {
            symbols: vec!["batch".into()],
            inputs: vec![Input { name: "x".into(), dtype, shape: vec![Dim::symbol(0), Dim::Known(40)] }],
            constants: vec![Constant { dtype, shape: vec![40, 21] }],
            nodes: vec![Node { op, inputs: vec![Some(ValueId(0)), Some(ValueId(1))] }],
            outputs: vec![Output { name: "y".into(), value: ValueId(2) }],
            ..Graph::default()
        };
        let limits = Limits::default();
        LoadedModel::new(Model::build(graph, &[constant([40, 21])], Vec::new(), &limits).unwrap(), &limits).unwrap()
    }

    #[test]
    fn no_flipped_bit_of_resident_weights_hides_from_the_sum() {
        for dtype in [DType::F32, DType::I8] {
            let sound = model(dtype);
            sound.check_content().unwrap();
            assert!(sound.resident_bytes() > 2 * 40 * 21 * dtype.size() as u64, "weights and panels");
            for bit in (0..40 * 21 * dtype.size() * 8).step_by(97) {
                let damaged = sound.with_flipped_bit(0, bit).unwrap();
                assert_eq!(damaged.check_sum(), Err(Damage::Sum), "bit {bit}");
                // A sum that fits is no cover for other content.
                assert_eq!(damaged.with_sum_made_to_fit().check_content(), Err(Damage::Weights), "bit {bit}");
            }
        }
    }

    #[test]
    fn every_word_of_every_width_counts() {
        let sum = |f: &dyn Fn(&mut Sum)| {
            let mut s = Sum::default();
            f(&mut s);
            s
        };
        for at in 0..37 {
            for bit in 0..64 {
                let mut wide = vec![7u64; 37];
                let plain = sum(&|s| s.take_wide(&wide, |x| *x));
                assert_eq!(plain.bytes, 37 * 8);
                wide[at] ^= 1 << bit;
                assert_ne!(sum(&|s| s.take_wide(&wide, |x| *x)).lanes, plain.lanes);
            }
            for bit in 0..8 {
                let mut bytes = vec![9u8; 37];
                let plain = sum(&|s| s.take_bytes(&bytes, |x| *x));
                assert_eq!(plain.bytes, 37);
                bytes[at] ^= 1 << bit;
                assert_ne!(sum(&|s| s.take_bytes(&bytes, |x| *x)).lanes, plain.lanes);
            }
        }
    }

    #[test]
    fn a_wrong_kernel_is_wrong_on_the_fast_path_alone() {
        let wrong = model(DType::F32).with_wrong_kernel(0, 31).unwrap();
        let x = Tensor::new(vec![2, 40], Data::F32(vec![1.0; 80])).unwrap();
        let found = crate::exec::first_difference(&wrong, &[x], &Limits::default(), 1).unwrap().unwrap();
        assert_eq!((found.node, found.element), (0, 0));
        wrong.check_content().unwrap();
        assert!(wrong.with_wrong_kernel(1, 0).is_none() && wrong.with_wrong_kernel(0, 32).is_none());
    }
}
