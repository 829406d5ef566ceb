//! The rules of a chain, as its genesis states them.

use super::genesis::GenesisError;
use crate::evm::LockstepConfig;
use alloy_eips::{eip1559::BaseFeeParams, eip7840::BlobParams, eip7892::BlobScheduleBlobParams};
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_genesis::Genesis;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, U256};
use std::sync::Arc;

/// Fork activations and parameters of one chain.
#[derive(Debug, Clone)]
pub struct ChainSpec {
    /// The chain id.
    pub chain_id: u64,
    /// The inference rules; `None` on a plain Ethereum chain.
    pub lockstep: Option<Arc<LockstepConfig>>,
    genesis: Genesis,
    blobs: BlobScheduleBlobParams,
}

impl ChainSpec {
    /// Reads the rules from a genesis, refusing what this binary does not know.
    pub fn from_genesis(genesis: Genesis) -> Result<Self, GenesisError> {
        let config = &genesis.config;
        if config.amsterdam_time.is_some() || config.bogota_time.is_some() {
            return Err(GenesisError::UnknownFork);
        }
        let lockstep = LockstepConfig::from_genesis_extra(&config.extra_fields)?.map(Arc::new);
        Ok(Self { chain_id: config.chain_id, lockstep, blobs: config.blob_schedule_blob_params(), genesis })
    }

    /// The genesis this chain starts from.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Blob parameters in force at a time; `None` before Cancun.
    pub fn blob_params(&self, timestamp: u64) -> Option<BlobParams> {
        if let Some(params) = self.blobs.active_scheduled_params_at_timestamp(timestamp) {
            Some(*params)
        } else if self.is_osaka_active_at_timestamp(timestamp) {
            Some(self.blobs.osaka)
        } else if self.is_prague_active_at_timestamp(timestamp) {
            Some(self.blobs.prague)
        } else if self.is_cancun_active_at_timestamp(timestamp) {
            Some(self.blobs.cancun)
        } else {
            None
        }
    }

    /// Whether the header of this block commits to its inferences.
    pub fn commits(&self, number: u64) -> bool {
        self.lockstep.as_ref().is_some_and(|rules| rules.commits(number))
    }

    /// Parameters of the base fee.
    pub fn base_fee_params(&self) -> BaseFeeParams {
        BaseFeeParams::ethereum()
    }

    fn merge(&self) -> ForkCondition {
        let config = &self.genesis.config;
        let at = |activation_block_number| ForkCondition::TTD {
            activation_block_number,
            fork_block: None,
            total_difficulty: config.terminal_total_difficulty.unwrap_or(U256::ZERO),
        };
        match config.merge_netsplit_block {
            Some(block) => at(block),
            None if config.terminal_total_difficulty_passed
                || config.terminal_total_difficulty.is_some_and(|ttd| ttd <= self.genesis.difficulty) =>
            {
                at(0)
            }
            None => ForkCondition::Never,
        }
    }
}

impl EthereumHardforks for ChainSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        let c = &self.genesis.config;
        let block = |b: Option<u64>| b.map_or(ForkCondition::Never, ForkCondition::Block);
        let time = |t: Option<u64>| t.map_or(ForkCondition::Never, ForkCondition::Timestamp);
        match fork {
            EthereumHardfork::Frontier => ForkCondition::Block(0),
            EthereumHardfork::Homestead => block(c.homestead_block),
            EthereumHardfork::Dao if c.dao_fork_support => block(c.dao_fork_block),
            EthereumHardfork::Tangerine => block(c.eip150_block),
            EthereumHardfork::SpuriousDragon => block(c.eip158_block),
            EthereumHardfork::Byzantium => block(c.byzantium_block),
            EthereumHardfork::Constantinople => block(c.constantinople_block),
            // Absent, it came with Constantinople.
            EthereumHardfork::Petersburg => block(c.petersburg_block.or(c.constantinople_block)),
            EthereumHardfork::Istanbul => block(c.istanbul_block),
            EthereumHardfork::MuirGlacier => block(c.muir_glacier_block),
            EthereumHardfork::Berlin => block(c.berlin_block),
            EthereumHardfork::London => block(c.london_block),
            EthereumHardfork::ArrowGlacier => block(c.arrow_glacier_block),
            EthereumHardfork::GrayGlacier => block(c.gray_glacier_block),
            EthereumHardfork::Paris => self.merge(),
            EthereumHardfork::Shanghai => time(c.shanghai_time),
            EthereumHardfork::Cancun => time(c.cancun_time),
            EthereumHardfork::Prague => time(c.prague_time),
            EthereumHardfork::Osaka => time(c.osaka_time),
            EthereumHardfork::Bpo1 => time(c.bpo1_time),
            EthereumHardfork::Bpo2 => time(c.bpo2_time),
            EthereumHardfork::Bpo3 => time(c.bpo3_time),
            EthereumHardfork::Bpo4 => time(c.bpo4_time),
            EthereumHardfork::Bpo5 => time(c.bpo5_time),
            _ => ForkCondition::Never,
        }
    }
}

impl EthExecutorSpec for ChainSpec {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.genesis.config.deposit_contract_address
    }
}
