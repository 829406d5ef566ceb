//! Lockstep's node: a small Ethereum chain whose EVM carries the inference precompile.
//!
//! # Parts
//!
//! [`storage`] keeps blocks and state in one crash-safe file; [`chain`] builds, validates and orders blocks on it;
//! [`pool`] and [`miner`] feed it; [`consensus`] is what a consensus client drives it by; [`models`] keeps what is active in memory, [`cache`] models on disk, [`memo`] what was answered,
//! [`crosscheck`] recomputes it, [`follow`] does so beside somebody else's node, and [`care`] keeps faults of the machine out; [`publish`] brings models onto a chain; [`rpc`] serves JSON-RPC; [`Node`] puts them together.

pub mod cache;
pub mod care;
pub mod chain;
pub mod consensus;
pub mod crosscheck;
pub mod dev;
pub mod evm;
pub mod follow;
pub mod inference;
pub mod memo;
mod metrics;
pub mod miner;
pub mod models;
mod node;
pub mod pool;
pub mod preexec;
pub mod primitives;
pub mod publish;
pub mod rpc;
pub mod storage;

pub use node::{
    DEFAULT_HTTP_PORT, EngineConfig, GenesisSource, LaunchError, Node, NodeConfig, NodeHandle,
    default_pre_execution_threads,
};
