//! A client that plays the consensus side of the Engine API.

use crate::common::{Client, Running};
use alloy_primitives::{Address, B256, Bytes, hex};
use alloy_rlp::Decodable;
use alloy_rpc_types_engine::ExecutionPayloadV3;
use lockstep_node_ext::{
    EngineConfig, GenesisSource, NodeConfig, chain::genesis::dev_genesis, primitives::Block, rpc::engine::JwtSecret,
};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) const SECRET: JwtSecret = JwtSecret::new([3; 32]);

/// A node that a consensus client drives, from the dev genesis.
pub(crate) fn driven(datadir: Option<&Path>) -> Running {
    Running::start(NodeConfig {
        genesis: GenesisSource::Inline { genesis: Box::new(dev_genesis().unwrap()), dev: false },
        datadir: datadir.map(Path::to_path_buf),
        engine: Some(EngineConfig { address: ([127, 0, 0, 1], 0).into(), secret: SECRET }),
        ..Default::default()
    })
}

/// A payload with what goes beside it.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    pub(crate) json: Value,
    pub(crate) beacon_root: B256,
    pub(crate) requests: Vec<Bytes>,
}

impl Payload {
    pub(crate) fn hash(&self) -> B256 {
        serde_json::from_value(self.json["blockHash"].clone()).unwrap()
    }

    pub(crate) fn transactions(&self) -> usize {
        self.json["transactions"].as_array().unwrap().len()
    }

    /// A block of another node.
    pub(crate) fn of_block(block: Block) -> Self {
        let hash = block.header.hash_slow();
        Self {
            beacon_root: block.header.parent_beacon_block_root.unwrap(),
            json: serde_json::to_value(ExecutionPayloadV3::from_block_unchecked(hash, &block)).unwrap(),
            requests: Vec::new(),
        }
    }
}

/// Block `number` of a node.
pub(crate) fn block_of(client: Client, number: u64) -> Block {
    let raw = client.call("debug_getRawBlock", json!([format!("{number:#x}")]));
    Block::decode(&mut hex::decode(raw.as_str().unwrap()).unwrap().as_slice()).unwrap()
}

/// The consensus side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consensus(pub(crate) Client);

impl Consensus {
    pub(crate) fn of(node: &Running) -> Self {
        Self(Client(node.handle().engine_addr().expect("the Engine API is on")))
    }

    /// The whole answer.
    pub(crate) fn raw(&self, method: &str, params: Value) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let header = format!("authorization: Bearer {}\r\n", SECRET.token(now));
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        self.0.post_with(&header, &body).expect("the node answers")
    }

    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        let answer = self.raw(method, params);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    pub(crate) fn error(&self, method: &str, params: Value) -> i64 {
        let answer = self.raw(method, params);
        answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{method} succeeded: {answer}"))
    }

    /// The status of a payload.
    pub(crate) fn new_payload(&self, payload: &Payload) -> Value {
        self.call("engine_newPayloadV4", json!([payload.json, [], payload.beacon_root, payload.requests]))
    }

    /// Tells a payload that must be valid.
    pub(crate) fn import(&self, payload: &Payload) -> B256 {
        let status = self.new_payload(payload);
        assert_eq!(status["status"], "VALID", "{status}");
        assert_eq!(status["latestValidHash"], json!(payload.hash()));
        payload.hash()
    }

    /// Moves the head; the payload's status.
    pub(crate) fn choose(&self, head: B256) -> Value {
        self.choose_all(head, B256::ZERO, B256::ZERO)["payloadStatus"].clone()
    }

    pub(crate) fn choose_all(&self, head: B256, safe: B256, finalised: B256) -> Value {
        self.call("engine_forkchoiceUpdatedV3", json!([state(head, safe, finalised), null]))
    }

    /// Has a block built on `parent`, which becomes the head.
    pub(crate) fn build(&self, parent: B256, time: u64, recipient: Address) -> Payload {
        let beacon_root = B256::repeat_byte(time as u8);
        let attributes = json!({
            "timestamp": format!("{time:#x}"),
            "prevRandao": B256::repeat_byte(!(time as u8)),
            "suggestedFeeRecipient": recipient,
            "withdrawals": [],
            "parentBeaconBlockRoot": beacon_root,
        });
        let answer =
            self.call("engine_forkchoiceUpdatedV3", json!([state(parent, B256::ZERO, B256::ZERO), attributes]));
        assert_eq!(answer["payloadStatus"]["status"], "VALID", "{answer}");
        let built = self.call("engine_getPayloadV5", json!([answer["payloadId"]]));
        Payload {
            json: built["executionPayload"].clone(),
            beacon_root,
            requests: serde_json::from_value(built["executionRequests"].clone()).unwrap(),
        }
    }

    /// Builds a block, tells it, and makes it the head.
    pub(crate) fn extend(&self, parent: B256, time: u64, recipient: Address) -> Payload {
        let payload = self.build(parent, time, recipient);
        self.import(&payload);
        assert_eq!(self.choose(payload.hash())["status"], "VALID");
        payload
    }
}

pub(crate) fn state(head: B256, safe: B256, finalised: B256) -> Value {
    json!({"headBlockHash": head, "safeBlockHash": safe, "finalizedBlockHash": finalised})
}
