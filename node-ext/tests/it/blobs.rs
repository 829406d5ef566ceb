//! Blob transactions: in the pool with their sidecars, in blocks without.

use crate::{
    common::{Running, account, transfer},
    consensus::{Consensus, Payload, driven},
};
use alloy_consensus::{SignableTransaction, TxEip4844, TxEip4844Variant, TxEip4844WithSidecar, TxEnvelope};
use alloy_eips::{
    eip2718::Encodable2718,
    eip4844::{Blob, BlobTransactionSidecar},
    eip7594::{BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant as Sidecar, CELLS_PER_EXT_BLOB},
};
use alloy_primitives::{Address, B256, FixedBytes, hex};
use alloy_signer::SignerSync;
use lockstep_node_ext::dev::dev_accounts;
use serde_json::{Value, json};

const GWEI: u128 = 1_000_000_000;

/// The point at infinity: commitment to, and every proof of, a blob of zeros.
fn infinity() -> FixedBytes<48> {
    let mut point = FixedBytes::ZERO;
    point[0] = 0xc0;
    point
}

fn cells(blobs: usize) -> Sidecar {
    Sidecar::Eip7594(BlobTransactionSidecarEip7594 {
        blobs: vec![Blob::ZERO; blobs],
        commitments: vec![infinity(); blobs],
        cell_proofs: vec![infinity(); blobs * CELLS_PER_EXT_BLOB],
    })
}

/// A signed blob transaction: with its sidecar, and as a block holds it.
fn signed(from: usize, nonce: u64, fee: u128, sidecar: &Sidecar) -> (B256, String, String) {
    let tx = TxEip4844 {
        chain_id: 1212,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 20 * fee,
        max_priority_fee_per_gas: fee,
        to: Address::repeat_byte(0x42),
        value: Default::default(),
        access_list: Default::default(),
        blob_versioned_hashes: sidecar.versioned_hashes().collect(),
        max_fee_per_blob_gas: fee,
        input: Default::default(),
    };
    let signature = dev_accounts()[from].sign_hash_sync(&tx.signature_hash()).unwrap();
    let encode = |variant: TxEip4844Variant| {
        let tx: TxEnvelope = variant.into_signed(signature).into();
        (*tx.tx_hash(), hex::encode_prefixed(tx.encoded_2718()))
    };
    let (hash, bare) = encode(tx.clone().into());
    let (same, with) = encode(TxEip4844WithSidecar { tx, sidecar: sidecar.clone() }.into());
    assert_eq!(hash, same);
    (hash, with, bare)
}

/// Builds a block; the payload with everything beside it.
fn build(node: &Running, parent: B256, time: u64) -> (Payload, Value) {
    let cl = Consensus::of(node);
    let attributes = json!({"timestamp": format!("{time:#x}"), "prevRandao": B256::ZERO,
        "suggestedFeeRecipient": Address::ZERO, "withdrawals": [], "parentBeaconBlockRoot": B256::ZERO});
    let state = crate::consensus::state(parent, B256::ZERO, B256::ZERO);
    let id = cl.call("engine_forkchoiceUpdatedV3", json!([state, attributes]))["payloadId"].clone();
    let built = cl.call("engine_getPayloadV5", json!([id]));
    let payload = Payload { json: built["executionPayload"].clone(), beacon_root: B256::ZERO, requests: Vec::new() };
    (payload, built)
}

fn import(node: &Running, payload: &Payload, hashes: &[B256]) -> Value {
    let cl = Consensus::of(node);
    cl.call("engine_newPayloadV4", json!([payload.json, hashes, payload.beacon_root, []]))
}

#[test]
fn blobs_go_from_the_pool_to_the_consensus_side_and_come_back() {
    let node = driven(None);
    let (c, cl) = (node.client, Consensus::of(&node));
    let genesis = node.handle().chain().genesis_hash();
    let sidecar = cells(2);
    let hashes: Vec<B256> = sidecar.versioned_hashes().collect();
    let (hash, raw, bare) = signed(0, 0, GWEI, &sidecar);
    assert_eq!(c.call("eth_sendRawTransaction", json!([raw])), json!(hash));
    assert!(c.error("eth_sendRawTransaction", json!([raw])).1.contains("already known"));
    let had = cl.call("engine_getBlobsV2", json!([[hashes[0]]]));
    assert_eq!(had[0]["proofs"].as_array().map(Vec::len), Some(CELLS_PER_EXT_BLOB));
    assert_eq!(cl.call("engine_getBlobsV2", json!([[hashes[0], B256::ZERO]])), json!(null), "all or none");
    assert_eq!(cl.call("engine_getBlobsV1", json!([[hashes[0]]])), json!([null]), "another form");

    // Twice: the first block is left, and the transaction comes back with its sidecar.
    for time in [1, 2] {
        let (payload, built) = build(&node, genesis, time);
        assert_eq!(payload.json["transactions"], json!([bare]), "a block holds no sidecar");
        let bundle = &built["blobsBundle"];
        let count = |part: &str| bundle[part].as_array().map(Vec::len);
        assert_eq!(
            (count("blobs"), count("commitments"), count("proofs")),
            (Some(2), Some(2), Some(2 * CELLS_PER_EXT_BLOB))
        );
        assert_eq!(
            import(&node, &payload, &hashes[..1])["status"],
            "INVALID",
            "other blobs than the consensus side has"
        );
        assert_eq!(import(&node, &payload, &hashes)["status"], "VALID");
        cl.choose(payload.hash());
        let receipt = c.call("eth_getTransactionReceipt", json!([hash]));
        assert_eq!((&receipt["status"], &receipt["blobGasUsed"]), (&json!("0x1"), &json!("0x40000")));
        assert_eq!(c.call("txpool_status", json!([]))["pending"], "0x0");
    }

    // A block whose transaction carries its sidecar is none, whatever hash it has.
    let (mut payload, _) = build(&node, genesis, 3);
    payload.json["transactions"] = json!([raw]);
    let parsed: alloy_rpc_types_engine::ExecutionPayloadV3 = serde_json::from_value(payload.json.clone()).unwrap();
    let mut block: alloy_consensus::Block<TxEnvelope> = parsed.try_into_block().unwrap();
    block.header.parent_beacon_block_root = Some(B256::ZERO);
    block.header.requests_hash = Some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH);
    payload.json["blockHash"] = json!(block.header.hash_slow());
    let status = import(&node, &payload, &hashes);
    assert!(
        status["status"] == "INVALID" && status["validationError"].as_str().unwrap().contains("sidecar"),
        "{status}"
    );
}

#[test]
fn blobs_that_are_not_proven_or_not_paid_are_refused() {
    let node = driven(None);
    let c = node.client;
    let refused = |raw: &str| c.error("eth_sendRawTransaction", json!([raw])).1;
    let (_, good, bare) = signed(0, 0, GWEI, &cells(1));
    assert!(refused(&bare).contains("without its sidecar"));
    let Sidecar::Eip7594(mut wrong) = cells(1) else { unreachable!() };
    wrong.blobs[0][1] = 1;
    assert!(refused(&signed(0, 0, GWEI, &Sidecar::Eip7594(wrong.clone())).1).contains("do not prove"));
    wrong.blobs[0][1] = 0;
    wrong.cell_proofs.pop();
    assert!(refused(&signed(0, 0, GWEI, &Sidecar::Eip7594(wrong)).1).contains("do not prove"));
    let old =
        BlobTransactionSidecar { blobs: vec![Blob::ZERO], commitments: vec![infinity()], proofs: vec![infinity()] };
    assert!(refused(&signed(0, 0, GWEI, &Sidecar::Eip4844(old)).1).contains("EIP-7594"));
    assert!(refused(&signed(0, 0, GWEI, &cells(0)).1).contains("no blobs"));
    let many = refused(&signed(0, 0, GWEI, &cells(7)).1);
    assert!(many.contains("oversized") || many.contains("more blobs"), "{many}");
    assert!(refused(&signed(0, 0, 10u128.pow(20), &cells(1)).1).contains("insufficient funds"));
    // A replacement pays twice as much.
    c.call("eth_sendRawTransaction", json!([good]));
    assert!(refused(&signed(0, 0, 3 * GWEI / 2, &cells(1)).1).contains("underpriced"));
    assert!(refused(&transfer(0, 0, account(1), 1).1).contains("underpriced"));
    c.call("eth_sendRawTransaction", json!([signed(0, 0, 2 * GWEI, &cells(2)).1]));
    assert_eq!(c.call("txpool_status", json!([]))["pending"], "0x1");
}

#[test]
fn a_block_takes_as_many_blobs_as_it_may() {
    let node = driven(None);
    let c = node.client;
    let genesis = node.handle().chain().genesis_hash();
    // Two of five blobs each do not fit into nine; what has none goes along.
    for from in 0..2 {
        c.call("eth_sendRawTransaction", json!([signed(from, 0, GWEI, &cells(5)).1]));
    }
    c.call("eth_sendRawTransaction", json!([transfer(2, 0, account(9), 1).1]));
    let (payload, built) = build(&node, genesis, 1);
    assert_eq!((payload.transactions(), built["blobsBundle"]["blobs"].as_array().map(Vec::len)), (2, Some(5)));
    let hashes: Vec<B256> = cells(5).versioned_hashes().collect();
    assert_eq!(import(&node, &payload, &hashes)["status"], "VALID");
    Consensus::of(&node).choose(payload.hash());
    let (next, _) = build(&node, payload.hash(), 2);
    assert_eq!(next.transactions(), 1);
}
