//! A contract that measures the gas of one call from inside the EVM.

use alloy_primitives::{Address, Bytes, U256, hex};
use anyhow::{Result, ensure};
use lockstep_precompile::PRECOMPILE_ADDRESS;

use crate::contracts::Contract;
use crate::rpc::Rpc;

/// Its call data is an address word and a payload. It copies the payload to memory, reads the gas, staticcalls the address
/// with it, reads the gas again, and returns (gas between, success, return data). Written by hand, so that what lies
/// between the two readings is known.
const CODE: &[u8] =
    &hex!("60203603806020" "5f37" "5a" "5f5f835f5f355afa" "905a9003" "5f52602052" "3d5f60403e" "3d6040015ff3");
/// Copies what follows it into the contract's code.
const CREATE: &[u8] = &hex!("600b5981380380925939f3");
/// PUSH0 x4, DUP4, CALLDATALOAD, GAS, SWAP1, GAS.
const AROUND: u64 = 4 * 2 + 3 + 3 + 2 + 3 + 2;
/// What STATICCALL itself costs: a precompile is always warm, a contract is cold.
const WARM: u64 = 100;
const COLD: u64 = 2_600;

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Gas that the callee used.
    pub gas: u64,
    /// Whether it succeeded.
    pub success: bool,
    /// Its return data.
    pub output: Bytes,
}

/// A deployed probe.
#[derive(Debug, Clone)]
pub struct Probe(Contract);

impl Probe {
    /// Deploys one.
    pub fn deploy(rpc: &Rpc) -> Result<Self> {
        Ok(Self(Contract::deploy(rpc, [CREATE, CODE].concat(), &[])?))
    }

    /// Measures one call to the precompile.
    pub fn measure(&self, call: &[u8]) -> Result<Probed> {
        self.measure_at(PRECOMPILE_ADDRESS, call)
    }

    /// Measures one call to any address.
    pub fn measure_at(&self, to: Address, call: &[u8]) -> Result<Probed> {
        let out = self.0.call(&[to.into_word().as_slice(), call].concat())?;
        ensure!(out.len() >= 64, "the probe returned {} bytes", out.len());
        let gas = U256::from_be_slice(&out[..32]).saturating_to::<u64>();
        let access = if to == PRECOMPILE_ADDRESS { WARM } else { COLD };
        Ok(Probed { gas: gas - AROUND - access, success: out[63] == 1, output: out.slice(64..) })
    }
}
