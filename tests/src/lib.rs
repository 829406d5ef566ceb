//! What the tests that cross crates, and the demo, share: a node as a child process, its wire format,
//! the committed models with their expected answers, compiled contracts.

pub mod contracts;
pub mod fixtures;
pub mod kit;
pub mod models;
pub mod node;
pub mod probe;
pub mod pure_solidity;
pub mod rpc;
