//! The vectors by which Rust and Solidity check attestations: contracts/test/vectors/attestations.json.
//! After a change of the format, LOCKSTEP_WRITE_VECTORS=1 writes them again.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_signer::SignerSync;
use lockstep_engine::format::merkle::{LEAF_SIZE, weights_root};
use lockstep_node_ext::{
    dev::dev_accounts,
    evm::REGISTRY_ADDRESS,
    models::StoredModel,
    publish::off_chain::{Asked, Holder},
};
use lockstep_precompile::attestation::{Statement, possession, salt};
use serde_json::{Value, json};

fn case(n: u64, chain_id: u64, length: usize) -> Value {
    let hash = |what: &str| keccak256(format!("{what} {n}"));
    let weights: Vec<u8> = (0..length).map(|i| (i as u64 * (n + 3) % 253) as u8).collect();
    let signer = &dev_accounts()[n as usize];
    let (attester, challenge) = (signer.address(), hash("challenge"));
    let model = StoredModel { id: hash("model"), graph: Vec::new(), weights };
    // As an attester signs.
    let asked =
        Asked { challenge, end: 9, count: 0, quorum: 1, attesters: vec![(Address::ZERO, true), (attester, false)] };
    let signed = Holder { chain_id, signer, model: &model }.attest(&asked).unwrap().unwrap();
    assert_eq!(signed.attester, 1);
    // As anybody checks.
    let statement = Statement {
        chain_id,
        registry: REGISTRY_ADDRESS,
        model_id: model.id,
        weights_root: weights_root(&model.weights).into(),
        challenge,
        possession: possession(salt(challenge, attester), &model.weights),
    };
    assert_eq!(signed.possession, statement.possession);
    let again = signer.sign_hash_sync(&statement.digest()).unwrap();
    assert_eq!((B256::from(again.r()), B256::from(again.s())), (signed.r, signed.s));
    json!({
        "chainId": chain_id,
        "modelId": model.id,
        "challenge": challenge,
        "attester": attester.into_word(),
        "weights": Bytes::from(model.weights.clone()),
        "possession": statement.possession,
        "digest": statement.digest(),
        "v": signed.v,
        "r": signed.r,
        "s": signed.s,
    })
}

#[test]
fn the_vectors_of_attestations_are_those_of_this_format() {
    let sizes =
        [(1212, 1), (1, 500), (u64::from(u32::MAX) + 1, LEAF_SIZE), (7, LEAF_SIZE + 1), (1212, 3 * LEAF_SIZE + 64)];
    let cases: Vec<Value> = (0..).zip(sizes).map(|(n, (chain, length))| case(n, chain, length)).collect();
    let text = serde_json::to_string_pretty(&json!({ "count": cases.len(), "cases": cases })).unwrap() + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/test/vectors/attestations.json");
    if std::env::var_os("LOCKSTEP_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "{} is not what this format gives: LOCKSTEP_WRITE_VECTORS=1 writes it", path.display());
}
