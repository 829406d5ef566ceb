//! The state trie: how the changes of a block become a state root and new trie nodes.
//!
//! The trie is updated incrementally by `eth_trie`, whose pruning is not used: nodes are shared by hash, so
//! removing one breaks every other place that holds it. Nodes stay for ever (archive).

use super::StorageError;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount};
use eth_trie::{DB, EthTrie, Trie};
use revm::database::BundleState;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// Where trie nodes are read from.
pub trait NodeSource: Send + Sync {
    /// The node with this hash.
    fn node(&self, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, StorageError>;
}

impl<S: NodeSource> NodeSource for &S {
    fn node(&self, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, StorageError> {
        (**self).node(hash)
    }
}

/// New nodes and the root that a block's changes lead to.
#[derive(Debug, Default, Clone)]
pub struct TrieUpdate {
    /// The state root after the changes.
    pub root: B256,
    /// The nodes that the database does not hold yet, or holds already with the same bytes.
    pub nodes: HashMap<B256, Vec<u8>>,
}

/// The account trie and storage tries as of one state root.
pub struct StateTrie<S> {
    db: Arc<Overlay<S>>,
    root: B256,
}

impl<S> std::fmt::Debug for StateTrie<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateTrie({})", self.root)
    }
}

/// Key of a proof: the nodes from the root to the leaf.
pub(crate) type ProofNodes = Vec<Vec<u8>>;

impl<S: NodeSource> StateTrie<S> {
    /// The trie with the given root.
    pub fn new(source: S, root: B256) -> Self {
        Self { db: Arc::new(Overlay { source, new: Mutex::default() }), root }
    }

    /// The account at `address`.
    pub fn account(&self, address: Address) -> Result<Option<TrieAccount>, StorageError> {
        self.open(self.root)?
            .get(keccak256(address).as_slice())?
            .map(|bytes| super::error::decode("account", &bytes))
            .transpose()
    }

    /// A storage value under the storage root of an account.
    pub fn storage(&self, storage_root: B256, slot: U256) -> Result<U256, StorageError> {
        if storage_root == EMPTY_ROOT_HASH {
            return Ok(U256::ZERO);
        }
        let key = keccak256(slot.to_be_bytes::<32>());
        match self.open(storage_root)?.get(key.as_slice())? {
            Some(bytes) => super::error::decode("storage value", &bytes),
            None => Ok(U256::ZERO),
        }
    }

    /// Merkle proof of an account, or of its absence.
    pub(crate) fn account_proof(&self, address: Address) -> Result<ProofNodes, StorageError> {
        Ok(self.open(self.root)?.get_proof(keccak256(address).as_slice())?)
    }

    /// Merkle proof of a storage slot, or of its absence.
    pub(crate) fn storage_proof(&self, storage_root: B256, slot: U256) -> Result<ProofNodes, StorageError> {
        if storage_root == EMPTY_ROOT_HASH {
            return Ok(Vec::new());
        }
        Ok(self.open(storage_root)?.get_proof(keccak256(slot.to_be_bytes::<32>()).as_slice())?)
    }

    /// The root that these changes would lead to.
    pub(crate) fn root_after(&self, bundle: &BundleState) -> Result<B256, StorageError> {
        Ok(StateTrie::new(&self.db.source, self.root).apply(bundle)?.root)
    }

    /// Applies a block's changes and returns the new root with the new nodes.
    pub fn apply(self, bundle: &BundleState) -> Result<TrieUpdate, StorageError> {
        let mut accounts = self.open(self.root)?;
        for (address, change) in &bundle.state {
            let key = keccak256(address);
            let Some(info) = change.info.as_ref() else {
                accounts.remove(key.as_slice())?;
                continue;
            };
            let old_root = if change.status.was_destroyed() {
                EMPTY_ROOT_HASH
            } else {
                match accounts.get(key.as_slice())? {
                    Some(bytes) => super::error::decode::<TrieAccount>("account", &bytes)?.storage_root,
                    None => EMPTY_ROOT_HASH,
                }
            };
            let storage_root = if change.storage.is_empty() {
                old_root
            } else {
                let mut storage = self.open(old_root)?;
                for (slot, value) in &change.storage {
                    let key = keccak256(slot.to_be_bytes::<32>());
                    if value.present_value.is_zero() {
                        storage.remove(key.as_slice())?;
                    } else {
                        storage.insert(key.as_slice(), &alloy_rlp::encode(value.present_value))?;
                    }
                }
                storage.root_hash()?
            };
            let code_hash = if info.code_hash.is_zero() { KECCAK_EMPTY } else { info.code_hash };
            let account = TrieAccount { nonce: info.nonce, balance: info.balance, storage_root, code_hash };
            accounts.insert(key.as_slice(), &alloy_rlp::encode(account))?;
        }
        let root = accounts.root_hash()?;
        drop(accounts);
        let nodes = std::mem::take(&mut *lock(&self.db.new));
        Ok(TrieUpdate { root, nodes })
    }

    fn open(&self, root: B256) -> Result<EthTrie<Overlay<S>>, StorageError> {
        if root == EMPTY_ROOT_HASH {
            return Ok(EthTrie::new(self.db.clone()));
        }
        EthTrie::from(self.db.clone(), root).map_err(|error| match error {
            eth_trie::TrieError::InvalidStateRoot => StorageError::Missing { what: "trie root", key: root.to_string() },
            other => other.into(),
        })
    }
}

/// Nodes not yet written lie over those of the database.
struct Overlay<S> {
    source: S,
    new: Mutex<HashMap<B256, Vec<u8>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl<S: NodeSource> DB for Overlay<S> {
    type Error = StorageError;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Self::Error> {
        let hash: &[u8; 32] = key
            .try_into()
            .map_err(|_| StorageError::Corrupt { what: "trie key", reason: format!("{} bytes", key.len()) })?;
        if let Some(node) = lock(&self.new).get(&B256::from(hash)) {
            return Ok(Some(node.clone()));
        }
        // The empty trie is not stored: its one node is the RLP of an empty string.
        if EMPTY_ROOT_HASH == *hash {
            return Ok(Some(vec![alloy_rlp::EMPTY_STRING_CODE]));
        }
        self.source.node(hash)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> Result<(), Self::Error> {
        lock(&self.new).insert(B256::from_slice(key), value);
        Ok(())
    }

    fn remove(&self, _key: &[u8]) -> Result<(), Self::Error> {
        Ok(()) // shared by hash: see the module's text
    }

    fn flush(&self) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
    use revm::state::AccountInfo;
    use std::collections::BTreeMap;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<HashMap<B256, Vec<u8>>>>);

    impl NodeSource for Memory {
        fn node(&self, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, StorageError> {
            Ok(lock(&self.0).get(&B256::from(*hash)).cloned())
        }
    }

    /// A small deterministic generator, so that the test needs no dependency.
    struct Lcg(u64);
    impl Lcg {
        fn next(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) % bound
        }
    }

    /// The incremental root equals alloy-trie's full recomputation over random histories,
    /// deletions, wiped storage and old roots included.
    #[test]
    fn incremental_root_equals_full_recompute() {
        let memory = Memory::default();
        let mut rng = Lcg(7);
        let mut root = EMPTY_ROOT_HASH;
        let mut model: BTreeMap<Address, (u64, BTreeMap<U256, U256>)> = BTreeMap::new();
        let mut history = Vec::new();
        for _ in 0..120 {
            let mut bundle = BundleState::default();
            for _ in 0..rng.next(6) + 1 {
                let address = Address::with_last_byte(rng.next(40) as u8);
                if bundle.state.contains_key(&address) {
                    continue;
                }
                let mut account = revm::database::BundleAccount::new(
                    None,
                    None,
                    Default::default(),
                    revm::database::AccountStatus::Changed,
                );
                if rng.next(5) == 0 {
                    model.remove(&address);
                    account.status = revm::database::AccountStatus::Destroyed;
                } else {
                    let wipe = rng.next(6) == 0;
                    if wipe {
                        account.status = revm::database::AccountStatus::DestroyedChanged;
                    }
                    let entry = model.entry(address).or_default();
                    if wipe {
                        entry.1.clear();
                    }
                    entry.0 = rng.next(1000) + 1;
                    for _ in 0..rng.next(5) {
                        let (slot, value) = (U256::from(rng.next(30)), U256::from(rng.next(3)));
                        account
                            .storage
                            .insert(slot, revm::database::states::StorageSlot::new_changed(U256::ZERO, value));
                        if value.is_zero() {
                            entry.1.remove(&slot);
                        } else {
                            entry.1.insert(slot, value);
                        }
                    }
                    account.info = Some(AccountInfo { nonce: entry.0, ..Default::default() });
                }
                bundle.state.insert(address, account);
            }
            let update = StateTrie::new(memory.clone(), root).apply(&bundle).unwrap();
            lock(&memory.0).extend(update.nodes);
            root = update.root;
            let expected = state_root_unhashed(model.iter().map(|(address, (nonce, storage))| {
                let storage_root = storage_root_unhashed(storage.iter().map(|(k, v)| (B256::from(*k), *v)));
                (*address, TrieAccount { nonce: *nonce, balance: U256::ZERO, storage_root, code_hash: KECCAK_EMPTY })
            }));
            assert_eq!(root, expected);
            history.push((root, model.clone()));
        }
        for (root, model) in history {
            let trie = StateTrie::new(memory.clone(), root);
            for (address, (nonce, storage)) in model {
                let account = trie.account(address).unwrap().unwrap();
                assert_eq!(account.nonce, nonce);
                for slot in 0..30 {
                    let slot = U256::from(slot);
                    let expected = storage.get(&slot).copied().unwrap_or_default();
                    assert_eq!(trie.storage(account.storage_root, slot).unwrap(), expected);
                }
            }
        }
    }
}
