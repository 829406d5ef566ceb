//! Reading a whole state again: every node by its hash, and the root over all leaves by another implementation.

use super::{
    StorageError, Store,
    schema::{CODES, NODES},
};
use alloy_consensus::Header;
use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{
    EMPTY_ROOT_HASH, HashBuilder, KECCAK_EMPTY, Nibbles, TrieAccount,
    nodes::{RlpNode, TrieNode},
};
type Table = redb::ReadOnlyTable<&'static super::schema::Hash, &'static [u8]>;

/// What the state after one block consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedState {
    /// The state root, computed from all leaves.
    pub root: B256,
    /// Accounts.
    pub accounts: u64,
    /// Storage slots of all accounts.
    pub slots: u64,
    /// Accounts with code; each code was hashed.
    pub codes: u64,
    /// Trie nodes that were read and hashed.
    pub nodes: u64,
}

impl Store {
    /// Reads the whole state after the block with this header: each trie node and each code must have the hash that names it,
    /// and [HashBuilder], which shares nothing with the incremental trie, must come to the header's root from the leaves
    /// alone. Takes time in proportion to the state, and memory of one path.
    pub fn verify_state(&self, header: &Header) -> Result<VerifiedState, StorageError> {
        let tx = self.read()?;
        let (nodes, codes) = (tx.open_table(NODES)?, tx.open_table(CODES)?);
        let mut found = VerifiedState::default();
        let mut accounts = HashBuilder::default();
        let mut walk = Walk::new(&nodes, header.state_root);
        while let Some((path, value)) = walk.next_leaf()? {
            let account: TrieAccount = super::error::decode("account", &value)?;
            found.accounts += 1;
            let mut slots = HashBuilder::default();
            let mut storage = Walk::new(&nodes, account.storage_root);
            while let Some((path, value)) = storage.next_leaf()? {
                super::error::decode::<U256>("storage value", &value)?;
                slots.add_leaf(path, &value);
                found.slots += 1;
            }
            found.nodes += storage.read;
            same("storage root", account.storage_root, slots.root())?;
            if account.code_hash != KECCAK_EMPTY {
                let missing = || StorageError::Missing { what: "code", key: account.code_hash.to_string() };
                let code = codes.get(&account.code_hash.0)?.ok_or_else(missing)?;
                same("code", account.code_hash, keccak256(code.value()))?;
                found.codes += 1;
            }
            accounts.add_leaf(path, &value);
        }
        found.nodes += walk.read;
        found.root = accounts.root();
        same("state root", header.state_root, found.root)?;
        Ok(found)
    }
}

fn same(what: &'static str, wanted: B256, found: B256) -> Result<(), StorageError> {
    if wanted == found {
        return Ok(());
    }
    Err(StorageError::Corrupt { what, reason: format!("its bytes hash to {found}, not to {wanted}") })
}

/// The leaves of one trie, in the order of their paths.
struct Walk<'a> {
    table: &'a Table,
    /// What is still to be looked at, the next on top.
    stack: Vec<(Nibbles, Place)>,
    read: u64,
}

enum Place {
    Root(B256),
    Child(RlpNode),
}

impl<'a> Walk<'a> {
    fn new(table: &'a Table, root: B256) -> Self {
        let stack = if root == EMPTY_ROOT_HASH { Vec::new() } else { vec![(Nibbles::default(), Place::Root(root))] };
        Self { table, stack, read: 0 }
    }

    fn next_leaf(&mut self) -> Result<Option<(Nibbles, Vec<u8>)>, StorageError> {
        while let Some((path, place)) = self.stack.pop() {
            match self.node(&place)? {
                TrieNode::EmptyRoot => {}
                TrieNode::Leaf(leaf) => return Ok(Some((path.join(&leaf.key), leaf.value))),
                TrieNode::Extension(extension) => {
                    self.stack.push((path.join(&extension.key), Place::Child(extension.child)));
                }
                TrieNode::Branch(branch) => {
                    // The stack holds the children that are there, in order.
                    let there = (0..16u8).filter(|nibble| branch.state_mask.is_bit_set(*nibble));
                    let first = self.stack.len();
                    for (nibble, child) in there.zip(branch.stack) {
                        let mut path = path;
                        path.push(nibble);
                        self.stack.push((path, Place::Child(child)));
                    }
                    self.stack[first..].reverse();
                }
            }
        }
        Ok(None)
    }

    fn node(&mut self, place: &Place) -> Result<TrieNode, StorageError> {
        let hash = match place {
            Place::Root(root) => *root,
            Place::Child(child) => match child.as_hash() {
                Some(hash) => hash,
                // Shorter than a hash: the node itself.
                None => return decoded(child.as_slice()),
            },
        };
        let stored = self.table.get(&hash.0)?;
        let stored = stored.ok_or_else(|| StorageError::Missing { what: "trie node", key: hash.to_string() })?;
        self.read += 1;
        same("trie node", hash, keccak256(stored.value()))?;
        decoded(stored.value())
    }
}

fn decoded(mut bytes: &[u8]) -> Result<TrieNode, StorageError> {
    TrieNode::decode(&mut bytes).map_err(|error| StorageError::Corrupt { what: "trie node", reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::crash::append;
    use redb::ReadableTable;

    fn head(store: &Store) -> Header {
        store.block(store.head_hash().unwrap().unwrap()).unwrap().unwrap().header
    }

    /// Damages one node after the other, and puts it back.
    fn each(store: &Store, mut look: impl FnMut()) {
        let entries: Vec<([u8; 32], Vec<u8>)> = {
            let tx = store.read().unwrap();
            let table = tx.open_table(NODES).unwrap();
            table.iter().unwrap().map(Result::unwrap).map(|(k, v)| (*k.value(), v.value().to_vec())).collect()
        };
        let put = |key: &[u8; 32], value: Option<&[u8]>| {
            let tx = store.write().unwrap();
            match value {
                Some(value) => drop(tx.open_table(NODES).unwrap().insert(key, value).unwrap()),
                None => drop(tx.open_table(NODES).unwrap().remove(key).unwrap()),
            }
            tx.commit().unwrap();
        };
        assert!(!entries.is_empty());
        for (key, value) in entries {
            let mut wrong = value.clone();
            *wrong.last_mut().unwrap() ^= 1;
            for other in [Some(wrong.as_slice()), None] {
                put(&key, other);
                look();
                put(&key, Some(&value));
            }
        }
    }

    #[test]
    fn a_state_that_lacks_a_node_or_holds_a_wrong_one_is_found() {
        let store = Store::open(None).unwrap();
        append(&store, 1, |_| ());
        let header = head(&store);
        let sound = store.verify_state(&header).unwrap();
        assert_eq!((sound.root, sound.accounts), (header.state_root, 6));
        // One block: its state needs every node.
        each(&store, || {
            let error = store.verify_state(&header).unwrap_err();
            assert!(matches!(error, StorageError::Missing { .. } | StorageError::Corrupt { .. }), "{error}");
            assert!(error.to_string().contains("restore a backup"), "{error}");
        });
        assert_eq!(store.verify_state(&header).unwrap(), sound);
    }
}
