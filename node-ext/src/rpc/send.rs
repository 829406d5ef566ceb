//! Sending transactions, and signing for the dev accounts.

use super::{
    Api, Methods,
    call::Call,
    error::{IntoRpc, RpcResult, invalid_params, server},
    impersonate,
};
use crate::primitives::Transaction;
use alloy_consensus::{SignableTransaction, TypedTransaction};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, U64};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use serde_json::json;
use std::{collections::BTreeMap, sync::PoisonError};

/// The tip of a transaction that names none: 1 gwei.
const DEFAULT_TIP: u128 = 1_000_000_000;

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("eth_sendRawTransaction", |api, args| send_raw(api, &args.next::<Bytes>()?))
        .add("eth_sendTransaction", |api, args| {
            let request = args.next()?;
            let hash = {
                // Two requests at a time must not get one nonce.
                let _signing = api.signing.lock().unwrap_or_else(PoisonError::into_inner);
                match api.impersonated.sender(&request) {
                    Some(from) => {
                        let tx = impersonate::unsigned(complete(api, from, request)?, from);
                        api.pool.add_unsigned(&api.chain, tx?)
                    }
                    None => api.pool.add_raw(&api.chain, &sign_request(api, request)?.encoded_2718()),
                }
                .rpc()?
            };
            arrived(api, hash)
        })
        .add("eth_signTransaction", |api, args| Ok(Bytes::from(sign_request(api, args.next()?)?.encoded_2718())))
        .add("eth_accounts", |api, _| Ok(addresses(api)))
        .add("eth_requestAccounts", |api, _| Ok(addresses(api)))
        .add("eth_sign", |api, args| {
            let address: Address = args.next()?;
            sign_message(api, address, &args.next::<Bytes>()?)
        })
        .add("personal_sign", |api, args| {
            let message: Bytes = args.next()?;
            sign_message(api, args.next()?, &message)
        })
        .add("txpool_status", |api, _| {
            let (pending, queued) = api.pool.content(&api.chain).rpc()?;
            let count = |c: BTreeMap<_, BTreeMap<u64, _>>| U64::from(c.values().map(BTreeMap::len).sum::<usize>());
            Ok(json!({ "pending": count(pending), "queued": count(queued) }))
        })
        .add("txpool_content", |api, _| {
            let (pending, queued) = api.pool.content(&api.chain).rpc()?;
            Ok(json!({ "pending": content(pending)?, "queued": content(queued)? }))
        });
}

fn content(of: crate::pool::Content) -> RpcResult<serde_json::Value> {
    let shown: BTreeMap<Address, BTreeMap<u64, alloy_rpc_types_eth::Transaction>> = of
        .into_iter()
        .map(|(sender, queue)| {
            let queue = queue.into_iter().map(|(nonce, tx)| {
                (nonce, alloy_rpc_types_eth::Transaction::from_transaction((*tx).clone(), Default::default()))
            });
            (sender, queue.collect())
        })
        .collect();
    serde_json::to_value(shown).map_err(server)
}

/// Takes a transaction in. With automine, returns when its block is on disk.
fn send_raw(api: &Api, raw: &[u8]) -> RpcResult<B256> {
    arrived(api, api.pool.add_raw(&api.chain, raw).rpc()?)
}

fn arrived(api: &Api, hash: B256) -> RpcResult<B256> {
    if let Some(miner) = &api.miner {
        miner.arrived(hash).rpc()?;
    }
    Ok(hash)
}

fn addresses(api: &Api) -> Vec<Address> {
    api.accounts.iter().map(PrivateKeySigner::address).collect()
}

fn signer(api: &Api, address: Address) -> RpcResult<&PrivateKeySigner> {
    api.accounts.iter().find(|signer| signer.address() == address).ok_or_else(|| {
        server(format!("unknown account {address}: this node signs for the dev accounts only (eth_accounts)"))
    })
}

fn sign_message(api: &Api, address: Address, message: &[u8]) -> RpcResult<Bytes> {
    let signature = signer(api, address)?.sign_message_sync(message).map_err(server)?;
    Ok(signature.as_bytes().into())
}

/// Fills in what a request leaves open and signs it.
fn sign_request(api: &Api, request: TransactionRequest) -> RpcResult<Transaction> {
    let from = request.from.ok_or_else(|| invalid_params("missing field: from"))?;
    let signer = signer(api, from)?;
    let unsigned = complete(api, from, request)?;
    let signature = signer.sign_hash_sync(&unsigned.signature_hash()).map_err(server)?;
    signed(unsigned, signature)
}

/// The transaction with this signature.
pub(super) fn signed(unsigned: TypedTransaction, signature: Signature) -> RpcResult<Transaction> {
    Ok(match unsigned {
        TypedTransaction::Legacy(tx) => tx.into_signed(signature).into(),
        TypedTransaction::Eip2930(tx) => tx.into_signed(signature).into(),
        TypedTransaction::Eip1559(tx) => tx.into_signed(signature).into(),
        TypedTransaction::Eip7702(tx) => tx.into_signed(signature).into(),
        TypedTransaction::Eip4844(_) => return Err(crate::pool::PoolError::Blobs).rpc(),
    })
}

/// Fills in what a request leaves open.
fn complete(api: &Api, from: Address, mut request: TransactionRequest) -> RpcResult<TypedTransaction> {
    if request.nonce.is_none() {
        request.nonce = Some(api.next_nonce(from)?);
    }
    request.chain_id.get_or_insert(api.chain.spec().chain_id);
    if request.gas_price.is_none() {
        let base_fee = u128::from(api.chain.next_base_fee(&api.chain.head().header).unwrap_or_default());
        let tip = DEFAULT_TIP.min(request.max_fee_per_gas.unwrap_or(DEFAULT_TIP));
        let tip = *request.max_priority_fee_per_gas.get_or_insert(tip);
        request.max_fee_per_gas.get_or_insert((base_fee * 2).saturating_add(tip));
    }
    if request.to.is_none() {
        request.to = Some(alloy_primitives::TxKind::Create);
    }
    request.normalize_input();
    if request.gas.is_none() {
        let mut probe = request.clone();
        // The estimate is of the work, not of what the sender can pay: the pool checks that.
        probe.gas_price = None;
        probe.max_fee_per_gas = None;
        probe.max_priority_fee_per_gas = None;
        let mut call = Call::prepare(api, probe, Some(alloy_eips::BlockId::pending()), None, None)?;
        request.gas = Some(super::estimate::estimate_default(api, &mut call)?);
    }
    request.build_consensus_tx().map_err(|e| invalid_params(format!("the transaction cannot be built: {:?}", e.error)))
}
