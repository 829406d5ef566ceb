//! A small JSON-RPC client, and publishing over it.

mod account;
mod revert;
mod transport;

pub(crate) use account::Account;
pub(crate) use transport::{Reader, Sender};

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Bytes, U64, U256};
use lockstep_node_ext::publish::PublishError;
use lockstep_node_ext::rpc::engine::JwtSecret;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Addresses of one question: the gas of each is 2,800.
const HAVE_CODE_AT_ONCE: usize = 1_000;

/// For each of the addresses behind it, 20 bytes each: a byte, 1 where the address has code.
///
/// ```text
/// 00 PUSH1 2f CODESIZE SUB            bytes = codesize - 2f
/// 04 DUP1 PUSH1 2f PUSH0 CODECOPY     memory[0..] = addresses
/// 09 DUP1 PUSH0                       bytes out=bytes off=0
/// 0b JUMPDEST DUP3 DUP2 LT ISZERO PUSH1 28 JUMPI
/// 13 DUP1 MLOAD PUSH1 60 SHR EXTCODESIZE ISZERO ISZERO DUP3 MSTORE8
/// 1d PUSH1 14 ADD SWAP1 PUSH1 01 ADD SWAP1 PUSH1 0b JUMP
/// 28 JUMPDEST POP DUP2 SWAP1 SUB SWAP1 RETURN
/// ```
const HAVE_CODE: [u8; 47] = alloy_primitives::hex!(
    "602f380380602f5f39805f5b82811015602857805160601c3b151582536014019060010190600b565b5081900390f3"
);

/// A node reached over HTTP.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    /// For each request a token, where the node wants one.
    secret: Option<JwtSecret>,
}

impl Client {
    /// A client of the node at this address.
    pub(crate) fn new(url: &str) -> Self {
        Self::with(url, Duration::from_secs(60), None)
    }

    /// As [`Client::new`], for a method that takes its time, or a port that wants a token.
    pub(crate) fn with(url: &str, timeout: Duration, secret: Option<JwtSecret>) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build();
        Self { agent: config.into(), url: url.to_owned(), secret }
    }

    /// Calls a method.
    pub(crate) fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, PublishError> {
        let failed = |e: String| PublishError::Transport(format!("{method} at {}: {e}", self.url));
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut post = self.agent.post(&self.url);
        if let Some(secret) = &self.secret {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
            post = post.header("authorization", format!("Bearer {}", secret.token(now)));
        }
        let answer = post.send_json(&request);
        let mut answer = answer.map_err(|e| failed(format!("{e}; is a node listening there?")))?;
        let value: Value = answer
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_json()
            .map_err(|e| failed(format!("no JSON-RPC answer ({e})")))?;
        if let Some(error) = value.get("error").filter(|e| !e.is_null()) {
            let message = error.get("message").and_then(Value::as_str).unwrap_or("an error without a message");
            let words = |d: &Value| d.as_str().map_or_else(|| d.to_string(), revert::text);
            let data =
                error.get("data").filter(|d| !d.is_null()).map(|d| format!(": {}", words(d))).unwrap_or_default();
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

    /// Whether each address has code: one call for many of them. It runs code that ends with the addresses as if it were to
    /// create a contract, and what that returns is a byte for each: 1 where EXTCODESIZE is not 0.
    pub(crate) fn have_code(&self, addresses: &[alloy_primitives::Address]) -> Result<Vec<bool>, PublishError> {
        let mut all = Vec::with_capacity(addresses.len());
        for part in addresses.chunks(HAVE_CODE_AT_ONCE) {
            let code: Bytes = part.iter().fold(HAVE_CODE.to_vec(), |code, a| [code, a.to_vec()].concat()).into();
            let answer: Bytes = self.call("eth_call", json!([{ "data": code }, "latest"]))?;
            if answer.len() != part.len() {
                let (expected, got) = (part.len(), answer.len());
                let what = format!("eth_call at {}: {got} bytes for {expected} addresses", self.url);
                return Err(PublishError::Transport(what));
            }
            all.extend(answer.iter().map(|byte| *byte != 0));
        }
        Ok(all)
    }

    /// The number of the latest block.
    pub(crate) fn block_number(&self) -> Result<u64, PublishError> {
        Ok(self.call::<U64>("eth_blockNumber", json!([]))?.to())
    }

    /// A call without a transaction.
    pub(crate) fn eth_call(&self, to: alloy_primitives::Address, data: &Bytes) -> Result<Bytes, PublishError> {
        self.call("eth_call", json!([{ "to": to, "data": data }, "latest"]))
    }
}
