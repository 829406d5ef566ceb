//! A consistent copy of the database of a running node.
//!
//! Everything is read from one snapshot, so that the copy is the chain as of one moment; blocks go on meanwhile. The copy
//! is written beside its place and gets its name when all of it is on disk: a backup that has its name is whole.

use super::{
    DATABASE_FILE, StorageError, Store, VerifiedState,
    schema::{
        ALERTS, BODIES, CANONICAL, CODES, FINDINGS, HEADERS, INFERENCES, META, NODES, PATCHES, RECEIPTS, SENDERS,
        TRANSACTIONS, UNCHECKED,
    },
};
use alloy_primitives::B256;
use redb::{
    Database, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableHandle, WriteTransaction,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The folder of backups in a data directory.
pub const BACKUPS: &str = "backups";
/// Longest name of a backup.
const MAX_NAME: usize = 64;

/// A backup that was made.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The data directory that it is: `lockstep node --datadir` starts from it, or from a copy of it.
    pub path: PathBuf,
    /// Number of its head.
    pub number: u64,
    /// Hash of its head.
    pub hash: B256,
    /// Length of its file.
    pub bytes: u64,
    /// The state after its head, read again from the copy.
    pub state: VerifiedState,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The chain is kept in memory.
    #[error("this chain is kept in memory: there is nothing to back up; start the node with --datadir")]
    InMemory,
    /// A name that could lead elsewhere.
    #[error("a backup's name has 1 to 64 letters, digits, '.', '_' or '-', and does not begin with '.'; got {0:?}")]
    Name(String),
    /// There is one of that name.
    #[error("there is a backup at {0} already: choose another name, or remove it")]
    Exists(PathBuf),
    /// The file system failed.
    #[error("cannot write the backup {path}: {source}; check the disk's free space")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Store {
    /// Copies the database to `backups/NAME` in the data directory, for the chain as it is now.
    pub fn backup(&self, name: &str) -> Result<Backup, BackupError> {
        let datadir = self.datadir().ok_or(BackupError::InMemory)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(plain) {
            return Err(BackupError::Name(name.into()));
        }
        let all = datadir.join(BACKUPS);
        let (path, part) = (all.join(name), all.join(format!(".{name}.part")));
        if path.exists() {
            return Err(BackupError::Exists(path));
        }
        let file = |source| BackupError::File { path: part.clone(), source };
        // What a node that was killed left behind.
        if part.exists() {
            std::fs::remove_dir_all(&part).map_err(file)?;
        }
        std::fs::create_dir_all(&part).map_err(file)?;
        let made = self.copy_to(&part).and_then(|(number, hash, state)| {
            let bytes = std::fs::metadata(part.join(DATABASE_FILE)).map_err(file)?.len();
            sync_folder(&part).map_err(file)?;
            std::fs::rename(&part, &path).and_then(|()| sync_folder(&all)).map_err(file)?;
            Ok(Backup { path, number, hash, bytes, state })
        });
        if made.is_err() {
            let _ = std::fs::remove_dir_all(&part);
        }
        made
    }

    /// Copies one snapshot into a new database in `folder`; number, hash and state of its head.
    fn copy_to(&self, folder: &Path) -> Result<(u64, B256, VerifiedState), BackupError> {
        {
            let from = self.read()?;
            let database = Database::create(folder.join(DATABASE_FILE)).map_err(StorageError::from)?;
            let to = super::schema::durable_write(&database)?;
            copy_all(&from, &to)?;
            to.commit().map_err(StorageError::from)?;
        }
        // The copy opens as any data directory does, and its head is there with its whole state.
        let copy = Self::open(Some(folder))?;
        let missing = |what| StorageError::Missing { what, key: "of the backup".into() };
        let hash = copy.head_hash()?.ok_or_else(|| missing("head"))?;
        let block = copy.block(hash)?.ok_or_else(|| missing("head"))?;
        Ok((block.header.number, hash, copy.verify_state(&block.header)?))
    }
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

fn copy_all(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), StorageError> {
    let mut left: BTreeSet<String> = from.list_tables()?.map(|table| table.name().to_owned()).collect();
    let left = &mut left;
    copy(from, to, META, left)?;
    for table in [HEADERS, BODIES, SENDERS, RECEIPTS, PATCHES, INFERENCES, NODES, CODES] {
        copy(from, to, table, left)?;
    }
    copy(from, to, CANONICAL, left)?;
    copy(from, to, TRANSACTIONS, left)?;
    copy(from, to, FINDINGS, left)?;
    copy(from, to, ALERTS, left)?;
    copy(from, to, UNCHECKED, left)?;
    match left.pop_first() {
        Some(name) => {
            Err(StorageError::Corrupt { what: "table", reason: format!("{name:?} is unknown to the backup") })
        }
        None => Ok(()),
    }
}

fn copy<K: redb::Key + 'static, V: redb::Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
    left: &mut BTreeSet<String>,
) -> Result<(), StorageError> {
    left.remove(table.name());
    let source = from.open_table(table)?;
    let mut target = to.open_table(table)?;
    for entry in source.iter()? {
        let (key, value) = entry?;
        target.insert(key.value(), value.value())?;
    }
    match target.len()? == source.len()? {
        true => Ok(()),
        false => Err(StorageError::Corrupt { what: "backup", reason: format!("{} is not whole", table.name()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path())).unwrap();
        for name in ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "ä", &"x".repeat(65)] {
            assert!(matches!(store.backup(name), Err(BackupError::Name(_))), "{name:?}");
        }
        assert!(matches!(Store::open(None).unwrap().backup("x"), Err(BackupError::InMemory)));
    }

    #[test]
    fn a_table_that_the_backup_does_not_know_is_an_error_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path())).unwrap();
        let tx = store.write().unwrap();
        tx.open_table(TableDefinition::<u64, u64>::new("new_table")).unwrap();
        tx.commit().unwrap();
        let error = store.backup("x").unwrap_err();
        assert!(error.to_string().contains("new_table"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path().join(BACKUPS)).unwrap().count(), 0);
    }
}
