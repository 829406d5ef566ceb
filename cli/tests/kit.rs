//! The entry that the Solidity test kit calls.

mod common;

use alloy_primitives::{B256, Bytes, I256, U256, hex};
use alloy_sol_types::{SolCall, SolError, SolValue};
use common::{import, lockstep, text};
use lockstep_precompile::abi::IInference;

/// status, gas used, data
fn ask(args: &[String]) -> (u8, u64, Vec<u8>) {
    let run = lockstep(["kit".to_owned(), "call".into()].into_iter().chain(args.iter().cloned()));
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
    let bytes = hex::decode(run.stdout.trim()).unwrap();
    let (status, gas, data) = <(U256, U256, Bytes)>::abi_decode_params(&bytes).unwrap();
    (status.to(), gas.to(), data.to_vec())
}

fn args(gas: &str, model: &str, data: &[u8]) -> Vec<String> {
    ["--gas", gas, "--model", model, "--calldata", &hex::encode_prefixed(data)].map(str::to_owned).to_vec()
}

#[test]
fn the_kit_gets_answers_and_the_gas_that_quote_says() {
    let dir = tempfile::tempdir().unwrap();
    let (file, report) = import("iris_forest", dir.path());
    let model = text(&file);
    let id = lockstep(["kit", "id", &model]);
    assert_eq!(id.stdout.trim(), report["modelId"]);
    let model_id: B256 = id.stdout.trim().parse().unwrap();
    let wad = |v: f64| I256::try_from((v * 10.0) as i64).unwrap() * I256::try_from(100_000_000_000_000_000i64).unwrap();
    let x = vec![wad(5.1), wad(2.5), wad(3.0), wad(1.1)];
    let call = IInference::classifyCall { modelId: model_id, x }.abi_encode();

    let (status, gas, data) = ask(&args("1000000", &model, &call));
    assert_eq!(status, 0);
    let answer = IInference::classifyCall::abi_decode_returns(&data).unwrap();
    assert_eq!(answer.classIndex, [U256::from(1)]);

    let quote = IInference::quoteCall { call: call.clone().into() }.abi_encode();
    let (status, _, data) = ask(&args("1000000", &model, &quote));
    assert_eq!((status, U256::from_be_slice(&data)), (0, U256::from(gas)));
    assert_eq!(report["gas"]["classify"], gas);

    // To the unit: enough is enough, one less is too little.
    assert_eq!(ask(&args(&gas.to_string(), &model, &call)).0, 0);
    assert_eq!(ask(&args(&(gas - 1).to_string(), &model, &call)), (2, gas - 1, vec![]));

    let mut more = args("1000000", &model, &call);
    more.extend(["--value".to_owned(), "7".into()]);
    let (status, _, data) = ask(&more);
    assert_eq!(status, 1);
    assert_eq!(IInference::ValueNotAccepted::abi_decode(&data).unwrap().value, U256::from(7));
    let mut more = args("1000000", &model, &call);
    more.push("--delegate".into());
    let (status, _, data) = ask(&more);
    assert_eq!((status, &data[..4]), (1, &IInference::DelegateCall::SELECTOR[..]));
    let mut more = args("1000000", &model, &call);
    more.push("--delegate=0x00000000000000000000000000000000000000aa".into());
    let target = IInference::DelegateCall::abi_decode(&ask(&more).2).unwrap().target;
    assert_eq!(target, alloy_primitives::address!("00000000000000000000000000000000000000aa"));

    let in_file = dir.path().join("call.hex");
    std::fs::write(&in_file, hex::encode_prefixed(&call) + "\n").unwrap();
    let huge = U256::MAX.to_string();
    let by_file = ["--gas", &huge, "--model", &model, "--calldata-file", &text(&in_file)].map(str::to_owned);
    assert_eq!(ask(&by_file).1, gas);
}

#[test]
fn faults_of_this_machine_are_status_three() {
    let call = IInference::describeCall { modelId: B256::ZERO }.abi_encode();
    let (status, _, data) = ask(&args("1000000", "/nonexistent/model.lsm", &call));
    assert_eq!(status, 3);
    assert!(String::from_utf8(data).unwrap().contains("/nonexistent/model.lsm"));
    // A model that nobody named is the caller's mistake.
    let by = ["--gas", "1000000", "--calldata", &hex::encode_prefixed(&call)].map(str::to_owned);
    let (status, _, data) = ask(&by);
    assert_eq!((status, &data[..4]), (1, &IInference::UnknownModel::SELECTOR[..]));
}

#[test]
fn the_version_is_an_encoded_string() {
    let run = lockstep(["kit", "version"]);
    let text = String::abi_decode(&hex::decode(run.stdout.trim()).unwrap()).unwrap();
    assert_eq!(text, env!("CARGO_PKG_VERSION"));
}
