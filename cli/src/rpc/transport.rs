//! Sending the planner's transactions, signed here.

use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::{eip2718::Encodable2718, eip7825::MAX_TX_GAS_LIMIT_OSAKA};
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use lockstep_node_ext::evm::REGISTRY_ADDRESS;
use lockstep_node_ext::publish::{Included, Outgoing, PublishError, Transport};
use serde_json::{Value, json};

use super::Client;

/// How long a transaction may wait for its block.
const PATIENCE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(150);

/// An account that publishes over JSON-RPC.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Client,
    signer: PrivateKeySigner,
    chain_id: u64,
}

fn failed(e: impl std::fmt::Display) -> PublishError {
    PublishError::Transport(e.to_string())
}

impl Sender {
    /// An account at a node.
    pub(crate) fn new(client: Client, signer: PrivateKeySigner) -> Result<Self, PublishError> {
        let chain_id = client.chain_id()?;
        Ok(Self { client, signer, chain_id })
    }

    /// The node it sends to.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Its key.
    pub(crate) fn signer(&self) -> &PrivateKeySigner {
        &self.signer
    }

    /// Its address.
    pub(crate) fn address(&self) -> Address {
        self.signer.address()
    }

    /// What it holds, in wei.
    pub(crate) fn balance(&self) -> Result<U256, PublishError> {
        self.client.call("eth_getBalance", json!([self.signer.address(), "latest"]))
    }

    fn estimate(&self, outgoing: &Outgoing) -> Result<u64, PublishError> {
        let call = json!([{ "from": self.signer.address(), "to": REGISTRY_ADDRESS, "data": outgoing.data, "value": outgoing.value }]);
        let refused = |e: PublishError| PublishError::Refused { what: outgoing.what.clone(), reason: e.to_string() };
        let gas: U64 = self.client.call("eth_estimateGas", call).map_err(refused)?;
        let gas: u64 = gas.to();
        // An estimate that is near the cap of a transaction stands by itself.
        Ok((gas + gas / 10).min(MAX_TX_GAS_LIMIT_OSAKA.max(gas)))
    }

    /// Sends signed transactions side by side: a dev chain answers when a transaction is in its block, which then takes
    /// those that arrived meanwhile. The chain orders them by nonce.
    fn send_raw(&self, signed: &[Bytes]) -> Result<Vec<B256>, PublishError> {
        let one = |raw: &Bytes| self.client.call::<B256>("eth_sendRawTransaction", json!([raw]));
        std::thread::scope(|scope| {
            let sending: Vec<_> = signed.iter().map(|raw| scope.spawn(move || one(raw))).collect();
            let joined = sending.into_iter().map(|s| s.join().unwrap_or_else(|_| Err(failed("a thread died"))));
            joined.collect()
        })
    }

    fn receipt(&self, hash: B256) -> Result<Included, PublishError> {
        let started = Instant::now();
        loop {
            let receipt: Value = self.client.call("eth_getTransactionReceipt", json!([hash]))?;
            if !receipt.is_null() {
                let number = |key: &str| {
                    let value = receipt.get(key).cloned().unwrap_or(Value::Null);
                    serde_json::from_value::<U64>(value).map(|n| n.to::<u64>()).map_err(failed)
                };
                return Ok(Included { hash, success: number("status")? == 1, gas_used: number("gasUsed")? });
            }
            if started.elapsed() > PATIENCE {
                return Err(failed(format!(
                    "the transaction {hash} is in no block after {} minutes; run the same command again to go on",
                    PATIENCE.as_secs() / 60
                )));
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Transport for Sender {
    fn have_code(&mut self, addresses: &[Address]) -> Result<Vec<bool>, PublishError> {
        self.client.have_code(addresses)
    }

    fn block_number(&mut self) -> Result<u64, PublishError> {
        self.client.block_number()
    }

    fn block_gas(&mut self) -> Result<u64, PublishError> {
        let block: Value = self.client.call("eth_getBlockByNumber", json!(["latest", false]))?;
        let gas = block.get("gasLimit").cloned().unwrap_or(Value::Null);
        serde_json::from_value::<U64>(gas).map(|gas| gas.to()).map_err(failed)
    }

    fn call(&mut self, data: Bytes) -> Result<Bytes, PublishError> {
        self.client.eth_call(REGISTRY_ADDRESS, &data)
    }

    fn send(&mut self, transactions: Vec<Outgoing>) -> Result<Vec<Included>, PublishError> {
        let from = self.signer.address();
        let first: u64 = self.client.call::<U64>("eth_getTransactionCount", json!([from, "pending"]))?.to();
        let (base, tip) = self.client.fees()?;
        let mut signed = Vec::with_capacity(transactions.len());
        for (nonce, outgoing) in (first..).zip(transactions) {
            let gas_limit = match outgoing.gas {
                Some(gas) => gas,
                None => self.estimate(&outgoing)?,
            };
            let tx = TxEip1559 {
                chain_id: self.chain_id,
                nonce,
                gas_limit,
                // Full blocks raise the base fee by an eighth each.
                max_fee_per_gas: base.saturating_mul(4).saturating_add(tip),
                max_priority_fee_per_gas: tip,
                to: TxKind::Call(REGISTRY_ADDRESS),
                value: outgoing.value,
                access_list: Default::default(),
                input: outgoing.data,
            };
            let signature = self.signer.sign_hash_sync(&tx.signature_hash()).map_err(failed)?;
            signed.push(Bytes::from(tx.into_signed(signature).encoded_2718()));
        }
        self.send_raw(&signed)?.into_iter().map(|hash| self.receipt(hash)).collect()
    }
}

/// Whoever only looks.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a Client);

impl Transport for Reader<'_> {
    fn have_code(&mut self, addresses: &[Address]) -> Result<Vec<bool>, PublishError> {
        self.0.have_code(addresses)
    }

    fn call(&mut self, data: Bytes) -> Result<Bytes, PublishError> {
        self.0.eth_call(REGISTRY_ADDRESS, &data)
    }

    fn block_number(&mut self) -> Result<u64, PublishError> {
        self.0.block_number()
    }

    fn block_gas(&mut self) -> Result<u64, PublishError> {
        Err(failed("nothing is sent here"))
    }

    fn send(&mut self, _: Vec<Outgoing>) -> Result<Vec<Included>, PublishError> {
        Err(failed("nothing is sent here"))
    }
}
