//! Where models come from: a directory, a file server or public bucket over HTTP, a bucket with signatures, another node.

pub use super::s3::{Access, S3};

use super::Part;
use alloy_primitives::{B256, Bytes};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    time::Duration,
};

/// A source whose next bytes take longer than this stalls.
pub const STALL: Duration = Duration::from_secs(30);
/// Bytes that a node gives at a time.
pub const PEER_BYTES: u64 = 4 << 20;

/// Why a source gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// HTTP failed.
    #[error("{0}")]
    Http(Box<ureq::Error>),
    /// No answer in time.
    #[error("it stalls: no answer to a request within {0:?}")]
    Stalled(Duration),
    /// Something else came.
    #[error("{0}")]
    Unexpected(String),
}

/// Gives parts of models. Nothing that comes is believed.
pub trait Source {
    /// For people.
    fn name(&self) -> String;

    /// At most `most` bytes of a part, from byte `from` on.
    fn read(&self, id: B256, part: Part, from: u64, most: u64) -> Result<Vec<u8>, SourceError>;
}

/// The source that a person names: `peer:URL` a node, `http(s)://…` a file server or a public bucket, `s3://bucket/prefix` a
/// bucket with signatures ([`Access::from_env`]), else a directory.
pub fn parse(text: &str, stall: Duration) -> Result<Box<dyn Source + Send + Sync>, SourceError> {
    let is_web = |text: &str| text.starts_with("http://") || text.starts_with("https://");
    if let Some(url) = text.strip_prefix("peer:") {
        if !is_web(url) {
            return Err(SourceError::Unexpected(format!("'{url}' is no address of a node: peer:http://… is expected")));
        }
        Ok(Box::new(Peer::new(url, stall)))
    } else if is_web(text) {
        Ok(Box::new(Http::new(text, stall)))
    } else if let Some(place) = text.strip_prefix("s3://") {
        Ok(Box::new(S3::new(place, Access::from_env()?, stall)?))
    } else if let Some((scheme, _)) = text.split_once("://") {
        Err(SourceError::Unexpected(format!(
            "{scheme}:// is no source: a directory, http(s)://…, s3://bucket/prefix or peer:URL is expected"
        )))
    } else {
        Ok(Box::new(Directory(text.into())))
    }
}

/// The header that asks for a part.
pub(super) fn range(from: u64, most: u64) -> String {
    format!("bytes={from}-{}", from.saturating_add(most) - 1)
}

/// A directory laid out as the cache is.
#[derive(Debug, Clone)]
pub struct Directory(pub PathBuf);

impl Source for Directory {
    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn read(&self, id: B256, part: Part, from: u64, most: u64) -> Result<Vec<u8>, SourceError> {
        let mut file = File::open(self.0.join(id.to_string()).join(part.name()))?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Such a directory behind HTTP: `<base>/<modelId>/<part>`, asked for by ranges. A bucket that can be read by URL is one.
#[derive(Debug, Clone)]
pub struct Http {
    base: String,
    agent: ureq::Agent,
    stall: Duration,
}

impl Http {
    /// Under this address; every request is to be answered in time.
    pub fn new(base: &str, stall: Duration) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), agent: agent(stall), stall }
    }
}

impl Source for Http {
    fn name(&self) -> String {
        self.base.clone()
    }

    fn read(&self, id: B256, part: Part, from: u64, most: u64) -> Result<Vec<u8>, SourceError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let url = format!("{}/{id}/{}", self.base, part.name());
        let mut answer =
            self.agent.get(&url).header("range", range(from, most)).call().map_err(|e| http(e, self.stall))?;
        // A server that knows no ranges sends everything: right only where everything was wanted.
        if from > 0 && answer.status() != 206 {
            return Err(SourceError::Unexpected(format!("{url} answers {} to a range", answer.status())));
        }
        answer.body_mut().with_config().limit(most + 1).read_to_vec().map_err(|e| http(e, self.stall))
    }
}

/// Another node, by its JSON-RPC (`lockstep_modelPart`).
#[derive(Debug, Clone)]
pub struct Peer {
    url: String,
    agent: ureq::Agent,
    stall: Duration,
}

impl Peer {
    /// The node at this address.
    pub fn new(url: &str, stall: Duration) -> Self {
        Self { url: url.to_owned(), agent: agent(stall), stall }
    }
}

impl Source for Peer {
    fn name(&self) -> String {
        format!("peer {}", self.url)
    }

    fn read(&self, id: B256, part: Part, from: u64, most: u64) -> Result<Vec<u8>, SourceError> {
        let mut all = Vec::new();
        while (all.len() as u64) < most {
            let at = from + all.len() as u64;
            let wanted = (most - all.len() as u64).min(PEER_BYTES);
            let params = json!([id, part.name(), at, wanted]);
            let request = json!({"jsonrpc": "2.0", "id": 1, "method": "lockstep_modelPart", "params": params});
            let mut answer = self.agent.post(&self.url).send_json(request).map_err(|e| http(e, self.stall))?;
            let limit = 2 * PEER_BYTES + (1 << 16);
            let text = answer.body_mut().with_config().limit(limit).read_to_vec().map_err(|e| http(e, self.stall))?;
            let answer: Value = serde_json::from_slice(&text).map_err(|e| SourceError::Unexpected(e.to_string()))?;
            if let Some(error) = answer.get("error") {
                return Err(SourceError::Unexpected(error.to_string()));
            }
            let bytes: Bytes =
                serde_json::from_value(answer["result"].clone()).map_err(|e| SourceError::Unexpected(e.to_string()))?;
            if bytes.len() as u64 > wanted {
                return Err(SourceError::Unexpected(format!("{} bytes came for {wanted}", bytes.len())));
            }
            all.extend_from_slice(&bytes);
            if (bytes.len() as u64) < wanted {
                break;
            }
        }
        Ok(all)
    }
}

pub(super) fn agent(stall: Duration) -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(stall)).build().into()
}

pub(super) fn http(error: ureq::Error, stall: Duration) -> SourceError {
    match error {
        ureq::Error::Timeout(_) => SourceError::Stalled(stall),
        ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::TimedOut => SourceError::Stalled(stall),
        other => SourceError::Http(Box::new(other)),
    }
}
