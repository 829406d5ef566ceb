//! Publishing on this node's own dev chain, by transactions of the first dev account.

use super::{Included, Outgoing, PublishError, Transport};
use crate::{dev::dev_accounts, evm::REGISTRY_ADDRESS, miner::DevMiner, rpc::Api, storage::StorageError};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_trie::KECCAK_EMPTY;

const TIP: u128 = 1_000_000_000;

/// The node's own chain.
pub(crate) struct LocalTransport<'a> {
    api: &'a Api,
    miner: &'a DevMiner,
    signer: PrivateKeySigner,
}

impl<'a> LocalTransport<'a> {
    pub(crate) fn new(api: &'a Api, miner: &'a DevMiner) -> Result<Self, PublishError> {
        let signer = dev_accounts().into_iter().next();
        let signer = signer.ok_or_else(|| PublishError::Transport("there is no dev account".into()))?;
        Ok(Self { api, miner, signer })
    }

    /// Makes blocks until `number` is the head's.
    pub(crate) fn mine_until(&self, number: u64) -> Result<(), PublishError> {
        while self.api.chain.head().header.number < number {
            self.miner.mine().map_err(failed)?;
        }
        Ok(())
    }

    fn request(&self, data: Bytes, value: U256) -> TransactionRequest {
        TransactionRequest {
            from: Some(self.signer.address()),
            to: Some(TxKind::Call(REGISTRY_ADDRESS)),
            input: data.into(),
            value: Some(value),
            ..Default::default()
        }
    }
}

fn failed(error: impl std::fmt::Display) -> PublishError {
    PublishError::Transport(error.to_string())
}

impl Transport for LocalTransport<'_> {
    fn have_code(&mut self, addresses: &[Address]) -> Result<Vec<bool>, PublishError> {
        let state = self.api.chain.head_state().map_err(failed)?;
        let has_code = |address: &Address| {
            let account = state.account(*address).map_err(failed)?;
            Ok(account.is_some_and(|account| account.code_hash != KECCAK_EMPTY))
        };
        addresses.iter().map(has_code).collect()
    }

    fn block_number(&mut self) -> Result<u64, PublishError> {
        Ok(self.api.chain.head().header.number)
    }

    fn block_gas(&mut self) -> Result<u64, PublishError> {
        Ok(self.api.chain.head().header.gas_limit)
    }

    fn call(&mut self, data: Bytes) -> Result<Bytes, PublishError> {
        self.api
            .call_latest(self.request(data, U256::ZERO))
            .map_err(|e| PublishError::Transport(e.message().to_string()))
    }

    fn send(&mut self, transactions: Vec<Outgoing>) -> Result<Vec<Included>, PublishError> {
        let api = self.api;
        let account = api.chain.head_state().and_then(|s| s.account(self.signer.address())).map_err(failed)?;
        let first = account.unwrap_or_default().nonce;
        let mut hashes = Vec::with_capacity(transactions.len());
        for (nonce, outgoing) in (first..).zip(transactions) {
            let gas_limit = match outgoing.gas {
                Some(gas) => gas,
                None => api.estimate_latest(self.request(outgoing.data.clone(), outgoing.value)).map_err(|e| {
                    PublishError::Failed {
                        what: outgoing.what.clone(),
                        hash: Default::default(),
                        reason: format!("{} {}", e.message(), e.data().map(|d| d.get()).unwrap_or_default()),
                    }
                })?,
            };
            let base_fee = api.chain.next_base_fee(&api.chain.head().header).unwrap_or_default();
            let tx = TxEip1559 {
                chain_id: api.chain.spec().chain_id,
                nonce,
                gas_limit,
                // Full blocks raise the base fee by an eighth each.
                max_fee_per_gas: u128::from(base_fee) * 100 + TIP,
                max_priority_fee_per_gas: TIP,
                to: TxKind::Call(REGISTRY_ADDRESS),
                value: outgoing.value,
                access_list: Default::default(),
                input: outgoing.data,
            };
            let signature = self.signer.sign_hash_sync(&tx.signature_hash()).map_err(failed)?;
            let recovered = crate::primitives::RecoveredTransaction::new_unchecked(
                tx.into_signed(signature).into(),
                self.signer.address(),
            );
            hashes.push(api.pool.add(&api.chain, recovered).map_err(failed)?);
        }
        let store = api.chain.store();
        let mut included = Vec::with_capacity(hashes.len());
        for hash in hashes {
            let (block, index) = loop {
                if let Some(found) = store.transaction_location(hash).map_err(failed)? {
                    break found;
                }
                if let Some(reason) = api.pool.parked(hash) {
                    return Err(PublishError::Transport(format!("{hash} is parked: {reason}")));
                }
                if self.miner.mine().map_err(failed)?.body.transactions.is_empty() {
                    return Err(PublishError::Transport(format!("{hash} is not taken into a block")));
                }
            };
            let missing = || StorageError::Missing { what: "receipts", key: block.to_string() };
            let receipts = store.receipts(block).and_then(|r| r.ok_or_else(missing)).map_err(failed)?;
            let before = index.checked_sub(1).map_or(0, |i| receipts[i].cumulative_gas_used());
            let receipt = receipts.get(index).ok_or_else(missing).map_err(failed)?;
            included.push(Included {
                hash,
                success: receipt.status(),
                gas_used: receipt.cumulative_gas_used() - before,
            });
        }
        Ok(included)
    }
}
