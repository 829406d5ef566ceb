//! Who may use the Engine API: whoever knows the secret. Each request carries a JSON web token (RFC 7519, HS256) that was
//! issued within a minute of this machine's time.

use alloy_primitives::hex;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, Mac};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use serde::Deserialize;
use sha2::Sha256;
use std::{
    future::Future,
    io::Write,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::{SystemTime, UNIX_EPOCH},
};
use tower::{Layer, Service};

/// Seconds by which a token's time may differ from this machine's.
const LEEWAY: u64 = 60;
const UNAUTHORIZED: u16 = 401;

/// The secret that both sides know.
#[derive(Clone, Copy)]
pub struct JwtSecret([u8; 32]);

impl std::fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JwtSecret")
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or written.
    #[error("cannot use {path} as the secret of the Engine API: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{0} holds no secret: expected 64 hexadecimal digits, as `openssl rand -hex 32` writes them")]
    Malformed(PathBuf),
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No token.
    #[error("no `Authorization: Bearer TOKEN` header")]
    Missing,
    /// Not a token.
    #[error("the token does not decode")]
    Malformed,
    /// Another algorithm.
    #[error("the token's algorithm is not HS256")]
    Algorithm,
    /// Another secret.
    #[error("the token was signed with another secret")]
    Signature,
    /// Too old, or from the future.
    #[error("the token was issued more than 60 seconds from this machine's time")]
    Time,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iat: u64,
}

impl JwtSecret {
    /// From its bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the secret, or makes one where the file is not there: only its owner may read it.
    pub fn read_or_create(path: &Path) -> Result<Self, SecretError> {
        let file = |source| SecretError::File { path: path.to_path_buf(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let digits = text.trim();
                let bytes = hex::decode(digits.strip_prefix("0x").unwrap_or(digits)).ok();
                let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
                bytes.map(Self).ok_or_else(|| SecretError::Malformed(path.to_path_buf()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let secret: [u8; 32] = rand::random();
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder).map_err(file)?;
                }
                let mut options = std::fs::OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let mut out = options.open(path).map_err(file)?;
                out.write_all(hex::encode(secret).as_bytes()).and_then(|()| out.sync_all()).map_err(file)?;
                Ok(Self(secret))
            }
            Err(error) => Err(file(error)),
        }
    }

    /// A token issued at this time (seconds), as a client makes it.
    pub fn token(&self, issued: u64) -> String {
        let signed = format!(
            "{}.{}",
            BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
            BASE64.encode(format!(r#"{{"iat":{issued}}}"#))
        );
        let signature = BASE64.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// Checks a token at this time (seconds).
    pub fn check(&self, token: &str, now: u64) -> Result<(), TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let decode = |part: &str| BASE64.decode(part.trim_end_matches('=')).map_err(|_| TokenError::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
        if header.alg != "HS256" {
            return Err(TokenError::Algorithm);
        }
        // In constant time.
        self.mac(signed).verify_slice(&decode(signature)?).map_err(|_| TokenError::Signature)?;
        let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Malformed)?;
        if claims.iat.abs_diff(now) > LEEWAY {
            return Err(TokenError::Time);
        }
        Ok(())
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key");
        mac.update(signed.as_bytes());
        mac
    }

    fn check_request<B>(&self, request: &HttpRequest<B>) -> Result<(), TokenError> {
        let header = request.headers().get("authorization").ok_or(TokenError::Missing)?;
        let text = header.to_str().map_err(|_| TokenError::Malformed)?;
        let token = text.strip_prefix("Bearer ").ok_or(TokenError::Missing)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        self.check(token.trim(), now)
    }
}

/// Adds the check of tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens(pub(crate) Option<JwtSecret>);

impl<S> Layer<S> for Tokens {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authenticated { inner, secret: self.0 }
    }
}

/// A service behind the check; without a secret everybody passes.
#[derive(Debug, Clone)]
pub(crate) struct Authenticated<S> {
    inner: S,
    secret: Option<JwtSecret>,
}

impl<S, B> Service<HttpRequest<B>> for Authenticated<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse>,
    S::Error: 'static,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        match self.secret.map_or(Ok(()), |secret| secret.check_request(&request)) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(error) => {
                tracing::warn!(%error, "a request to the Engine API was refused");
                Box::pin(async move { Ok(refusal(error)) })
            }
        }
    }
}

fn refusal(error: TokenError) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(format!("{error}\n")));
    if let Ok(status) = UNAUTHORIZED.try_into() {
        *response.status_mut() = status;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_of_the_secret_and_of_now_pass() {
        let secret = JwtSecret::new([7; 32]);
        let token = secret.token(1_000);
        assert_eq!(secret.check(&token, 1_000), Ok(()));
        assert_eq!((secret.check(&token, 940), secret.check(&token, 1_060)), (Ok(()), Ok(())));
        assert_eq!(secret.check(&token, 939), Err(TokenError::Time));
        assert_eq!(secret.check(&token, 1_061), Err(TokenError::Time));
        assert_eq!(JwtSecret::new([8; 32]).check(&token, 1_000), Err(TokenError::Signature));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let header = signed.split_once('.').unwrap().0;
        let later = format!("{header}.{}.{signature}", BASE64.encode(r#"{"iat":2000}"#));
        assert_eq!(secret.check(&later, 2_000), Err(TokenError::Signature));
        let none = format!("{}.{}.", BASE64.encode(r#"{"alg":"none"}"#), BASE64.encode(r#"{"iat":1000}"#));
        assert_eq!(secret.check(&none, 1_000), Err(TokenError::Algorithm));
        assert_eq!(secret.check("a.b", 1_000), Err(TokenError::Malformed));
    }

    #[test]
    fn the_tokens_of_others_are_read() {
        // Made with PyJWT: jwt.encode({"iat": 1700000000, "id": "cl"}, bytes(range(32)), "HS256").
        let secret = JwtSecret::new(std::array::from_fn(|i| i as u8));
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3MDAwMDAwMDAsImlkIjoiY2wifQ.rsgTiADoOaOzodiQfInd0ks1Lebay9zWiHSSDv2IH88";
        assert_eq!(secret.check(token, 1_700_000_000), Ok(()));
    }

    #[test]
    fn a_secret_is_made_once_and_read_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/jwt.hex");
        let made = JwtSecret::read_or_create(&path).unwrap();
        assert_eq!(JwtSecret::read_or_create(&path).unwrap().0, made.0);
        std::fs::write(&path, format!("0x{}\n", hex::encode([9; 32]))).unwrap();
        assert_eq!(JwtSecret::read_or_create(&path).unwrap().0, [9; 32]);
        std::fs::write(&path, "123").unwrap();
        assert!(JwtSecret::read_or_create(&path).unwrap_err().to_string().contains("64 hexadecimal digits"));
    }
}
