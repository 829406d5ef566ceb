//! Compiled contracts (forge's `out/`), deployed and called through JSON-RPC.

use alloy_primitives::{Address, Bytes, hex};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::node::root;
use crate::rpc::{Rpc, quantity};

/// Creation code of a contract: `out/<file>/<name>.json`, as `forge build` leaves it.
pub fn creation_code(file: &str, name: &str) -> Result<Vec<u8>> {
    let path = root().join("out").join(file).join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} is missing: run `npx forge build`", path.display()))?;
    let artifact: Value = serde_json::from_str(&text)?;
    let object = artifact["bytecode"]["object"].as_str().context("the artifact has no bytecode")?;
    Ok(hex::decode(object)?)
}

/// A deployed contract and the account that sends to it.
#[derive(Debug, Clone)]
pub struct Contract {
    rpc: Rpc,
    /// Where it lies.
    pub address: Address,
    /// Who sends.
    pub from: String,
}

impl Contract {
    /// Deploys creation code with encoded constructor arguments from the node's first account.
    pub fn deploy(rpc: &Rpc, code: Vec<u8>, arguments: &[u8]) -> Result<Self> {
        let from = first_account(rpc)?;
        let data = [code.as_slice(), arguments].concat();
        let receipt = rpc.transact(json!({"from": from, "data": hex::encode_prefixed(data)}))?;
        if receipt["status"] != "0x1" {
            bail!("deployment failed: {receipt}");
        }
        let address = receipt["contractAddress"].as_str().context("no contract address")?.parse()?;
        Ok(Self { rpc: rpc.clone(), address, from })
    }

    /// Sends a transaction; the receipt, whatever its status. The gas limit is given, so that one that reverts is mined too.
    pub fn send(&self, call: &[u8]) -> Result<Value> {
        let data = hex::encode_prefixed(call);
        self.rpc.transact(json!({"from": self.from, "to": self.address, "data": data, "gas": "0xe00000"}))
    }

    /// Sends a transaction that must succeed.
    pub fn send_ok(&self, call: &[u8]) -> Result<Value> {
        let receipt = self.send(call)?;
        if receipt["status"] != "0x1" {
            let reason = self.call(call).err().map(|e| format!("{e:#}")).unwrap_or_default();
            bail!("the transaction reverted: {reason} {receipt}");
        }
        Ok(receipt)
    }

    /// eth_call on the latest block.
    pub fn call(&self, call: &[u8]) -> Result<Bytes> {
        eth_call(&self.rpc, self.address, call)
    }
}

/// The node's first account.
pub fn first_account(rpc: &Rpc) -> Result<String> {
    let accounts = rpc.call("eth_accounts", json!([]))?;
    Ok(accounts[0].as_str().context("the node offers no account")?.to_owned())
}

/// eth_call on the latest block.
pub fn eth_call(rpc: &Rpc, to: Address, data: &[u8]) -> Result<Bytes> {
    let out = rpc.call("eth_call", json!([{"to": to, "data": hex::encode_prefixed(data)}, "latest"]))?;
    Ok(hex::decode(out.as_str().context("no data")?)?.into())
}

/// Gas used by the transaction of a receipt.
pub fn gas_used(receipt: &Value) -> Result<u64> {
    quantity(&receipt["gasUsed"])
}
