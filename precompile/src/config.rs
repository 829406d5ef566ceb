//! `config.lockstep` of the genesis (spec section 9).

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, U256};
use lockstep_engine::{LS1_VERSION, Limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commitment::HEADER_RULE;
use crate::gas::{GasSchedule, SCHEDULES};

/// The key under `config` in genesis.json.
pub const KEY: &str = "lockstep";

/// Header rules that this binary knows: blocks commit to their inferences, or they do not.
pub const HEADER_RULES: [&str; 2] = [HEADER_RULE, "none"];

/// Interfaces written for other chains that this binary serves.
pub const FOREIGN_INTERFACES: [&str; 0] = [];

/// The chain's parameters. [`Self::default`] is the example of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockstepConfig {
    /// Block number from which the precompile answers.
    pub activation: u64,
    /// Versions of the arithmetic that models may use.
    pub ls1: Vec<u32>,
    /// Version of the gas table.
    pub gas_schedule: u32,
    /// Limits.
    #[serde(default)]
    pub limits: ChainLimits,
    /// Who attests that weights off chain are held.
    #[serde(default)]
    pub attestation: Attestation,
    /// How headers commit to inferences.
    pub header_rule: String,
    /// Interfaces of other chains that are served.
    pub foreign_interfaces: Vec<String>,
}

/// Who attests that weights off chain are held. Without attesters the chain takes no such models.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Attestation {
    /// The attesters.
    pub attesters: Vec<Address>,
    /// How many of them must attest.
    pub quorum: u16,
}

/// Limits that the chain sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ChainLimits {
    /// Bytes of one call.
    pub max_call_data: u64,
    /// Bytes of a graph.
    pub max_graph_bytes: u64,
    /// Bytes of a model's weights.
    pub max_weight_bytes: u64,
    /// Nodes of a graph.
    pub max_nodes: u64,
    /// Bytes that one run may hold.
    pub max_peak_memory: u64,
    /// Active models.
    pub max_active_models: u32,
    /// Sum of the active models' weights.
    pub max_active_weight_bytes: u64,
    /// Wei for the slot of a model with weights off chain, given back when it is retired.
    pub slot_deposit: U256,
    /// Wei more for each MiB of its weights.
    pub slot_deposit_per_mebibyte: U256,
    /// Wei for the slot of a model with weights on chain, which it keeps for ever.
    pub on_chain_slot_deposit: U256,
    /// Blocks from the announcement of the end of storage duty to the end.
    pub notice_blocks: u64,
    /// Blocks for which attesters may answer a challenge.
    pub challenge_blocks: u32,
}

/// Why `config.lockstep` is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not the expected fields.
    #[error("config.lockstep in the genesis: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A rule that this binary does not have.
    #[error("config.lockstep.{field} names {value}, this binary knows {known}; a newer version may know it")]
    Unknown {
        /// The field.
        field: &'static str,
        /// What it names.
        value: String,
        /// What this binary knows.
        known: String,
    },
    /// A value that cannot work.
    #[error("config.lockstep.{field} is {value}: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What is expected.
        reason: &'static str,
    },
}

impl Default for LockstepConfig {
    fn default() -> Self {
        Self {
            activation: 0,
            ls1: vec![LS1_VERSION],
            gas_schedule: 1,
            limits: ChainLimits::default(),
            attestation: Attestation::default(),
            header_rule: HEADER_RULES[0].to_owned(),
            foreign_interfaces: Vec::new(),
        }
    }
}

impl Default for ChainLimits {
    fn default() -> Self {
        let engine = Limits::default();
        Self {
            max_call_data: 1_048_576,
            max_graph_bytes: engine.max_graph_bytes,
            max_weight_bytes: engine.max_weight_bytes,
            max_nodes: engine.max_nodes,
            max_peak_memory: engine.max_peak_memory,
            max_active_models: 1_024,
            max_active_weight_bytes: 4_294_967_296,
            slot_deposit: U256::ZERO,
            slot_deposit_per_mebibyte: U256::ZERO,
            on_chain_slot_deposit: U256::ZERO,
            // Blocks of 12 seconds: thirty days, one week.
            notice_blocks: 216_000,
            challenge_blocks: 50_400,
        }
    }
}

impl ChainLimits {
    /// The part that the engine enforces.
    pub fn engine(&self) -> Limits {
        Limits {
            max_graph_bytes: self.max_graph_bytes,
            max_weight_bytes: self.max_weight_bytes,
            max_nodes: self.max_nodes,
            max_peak_memory: self.max_peak_memory,
        }
    }
}

impl LockstepConfig {
    /// Reads the value of `config.lockstep` and refuses what this binary does not know.
    pub fn from_value(value: &Value) -> Result<Self, ConfigError> {
        let config = Self::deserialize(value)?;
        config.check()?;
        Ok(config)
    }

    /// Reads the genesis configuration's further fields (alloy's `ChainConfig::extra_fields`);
    /// `None`: a plain Ethereum chain.
    pub fn from_genesis_extra(extra: &BTreeMap<String, Value>) -> Result<Option<Self>, ConfigError> {
        extra.get(KEY).map(Self::from_value).transpose()
    }

    /// Whether the precompile answers in this block.
    pub fn is_active(&self, block_number: u64) -> bool {
        block_number >= self.activation
    }

    /// Whether this block's header commits to its inferences.
    pub fn commits(&self, block_number: u64) -> bool {
        self.header_rule == HEADER_RULE && self.is_active(block_number)
    }

    /// The gas table. A checked configuration always names one.
    pub fn schedule(&self) -> Option<&'static GasSchedule> {
        GasSchedule::by_version(self.gas_schedule)
    }

    /// Checks every rule that the configuration names.
    pub fn check(&self) -> Result<(), ConfigError> {
        let unknown = |field, value: String, known: String| Err(ConfigError::Unknown { field, value, known });
        if self.ls1.is_empty() {
            return unknown("ls1", "no version".to_owned(), format!("[{LS1_VERSION}]"));
        }
        if let Some(v) = self.ls1.iter().find(|v| **v != LS1_VERSION) {
            return unknown("ls1", v.to_string(), format!("[{LS1_VERSION}]"));
        }
        if self.schedule().is_none() {
            let known: Vec<u32> = SCHEDULES.iter().map(|s| s.version).collect();
            return unknown("gasSchedule", self.gas_schedule.to_string(), format!("{known:?}"));
        }
        if !HEADER_RULES.contains(&self.header_rule.as_str()) {
            return unknown("headerRule", format!("{:?}", self.header_rule), format!("{HEADER_RULES:?}"));
        }
        if let Some(i) = self.foreign_interfaces.iter().find(|i| !FOREIGN_INTERFACES.contains(&i.as_str())) {
            return unknown("foreignInterfaces", format!("{i:?}"), "none yet".to_owned());
        }
        // The registry's record keeps the length of a graph in 32 bits.
        let graph = self.limits.max_graph_bytes;
        if graph > u64::from(u32::MAX) {
            return Err(ConfigError::Value { field: "limits.maxGraphBytes", value: graph, reason: "at most 2^32 - 1" });
        }
        self.check_duty()
    }

    /// Checks what concerns weights off chain.
    fn check_duty(&self) -> Result<(), ConfigError> {
        let refuse = |field, value, reason| Err(ConfigError::Value { field, value, reason });
        let Attestation { attesters, quorum } = &self.attestation;
        let (count, limits) = (attesters.len() as u64, &self.limits);
        if count > 256 {
            return refuse("attestation.attesters", count, "at most 256 attesters");
        }
        let distinct: BTreeSet<&Address> = attesters.iter().filter(|one| !one.is_zero()).collect();
        if (distinct.len() as u64) < count {
            return refuse("attestation.attesters", count, "all of them different, and none the zero address");
        }
        if u64::from(*quorum) > count || (*quorum == 0) != (count == 0) {
            let reason = "from 1 to the number of attesters, or 0 where there are none";
            return refuse("attestation.quorum", u64::from(*quorum), reason);
        }
        // The registry's words have room for these.
        for (field, wei) in [
            ("limits.slotDeposit", limits.slot_deposit),
            ("limits.slotDepositPerMebibyte", limits.slot_deposit_per_mebibyte),
            ("limits.onChainSlotDeposit", limits.on_chain_slot_deposit),
        ] {
            if wei >> 80 != U256::ZERO {
                return refuse(field, u64::MAX, "less than 2^80 wei");
            }
        }
        if count > 0 && limits.on_chain_slot_deposit > limits.slot_deposit {
            let wei = limits.on_chain_slot_deposit.saturating_to();
            let reason = "at most slotDeposit: a model that is put on chain later leaves that much of its deposit";
            return refuse("limits.onChainSlotDeposit", wei, reason);
        }
        if limits.notice_blocks == 0 || limits.notice_blocks >> 62 != 0 {
            return refuse("limits.noticeBlocks", limits.notice_blocks, "from 1 to 2^62 - 1 blocks");
        }
        if limits.challenge_blocks == 0 {
            return refuse("limits.challengeBlocks", 0, "at least one block");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example() -> Value {
        json!({
            "activation": 0, "ls1": [1], "gasSchedule": 1,
            "limits": { "maxCallData": 1048576, "maxGraphBytes": 262144, "maxWeightBytes": 268435456, "maxNodes": 4096,
                        "maxPeakMemory": 1073741824, "maxActiveModels": 1024, "maxActiveWeightBytes": 4294967296u64,
                        "slotDeposit": "0x0", "slotDepositPerMebibyte": "0x0", "onChainSlotDeposit": "0x0",
                        "noticeBlocks": 216000, "challengeBlocks": 50400 },
            "attestation": { "attesters": [], "quorum": 0 },
            "headerRule": "inferenceRoot", "foreignInterfaces": []
        })
    }

    fn with(key: &str, value: Value) -> Result<LockstepConfig, ConfigError> {
        let mut v = example();
        v[key] = value;
        LockstepConfig::from_value(&v)
    }

    #[test]
    fn the_specification_s_example_is_the_default_and_survives_a_round_trip() {
        let config = LockstepConfig::from_value(&example()).unwrap();
        assert_eq!(config, LockstepConfig::default());
        assert_eq!(serde_json::to_value(&config).unwrap(), example());
    }

    #[test]
    fn limits_have_defaults_one_by_one() {
        let mut v = example();
        v.as_object_mut().unwrap().remove("limits");
        assert_eq!(LockstepConfig::from_value(&v).unwrap(), LockstepConfig::default());
        assert_eq!(with("limits", json!({ "maxNodes": 7 })).unwrap().limits.max_nodes, 7);
    }

    #[test]
    fn what_this_binary_does_not_know_is_refused_by_name() {
        let text = |r: Result<LockstepConfig, ConfigError>| r.unwrap_err().to_string();
        assert!(text(with("ls1", json!([1, 2]))).contains("ls1 names 2, this binary knows [1]"));
        assert!(text(with("ls1", json!([]))).contains("no version"));
        assert!(text(with("gasSchedule", json!(9))).contains("gasSchedule names 9, this binary knows [1]"));
        assert!(text(with("headerRule", json!("merkle"))).contains("merkle"));
        assert!(text(with("foreignInterfaces", json!(["0xF4"]))).contains("0xF4"));
        assert!(text(with("extra", json!(1))).contains("unknown field `extra`"));
        assert!(text(with("limits", json!({ "maxNode": 1 }))).contains("maxNode"));
        assert!(text(with("limits", json!({ "maxGraphBytes": 1u64 << 32 }))).contains("maxGraphBytes"));
        assert!(text(with("activation", json!("soon"))).contains("config.lockstep"));
    }

    /// A genesis of before weights off chain.
    #[test]
    fn a_genesis_that_names_no_attesters_takes_no_weights_off_chain() {
        let mut old = example();
        old.as_object_mut().unwrap().remove("attestation");
        for field in ["slotDeposit", "slotDepositPerMebibyte", "onChainSlotDeposit", "noticeBlocks", "challengeBlocks"]
        {
            old["limits"].as_object_mut().unwrap().remove(field);
        }
        let config = LockstepConfig::from_value(&old).unwrap();
        assert_eq!(config, LockstepConfig::default());
        assert_eq!(config.attestation.quorum, 0);
    }

    #[test]
    fn attesters_and_deposits_that_cannot_work_are_refused() {
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let attestation =
            |list: &[Address], quorum: u16| with("attestation", json!({ "attesters": list, "quorum": quorum }));
        assert_eq!(attestation(&[a, b], 2).unwrap().attestation.attesters, [a, b]);
        for (list, quorum) in [(&[a, b][..], 0), (&[a, b], 3), (&[], 1), (&[a, a], 1), (&[a, Address::ZERO], 1)] {
            assert!(attestation(list, quorum).unwrap_err().to_string().contains("attestation."), "{list:?} {quorum}");
        }
        let many: Vec<Address> = (1..=257u64).map(|i| Address::from_word(U256::from(i).into())).collect();
        assert!(attestation(&many, 1).is_err() && attestation(&many[..256], 256).is_ok());

        let limits = |limits: Value| with("limits", limits);
        assert_eq!(
            limits(json!({ "slotDeposit": "0xde0b6b3a7640000" })).unwrap().limits.slot_deposit,
            U256::from(10).pow(U256::from(18))
        );
        for wrong in [
            json!({ "slotDeposit": format!("{:#x}", U256::from(1) << 80) }),
            json!({ "noticeBlocks": 0 }),
            json!({ "noticeBlocks": u64::MAX }),
            json!({ "challengeBlocks": 0 }),
        ] {
            assert!(limits(wrong.clone()).is_err(), "{wrong}");
        }
        let mut dear = example();
        dear["limits"]["onChainSlotDeposit"] = json!("0x1");
        assert!(LockstepConfig::from_value(&dear).is_ok(), "no model can come from off chain");
        dear["attestation"] = json!({ "attesters": [a], "quorum": 1 });
        assert!(LockstepConfig::from_value(&dear).unwrap_err().to_string().contains("slotDeposit"));
    }

    #[test]
    fn a_genesis_without_the_key_is_a_plain_chain() {
        let mut extra = BTreeMap::from([("terminalTotalDifficultyPassed".to_owned(), json!(true))]);
        assert_eq!(LockstepConfig::from_genesis_extra(&extra).unwrap(), None);
        extra.insert(KEY.to_owned(), example());
        assert_eq!(LockstepConfig::from_genesis_extra(&extra).unwrap(), Some(LockstepConfig::default()));
    }
}
