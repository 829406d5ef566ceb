//! `eth_config` (EIP-7910): the rules in force, and those that are scheduled.

use super::{Api, Methods};
use crate::{chain::ChainSpec, evm::PRECOMPILE_ADDRESS};
use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_hardforks::{EthereumHardforks, ForkHash};
use alloy_primitives::{Address, U64, hex};
use serde_json::{Map, Value, json};

const PRECOMPILES: [(&str, u16, Since); 18] = [
    ("ECREC", 0x01, Since::Always),
    ("SHA256", 0x02, Since::Always),
    ("RIPEMD160", 0x03, Since::Always),
    ("ID", 0x04, Since::Always),
    ("MODEXP", 0x05, Since::Always),
    ("BN254_ADD", 0x06, Since::Always),
    ("BN254_MUL", 0x07, Since::Always),
    ("BN254_PAIRING", 0x08, Since::Always),
    ("BLAKE2F", 0x09, Since::Always),
    ("KZG_POINT_EVALUATION", 0x0a, Since::Always),
    ("BLS12_G1ADD", 0x0b, Since::Prague),
    ("BLS12_G1MSM", 0x0c, Since::Prague),
    ("BLS12_G2ADD", 0x0d, Since::Prague),
    ("BLS12_G2MSM", 0x0e, Since::Prague),
    ("BLS12_PAIRING_CHECK", 0x0f, Since::Prague),
    ("BLS12_MAP_FP_TO_G1", 0x10, Since::Prague),
    ("BLS12_MAP_FP2_TO_G2", 0x11, Since::Prague),
    ("P256VERIFY", 0x100, Since::Osaka),
];

/// The method knows forks from Cancun on.
#[derive(Clone, Copy, PartialEq)]
enum Since {
    Always,
    Prague,
    Osaka,
}

pub(super) fn add(methods: &mut Methods) {
    methods.add("eth_config", |api, _| Ok(config(api)));
}

fn config(api: &Api) -> Value {
    let head = api.chain.head();
    let spec = api.chain.spec();
    let times = fork_times(spec);
    let now = head.header.timestamp;
    let current = times.iter().copied().filter(|time| *time <= now).max().unwrap_or(0);
    let next = times.iter().copied().find(|time| *time > now);
    let last = times.last().copied().filter(|time| *time > now);
    json!({
        "current": fork(api, current, head.header.number),
        "next": next.map(|time| fork(api, time, head.header.number)),
        "last": last.map(|time| fork(api, time, head.header.number)),
    })
}

/// The times of the forks, each once, ascending.
fn fork_times(spec: &ChainSpec) -> Vec<u64> {
    let c = &spec.genesis().config;
    let times = [
        c.shanghai_time,
        c.cancun_time,
        c.prague_time,
        c.osaka_time,
        c.bpo1_time,
        c.bpo2_time,
        c.bpo3_time,
        c.bpo4_time,
        c.bpo5_time,
    ];
    let mut times: Vec<u64> = times.into_iter().flatten().collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// EIP-2124 and EIP-6122: the forks passed when the rules of `time` began.
fn fork_id(api: &Api, time: u64) -> ForkHash {
    let spec = api.chain.spec();
    let c = &spec.genesis().config;
    let blocks = [
        c.homestead_block,
        c.dao_fork_block.filter(|_| c.dao_fork_support),
        c.eip150_block,
        c.eip155_block,
        c.eip158_block,
        c.byzantium_block,
        c.constantinople_block,
        c.petersburg_block,
        c.istanbul_block,
        c.muir_glacier_block,
        c.berlin_block,
        c.london_block,
        c.arrow_glacier_block,
        c.gray_glacier_block,
        c.merge_netsplit_block,
    ];
    let mut blocks: Vec<u64> = blocks.into_iter().flatten().filter(|block| *block > 0).collect();
    blocks.sort_unstable();
    blocks.dedup();
    let genesis_time = spec.genesis().timestamp;
    let times = fork_times(spec).into_iter().filter(|at| *at > genesis_time && *at <= time);
    blocks.into_iter().chain(times).fold(ForkHash::from(api.chain.genesis_hash()), |hash, fork| hash + fork)
}

fn fork(api: &Api, time: u64, head: u64) -> Value {
    let spec = api.chain.spec();
    let (prague, osaka) = (spec.is_prague_active_at_timestamp(time), spec.is_osaka_active_at_timestamp(time));
    let mut precompiles: Map<String, Value> = PRECOMPILES
        .iter()
        .filter(|(_, _, since)| match since {
            Since::Always => true,
            Since::Prague => prague,
            Since::Osaka => osaka,
        })
        .map(|(name, number, _)| (name.to_string(), json!(Address::left_padding_from(&number.to_be_bytes()))))
        .collect();
    if spec.lockstep.as_ref().is_some_and(|lockstep| lockstep.activation <= head) {
        precompiles.insert("LOCKSTEP_INFERENCE".into(), json!(PRECOMPILE_ADDRESS));
    }
    let mut system = Map::new();
    if spec.is_cancun_active_at_timestamp(time) {
        system.insert("BEACON_ROOTS_ADDRESS".into(), json!(eip4788::BEACON_ROOTS_ADDRESS));
    }
    if prague {
        let deposit = spec.genesis().config.deposit_contract_address.unwrap_or_default();
        system.insert(
            "CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS".into(),
            json!(eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
        );
        system.insert("DEPOSIT_CONTRACT_ADDRESS".into(), json!(deposit));
        system.insert("HISTORY_STORAGE_ADDRESS".into(), json!(eip2935::HISTORY_STORAGE_ADDRESS));
        system.insert(
            "WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS".into(),
            json!(eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
        );
    }
    let blobs = spec.blob_params(time).map(|params| {
        json!({
            "target": params.target_blob_count,
            "max": params.max_blob_count,
            "baseFeeUpdateFraction": u64::try_from(params.update_fraction).unwrap_or(u64::MAX),
        })
    });
    json!({
        "activationTime": time,
        "blobSchedule": blobs,
        "chainId": U64::from(spec.chain_id),
        "forkId": hex::encode_prefixed(fork_id(api, time).0),
        "precompiles": precompiles,
        "systemContracts": system,
    })
}
