//! The model file: one canonical encoding, strictly read (spec section 2).

mod attributes;
mod codec;
mod container;
mod graph;
pub mod merkle;

pub use attributes::Attribute;
pub use codec::{Reader, Writer};
pub use container::{Container, FORMAT_VERSION, MAGIC};
pub use graph::{decode_graph, encode_graph};
