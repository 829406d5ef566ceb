//! Elements of an integer tensor that is computed from shapes: numbers, or polynomials of symbols.

use std::sync::Arc;

use lockstep_engine::Dim;
use lockstep_engine::dim::Poly;

/// Longer integer tensors are data, not shapes.
pub(super) const MAX_ELEMENTS: usize = 1024;

/// One element.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Elem {
    /// A number.
    Int(i64),
    /// Depends on symbols; may be negative for some of their values.
    Dim(Dim),
}

impl Elem {
    pub(crate) fn of(d: &Dim) -> Option<Self> {
        match d {
            Dim::Known(n) => i64::try_from(*n).ok().map(Self::Int),
            Dim::Expr(_) => Some(Self::Dim(d.clone())),
        }
    }

    fn from_poly(p: Poly) -> Option<Self> {
        // A polynomial without symbols may be negative, which a dimension cannot.
        match (p.terms.len(), p.terms.get(&Vec::new())) {
            (0, _) => Some(Self::Int(0)),
            (1, Some(n)) => Some(Self::Int(*n)),
            _ => p.into_dim().map(Self::Dim),
        }
    }

    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Dim(_) => None,
        }
    }

    /// As a dimension; `None` for a negative number.
    pub(crate) fn to_dim(&self) -> Option<Dim> {
        match self {
            Self::Int(n) => u64::try_from(*n).ok().map(Dim::Known),
            Self::Dim(d) => Some(d.clone()),
        }
    }

    /// Whether a dimension is at least 0 for all values of its symbols, as far as its signs show.
    pub(crate) fn is_natural(d: &Dim) -> bool {
        match d {
            Dim::Known(_) => true,
            Dim::Expr(p) => p.terms.values().all(|c| *c > 0),
        }
    }

    pub(crate) fn negate(&self) -> Option<Self> {
        match self {
            Self::Int(n) => n.checked_neg().map(Self::Int),
            Self::Dim(d) => {
                let mut p = d.to_poly()?;
                for c in p.terms.values_mut() {
                    *c = c.checked_neg()?;
                }
                Some(Self::Dim(Dim::Expr(Arc::new(p))))
            }
        }
    }

    pub(crate) fn add(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.checked_add(*b).map(Self::Int),
            (Self::Dim(d), Self::Int(n)) | (Self::Int(n), Self::Dim(d)) => d.offset(*n).map(Self::Dim),
            (Self::Dim(a), Self::Dim(b)) => {
                // Their symbols may cancel, to a number of either sign: offset far enough to stay positive.
                const FAR: i64 = 1 << 40;
                match a.offset(FAR)?.add(b)? {
                    Dim::Known(n) => i64::try_from(n).ok()?.checked_sub(FAR).map(Self::Int),
                    d => Self::from_poly(d.offset(-FAR)?.to_poly()?),
                }
            }
        }
    }

    pub(crate) fn sub(&self, other: &Self) -> Option<Self> {
        self.add(&other.negate()?)
    }

    pub(crate) fn mul(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.checked_mul(*b).map(Self::Int),
            (Self::Dim(d), Self::Int(n)) | (Self::Int(n), Self::Dim(d)) => {
                let product = Self::of(&d.mul(&Dim::Known(n.unsigned_abs()))?)?;
                if *n < 0 { product.negate() } else { Some(product) }
            }
            (Self::Dim(a), Self::Dim(b)) => a.mul(b).map(Self::Dim),
        }
    }

    /// ONNX's integer division, which truncates; of a polynomial only where that is the floor.
    pub(crate) fn div(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.checked_div(*b).map(Self::Int),
            (Self::Dim(a), Self::Int(n)) if *n > 0 && Self::is_natural(a) => Self::of(&a.floor_div(*n as u64)?),
            (Self::Dim(a), Self::Dim(b)) => Self::of(&a.div_exact(b)?),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_compute_as_integers_do() {
        let b = Elem::Dim(Dim::symbol(0));
        let int = Elem::Int;
        assert_eq!(b.sub(&b), Some(int(0)));
        assert_eq!(int(3).sub(&b).unwrap().add(&b), Some(int(3)));
        assert_eq!(b.sub(&int(5)).unwrap().sub(&b), Some(int(-5)));
        assert_eq!(b.mul(&int(-2)).unwrap().add(&b.mul(&int(2)).unwrap()), Some(int(0)));
        assert_eq!(b.mul(&int(4)).unwrap().div(&int(4)), Some(b.clone()));
        assert_eq!(b.mul(&int(0)), Some(int(0)));
        assert_eq!(b.div(&b), Some(int(1)));
        assert_eq!(int(-7).div(&int(2)), Some(int(-3)));
        assert_eq!(b.sub(&int(3)).unwrap().div(&int(2)), None, "truncation is not the floor below zero");
        assert_eq!(int(1).div(&int(0)), None);
    }
}
