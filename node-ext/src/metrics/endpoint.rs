//! `GET /metrics` beside JSON-RPC.

use super::{Row, render};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service};

const FAILED: u16 = 500;

/// What is counted, when somebody asks.
type Count = Arc<dyn Fn() -> Vec<Row> + Send + Sync>;

/// Adds the endpoint.
#[derive(Clone)]
pub(crate) struct Endpoint(Count);

impl Endpoint {
    /// It shows what this counts.
    pub(crate) fn new(count: impl Fn() -> Vec<Row> + Send + Sync + 'static) -> Self {
        Self(Arc::new(count))
    }
}

impl<S> Layer<S> for Endpoint {
    type Service = Beside<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Beside { inner, count: self.0.clone() }
    }
}

/// A service with the endpoint beside it.
#[derive(Clone)]
pub(crate) struct Beside<S> {
    inner: S,
    count: Count,
}

impl<S, B> Service<HttpRequest<B>> for Beside<S>
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
        if request.method() != "GET" || request.uri().path() != "/metrics" {
            return Box::pin(self.inner.call(request));
        }
        let count = self.count.clone();
        Box::pin(async move {
            // It reads the database.
            let text = tokio::task::spawn_blocking(move || render(count())).await;
            let mut response = HttpResponse::new(HttpBody::empty());
            match text {
                Ok(Ok(text)) => *response.body_mut() = HttpBody::from(text),
                failed => {
                    tracing::error!(?failed, "no metrics");
                    if let Ok(status) = FAILED.try_into() {
                        *response.status_mut() = status;
                    }
                }
            }
            if let Ok(value) = "text/plain; version=0.0.4".parse() {
                response.headers_mut().insert("content-type", value);
            }
            Ok(response)
        })
    }
}
