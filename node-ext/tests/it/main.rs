//! The node seen from outside: by JSON-RPC, over restarts and kills, and against other people's chains.

mod common;
mod crash;
mod dev_methods;
mod execution_apis;
mod inference;
mod plain_chain;
mod restart;
mod rpc;
