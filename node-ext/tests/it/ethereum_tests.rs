//! The block chains of ethereum/tests: what must import imports, what must be refused is refused for its reason.

use crate::common::fixtures;
use alloy_consensus::{Header, proofs::calculate_transaction_root};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::Decodable;
use lockstep_node_ext::{
    chain::{Chain, ChainError},
    primitives::Block,
    storage::Store,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    network: String,
    pre: BTreeMap<Address, GenesisAccount>,
    #[serde(rename = "genesisRLP")]
    genesis_rlp: Bytes,
    blocks: Vec<CaseBlock>,
    #[serde(rename = "lastblockhash")]
    last_block_hash: B256,
    #[serde(default)]
    post_state: BTreeMap<Address, GenesisAccount>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaseBlock {
    rlp: Bytes,
    expect_exception: Option<String>,
}

/// The rules of "Cancun" from the first block.
fn cancun() -> ChainConfig {
    ChainConfig {
        chain_id: 1,
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
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        shanghai_time: Some(0),
        cancun_time: Some(0),
        ..Default::default()
    }
}

fn genesis(case: &Case) -> (Genesis, B256) {
    let header = Block::decode(&mut case.genesis_rlp.as_ref()).expect("the first block decodes").header;
    let genesis = Genesis {
        config: cancun(),
        nonce: header.nonce.into(),
        timestamp: header.timestamp,
        extra_data: header.extra_data.clone(),
        gas_limit: header.gas_limit,
        difficulty: header.difficulty,
        mix_hash: header.mix_hash,
        coinbase: header.beneficiary,
        alloc: case.pre.clone(),
        base_fee_per_gas: header.base_fee_per_gas.map(u128::from),
        excess_blob_gas: header.excess_blob_gas,
        blob_gas_used: header.blob_gas_used,
        ..Default::default()
    };
    (genesis, Header::hash_slow(&header))
}

/// Words that the refusal must have for the exception that the test names; any of them will do.
fn reasons(exception: &str) -> Vec<&'static str> {
    exception.split('|').flat_map(one_reason).copied().collect()
}

fn one_reason(exception: &str) -> &'static [&'static str] {
    match exception {
        "TransactionException.INTRINSIC_GAS_TOO_LOW" => &["call gas cost"],
        "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS" => &["lack of funds"],
        "TransactionException.INSUFFICIENT_MAX_FEE_PER_GAS" => &["gas price is less than basefee"],
        "TransactionException.GAS_ALLOWANCE_EXCEEDED" => &["gas limit", "caller gas limit exceeds the block gas limit"],
        "TransactionException.NONCE_MISMATCH_TOO_LOW" => &["nonce"],
        "TransactionException.NONCE_MISMATCH_TOO_HIGH" => &["nonce"],
        "TransactionException.SENDER_NOT_EOA" => &["senders with deployed code"],
        "BlockException.INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT" => &["timestamp is not after"],
        "BlockException.EXTRA_DATA_TOO_BIG" => &["extra data is longer"],
        "BlockException.INVALID_WITHDRAWALS_ROOT" => &["withdrawals root"],
        "BlockException.INVALID_GASLIMIT" => &["gas limit moved", "gas used is above the gas limit"],
        "BlockException.GASLIMIT_TOO_BIG" => &["gas limit is above 2^63 - 1"],
        "BlockException.INVALID_BLOCK_NUMBER" => &["number:"],
        "BlockException.INVALID_STATE_ROOT" => &["state root"],
        "BlockException.IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS" => &["ommers hash"],
        "BlockException.IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS" => &["difficulty"],
        "BlockException.GAS_USED_OVERFLOW" => &["gas used", "gas limit"],
        "BlockException.INVALID_LOG_BLOOM" => &["logs bloom"],
        "BlockException.INVALID_GAS_USED" => &["gas used"],
        "BlockException.UNKNOWN_PARENT" | "BlockException.UNKNOWN_PARENT_ZERO" => &["unknown parent"],
        "BlockException.INVALID_RECEIPTS_ROOT" => &["receipts root"],
        "BlockException.INVALID_TRANSACTIONS_ROOT" => &["transactions root"],
        // The list is absent, which decodes as in blocks of before Shanghai.
        "BlockException.RLP_WITHDRAWALS_NOT_READ" => &["withdrawals root"],
        rlp if rlp.starts_with("BlockException.RLP_") => &["rlp:"],
        _ => &[],
    }
}

fn import(chain: &Chain, rlp: &[u8]) -> Result<(), String> {
    let mut rest = rlp;
    let block = Block::decode(&mut rest).map_err(|e| format!("rlp: {e}"))?;
    if !rest.is_empty() {
        return Err("rlp: trailing bytes".into());
    }
    let refused = |error: ChainError| match error {
        ChainError::Invalid { .. } | ChainError::UnknownParent { .. } => error.to_string(),
        other => panic!("not a verdict about the block: {other}"),
    };
    let hash = chain.import(block).map_err(refused)?;
    chain.set_head(hash).map(drop).map_err(refused)
}

fn run(name: &str, case: &Case) -> Result<usize, String> {
    if case.network != "Cancun" {
        return Err(format!("network {} is not known to this test", case.network));
    }
    let (genesis, hash) = genesis(case);
    let chain = Chain::open(Store::open(None).unwrap(), genesis, Default::default()).map_err(|e| e.to_string())?;
    if chain.genesis_hash() != hash {
        return Err(format!("genesis {} instead of {hash}", chain.genesis_hash()));
    }
    for (index, block) in case.blocks.iter().enumerate() {
        match (import(&chain, &block.rlp), &block.expect_exception) {
            (Ok(()), None) => {}
            (Err(reason), None) => return Err(format!("{name}: block {index}: {reason}")),
            (Ok(()), Some(expected)) => return Err(format!("{name}: block {index} imported: {expected}")),
            (Err(mut reason), Some(expected)) => {
                // Most such blocks were made by leaving the bad transaction out: its root says so first.
                if expected.starts_with("TransactionException") && reason.contains("transactions root") {
                    let mut block = Block::decode(&mut block.rlp.as_ref()).map_err(|e| e.to_string())?;
                    block.header.transactions_root = calculate_transaction_root(&block.body.transactions);
                    reason = import(&chain, &alloy_rlp::encode(&block)).expect_err("the transaction is bad");
                }
                if !reasons(expected).iter().any(|word| reason.contains(word)) {
                    return Err(format!("{name}: block {index}: {reason}, expected {expected}"));
                }
            }
        }
    }
    if chain.head().hash != case.last_block_hash {
        return Err(format!("{name}: head {} instead of {}", chain.head().hash, case.last_block_hash));
    }
    let state = chain.head_state().map_err(|e| e.to_string())?;
    for (address, expected) in &case.post_state {
        let account = state.account(*address).map_err(|e| e.to_string())?.unwrap_or_default();
        let code = state.code(*address).map_err(|e| e.to_string())?;
        if account.balance != expected.balance
            || account.nonce != expected.nonce.unwrap_or_default()
            || code != expected.code.clone().unwrap_or_default()
        {
            return Err(format!("{name}: account {address} differs"));
        }
    }
    Ok(case.blocks.len())
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "json") {
            found.push(entry);
        }
    }
}

fn run_folder(folder: &str, at_least: usize) {
    let Some(dir) = fixtures("ethereum-tests") else { return };
    let mut paths = Vec::new();
    files(&dir.join(folder), &mut paths);
    paths.sort();
    let (mut chains, mut blocks, mut wrong) = (0, 0, Vec::new());
    for path in paths {
        let cases: BTreeMap<String, Case> = serde_json::from_slice(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for (name, case) in cases {
            match run(&name, &case) {
                Ok(count) => (chains, blocks) = (chains + 1, blocks + count),
                Err(reason) => wrong.push(reason),
            }
        }
    }
    assert!(wrong.is_empty(), "{chains} chains right, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(chains >= at_least, "{chains} chains");
    eprintln!("{folder}: {chains} chains, {blocks} blocks");
}

#[test]
fn valid_blocks_import() {
    run_folder("ValidBlocks", 41);
}

#[test]
fn invalid_blocks_are_refused_for_their_reason() {
    run_folder("InvalidBlocks", 65);
}
