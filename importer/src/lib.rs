//! ONNX, or a directory of safetensors, to the engine's model file. Runs on the author's machine, never in consensus.
//!
//! [`import`] takes the bytes of an ONNX file, [`import_directory`] a directory with safetensors and `config.json`; each
//! gives a model, or every reason why there is none. Nothing is
//! approximated: what an operator means here, ONNX says, and what cannot be computed exactly that way is refused.
//! The listed set of rewrites is the tables of the module `lower`: see [`operators`].
//!
//! # Invariants
//! - The same bytes and options give the same modelId on every machine: constants are folded by the engine's reference.
//! - No input makes it panic, or allocate more than a bounded multiple of its size.

#[cfg(feature = "safetensors")]
mod bert;
mod build;
pub mod card;
mod control;
mod declared;
mod error;
mod exact;
mod import;
mod lower;
pub mod operators;
pub mod options;
pub mod proto;
pub mod quantize;
mod read;
mod slot;
mod sniff;
mod walk;

#[cfg(feature = "safetensors")]
pub use bert::import_directory;
pub use card::Card;
pub use error::{ImportError, Problem};
pub use import::import;
pub use options::{CardOptions, External, ImportOptions, Imported, InputInfo};
