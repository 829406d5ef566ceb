//! A node that lies: a server that hands requests on to an honest one, and changes what comes back.

use crate::common::Client;
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
};

/// What is answered.
pub(super) enum Answer {
    /// This result.
    Result(Value),
    /// These bytes after the head of an answer.
    Raw(Vec<u8>),
    /// Nothing, while the connection stays open.
    Silence,
    /// A redirection.
    Elsewhere(String),
}

/// What becomes of the honest result of a method with these parameters.
type Lie = dyn Fn(&str, &Value, Value) -> Answer + Send + Sync;

/// A server that lies about the node behind it.
pub(super) struct Proxy(pub(super) SocketAddr);

impl Proxy {
    pub(super) fn start(node: Client, lie: impl Fn(&str, &Value, Value) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lie: Arc<Lie> = Arc::new(lie);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let lie = lie.clone();
                std::thread::spawn(move || serve(stream, node, lie.as_ref()));
            }
        });
        Self(address)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

fn serve(mut stream: TcpStream, node: Client, lie: &Lie) -> Option<()> {
    let request: Value = serde_json::from_slice(&body(&mut stream)?).ok()?;
    let (method, params) = (request["method"].as_str()?, &request["params"]);
    let honest = node.raw(method, params.clone()).ok()?;
    let answer = match honest.get("result") {
        Some(result) => lie(method, params, result.clone()),
        // An error passes, where nothing is to be said instead.
        None => match lie(method, params, Value::Null) {
            Answer::Result(Value::Null) => Answer::Raw(honest.to_string().into_bytes()),
            other => other,
        },
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let bytes = match answer {
        Answer::Result(result) => {
            serde_json::json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string()
        }
        Answer::Raw(bytes) => String::from_utf8(bytes).unwrap(),
        Answer::Silence => {
            std::thread::sleep(std::time::Duration::from_secs(600));
            return None;
        }
        Answer::Elsewhere(url) => {
            let head =
                format!("HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            return stream.write_all(head.as_bytes()).ok();
        }
    };
    // The other side may have had enough.
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{bytes}", bytes.len()).as_bytes()).ok()
}

fn body(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let mut some = [0u8; 16_384];
    loop {
        let read = stream.read(&mut some).ok().filter(|read| *read > 0)?;
        all.extend_from_slice(&some[..read]);
        let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
        let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
        if all.len() >= end + 4 + length {
            return Some(all[end + 4..end + 4 + length].to_vec());
        }
    }
}
