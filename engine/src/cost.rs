//! Work of a run, counted before it: units per operator, from shapes alone (spec GAS-2, section 3).

/// Kinds of work. Their prices are the chain's; their counts are defined here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Unit {
    /// One operator executed.
    Node = 0,
    /// One element moved or compared, or one simple operation (+, -, *, min, max, select, convert).
    Element,
    /// One division or square root.
    Division,
    /// One elementary function (exp, tanh, ...).
    Elementary,
    /// One power.
    Power,
    /// One multiply-add of a contraction, padded to the tile that computes it.
    MultiplyAdd,
    /// One decision of a tree, at the depth of its tree.
    TreeStep,
}

impl Unit {
    /// All units, in the order of the gas table.
    pub const ALL: [Self; 7] =
        [Self::Node, Self::Element, Self::Division, Self::Elementary, Self::Power, Self::MultiplyAdd, Self::TreeStep];

    /// Name in the specification's table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Element => "element",
            Self::Division => "division",
            Self::Elementary => "elementary",
            Self::Power => "power",
            Self::MultiplyAdd => "multiplyAdd",
            Self::TreeStep => "treeStep",
        }
    }
}

/// A count of each [`Unit`]; saturates, so that an absurd amount of work stays absurd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work(pub [u64; Unit::ALL.len()]);

impl Work {
    /// This many of one unit.
    pub fn of(unit: Unit, count: u64) -> Self {
        Self::default().and(unit, count)
    }

    /// With this many more of one unit.
    #[must_use]
    pub fn and(mut self, unit: Unit, count: u64) -> Self {
        let slot = &mut self.0[unit as usize];
        *slot = slot.saturating_add(count);
        self
    }

    /// The count of one unit.
    pub fn get(&self, unit: Unit) -> u64 {
        self.0[unit as usize]
    }

    /// Adds another count.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = a.saturating_add(b);
        }
    }

    /// The sum of count times price, in the price's unit; saturates.
    pub fn priced(&self, prices: &[u64; Unit::ALL.len()]) -> u64 {
        self.0.iter().zip(prices).fold(0u64, |sum, (n, p)| sum.saturating_add(n.saturating_mul(*p)))
    }
}
