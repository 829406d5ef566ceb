//! Genesis: parsing, the dev chain's own, and the block and state they define.

use super::spec::ChainSpec;
use crate::{
    dev::{DEV_BALANCE_ETHER, dev_accounts},
    evm::{PRECOMPILE_ADDRESS, REGISTRY_ADDRESS},
    primitives::Body,
    storage::{StateTrie, StorageError, StoredBlock},
};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{eip1559::INITIAL_BASE_FEE, eip2935, eip4788, eip7002, eip7251, eip7685::EMPTY_REQUESTS_HASH};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B64, B256, Bytes, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use lockstep_precompile::{Attestation, LockstepConfig, registry::genesis_storage};
use revm::{
    database::{AccountStatus, BundleAccount, BundleState, states::StorageSlot},
    state::AccountInfo,
};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

/// Chain id of `lockstep node --dev`.
pub const DEV_CHAIN_ID: u64 = 1212;
/// Block gas limit of the dev chain.
pub const DEV_GAS_LIMIT: u64 = 60_000_000;

const PREDEPLOYS: &str = include_str!("../../../contracts/predeploys.json");
const TWIN: &str = include_str!("../../../contracts/twin.json");

/// Why a genesis is refused.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// The file cannot be read.
    #[error("cannot read the genesis {path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a genesis.
    #[error(
        "{path} is no genesis: {source}; it must be JSON with config, alloc, gasLimit and difficulty, as geth's genesis.json"
    )]
    Json {
        /// The file.
        path: std::path::PathBuf,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// A field cannot have this value.
    #[error("the genesis cannot have {field} = {value}: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A contract is lacking without which no block can be made.
    #[error(
        "the genesis is at Prague or later from its first block and has no code at {address} ({eip}): no block could ever be made; add the contract to `alloc`, or schedule pragueTime later"
    )]
    SystemContract {
        /// Where it must be.
        address: Address,
        /// The EIP that places it there.
        eip: &'static str,
    },
    /// A fork this binary has no rules for.
    #[error(
        "the genesis schedules a fork after Osaka (Amsterdam or Bogota), which this binary has no rules for; remove it or install a newer lockstep"
    )]
    UnknownFork,
    /// `config.lockstep` is not understood.
    #[error(transparent)]
    Lockstep(#[from] lockstep_precompile::ConfigError),
    /// This binary was built wrong.
    #[error(
        "contracts/predeploys.json or twin.json is not the precompile crate's ({0}); build again from a clean tree"
    )]
    Build(String),
    /// A predeploy is not the one this binary knows.
    #[error(
        "the genesis has other code at {address} than this binary's {name} (code hash {found}, expected {expected}); take `alloc` from `lockstep genesis` of this version"
    )]
    Predeploy {
        /// Its name.
        name: String,
        /// Its address.
        address: Address,
        /// Hash of the code found.
        found: B256,
        /// Hash of the code known.
        expected: B256,
    },
    /// The registry's account would read as empty.
    #[error(
        "the registry at {0} must have nonce 1 and in slots 3, 5 and 6 what config.lockstep says of limits, deposits and attesters; take `alloc` from `lockstep genesis` of this version"
    )]
    Registry(Address),
    /// Writing the genesis state failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The code that genesis places at the addresses of the protocol.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Predeploys {
    /// `ModelRegistry`.
    pub registry: Predeploy,
    /// The twin: under the precompile its dispatcher, then the modules that this calls (docs/spec.md, section 11).
    #[serde(skip)]
    pub twin: Vec<Predeploy>,
}

/// One contract of genesis.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Predeploy {
    /// Name of the contract.
    #[serde(default)]
    pub name: String,
    /// Where it lies.
    pub address: Address,
    /// Its runtime code.
    pub code: Bytes,
}

impl Predeploys {
    /// The build this binary knows.
    pub fn known() -> Result<Self, GenesisError> {
        #[derive(serde::Deserialize)]
        struct Twin {
            modules: Vec<Predeploy>,
        }
        let unreadable = |e: serde_json::Error| GenesisError::Build(e.to_string());
        let mut known: Self = serde_json::from_str(PREDEPLOYS).map_err(unreadable)?;
        known.registry.name = "registry".to_owned();
        known.twin = serde_json::from_str::<Twin>(TWIN).map_err(unreadable)?.modules;
        let dispatcher = known.twin.first().map(|m| m.address);
        if known.registry.address != REGISTRY_ADDRESS || dispatcher != Some(PRECOMPILE_ADDRESS) {
            return Err(GenesisError::Build("other addresses".into()));
        }
        Ok(known)
    }

    /// All of them.
    fn all(&self) -> impl Iterator<Item = &Predeploy> {
        std::iter::once(&self.registry).chain(&self.twin)
    }
}

/// Reads a genesis file.
pub fn read_genesis(path: &Path) -> Result<Genesis, GenesisError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| GenesisError::File { path: path.to_path_buf(), source })?;
    serde_json::from_str(&text).map_err(|source| GenesisError::Json { path: path.to_path_buf(), source })
}

/// The genesis of `lockstep node --dev`: Osaka from the first block, ten funded accounts, the registry.
pub fn dev_genesis() -> Result<Genesis, GenesisError> {
    let mut genesis = plain_dev_genesis();
    set_lockstep_config(&mut genesis, &dev_config())?;
    Ok(genesis)
}

/// `config.lockstep` of the dev chain: its first account is the only attester; a slot costs half an ether and a hundredth
/// for each MiB; notice is short, since blocks come when they are wanted.
pub fn dev_config() -> LockstepConfig {
    let hundredth = U256::from(10).pow(U256::from(16));
    let mut config = LockstepConfig::default();
    config.limits.slot_deposit = U256::from(50) * hundredth;
    config.limits.slot_deposit_per_mebibyte = hundredth;
    config.limits.notice_blocks = 100;
    config.attestation =
        Attestation { attesters: dev_accounts().iter().take(1).map(|one| one.address()).collect(), quorum: 1 };
    config
}

/// Writes `config.lockstep`, and the predeploys with the storage that it wants.
pub fn set_lockstep_config(genesis: &mut Genesis, config: &LockstepConfig) -> Result<(), GenesisError> {
    let value = serde_json::to_value(config).map_err(|e| GenesisError::Build(e.to_string()))?;
    genesis.config.extra_fields.insert(lockstep_precompile::config::KEY.into(), value);
    add_lockstep_predeploys(genesis)
}

/// The dev genesis without `config.lockstep`: a plain Ethereum chain.
pub fn plain_dev_genesis() -> Genesis {
    let mut config = ChainConfig {
        chain_id: DEV_CHAIN_ID,
        homestead_block: Some(0),
        eip150_block: Some(0),
        eip155_block: Some(0),
        eip158_block: Some(0),
        byzantium_block: Some(0),
        constantinople_block: Some(0),
        petersburg_block: Some(0),
        istanbul_block: Some(0),
        muir_glacier_block: Some(0),
        berlin_block: Some(0),
        london_block: Some(0),
        arrow_glacier_block: Some(0),
        gray_glacier_block: Some(0),
        merge_netsplit_block: Some(0),
        shanghai_time: Some(0),
        cancun_time: Some(0),
        prague_time: Some(0),
        osaka_time: Some(0),
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        ..Default::default()
    };
    config.deposit_contract_address = None;
    let system = [
        (eip4788::BEACON_ROOTS_ADDRESS, eip4788::BEACON_ROOTS_CODE.clone()),
        (eip2935::HISTORY_STORAGE_ADDRESS, eip2935::HISTORY_STORAGE_CODE.clone()),
        (eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone()),
        (eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone()),
    ];
    let system = system
        .into_iter()
        .map(|(address, code)| (address, GenesisAccount { nonce: Some(1), code: Some(code), ..Default::default() }));
    let balance = U256::from(DEV_BALANCE_ETHER) * U256::from(10).pow(U256::from(18));
    let funded =
        dev_accounts().into_iter().map(|account| (account.address(), GenesisAccount { balance, ..Default::default() }));
    Genesis {
        config,
        gas_limit: DEV_GAS_LIMIT,
        extra_data: Bytes::from_static(b"lockstep"),
        alloc: system.chain(funded).collect(),
        base_fee_per_gas: Some(u128::from(INITIAL_BASE_FEE)),
        ..Default::default()
    }
}

/// Puts the registry, with what `config.lockstep` sets of its storage, and the twin into `alloc`.
pub fn add_lockstep_predeploys(genesis: &mut Genesis) -> Result<(), GenesisError> {
    let code = Predeploys::known()?;
    let spec = ChainSpec::from_genesis(genesis.clone())?;
    let words: BTreeMap<B256, B256> =
        registry_storage(&spec).into_iter().filter(|(_, value)| !value.is_zero()).collect();
    for one in code.all() {
        let storage = (one.address == REGISTRY_ADDRESS).then(|| words.clone());
        let account = GenesisAccount { nonce: Some(1), code: Some(one.code.clone()), storage, ..Default::default() };
        genesis.alloc.insert(one.address, account);
    }
    Ok(())
}

/// The registry's storage, as genesis sets it.
fn registry_storage(spec: &ChainSpec) -> Vec<(B256, B256)> {
    let words = spec.lockstep.as_deref().map(genesis_storage).unwrap_or_default();
    words.into_iter().map(|(slot, value)| (slot.into(), value.into())).collect()
}

/// Refuses a genesis from which no chain can grow.
pub(crate) fn check_genesis(spec: &ChainSpec) -> Result<(), GenesisError> {
    let genesis = spec.genesis();
    let refuse = |field, value: String, reason| Err(GenesisError::Field { field, value, reason });
    if let Some(number) = genesis.number.filter(|number| *number != 0) {
        return refuse("number", number.to_string(), "the first block of a chain is block 0");
    }
    if spec.chain_id == 0 {
        return refuse("config.chainId", "0".into(), "signatures could be replayed on any chain");
    }
    if genesis.gas_limit < 5_000 {
        return refuse("gasLimit", genesis.gas_limit.to_string(), "a block must have at least 5000");
    }
    if let Some(fee) = genesis.base_fee_per_gas.filter(|fee| u64::try_from(*fee).is_err()) {
        return refuse("baseFeePerGas", fee.to_string(), "it must be below 2^64");
    }
    if spec.is_prague_active_at_timestamp(genesis.timestamp) {
        for (address, eip) in [
            (eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, "EIP-7002"),
            (eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, "EIP-7251"),
        ] {
            if genesis.alloc.get(&address).and_then(|a| a.code.as_ref()).is_none_or(|code| code.is_empty()) {
                return Err(GenesisError::SystemContract { address, eip });
            }
        }
    }
    Ok(())
}

/// Refuses a genesis whose predeploys this binary does not know (docs/spec.md, GEN-2).
pub(crate) fn check_predeploys(spec: &ChainSpec) -> Result<(), GenesisError> {
    if spec.lockstep.is_none() {
        return Ok(());
    }
    let known = Predeploys::known()?;
    let alloc = &spec.genesis().alloc;
    for Predeploy { name, address, code } in known.all() {
        let found = alloc.get(address).and_then(|a| a.code.as_ref()).map(|c| c.as_ref()).unwrap_or_default();
        if found != code.as_ref() {
            let (found, expected) = (keccak256(found), keccak256(code));
            return Err(GenesisError::Predeploy { name: name.clone(), address: *address, found, expected });
        }
    }
    let registry = alloc.get(&REGISTRY_ADDRESS);
    let storage = registry.and_then(|a| a.storage.as_ref());
    let word = |slot: &B256| storage.and_then(|s| s.get(slot).copied()).unwrap_or_default();
    let other = registry_storage(spec).iter().any(|(slot, value)| word(slot) != *value);
    if registry.and_then(|a| a.nonce) != Some(1) || other {
        return Err(GenesisError::Registry(REGISTRY_ADDRESS));
    }
    Ok(())
}

/// The genesis block, and the trie nodes and codes of its state.
pub(crate) type GenesisState = (StoredBlock, HashMap<B256, Vec<u8>>, Vec<(B256, Bytes)>);

/// The hash of block 0.
pub fn genesis_hash(spec: &ChainSpec) -> Result<B256, GenesisError> {
    Ok(genesis_block(spec)?.0.hash)
}

/// Computes the genesis block.
pub(crate) fn genesis_block(spec: &ChainSpec) -> Result<GenesisState, GenesisError> {
    let genesis = spec.genesis();
    let mut bundle = BundleState::default();
    let mut codes = Vec::new();
    for (address, account) in &genesis.alloc {
        let code = account.code.clone().unwrap_or_default();
        let code_hash = keccak256(&code);
        if !code.is_empty() {
            codes.push((code_hash, code));
        }
        let info = AccountInfo {
            balance: account.balance,
            nonce: account.nonce.unwrap_or_default(),
            code_hash,
            ..Default::default()
        };
        let storage = account
            .storage
            .iter()
            .flatten()
            .map(|(slot, value)| ((*slot).into(), StorageSlot::new_changed(U256::ZERO, (*value).into())))
            .collect();
        bundle.state.insert(*address, BundleAccount::new(None, Some(info), storage, AccountStatus::InMemoryChange));
    }
    let update = StateTrie::new(NoNodes, EMPTY_ROOT_HASH).apply(&bundle)?;
    let header = genesis_header(spec, update.root);
    let withdrawals = header.withdrawals_root.is_some().then(Default::default);
    let block = StoredBlock {
        hash: header.hash_slow(),
        header,
        body: Body { withdrawals, ..Default::default() },
        senders: Vec::new(),
        receipts: Vec::new(),
    };
    Ok((block, update.nodes, codes))
}

fn genesis_header(spec: &ChainSpec, state_root: B256) -> Header {
    let genesis = spec.genesis();
    let time = genesis.timestamp;
    let (shanghai, cancun, prague) = (
        spec.is_shanghai_active_at_timestamp(time),
        spec.is_cancun_active_at_timestamp(time),
        spec.is_prague_active_at_timestamp(time),
    );
    let base_fee = genesis.base_fee_per_gas.and_then(|fee| u64::try_from(fee).ok()).unwrap_or(INITIAL_BASE_FEE);
    Header {
        number: genesis.number.unwrap_or_default(),
        parent_hash: B256::ZERO,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        gas_limit: genesis.gas_limit,
        timestamp: time,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: B64::from(genesis.nonce),
        base_fee_per_gas: spec.is_london_active_at_block(0).then_some(base_fee),
        withdrawals_root: shanghai.then_some(EMPTY_WITHDRAWALS),
        blob_gas_used: cancun.then(|| genesis.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: cancun.then(|| genesis.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: prague.then_some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    }
}

struct NoNodes;

impl crate::storage::NodeSource for NoNodes {
    fn node(&self, _hash: &[u8; 32]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_trie::{TrieAccount, root::state_root_unhashed};

    #[test]
    fn dev_genesis_root_equals_full_recompute() {
        let genesis = dev_genesis().unwrap();
        let expected = state_root_unhashed(
            genesis.alloc.iter().map(|(address, account)| (*address, TrieAccount::from(account.clone()))),
        );
        let spec = ChainSpec::from_genesis(genesis).unwrap();
        check_predeploys(&spec).unwrap();
        assert_eq!(genesis_block(&spec).unwrap().0.header.state_root, expected);
    }

    #[test]
    fn foreign_predeploy_code_is_refused() {
        let mut genesis = dev_genesis().unwrap();
        genesis.alloc.get_mut(&REGISTRY_ADDRESS).unwrap().code = Some(Bytes::from_static(&[0xfe]));
        let spec = ChainSpec::from_genesis(genesis).unwrap();
        assert!(matches!(check_predeploys(&spec), Err(GenesisError::Predeploy { name, .. }) if name == "registry"));
    }

    #[test]
    fn every_module_of_the_twin_is_there_and_as_it_was_built() {
        let twin = Predeploys::known().unwrap().twin;
        assert_eq!(twin.len(), 11);
        for module in &twin {
            assert!(module.code.len() <= 24_576, "{} has {} bytes", module.name, module.code.len());
            let mut genesis = dev_genesis().unwrap();
            assert_eq!(genesis.alloc[&module.address].nonce, Some(1), "{} would read as empty", module.name);
            genesis.alloc.remove(&module.address);
            let spec = ChainSpec::from_genesis(genesis).unwrap();
            let refused = check_predeploys(&spec);
            assert!(matches!(refused, Err(GenesisError::Predeploy { name, .. }) if name == module.name));
        }
    }

    #[test]
    fn wrong_caps_are_refused() {
        let mut genesis = dev_genesis().unwrap();
        genesis.alloc.get_mut(&REGISTRY_ADDRESS).unwrap().storage = None;
        let spec = ChainSpec::from_genesis(genesis).unwrap();
        assert!(matches!(check_predeploys(&spec), Err(GenesisError::Registry(_))));
    }

    #[test]
    fn attesters_and_deposits_of_genesis_are_those_of_its_config() {
        let genesis = dev_genesis().unwrap();
        let slots: Vec<B256> = genesis.alloc[&REGISTRY_ADDRESS].storage.as_ref().unwrap().keys().copied().collect();
        assert_eq!(slots.len(), 4, "caps, deposits, how many attesters, the attester");
        for slot in slots {
            let mut changed = genesis.clone();
            let storage = changed.alloc.get_mut(&REGISTRY_ADDRESS).unwrap().storage.as_mut().unwrap();
            storage.insert(slot, B256::repeat_byte(1));
            let spec = ChainSpec::from_genesis(changed).unwrap();
            assert!(matches!(check_predeploys(&spec), Err(GenesisError::Registry(_))), "{slot}");
        }
        let mut plain = plain_dev_genesis();
        set_lockstep_config(&mut plain, &LockstepConfig::default()).unwrap();
        assert_eq!(plain.alloc[&REGISTRY_ADDRESS].storage.as_ref().unwrap().len(), 1, "no attester, no deposit");
        check_predeploys(&ChainSpec::from_genesis(plain).unwrap()).unwrap();
    }
}
