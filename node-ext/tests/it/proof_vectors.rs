//! The vectors by which Rust and Solidity check proofs of inferences: contracts/test/vectors/inference_proofs.json.
//! After a change of the format, LOCKSTEP_WRITE_VECTORS=1 writes them again.

use alloy_consensus::Header;
use alloy_eips::eip2935::HISTORY_STORAGE_CODE;
use alloy_primitives::{B64, B256, Bytes, U256, hex, keccak256};
use lockstep_node_ext::inference::InferenceProof;
use lockstep_precompile::{InferenceLeaf, InferencePath, commitment};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What case 0 returned: `infer`, two values.
fn returned() -> Bytes {
    let word = |n: u64| U256::from(n).to_be_bytes::<32>();
    [word(32), word(2), word(1_500_000_000_000_000_000), word(7)].concat().into()
}

fn leaf(block: u64, n: u64) -> InferenceLeaf {
    let hash = |what: &str| keccak256(format!("{what} {block} {n}"));
    InferenceLeaf {
        transaction_index: n / 2,
        transaction_hash: hash("transaction"),
        model_id: keccak256(format!("model {}", n % 3)),
        selector: [[0x11, 0x22, 0x33, 0x44], [0xff, 0, 0, 1]][n as usize % 2].into(),
        inputs_hash: hash("inputs"),
        outputs_hash: hash("outputs"),
        returned_hash: if block == 0 { keccak256(returned()) } else { hash("returned") },
        gas: 3_300 + n * 1_000_003,
    }
}

/// A header of the `n`th form: from Paris to Prague, small and large numbers.
fn header(n: u64, count: u64, extra_data: B256) -> Header {
    let mut header = Header {
        parent_hash: keccak256(format!("parent {n}")),
        number: [5, 0x7f, 0x80, 300, u64::from(u32::MAX) + 7, 1][n as usize % 6],
        gas_limit: 60_000_000,
        gas_used: 21_000 * count,
        timestamp: 1_700_000_000 + n,
        extra_data: extra_data.into(),
        mix_hash: keccak256(format!("randao {n}")),
        nonce: B64::ZERO,
        base_fee_per_gas: Some(if n.is_multiple_of(2) { 7 } else { 1_000_000_000 }),
        ..Default::default()
    };
    if n >= 1 {
        header.withdrawals_root = Some(keccak256("withdrawals"));
    }
    if n >= 2 {
        (header.blob_gas_used, header.excess_blob_gas) = (Some(0), Some(131_072));
        header.parent_beacon_block_root = Some(keccak256("beacon"));
    }
    if n >= 3 {
        header.requests_hash = Some(keccak256("requests"));
    }
    header
}

fn case(name: String, header: &[u8], hash: B256, number: u64, leaf: &InferenceLeaf, path: &InferencePath) -> Value {
    json!({
        "name": name,
        "blockNumber": number,
        "blockHash": hash,
        "header": hex::encode_prefixed(header),
        "function": leaf.selector,
        "leafHash": leaf.hash(),
        "leaf": leaf,
        "path": path,
        "inputs": [],
    })
}

fn generate() -> Value {
    let mut cases = Vec::new();
    for (n, count) in [1u64, 2, 3, 5, 8, 13].into_iter().enumerate() {
        let leaves: Vec<InferenceLeaf> = (0..count).map(|k| leaf(n as u64, k)).collect();
        let hashes: Vec<B256> = leaves.iter().map(InferenceLeaf::hash).collect();
        let header = header(n as u64, count, commitment::of_leaves(&leaves));
        let rlp = alloy_rlp::encode(&header);
        for (index, leaf) in leaves.iter().enumerate() {
            let path = commitment::path(&hashes, index).unwrap();
            let name = format!("{index} of {count}");
            cases.push(case(name, &rlp, keccak256(&rlp), header.number, leaf, &path));
        }
    }
    let right = cases.len();
    cases.extend(forgeries());
    json!({
        "historyCode": hex::encode_prefixed(&HISTORY_STORAGE_CODE),
        "returned": returned(),
        "right": right,
        "wrong": cases.len() - right,
        "cases": cases,
    })
}

/// Proofs that prove nothing, each by one change.
fn forgeries() -> Vec<Value> {
    let leaves: Vec<InferenceLeaf> = (0..5).map(|k| leaf(3, k)).collect();
    let hashes: Vec<B256> = leaves.iter().map(InferenceLeaf::hash).collect();
    let good = header(3, 5, commitment::of_leaves(&leaves));
    let rlp = alloy_rlp::encode(&good);
    let (leaf, path) = (leaves[2], commitment::path(&hashes, 2).unwrap());
    let with = |name: &str, leaf: InferenceLeaf, path: InferencePath| {
        case(name.into(), &rlp, keccak256(&rlp), good.number, &leaf, &path)
    };
    let flip = |hash: B256| hash ^ B256::with_last_byte(1);
    let mut all = vec![
        with("transaction index", InferenceLeaf { transaction_index: 2, ..leaf }, path.clone()),
        with("transaction", InferenceLeaf { transaction_hash: flip(leaf.transaction_hash), ..leaf }, path.clone()),
        with("model", InferenceLeaf { model_id: flip(leaf.model_id), ..leaf }, path.clone()),
        with("selector", InferenceLeaf { selector: [1, 2, 3, 4].into(), ..leaf }, path.clone()),
        with("inputs", InferenceLeaf { inputs_hash: flip(leaf.inputs_hash), ..leaf }, path.clone()),
        with("outputs", InferenceLeaf { outputs_hash: flip(leaf.outputs_hash), ..leaf }, path.clone()),
        with("answer", InferenceLeaf { returned_hash: flip(leaf.returned_hash), ..leaf }, path.clone()),
        with("gas", InferenceLeaf { gas: leaf.gas + 1, ..leaf }, path.clone()),
        with("another leaf", leaves[3], path.clone()),
        with("place", leaf, InferencePath { index: 3, ..path.clone() }),
        with("no place", leaf, InferencePath { index: 5, ..path.clone() }),
        with("count", leaf, InferencePath { count: 6, ..path.clone() }),
        with("no path", leaf, InferencePath { siblings: Vec::new(), ..path.clone() }),
        with(
            "longer path",
            leaf,
            InferencePath { siblings: [path.siblings.clone(), vec![B256::ZERO]].concat(), ..path.clone() },
        ),
        with("shorter path", leaf, InferencePath { siblings: path.siblings[..1].to_vec(), ..path.clone() }),
    ];
    for at in 0..path.siblings.len() {
        let mut changed = path.clone();
        changed.siblings[at] = flip(changed.siblings[at]);
        all.push(with(&format!("sibling {at}"), leaf, changed));
    }
    let mut header_case = |name: &str, rlp: &[u8], hash: B256| {
        all.push(case(name.into(), rlp, hash, good.number, &leaf, &path));
    };
    let other =
        alloy_rlp::encode(Header { extra_data: flip(B256::from_slice(&good.extra_data)).into(), ..good.clone() });
    header_case("header of another block", &other, keccak256(&rlp));
    header_case("block that commits to something else", &other, keccak256(&other));
    let free = alloy_rlp::encode(Header { extra_data: Bytes::from_static(b"a proposer's words"), ..good.clone() });
    header_case("block that commits to nothing", &free, keccak256(&free));
    let longer = [rlp.as_slice(), &[0]].concat();
    header_case("header with a byte behind it", &longer, keccak256(&longer));
    header_case("no header", &[], keccak256([]));
    all
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/test/vectors/inference_proofs.json")
}

#[test]
fn proofs_of_the_vectors_prove_and_forgeries_do_not() {
    let vectors: Value = serde_json::from_slice(&std::fs::read(file()).unwrap()).unwrap();
    let right = vectors["right"].as_u64().unwrap() as usize;
    let cases = vectors["cases"].as_array().unwrap();
    assert!(right > 10 && cases.len() > right + 10);
    for (k, case) in cases.iter().enumerate() {
        let proof: InferenceProof = serde_json::from_value(case.clone()).unwrap();
        let checked = proof.check_commitment();
        assert_eq!(checked.is_ok(), k < right, "{}: {checked:?}", case["name"]);
        assert_eq!(json!(proof.leaf.hash()), case["leafHash"]);
    }
}

#[test]
fn the_vectors_are_those_of_this_format() {
    let generated = serde_json::to_string_pretty(&generate()).unwrap() + "\n";
    if std::env::var_os("LOCKSTEP_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(file().parent().unwrap()).unwrap();
        std::fs::write(file(), &generated).unwrap();
    }
    assert!(std::fs::read_to_string(file()).unwrap() == generated, "LOCKSTEP_WRITE_VECTORS=1 writes them again");
}
