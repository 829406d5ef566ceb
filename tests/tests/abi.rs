//! Rust's and Solidity's idea of the ABI are one: functions and errors of `sol!` against forge's artifacts.

use std::collections::BTreeSet;

use alloy_primitives::keccak256;
use alloy_sol_types::{SolCall, SolInterface};
use anyhow::{Context, Result};
use lockstep_precompile::abi::IInference::{
    IInferenceErrors, classifyCall, describeCall, inferCall, quoteCall, runCall, validateCall,
};
use lockstep_tests::node::root;
use serde_json::Value;

/// The canonical type of an ABI parameter: tuples written out.
fn canonical(parameter: &Value) -> String {
    let kind = parameter["type"].as_str().unwrap_or_default();
    match kind.strip_prefix("tuple") {
        Some(array) => format!("({}){array}", list(&parameter["components"])),
        None => kind.to_owned(),
    }
}

fn list(parameters: &Value) -> String {
    parameters.as_array().into_iter().flatten().map(canonical).collect::<Vec<_>>().join(",")
}

/// Selectors of one kind of item in forge's artifact of IInference.
fn forge(kind: &str) -> Result<BTreeSet<[u8; 4]>> {
    let path = root().join("out/IInference.sol/IInference.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}: run `npx forge build`", path.display()))?;
    let artifact: Value = serde_json::from_str(&text)?;
    let items = artifact["abi"].as_array().context("no abi")?.iter().filter(|i| i["type"] == kind);
    Ok(items
        .map(|i| {
            let signature = format!("{}({})", i["name"].as_str().unwrap_or_default(), list(&i["inputs"]));
            let hash = keccak256(signature);
            [hash[0], hash[1], hash[2], hash[3]]
        })
        .collect())
}

#[test]
fn functions_and_errors_have_the_same_selectors() -> Result<()> {
    let functions = BTreeSet::from([
        inferCall::SELECTOR,
        classifyCall::SELECTOR,
        runCall::SELECTOR,
        quoteCall::SELECTOR,
        describeCall::SELECTOR,
        validateCall::SELECTOR,
    ]);
    assert_eq!(forge("function")?, functions);
    assert_eq!(forge("error")?, IInferenceErrors::selectors().collect());
    Ok(())
}
