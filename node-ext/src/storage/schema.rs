//! Tables and their version.

use super::StorageError;
use redb::{Database, Durability, ReadableDatabase, TableDefinition, WriteTransaction};

/// Version of the layout below. Raised whenever a table changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

pub(crate) type Hash = [u8; 32];

/// Small facts: schema version, head, finalised head, genesis.
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Block hash to RLP header. All known blocks, canonical or not.
pub(crate) const HEADERS: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("headers");
/// Block hash to RLP body.
pub(crate) const BODIES: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("bodies");
/// Block hash to the concatenated addresses of the senders.
pub(crate) const SENDERS: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("senders");
/// Block hash to the RLP list of receipts.
pub(crate) const RECEIPTS: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("receipts");
/// Block hash to the state override applied before the block (dev chains only; JSON).
pub(crate) const PATCHES: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("dev_patches");
/// Block hash to the inferences of the block (JSON).
pub(crate) const INFERENCES: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("inferences");
/// Number to hash of the canonical chain.
pub(crate) const CANONICAL: TableDefinition<'_, u64, &Hash> = TableDefinition::new("canonical");
/// Transaction hash to (block hash, index), canonical chain only.
pub(crate) const TRANSACTIONS: TableDefinition<'_, &Hash, (&Hash, u64)> = TableDefinition::new("transactions");
/// Keccak to encoded trie node.
pub(crate) const NODES: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("trie_nodes");
/// Keccak to contract code.
pub(crate) const CODES: TableDefinition<'_, &Hash, &[u8]> = TableDefinition::new("codes");
/// Findings of the cross-check, in order (JSON).
pub(crate) const FINDINGS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("findings");
/// Alerts of the cross-check, in order (JSON).
pub(crate) const ALERTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("alerts");
/// Inferences that the cross-check has not finished, in order (JSON).
pub(crate) const UNCHECKED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("unchecked");

pub(crate) const META_VERSION: &str = "version";
pub(crate) const META_GENESIS: &str = "genesis";
pub(crate) const META_HEAD: &str = "head";
pub(crate) const META_SAFE: &str = "safe";
pub(crate) const META_FINALISED: &str = "finalised";

/// Begins a write transaction that is on disk when its commit returns.
pub(crate) fn durable_write(db: &Database) -> Result<WriteTransaction, StorageError> {
    let mut tx = db.begin_write()?;
    tx.set_durability(Durability::Immediate)?;
    Ok(tx)
}

/// Checks the version of an existing database, or lays out a new one.
pub(crate) fn prepare(db: &Database) -> Result<(), StorageError> {
    let found = {
        let tx = db.begin_read()?;
        match tx.open_table(META) {
            Ok(meta) => meta.get(META_VERSION)?.map(|v| read_version(v.value())).transpose()?,
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(error.into()),
        }
    };
    match found {
        Some(found) if found > SCHEMA_VERSION => Err(StorageError::TooNew { found, known: SCHEMA_VERSION }),
        // A table that came after the directory was made is empty: that changes no meaning.
        found => {
            let tx = durable_write(db)?;
            if found.is_none() {
                tx.open_table(META)?.insert(META_VERSION, SCHEMA_VERSION.to_le_bytes().as_slice())?;
            }
            tx.open_table(HEADERS)?;
            tx.open_table(BODIES)?;
            tx.open_table(SENDERS)?;
            tx.open_table(RECEIPTS)?;
            tx.open_table(PATCHES)?;
            tx.open_table(INFERENCES)?;
            tx.open_table(CANONICAL)?;
            tx.open_table(TRANSACTIONS)?;
            tx.open_table(NODES)?;
            tx.open_table(CODES)?;
            super::checks::prepare(&tx)?;
            Ok(tx.commit()?)
        }
    }
}

fn read_version(bytes: &[u8]) -> Result<u32, StorageError> {
    bytes
        .try_into()
        .map(u32::from_le_bytes)
        .map_err(|_| StorageError::Corrupt { what: "version", reason: format!("{} bytes", bytes.len()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{DATABASE_FILE, Store};

    #[test]
    fn a_newer_version_is_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(Some(dir.path())).unwrap());
        let db = Database::create(dir.path().join(DATABASE_FILE)).unwrap();
        let tx = db.begin_write().unwrap();
        tx.open_table(META).unwrap().insert(META_VERSION, (SCHEMA_VERSION + 1).to_le_bytes().as_slice()).unwrap();
        tx.commit().unwrap();
        drop(db);
        let error = Store::open(Some(dir.path())).unwrap_err();
        assert!(matches!(error, StorageError::TooNew { .. }));
        assert!(error.to_string().contains("install a newer lockstep"));
    }

    #[test]
    fn two_nodes_cannot_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Store::open(Some(dir.path())).unwrap();
        assert!(matches!(Store::open(Some(dir.path())), Err(StorageError::Locked { .. })));
    }
}
