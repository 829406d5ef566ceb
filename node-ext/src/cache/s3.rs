//! Models in an S3-compatible bucket, asked for with signatures (AWS Signature Version 4, read-only).

use super::{
    Part,
    source::{Source, SourceError, agent, http, range},
};
use alloy_primitives::{B256, hex};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The region where none is named.
const REGION: &str = "us-east-1";
/// Of an error's answer so much is read.
const ERROR_BYTES: u64 = 16 << 10;
/// SHA-256 of nothing: a GET has no body.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Who asks, and where.
#[derive(Clone)]
pub struct Access {
    /// `AWS_ACCESS_KEY_ID`.
    pub key: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: String,
    /// `AWS_SESSION_TOKEN`, of credentials that expire.
    pub token: Option<String>,
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`; us-east-1 where not set.
    pub region: String,
    /// `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`: a server that is not Amazon's. The bucket is the first part of its paths.
    pub endpoint: Option<String>,
}

/// The secret stays out of logs.
impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { key, region, endpoint, .. } = self;
        f.debug_struct("Access")
            .field("key", key)
            .field("region", region)
            .field("endpoint", endpoint)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// As the environment has it.
    pub fn from_env() -> Result<Self, SourceError> {
        Self::from(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from(var: impl Fn(&str) -> Option<String>) -> Result<Self, SourceError> {
        let needed = |name| {
            var(name).ok_or_else(|| {
                SourceError::Unexpected(format!(
                    "{name} is not set: s3:// needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a public bucket is read by its https:// address"
                ))
            })
        };
        Ok(Self {
            key: needed("AWS_ACCESS_KEY_ID")?,
            secret: needed("AWS_SECRET_ACCESS_KEY")?,
            token: var("AWS_SESSION_TOKEN"),
            region: var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")).unwrap_or_else(|| REGION.into()),
            endpoint: var("AWS_ENDPOINT_URL_S3").or_else(|| var("AWS_ENDPOINT_URL")),
        })
    }
}

/// A bucket laid out as the cache is, under a prefix.
#[derive(Debug, Clone)]
pub struct S3 {
    name: String,
    /// Scheme and authority.
    base: String,
    host: String,
    /// Path before the model's id, encoded, without a slash at its end.
    path: String,
    access: Access,
    agent: ureq::Agent,
    stall: Duration,
}

impl S3 {
    /// The bucket of `bucket/prefix`.
    pub fn new(place: &str, access: Access, stall: Duration) -> Result<Self, SourceError> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_matches('/');
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
        if bucket.is_empty() || !bucket.chars().all(known) {
            return Err(SourceError::Unexpected(format!("'{bucket}' is no bucket: s3://bucket/prefix is expected")));
        }
        let (base, before) = match &access.endpoint {
            Some(endpoint) => (endpoint.trim_end_matches('/').to_owned(), format!("/{bucket}")),
            // A certificate of Amazon's holds for one name before the service's.
            None if bucket.contains('.') => {
                (format!("https://s3.{}.amazonaws.com", access.region), format!("/{bucket}"))
            }
            None => (format!("https://{bucket}.s3.{}.amazonaws.com", access.region), String::new()),
        };
        let no_address = || SourceError::Unexpected(format!("{base} is no address of a server (AWS_ENDPOINT_URL)"));
        let uri: ureq::http::Uri = base.parse().map_err(|_| no_address())?;
        let web = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = uri.authority().filter(|_| web && uri.path() == "/").ok_or_else(no_address)?.to_string();
        let slash = if prefix.is_empty() { "" } else { "/" };
        let path = format!("{before}{slash}{}", encoded(prefix));
        Ok(Self { name: format!("s3://{place}"), base, host, path, access, agent: agent(stall), stall })
    }

    /// The headers of a signed GET, but for the host's.
    fn headers(&self, path: &str, range: &str, now: SystemTime) -> Vec<(&'static str, String)> {
        let time = timestamp(now);
        let day = time.get(..8).unwrap_or_default();
        let Access { key, secret, token, region, .. } = &self.access;
        let mut headers =
            vec![("range", range.to_owned()), ("x-amz-content-sha256", EMPTY.to_owned()), ("x-amz-date", time.clone())];
        headers.extend(token.iter().map(|token| ("x-amz-security-token", token.clone())));
        // "host" sorts before all of them.
        let mut canonical = format!("GET\n{path}\n\nhost:{}\n", self.host);
        let mut signed = String::from("host");
        for (name, value) in &headers {
            let _ = writeln!(canonical, "{name}:{value}");
            let _ = write!(signed, ";{name}");
        }
        let _ = write!(canonical, "\n{signed}\n{EMPTY}");
        let scope = format!("{day}/{region}/s3/aws4_request");
        let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
        let key_of_day = [region.as_str(), "s3", "aws4_request"]
            .iter()
            .fold(mac(format!("AWS4{secret}").as_bytes(), day), |key, part| mac(&key, part));
        let signature = hex::encode(mac(&key_of_day, &text));
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={key}/{scope},SignedHeaders={signed},Signature={signature}");
        headers.push(("authorization", authorization));
        headers
    }
}

impl Source for S3 {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn read(&self, id: B256, part: Part, from: u64, most: u64) -> Result<Vec<u8>, SourceError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let path = format!("{}/{id}/{}", self.path, part.name());
        let mut request = self
            .agent
            .get(format!("{}{path}", self.base))
            .header("host", &self.host)
            .config()
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        for (name, value) in self.headers(&path, &range(from, most), SystemTime::now()) {
            request = request.header(name, value);
        }
        let mut answer = request.call().map_err(|e| http(e, self.stall))?;
        match answer.status().as_u16() {
            206 => {}
            // A server that knows no ranges sends everything: right only where everything was wanted.
            200 if from == 0 => {}
            status => {
                let region = answer.headers().get("x-amz-bucket-region").and_then(|v| v.to_str().ok());
                let region = region.map(|r| format!("; the bucket lies in {r} (AWS_REGION)")).unwrap_or_default();
                let text = answer.body_mut().with_config().limit(ERROR_BYTES).read_to_string().unwrap_or_default();
                let code = code(&text).map(|code| format!(" {code}")).unwrap_or_default();
                return Err(SourceError::Unexpected(format!("{path} answers {status}{code}{region}")));
            }
        }
        answer.body_mut().with_config().limit(most + 1).read_to_vec().map_err(|e| http(e, self.stall))
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A path as it is sent and signed: everything but letters, digits and `-._~/` by its bytes.
fn encoded(path: &str) -> String {
    path.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

/// The code of an error in XML: letters only.
fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    (code.len() < 64 && code.chars().all(char::is_alphanumeric)).then_some(code)
}

/// `YYYYMMDDTHHMMSSZ`.
fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that a leap day is a year's last; eras have 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access {
            key: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
            region: "us-east-1".into(),
            endpoint: Some("https://examplebucket.s3.amazonaws.com".into()),
        }
    }

    /// "GET Object" of the examples in Amazon's documentation of Signature Version 4.
    #[test]
    fn the_example_of_the_documentation_has_its_signature() {
        let s3 = S3::new("examplebucket", access(), Duration::from_secs(1)).unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let headers = s3.headers("/test.txt", "bytes=0-9", at);
        let (_, authorization) = headers.last().unwrap();
        assert_eq!(
            authorization,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert!(!format!("{s3:?}").contains("wJalr"), "the secret is not shown");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_709_251_199, "20240229T235959Z"),
            (1_735_689_599, "20241231T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn places_and_access_that_are_none_are_refused() {
        let stall = Duration::from_secs(1);
        for place in ["", "/prefix", "Bucket/x", "a b"] {
            assert!(S3::new(place, access(), stall).is_err(), "{place}");
        }
        let with = |endpoint: &str| Access { endpoint: Some(endpoint.into()), ..access() };
        for endpoint in ["localhost:9000", "ftp://x", "http://x/path", "http://"] {
            assert!(S3::new("b", with(endpoint), stall).is_err(), "{endpoint}");
        }
        let path = |place: &str, endpoint| S3::new(place, Access { endpoint, ..access() }, stall).unwrap();
        let ours = path("models/a b/é/", Some("http://x:9000/".into()));
        assert_eq!((ours.path.as_str(), ours.host.as_str()), ("/models/a%20b/%C3%A9", "x:9000"));
        assert_eq!(path("models/v1", None).host, "models.s3.us-east-1.amazonaws.com");
        assert_eq!(path("my.models/v1", None).path, "/my.models/v1");
        let error = Access::from(|name| (name == "AWS_ACCESS_KEY_ID").then(|| "k".into())).unwrap_err();
        assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY"), "{error}");
        let all = Access::from(|name| Some(name.to_lowercase())).unwrap();
        assert_eq!((all.region.as_str(), all.endpoint.as_deref()), ("aws_region", Some("aws_endpoint_url_s3")));
    }
}
