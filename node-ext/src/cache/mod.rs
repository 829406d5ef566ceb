//! Models on disk, by content (spec CACHE rules).
//!
//! ```text
//! DIR/<modelId>/graph      the graph section
//! DIR/<modelId>/leaves     32 bytes for each leaf of the weights
//! DIR/<modelId>/weights    the weights section
//! DIR/<modelId>/pin        there where the model is pinned
//! DIR/<modelId>.part/      a download that is not finished
//! DIR/<modelId>.damaged/   a model that had not its hash any more
//! ```
//!
//! The name proves the parts: leaves give the root, graph and root give the modelId. So nobody who gives them is believed,
//! a directory of models can be served as it is (file server, bucket), and what lies on the disk is hashed whenever it is read.

mod disk;
mod fetch;
mod parts;
mod s3;
pub mod source;

pub use disk::{Cache, Entry, Leftover};
pub use fetch::{FetchOptions, Fetched, Progress, fetch};
pub use parts::{Part, Parts};

use alloy_primitives::B256;
use std::path::PathBuf;

/// What can go wrong with models on disk and their sources.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system refused.
    #[error("{path}: {source}; check permissions and the space of the disk")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process works on the cache.
    #[error("{0} is in use by another process: wait for it, or choose another --cache")]
    Busy(PathBuf),
    /// A source that is named is none.
    #[error("a source of models: {0}")]
    Source(#[from] source::SourceError),
    /// The node keeps no models on disk.
    #[error("this node keeps no models on disk: start it with --cache DIR, or with --datadir")]
    NoCache,
    /// The model is not there.
    #[error("model {0} is not in the cache: `lockstep models fetch` gets it")]
    Absent(B256),
    /// What lies there is not the model.
    #[error("model {id} is damaged on disk: {reason}; it was set aside, fetch it again")]
    Damaged {
        /// The model.
        id: B256,
        /// What does not fit.
        reason: String,
    },
    /// The model does not fit.
    #[error(
        "model {id} takes {needed} bytes; the cache may hold {budget}, of which pinned models take {pinned}: raise --budget, or unpin some"
    )]
    Room {
        /// The model.
        id: B256,
        /// What it takes.
        needed: u64,
        /// What all may take.
        budget: u64,
        /// What cannot be evicted.
        pinned: u64,
    },
    /// A pinned model is not evicted.
    #[error("model {0} is pinned: unpin it first")]
    Pinned(B256),
    /// No source gave the model.
    #[error("no source gave model {id}: {}", reasons.join("; "))]
    Sources {
        /// The model.
        id: B256,
        /// Each source with its reason.
        reasons: Vec<String>,
    },
    /// The engine refuses the model.
    #[error(transparent)]
    Engine(#[from] lockstep_engine::Error),
}

fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> CacheError {
    let path = path.into();
    move |source| CacheError::Io { path, source }
}
