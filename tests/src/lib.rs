//! What the tests that cross crates, and the demo, share: a node as a child process, its wire format,
//! the committed models with their expected answers, compiled contracts.

pub mod contracts;
pub mod node;
pub mod rpc;
