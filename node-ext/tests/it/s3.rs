//! Models from an S3-compatible server that checks signatures: it rebuilds what was signed from the bytes that came.

use crate::common::affine_model;
use alloy_primitives::{B256, hex};
use hmac::{Hmac, Mac};
use lockstep_engine::Limits;
use lockstep_node_ext::cache::{
    Cache, CacheError, FetchOptions, fetch,
    source::{Access, S3, parse},
};
use sha2::{Digest, Sha256};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "a/secret+key";
const TOKEN: &str = "a-session-token";
const BUCKET: &str = "models";
const REGION: &str = "eu-north-1";
const STALL: Duration = Duration::from_secs(20);

/// A directory behind the bucket.
fn server(dir: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let dir = dir.clone();
            std::thread::spawn(move || serve(stream, &dir));
        }
    });
    address
}

fn serve(mut stream: TcpStream, dir: &Path) -> Option<()> {
    let mut all = Vec::new();
    let mut some = [0u8; 4_096];
    while !all.windows(4).any(|w| w == b"\r\n\r\n") {
        let read = stream.read(&mut some).ok().filter(|read| *read > 0)?;
        all.extend_from_slice(&some[..read]);
    }
    let text = String::from_utf8(all).ok()?;
    let (status, body) = match object(&text, dir) {
        Ok(bytes) => ("206 Partial Content", bytes),
        Err((status, code)) => {
            (status, format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>").into_bytes())
        }
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).ok()
}

type Refused = (&'static str, &'static str);

fn object(request: &str, dir: &Path) -> Result<Vec<u8>, Refused> {
    let malformed = ("400 Bad Request", "MalformedRequest");
    let mut lines = request.split("\r\n");
    let path = lines.next().and_then(|line| line.strip_prefix("GET ")?.split(' ').next()).ok_or(malformed)?;
    let headers: Vec<(String, &str)> =
        lines.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_lowercase(), v.trim())).collect();
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
    is_signed(path, &header)?;
    let key = path.strip_prefix(&format!("/{BUCKET}/v%201/")).ok_or(("404 Not Found", "NoSuchKey"))?;
    let bytes = std::fs::read(dir.join(key)).map_err(|_| ("404 Not Found", "NoSuchKey"))?;
    let range = header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-')).ok_or(malformed)?;
    let (from, to): (usize, usize) = (range.0.parse().map_err(|_| malformed)?, range.1.parse().map_err(|_| malformed)?);
    bytes.get(from..bytes.len().min(to + 1)).map(<[u8]>::to_vec).ok_or(("416 Range Not Satisfiable", "InvalidRange"))
}

/// AWS Signature Version 4, as its documentation has it for the side that checks.
fn is_signed<'a>(path: &str, header: &impl Fn(&str) -> Option<&'a str>) -> Result<(), Refused> {
    let denied = ("403 Forbidden", "AccessDenied");
    let authorization = header("authorization").ok_or(denied)?.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(denied)?;
    let field = |name: &str| {
        authorization.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=')).ok_or(denied)
    };
    let (credential, signed, signature) = (field("Credential")?, field("SignedHeaders")?, field("Signature")?);
    let scope: Vec<&str> = credential.split('/').collect();
    let [key, day, region, service, request] = scope[..] else { return Err(denied) };
    if key != KEY || (region, service, request) != (REGION, "s3", "aws4_request") {
        return Err(("403 Forbidden", "InvalidAccessKeyId"));
    }
    let names: Vec<&str> = signed.split(';').collect();
    let must = ["host", "range", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];
    if !names.is_sorted() || must.iter().any(|must| !names.contains(must)) {
        return Err(denied);
    }
    let time = header("x-amz-date").filter(|time| time.starts_with(day)).ok_or(denied)?;
    if header("x-amz-security-token") != Some(TOKEN) {
        return Err(("403 Forbidden", "InvalidToken"));
    }
    let mut canonical = vec!["GET".to_owned(), path.to_owned(), String::new()];
    for name in &names {
        canonical.push(format!("{name}:{}", header(name).ok_or(denied)?));
    }
    canonical.extend([String::new(), signed.to_owned(), header("x-amz-content-sha256").ok_or(denied)?.to_owned()]);
    let hash = hex::encode(Sha256::digest(canonical.join("\n")));
    let text = ["AWS4-HMAC-SHA256", time, &format!("{day}/{region}/s3/aws4_request"), &hash].join("\n");
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [day, region, "s3", "aws4_request", text.as_str()] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    (hex::encode(key) == signature).then_some(()).ok_or(("403 Forbidden", "SignatureDoesNotMatch"))
}

fn access(address: SocketAddr) -> Access {
    Access {
        key: KEY.into(),
        secret: SECRET.into(),
        token: Some(TOKEN.into()),
        region: REGION.into(),
        endpoint: Some(format!("http://{address}")),
    }
}

fn get(cache: &Cache, source: &S3, id: B256) -> Result<(), CacheError> {
    let options = FetchOptions { attempts: 1, ..Default::default() };
    fetch(cache, &[source], id, &options, &mut |_| {}).map(drop)
}

#[test]
fn a_bucket_that_wants_signatures_gives_a_model_to_who_has_the_key() {
    let values = vec![1.5; 30_000];
    let (behind, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = affine_model(&values, &values);
    let id = Cache::open(behind.path(), None).unwrap().add(&file, &Limits::default()).unwrap();
    let address = server(behind.path().into());
    let cache = Cache::open(dir.path(), None).unwrap();
    let source = |access| S3::new("models/v 1", access, STALL).unwrap();
    let right = access(address);
    for (wrong, code) in [
        (Access { secret: "another".into(), ..right.clone() }, "SignatureDoesNotMatch"),
        (Access { key: "another".into(), ..right.clone() }, "InvalidAccessKeyId"),
        (Access { region: "us-east-1".into(), ..right.clone() }, "InvalidAccessKeyId"),
        (Access { token: None, ..right.clone() }, "AccessDenied"),
    ] {
        let error = get(&cache, &source(wrong), id).unwrap_err().to_string();
        assert!(error.contains(code) && error.contains("s3://models/v 1") && !error.contains(SECRET), "{error}");
    }
    let error = get(&cache, &source(right.clone()), B256::ZERO).unwrap_err().to_string();
    assert!(error.contains("404 NoSuchKey"), "{error}");
    get(&cache, &source(right), id).unwrap();
    assert_eq!(cache.read(id).unwrap().weights.len(), 2 * 4 * values.len());
}

#[test]
fn sources_that_are_none_are_told() {
    for text in ["gs://bucket/x", "ftp://host/x", "peer:host:8545", "s3:///x"] {
        let error = parse(text, STALL).map(drop).unwrap_err().to_string();
        assert!(error.contains("is expected") || error.contains("AWS_ACCESS_KEY_ID"), "{text}: {error}");
    }
    for text in ["a/folder", "https://host/x", "peer:http://host:8545"] {
        parse(text, STALL).map(drop).unwrap();
    }
}
