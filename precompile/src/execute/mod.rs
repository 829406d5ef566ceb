//! The call, apart from any EVM: charges and failures in the order of spec section 6.

use alloy_primitives::{Address, B256, U256};
use lockstep_engine::exec::Options;

use crate::config::ChainLimits;
use crate::gas::GasSchedule;
use crate::registry::RegistryView;
use crate::sink::InferenceRecord;
use crate::store::ModelStore;

/// What a call depends on besides its call data and gas.
pub struct CallEnv<'a> {
    /// Number of the block.
    pub block_number: u64,
    /// The gas table.
    pub schedule: &'a GasSchedule,
    /// The chain's limits.
    pub limits: &'a ChainLimits,
    /// Record words.
    pub registry: &'a mut dyn RegistryView,
    /// Models.
    pub store: &'a dyn ModelStore,
    /// Ether sent along.
    pub value: U256,
    /// The account whose context the call runs in, where that is not the precompile's own (DELEGATECALL, CALLCODE).
    pub delegated_to: Option<Address>,
    /// How the engine runs; never what it computes.
    pub options: Options,
    /// Whether a successful inference is wanted as a record.
    pub record: bool,
}

/// What comes of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A result.
    Success {
        /// Gas charged.
        gas_used: u64,
        /// The encoded result.
        output: Vec<u8>,
        /// The record, where it was wanted and the function is an inference.
        inference: Option<InferenceRecord>,
    },
    /// The caller's fault.
    Revert {
        /// Gas charged; the rest is given back.
        gas_used: u64,
        /// The encoded error.
        data: Vec<u8>,
    },
    /// All gas of the call is gone.
    OutOfGas,
    /// This node's fault.
    Fatal(String),
}

/// Carries out a call.
pub fn execute(_env: &mut CallEnv<'_>, _call_data: &[u8], _gas: u64) -> Outcome {
    let _ = B256::ZERO;
    Outcome::Fatal("to be written".to_owned())
}
