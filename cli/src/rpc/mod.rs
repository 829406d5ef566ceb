//! A small JSON-RPC client, and publishing over it.

mod transport;

pub(crate) use transport::Sender;

use std::time::Duration;

use alloy_primitives::{Bytes, U64, U256};
use lockstep_node_ext::publish::PublishError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A node reached over HTTP.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    /// A client of the node at this address.
    pub(crate) fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .build();
        Self { agent: config.into(), url: url.to_owned() }
    }

    /// Calls a method.
    pub(crate) fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, PublishError> {
        let failed = |e: String| PublishError::Transport(format!("{method} at {}: {e}", self.url));
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.agent.post(&self.url).send_json(&request);
        let mut answer = answer.map_err(|e| failed(format!("{e}; is a node listening there?")))?;
        let value: Value = answer
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_json()
            .map_err(|e| failed(format!("no JSON-RPC answer ({e})")))?;
        if let Some(error) = value.get("error").filter(|e| !e.is_null()) {
            let message = error.get("message").and_then(Value::as_str).unwrap_or("an error without a message");
            let data = error.get("data").filter(|d| !d.is_null()).map(|d| format!(" ({d})")).unwrap_or_default();
            return Err(failed(format!("{message}{data}")));
        }
        let result = value.get("result").cloned().ok_or_else(|| failed("an answer without a result".into()))?;
        serde_json::from_value(result).map_err(|e| failed(format!("an answer of another form: {e}")))
    }

    /// The chain's id.
    pub(crate) fn chain_id(&self) -> Result<u64, PublishError> {
        Ok(self.call::<U64>("eth_chainId", json!([]))?.to())
    }

    /// Base fee of the latest block and the tip that the node suggests.
    pub(crate) fn fees(&self) -> Result<(u128, u128), PublishError> {
        let block: Value = self.call("eth_getBlockByNumber", json!(["latest", false]))?;
        let base = block.get("baseFeePerGas").cloned().unwrap_or(Value::Null);
        let base: U256 = serde_json::from_value(base).unwrap_or_default();
        let tip = self.call::<U256>("eth_maxPriorityFeePerGas", json!([])).unwrap_or(U256::from(1_000_000_000u64));
        Ok((base.saturating_to(), tip.saturating_to()))
    }

    /// The code at an address.
    pub(crate) fn code(&self, address: alloy_primitives::Address) -> Result<Bytes, PublishError> {
        self.call("eth_getCode", json!([address, "latest"]))
    }

    /// A call without a transaction.
    pub(crate) fn eth_call(&self, to: alloy_primitives::Address, data: &Bytes) -> Result<Bytes, PublishError> {
        self.call("eth_call", json!([{ "to": to, "data": data }, "latest"]))
    }
}
