//! One step of a recurrent cell.

use lockstep_engine::Dim;
use lockstep_engine::ops::contraction::MatMul;

use super::super::Call;
use super::activation::{self, Activation};
use crate::build::Val;
use crate::error::{Lowered, refuse};

/// The cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rnn,
    /// `reset_after`: the reset gate works on the product with the state, not on the state.
    Gru {
        reset_after: bool,
    },
    /// `coupled`: the forget gate is 1 - the input gate.
    Lstm {
        coupled: bool,
    },
}

impl Kind {
    /// Blocks of `hidden` rows in the weights.
    pub(super) fn gates(self) -> u64 {
        match self {
            Self::Rnn => 1,
            Self::Gru { .. } => 3,
            Self::Lstm { .. } => 4,
        }
    }

    /// Names of its activations where none are stated.
    pub(super) fn activations(self) -> &'static [&'static str] {
        match self {
            Self::Rnn => &["Tanh"],
            Self::Gru { .. } => &["Sigmoid", "Tanh"],
            Self::Lstm { .. } => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

/// The hidden state, and for LSTM the cell's.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) h: Val,
    pub(super) c: Option<Val>,
}

/// A cell with its weights.
pub(super) struct Cell<'f> {
    kind: Kind,
    hidden: u64,
    clip: Option<f32>,
    f: &'f [Activation],
    /// (hidden, gates * hidden); a GRU that resets first: update and reset gates only.
    r: Option<Val>,
    /// A GRU that resets first: the weights of the new state.
    r_new: Option<Val>,
    /// Biases of the input's product and of the state's.
    b: Option<[Val; 2]>,
    /// Weights of the peepholes: input, output, forget.
    p: Option<[Val; 3]>,
}

impl<'f> Cell<'f> {
    pub(super) fn new(kind: Kind, hidden: u64, clip: Option<f32>, f: &'f [Activation]) -> Self {
        Self { kind, hidden, clip, f, r: None, r_new: None, b: None, p: None }
    }

    /// Takes the recurrence weights (gates * hidden, hidden).
    pub(super) fn recurrence(&mut self, c: &mut Call<'_>, r: Val) -> Lowered<()> {
        let r = c.b.transpose(r, &[1, 0])?;
        if self.kind == (Kind::Gru { reset_after: false }) {
            self.r_new = Some(self.cut(c, r, 2, 1)?);
            self.r = Some(self.cut(c, r, 0, 2)?);
        } else {
            self.r = Some(r);
        }
        Ok(())
    }

    /// Takes both biases (2 * gates * hidden).
    pub(super) fn biases(&mut self, c: &mut Call<'_>, b: Val) -> Lowered<()> {
        let n = self.kind.gates();
        if c.b.shape(b) != [Dim::Known(2 * n * self.hidden)] {
            return refuse!("a bias of {} elements is expected", 2 * n * self.hidden);
        }
        self.b = Some([self.cut(c, b, 0, n)?, self.cut(c, b, n, n)?]);
        Ok(())
    }

    /// Takes the peepholes (3 * hidden).
    pub(super) fn peepholes(&mut self, c: &mut Call<'_>, p: Val) -> Lowered<()> {
        if c.b.shape(p) != [Dim::Known(3 * self.hidden)] {
            return refuse!("peepholes of {} elements are expected", 3 * self.hidden);
        }
        self.p = Some([self.cut(c, p, 0, 1)?, self.cut(c, p, 1, 1)?, self.cut(c, p, 2, 1)?]);
        Ok(())
    }

    /// Blocks `first..first + n` of the last axis.
    fn cut(&self, c: &mut Call<'_>, x: Val, first: u64, n: u64) -> Lowered<Val> {
        let Some(last) = c.b.rank(x).checked_sub(1) else { return refuse!("a scalar where gates are expected") };
        c.b.slice_axis(x, last, first * self.hidden, 1, Dim::Known(n * self.hidden))
    }

    fn product(&self, c: &mut Call<'_>, h: Val, r: Option<Val>) -> Lowered<Val> {
        match r {
            Some(r) => c.b.push(MatMul {}, &[h, r]),
            None => refuse!("internal: a cell without weights"),
        }
    }

    fn activate(&self, c: &mut Call<'_>, which: usize, mut x: Val) -> Lowered<Val> {
        let Some(f) = self.f.get(which) else { return refuse!("internal: activation {which}") };
        if let Some(limit) = self.clip {
            x = activation::clip(c, x, limit)?;
        }
        f.apply(c, x)
    }

    /// ((xw + hr) + wb) + rb over blocks `first..first + n`, where `xw` and `hr` hold just those.
    fn sum(&self, c: &mut Call<'_>, xw: Val, hr: Val, first: u64, n: u64) -> Lowered<Val> {
        let mut out = c.b.add2(xw, hr)?;
        for b in self.b.into_iter().flatten() {
            let b = self.cut(c, b, first, n)?;
            out = c.b.add2(out, b)?;
        }
        Ok(out)
    }

    /// The next state, from this step's product with the input (batch, gates * hidden).
    pub(super) fn step(&self, c: &mut Call<'_>, x: Val, s: &State) -> Lowered<State> {
        match self.kind {
            Kind::Rnn => {
                let hr = self.product(c, s.h, self.r)?;
                let sum = self.sum(c, x, hr, 0, 1)?;
                Ok(State { h: self.activate(c, 0, sum)?, c: None })
            }
            Kind::Gru { reset_after } => self.gru(c, x, s, reset_after),
            Kind::Lstm { coupled } => self.lstm(c, x, s, coupled),
        }
    }

    fn gru(&self, c: &mut Call<'_>, x: Val, s: &State, reset_after: bool) -> Lowered<State> {
        let hr = self.product(c, s.h, self.r)?;
        let (xg, hg) = (self.cut(c, x, 0, 2)?, if reset_after { self.cut(c, hr, 0, 2)? } else { hr });
        let gates = self.sum(c, xg, hg, 0, 2)?;
        let gates = self.activate(c, 0, gates)?;
        let (update, reset) = (self.cut(c, gates, 0, 1)?, self.cut(c, gates, 1, 1)?);
        let xn = self.cut(c, x, 2, 1)?;
        let new = if reset_after {
            let mut inner = self.cut(c, hr, 2, 1)?;
            if let Some([_, rb]) = self.b {
                let rb = self.cut(c, rb, 2, 1)?;
                inner = c.b.add2(inner, rb)?;
            }
            let inner = c.b.mul2(reset, inner)?;
            let mut sum = c.b.add2(xn, inner)?;
            if let Some([wb, _]) = self.b {
                let wb = self.cut(c, wb, 2, 1)?;
                sum = c.b.add2(sum, wb)?;
            }
            sum
        } else {
            let kept = c.b.mul2(reset, s.h)?;
            let hr = self.product(c, kept, self.r_new)?;
            self.sum(c, xn, hr, 2, 1)?
        };
        let new = self.activate(c, 1, new)?;
        let one = c.b.scalar(1.0);
        let rest = c.b.sub2(one, update)?;
        let (a, b) = (c.b.mul2(rest, new)?, c.b.mul2(update, s.h)?);
        Ok(State { h: c.b.add2(a, b)?, c: None })
    }

    fn lstm(&self, c: &mut Call<'_>, x: Val, s: &State, coupled: bool) -> Lowered<State> {
        let Some(old) = s.c else { return refuse!("internal: no cell state") };
        let hr = self.product(c, s.h, self.r)?;
        let sum = self.sum(c, x, hr, 0, 4)?;
        let new = self.cut(c, sum, 3, 1)?;
        let (input, output, forget) = match self.p {
            None => {
                let gates = self.cut(c, sum, 0, 3)?;
                let gates = self.activate(c, 0, gates)?;
                (self.cut(c, gates, 0, 1)?, Some(self.cut(c, gates, 1, 1)?), self.cut(c, gates, 2, 1)?)
            }
            Some([pi, _, pf]) => {
                let mut gate = |k: u64, p: Val| -> Lowered<Val> {
                    let g = self.cut(c, sum, k, 1)?;
                    let p = c.b.mul2(p, old)?;
                    let g = c.b.add2(g, p)?;
                    self.activate(c, 0, g)
                };
                (gate(0, pi)?, None, gate(2, pf)?)
            }
        };
        let forget = if coupled {
            let one = c.b.scalar(1.0);
            c.b.sub2(one, input)?
        } else {
            forget
        };
        let new = self.activate(c, 1, new)?;
        let (kept, added) = (c.b.mul2(forget, old)?, c.b.mul2(input, new)?);
        let cell = c.b.add2(kept, added)?;
        let output = match (output, self.p) {
            (None, Some([_, po, _])) => {
                let g = self.cut(c, sum, 1, 1)?;
                let p = c.b.mul2(po, cell)?;
                let g = c.b.add2(g, p)?;
                self.activate(c, 0, g)?
            }
            (Some(o), _) => o,
            (None, None) => return refuse!("internal: no output gate"),
        };
        let shown = self.activate_plain(c, 2, cell)?;
        Ok(State { h: c.b.mul2(output, shown)?, c: Some(cell) })
    }

    /// The activation of the cell's state, which is never clipped.
    fn activate_plain(&self, c: &mut Call<'_>, which: usize, x: Val) -> Lowered<Val> {
        match self.f.get(which) {
            Some(f) => f.apply(c, x),
            None => refuse!("internal: activation {which}"),
        }
    }
}
