//! The data directory: blocks, receipts and state in one [redb] file.
//!
//! # Invariants
//!
//! - What `Store::insert_block` returned from is on disk: a later SIGKILL or power cut does not lose it.
//! - Trie nodes and code are stored by hash and never removed, so the state of *every* block stays readable
//!   (archive) and a reorganisation to any block is a change of the canonical index alone.
//! - A block is visible either whole (header, body, receipts, state, index) or not at all.

mod blocks;
mod error;
mod schema;
mod state;
mod trie;

pub(crate) use blocks::BlockState;
pub use blocks::{CanonicalChange, StoredBlock};
pub use error::StorageError;
pub use schema::SCHEMA_VERSION;
pub use state::StateReader;
pub use trie::{NodeSource, StateTrie, TrieUpdate};

use redb::{Database, ReadableDatabase};
use std::{path::Path, sync::Arc};

/// The name of the database file in the data directory.
pub const DATABASE_FILE: &str = "lockstep.redb";

/// Handle on the node's database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Arc<Database>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens (or creates) the database in `datadir`, or one in memory where `datadir` is `None`.
    pub fn open(datadir: Option<&Path>) -> Result<Self, StorageError> {
        let db = match datadir {
            None => Database::builder().create_with_backend(redb::backends::InMemoryBackend::new())?,
            Some(dir) => {
                std::fs::create_dir_all(dir)
                    .map_err(|source| StorageError::Directory { path: dir.to_path_buf(), source })?;
                let path = dir.join(DATABASE_FILE);
                match Database::builder().create(&path) {
                    Ok(db) => db,
                    Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                        return Err(StorageError::Locked { path: dir.to_path_buf() });
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let store = Self { db: Arc::new(db) };
        schema::prepare(&store.db)?;
        Ok(store)
    }

    pub(crate) fn read(&self) -> Result<redb::ReadTransaction, StorageError> {
        Ok(self.db.begin_read()?)
    }

    /// A write transaction whose commit returns only when the data is on disk.
    pub(crate) fn write(&self) -> Result<redb::WriteTransaction, StorageError> {
        schema::durable_write(&self.db)
    }
}
