//! The chain: rules, blocks, head.
//!
//! # The one internal interface
//!
//! Whoever decides about blocks (dev miner, block importer, [`crate::consensus`] under the Engine API) uses these and
//! nothing else:
//!
//! | step | method | writes |
//! |---|---|---|
//! | build | `Chain::build` then [`Chain::adopt`] | the block and the head, in one transaction |
//! | validate | [`Chain::import`] | the block, not the head |
//! | fork choice | [`Chain::fork_choice`], [`Chain::set_head`] | the canonical index, head, safe and finalised block |
//! | finalise | [`Chain::finalise`] | the finalised block |
//!
//! A node that cannot execute a block ([`ChainError::Stalled`]) has said nothing about the block.

mod build;
mod error;
mod execute;
mod forkchoice;
pub mod genesis;
pub mod import;
mod replay;
mod spec;
mod validate;

pub(crate) use build::logs_bloom;
pub use build::{BuildAttributes, BuiltBlock};
pub use error::ChainError;
pub(crate) use execute::TransactionFeed;
pub use forkchoice::ForkChoice;
pub use genesis::{GenesisError, genesis_hash};
pub use spec::ChainSpec;

use crate::{
    evm::EvmSource,
    storage::{CanonicalChange, StateReader, StorageError, Store, StoredBlock},
};
use alloy_consensus::Header;
use alloy_genesis::Genesis;
use alloy_primitives::{B256, Bytes};
use revm::database::BundleState;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Told of every move of the canonical chain, in order, before the next move starts.
pub trait ChainListener: Send + Sync {
    /// The canonical chain moved; the blocks named are in the store.
    fn canonical_changed(&self, change: &CanonicalChange);

    /// A block was validated and stored, on whatever branch.
    fn imported(&self, _hash: B256) {}
}

/// The last block of the canonical chain.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its hash.
    pub hash: B256,
    /// Its header.
    pub header: Arc<Header>,
}

/// One chain in one store.
pub struct Chain {
    store: Store,
    spec: Arc<ChainSpec>,
    evm: EvmSource,
    head: RwLock<Head>,
    genesis: B256,
    moving: Mutex<()>,
    listeners: RwLock<Vec<Arc<dyn ChainListener>>>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("head", &self.head()).finish_non_exhaustive()
    }
}

impl Chain {
    /// Opens the chain of `genesis` in `store`, writing its first block where the store is empty.
    pub fn open(store: Store, genesis: Genesis, models: crate::evm::Models) -> Result<Self, ChainError> {
        let spec = Arc::new(ChainSpec::from_genesis(genesis)?);
        genesis::check_genesis(&spec)?;
        genesis::check_predeploys(&spec)?;
        let (block, nodes, codes) = genesis::genesis_block(&spec)?;
        match store.genesis_hash()? {
            Some(found) if found != block.hash => {
                return Err(StorageError::OtherGenesis { found, configured: block.hash }.into());
            }
            Some(_) => {}
            None => {
                let state = crate::storage::BlockState { nodes, codes, ..Default::default() };
                store.insert_block(&block, &state, true)?;
                store.set_genesis(block.hash)?;
            }
        }
        let hash = store.head_hash()?.unwrap_or(block.hash);
        let header = store.header(hash)?.ok_or(ChainError::UnknownBlock(hash))?;
        Ok(Self {
            evm: EvmSource::new(spec.lockstep.clone(), models),
            store,
            spec,
            head: RwLock::new(Head { hash, header: Arc::new(header) }),
            genesis: block.hash,
            moving: Mutex::new(()),
            listeners: RwLock::default(),
        })
    }

    /// The chain's store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The chain's rules.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    pub(crate) fn evm(&self) -> &EvmSource {
        &self.evm
    }

    /// The hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.genesis
    }

    /// The head.
    pub fn head(&self) -> Head {
        self.head.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The header with this hash, which must be known.
    pub fn header(&self, hash: B256) -> Result<Header, ChainError> {
        let head = self.head();
        if head.hash == hash {
            return Ok((*head.header).clone());
        }
        self.store.header(hash)?.ok_or(ChainError::UnknownBlock(hash))
    }

    /// The state after the head.
    pub fn head_state(&self) -> Result<StateReader, StorageError> {
        let head = self.head();
        self.store.state(&head.header, head.hash)
    }

    /// Adds a listener; it hears of moves from now on.
    pub fn listen(&self, listener: Arc<dyn ChainListener>) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Stores a block that was built here and makes it the head. On disk when this returns.
    pub fn adopt(&self, built: BuiltBlock) -> Result<StoredBlock, ChainError> {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let change = self.store.insert_block(&built.block, &built.state, true)?;
        self.moved(Head { hash: built.block.hash, header: Arc::new(built.block.header.clone()) }, &change);
        Ok(built.block)
    }

    fn announce_import(&self, hash: B256) {
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners {
            listener.imported(hash);
        }
    }

    fn moved(&self, head: Head, change: &CanonicalChange) {
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head;
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners {
            listener.canonical_changed(change);
        }
    }
}

/// The code that a block created, by hash.
fn new_codes(bundle: &BundleState) -> Vec<(B256, Bytes)> {
    bundle.contracts.iter().map(|(hash, code)| (*hash, code.original_bytes())).collect()
}
