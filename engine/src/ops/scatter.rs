//! Updates of single elements and of slices (ONNX ScatterElements 18, ScatterND 18), one after the other.

use super::Operator;
use super::gather::positions;
use super::gather_elements::{check_aligned, for_each_position};
use super::gather_nd::{offsets, vector_length};
use super::shape::{count, operand, same, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::float;
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attribute_enum! {
    /// What an update does to the element that is there.
    pub enum ScatterKind {
        /// Takes its place.
        Assign = 0,
        /// old + update.
        Add = 1,
        /// old * update.
        Mul = 2,
        /// The greater, as Max.
        Max = 3,
        /// The lesser, as Min.
        Min = 4,
    }
}

crate::attributes! {
    /// Operands data, indices (i32 or i64) and updates of one shape, whose rank is data's. The result is data after
    /// each update, in row-major order of the indices: `y[i][index[i][j][k]][k]` for axis 1.
    pub struct ScatterElements {
        /// The axis of data that the indices count along, from the front.
        pub axis: u8,
        /// What an update does.
        pub kind: ScatterKind,
    }
}

crate::attributes! {
    /// Operands data, indices (i32 or i64), whose last axis holds index vectors of known length k, and updates of the
    /// shape indices[..q-1] followed by data[k..]. The result is data after each update, in order.
    pub struct ScatterND {
        /// What an update does.
        pub kind: ScatterKind,
    }
}

fn check_types(x: &TensorType, updates: &TensorType, kind: ScatterKind) -> Result<(), OpError> {
    if x.dtype != updates.dtype {
        return Err(OpError::new(format!("data in {}, updates in {}", x.dtype, updates.dtype)));
    }
    if x.dtype == DType::Bool && kind != ScatterKind::Assign {
        return Err(OpError::new(format!("{kind:?} does not take bool")));
    }
    Ok(())
}

fn check_shape(updates: &[Dim], expected: &[Dim]) -> Result<(), OpError> {
    if updates.len() != expected.len() {
        return Err(OpError::new(format!("updates of rank {}, {} expected", updates.len(), expected.len())));
    }
    updates.iter().zip(expected).try_for_each(|(u, e)| same(u, e, "updates and indices"))
}

/// data, 4 for each update, which may lie anywhere, and 1 for each index.
fn work(inputs: &[Option<&TensorType>]) -> Work {
    let n = |i: usize| inputs.get(i).copied().flatten().map_or(0, count);
    Work::of(Unit::Element, n(0)).and(Unit::Element, n(1)).and(Unit::Element, n(2).saturating_mul(4))
}

fn scratch(inputs: &[Option<&TensorType>]) -> u64 {
    inputs.get(1).copied().flatten().map_or(0, count).saturating_mul(8)
}

/// # Work
/// Element: data + indices + 4 for each update.
impl Operator for ScatterElements {
    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, index, updates) = (operand(inputs, 0)?, operand(inputs, 1)?, operand(inputs, 2)?);
        check_types(x, updates, self.kind)?;
        check_aligned(x, index, self.axis)?;
        check_shape(&updates.shape, &index.shape)?;
        Ok(vec![x.clone()])
    }

    fn work(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> Work {
        work(inputs)
    }

    fn scratch(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> u64 {
        scratch(inputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], _: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(index), Some(updates)) = (tensor(inputs, 0), tensor(inputs, 1), tensor(inputs, 2)) else {
            return Ok(Vec::new());
        };
        let positions = positions(index, x.shape[usize::from(self.axis)])?;
        let mut out = x.clone();
        update(&mut out.data, &updates.data, self.kind, |f| {
            for_each_position(&x.shape, &index.shape, self.axis, &positions, |n, at| f(at, n, 1));
        });
        Ok(vec![out])
    }
}

/// # Work
/// Element: data + indices + 4 for each update.
impl Operator for ScatterND {
    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, index, updates) = (operand(inputs, 0)?, operand(inputs, 1)?, operand(inputs, 2)?);
        check_types(x, updates, self.kind)?;
        let k = vector_length(index, x.rank())?;
        check_shape(&updates.shape, &[&index.shape[..index.rank() - 1], &x.shape[k..]].concat())?;
        Ok(vec![x.clone()])
    }

    fn work(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> Work {
        work(inputs)
    }

    fn scratch(&self, inputs: &[Option<&TensorType>], _: &[TensorType]) -> u64 {
        scratch(inputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>], _: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(index), Some(updates)) = (tensor(inputs, 0), tensor(inputs, 1), tensor(inputs, 2)) else {
            return Ok(Vec::new());
        };
        let mut out = x.clone();
        if x.data.is_empty() || updates.data.is_empty() {
            return Ok(vec![out]);
        }
        let k = index.shape.last().copied().unwrap_or(1);
        let slice: usize = x.shape[k..].iter().product();
        let offsets = offsets(&x.shape, index, k)?;
        update(&mut out.data, &updates.data, self.kind, |f| {
            offsets.iter().enumerate().for_each(|(n, at)| f(*at, n * slice, slice));
        });
        Ok(vec![out])
    }
}

/// `each` calls its argument with (offset in data, offset in updates, length) for every update, in order.
fn update(data: &mut Data, updates: &Data, kind: ScatterKind, each: impl Fn(&mut dyn FnMut(usize, usize, usize))) {
    macro_rules! apply {
        ($y:expr, $u:expr, $f:expr) => {{
            let f = $f;
            each(&mut |at, n, length| {
                for (y, u) in $y[at..at + length].iter_mut().zip(&$u[n..n + length]) {
                    *y = f(*y, *u);
                }
            })
        }};
    }
    macro_rules! integers {
        ($y:expr, $u:expr, $t:ty) => {
            match kind {
                ScatterKind::Assign => apply!($y, $u, |_: $t, u: $t| u),
                ScatterKind::Add => apply!($y, $u, <$t>::wrapping_add),
                ScatterKind::Mul => apply!($y, $u, <$t>::wrapping_mul),
                ScatterKind::Max => apply!($y, $u, |y: $t, u: $t| y.max(u)),
                ScatterKind::Min => apply!($y, $u, |y: $t, u: $t| y.min(u)),
            }
        };
    }
    match (data, updates) {
        (Data::F32(y), Data::F32(u)) => match kind {
            ScatterKind::Assign => apply!(y, u, |_: f32, u: f32| u),
            ScatterKind::Add => apply!(y, u, |y: f32, u: f32| y + u),
            ScatterKind::Mul => apply!(y, u, |y: f32, u: f32| y * u),
            ScatterKind::Max => apply!(y, u, float::max),
            ScatterKind::Min => apply!(y, u, float::min),
        },
        (Data::U8(y), Data::U8(u)) => integers!(y, u, u8),
        (Data::I8(y), Data::I8(u)) => integers!(y, u, i8),
        (Data::I32(y), Data::I32(u)) => integers!(y, u, i32),
        (Data::I64(y), Data::I64(u)) => integers!(y, u, i64),
        (Data::Bool(y), Data::Bool(u)) => apply!(y, u, |_: bool, u: bool| u),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Op;

    fn run(op: impl Into<Op>, x: Data, shape: [&[usize]; 3], index: &[i64], updates: Data) -> Result<Data, ValueFault> {
        let t = |shape: &[usize], data| Tensor::new(shape.to_vec(), data).unwrap();
        let (x, i, u) = (t(shape[0], x), t(shape[1], Data::I64(index.to_vec())), t(shape[2], updates));
        let op = op.into();
        let out = op.definition().infer(&[Some(&x.ty()), Some(&i.ty()), Some(&u.ty())], &Bindings::SYMBOLIC).unwrap();
        Ok(op.definition().reference(&[Some(&x), Some(&i), Some(&u)], &out)?.remove(0).data)
    }

    fn elements(kind: ScatterKind, x: &[f32], index: &[i64], updates: &[f32]) -> Vec<f32> {
        let (op, n, m) = (ScatterElements { axis: 0, kind }, x.len(), index.len());
        let shape: [&[usize]; 3] = [&[n], &[m], &[m]];
        match run(op, Data::F32(x.to_vec()), shape, index, Data::F32(updates.to_vec())).unwrap() {
            Data::F32(v) => v,
            _ => panic!("a float"),
        }
    }

    #[test]
    fn updates_come_one_after_the_other() {
        // 2^24 + 1 is lost, 1 + 1 first is not: the order shows.
        let big = 16_777_216.0f32;
        assert_eq!(elements(ScatterKind::Add, &[big, 5.0], &[0, 0], &[1.0, 1.0]), [big, 5.0]);
        assert_eq!(elements(ScatterKind::Add, &[1.0, 5.0], &[0, 0], &[1.0, big]), [big + 2.0, 5.0]);
        assert_eq!(elements(ScatterKind::Assign, &[1.0, 2.0], &[-1, 1], &[3.0, 4.0]), [1.0, 4.0], "the last stands");
        assert_eq!(elements(ScatterKind::Mul, &[3.0, 2.0], &[1, 1], &[4.0, -1.0]), [3.0, -8.0]);
        let max = elements(ScatterKind::Max, &[-0.0, 2.0, 1.0], &[0, 1, 2], &[0.0, f32::NAN, -7.0]);
        assert!(max[0].to_bits() == 0 && max[1].is_nan() && max[2] == 1.0);
        assert_eq!(elements(ScatterKind::Min, &[1.0, 2.0], &[1], &[-3.0]), [1.0, -3.0]);
    }

    #[test]
    fn an_axis_slices_and_integers() {
        let x = Data::U8(vec![250, 1, 2, 3]);
        let shape: [&[usize]; 3] = [&[2, 2], &[1, 2], &[1, 2]];
        let y = run(ScatterElements { axis: 1, kind: ScatterKind::Add }, x, shape, &[0, 0], Data::U8(vec![5, 7]));
        assert_eq!(y, Ok(Data::U8(vec![6, 1, 2, 3])), "integers wrap");
        let x = Data::I32((0..6).collect());
        let shape: [&[usize]; 3] = [&[3, 2], &[2, 1], &[2, 2]];
        let updates = Data::I32(vec![10, 11, 12, 13]);
        let y = run(ScatterND { kind: ScatterKind::Assign }, x.clone(), shape, &[2, -3], updates.clone());
        assert_eq!(y, Ok(Data::I32(vec![12, 13, 2, 3, 10, 11])));
        let y = run(ScatterND { kind: ScatterKind::Max }, x, shape, &[3, 0], updates);
        assert_eq!(y, Err(ValueFault::IndexOutOfRange));
    }

    #[test]
    fn refusals_say_what_came() {
        let t = TensorType::known;
        let infer = |op: Op, x: TensorType, i: TensorType, u: TensorType| {
            op.definition().infer(&[Some(&x), Some(&i), Some(&u)], &Bindings::SYMBOLIC).map_err(|e| e.0)
        };
        let add: Op = ScatterElements { axis: 0, kind: ScatterKind::Add }.into();
        let (i, b) = (t(DType::I64, &[1]), t(DType::Bool, &[1]));
        assert_eq!(infer(add.clone(), b.clone(), i.clone(), b).unwrap_err(), "Add does not take bool");
        let (x, u) = (t(DType::F32, &[3]), t(DType::F32, &[2]));
        assert!(infer(add, x.clone(), i.clone(), u).unwrap_err().contains("2 and 1 differ"));
        let nd: Op = ScatterND { kind: ScatterKind::Assign }.into();
        let wrong = infer(nd, x, i, t(DType::F32, &[1])).unwrap_err();
        assert_eq!(wrong, "updates of rank 1, 0 expected");
    }
}
