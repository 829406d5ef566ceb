//! The entry that the forge kit calls: `lockstep kit call`.

use std::path::Path;
use std::process::Command;

use alloy_primitives::{Bytes, U256, hex};
use alloy_sol_types::SolValue;
use anyhow::{Result, bail};

use crate::node::lockstep;

/// An answer of the kit's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 0 success, 1 revert, 2 out of gas, 3 this machine's fault.
    pub status: u8,
    /// Gas charged.
    pub gas: u64,
    /// Return data.
    pub data: Bytes,
}

/// Calls a model with so much gas, as a forge test does.
pub fn call(model: &Path, call_data: &[u8], gas: u64) -> Result<Answer> {
    let out = Command::new(lockstep())
        .args(["kit", "call", "--gas", &gas.to_string(), "--model"])
        .arg(model)
        .args(["--calldata", &hex::encode_prefixed(call_data)])
        .output()?;
    if !out.status.success() {
        bail!("lockstep kit call: {}", String::from_utf8_lossy(&out.stderr));
    }
    let bytes = hex::decode(String::from_utf8(out.stdout)?.trim())?;
    let (status, gas, data) = <(U256, U256, Bytes)>::abi_decode_params(&bytes)?;
    Ok(Answer { status: status.saturating_to(), gas: gas.saturating_to(), data })
}
