//! Reductions over axes by S2 (ONNX Reduce*).

use super::Operator;
use super::shape::{count, for_each_offset, known_shape, operand, strides, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::float::s2::Lanes;
use crate::float::{elementary, total_order};
use crate::tensor::{DType, Data, Tensor, TensorType};

crate::attribute_enum! {
    /// Which reduction.
    pub enum ReduceKind {
        /// Sum (S2); integers wrap.
        Sum = 1,
        /// Sum / f32(n).
        Mean = 2,
        /// Greatest, NaN if any is.
        Max = 3,
        /// Least, NaN if any is.
        Min = 4,
        /// Product in the lanes of S2.
        Prod = 5,
        /// Sum of |x|.
        L1 = 6,
        /// Square root of the sum of squares.
        L2 = 7,
        /// Sum of squares.
        SumSquare = 8,
        /// Logarithm of the sum.
        LogSum = 9,
        /// Logarithm of the sum of exponentials, the maximum subtracted first.
        LogSumExp = 10,
    }
}

impl ReduceKind {
    /// Name in ONNX.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "ReduceSum",
            Self::Mean => "ReduceMean",
            Self::Max => "ReduceMax",
            Self::Min => "ReduceMin",
            Self::Prod => "ReduceProd",
            Self::L1 => "ReduceL1",
            Self::L2 => "ReduceL2",
            Self::SumSquare => "ReduceSumSquare",
            Self::LogSum => "ReduceLogSum",
            Self::LogSumExp => "ReduceLogSumExp",
        }
    }
}

crate::attributes! {
    /// Reduction over `axes`.
    pub struct Reduce {
        /// What is computed.
        pub kind: ReduceKind,
        /// The axes, ascending, counted from the front; not empty.
        pub axes: Vec<u8>,
        /// Whether the reduced axes stay with length 1.
        pub keep_dims: bool,
    }
}

impl ReduceKind {
    fn accepts(self, t: DType) -> bool {
        match self {
            Self::Max | Self::Min => true,
            Self::Sum | Self::Mean | Self::Prod | Self::L1 | Self::SumSquare => {
                matches!(t, DType::F32 | DType::I32 | DType::I64)
            }
            Self::L2 | Self::LogSum | Self::LogSumExp => t == DType::F32,
        }
    }
}

/// # Work
/// With n elements of the operand and m of the result: Element `n + 16 m` (the lanes and their joining);
/// L1, L2, SumSquare `2n + 16m`; LogSumExp `3n + 16m`. Besides, Mean and L2: Division m; LogSum:
/// Elementary m; LogSumExp: Elementary `n + m`.
impl Operator for Reduce {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        if !self.kind.accepts(x.dtype) {
            return Err(OpError::new(format!("does not take {}", x.dtype)));
        }
        let ascending = self.axes.windows(2).all(|w| w[0] < w[1]);
        if self.axes.is_empty() || !ascending || self.axes.iter().any(|a| usize::from(*a) >= x.rank()) {
            let (axes, rank) = (&self.axes, x.rank());
            return Err(OpError::new(format!("one or more ascending axes below {rank} expected, {axes:?} came")));
        }
        let shape = x.shape.iter().enumerate().filter_map(|(i, d)| match (self.reduces(i), self.keep_dims) {
            (false, _) => Some(d.clone()),
            (true, true) => Some(Dim::Known(1)),
            (true, false) => None,
        });
        Ok(vec![TensorType::new(x.dtype, shape.collect())])
    }

    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        use ReduceKind::*;
        let n = inputs.first().copied().flatten().map_or(0, count);
        let m = outputs.first().map_or(0, count);
        let passes = match self.kind {
            L1 | L2 | SumSquare => 2,
            LogSumExp => 3,
            _ => 1,
        };
        let work = Work::of(Unit::Element, n.saturating_mul(passes)).and(Unit::Element, m.saturating_mul(16));
        match self.kind {
            Mean | L2 => work.and(Unit::Division, m),
            LogSum => work.and(Unit::Elementary, m),
            LogSumExp => work.and(Unit::Elementary, n.saturating_add(m)),
            _ => work,
        }
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        let rows = Rows::new(&x.shape, |axis| self.reduces(axis));
        let n = rows.length();
        let kind = self.kind;
        if kind == ReduceKind::Mean && x.dtype() != DType::F32 && n == 0 && !rows.is_empty() {
            return Err(ValueFault::DivisionByZero);
        }
        let data = match &x.data {
            Data::F32(v) => Data::F32(rows.map(v, |row| on_f32(kind, row, n))),
            Data::I32(v) => Data::I32(rows.map(v, |row| on_i32(kind, row, n))),
            Data::I64(v) => Data::I64(rows.map(v, |row| on_i64(kind, row, n))),
            Data::U8(v) => Data::U8(rows.map(v, |row| match kind {
                ReduceKind::Max => row.fold(u8::MIN, u8::max),
                _ => row.fold(u8::MAX, u8::min),
            })),
            Data::I8(v) => Data::I8(rows.map(v, |row| match kind {
                ReduceKind::Max => row.fold(i8::MIN, i8::max),
                _ => row.fold(i8::MAX, i8::min),
            })),
            Data::Bool(v) => Data::Bool(rows.map(v, |row| match kind {
                ReduceKind::Max => row.fold(false, |a, b| a | b),
                _ => row.fold(true, |a, b| a & b),
            })),
        };
        Ok(vec![Tensor { shape: known_shape(out), data }])
    }
}

impl Reduce {
    fn reduces(&self, axis: usize) -> bool {
        self.axes.iter().any(|a| usize::from(*a) == axis)
    }
}

/// The elements that each result is made of, row-major over the reduced axes.
struct Rows {
    kept: Vec<usize>,
    kept_strides: Vec<usize>,
    reduced: Vec<usize>,
    reduced_strides: Vec<usize>,
}

impl Rows {
    fn new(shape: &[usize], reduces: impl Fn(usize) -> bool) -> Self {
        let strides = strides(shape);
        let pick = |of: &[usize], want: bool| -> Vec<usize> {
            of.iter().enumerate().filter(|(axis, _)| reduces(*axis) == want).map(|(_, v)| *v).collect()
        };
        Self {
            kept: pick(shape, false),
            kept_strides: pick(&strides, false),
            reduced: pick(shape, true),
            reduced_strides: pick(&strides, true),
        }
    }

    /// Whether there is no result.
    fn is_empty(&self) -> bool {
        self.kept.contains(&0)
    }

    /// Elements of one result.
    fn length(&self) -> usize {
        // Beside a result axis of length 0 the others may multiply to anything.
        self.reduced.iter().fold(1, |n, d| n.saturating_mul(*d))
    }

    fn map<T: Copy, U>(&self, x: &[T], f: impl Fn(Row<'_, T>) -> U) -> Vec<U> {
        let mut out = Vec::new();
        for_each_offset(&self.kept, [&self.kept_strides], |[start]| out.push(f(Row { x, start, rows: self })));
        out
    }
}

/// The elements of one result.
#[derive(Clone, Copy)]
struct Row<'a, T> {
    x: &'a [T],
    start: usize,
    rows: &'a Rows,
}

impl<T: Copy> Row<'_, T> {
    fn each(self, mut f: impl FnMut(T)) {
        for_each_offset(&self.rows.reduced, [&self.rows.reduced_strides], |[o]| f(self.x[self.start + o]));
    }

    fn fold(self, mut acc: T, f: impl Fn(T, T) -> T) -> T {
        self.each(|x| acc = f(acc, x));
        acc
    }
}

impl Row<'_, f32> {
    /// S2 of `f` of the elements.
    fn sum(self, f: impl Fn(f32) -> f32) -> f32 {
        let mut lanes = Lanes::of_sum();
        self.each(|x| lanes.add(f(x)));
        lanes.sum()
    }

    fn product(self) -> f32 {
        let mut lanes = Lanes::of_product();
        self.each(|x| lanes.multiply(x));
        lanes.product()
    }
}

/// The first element that none exceeds, a NaN where there is one; of none -infinity.
fn first_greatest(row: Row<'_, f32>) -> f32 {
    // -0 equals +0: the first stays. An all -infinity row and an empty one agree.
    row.fold(f32::NEG_INFINITY, |a, b| if total_order(b, a).is_gt() { b } else { a })
}

/// The first element below which none is, a NaN where there is one; of none +infinity.
fn first_least(row: Row<'_, f32>) -> f32 {
    row.fold(f32::INFINITY, |a, b| if b.is_nan() || b < a { b } else { a })
}

fn on_f32(kind: ReduceKind, row: Row<'_, f32>, n: usize) -> f32 {
    match kind {
        ReduceKind::Sum => row.sum(|x| x),
        ReduceKind::Mean => row.sum(|x| x) / n as f32,
        ReduceKind::Max => first_greatest(row),
        ReduceKind::Min => first_least(row),
        ReduceKind::Prod => row.product(),
        ReduceKind::L1 => row.sum(f32::abs),
        ReduceKind::L2 => row.sum(|x| x * x).sqrt(),
        ReduceKind::SumSquare => row.sum(|x| x * x),
        ReduceKind::LogSum => elementary::log(row.sum(|x| x)),
        ReduceKind::LogSumExp => {
            let m = first_greatest(row);
            // Subtracting an infinite maximum would give NaN where the result is that infinity.
            let m = if m.is_infinite() { 0.0 } else { m };
            elementary::log(row.sum(|x| elementary::exp(x - m))) + m
        }
    }
}

macro_rules! integer {
    ($($name:ident: $t:ty),+) => {$(
        /// Everything wraps; the mean truncates; `infer` refuses the other kinds.
        fn $name(kind: ReduceKind, row: Row<'_, $t>, n: usize) -> $t {
            let sum = |f: fn($t) -> $t| row.fold(0, |a, x| a.wrapping_add(f(x)));
            match kind {
                ReduceKind::Max => row.fold(<$t>::MIN, <$t>::max),
                ReduceKind::Min => row.fold(<$t>::MAX, <$t>::min),
                ReduceKind::Prod => row.fold(1, <$t>::wrapping_mul),
                ReduceKind::L1 => sum(<$t>::wrapping_abs),
                ReduceKind::SumSquare => sum(|x| x.wrapping_mul(x)),
                // In i128, where every n has a value; 0 is excluded by the caller.
                ReduceKind::Mean => (i128::from(sum(|x| x)) / (n as i128).max(1)) as $t,
                _ => sum(|x| x),
            }
        }
    )+};
}

integer!(on_i32: i32, on_i64: i64);
