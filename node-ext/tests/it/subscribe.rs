//! Subscriptions over WebSocket, and web pages.

use crate::common::{Client, Running, account, transfer};
use alloy_primitives::Address;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// A WebSocket client, as small as it can be.
struct Socket {
    stream: TcpStream,
    notified: VecDeque<Value>,
}

impl Socket {
    fn open(client: Client, headers: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(client.0).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
            client.0
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        match head.starts_with("HTTP/1.1 101") {
            true => Ok(Self { stream, notified: VecDeque::new() }),
            false => Err(head),
        }
    }

    fn read(&mut self) -> Value {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).expect("a message in time");
        assert_eq!(head[0], 0x81, "a whole text message");
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length).unwrap();
                usize::from(u16::from_be_bytes(length))
            }
            length => usize::from(length),
        };
        let mut message = vec![0; length];
        self.stream.read_exact(&mut message).unwrap();
        serde_json::from_slice(&message).unwrap()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        let text = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string();
        // A client masks what it sends; this mask changes nothing.
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        self.stream.write_all(&frame).unwrap();
        loop {
            let message = self.read();
            match message.get("id") {
                Some(_) => return message,
                None => self.notified.push_back(message),
            }
        }
    }

    /// The next notification of a subscription.
    fn next(&mut self, subscription: &Value) -> Value {
        loop {
            if let Some(at) = self.notified.iter().position(|n| n["params"]["subscription"] == *subscription) {
                let found = self.notified.remove(at).unwrap();
                assert_eq!(found["method"], "eth_subscription");
                return found["params"]["result"].clone();
            }
            let message = self.read();
            self.notified.push_back(message);
        }
    }

    fn subscribe(&mut self, params: Value) -> Value {
        let answer = self.call("eth_subscribe", params);
        assert!(answer["result"].as_str().is_some_and(|id| id.starts_with("0x")), "{answer}");
        answer["result"].clone()
    }
}

#[test]
fn subscribers_hear_of_heads_logs_and_transactions() {
    let node = Running::dev();
    let c = node.client;
    let mut socket = Socket::open(c, "").unwrap();
    let heads = socket.subscribe(json!(["newHeads"]));
    let pending = socket.subscribe(json!(["newPendingTransactions"]));
    let full = socket.subscribe(json!(["newPendingTransactions", true]));
    let snapshot = c.call("evm_snapshot", json!([]));
    // Code that logs the block number.
    let deployed = c.transact(json!({"from": account(1), "data": "0x6007600c60003960076000f3435f5260205fa0"}));
    assert_eq!(socket.next(&heads)["hash"], deployed["blockHash"]);
    assert_eq!(socket.next(&pending), deployed["transactionHash"]);
    assert_eq!(socket.next(&full)["hash"], deployed["transactionHash"]);
    let contract = &deployed["contractAddress"];
    let logs = socket.subscribe(json!(["logs", {"address": contract}]));
    let others = socket.subscribe(json!(["logs", {"address": Address::repeat_byte(1)}]));
    let filter = c.call("eth_newFilter", json!([{"address": contract}]));
    let call = c.transact(json!({"from": account(1), "to": contract}));
    let log = socket.next(&logs);
    assert_eq!((&log["transactionHash"], &log["removed"]), (&call["transactionHash"], &json!(false)));
    assert_eq!(c.call("eth_getFilterChanges", json!([filter])), json!([log]));
    // What is taken back is told as removed, to subscribers and to filters.
    c.call("evm_revert", json!([snapshot]));
    let removed = socket.next(&logs);
    assert_eq!((&removed["transactionHash"], &removed["removed"]), (&call["transactionHash"], &json!(true)));
    assert_eq!(c.call("eth_getFilterChanges", json!([filter])), json!([removed]));
    assert_eq!(c.call("eth_getFilterChanges", json!([filter])), json!([]));
    assert!(!socket.notified.iter().any(|n| n["params"]["subscription"] == others));
    assert_eq!(socket.call("eth_unsubscribe", json!([heads]))["result"], true);
    assert_eq!(socket.call("eth_subscribe", json!(["syncing?"]))["error"]["code"], -32602);
    assert_eq!(socket.call("eth_blockNumber", json!([]))["result"], "0x0");
}

/// The status and headers of an HTTP request.
fn http(client: Client, request: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(client.0).unwrap();
    let length = body.len();
    let text = format!("{request} / HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.to_lowercase()
}

#[test]
fn pages_of_this_machine_may_use_the_node_and_others_may_not() {
    let node = Running::dev();
    let c = node.client;
    let host = format!("host: {}\r\n", c.0);
    let local = format!("{host}origin: http://localhost:3000\r\n");
    let preflight = http(c, "OPTIONS", &format!("{local}access-control-request-method: POST\r\n"), "");
    assert!(preflight.starts_with("http/1.1 200"), "{preflight}");
    assert!(preflight.contains("access-control-allow-origin: http://localhost:3000"), "{preflight}");
    assert!(preflight.contains("access-control-allow-headers: content-type"), "{preflight}");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    let json = "content-type: application/json\r\n";
    let answer = http(c, "POST", &format!("{local}{json}"), body);
    assert!(answer.contains("access-control-allow-origin: http://localhost:3000"), "{answer}");
    assert!(answer.contains("0x4bc"), "{answer}");

    let foreign = format!("{host}origin: https://example.com\r\n");
    let answer = http(c, "POST", &format!("{foreign}{json}"), body);
    assert!(answer.starts_with("http/1.1 403") && answer.contains("may not use this node"), "{answer}");
    assert!(Socket::open(c, "origin: https://example.com\r\n").is_err_and(|head| head.contains("403")));
    assert!(Socket::open(c, "origin: http://localhost:5173\r\n").is_ok());
    // A page whose name was made to point here.
    let rebound = http(c, "POST", &format!("host: attacker.example:8545\r\n{json}"), body);
    assert!(rebound.starts_with("http/1.1 403"), "{rebound}");
    for name in ["localhost", "localhost:1", "127.0.0.1"] {
        let answer = http(c, "POST", &format!("host: {name}\r\n{json}"), body);
        assert!(answer.starts_with("http/1.1 200"), "{name}: {answer}");
    }
    // Tools send no origin.
    assert_eq!(c.call("eth_chainId", json!([])), "0x4bc");
    c.call("eth_sendRawTransaction", json!([transfer(0, 0, Address::ZERO, 1).1]));
}
