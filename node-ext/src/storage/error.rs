//! What can go wrong with the data directory. Every case is this node's fault, never the chain's.

use alloy_primitives::B256;
use revm::database_interface::DBErrorMarker;
use std::path::PathBuf;

/// An error of the node's storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The directory cannot be created.
    #[error(
        "cannot create the data directory {path}: {source}; check the path and its permissions, or choose another with --datadir"
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the database open.
    #[error("the data directory {path} is in use by another node; stop it, or choose another with --datadir")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The database file cannot be opened.
    #[error("cannot open {path}: {source}; check its permissions and the disk, or choose another --datadir")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no database, or not a whole one.
    #[error(
        "{path} is no database of this node, or it is damaged ({reason}); restore a backup, or start with an empty --datadir"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The data was written by a newer binary.
    #[error(
        "the data directory has version {found}, this binary knows up to {known}; install a newer lockstep, or start with an empty --datadir"
    )]
    TooNew {
        /// The version found.
        found: u32,
        /// The newest version this binary knows.
        known: u32,
    },
    /// The data belongs to another chain.
    #[error(
        "the data directory holds the chain with genesis {found}, the configured genesis is {configured}; choose another --datadir or the genesis it was made with"
    )]
    OtherGenesis {
        /// The genesis hash found.
        found: B256,
        /// The genesis hash configured.
        configured: B256,
    },
    /// Something that must be there is not.
    #[error("the database lacks {what} {key}; it is damaged: restore a backup or start with an empty --datadir")]
    Missing {
        /// The kind of thing.
        what: &'static str,
        /// Its key.
        key: String,
    },
    /// Bytes that do not decode.
    #[error(
        "the database holds a {what} that does not decode ({reason}); it is damaged: restore a backup or start with an empty --datadir"
    )]
    Corrupt {
        /// The kind of thing.
        what: &'static str,
        /// The decoder's reason.
        reason: String,
    },
    /// The state trie reported an error.
    #[error("state trie: {0}")]
    Trie(String),
    /// The database engine reported an error.
    #[error("database: {0}; check the disk's free space and health")]
    Database(Box<redb::Error>),
}

impl DBErrorMarker for StorageError {}

macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for StorageError {
            fn from(error: redb::$error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )*};
}
from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError, SetDurabilityError);

impl From<eth_trie::TrieError> for StorageError {
    fn from(error: eth_trie::TrieError) -> Self {
        Self::Trie(error.to_string())
    }
}

/// Decodes RLP from the database; failure means damage.
pub(crate) fn decode<T: alloy_rlp::Decodable>(what: &'static str, mut bytes: &[u8]) -> Result<T, StorageError> {
    T::decode(&mut bytes).map_err(|e| StorageError::Corrupt { what, reason: e.to_string() })
}
