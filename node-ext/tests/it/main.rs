//! The node seen from outside: by JSON-RPC, over restarts and kills, and against other people's chains.

mod backup;
mod blobs;
mod common;
mod consensus;
mod crash;
mod crosscheck;
mod dev_methods;
mod engine_api;
mod engine_forks;
mod ethereum_tests;
mod execution_apis;
mod faults;
mod follow;
mod hostile;
mod import;
mod inference;
mod inference_root;
mod memo;
mod plain_chain;
mod proof_vectors;
mod publish;
mod refusals;
mod reorganisation;
mod restart;
mod rpc;
mod subscribe;
