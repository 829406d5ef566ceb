//! Dimensions: numbers, or polynomials over the model's named symbols.
//!
//! Shape inference runs on [`Dim`]s: once at load with symbols, where it proves what can be proved
//! for every call, and once per call with numbers, where it is exact.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::OpError;

/// One dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// A number.
    Known(u64),
    /// Depends on symbols (never a constant polynomial).
    Expr(Arc<Poly>),
}

/// What a polynomial multiplies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// A symbol, by its number in the graph.
    Symbol(u16),
    /// `floor(numerator / divisor)`, for strides over a symbolic axis.
    FloorDiv(Box<Poly>, u64),
}

/// A polynomial with integer coefficients: monomial (sorted atoms) to non-zero coefficient.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Poly {
    /// The terms; the empty monomial is the constant term.
    pub terms: BTreeMap<Vec<Atom>, i64>,
}

/// Terms and nesting that a polynomial may have; more is refused, so that no graph makes inference slow.
pub const MAX_TERMS: usize = 16;
/// Atoms of one monomial.
pub const MAX_DEGREE: usize = 8;
/// Nesting of floor divisions.
pub const MAX_DEPTH: usize = 4;
/// Atoms of a polynomial, those inside its floor divisions included: bounds what a small graph can make inference do.
pub const MAX_ATOMS: usize = 64;

/// What the symbols of a graph stand for: nothing yet at load, a number each during a call.
#[derive(Debug, Clone, Copy)]
pub struct Bindings<'a>(Option<&'a [Option<u64>]>);

impl<'a> Bindings<'a> {
    /// Symbols stay symbols.
    pub const SYMBOLIC: Self = Self(None);

    /// Symbols by number.
    pub fn of(values: &'a [Option<u64>]) -> Self {
        Self(Some(values))
    }

    /// These dimensions with the symbols replaced.
    pub fn resolve(&self, shape: &[Dim]) -> Result<Vec<Dim>, OpError> {
        let Some(values) = self.0 else { return Ok(shape.to_vec()) };
        shape
            .iter()
            .map(|d| {
                d.eval(values).map(Dim::Known).ok_or_else(|| OpError::new("a dimension has no value in this call"))
            })
            .collect()
    }
}

impl From<u64> for Dim {
    fn from(n: u64) -> Self {
        Self::Known(n)
    }
}

impl Dim {
    /// A symbol.
    pub fn symbol(id: u16) -> Self {
        Poly { terms: BTreeMap::from([(vec![Atom::Symbol(id)], 1)]) }.into_dim().unwrap_or(Self::Known(0))
    }

    /// The number, where it is one.
    pub fn as_known(&self) -> Option<u64> {
        match self {
            Self::Known(n) => Some(*n),
            Self::Expr(_) => None,
        }
    }

    /// The symbol, where the dimension is exactly one.
    pub fn as_symbol(&self) -> Option<u16> {
        let Self::Expr(p) = self else { return None };
        match p.terms.iter().next() {
            Some((m, 1)) if p.terms.len() == 1 => match m.as_slice() {
                [Atom::Symbol(s)] => Some(*s),
                _ => None,
            },
            _ => None,
        }
    }

    /// The same as a polynomial; `None` where the number exceeds i64.
    pub fn to_poly(&self) -> Option<Poly> {
        Some(match self {
            Self::Known(0) => Poly::default(),
            Self::Known(n) => Poly { terms: BTreeMap::from([(Vec::new(), i64::try_from(*n).ok()?)]) },
            Self::Expr(p) => (**p).clone(),
        })
    }

    /// Sum; `None` beyond the bounds of this module.
    pub fn add(&self, other: &Self) -> Option<Self> {
        if let (Self::Known(a), Self::Known(b)) = (self, other) {
            return a.checked_add(*b).map(Self::Known);
        }
        self.to_poly()?.add(&other.to_poly()?)?.into_dim()
    }

    /// `self + n` for a signed n.
    pub fn offset(&self, n: i64) -> Option<Self> {
        if let Self::Known(a) = self {
            return a.checked_add_signed(n).map(Self::Known);
        }
        self.to_poly()?.add(&Poly::constant(n))?.into_dim()
    }

    /// Product.
    pub fn mul(&self, other: &Self) -> Option<Self> {
        if let (Self::Known(a), Self::Known(b)) = (self, other) {
            return a.checked_mul(*b).map(Self::Known);
        }
        self.to_poly()?.mul(&other.to_poly()?)?.into_dim()
    }

    /// `floor(self / n)`; exact division of a polynomial stays a polynomial.
    pub fn floor_div(&self, n: u64) -> Option<Self> {
        if n == 0 {
            return None;
        }
        if let Self::Known(a) = self {
            return Some(Self::Known(a / n));
        }
        let p = self.to_poly()?;
        if let Some(q) = p.div_exact(&Poly::constant(i64::try_from(n).ok()?)) {
            return q.into_dim();
        }
        if p.depth() >= MAX_DEPTH {
            return None;
        }
        Poly { terms: BTreeMap::from([(vec![Atom::FloorDiv(Box::new(p), n)], 1)]) }.into_dim()
    }

    /// `self / other` where that leaves no remainder for all values of the symbols.
    pub fn div_exact(&self, other: &Self) -> Option<Self> {
        if let (Self::Known(a), Self::Known(b)) = (self, other) {
            return (*b != 0 && a % b == 0).then(|| Self::Known(a / b));
        }
        self.to_poly()?.div_exact(&other.to_poly()?)?.into_dim()
    }

    /// The value under these bindings (by symbol number); `None` for an unbound symbol, a negative value or overflow.
    pub fn eval(&self, bound: &[Option<u64>]) -> Option<u64> {
        match self {
            Self::Known(n) => Some(*n),
            Self::Expr(p) => u64::try_from(p.eval(bound)?).ok(),
        }
    }

    /// As text, with the symbols' names.
    pub fn describe(&self, symbols: &[String]) -> String {
        match self {
            Self::Known(n) => n.to_string(),
            Self::Expr(p) => p.describe(symbols),
        }
    }
}

impl Poly {
    /// A constant.
    pub fn constant(n: i64) -> Self {
        Self { terms: if n == 0 { BTreeMap::new() } else { BTreeMap::from([(Vec::new(), n)]) } }
    }

    fn add(&self, other: &Self) -> Option<Self> {
        let mut terms = self.terms.clone();
        for (m, c) in &other.terms {
            let sum = terms.get(m).copied().unwrap_or(0).checked_add(*c)?;
            if sum == 0 {
                terms.remove(m);
            } else {
                terms.insert(m.clone(), sum);
            }
        }
        Self { terms }.bounded()
    }

    fn mul(&self, other: &Self) -> Option<Self> {
        let mut out = Self::default();
        for (ma, ca) in &self.terms {
            for (mb, cb) in &other.terms {
                let mut m = [ma.as_slice(), mb.as_slice()].concat();
                m.sort();
                let term = Self { terms: BTreeMap::from([(m, ca.checked_mul(*cb)?)]) };
                out = out.add(&term)?;
            }
        }
        out.bounded()
    }

    /// Division by a single term, where every term is divisible; or by an equal polynomial.
    fn div_exact(&self, other: &Self) -> Option<Self> {
        if self == other && !self.terms.is_empty() {
            return Some(Self::constant(1));
        }
        let (m, c) = other.terms.iter().next()?;
        if other.terms.len() != 1 {
            return None;
        }
        let mut terms = BTreeMap::new();
        for (ma, ca) in &self.terms {
            let mut rest = ma.clone();
            for atom in m {
                rest.remove(rest.iter().position(|a| a == atom)?);
            }
            if ca % c != 0 {
                return None;
            }
            terms.insert(rest, ca / c);
        }
        Some(Self { terms })
    }

    fn eval(&self, bound: &[Option<u64>]) -> Option<i64> {
        let mut sum = 0i64;
        for (m, c) in &self.terms {
            let mut product = *c;
            for atom in m {
                let v = match atom {
                    Atom::Symbol(s) => i64::try_from((*bound.get(usize::from(*s))?)?).ok()?,
                    Atom::FloorDiv(p, n) => {
                        let v = p.eval(bound)?;
                        // A window larger than its axis: no output, which the operator refuses.
                        if v < 0 {
                            return None;
                        }
                        v / i64::try_from(*n).ok()?
                    }
                };
                product = product.checked_mul(v)?;
            }
            sum = sum.checked_add(product)?;
        }
        Some(sum)
    }

    fn depth(&self) -> usize {
        let atom = |a: &Atom| match a {
            Atom::Symbol(_) => 0,
            Atom::FloorDiv(p, _) => 1 + p.depth(),
        };
        self.terms.keys().flatten().map(atom).max().unwrap_or(0)
    }

    fn atoms(&self) -> usize {
        let atom = |a: &Atom| match a {
            Atom::Symbol(_) => 1,
            Atom::FloorDiv(p, _) => 1 + p.atoms(),
        };
        self.terms.keys().flatten().map(atom).sum()
    }

    fn bounded(self) -> Option<Self> {
        let small = self.terms.len() <= MAX_TERMS && self.terms.keys().all(|m| m.len() <= MAX_DEGREE);
        (small && self.atoms() <= MAX_ATOMS).then_some(self)
    }

    /// The simplest [`Dim`] for this polynomial; `None` for a negative constant.
    pub fn into_dim(self) -> Option<Dim> {
        let this = self.bounded()?;
        match (this.terms.len(), this.terms.get(&Vec::new())) {
            (0, _) => Some(Dim::Known(0)),
            (1, Some(n)) => u64::try_from(*n).ok().map(Dim::Known),
            _ => Some(Dim::Expr(Arc::new(this))),
        }
    }

    fn describe(&self, symbols: &[String]) -> String {
        let atom = |a: &Atom| match a {
            Atom::Symbol(s) => symbols.get(usize::from(*s)).cloned().unwrap_or_else(|| format!("symbol{s}")),
            Atom::FloorDiv(p, n) => format!("floor(({})/{n})", p.describe(symbols)),
        };
        let mut out = String::new();
        // Highest terms first reads as people write it.
        for (m, c) in self.terms.iter().rev() {
            if !out.is_empty() || *c < 0 {
                out.push(if *c < 0 { '-' } else { '+' });
            }
            let mut factors: Vec<String> = m.iter().map(atom).collect();
            if c.unsigned_abs() != 1 || factors.is_empty() {
                factors.insert(0, c.unsigned_abs().to_string());
            }
            out.push_str(&factors.join("*"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_add_multiply_divide_and_evaluate() {
        let (b, s) = (Dim::symbol(0), Dim::symbol(1));
        let names = ["batch".to_owned(), "seq".to_owned()];
        let flat = b.mul(&s).unwrap().mul(&Dim::Known(64)).unwrap();
        assert_eq!(flat.div_exact(&Dim::Known(64)).unwrap(), b.mul(&s).unwrap());
        assert_eq!(flat.div_exact(&b.mul(&s).unwrap()).unwrap(), Dim::Known(64));
        assert_eq!(flat.eval(&[Some(2), Some(3)]), Some(384));
        assert_eq!(flat.eval(&[Some(2), None]), None);
        assert_eq!(b.offset(2).unwrap().offset(-2).unwrap(), b);
        let strided = s.offset(-3).unwrap().floor_div(2).unwrap().offset(1).unwrap();
        assert_eq!(strided.eval(&[None, Some(8)]), Some(3));
        assert_eq!(strided.eval(&[None, Some(2)]), None, "the window is larger than the axis");
        assert_eq!(strided.describe(&names), "floor((seq-3)/2)+1");
        assert_eq!(Dim::Known(5).offset(-6), None);
        assert_eq!(b.as_symbol(), Some(0));
        assert_eq!(b.mul(&Dim::Known(0)).unwrap(), Dim::Known(0));
    }

    #[test]
    fn expressions_stay_small() {
        // Products of floor divisions of products of floor divisions grow without bound unless atoms are counted.
        let mut d = Dim::symbol(0);
        let mut steps = 0;
        while let Some(next) = d.offset(1).and_then(|d| d.floor_div(3)).and_then(|q| q.mul(&q)).and_then(|q| q.mul(&d))
        {
            d = next;
            steps += 1;
            assert!(steps < 20);
        }
        let Dim::Expr(p) = &d else { panic!("a polynomial") };
        assert!(p.atoms() <= MAX_ATOMS);
    }
}
