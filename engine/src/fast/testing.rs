//! Values and helpers for the tests of operators and kernels.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::ops::Op;
use crate::tensor::{Data, Tensor, TensorType};
use crate::{Dim, dim::Bindings};

/// Which values a test feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// Of ordinary size, both signs.
    Ordinary,
    /// Exponents from end to end, so that products overflow, underflow and cancel; zeros of both signs.
    Wide,
    /// The same with infinities and NaNs.
    Special,
}

impl Values {
    pub(crate) fn draw(self, rng: &mut ChaCha8Rng) -> f32 {
        let ordinary = rng.random_range(-2.0f32..2.0);
        if self == Self::Ordinary {
            return ordinary;
        }
        match rng.random_range(0..40u32) {
            0..4 => 0.0,
            4..8 => -0.0,
            8 => f32::from_bits(rng.random_range(1..0x80_0000u32)),
            9 => -f32::from_bits(rng.random_range(1..0x80_0000u32)),
            10..20 => f32::from_bits(rng.random_range(0..0x2000_0000u32) | rng.random_range(0..2u32) << 31),
            20 => f32::from_bits(rng.random_range(0x5f00_0000..0x7f80_0000u32) | rng.random_range(0..2u32) << 31),
            21 if self == Self::Special => f32::INFINITY,
            22 if self == Self::Special => f32::NEG_INFINITY,
            23 if self == Self::Special => f32::from_bits(0xffc0_1234),
            _ => ordinary,
        }
    }

    /// A tensor of them.
    pub(crate) fn tensor(self, rng: &mut ChaCha8Rng, shape: &[usize]) -> Tensor {
        let n = shape.iter().product();
        Tensor { shape: shape.to_vec(), data: Data::F32((0..n).map(|_| self.draw(rng)).collect()) }
    }
}

/// The result's type, or why not.
pub(crate) fn infer(op: &Op, inputs: &[&TensorType]) -> Result<TensorType, crate::OpError> {
    let inputs: Vec<_> = inputs.iter().map(|t| Some(*t)).collect();
    let mut out = op.definition().infer(&inputs, &Bindings::SYMBOLIC)?;
    let t = out.pop().expect("one output");
    // What infer accepts, work and scratch take.
    op.definition().work(&inputs, std::slice::from_ref(&t));
    op.definition().scratch(&inputs, std::slice::from_ref(&t));
    Ok(t)
}

/// Infers and computes by the reference.
pub(crate) fn reference(op: &Op, inputs: &[&Tensor]) -> Tensor {
    reference_optional(op, &inputs.iter().map(|t| Some(*t)).collect::<Vec<_>>())
}

/// The same where operands may be absent.
pub(crate) fn reference_optional(op: &Op, inputs: &[Option<&Tensor>]) -> Tensor {
    let types: Vec<_> = inputs.iter().map(|t| t.map(Tensor::ty)).collect();
    let refs: Vec<_> = types.iter().map(Option::as_ref).collect();
    let definition = op.definition();
    let mut out = definition.infer(&refs, &Bindings::SYMBOLIC).unwrap_or_else(|e| panic!("{op:?} {types:?}: {e}"));
    definition.work(&refs, &out);
    definition.scratch(&refs, &out);
    let out = out.pop().expect("one output");
    let r = definition.reference(inputs, std::slice::from_ref(&out)).unwrap().pop().expect("one output");
    assert_eq!(r.ty(), out, "the reference gives the type that was inferred");
    assert_eq!(r.shape.iter().product::<usize>(), r.data.len());
    r
}

/// Bits as they become visible.
pub(crate) fn bits(t: &Tensor) -> Vec<u32> {
    t.as_f32().expect("f32").iter().map(|x| crate::float::canonical(*x).to_bits()).collect()
}

/// A dimension of any kind, often absurd.
pub(crate) fn any_dim() -> impl proptest::strategy::Strategy<Value = Dim> {
    use proptest::prelude::*;
    prop_oneof![
        4 => (0u64..10).prop_map(Dim::Known),
        1 => any::<u64>().prop_map(Dim::Known),
        1 => (0u32..64).prop_map(|s| Dim::Known(u64::MAX >> s)),
        1 => (0u16..3).prop_map(Dim::symbol),
        1 => (0u16..3, -9i64..9).prop_map(|(s, n)| Dim::symbol(s).offset(n).unwrap()),
    ]
}

/// A type with such dimensions.
pub(crate) fn any_type(rank: std::ops::Range<usize>) -> impl proptest::strategy::Strategy<Value = TensorType> {
    use crate::DType;
    use proptest::prelude::*;
    let dtype = prop_oneof![8 => Just(DType::F32), 1 => Just(DType::I8), 1 => Just(DType::I64)];
    (dtype, proptest::collection::vec(any_dim(), rank)).prop_map(|(t, s)| TensorType::new(t, s))
}

/// An attribute of a window, often absurd.
pub(crate) fn any_list() -> impl proptest::strategy::Strategy<Value = Vec<u32>> {
    use proptest::prelude::*;
    let item = prop_oneof![8 => 0u32..4, 1 => any::<u32>(), 1 => Just(u32::MAX)];
    proptest::collection::vec(item, 0..4)
}

/// One of some.
pub(crate) fn pick<T: Clone>(rng: &mut ChaCha8Rng, items: &[T]) -> T {
    items[rng.random_range(0..items.len())].clone()
}

/// Asserts that every level of this CPU, with 1 to 3 threads, with and without prepared constants (the operands from
/// `constants` on), gives the reference's bits, and gives those.
pub(crate) fn agree(op: &Op, inputs: &[&Tensor], constants: usize) -> Vec<u32> {
    agree_optional(op, &inputs.iter().map(|t| Some(*t)).collect::<Vec<_>>(), constants)
}

/// The same where operands may be absent.
pub(crate) fn agree_optional(op: &Op, operands: &[Option<&Tensor>], constants: usize) -> Vec<u32> {
    use crate::fast::{Budget, Failure, Level, Prepared, Threads, prepare, run_at};
    let want = reference_optional(op, operands);
    let known: Vec<_> = operands.iter().enumerate().map(|(i, t)| t.filter(|_| i >= constants)).collect();
    for level in Level::available() {
        for threads in 1..=3 {
            for prepared in [Prepared::None, prepare(op, &known, &mut Budget::new(0))] {
                let got = run_at(level, op, &prepared, operands, &want.ty(), &Threads::always(threads))
                    .unwrap_or_else(|e: Failure| panic!("{e:?}"));
                let place = || format!("{op:?} at {} on {threads} threads", level.name());
                assert_eq!((&got.shape, got.dtype()), (&want.shape, want.dtype()), "{}", place());
                if let Some(i) = (0..want.data.len()).find(|i| element(&got, *i) != element(&want, *i)) {
                    panic!("{}, element {i}: {:x?}, not {:x?}", place(), element(&got, i), element(&want, i));
                }
            }
        }
    }
    (0..want.data.len()).map(|i| element(&want, i) as u32).collect()
}

fn element(t: &Tensor, i: usize) -> i64 {
    match &t.data {
        Data::F32(v) => crate::float::canonical(v[i]).to_bits().into(),
        Data::U8(v) => v[i].into(),
        Data::I8(v) => v[i].into(),
        Data::I32(v) => v[i].into(),
        Data::I64(v) => v[i],
        Data::Bool(v) => v[i].into(),
    }
}
