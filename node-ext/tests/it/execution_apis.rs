//! The chain of ethereum/execution-apis: 54 blocks from Frontier to Osaka/BPO2, and its JSON-RPC cases.

use crate::common::{Running, fixtures};
use lockstep_node_ext::{GenesisSource, NodeConfig};
use serde_json::{Value, json};

#[test]
fn the_chain_imports_and_every_offered_method_answers_as_expected() {
    let Some(dir) = fixtures("execution-apis") else { return };
    let node = Running::start(NodeConfig {
        genesis: GenesisSource::File(dir.join("genesis.json")),
        import: Some(dir.join("chain.rlp")),
        ..Default::default()
    });
    let head: Value = serde_json::from_slice(&std::fs::read(dir.join("headfcu.json")).unwrap()).unwrap();
    let latest = node.client.call("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(latest["hash"], head["params"][0]["headBlockHash"]);

    let (mut passed, mut wrong) = (0, Vec::new());
    for folder in std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
        let method = folder.file_name().unwrap().to_string_lossy().into_owned();
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = format!("{method}/{}", file.file_name().unwrap().to_string_lossy());
            match case(&node, &std::fs::read_to_string(&file).unwrap()) {
                Ok(()) => passed += 1,
                Err(reason) => wrong.push(format!("{name}: {reason}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{passed} passed, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed >= 114, "{passed} cases passed");
}

fn case(node: &Running, text: &str) -> Result<(), String> {
    let shape_only = text.lines().any(|line| line.starts_with("//") && line.contains("speconly"));
    let mut got = Value::Null;
    for line in text.lines() {
        if let Some(request) = line.strip_prefix(">>") {
            got = node.client.post(request.trim()).map_err(|e| e.to_string())?;
        } else if let Some(expected) = line.strip_prefix("<<") {
            let expected: Value = serde_json::from_str(expected.trim()).map_err(|e| e.to_string())?;
            let same = match (expected.get("error"), got.get("error")) {
                (Some(a), Some(b)) => a["code"] == b["code"] && a["data"] == b["data"],
                (None, None) if shape_only => true,
                (None, None) => expected["result"] == got["result"],
                _ => false,
            };
            if !same {
                return Err(format!("expected {expected}, got {got}"));
            }
        }
    }
    Ok(())
}
