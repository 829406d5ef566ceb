//! The data directory: blocks, receipts and state in one [redb] file.
//!
//! # Invariants
//!
//! - What `Store::insert_block` returned from is on disk: a later SIGKILL or power cut does not lose it.
//! - Trie nodes and code are stored by hash and never removed, so the state of *every* block stays readable
//!   (archive) and a reorganisation to any block is a change of the canonical index alone.
//! - A block is visible either whole (header, body, receipts, state, index) or not at all.

mod backup;
mod blocks;
mod checks;
#[cfg(test)]
mod crash;
mod error;
#[cfg(test)]
mod full_disk;
mod schema;
mod state;
mod trie;
mod verify;

pub use backup::{BACKUPS, Backup, BackupError};
pub(crate) use blocks::BlockState;
pub use blocks::{CanonicalChange, StoredBlock};
pub(crate) use checks::{Checks, MOST_FINDINGS, append_unchecked, prepare as prepare_checks};
pub use error::StorageError;
pub use schema::SCHEMA_VERSION;
pub(crate) use schema::durable_write;
pub use state::StateReader;
pub use trie::{NodeSource, StateTrie, TrieUpdate};
pub use verify::VerifiedState;

use redb::{Database, ReadableDatabase};
use std::{io::ErrorKind, path::Path, sync::Arc};

/// Bytes of the database that are kept in memory where nothing else is said.
pub const DATABASE_CACHE: usize = 256 * 1024 * 1024;

/// The name of the database file in the data directory.
pub const DATABASE_FILE: &str = "lockstep.redb";

/// Handle on the node's database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Arc<Database>,
    /// Where it lies; `None` in memory.
    datadir: Option<Arc<Path>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens (or creates) the database in `datadir`, or one in memory where `datadir` is `None`.
    pub fn open(datadir: Option<&Path>) -> Result<Self, StorageError> {
        Self::open_with(datadir, DATABASE_CACHE)
    }

    /// The same, with so many bytes of the file kept in memory.
    pub fn open_with(datadir: Option<&Path>, cache: usize) -> Result<Self, StorageError> {
        let Some(dir) = datadir else {
            return Self::with_backend(redb::backends::InMemoryBackend::new());
        };
        let db = open_file(dir, DATABASE_FILE, cache)?;
        Self::prepared(db, Some(dir.into()))
    }

    /// A database over any storage.
    pub(crate) fn with_backend(backend: impl redb::StorageBackend) -> Result<Self, StorageError> {
        Self::prepared(Database::builder().create_with_backend(backend)?, None)
    }

    fn prepared(db: Database, datadir: Option<Arc<Path>>) -> Result<Self, StorageError> {
        let store = Self { db: Arc::new(db), datadir };
        schema::prepare(&store.db)?;
        Ok(store)
    }

    /// The data directory; `None` where the chain is kept in memory.
    pub fn datadir(&self) -> Option<&Path> {
        self.datadir.as_deref()
    }

    pub(crate) fn read(&self) -> Result<redb::ReadTransaction, StorageError> {
        Ok(self.db.begin_read()?)
    }

    /// A write transaction whose commit returns only when the data is on disk.
    pub(crate) fn write(&self) -> Result<redb::WriteTransaction, StorageError> {
        schema::durable_write(&self.db)
    }
}

/// Opens (or creates) a database file in a directory; so many bytes of it are kept in memory.
pub(crate) fn open_file(dir: &Path, name: &str, cache: usize) -> Result<Database, StorageError> {
    std::fs::create_dir_all(dir).map_err(|source| StorageError::Directory { path: dir.to_path_buf(), source })?;
    let path = dir.join(name);
    let found = path.exists();
    let db = opened(|| Database::builder().set_cache_size(cache).create(&path)).map_err(|error| match error {
        Opening::Redb(redb::DatabaseError::DatabaseAlreadyOpen) => StorageError::Locked { path: dir.to_path_buf() },
        Opening::Redb(redb::DatabaseError::Storage(redb::StorageError::Io(source)))
            if !matches!(source.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            StorageError::Open { path: path.clone(), source }
        }
        Opening::Redb(error) => StorageError::Damaged { path: path.clone(), reason: error.to_string() },
        Opening::Panic(reason) => StorageError::Damaged { path: path.clone(), reason },
    })?;
    if !found {
        // The file's name is on disk too.
        std::fs::File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| StorageError::Directory { path: dir.to_path_buf(), source })?;
    }
    Ok(db)
}

enum Opening {
    Redb(redb::DatabaseError),
    Panic(String),
}

/// Opens a database; what makes [redb] panic (a file cut short) is damage, not a fault of this program.
fn opened(open: impl FnOnce() -> Result<Database, redb::DatabaseError>) -> Result<Database, Opening> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(Opening::Redb),
        Err(panic) => Err(Opening::Panic(
            panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                .unwrap_or_else(|| "the database engine panicked".into()),
        )),
    }
}
