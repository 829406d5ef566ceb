//! Blocks, receipts and the canonical index.

use super::{
    StorageError, Store,
    checks::append_unchecked,
    error::decode,
    schema::{
        BODIES, CANONICAL, CODES, HEADERS, Hash, INFERENCES, META, META_FINALISED, META_GENESIS, META_HEAD, META_SAFE,
        NODES, PATCHES, RECEIPTS, SENDERS, TRANSACTIONS,
    },
};
use crate::primitives::{Body, Receipt, Transaction};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::Decodable;
use redb::{ReadableTable, WriteTransaction};
use std::collections::HashMap;

/// A block with everything that executing it gave.
#[derive(Debug, Clone)]
pub struct StoredBlock {
    /// Hash of the header.
    pub hash: B256,
    /// The header.
    pub header: Header,
    /// Transactions, ommers, withdrawals.
    pub body: Body,
    /// The sender of each transaction.
    pub senders: Vec<Address>,
    /// The receipt of each transaction.
    pub receipts: Vec<Receipt>,
}

/// What has to be written besides the block.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockState {
    pub(crate) nodes: HashMap<B256, Vec<u8>>,
    pub(crate) codes: Vec<(B256, Bytes)>,
    /// The dev chain's override of state before the block, as JSON.
    pub(crate) patch: Option<Vec<u8>>,
    /// The block's inferences, as JSON.
    pub(crate) inferences: Option<Vec<u8>>,
    /// The block's inferences as the cross-check wants them.
    pub(crate) unchecked: Vec<Vec<u8>>,
}

/// How the canonical chain moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CanonicalChange {
    /// Blocks that left the canonical chain, newest first.
    pub reverted: Vec<B256>,
    /// Blocks that entered it, oldest first.
    pub committed: Vec<B256>,
}

impl CanonicalChange {
    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        self.reverted.is_empty() && self.committed.is_empty()
    }
}

impl Store {
    /// Writes a block with its state; with `make_head` the canonical chain then ends in it.
    /// When this returns, the block is on disk.
    pub(crate) fn insert_block(
        &self,
        block: &StoredBlock,
        state: &BlockState,
        make_head: bool,
    ) -> Result<CanonicalChange, StorageError> {
        let tx = self.write()?;
        let key = &block.hash.0;
        tx.open_table(HEADERS)?.insert(key, alloy_rlp::encode(&block.header).as_slice())?;
        tx.open_table(BODIES)?.insert(key, alloy_rlp::encode(&block.body).as_slice())?;
        let senders: Vec<u8> = block.senders.iter().flat_map(|a| a.0.0).collect();
        tx.open_table(SENDERS)?.insert(key, senders.as_slice())?;
        tx.open_table(RECEIPTS)?.insert(key, alloy_rlp::encode(&block.receipts).as_slice())?;
        if let Some(patch) = &state.patch {
            tx.open_table(PATCHES)?.insert(key, patch.as_slice())?;
        }
        if let Some(inferences) = &state.inferences {
            tx.open_table(INFERENCES)?.insert(key, inferences.as_slice())?;
        }
        {
            let mut nodes = tx.open_table(NODES)?;
            for (hash, node) in &state.nodes {
                nodes.insert(&hash.0, node.as_slice())?;
            }
            let mut codes = tx.open_table(CODES)?;
            for (hash, code) in &state.codes {
                codes.insert(&hash.0, code.as_ref())?;
            }
        }
        append_unchecked(&tx, &state.unchecked)?;
        let change = if make_head { write_canonical(&tx, block.hash)? } else { CanonicalChange::default() };
        tx.commit()?;
        Ok(change)
    }

    /// Moves the head to a block that is stored already, with the safe and the finalised block where given.
    pub(crate) fn set_fork_choice(
        &self,
        head: B256,
        safe: Option<B256>,
        finalised: Option<B256>,
    ) -> Result<CanonicalChange, StorageError> {
        let tx = self.write()?;
        let change = write_canonical(&tx, head)?;
        {
            let mut meta = tx.open_table(META)?;
            for (key, hash) in [(META_SAFE, safe), (META_FINALISED, finalised)] {
                if let Some(hash) = hash {
                    meta.insert(key, hash.as_slice())?;
                }
            }
        }
        tx.commit()?;
        Ok(change)
    }

    /// Remembers the chain this directory belongs to.
    pub(crate) fn set_genesis(&self, hash: B256) -> Result<(), StorageError> {
        self.set_meta(META_GENESIS, hash)
    }

    /// The genesis hash of the chain in this directory.
    pub fn genesis_hash(&self) -> Result<Option<B256>, StorageError> {
        self.meta(META_GENESIS)
    }

    /// The hash of the head block.
    pub fn head_hash(&self) -> Result<Option<B256>, StorageError> {
        self.meta(META_HEAD)
    }

    /// The hash of the finalised block.
    pub fn finalised_hash(&self) -> Result<Option<B256>, StorageError> {
        self.meta(META_FINALISED)
    }

    /// The hash of the block that the consensus side calls safe.
    pub fn safe_hash(&self) -> Result<Option<B256>, StorageError> {
        self.meta(META_SAFE)
    }

    fn meta(&self, key: &str) -> Result<Option<B256>, StorageError> {
        Ok(self.read()?.open_table(META)?.get(key)?.map(|v| B256::from_slice(v.value())))
    }

    fn set_meta(&self, key: &str, hash: B256) -> Result<(), StorageError> {
        let tx = self.write()?;
        tx.open_table(META)?.insert(key, hash.as_slice())?;
        Ok(tx.commit()?)
    }

    /// The header with this hash, canonical or not.
    pub fn header(&self, hash: B256) -> Result<Option<Header>, StorageError> {
        let tx = self.read()?;
        let table = tx.open_table(HEADERS)?;
        table.get(&hash.0)?.map(|v| decode("header", v.value())).transpose()
    }

    /// The canonical block hash at a height.
    pub fn canonical_hash(&self, number: u64) -> Result<Option<B256>, StorageError> {
        Ok(self.read()?.open_table(CANONICAL)?.get(number)?.map(|v| B256::from(*v.value())))
    }

    /// The block with this hash, with receipts and senders.
    pub fn block(&self, hash: B256) -> Result<Option<StoredBlock>, StorageError> {
        let tx = self.read()?;
        let headers = tx.open_table(HEADERS)?;
        let Some(header) = headers.get(&hash.0)? else { return Ok(None) };
        let header = decode("header", header.value())?;
        let missing = |what| StorageError::Missing { what, key: hash.to_string() };
        let bodies = tx.open_table(BODIES)?;
        let body = decode("body", bodies.get(&hash.0)?.ok_or_else(|| missing("body"))?.value())?;
        let senders = tx.open_table(SENDERS)?;
        let senders = senders.get(&hash.0)?.ok_or_else(|| missing("senders"))?;
        let senders = senders.value().chunks_exact(20).map(Address::from_slice).collect();
        let receipts = tx.open_table(RECEIPTS)?;
        let receipts = decode("receipts", receipts.get(&hash.0)?.ok_or_else(|| missing("receipts"))?.value())?;
        Ok(Some(StoredBlock { hash, header, body, senders, receipts }))
    }

    /// The receipts of a block.
    pub fn receipts(&self, hash: B256) -> Result<Option<Vec<Receipt>>, StorageError> {
        let tx = self.read()?;
        let table = tx.open_table(RECEIPTS)?;
        table.get(&hash.0)?.map(|v| decode("receipts", v.value())).transpose()
    }

    /// Where a transaction of the canonical chain is: block hash and index.
    pub fn transaction_location(&self, hash: B256) -> Result<Option<(B256, usize)>, StorageError> {
        let tx = self.read()?;
        let table = tx.open_table(TRANSACTIONS)?;
        Ok(table.get(&hash.0)?.map(|v| {
            let (block, index) = v.value();
            (B256::from(*block), usize::try_from(index).unwrap_or(usize::MAX))
        }))
    }

    /// The dev chain's override of state before a block.
    pub(crate) fn patch(&self, hash: B256) -> Result<Option<Vec<u8>>, StorageError> {
        self.bytes(PATCHES, hash)
    }

    /// The inferences recorded for a block, as JSON.
    pub(crate) fn inferences(&self, hash: B256) -> Result<Option<Vec<u8>>, StorageError> {
        self.bytes(INFERENCES, hash)
    }

    fn bytes(
        &self,
        table: redb::TableDefinition<'_, &'static Hash, &'static [u8]>,
        hash: B256,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.read()?.open_table(table)?.get(&hash.0)?.map(|v| v.value().to_vec()))
    }
}

fn write_canonical(tx: &WriteTransaction, head: B256) -> Result<CanonicalChange, StorageError> {
    let headers = tx.open_table(HEADERS)?;
    let bodies = tx.open_table(BODIES)?;
    let mut canonical = tx.open_table(CANONICAL)?;
    let mut transactions = tx.open_table(TRANSACTIONS)?;
    let mut change = CanonicalChange::default();

    // The part of the new branch that is not canonical yet.
    let mut branch = Vec::new();
    let mut hash = head;
    let fork_number = loop {
        let header: Header = match headers.get(&hash.0)? {
            Some(header) => decode("header", header.value())?,
            None => return Err(StorageError::Missing { what: "header", key: hash.to_string() }),
        };
        if canonical.get(header.number)?.is_some_and(|v| *v.value() == hash.0) {
            break Some(header.number);
        }
        branch.push((header.number, hash));
        if header.number == 0 {
            break None;
        }
        hash = header.parent_hash;
    };

    // Everything canonical above the fork leaves.
    let first_stale = fork_number.map_or(0, |n| n + 1);
    let stale: Vec<(u64, Hash)> = canonical
        .range(first_stale..)?
        .map(|entry| entry.map(|(number, hash)| (number.value(), *hash.value())))
        .collect::<Result<_, _>>()?;
    for (number, hash) in stale.into_iter().rev() {
        canonical.remove(number)?;
        for tx_hash in transaction_hashes(&bodies, &hash)? {
            transactions.remove(&tx_hash.0)?;
        }
        change.reverted.push(B256::from(hash));
    }
    for (number, hash) in branch.into_iter().rev() {
        canonical.insert(number, &hash.0)?;
        for (index, tx_hash) in transaction_hashes(&bodies, &hash.0)?.into_iter().enumerate() {
            transactions.insert(&tx_hash.0, (&hash.0, index as u64))?;
        }
        change.committed.push(hash);
    }
    tx.open_table(META)?.insert(META_HEAD, head.as_slice())?;
    Ok(change)
}

fn transaction_hashes(
    bodies: &impl ReadableTable<&'static Hash, &'static [u8]>,
    block: &Hash,
) -> Result<Vec<B256>, StorageError> {
    let body = bodies
        .get(block)?
        .ok_or_else(|| StorageError::Missing { what: "body", key: B256::from(*block).to_string() })?;
    let body =
        Body::decode(&mut body.value()).map_err(|e| StorageError::Corrupt { what: "body", reason: e.to_string() })?;
    Ok(body.transactions.iter().map(|tx: &Transaction| *tx.tx_hash()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64, parent: B256, extra: &'static [u8]) -> StoredBlock {
        let header =
            Header { number, parent_hash: parent, extra_data: Bytes::from_static(extra), ..Default::default() };
        StoredBlock {
            hash: header.hash_slow(),
            header,
            body: Body::default(),
            senders: Vec::new(),
            receipts: Vec::new(),
        }
    }

    #[test]
    fn fork_choice_moves_between_branches() {
        let store = Store::open(None).unwrap();
        let genesis = block(0, B256::ZERO, b"");
        let a1 = block(1, genesis.hash, b"a");
        let a2 = block(2, a1.hash, b"a");
        let b1 = block(1, genesis.hash, b"b");
        for b in [&genesis, &a1, &a2] {
            store.insert_block(b, &BlockState::default(), true).unwrap();
        }
        assert_eq!(store.insert_block(&b1, &BlockState::default(), false).unwrap(), CanonicalChange::default());
        let change = store.set_fork_choice(b1.hash, None, None).unwrap();
        assert_eq!(change, CanonicalChange { reverted: vec![a2.hash, a1.hash], committed: vec![b1.hash] });
        assert_eq!(store.canonical_hash(1).unwrap(), Some(b1.hash));
        assert_eq!(store.canonical_hash(2).unwrap(), None);
        let change = store.set_fork_choice(genesis.hash, None, None).unwrap();
        assert_eq!(change, CanonicalChange { reverted: vec![b1.hash], committed: vec![] });
        let change = store.set_fork_choice(a2.hash, None, None).unwrap();
        assert_eq!(change.committed, vec![a1.hash, a2.hash]);
        assert_eq!(store.head_hash().unwrap(), Some(a2.hash));
    }
}
