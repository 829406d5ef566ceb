//! What a sidecar keeps: how far it has read, what waits, verdicts, and what the watched node did wrong.

use super::fault::NodeFault;
use crate::{
    crosscheck::{Outcome, Settled},
    storage::{Checks, StorageError, append_unchecked, durable_write, open_file, prepare_checks},
};
use alloy_primitives::{B256, U64};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};

/// The database in the data directory.
pub const JOURNAL_FILE: &str = "follow.redb";
/// Bytes of it that are kept in memory.
const CACHE: usize = 16 << 20;
/// Version of the tables below.
const VERSION: u32 = 1;
/// Blocks whose hash is remembered: a reorganisation that is deeper cannot be told from another chain.
pub const WINDOW: u64 = 4_096;
/// Verdicts that are kept.
const MOST_VERDICTS: u64 = 100_000;
/// Faults that are kept: a node that lies can lie for ever.
const MOST_FAULTS: u64 = 1_000;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("follow_meta");
/// Number to hash of the last blocks read.
const READ: TableDefinition<'_, u64, &[u8; 32]> = TableDefinition::new("follow_read");
/// Number to verdict (JSON).
const VERDICTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("follow_verdicts");
/// Faults of the node, in order (JSON).
const FAULTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("follow_faults");

/// A block of the watched node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) hash: B256,
}

/// What is known of a block of the watched node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The block.
    pub block_number: U64,
    /// Its hash, which was computed from its header here.
    pub block_hash: B256,
    /// Whether its list of inferences is the one that its header commits to.
    pub root_right: bool,
    /// Inferences in the list.
    pub inferences: u64,
    /// Whose answer is the reference's.
    pub right: u64,
    /// Whose answer is not.
    pub wrong: u64,
    /// Left out of the sample.
    pub skipped: u64,
    /// That could not be recomputed here.
    pub failed: u64,
}

/// What a sidecar keeps.
#[derive(Clone)]
pub(crate) struct Journal {
    db: Arc<Database>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Journal")
    }
}

impl Journal {
    /// Opens (or creates) it.
    pub(crate) fn open(dir: &Path) -> Result<Self, StorageError> {
        let db = open_file(dir, JOURNAL_FILE, CACHE)?;
        let tx = durable_write(&db)?;
        {
            let mut meta = tx.open_table(META)?;
            let found = meta.get("version")?.map(|v| v.value().to_vec());
            match found.map(|bytes| <[u8; 4]>::try_from(bytes.as_slice()).map(u32::from_le_bytes)) {
                None => drop(meta.insert("version", VERSION.to_le_bytes().as_slice())?),
                Some(Ok(found)) if found <= VERSION => {}
                Some(found) => {
                    return Err(StorageError::TooNew { found: found.unwrap_or(u32::MAX), known: VERSION });
                }
            }
        }
        prepare_checks(&tx)?;
        tx.open_table(READ)?;
        tx.open_table(VERDICTS)?;
        tx.open_table(FAULTS)?;
        tx.commit()?;
        Ok(Self { db: Arc::new(db) })
    }

    /// What the judge keeps.
    pub(crate) fn checks(&self) -> Checks {
        Checks::new(self.db.clone())
    }

    /// The genesis of the chain that is followed; the one given where none was.
    pub(crate) fn genesis(&self, genesis: B256) -> Result<B256, StorageError> {
        let tx = durable_write(&self.db)?;
        let known = {
            let mut meta = tx.open_table(META)?;
            let found = meta.get("genesis")?.map(|v| B256::from_slice(&sized(v.value())));
            if found.is_none() {
                meta.insert("genesis", genesis.as_slice())?;
            }
            found.unwrap_or(genesis)
        };
        tx.commit()?;
        Ok(known)
    }

    /// The last block read.
    pub(crate) fn last(&self) -> Result<Option<Place>, StorageError> {
        let tx = self.db.begin_read()?;
        let table = tx.open_table(READ)?;
        Ok(table.last()?.map(|(number, hash)| Place { number: number.value(), hash: hash.value().into() }))
    }

    /// The block read at this height.
    pub(crate) fn at(&self, number: u64) -> Result<Option<B256>, StorageError> {
        Ok(self.db.begin_read()?.open_table(READ)?.get(number)?.map(|hash| hash.value().into()))
    }

    /// A block was read: what waits for a check, its verdict so far and the height are on disk together.
    pub(crate) fn read(&self, at: Place, verdict: &Verdict, jobs: &[Vec<u8>]) -> Result<(), StorageError> {
        let tx = durable_write(&self.db)?;
        append_unchecked(&tx, jobs)?;
        {
            let mut table = tx.open_table(READ)?;
            table.insert(at.number, &at.hash.0)?;
            while table.len()? > WINDOW {
                table.pop_first()?;
            }
            let mut verdicts = tx.open_table(VERDICTS)?;
            verdicts.insert(at.number, json(verdict)?.as_slice())?;
            while verdicts.len()? > MOST_VERDICTS {
                verdicts.pop_first()?;
            }
        }
        Ok(tx.commit()?)
    }

    /// The last block that was read has left the chain.
    pub(crate) fn unread(&self, number: u64) -> Result<(), StorageError> {
        let tx = durable_write(&self.db)?;
        tx.open_table(READ)?.remove(number)?;
        tx.open_table(VERDICTS)?.remove(number)?;
        Ok(tx.commit()?)
    }

    /// The verdicts from this height on, at most so many.
    pub(crate) fn verdicts(&self, from: u64, most: usize) -> Result<Vec<Verdict>, StorageError> {
        let tx = self.db.begin_read()?;
        let table = tx.open_table(VERDICTS)?;
        let mut all = Vec::new();
        for entry in table.range(from..)?.take(most) {
            all.push(parsed("verdict", entry?.1.value())?);
        }
        Ok(all)
    }

    /// Keeps a fault of the node; whether it was not known yet.
    pub(crate) fn fault(&self, fault: &NodeFault) -> Result<bool, StorageError> {
        let tx = durable_write(&self.db)?;
        let new = {
            let mut table = tx.open_table(FAULTS)?;
            let mut new = true;
            for entry in table.iter()? {
                let known = entry?.1;
                new &= !serde_json::from_slice::<NodeFault>(known.value()).is_ok_and(|known| known.is_same(fault));
            }
            if new {
                let next = table.last()?.map_or(0, |(key, _)| key.value() + 1);
                table.insert(next, json(fault)?.as_slice())?;
                while table.len()? > MOST_FAULTS {
                    table.pop_first()?;
                }
            }
            new
        };
        tx.commit()?;
        Ok(new)
    }

    /// The faults of the node that are kept, oldest first.
    pub(crate) fn faults(&self) -> Result<Vec<NodeFault>, StorageError> {
        let tx = self.db.begin_read()?;
        let table = tx.open_table(FAULTS)?;
        table.iter()?.map(|entry| parsed("fault", entry?.1.value())).collect()
    }
}

/// What became of inferences, in the verdicts of their blocks, in the transaction that takes them off the queue.
pub(super) fn settle(tx: &WriteTransaction, settled: &[Settled]) -> Result<(), StorageError> {
    let mut table = tx.open_table(VERDICTS)?;
    for one in settled {
        let found = table.get(one.number)?.and_then(|v| serde_json::from_slice::<Verdict>(v.value()).ok());
        let Some(mut verdict) = found.filter(|verdict| verdict.block_hash == one.block) else { continue };
        match one.outcome {
            Outcome::Right => verdict.right += 1,
            Outcome::Wrong => verdict.wrong += 1,
            Outcome::Skipped => verdict.skipped += 1,
            Outcome::Failed => verdict.failed += 1,
            Outcome::Gone => {}
        }
        table.insert(one.number, json(&verdict)?.as_slice())?;
    }
    Ok(())
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, StorageError> {
    serde_json::to_vec(value).map_err(|e| StorageError::Corrupt { what: "journal", reason: e.to_string() })
}

fn parsed<T: for<'a> Deserialize<'a>>(what: &'static str, bytes: &[u8]) -> Result<T, StorageError> {
    serde_json::from_slice(bytes).map_err(|e| StorageError::Corrupt { what, reason: e.to_string() })
}

fn sized(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(number: u64, hash: B256) -> Verdict {
        Verdict {
            block_number: U64::from(number),
            block_hash: hash,
            root_right: true,
            inferences: 2,
            right: 0,
            wrong: 0,
            skipped: 0,
            failed: 0,
        }
    }

    #[test]
    fn what_was_read_is_there_again_and_what_was_left_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let hash = B256::repeat_byte;
        {
            let journal = Journal::open(dir.path()).unwrap();
            assert_eq!(journal.genesis(hash(9)).unwrap(), hash(9));
            for number in 5..8u8 {
                let at = Place { number: number.into(), hash: hash(number) };
                journal.read(at, &verdict(number.into(), hash(number)), &[vec![number]]).unwrap();
            }
            journal.unread(7).unwrap();
            let settled = |block, outcome| Settled { block, number: 6, outcome };
            let all = [
                settled(hash(6), Outcome::Right),
                settled(hash(6), Outcome::Skipped),
                settled(hash(1), Outcome::Wrong),
            ];
            journal.checks().checked(&[], None, |tx| settle(tx, &all)).unwrap();
            assert!(Journal::open(dir.path()).is_err(), "one process at a time");
        }
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.genesis(hash(1)).unwrap(), hash(9), "the first one stays");
        assert_eq!(journal.last().unwrap(), Some(Place { number: 6, hash: hash(6) }));
        assert_eq!((journal.at(5).unwrap(), journal.at(7).unwrap()), (Some(hash(5)), None));
        assert_eq!(journal.checks().unchecked_count().unwrap(), 3);
        let kept = journal.verdicts(6, 10).unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].right, kept[0].skipped, kept[0].wrong), (1, 1, 0), "another block's count for nothing");
    }
}
