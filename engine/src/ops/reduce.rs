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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::float::s2;

    fn reduce(kind: ReduceKind, axes: &[u8], shape: &[usize], data: Data) -> Result<Tensor, ValueFault> {
        let op = Reduce { kind, axes: axes.to_vec(), keep_dims: false };
        let x = Tensor::new(shape.to_vec(), data).unwrap();
        let out = op.infer(&[Some(&x.ty())], &Bindings::SYMBOLIC).unwrap();
        Ok(op.reference(&[Some(&x)], &out)?.remove(0))
    }

    fn on_row(kind: ReduceKind, x: &[f32]) -> f32 {
        let y = reduce(kind, &[0], &[x.len()], Data::F32(x.to_vec())).unwrap();
        assert!(y.shape.is_empty());
        y.as_f32().unwrap()[0]
    }

    fn on_i64s(kind: ReduceKind, x: &[i64]) -> Result<i64, ValueFault> {
        Ok(reduce(kind, &[0], &[x.len()], Data::I64(x.to_vec()))?.as_i64().unwrap()[0])
    }

    #[test]
    fn values_by_hand() {
        use ReduceKind::*;
        let wants = [(Sum, 2.5), (Mean, 0.625), (Max, 3.0), (Min, -2.0), (Prod, -3.0), (L1, 6.5), (SumSquare, 14.25)];
        for (kind, want) in wants {
            assert_eq!(on_row(kind, &[1.0, -2.0, 3.0, 0.5]), want, "{kind:?}");
        }
        assert_eq!(on_row(L2, &[3.0, -4.0]), 5.0);
        assert_eq!(on_row(LogSum, &[0.25, 0.75]), 0.0);
        assert_eq!(on_row(LogSumExp, &[1000.0, 1000.0]), 1000.0 + std::f32::consts::LN_2);
    }

    #[test]
    fn of_nothing_as_onnx_says() {
        use ReduceKind::*;
        let inf = f32::INFINITY;
        let wants = [(Sum, 0.0), (Max, -inf), (Min, inf), (Prod, 1.0), (L1, 0.0), (L2, 0.0), (SumSquare, 0.0)];
        for (kind, want) in wants.into_iter().chain([(LogSum, -inf), (LogSumExp, -inf)]) {
            assert_eq!(on_row(kind, &[]), want, "{kind:?}");
        }
        assert!(on_row(Mean, &[]).is_nan());
        assert_eq!(on_i64s(Max, &[]), Ok(i64::MIN));
        assert_eq!(on_i64s(Min, &[]), Ok(i64::MAX));
        assert_eq!(on_i64s(Mean, &[]), Err(ValueFault::DivisionByZero));
        let bools = |kind| reduce(kind, &[0], &[0], Data::Bool(vec![])).unwrap().data;
        assert_eq!((bools(Max), bools(Min)), (Data::Bool(vec![false]), Data::Bool(vec![true])));
    }

    #[test]
    fn nan_wins_and_the_first_zero_stays() {
        for kind in ReduceKind::ALL {
            assert!(on_row(*kind, &[1.0, f32::NAN, 2.0]).is_nan(), "{kind:?}");
        }
        for kind in [ReduceKind::Max, ReduceKind::Min] {
            assert_eq!(on_row(kind, &[-0.0, 0.0]).to_bits(), 0x8000_0000);
            assert_eq!(on_row(kind, &[0.0, -0.0]).to_bits(), 0);
        }
    }

    #[test]
    fn log_sum_exp_of_infinities() {
        let (inf, kind) = (f32::INFINITY, ReduceKind::LogSumExp);
        assert_eq!(on_row(kind, &[-inf, -inf]), -inf);
        assert_eq!(on_row(kind, &[-inf, 2.0]), 2.0);
        assert_eq!(on_row(kind, &[inf, 2.0]), inf);
        assert_eq!(on_row(kind, &[inf, -inf]), inf);
    }

    #[test]
    fn integers_wrap_and_the_mean_truncates() {
        use ReduceKind::*;
        assert_eq!(on_i64s(Sum, &[i64::MAX, 1]), Ok(i64::MIN));
        assert_eq!(on_i64s(Prod, &[i64::MAX, 2]), Ok(-2));
        assert_eq!(on_i64s(L1, &[i64::MIN]), Ok(i64::MIN));
        assert_eq!(on_i64s(SumSquare, &[-3, 4]), Ok(25));
        assert_eq!(on_i64s(Mean, &[-3, -4]), Ok(-3));
        assert_eq!(on_i64s(Mean, &[3, 4]), Ok(3));
        let bytes = |kind| reduce(kind, &[0], &[3], Data::I8(vec![-5, 7, 0])).unwrap().data;
        assert_eq!((bytes(Max), bytes(Min)), (Data::I8(vec![7]), Data::I8(vec![-5])));
        let bools = |kind| reduce(kind, &[1], &[2, 2], Data::Bool(vec![true, false, true, true])).unwrap().data;
        assert_eq!((bools(Max), bools(Min)), (Data::Bool(vec![true, true]), Data::Bool(vec![false, true])));
    }

    #[test]
    fn squares_round_before_they_add() {
        // (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24 is a tie: the square rounds to 1 + 2^-11, a fused sum with 2^-11 would not.
        let x = 1.0 + 1.0 / 4096.0;
        assert_eq!(on_row(ReduceKind::SumSquare, &[x]), 1.0 + 1.0 / 2048.0);
    }

    #[test]
    fn refusals_say_what_came() {
        let infer = |kind, axes: &[u8], t| {
            let op = Reduce { kind, axes: axes.to_vec(), keep_dims: true };
            op.infer(&[Some(&TensorType::known(t, &[2, 3]))], &Bindings::SYMBOLIC).map_err(|e| e.0)
        };
        assert_eq!(infer(ReduceKind::Sum, &[1], DType::U8).unwrap_err(), "does not take u8");
        for axes in [&[][..], &[2], &[1, 0], &[1, 1]] {
            let e = infer(ReduceKind::Sum, axes, DType::F32).unwrap_err();
            assert_eq!(e, format!("one or more ascending axes below 2 expected, {axes:?} came"));
        }
        let kept = infer(ReduceKind::Sum, &[1], DType::F32).unwrap();
        assert_eq!(kept, [TensorType::known(DType::F32, &[2, 1])]);
    }

    #[test]
    fn symbolic_axes_are_kept_and_dropped() {
        let x = TensorType::new(DType::F32, vec![Dim::symbol(0), Dim::Known(3), Dim::symbol(1)]);
        let op = Reduce { kind: ReduceKind::Mean, axes: vec![1, 2], keep_dims: false };
        assert_eq!(op.infer(&[Some(&x)], &Bindings::SYMBOLIC).unwrap()[0].shape, [Dim::symbol(0)]);
    }

    #[test]
    fn work_counts_every_pass() {
        let x = TensorType::known(DType::F32, &[5, 100]);
        let op = Reduce { kind: ReduceKind::LogSumExp, axes: vec![1], keep_dims: false };
        let work = op.work(&[Some(&x)], &op.infer(&[Some(&x)], &Bindings::SYMBOLIC).unwrap());
        assert_eq!((work.get(Unit::Element), work.get(Unit::Elementary)), (1580, 505));
    }

    proptest! {
        #[test]
        fn agrees_with_a_loop_over_all_positions(
            shape in proptest::collection::vec(1usize..6, 3),
            axes in proptest::sample::subsequence(vec![0u8, 1, 2], 1..=3),
            kind in proptest::sample::select(vec![ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Max, ReduceKind::L2]),
            seed: u32,
        ) {
            let n = shape.iter().product::<usize>();
            let value = |i: usize| ((seed ^ i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 1e5 - 80.0;
            let x: Vec<f32> = (0..n).map(value).collect();
            // Groups in order of their kept coordinates, elements in row-major order.
            let mut groups = std::collections::BTreeMap::<Vec<usize>, Vec<f32>>::new();
            for (i, v) in x.iter().enumerate() {
                let at = [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
                let key = (0..3).filter(|a| !axes.contains(&(*a as u8))).map(|a| at[a]).collect();
                groups.entry(key).or_default().push(*v);
            }
            let want: Vec<u32> = groups.into_values().map(|g| match kind {
                ReduceKind::Sum => s2::sum_slice(&g),
                ReduceKind::Prod => s2::product(g),
                ReduceKind::L2 => s2::sum_slice_by(&g, |x| x * x).sqrt(),
                _ => g.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a }),
            }.to_bits()).collect();
            let got = reduce(kind, &axes, &shape, Data::F32(x)).unwrap();
            let got: Vec<u32> = got.as_f32().unwrap().iter().map(|v| v.to_bits()).collect();
            prop_assert_eq!(got, want);
        }
    }
}
