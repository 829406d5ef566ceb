//! The right side of a contraction of integers, laid out so that SIMD lanes are outputs.
//!
//! Bytes stand as `[plane][matrix][panel][pair of k][16 columns][2 of k]`: a panel of one matrix runs along all of k.
//! Columns and an odd k are filled with zeros, which add nothing.

use crate::ops::Op;
use crate::ops::quantized::{Format, Weight, WeightClass};
use crate::tensor::{Data, Tensor};

/// Columns of a panel.
pub(crate) const LANES: usize = 16;
/// Bytes of a pair of k in a panel.
pub(crate) const PAIR: usize = 2 * LANES;

/// Matrices of bytes with what turns their sums into outputs.
#[derive(Debug)]
pub struct BytePanels {
    pub(crate) count: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// One plane; for I16 the high bytes, then the low bytes less 128.
    planes: Vec<Vec<i8>>,
    pub(crate) scales: Scales,
}

/// Scales in the order of the panels.
#[derive(Debug)]
pub(crate) enum Scales {
    /// Integers have none; what was subtracted from unsigned bytes (0 or 128) is part of their zero points.
    None { offset: i32 },
    /// bf16 as `[matrix][panel][block][16]`.
    Blocks { length: usize, bits: Vec<u16> },
    /// One for each column, `[matrix][panel][16]`.
    Channels(Vec<f32>),
}

impl BytePanels {
    pub(crate) fn add_to(&self, sum: &mut crate::resident::Sum) {
        self.planes.iter().for_each(|plane| sum.take_bytes(plane, |x| *x as u8));
        match &self.scales {
            Scales::None { offset } => sum.take(&[*offset], |x| *x as u32),
            Scales::Blocks { bits, .. } => sum.take(bits, |x| u32::from(*x)),
            Scales::Channels(scales) => sum.take(scales, |x| x.to_bits()),
        }
    }

    /// Pairs along k.
    pub(crate) fn pairs(&self) -> usize {
        self.k.div_ceil(2)
    }

    /// Panels of one matrix.
    pub(crate) fn panels(&self) -> usize {
        self.n.div_ceil(LANES)
    }

    /// Bytes from the first pair of a panel to the same of the next one.
    pub(crate) fn stride(&self) -> usize {
        self.pairs() * PAIR
    }

    /// A plane from pair `pair` of panel `panel` of a matrix on, to the end of the last of `panels` panels.
    pub(crate) fn plane(&self, plane: usize, matrix: usize, panel: usize, panels: usize, pair: usize) -> &[i8] {
        let first = (matrix * self.panels() + panel) * self.stride();
        &self.planes[plane][first + pair * PAIR..first + panels * self.stride()]
    }

    /// Number of planes.
    pub(crate) fn planes(&self) -> usize {
        self.planes.len()
    }

    /// Bytes that so many matrices take, scales included.
    pub(crate) fn bytes(planes: usize, count: usize, k: usize, n: usize) -> u64 {
        let columns = (n as u64).div_ceil(LANES as u64).saturating_mul(LANES as u64).saturating_mul(count as u64);
        let blocks = (k as u64).div_ceil(32).saturating_mul(2).saturating_add(4);
        columns.saturating_mul((k as u64).next_multiple_of(2).saturating_mul(planes as u64).saturating_add(blocks))
    }

    /// Lays out `count` matrices; `at(matrix, k, column)` is an element of a plane.
    fn pack(count: usize, k: usize, n: usize, at: impl Fn(usize, usize, usize) -> i8) -> Vec<i8> {
        let (panels, pairs) = (n.div_ceil(LANES), k.div_ceil(2));
        let mut out = vec![0i8; count * panels * pairs * PAIR];
        for (i, panel) in out.chunks_exact_mut((pairs * PAIR).max(1)).enumerate() {
            let (matrix, first) = (i / panels, i % panels * LANES);
            for c in 0..LANES.min(n - first) {
                for i in 0..k {
                    panel[i / 2 * PAIR + c * 2 + i % 2] = at(matrix, i, first + c);
                }
            }
        }
        out
    }

    /// Quantised weights: `groups` matrices of `n` channels, one after the other, `k` weights each.
    pub(crate) fn quantized(format: Format, w: &Weight<'_>, groups: usize, n: usize, k: usize) -> Self {
        let at = |g: usize, i: usize, c: usize| (g * n + c) * k + i;
        let mut planes = vec![Self::pack(groups, k, n, |g, i, c| w.high[at(g, i, c)])];
        if let (WeightClass::I16, Some(low)) = (format.class, w.low) {
            planes.push(Self::pack(groups, k, n, |g, i, c| low[at(g, i, c)].wrapping_sub(128) as i8));
        }
        let panels = n.div_ceil(LANES);
        let scales = match w.scale {
            Data::F32(s) => {
                let mut all = vec![0.0; groups * panels * LANES];
                for (c, scale) in s.iter().enumerate().take(groups * n) {
                    all[c / n * panels * LANES + c % n] = *scale;
                }
                Scales::Channels(all)
            }
            Data::U8(s) => {
                let length = format.block.max(1) as usize;
                let blocks = k.div_ceil(length);
                let mut bits = vec![0; groups * panels * blocks * LANES];
                for c in 0..groups * n {
                    let (group, panel, lane) = (c / n, c % n / LANES, c % n % LANES);
                    for b in 0..blocks {
                        let from = 2 * (c * blocks + b);
                        bits[((group * panels + panel) * blocks + b) * LANES + lane] =
                            u16::from_le_bytes([s[from], s[from + 1]]);
                    }
                }
                Scales::Blocks { length, bits }
            }
            _ => Scales::None { offset: 0 },
        };
        Self { count: groups, k, n, planes, scales }
    }

    /// Matrices of bytes as an operand holds them: `at(matrix, k, column)` is a position in it. Unsigned ones are shifted
    /// into i8.
    pub(crate) fn integers(
        count: usize,
        k: usize,
        n: usize,
        data: &Data,
        at: impl Fn(usize, usize, usize) -> usize,
    ) -> Option<Self> {
        let (plane, offset) = match data {
            Data::I8(v) => (Self::pack(count, k, n, |m, i, c| v[at(m, i, c)]), 0),
            Data::U8(v) => (Self::pack(count, k, n, |m, i, c| v[at(m, i, c)].wrapping_sub(128) as i8), 128),
            _ => return None,
        };
        Some(Self { count, k, n, planes: vec![plane], scales: Scales::None { offset } })
    }
}

/// Number, rows and columns of the matrices on the right of an IntegerMatMul.
pub(crate) fn integer_layout(b: &Tensor) -> Option<[usize; 3]> {
    match b.shape.as_slice() {
        [] => None,
        [k] => Some([1, *k, 1]),
        [lead @ .., k, n] => Some([lead.iter().product(), *k, *n]),
    }
}

/// The same of a convolution's weight: one matrix for each group.
pub(crate) fn integer_conv_layout(groups: u32, w: &Tensor) -> Option<[usize; 3]> {
    let (groups, filters) = (groups as usize, *w.shape.first()?);
    if groups == 0 || filters % groups != 0 {
        return None;
    }
    let k = if filters == 0 { 0 } else { w.shape[1..].iter().product() };
    Some([groups, k, filters / groups])
}

/// The same of quantised weights, as (N, K) or (M, C / groups, kernel).
pub(crate) fn quantized_layout(groups: u32, w: &Tensor) -> Option<[usize; 3]> {
    integer_conv_layout(groups, w)
}

/// Lays out the constant right side of operators 28 to 31, where there is one; the operands all have the types that were
/// inferred.
pub(crate) fn prepare(op: &Op, constants: &[Option<&Tensor>], take: impl FnOnce(u64) -> bool) -> Option<BytePanels> {
    let w = constants.get(1).copied().flatten()?;
    let (planes, [count, k, n]) = match op {
        Op::IntegerMatMul(_) => (1, integer_layout(w)?),
        Op::IntegerConv(c) => (1, integer_conv_layout(c.groups, w)?),
        Op::QuantizedMatMul(q) => (q.class.planes() as usize, quantized_layout(1, w)?),
        Op::QuantizedConv(q) => (q.class.planes() as usize, quantized_layout(q.groups, w)?),
        _ => return None,
    };
    let complete = match op {
        Op::QuantizedMatMul(_) | Op::QuantizedConv(_) => {
            constants.get(2).is_some_and(Option::is_some)
                && (planes == 1 || constants.get(3).is_some_and(Option::is_some))
        }
        _ => true,
    };
    if !complete || !take(BytePanels::bytes(planes, count, k, n)) {
        return None;
    }
    layout(op, constants)
}

/// The right side in panels.
pub(crate) fn layout(op: &Op, operands: &[Option<&Tensor>]) -> Option<BytePanels> {
    let w = operands.get(1).copied().flatten()?;
    match op {
        Op::IntegerMatMul(_) => {
            let [count, k, n] = integer_layout(w)?;
            BytePanels::integers(count, k, n, &w.data, |m, i, c| (m * k + i) * n + c)
        }
        Op::IntegerConv(op) => {
            let [count, k, n] = integer_conv_layout(op.groups, w)?;
            BytePanels::integers(count, k, n, &w.data, |g, i, c| (g * n + c) * k + i)
        }
        Op::QuantizedMatMul(q) => {
            let [count, k, n] = quantized_layout(1, w)?;
            Some(BytePanels::quantized(q.format(), &Weight::of(operands)?, count, n, k))
        }
        Op::QuantizedConv(q) => {
            let [count, k, n] = quantized_layout(q.groups, w)?;
            Some(BytePanels::quantized(q.format(), &Weight::of(operands)?, count, n, k))
        }
        _ => None,
    }
}
