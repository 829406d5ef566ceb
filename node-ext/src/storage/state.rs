//! Reading the state as of a block.

use super::{
    StateTrie, StorageError, Store,
    schema::{CANONICAL, CODES, HEADERS, Hash, NODES},
    trie::{NodeSource, ProofNodes},
};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::{KECCAK_EMPTY, TrieAccount};
use redb::ReadOnlyTable;
use revm::{bytecode::Bytecode, database_interface::DatabaseRef, state::AccountInfo};
use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
};

/// The state after one block, and the block hashes that code running on top of it may ask for.
///
/// It reads from one snapshot of the database: blocks added meanwhile do not disturb it.
pub struct StateReader {
    trie: StateTrie<Nodes>,
    codes: ReadOnlyTable<&'static Hash, &'static [u8]>,
    headers: ReadOnlyTable<&'static Hash, &'static [u8]>,
    canonical: ReadOnlyTable<u64, &'static Hash>,
    number: u64,
    hash: B256,
    /// Accounts already read: storage reads need the account's storage root each time.
    accounts: Mutex<HashMap<Address, Option<TrieAccount>>>,
    /// The first failure of a read by the EVM.
    fault: OnceLock<String>,
}

impl std::fmt::Debug for StateReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateReader({}, {})", self.number, self.hash)
    }
}

struct Nodes(ReadOnlyTable<&'static Hash, &'static [u8]>);

impl NodeSource for Nodes {
    fn node(&self, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.get(hash)?.map(|node| node.value().to_vec()))
    }
}

impl Store {
    /// The state after the block with this header and hash.
    pub fn state(&self, header: &Header, hash: B256) -> Result<StateReader, StorageError> {
        self.state_at(header.state_root, header.number, hash)
    }

    /// The state with the given root, seen from the block `number`, `hash`.
    pub(crate) fn state_at(&self, root: B256, number: u64, hash: B256) -> Result<StateReader, StorageError> {
        let tx = self.read()?;
        Ok(StateReader {
            trie: StateTrie::new(Nodes(tx.open_table(NODES)?), root),
            codes: tx.open_table(CODES)?,
            headers: tx.open_table(HEADERS)?,
            canonical: tx.open_table(CANONICAL)?,
            number,
            hash,
            accounts: Mutex::default(),
            fault: OnceLock::new(),
        })
    }
}

impl StateReader {
    /// The account as the trie holds it.
    pub fn account(&self, address: Address) -> Result<Option<TrieAccount>, StorageError> {
        let mut cache = self.accounts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(account) = cache.get(&address) {
            return Ok(*account);
        }
        let account = self.trie.account(address)?;
        cache.insert(address, account);
        Ok(account)
    }

    /// The storage value at `slot` of `address`.
    pub fn slot(&self, address: Address, slot: U256) -> Result<U256, StorageError> {
        match self.account(address)? {
            Some(account) => self.trie.storage(account.storage_root, slot),
            None => Ok(U256::ZERO),
        }
    }

    /// The code of `address`, empty where there is none.
    pub fn code(&self, address: Address) -> Result<Bytes, StorageError> {
        match self.account(address)? {
            Some(account) => self.code_of(account.code_hash),
            None => Ok(Bytes::new()),
        }
    }

    /// Proof of the account and of the given slots.
    pub(crate) fn proof(
        &self,
        address: Address,
        slots: &[U256],
    ) -> Result<(ProofNodes, Vec<ProofNodes>), StorageError> {
        let account = self.trie.account_proof(address)?;
        let root = self.account(address)?.unwrap_or_default().storage_root;
        let storage = slots.iter().map(|slot| self.trie.storage_proof(root, *slot)).collect::<Result<_, _>>()?;
        Ok((account, storage))
    }

    /// The state root that these changes would lead to.
    pub(crate) fn root_after(&self, bundle: &revm::database::BundleState) -> Result<B256, StorageError> {
        self.trie.root_after(bundle)
    }

    /// Applies a block's changes to this state; nothing is written yet.
    pub(crate) fn into_trie_update(
        self,
        bundle: &revm::database::BundleState,
    ) -> Result<super::TrieUpdate, StorageError> {
        self.trie.apply(bundle)
    }

    /// The first failure of a read that the EVM made, if there was one. Whatever executing led to after it says nothing
    /// about a block: layers above report some failed reads as if the block were invalid.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }

    fn watched<T>(&self, read: Result<T, StorageError>) -> Result<T, StorageError> {
        read.inspect_err(|error| {
            self.fault.get_or_init(|| error.to_string());
        })
    }

    fn code_of(&self, hash: B256) -> Result<Bytes, StorageError> {
        if hash == KECCAK_EMPTY || hash.is_zero() {
            return Ok(Bytes::new());
        }
        self.codes
            .get(&hash.0)?
            .map(|code| Bytes::copy_from_slice(code.value()))
            .ok_or_else(|| StorageError::Missing { what: "code", key: hash.to_string() })
    }

    fn canonical_hash(&self, number: u64) -> Result<Option<B256>, StorageError> {
        Ok(self.canonical.get(number)?.map(|hash| B256::from(*hash.value())))
    }

    fn ancestor(&self, number: u64) -> Result<B256, StorageError> {
        if number > self.number {
            return Ok(B256::ZERO);
        }
        let (mut at, mut hash) = (self.number, self.hash);
        // On a side branch: walk back until the branch meets the canonical chain.
        while at > number {
            if self.canonical_hash(at)? == Some(hash) {
                return Ok(self.canonical_hash(number)?.unwrap_or_default());
            }
            let header = self
                .headers
                .get(&hash.0)?
                .ok_or_else(|| StorageError::Missing { what: "header", key: hash.to_string() })?;
            hash = super::error::decode::<Header>("header", header.value())?.parent_hash;
            at -= 1;
        }
        Ok(hash)
    }
}

impl DatabaseRef for StateReader {
    type Error = StorageError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        Ok(self.watched(self.account(address))?.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Self::Error> {
        self.watched(self.code_of(hash).and_then(|code| {
            Bytecode::new_raw_checked(code).map_err(|e| StorageError::Corrupt { what: "code", reason: e.to_string() })
        }))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        self.watched(self.slot(address, slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        self.watched(self.ancestor(number))
    }
}
