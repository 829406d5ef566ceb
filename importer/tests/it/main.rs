//! Models of others, imported: one binary, because each links the engine.

mod bert;
mod common;
mod control;
mod dynamic;
mod einsum;
mod families;
mod lowering;
mod machines;
mod ml;
mod models;
mod operators;
mod quantized;
mod refusals;
mod robustness;
mod sampling;
mod sequence;
