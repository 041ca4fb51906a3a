//! The HTTP client of the OTLP exporters.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

use super::tls::Tls;

#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;
#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;

/// The error of the last request, with its causes. The exporter's own error omits them.
#[derive(Clone, Debug, Default)]
pub(super) struct LastError(Arc<Mutex<Option<String>>>);

impl LastError {
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// A client that replaces the headers of the exporter, which come from the environment by
/// different rules.
#[derive(Debug)]
pub(super) struct Client {
    inner: HyperClient<Connector>,
    headers: HeaderMap,
    last_error: LastError,
}

impl Client {
    /// Creates a client. An `https` endpoint requires `tls`.
    pub(super) fn new(
        mut headers: HeaderMap,
        is_compressed: bool,
        timeout: Duration,
        tls: Option<&Tls>,
        last_error: LastError,
    ) -> Self {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if is_compressed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Client {
            inner: HyperClient::new(connector(tls), timeout, None),
            headers,
            last_error,
        }
    }
}

#[cfg(not(feature = "tls"))]
fn connector(_: Option<&Tls>) -> Connector {
    HttpConnector::new()
}

#[cfg(feature = "tls")]
fn connector(tls: Option<&Tls>) -> Connector {
    // Without TLS settings the endpoint is `http`, and this configuration is never used.
    let config = tls.map_or_else(Tls::without_roots, Tls::for_http);
    let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config);
    connector.https_or_http().enable_http1().build()
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        replace_headers(request.headers_mut(), &self.headers);
        let result = self.inner.send_bytes(request).await;
        self.last_error.set(match &result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(chain(error.as_ref())),
        });
        result
    }
}

/// Replaces all headers but the user agent.
pub(super) fn replace_headers(headers: &mut HeaderMap, by: &HeaderMap) {
    let agent = headers.remove(USER_AGENT);
    headers.clear();
    headers.extend(agent.map(|agent| (USER_AGENT, agent)));
    headers.extend(by.clone());
}

/// Formats an error with its causes, unless its own text contains them.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
