//! The price of a call (spec section 6).

use lockstep_engine::cost::{Unit, Work};

/// One version of the gas table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GasSchedule {
    /// Its number in `config.lockstep.gasSchedule`.
    pub version: u32,
    /// Every call.
    pub base: u64,
    /// Each 32 bytes of call data.
    pub per_word: u64,
    /// The registry look-up.
    pub registry: u64,
    /// Each node, operand, input and output when shapes are evaluated.
    pub per_node_shape: u64,
    /// Each byte of a graph that is validated.
    pub per_graph_byte: u64,
    /// Each 32 bytes of the result.
    pub per_output_word: u64,
    /// Thousandths of gas for each unit of work, in the order of [`Unit::ALL`].
    pub milligas: [u64; Unit::ALL.len()],
}

/// All versions that this binary knows.
pub const SCHEDULES: [GasSchedule; 1] = [GasSchedule {
    version: 1,
    base: 700,
    per_word: 16,
    registry: 2_600,
    per_node_shape: 15,
    per_graph_byte: 16,
    per_output_word: 8,
    //         node, element, division, elementary,  power, multiplyAdd, treeStep
    milligas: [30_000, 700, 700, 1_800, 12_000, 10, 1_300],
}];

impl GasSchedule {
    /// The table with this number.
    pub fn by_version(version: u32) -> Option<&'static Self> {
        SCHEDULES.iter().find(|s| s.version == version)
    }

    /// Stage 2: the bytes of a call, selector included.
    pub fn call_data(&self, bytes: usize) -> u64 {
        self.per_word.saturating_mul((bytes as u64).div_ceil(32))
    }

    /// Stage 4: evaluating the shapes of so many nodes, operands, inputs and outputs.
    pub fn shapes(&self, items: usize) -> u64 {
        self.per_node_shape.saturating_mul(items as u64)
    }

    /// Stage 5: the work of a run and its encoded result.
    pub fn price(&self, work: &Work, result_bytes: u64) -> u64 {
        let milligas = work.priced(&self.milligas);
        let result = self.per_output_word.saturating_mul(result_bytes.div_ceil(32));
        // A sum that saturates means an absurd amount of work: no gas pays for it.
        if milligas == u64::MAX { u64::MAX } else { milligas.div_ceil(1_000).saturating_add(result) }
    }

    /// Validating a graph of so many bytes.
    pub fn graph(&self, bytes: usize) -> u64 {
        self.per_graph_byte.saturating_mul(bytes as u64)
    }
}

/// The call's gas ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfGas;

/// Gas of one call.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    limit: u64,
    used: u64,
}

impl Meter {
    /// A call with this much gas.
    pub fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Takes gas, or fails and leaves the meter as it is.
    pub fn charge(&mut self, amount: u64) -> Result<(), OutOfGas> {
        match self.used.checked_add(amount) {
            Some(used) if used <= self.limit => {
                self.used = used;
                Ok(())
            }
            _ => Err(OutOfGas),
        }
    }

    /// Gas charged so far.
    pub fn used(&self) -> u64 {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: GasSchedule = SCHEDULES[0];

    #[test]
    fn words_round_up_and_milligas_once() {
        assert_eq!(S.call_data(0), 0);
        assert_eq!(S.call_data(4), 16);
        assert_eq!(S.call_data(36), 32);
        // 1 element and 1 multiply-add are 710 milligas: 1 gas, not 1 each.
        let work = Work::of(Unit::Element, 1).and(Unit::MultiplyAdd, 1);
        assert_eq!(S.price(&work, 0), 1);
        assert_eq!(S.price(&work, 33), 17);
        assert_eq!(S.price(&Work::default(), 0), 0);
    }

    #[test]
    fn absurd_work_cannot_be_paid() {
        assert_eq!(S.price(&Work::of(Unit::Power, u64::MAX), 0), u64::MAX);
        let mut m = Meter::new(u64::MAX);
        m.charge(1).unwrap();
        assert_eq!(m.charge(u64::MAX), Err(OutOfGas));
        assert_eq!(m.used(), 1);
    }

    #[test]
    fn the_last_unit_of_gas_is_enough() {
        let mut m = Meter::new(10);
        assert_eq!(m.charge(11), Err(OutOfGas));
        assert_eq!(m.charge(10), Ok(()));
        assert_eq!(m.charge(0), Ok(()));
        assert_eq!(m.charge(1), Err(OutOfGas));
    }

    #[test]
    fn versions_are_found_by_number() {
        assert_eq!(GasSchedule::by_version(1), Some(&S));
        assert_eq!(GasSchedule::by_version(0), None);
    }
}
