//! The model precompile: inference as a pure function of chain state and call data.
//!
//! `docs/spec.md`, sections 5 to 9, is normative. The core, [`mod@execute`], knows nothing of revm; [`evm`] binds it.
//! Nothing here knows a node.
//!
//! # Invariants
//! - Every charge is made before the work it pays for; the price of a call is known before it runs.
//! - Three levels of failure: a revert (the caller's fault), out of gas, and fatal (this node's fault).
//! - Decoding allocates nothing that the call data did not bring; no input panics.
//! - No failure and no look-up changes state, warmth included.

pub mod abi;
pub mod attestation;
pub mod commitment;
pub mod config;
pub mod evm;
pub mod execute;
pub mod gas;
pub mod memo;
pub mod registry;
pub mod sink;
pub mod store;
pub mod wad;

pub use commitment::{InferenceLeaf, InferencePath};
pub use config::{Attestation, ChainLimits, ConfigError, LockstepConfig};
pub use evm::{LockstepEvmFactory, precompiles};
pub use execute::{CallEnv, Outcome, RecomputeError, Recomputed, execute, recompute, recompute_by};
pub use gas::GasSchedule;
pub use memo::{Memo, MemoKey};
pub use registry::{PRECOMPILE_ADDRESS, REGISTRY_ADDRESS, RecordWord, RegistryView};
pub use sink::{InferenceRecord, InferenceSink};
pub use store::{ModelFault, ModelStore, ResidentModels};

/// A fault of this node: the call has no answer here, and no contract sees anything (spec FAIL-1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);
