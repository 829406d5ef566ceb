//! Asking the watched node, over HTTP or WebSocket. What comes is bounded in bytes and in time, and is not believed.

use jsonrpsee::{
    client_transport::ws::{Url, WsTransportClientBuilder},
    core::{
        client::{Client, ClientT, Error as ClientError, Subscription, SubscriptionClientT},
        params::ArrayParams,
    },
    rpc_params,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// An answer may take so many bytes.
pub const ANSWER_BYTES: u32 = 64 << 20;
/// Of a text that came from outside so much is shown.
const SHOWN: usize = 300;

/// Why the watched node gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It cannot be reached.
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("the node hangs: no answer to {method} within {after:?}")]
    Hangs {
        /// The method asked.
        method: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The answer is larger than anything honest.
    #[error("the node's answer to {method} takes more than {ANSWER_BYTES} bytes")]
    TooLarge {
        /// The method asked.
        method: &'static str,
    },
    /// The answer is none.
    #[error("the node's answer to {method} is none: {reason}")]
    Malformed {
        /// The method asked.
        method: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// It answered with an error.
    #[error("the node refuses {method}: {message} ({code})")]
    Refused {
        /// The method asked.
        method: &'static str,
        /// The error's code.
        code: i64,
        /// The error's text.
        message: String,
    },
}

impl WireError {
    /// Whether the node said something, rather than nothing.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Malformed { .. } | Self::TooLarge { .. })
    }
}

/// The address is none that can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no address of a node: http://…, https://…, ws://… or wss://… is expected")]
pub struct BadUrl(pub String);

/// The line to one node.
pub(crate) struct Wire {
    url: String,
    stall: Duration,
    kind: Kind,
}

enum Kind {
    Http(ureq::Agent),
    Socket(Socket),
}

struct Socket {
    runtime: Background,
    open: Mutex<Option<Arc<Client>>>,
    heads: Mutex<Option<Subscription<Box<RawValue>>>>,
}

/// A runtime that may be dropped anywhere, also where blocking is not allowed.
struct Background(Option<tokio::runtime::Runtime>);

impl Background {
    fn block_on<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.0.as_ref().map(|runtime| runtime.block_on(work))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ErrorBody>,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Wire").field(&self.url).finish()
    }
}

impl Wire {
    /// To the node at this address; a request without an answer in time is given up.
    pub(crate) fn new(url: &str, stall: Duration) -> Result<Self, BadUrl> {
        let bad = || BadUrl(shortened(url));
        let scheme = Url::parse(url).map_err(|_| bad())?.scheme().to_owned();
        let kind = match scheme.as_str() {
            "http" | "https" => {
                // A node that answers elsewhere is another node.
                let config = ureq::Agent::config_builder()
                    .timeout_global(Some(stall))
                    .max_redirects(0)
                    .max_redirects_will_error(false)
                    .http_status_as_error(false);
                Kind::Http(config.build().into())
            }
            "ws" | "wss" => {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                let runtime = Background(Some(runtime.map_err(|_| bad())?));
                Kind::Socket(Socket { runtime, open: Mutex::default(), heads: Mutex::default() })
            }
            _ => return Err(bad()),
        };
        Ok(Self { url: url.to_owned(), stall, kind })
    }

    /// The address that JSON-RPC over HTTP has: what serves both has both on one port.
    pub(crate) fn http_url(&self) -> String {
        match self.url.strip_prefix("ws") {
            Some(rest) => format!("http{rest}"),
            None => self.url.clone(),
        }
    }

    /// Asks; what comes has to be a `T`.
    pub(crate) fn ask<T: DeserializeOwned>(&self, method: &'static str, params: &[Value]) -> Result<T, WireError> {
        let malformed = |e: serde_json::Error| WireError::Malformed { method, reason: shortened(&e.to_string()) };
        match &self.kind {
            Kind::Http(agent) => {
                let body = self.post(agent, method, params)?;
                let envelope: Envelope<'_> = serde_json::from_slice(&body).map_err(malformed)?;
                match (envelope.error, envelope.result) {
                    (Some(error), _) => {
                        Err(WireError::Refused { method, code: error.code, message: shortened(&error.message) })
                    }
                    (None, result) => serde_json::from_str(result.map_or("null", RawValue::get)).map_err(malformed),
                }
            }
            Kind::Socket(socket) => {
                let text = self.over_socket(socket, method, params)?;
                serde_json::from_str(text.get()).map_err(malformed)
            }
        }
    }

    /// Waits for a new head, at most so long; where the node does not tell of heads, just so long.
    pub(crate) fn wait_for_head(&self, most: Duration) {
        let Kind::Socket(Socket { runtime, heads, .. }) = &self.kind else { return std::thread::sleep(most) };
        let mut heads = lock(heads);
        let Some(listening) = heads.as_mut() else {
            drop(heads);
            return std::thread::sleep(most);
        };
        let told = runtime.block_on(async { tokio::time::timeout(most, listening.next()).await });
        if matches!(told, Some(Ok(None)) | None) {
            // The subscription ended: the next connection opens another.
            *heads = None;
        }
    }

    fn post(&self, agent: &ureq::Agent, method: &'static str, params: &[Value]) -> Result<Vec<u8>, WireError> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let failed = |error: ureq::Error| match error {
            ureq::Error::Timeout(_) => WireError::Hangs { method, after: self.stall },
            ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::TimedOut => {
                WireError::Hangs { method, after: self.stall }
            }
            ureq::Error::BodyExceedsLimit(_) => WireError::TooLarge { method },
            other => WireError::Unreachable(shortened(&other.to_string())),
        };
        let mut answer = agent.post(&self.url).send_json(request).map_err(failed)?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(u64::from(ANSWER_BYTES)).read_to_vec().map_err(failed)?;
        if !status.is_success() {
            let text = shortened(&String::from_utf8_lossy(&body));
            return Err(WireError::Malformed { method, reason: format!("HTTP status {status}: {text}") });
        }
        Ok(body)
    }

    fn over_socket(&self, socket: &Socket, method: &'static str, params: &[Value]) -> Result<Box<RawValue>, WireError> {
        let client = self.client(socket)?;
        let mut all = ArrayParams::new();
        for param in params {
            all.insert(param).map_err(|e| WireError::Malformed { method, reason: e.to_string() })?;
        }
        let answer = socket.runtime.block_on(client.request::<Box<RawValue>, _>(method, all));
        let answer = answer.ok_or_else(|| WireError::Unreachable(String::new()))?;
        answer.map_err(|error| match error {
            ClientError::Call(error) => {
                WireError::Refused { method, code: error.code().into(), message: shortened(error.message()) }
            }
            ClientError::ParseError(e) => WireError::Malformed { method, reason: shortened(&e.to_string()) },
            ClientError::RequestTimeout => {
                *lock(&socket.open) = None;
                WireError::Hangs { method, after: self.stall }
            }
            other => {
                *lock(&socket.open) = None;
                let text = other.to_string();
                // A size is told in words only.
                match text.contains("exceed") || text.contains("too large") || text.contains("maximum") {
                    true => WireError::TooLarge { method },
                    false => WireError::Unreachable(shortened(&text)),
                }
            }
        })
    }

    /// The connection; a new one where the last one ended.
    fn client(&self, socket: &Socket) -> Result<Arc<Client>, WireError> {
        let mut open = lock(&socket.open);
        if let Some(client) = open.as_ref().filter(|client| client.is_connected()) {
            return Ok(client.clone());
        }
        let connected = socket.runtime.block_on(self.connect());
        let (client, heads) = connected.ok_or_else(|| WireError::Unreachable(String::new()))??;
        let client = Arc::new(client);
        *open = Some(client.clone());
        // Whoever listens to the last connection hears of its end.
        if let Ok(mut listening) = socket.heads.try_lock() {
            *listening = heads;
        }
        Ok(client)
    }

    async fn connect(&self) -> Result<(Client, Option<Subscription<Box<RawValue>>>), WireError> {
        let unreachable = |text: String| WireError::Unreachable(shortened(&text));
        let url = Url::parse(&self.url).map_err(|e| unreachable(e.to_string()))?;
        let transport = WsTransportClientBuilder::default()
            .max_response_size(ANSWER_BYTES)
            .connection_timeout(self.stall)
            // The first attempt counts: no redirection is followed.
            .max_redirections(1)
            .build(url);
        let (sender, receiver) = transport.await.map_err(|e| unreachable(e.to_string()))?;
        let client = Client::builder().request_timeout(self.stall).build_with_tokio(sender, receiver);
        // A node without subscriptions is asked every so often.
        let heads = client.subscribe("eth_subscribe", rpc_params!["newHeads"], "eth_unsubscribe").await.ok();
        Ok((client, heads))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The beginning of a text from outside, on one line.
fn shortened(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN + 1).collect();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
