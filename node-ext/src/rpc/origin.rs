//! Which web pages may use the node.
//!
//! A browser runs the code of any page beside the node, so a node that listens on this machine alone answers pages of
//! this machine and extensions only: others are refused with their `Origin`, WebSocket included, and a page that gives
//! its own name this machine's address is refused by its `Host`. A node that was told to listen elsewhere answers every
//! page, unless it signs for accounts.

use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse, middleware::http::HostFilterLayer};
use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};
use tower::{Layer, Service};

const FORBIDDEN: u16 = 403;

/// Host names under which a node at this address is reached.
pub(super) fn hosts(address: SocketAddr) -> HostFilterLayer {
    if !address.ip().is_loopback() {
        return HostFilterLayer::disable();
    }
    let own = match address {
        SocketAddr::V4(v4) => format!("{}:*", v4.ip()),
        SocketAddr::V6(v6) => format!("[{}]:*", v6.ip()),
    };
    let names = ["localhost:*", "127.0.0.1:*", "[::1]:*", own.as_str()];
    HostFilterLayer::new(names).unwrap_or_else(|error| {
        tracing::error!(%error, "requests are not filtered by their host name");
        HostFilterLayer::disable()
    })
}

/// Adds the check of origins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origins {
    any: bool,
}

impl Origins {
    /// For a node at this address that signs for accounts, or for none.
    pub(super) fn new(address: SocketAddr, signs: bool) -> Self {
        Self { any: !address.ip().is_loopback() && !signs }
    }

    fn allows(self, origin: &str) -> bool {
        self.any || is_local(origin)
    }
}

impl<S> Layer<S> for Origins {
    type Service = Checked<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Checked { inner, origins: *self }
    }
}

/// A service behind the check.
#[derive(Debug, Clone)]
pub(crate) struct Checked<S> {
    inner: S,
    origins: Origins,
}

impl<S, B> Service<HttpRequest<B>> for Checked<S>
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
        let Some(origin) = request.headers().get("origin").cloned() else {
            return Box::pin(self.inner.call(request));
        };
        let name = origin.to_str().unwrap_or_default().to_string();
        if !self.origins.allows(&name) {
            tracing::warn!(origin = name, "a web page was refused");
            return Box::pin(async move { Ok(refusal(&name)) });
        }
        let preflight = request.method() == "OPTIONS";
        let answer = (!preflight).then(|| self.inner.call(request));
        Box::pin(async move {
            let mut response = match answer {
                Some(answer) => answer.await?,
                None => HttpResponse::new(HttpBody::empty()),
            };
            let headers = response.headers_mut();
            headers.insert("access-control-allow-origin", origin);
            let fixed = [
                ("vary", "origin"),
                ("access-control-allow-methods", "POST, OPTIONS"),
                ("access-control-allow-headers", "content-type"),
                ("access-control-max-age", "86400"),
            ];
            for (name, value) in fixed.into_iter().take(if preflight { 4 } else { 1 }) {
                if let Ok(value) = value.parse() {
                    headers.insert(name, value);
                }
            }
            Ok(response)
        })
    }
}

fn refusal(origin: &str) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(format!(
        "the page {origin} may not use this node: it answers pages of this machine (http://localhost) and extensions only\n"
    )));
    if let Ok(status) = FORBIDDEN.try_into() {
        *response.status_mut() = status;
    }
    response
}

/// Whether the origin is this machine or a browser's extension.
fn is_local(origin: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    if matches!(scheme, "chrome-extension" | "moz-extension" | "safari-web-extension") {
        return true;
    }
    let host = match rest.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => rest,
    };
    matches!(scheme, "http" | "https")
        && (matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_extensions_are_local() {
        for local in
            ["http://localhost", "http://localhost:3000", "https://127.0.0.1:1", "http://[::1]:5", "http://[::1]"]
        {
            assert!(is_local(local), "{local}");
        }
        assert!(is_local("chrome-extension://abc") && is_local("http://app.localhost:80"));
        for foreign in
            ["null", "https://example.com", "http://localhost.example.com", "http://example.com:80", "file://x", ""]
        {
            assert!(!is_local(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_public_node_without_accounts_answers_every_page() {
        let (here, anywhere) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([0, 0, 0, 0], 1)));
        assert!(Origins::new(anywhere, false).allows("https://example.com"));
        assert!(!Origins::new(anywhere, true).allows("https://example.com"));
        assert!(!Origins::new(here, false).allows("https://example.com"));
    }
}
