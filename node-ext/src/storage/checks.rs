//! What the cross-check has to do and what it found.

use super::{
    StorageError, Store,
    schema::{ALERTS, FINDINGS, UNCHECKED, durable_write},
};
use redb::{
    Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, WriteTransaction,
};
use std::sync::Arc;

/// Alerts that are kept: anybody can make a model that raises them.
const MOST_ALERTS: u64 = 1_000;

/// Findings that are kept, and written as files by one process: a chain that is watched can be full of them.
pub(crate) const MOST_FINDINGS: u64 = 1_000;

/// What the cross-check keeps, in the database of a node or of a sidecar.
#[derive(Clone)]
pub(crate) struct Checks {
    db: Arc<Database>,
}

/// Lays out its tables.
pub(crate) fn prepare(tx: &WriteTransaction) -> Result<(), StorageError> {
    tx.open_table(FINDINGS)?;
    tx.open_table(ALERTS)?;
    tx.open_table(UNCHECKED)?;
    Ok(())
}

/// Appends the inferences of a block, in the transaction that writes the block.
pub(crate) fn append_unchecked(tx: &WriteTransaction, jobs: &[Vec<u8>]) -> Result<(), StorageError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let mut table = tx.open_table(UNCHECKED)?;
    let first = table.last()?.map_or(0, |(key, _)| key.value() + 1);
    for (key, job) in (first..).zip(jobs) {
        table.insert(key, job.as_slice())?;
    }
    Ok(())
}

impl Store {
    /// What the cross-check keeps beside the chain.
    pub(crate) fn checks(&self) -> Checks {
        Checks::new(self.db.clone())
    }
}

impl Checks {
    /// In a database that [`prepare`] has laid out.
    pub(crate) fn new(db: Arc<Database>) -> Self {
        Self { db }
    }

    fn read(&self) -> Result<ReadTransaction, StorageError> {
        Ok(self.db.begin_read()?)
    }

    fn write(&self) -> Result<WriteTransaction, StorageError> {
        durable_write(&self.db)
    }

    /// The oldest inferences that are not checked, at most so many.
    pub(crate) fn unchecked(&self, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StorageError> {
        let tx = self.read()?;
        let table = tx.open_table(UNCHECKED)?;
        let mut jobs = Vec::new();
        for entry in table.iter()?.take(limit) {
            let (key, job) = entry?;
            jobs.push((key.value(), job.value().to_vec()));
        }
        Ok(jobs)
    }

    /// How many inferences are not checked.
    pub(crate) fn unchecked_count(&self) -> Result<u64, StorageError> {
        Ok(self.read()?.open_table(UNCHECKED)?.len()?)
    }

    /// Removes checked inferences; a finding, and what `also` writes, is kept with them or not at all. A power cut may bring
    /// back those without a finding: they are checked again.
    pub(crate) fn checked(
        &self,
        keys: &[u64],
        finding: Option<&[u8]>,
        also: impl FnOnce(&WriteTransaction) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mut tx = self.write()?;
        if finding.is_none() {
            tx.set_durability(Durability::None)?;
        }
        {
            let mut table = tx.open_table(UNCHECKED)?;
            for key in keys {
                table.remove(key)?;
            }
        }
        if let Some(finding) = finding {
            let mut table = tx.open_table(FINDINGS)?;
            let next = table.last()?.map_or(0, |(key, _)| key.value() + 1);
            table.insert(next, finding)?;
            if table.len()? > MOST_FINDINGS {
                table.pop_first()?;
            }
        }
        also(&tx)?;
        Ok(tx.commit()?)
    }

    /// Drops the oldest unchecked inferences beyond `keep`; how many there were.
    pub(crate) fn drop_unchecked(&self, keep: u64) -> Result<u64, StorageError> {
        let excess = self.unchecked_count()?.saturating_sub(keep);
        if excess > 0 {
            let tx = self.write()?;
            {
                let mut table = tx.open_table(UNCHECKED)?;
                for _ in 0..excess {
                    table.pop_first()?;
                }
            }
            tx.commit()?;
        }
        Ok(excess)
    }

    /// Keeps an alert; of more than [`MOST_ALERTS`] the oldest goes.
    pub(crate) fn alert(&self, alert: &[u8]) -> Result<(), StorageError> {
        let mut tx = self.write()?;
        // Nothing rests on it: a power cut may lose it.
        tx.set_durability(Durability::None)?;
        {
            let mut table = tx.open_table(ALERTS)?;
            let next = table.last()?.map_or(0, |(key, _)| key.value() + 1);
            table.insert(next, alert)?;
            if table.len()? > MOST_ALERTS {
                table.pop_first()?;
            }
        }
        Ok(tx.commit()?)
    }

    /// All alerts of the cross-check that are kept, oldest first.
    pub(crate) fn alerts(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        let tx = self.read()?;
        let table = tx.open_table(ALERTS)?;
        let mut all = Vec::new();
        for entry in table.iter()? {
            all.push(entry?.1.value().to_vec());
        }
        Ok(all)
    }

    /// All findings of the cross-check that are kept, oldest first.
    pub(crate) fn findings(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        let tx = self.read()?;
        let table = tx.open_table(FINDINGS)?;
        let mut all = Vec::new();
        for entry in table.iter()? {
            all.push(entry?.1.value().to_vec());
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_checked_stays_in_order_and_is_bounded() {
        let node = Store::open(None).unwrap();
        let store = node.checks();
        let append = |jobs: &[&[u8]]| {
            let tx = store.write().unwrap();
            append_unchecked(&tx, &jobs.iter().map(|job| job.to_vec()).collect::<Vec<_>>()).unwrap();
            tx.commit().unwrap();
        };
        append(&[b"a", b"b"]);
        append(&[b"c", b"d"]);
        let keys = |jobs: Vec<(u64, Vec<u8>)>| jobs.into_iter().map(|(_, job)| job).collect::<Vec<_>>();
        assert_eq!(keys(store.unchecked(3).unwrap()), [b"a", b"b", b"c"]);
        store.checked(&[0, 2], Some(b"wrong"), |_| Ok(())).unwrap();
        assert_eq!(keys(store.unchecked(9).unwrap()), [b"b", b"d"]);
        assert_eq!(store.findings().unwrap(), [b"wrong"]);
        append(&[b"e"]);
        assert_eq!(store.drop_unchecked(2).unwrap(), 1);
        assert_eq!(keys(store.unchecked(9).unwrap()), [b"d", b"e"]);
        assert_eq!((store.drop_unchecked(2).unwrap(), store.unchecked_count().unwrap()), (0, 2));
    }
}
