//! What the methods work on, and how they find a block.

use super::error::{IntoRpc, NOT_FOUND, RpcResult, error};
use crate::{
    chain::{BuildAttributes, Chain},
    consensus::Driver,
    crosscheck::{CrossCheck, Faults},
    evm::Models,
    miner::DevMiner,
    models::ModelKeeper,
    pool::Pool,
    preexec::PreExecution,
    storage::{StateReader, StoredBlock},
};
use alloy_consensus::Header;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_evm::EvmEnv;
use alloy_primitives::{Address, B256, keccak256};
use alloy_signer_local::PrivateKeySigner;
use std::sync::{Arc, Mutex};

/// Everything the methods need.
#[derive(Debug)]
pub struct Api {
    /// The chain.
    pub chain: Arc<Chain>,
    /// The pool.
    pub pool: Arc<Pool>,
    /// The dev miner; with it come the dev methods.
    pub miner: Option<Arc<DevMiner>>,
    /// The accounts that this node signs for: the dev accounts, or none.
    pub accounts: Vec<PrivateKeySigner>,
    /// The models in memory.
    pub models: Models,
    /// The cross-check, on a chain with inference.
    pub crosscheck: Option<Arc<CrossCheck>>,
    /// Pre-execution, where it is on.
    pub preexec: Option<Arc<PreExecution>>,
    /// Where a consensus side outside decides about blocks.
    pub driver: Option<Arc<Driver>>,
    /// What keeps active models in memory, on a chain with inference.
    pub keeper: Option<Arc<ModelKeeper>>,
    /// Faults injected on purpose (dev).
    pub faults: Arc<Faults>,
    pub(crate) filters: super::filters::Filters,
    pub(crate) gate: Arc<super::gate::Gate>,
    /// Held while a transaction of an account of this node gets its nonce.
    pub(crate) signing: Mutex<()>,
    /// Accounts whose transactions need no key (dev).
    pub(crate) impersonated: super::impersonate::Impersonated,
    pub(crate) heads: Arc<super::subscribe::Heads>,
}

/// A block as a request names it.
pub(crate) struct Located {
    pub(crate) hash: B256,
    pub(crate) header: Header,
    /// The head seen as the block that is being made.
    pub(crate) pending: bool,
}

impl Api {
    /// Methods over these parts.
    pub fn new(
        chain: Arc<Chain>,
        pool: Arc<Pool>,
        miner: Option<Arc<DevMiner>>,
        accounts: Vec<PrivateKeySigner>,
        models: Models,
        crosscheck: Option<Arc<CrossCheck>>,
        preexec: Option<Arc<PreExecution>>,
    ) -> Self {
        let heads = Arc::new(super::subscribe::Heads::default());
        chain.listen(heads.clone());
        let faults = Arc::new(Faults::new(models.clone(), chain.evm().memo().clone()));
        Self {
            chain,
            pool,
            miner,
            accounts,
            models,
            crosscheck,
            preexec,
            driver: None,
            keeper: None,
            faults,
            filters: Default::default(),
            gate: Default::default(),
            signing: Default::default(),
            impersonated: Default::default(),
            heads,
        }
    }

    /// What the metrics are read from.
    pub(crate) fn sources(&self) -> crate::metrics::Sources {
        let (chain, models) = (self.chain.clone(), self.models.clone());
        crate::metrics::Sources { chain, models, crosscheck: self.crosscheck.clone() }
    }

    /// The hash of a canonical block, or of any known block named by its hash.
    pub(crate) fn block_hash(&self, id: BlockId) -> RpcResult<Option<B256>> {
        let store = self.chain.store();
        match id {
            BlockId::Hash(hash) => Ok(store.header(hash.block_hash).rpc()?.map(|_| hash.block_hash)),
            BlockId::Number(tag) => match tag {
                BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => Ok(Some(self.chain.head().hash)),
                BlockNumberOrTag::Earliest => Ok(Some(self.chain.genesis_hash())),
                BlockNumberOrTag::Number(number) => store.canonical_hash(number).rpc(),
                BlockNumberOrTag::Safe => match self.safe()? {
                    Some(hash) => Ok(Some(hash)),
                    None => self.finalised(),
                },
                BlockNumberOrTag::Finalized => self.finalised(),
            },
        }
    }

    /// The safe block, where it still is on the canonical chain.
    fn safe(&self) -> RpcResult<Option<B256>> {
        let store = self.chain.store();
        let Some(hash) = store.safe_hash().rpc()? else { return Ok(None) };
        let number = self.chain.header(hash).rpc()?.number;
        Ok(store.canonical_hash(number).rpc()?.filter(|canonical| *canonical == hash))
    }

    fn finalised(&self) -> RpcResult<Option<B256>> {
        let finalised = self.chain.store().finalised_hash().rpc()?;
        // Without a consensus side, only whoever runs this node can take blocks back.
        Ok(finalised.or_else(|| self.driver.is_none().then(|| self.chain.head().hash)))
    }

    /// The block that a request names; an error where there is none.
    pub(crate) fn locate(&self, id: Option<BlockId>) -> RpcResult<Located> {
        let id = id.unwrap_or_default();
        let not_found = || error(NOT_FOUND, format!("header not found: {id}"));
        let hash = self.block_hash(id)?.ok_or_else(not_found)?;
        let header = self.chain.header(hash).rpc()?;
        Ok(Located { hash, header, pending: id == BlockId::pending() })
    }

    /// The state after the block that a request names.
    pub(crate) fn state(&self, id: Option<BlockId>) -> RpcResult<StateReader> {
        let block = self.locate(id)?;
        self.chain.store().state(&block.header, block.hash).rpc()
    }

    /// The nonce of the account's next transaction, those of the pool counted.
    pub(crate) fn next_nonce(&self, address: Address) -> RpcResult<u64> {
        loop {
            let head = self.chain.head();
            let state = self.chain.store().state(&head.header, head.hash).rpc()?;
            let nonce = self.pool.next_nonce(address, state.account(address).rpc()?.unwrap_or_default().nonce);
            // A block made meanwhile has taken transactions out of the pool, which the state did not count yet.
            if self.chain.head().hash == head.hash {
                return Ok(nonce);
            }
        }
    }

    /// The stored block with this hash.
    pub(crate) fn stored(&self, hash: B256) -> RpcResult<StoredBlock> {
        self.chain.store().block(hash).rpc()?.ok_or_else(|| error(NOT_FOUND, format!("block {hash} not found")))
    }

    /// The EVM environment that a call on top of this block sees.
    pub(crate) fn env(&self, block: &Located) -> EvmEnv {
        if block.pending {
            return self.chain.next_env(&block.header, &self.next_attributes());
        }
        let spec = self.chain.spec();
        EvmEnv::for_eth_block(&block.header, spec.as_ref(), spec.chain_id, spec.blob_params(block.header.timestamp))
    }

    /// The attributes of the next block.
    pub(crate) fn next_attributes(&self) -> BuildAttributes {
        match &self.miner {
            Some(miner) => miner.next_attributes(),
            None => {
                let head = self.chain.head();
                BuildAttributes {
                    timestamp: head.header.timestamp.saturating_add(1),
                    gas_limit: head.header.gas_limit,
                    prev_randao: keccak256(head.hash),
                    ..Default::default()
                }
            }
        }
    }
}

/// Calls by the node itself.
impl Api {
    /// What `eth_call` answers.
    pub(crate) fn call_latest(
        &self,
        request: alloy_rpc_types_eth::TransactionRequest,
    ) -> RpcResult<alloy_primitives::Bytes> {
        super::call::output(super::call::Call::prepare(self, request, None, None, None)?.run(self)?)
    }

    /// What `eth_estimateGas` answers.
    pub(crate) fn estimate_latest(&self, request: alloy_rpc_types_eth::TransactionRequest) -> RpcResult<u64> {
        let mut call = super::call::Call::prepare(self, request, Some(BlockId::pending()), None, None)?;
        super::estimate::estimate_default(self, &mut call)
    }
}
