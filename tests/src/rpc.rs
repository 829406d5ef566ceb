//! A minimal JSON-RPC client over HTTP: the node is looked at from outside, by its wire format.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A connection to a node.
#[derive(Debug, Clone)]
pub struct Rpc {
    url: String,
    agent: ureq::Agent,
}

impl Rpc {
    /// A client for this URL.
    pub fn new(url: impl Into<String>) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .build()
            .into();
        Self { url: url.into(), agent }
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls a method; the whole answer, error or result.
    pub fn raw(&self, method: &str, params: Value) -> Result<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut response =
            self.agent.post(&self.url).send_json(&body).with_context(|| format!("{method}: no answer"))?;
        response.body_mut().read_json().with_context(|| format!("{method}: no JSON"))
    }

    /// Calls a method that must succeed.
    pub fn call(&self, method: &str, params: Value) -> Result<Value> {
        let mut answer = self.raw(method, params)?;
        if let Some(e) = answer.get("error") {
            bail!("{method}: {e}");
        }
        Ok(answer["result"].take())
    }

    /// Sends a transaction from one of the node's own accounts and waits for its receipt.
    pub fn transact(&self, tx: Value) -> Result<Value> {
        let hash = self.call("eth_sendTransaction", json!([tx]))?;
        for _ in 0..200 {
            let receipt = self.call("eth_getTransactionReceipt", json!([hash]))?;
            if !receipt.is_null() {
                return Ok(receipt);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("transaction {hash} was not mined")
    }
}

/// A quantity ("0x1f") as a number.
pub fn quantity(v: &Value) -> Result<u64> {
    let s = v.as_str().with_context(|| format!("a quantity was expected, {v} came"))?;
    Ok(u64::from_str_radix(s.trim_start_matches("0x"), 16)?)
}
