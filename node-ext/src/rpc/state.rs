//! Balances, nonces, code, storage, proofs.

use super::{
    Api, Args, Methods,
    error::{IntoRpc, RpcResult, invalid_params},
};
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use std::collections::BTreeMap;

/// Most slots of one request.
const MAX_PROOF_SLOTS: usize = 1_024;

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("eth_getBalance", |api, args| {
            let address: Address = args.next()?;
            Ok(api.state(args.opt()?)?.account(address).rpc()?.unwrap_or_default().balance)
        })
        .add("eth_getTransactionCount", |api, args| {
            let address: Address = args.next()?;
            let id: Option<BlockId> = args.opt()?;
            if id == Some(BlockId::pending()) {
                return api.next_nonce(address).map(U64::from);
            }
            Ok(U64::from(api.state(id)?.account(address).rpc()?.unwrap_or_default().nonce))
        })
        .add("eth_getCode", |api, args| {
            let address: Address = args.next()?;
            api.state(args.opt()?)?.code(address).rpc()
        })
        .add("eth_getStorageAt", |api, args| {
            let address: Address = args.next()?;
            let slot = slot(args)?;
            Ok(B256::from(api.state(args.opt()?)?.slot(address, slot).rpc()?))
        })
        .add("eth_getStorageValues", |api, args| {
            let wanted: BTreeMap<Address, Vec<String>> = args.next()?;
            let count = wanted.values().map(Vec::len).sum::<usize>();
            if count > MAX_PROOF_SLOTS {
                return Err(invalid_params(format!("too many slots: {count}, at most {MAX_PROOF_SLOTS}")));
            }
            let state = api.state(args.opt()?)?;
            let read = |address: Address, slots: Vec<String>| {
                let value = |slot: &String| Ok(B256::from(state.slot(address, parse_slot(slot)?).rpc()?));
                Ok((address, slots.iter().map(value).collect::<RpcResult<Vec<_>>>()?))
            };
            wanted.into_iter().map(|(address, slots)| read(address, slots)).collect::<RpcResult<BTreeMap<_, _>>>()
        })
        .add("eth_getProof", |api, args| {
            let address: Address = args.next()?;
            let keys: Vec<String> = args.opt()?.unwrap_or_default();
            if keys.len() > MAX_PROOF_SLOTS {
                return Err(invalid_params(format!("too many keys: {}, at most {MAX_PROOF_SLOTS}", keys.len())));
            }
            proof(api, address, keys, args.opt()?)
        });
}

/// A storage slot: any hex number of up to 32 bytes, with leading zeros or without.
fn slot(args: &mut Args<'_>) -> RpcResult<U256> {
    parse_slot(&args.next::<String>()?)
}

fn parse_slot(text: &str) -> RpcResult<U256> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() > 64 {
        return Err(invalid_params(format!("storage slot {text} is longer than 32 bytes")));
    }
    match digits {
        "" => Ok(U256::ZERO),
        _ => U256::from_str_radix(digits, 16).map_err(|e| invalid_params(format!("storage slot {text}: {e}"))),
    }
}

/// The answer of `eth_getProof` (EIP-1186).
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountProof {
    address: Address,
    balance: U256,
    code_hash: B256,
    nonce: U64,
    storage_hash: B256,
    account_proof: Vec<Bytes>,
    storage_proof: Vec<SlotProof>,
}

#[derive(serde::Serialize)]
struct SlotProof {
    key: String,
    value: U256,
    proof: Vec<Bytes>,
}

fn proof(api: &Api, address: Address, keys: Vec<String>, id: Option<BlockId>) -> RpcResult<AccountProof> {
    let state = api.state(id)?;
    let account = state.account(address).rpc()?;
    let slots = keys.iter().map(|key| parse_slot(key)).collect::<RpcResult<Vec<_>>>()?;
    let (account_proof, storage_proofs) = state.proof(address, &slots).rpc()?;
    let bytes = |nodes: Vec<Vec<u8>>| nodes.into_iter().map(Bytes::from).collect::<Vec<_>>();
    let storage_proof = keys
        .into_iter()
        .zip(slots)
        .zip(storage_proofs)
        .map(|((key, slot), nodes)| {
            // As geth: a key given in full comes back in full, any other as a number.
            let key = if key.len() == 66 { key } else { format!("{slot:#x}") };
            Ok(SlotProof { key, value: state.slot(address, slot).rpc()?, proof: bytes(nodes) })
        })
        .collect::<RpcResult<_>>()?;
    Ok(AccountProof {
        address,
        balance: account.map(|a| a.balance).unwrap_or_default(),
        code_hash: account.map_or(KECCAK_EMPTY, |a| a.code_hash),
        nonce: U64::from(account.map(|a| a.nonce).unwrap_or_default()),
        storage_hash: account.map_or(EMPTY_ROOT_HASH, |a| a.storage_root),
        account_proof: bytes(account_proof),
        storage_proof,
    })
}
