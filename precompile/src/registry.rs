//! The registry's storage (spec section 8): slots, packing, and readers for who has a state at hand.

use alloy_primitives::{Address, B256, U256, address, keccak256};

use crate::{Fatal, LockstepConfig};

/// Where the precompile answers.
pub const PRECOMPILE_ADDRESS: Address = address!("0000000000000000000000000000000000000A11");
/// Where the registry is.
pub const REGISTRY_ADDRESS: Address = address!("0000000000000000000000000000000000000A12");

/// Slot of the mapping from modelId to record.
pub const SLOT_MODELS: U256 = U256::ZERO;
/// Slot of the list of registered ids.
pub const SLOT_REGISTERED: U256 = U256::from_limbs([1, 0, 0, 0]);
/// Slot of the list of activated ids.
pub const SLOT_ACTIVATED: U256 = U256::from_limbs([2, 0, 0, 0]);
/// Slot of the caps.
pub const SLOT_CAPS: U256 = U256::from_limbs([3, 0, 0, 0]);
/// Slot of the sum of the active models' weights.
pub const SLOT_ACTIVE_WEIGHT_BYTES: U256 = U256::from_limbs([4, 0, 0, 0]);
/// Slot of what a slot costs.
pub const SLOT_DEPOSITS: U256 = U256::from_limbs([5, 0, 0, 0]);
/// Slot of the list of attesters.
pub const SLOT_ATTESTERS: U256 = U256::from_limbs([6, 0, 0, 0]);
/// Slot of the mapping from modelId to what goes with weights off chain.
pub const SLOT_DUTIES: U256 = U256::from_limbs([7, 0, 0, 0]);

/// First byte of a chunk's code.
pub const CHUNK_PREFIX: u8 = 0;
/// Most data that a chunk holds.
pub const CHUNK_DATA: usize = 24_512;

/// Reads record word 0 of a model from the state.
pub trait RegistryView {
    /// The record word; an error is a fault of this node.
    fn record(&mut self, model_id: &B256) -> Result<RecordWord, Fatal>;
}

impl<F> RegistryView for F
where
    F: FnMut(&B256) -> Result<RecordWord, Fatal>,
{
    fn record(&mut self, model_id: &B256) -> Result<RecordWord, Fatal> {
        self(model_id)
    }
}

/// Where a model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Never registered.
    #[default]
    Unknown,
    /// Registered, not activated.
    Registered,
    /// Activated: callable from its activation block on.
    Activated,
    /// Registered by attestation, not activated: its weights are off chain.
    OffChain,
}

/// Word 0 of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordWord {
    /// Where the model stands.
    pub status: Status,
    /// First block in which it can be called; 0 until it is activated.
    pub activation_block: u64,
    /// Version of its arithmetic.
    pub ls1_version: u32,
    /// Bytes of its graph.
    pub graph_length: u32,
    /// Bytes of its weights.
    pub weights_length: u64,
}

impl RecordWord {
    /// Reads the packed word.
    pub fn unpack(word: U256) -> Self {
        let bits = |at: usize, width: usize| (word >> at).as_limbs()[0] & (u64::MAX >> (64 - width));
        Self {
            status: match bits(0, 8) {
                1 => Status::Registered,
                2 => Status::Activated,
                3 => Status::OffChain,
                _ => Status::Unknown,
            },
            activation_block: bits(8, 64),
            ls1_version: bits(72, 32) as u32,
            graph_length: bits(104, 32) as u32,
            weights_length: bits(136, 64),
        }
    }

    /// The packed word.
    pub fn pack(&self) -> U256 {
        U256::from(self.status as u8)
            | U256::from(self.activation_block) << 8
            | U256::from(self.ls1_version) << 72
            | U256::from(self.graph_length) << 104
            | U256::from(self.weights_length) << 136
    }

    /// Whether the model can be called in this block.
    pub fn is_active(&self, block_number: u64) -> bool {
        self.status == Status::Activated && block_number >= self.activation_block
    }
}

/// Slot of word 0 of a model's record; the other words follow.
pub fn record_slot(model_id: &B256) -> U256 {
    mapping_slot(model_id, SLOT_MODELS)
}

/// First slot of a model's value in the mapping at `slot`.
pub fn mapping_slot(model_id: &B256, slot: U256) -> U256 {
    let mut key = [0u8; 64];
    key[..32].copy_from_slice(model_id.as_slice());
    key[32..].copy_from_slice(&slot.to_be_bytes::<32>());
    keccak256(key).into()
}

/// Slot of element `index` of the dynamic array whose length is at `slot` (one element a slot).
pub fn element_slot(slot: U256, index: u64) -> U256 {
    let start: U256 = keccak256(slot.to_be_bytes::<32>()).into();
    start.wrapping_add(U256::from(index))
}

/// The words of the registry's storage that genesis sets; those not named are zero.
pub fn genesis_storage(config: &LockstepConfig) -> Vec<(U256, U256)> {
    let (limits, attestation) = (&config.limits, &config.attestation);
    let caps = U256::from(limits.max_active_models)
        | U256::from(limits.max_active_weight_bytes) << 32
        | U256::from(limits.notice_blocks) << 96
        | U256::from(limits.challenge_blocks) << 160
        | U256::from(attestation.quorum) << 192;
    let deposits = limits.slot_deposit | limits.slot_deposit_per_mebibyte << 80 | limits.on_chain_slot_deposit << 160;
    let mut words =
        vec![(SLOT_CAPS, caps), (SLOT_DEPOSITS, deposits), (SLOT_ATTESTERS, U256::from(attestation.attesters.len()))];
    let attesters = (0..).zip(&attestation.attesters);
    words.extend(attesters.map(|(i, one)| (element_slot(SLOT_ATTESTERS, i), one.into_word().into())));
    words
}

/// What goes with a model whose weights are off chain, as far as nodes look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duty {
    /// What attesters sign at present; zero where nothing is asked.
    pub challenge: B256,
    /// Wei held for the slot.
    pub deposit: U256,
    /// Who has paid them.
    pub depositor: Address,
    /// From this block on the model may be retired; 0: no end is announced.
    pub notice_end: u64,
}

/// A whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Word 0.
    pub word: RecordWord,
    /// keccak256 of the graph.
    pub graph_hash: B256,
    /// Root over the weights.
    pub weights_root: B256,
    /// Contracts whose code holds the graph.
    pub graph_chunks: Vec<Address>,
    /// Contracts whose code holds the weights; fewer than the weights need where they are off chain.
    pub weight_chunks: Vec<Address>,
}

impl Record {
    /// Whether weights are lacking on chain.
    pub fn is_off_chain(&self) -> bool {
        (self.weight_chunks.len() as u64) < self.word.weights_length.div_ceil(CHUNK_DATA as u64)
    }
}

/// Reads the registry through a function from slot to word.
#[derive(Debug)]
pub struct Reader<F>(pub F);

impl<F, E> Reader<F>
where
    F: FnMut(U256) -> Result<U256, E>,
{
    /// Word 0 of a record.
    pub fn word(&mut self, model_id: &B256) -> Result<RecordWord, E> {
        Ok(RecordWord::unpack((self.0)(record_slot(model_id))?))
    }

    /// A whole record; `None` where the model is not registered.
    pub fn record(&mut self, model_id: &B256) -> Result<Option<Record>, E> {
        let slot = record_slot(model_id);
        let at = |n: u64| slot.wrapping_add(U256::from(n));
        let word = RecordWord::unpack((self.0)(slot)?);
        if word.status == Status::Unknown {
            return Ok(None);
        }
        Ok(Some(Record {
            word,
            graph_hash: (self.0)(at(1))?.into(),
            weights_root: (self.0)(at(2))?.into(),
            graph_chunks: self.addresses(at(3))?,
            weight_chunks: self.addresses(at(4))?,
        }))
    }

    /// What goes with a model whose weights are off chain; empty for others, but for a deposit.
    pub fn duty(&mut self, model_id: &B256) -> Result<Duty, E> {
        let slot = mapping_slot(model_id, SLOT_DUTIES);
        let mut at = |n: u64| (self.0)(slot.wrapping_add(U256::from(n)));
        let (challenge, deposit, packed) = (at(0)?.into(), at(2)?, at(3)?);
        Ok(Duty {
            challenge,
            deposit,
            depositor: Address::from_word(B256::from(packed & (U256::MAX >> 96usize))),
            notice_end: (packed >> 160usize).as_limbs()[0],
        })
    }

    /// Number of registered models.
    pub fn registered_count(&mut self) -> Result<u64, E> {
        self.length(SLOT_REGISTERED)
    }

    /// The id of a registered model.
    pub fn registered_at(&mut self, index: u64) -> Result<B256, E> {
        Ok((self.0)(element_slot(SLOT_REGISTERED, index))?.into())
    }

    /// Number of activated models.
    pub fn activated_count(&mut self) -> Result<u64, E> {
        self.length(SLOT_ACTIVATED)
    }

    /// The id of an activated model, in the order of activation.
    pub fn activated_at(&mut self, index: u64) -> Result<B256, E> {
        Ok((self.0)(element_slot(SLOT_ACTIVATED, index))?.into())
    }

    fn length(&mut self, slot: U256) -> Result<u64, E> {
        Ok((self.0)(slot)?.saturating_to())
    }

    fn addresses(&mut self, slot: U256) -> Result<Vec<Address>, E> {
        let n = self.length(slot)?;
        (0..n).map(|i| Ok(Address::from_word((self.0)(element_slot(slot, i))?.into()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    #[test]
    fn the_record_word_has_the_layout_of_the_specification() {
        let word = RecordWord {
            status: Status::Activated,
            activation_block: 0x1122_3344_5566_7788,
            ls1_version: 0xaabb_ccdd,
            graph_length: 0x0102_0304,
            weights_length: 0xdead_beef_0123_4567,
        };
        let hex = format!("{:x}", word.pack());
        assert_eq!(hex, "deadbeef0123456701020304aabbccdd112233445566778802");
        assert_eq!(RecordWord::unpack(word.pack()), word);
        assert_eq!(RecordWord::unpack(U256::ZERO), RecordWord::default());
        let off_chain = RecordWord { status: Status::OffChain, ..word };
        assert_eq!(RecordWord::unpack(off_chain.pack()), off_chain);
        assert_eq!(RecordWord::unpack(U256::from(9)).status, Status::Unknown, "no status of this version");
    }

    #[test]
    fn a_model_is_active_from_its_block_on() {
        let word = RecordWord { status: Status::Activated, activation_block: 5, ..Default::default() };
        assert!(!word.is_active(4) && word.is_active(5));
        assert!(!RecordWord { status: Status::Registered, ..word }.is_active(9));
        assert!(!RecordWord { status: Status::OffChain, ..word }.is_active(9), "retired, or not yet activated");
    }

    #[test]
    fn slots_are_solidity_s() {
        // cast index bytes32 <key> 0, and keccak256(uint256(1)).
        let one = B256::with_last_byte(1);
        assert_eq!(B256::from(record_slot(&one)), keccak256([one.0, [0; 32]].concat()));
        let first = "b10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf6";
        assert_eq!(format!("{:x}", element_slot(SLOT_REGISTERED, 0)), first);
        assert_eq!(element_slot(SLOT_REGISTERED, 2) - element_slot(SLOT_REGISTERED, 0), U256::from(2));
    }

    #[test]
    fn genesis_writes_caps_deposits_and_attesters() {
        let mut config = LockstepConfig::default();
        config.limits.notice_blocks = 0x1122_3344;
        config.limits.challenge_blocks = 0x5566;
        (config.limits.slot_deposit, config.limits.slot_deposit_per_mebibyte) = (U256::from(0xaa), U256::from(0xbb));
        config.limits.on_chain_slot_deposit = U256::from(0xcc);
        config.attestation.attesters = vec![Address::repeat_byte(1), Address::repeat_byte(2)];
        config.attestation.quorum = 2;
        let words = genesis_storage(&config);
        let hex = |at: usize| (words[at].0.to::<u64>(), format!("{:x}", words[at].1));
        assert_eq!(hex(0), (3, "2000055660000000011223344000000010000000000000400".to_owned()));
        assert_eq!(hex(1), (5, "cc000000000000000000bb000000000000000000aa".to_owned()));
        assert_eq!(hex(2), (6, "2".to_owned()));
        assert_eq!(words[4].0, element_slot(U256::from(6), 1));
        assert_eq!(words[4].1, U256::from_be_bytes(Address::repeat_byte(2).into_word().0));
    }

    #[test]
    fn duty_is_read_as_the_compiler_lays_it_out() {
        let id = B256::repeat_byte(7);
        let slot = mapping_slot(&id, U256::from(7));
        let packed =
            U256::from_be_bytes(Address::repeat_byte(9).into_word().0) | U256::from(77) << 160 | U256::from(3) << 224;
        let state = BTreeMap::from([
            (slot, U256::from(5)),
            (slot + U256::from(2), U256::from(6)),
            (slot + U256::from(3), packed),
        ]);
        let mut reader = Reader(|s| Ok::<_, Infallible>(state.get(&s).copied().unwrap_or_default()));
        let duty = reader.duty(&id).unwrap();
        assert_eq!((duty.challenge, duty.deposit), (B256::with_last_byte(5), U256::from(6)));
        assert_eq!((duty.depositor, duty.notice_end), (Address::repeat_byte(9), 77));
    }

    #[test]
    fn a_reader_finds_records_and_lists() {
        let id = B256::repeat_byte(7);
        let slot = record_slot(&id);
        let word = RecordWord { status: Status::Registered, graph_length: 9, ..Default::default() };
        let chunk = Address::repeat_byte(3);
        let state = BTreeMap::from([
            (slot, word.pack()),
            (slot + U256::from(1), U256::from(11)),
            (slot + U256::from(2), U256::from(12)),
            (slot + U256::from(3), U256::from(1)),
            (element_slot(slot + U256::from(3), 0), chunk.into_word().into()),
            (SLOT_REGISTERED, U256::from(1)),
            (element_slot(SLOT_REGISTERED, 0), id.into()),
        ]);
        let mut reader = Reader(|s| Ok::<_, Infallible>(state.get(&s).copied().unwrap_or_default()));
        let record = reader.record(&id).unwrap().unwrap();
        assert_eq!((record.word, record.graph_chunks.as_slice()), (word, [chunk].as_slice()));
        assert_eq!(record.graph_hash, B256::with_last_byte(11));
        assert!(record.weight_chunks.is_empty());
        assert_eq!(reader.record(&B256::ZERO).unwrap(), None);
        assert_eq!((reader.registered_count().unwrap(), reader.registered_at(0).unwrap()), (1, id));
        assert_eq!(reader.activated_count().unwrap(), 0);
    }
}
