//! Contractions of integers: operators 28 to 31.
//!
//! The right side is bytes in panels of 16 columns, the left side 16-bit integers, two along k in each 32-bit word, so that one
//! instruction multiplies two pairs and adds them to 32-bit sums: vpdpwssd where there is AVX-512 VNNI, vpmaddwd with
//! AVX2. Sums are exact, so that no order matters but that of the one fma for each block of scales.

mod conv;
mod kernel;
mod left;
mod panels;
mod product;
mod sums;

pub(crate) use conv::{integer_conv, quantized_conv};
pub use panels::BytePanels;
pub(crate) use panels::prepare;
pub(crate) use product::{integer_matmul, quantized_matmul};

/// Positions or rows that are laid out at a time: tiles of them with a long k fit the cache next to the weights.
const ROWS: usize = crate::ops::conv::POSITIONS as usize;
