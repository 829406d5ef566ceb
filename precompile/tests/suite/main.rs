//! The precompile from outside: its ABI, its answers, its gas and its failures, through a real EVM.

mod abi;
mod alloc;
mod calls;
mod chain;
mod failures;
mod gas;
mod wad;
