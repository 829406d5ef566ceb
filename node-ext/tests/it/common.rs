//! A node in this process, a small HTTP client, signed transactions, a tiny model.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use alloy_signer::SignerSync;
use lockstep_engine::{
    DType, Data, Dim, Graph, Input, Limits, Model, Node as GraphNode, Output, Tensor, ValueId,
    graph::Constant,
    ops::{
        binary::{Binary, BinaryKind},
        contraction::MatMul,
        unary::{Unary, UnaryKind},
    },
};
use lockstep_node_ext::{Node, NodeConfig, NodeHandle, dev::dev_accounts};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

/// JSON-RPC at an address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub(crate) SocketAddr);

impl Client {
    /// The whole answer.
    pub(crate) fn raw(&self, method: &str, params: Value) -> std::io::Result<Value> {
        self.post(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string())
    }

    /// Posts a body.
    pub(crate) fn post(&self, body: &str) -> std::io::Result<Value> {
        self.post_with("", body)
    }

    /// Posts a body with a further header, which ends in a line break.
    pub(crate) fn post_with(&self, header: &str, body: &str) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect_timeout(&self.0, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\n{header}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.0,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let other = |reason: &str| std::io::Error::other(format!("{reason}: {answer}"));
        let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| other("no body"))?;
        serde_json::from_str(body).map_err(|_| other("no JSON"))
    }

    /// The result of a method that succeeds.
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        let answer = self.raw(method, params).expect("the node answers");
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The error of a method that fails: code and message.
    pub(crate) fn error(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.raw(method, params).expect("the node answers");
        let error = answer.get("error").unwrap_or_else(|| panic!("{method} succeeded: {answer}"));
        (error["code"].as_i64().unwrap_or_default(), error["message"].as_str().unwrap_or_default().to_string())
    }

    /// A quantity.
    pub(crate) fn number(&self, method: &str, params: Value) -> u64 {
        quantity(&self.call(method, params))
    }

    /// Sends a transaction from a dev account and returns its receipt.
    pub(crate) fn transact(&self, tx: Value) -> Value {
        let hash = self.call("eth_sendTransaction", json!([tx]));
        let receipt = self.call("eth_getTransactionReceipt", json!([hash]));
        assert!(receipt.is_object(), "the block is there when the transaction is acknowledged");
        receipt
    }
}

pub(crate) fn quantity(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_else(|| panic!("expected a quantity, got {value}"));
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a quantity is hex")
}

/// A running node with a runtime of its own.
pub(crate) struct Running {
    pub(crate) handle: Option<NodeHandle>,
    pub(crate) client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Running {
    /// Starts a node on a free port.
    pub(crate) fn start(config: NodeConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let http_addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let handle = runtime.block_on(Node::launch(NodeConfig { http_addr, ..config })).expect("the node starts");
        Self { client: Client(handle.http_addr()), handle: Some(handle), runtime }
    }

    /// A dev chain in memory.
    pub(crate) fn dev() -> Self {
        Self::start(NodeConfig::default())
    }

    pub(crate) fn handle(&self) -> &NodeHandle {
        self.handle.as_ref().expect("the node runs")
    }

    /// Stops it; its data directory is free afterwards.
    pub(crate) fn stop(mut self) {
        self.runtime.block_on(self.handle.take().expect("the node runs").stop());
    }
}

/// The address of a dev account.
pub(crate) fn account(index: usize) -> Address {
    dev_accounts()[index].address()
}

/// A raw EIP-1559 transaction of a dev account.
pub(crate) fn signed(
    from: usize,
    nonce: u64,
    to: TxKind,
    value: u64,
    input: Bytes,
    fees: (u128, u128),
) -> (B256, String) {
    let signer = &dev_accounts()[from];
    let tx = TxEip1559 {
        chain_id: 1212,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: fees.0,
        max_priority_fee_per_gas: fees.1,
        to,
        value: U256::from(value),
        access_list: Default::default(),
        input,
    };
    let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
    let tx: TxEnvelope = tx.into_signed(signature).into();
    (*tx.tx_hash(), hex::encode_prefixed(tx.encoded_2718()))
}

/// A raw transfer of a dev account.
pub(crate) fn transfer(from: usize, nonce: u64, to: Address, value: u64) -> (B256, String) {
    signed(from, nonce, TxKind::Call(to), value, Bytes::new(), (20_000_000_000, 1_000_000_000))
}

/// The model y = x * weights + bias over rows of two values.
pub(crate) fn tiny_model(weights: [f32; 2], bias: [f32; 2]) -> Vec<u8> {
    affine_model(&weights, &bias)
}

/// The model y = x * weights + bias over rows of as many values as there are weights.
pub(crate) fn affine_model(weights: &[f32], bias: &[f32]) -> Vec<u8> {
    let n = weights.len();
    let constant = |values: &[f32]| Tensor::new(vec![n], Data::F32(values.to_vec())).unwrap();
    let node = |kind, a, b| GraphNode { op: Binary { kind }.into(), inputs: vec![Some(ValueId(a)), Some(ValueId(b))] };
    let graph = Graph {
        symbols: vec!["batch".into()],
        inputs: vec![Input { name: "x".into(), dtype: DType::F32, shape: vec![Dim::symbol(0), Dim::Known(n as u64)] }],
        constants: vec![Constant { dtype: DType::F32, shape: vec![n as u32] }; 2],
        nodes: vec![node(BinaryKind::Mul, 0, 1), node(BinaryKind::Add, 3, 2)],
        outputs: vec![Output { name: "y".into(), value: ValueId(4) }],
        ..Graph::default()
    };
    Model::build(graph, &[constant(weights), constant(bias)], Vec::new(), &Limits::default()).unwrap().encode()
}

/// A perceptron of `layers` square layers with pseudo-random weights, over rows of `width` values.
pub(crate) fn mlp_model(layers: usize, width: usize) -> Vec<u8> {
    deep_model(layers, layers, width)
}

/// As [`mlp_model`], with only so many matrices, which the layers take in turn: much work for few bytes.
pub(crate) fn deep_model(layers: usize, matrices: usize, width: usize) -> Vec<u8> {
    let mut seed = 1u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((seed >> 8) as f32 / (1 << 23) as f32 - 1.0) / (width as f32).sqrt()
    };
    let weights: Vec<Tensor> = (0..matrices)
        .map(|_| Tensor::new(vec![width; 2], Data::F32((0..width * width).map(|_| random()).collect())).unwrap())
        .collect();
    let mut nodes = Vec::new();
    let mut last = 0;
    for layer in 0..layers {
        let result = (1 + matrices + nodes.len()) as u32;
        let inputs = vec![Some(ValueId(last)), Some(ValueId(1 + (layer % matrices) as u32))];
        nodes.push(GraphNode { op: MatMul {}.into(), inputs });
        nodes.push(GraphNode { op: Unary { kind: UnaryKind::Relu }.into(), inputs: vec![Some(ValueId(result))] });
        last = result + 1;
    }
    let graph = Graph {
        symbols: vec!["batch".into()],
        inputs: vec![Input {
            name: "x".into(),
            dtype: DType::F32,
            shape: vec![Dim::symbol(0), Dim::Known(width as u64)],
        }],
        constants: vec![Constant { dtype: DType::F32, shape: vec![width as u32; 2] }; matrices],
        nodes,
        outputs: vec![Output { name: "y".into(), value: ValueId(last) }],
        ..Graph::default()
    };
    Model::build(graph, &weights, Vec::new(), &Limits::default()).unwrap().encode()
}

/// A folder of other people's test data: `../shared/fixtures` from the project's root, or LOCKSTEP_FIXTURES.
/// Absent, the tests that need it are skipped, except where CI is set.
pub(crate) fn fixtures(folder: &str) -> Option<PathBuf> {
    let dir = match std::env::var_os("LOCKSTEP_FIXTURES") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures"),
    };
    let dir = dir.join(folder);
    if dir.is_dir() {
        return Some(dir);
    }
    assert!(std::env::var_os("CI").is_none(), "no fixtures at {}: set LOCKSTEP_FIXTURES", dir.display());
    eprintln!("skipped: no fixtures at {}; set LOCKSTEP_FIXTURES", dir.display());
    None
}
