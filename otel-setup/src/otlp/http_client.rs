//! The HTTP client of the OTLP exporters.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time;

use super::attempt::{AttemptError, Retry, clean};
use super::google_rpc;
use super::proxy::{self, Connector};
use super::settings::Settings;
use super::tcp::{USER_AGENT, tcp};
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::export_failure::Cause;

/// The content type of OTLP over HTTP.
const PROTOBUF: &str = "application/x-protobuf";

/// The maximum size of a response that is read.
const MAX_RESPONSE: usize = 64 * 1024;

#[cfg(not(feature = "tls"))]
type HttpsConnector = Connector;
#[cfg(feature = "tls")]
type HttpsConnector = hyper_rustls::HttpsConnector<Connector>;

type Connections = Client<HttpsConnector, Full<Bytes>>;

/// A client of one URL.
pub(super) struct HttpClient {
    client: Connections,
    connector: HttpsConnector,
    timeout: Duration,
    /// The time after which an answer is late, if it has never taken long.
    patience: Duration,
    /// The milliseconds that the slowest answer has taken, at least 1. Zero if there was none.
    slowest: AtomicU64,
    uri: Uri,
    headers: HeaderMap,
    is_compressed: bool,
}

impl HttpClient {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.extend(settings.headers.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        if settings.is_compressed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(proxy) = &settings.proxy {
            let authorization = proxy.authorization(&settings.endpoint);
            headers.extend(authorization.map(|value| (header::PROXY_AUTHORIZATION, value.clone())));
        }
        let connector = connector(settings);
        HttpClient {
            client: connections(&connector),
            connector,
            timeout: settings.timeout,
            patience: settings.patience(),
            slowest: AtomicU64::default(),
            uri: settings.endpoint.clone(),
            headers,
            is_compressed: settings.is_compressed,
        }
    }

    /// Returns the body of a request with this message.
    pub(super) fn body(&self, message: Vec<u8>) -> Bytes {
        if self.is_compressed {
            compressed(&message)
        } else {
            message.into()
        }
    }

    /// Sends a body, and returns that of the response.
    ///
    /// HTTP/1.1 has no pings to find out that the connection has died silently. Once an answer is
    /// late, an empty request is sent over a new connection. If that is answered first, the body is
    /// sent again there, and the old connection is closed.
    pub(super) async fn send(&self, body: Bytes) -> Result<Bytes, AttemptError> {
        let begun = Instant::now();
        let mut answer = pin!(self.send_over(&self.client, body.clone()));
        let in_time = match self.late() {
            Some(late) => time::timeout(late, &mut answer).await.ok(),
            None => Some(answer.as_mut().await),
        };
        let answer = if let Some(answer) = in_time {
            answer
        } else {
            let connections = connections(&self.connector);
            tokio::select! {
                answer = &mut answer => answer,
                () = self.is_answered_over(&connections) => self.send_over(&connections, body).await,
            }
        };
        if answer.is_ok() {
            let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.slowest.fetch_max(took.max(1), Ordering::Relaxed);
        }
        answer
    }

    /// Returns the time after which an answer is late, if the receiver has answered before: more
    /// than it has ever needed, since it may have a request that it has not answered yet.
    fn late(&self) -> Option<Duration> {
        let slowest = self.slowest.load(Ordering::Relaxed);
        let late = Duration::from_millis(slowest.saturating_mul(2)).max(self.patience);
        (slowest > 0 && late <= self.timeout / 2).then_some(late)
    }

    /// Waits until the receiver has accepted an empty request, and some time more. Otherwise, it
    /// waits forever.
    async fn is_answered_over(&self, connections: &Connections) {
        let empty = self.body(Vec::new());
        if self.send_over(connections, empty).await.is_err() {
            std::future::pending::<()>().await;
        }
        // A receiver that was frozen answers everything at once.
        time::sleep(self.timeout / 20).await;
    }

    async fn send_over(&self, connections: &Connections, body: Bytes) -> Result<Bytes, AttemptError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(&self.uri);
        request.headers_mut().clone_from(&self.headers);
        let response = connections.request(request).await;
        let (parts, body) = response
            .map_err(|error| AttemptError::unreachable(&error))?
            .into_parts();
        let head = Response::from_parts(parts, ());
        let mut start = Vec::new();
        let end = read_start(body, &mut start).await;
        if !head.status().is_success() {
            // The status counts, even if the body breaks.
            return Err(refused(&head, &start));
        }
        let is_whole = end.map_err(|error| AttemptError::unreachable(&error))?;
        if start.is_empty() || is_whole && content_type(&head) == PROTOBUF {
            return Ok(start.into());
        }
        Err(not_otlp(&head, &start))
    }
}

/// Reads the start of a body. Returns whether that is all.
async fn read_start<E>(
    mut body: impl BodyExt<Data = Bytes, Error = E> + Unpin,
    start: &mut Vec<u8>,
) -> Result<bool, E> {
    while let Some(frame) = body.frame().await {
        start.extend(frame?.into_data().unwrap_or_default());
        if start.len() > MAX_RESPONSE {
            start.truncate(MAX_RESPONSE);
            return Ok(false);
        }
    }
    Ok(true)
}

fn refused(head: &Response<()>, body: &[u8]) -> AttemptError {
    let after = head.headers().get(header::RETRY_AFTER).and_then(retry_after);
    let status = (content_type(head) == PROTOBUF)
        .then(|| google_rpc::Status::parse(body))
        .flatten();
    let words = match &status {
        Some(status) => status.message.clone(),
        None => text(body),
    };
    let delay = status.and_then(|status| status.retry_delay());
    AttemptError::from_http(head.status(), after.or(delay), &words)
}

fn not_otlp(head: &Response<()>, body: &[u8]) -> AttemptError {
    let words = format!("{} with {}: {}", head.status(), content_type(head), clean(&text(body)));
    AttemptError::new(Cause::NotOtlp, words, Retry::Never)
}

/// Returns the body as text, without the tags of a web page.
fn text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if !text.trim_start().starts_with('<') {
        return text.into_owned();
    }
    let mut visible = String::new();
    let mut is_tag = false;
    for character in text.chars() {
        match character {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                visible.push(' ');
            }
            _ if !is_tag => visible.push(character),
            _ => {}
        }
    }
    visible
}

/// Returns the content type without parameters, in lower case.
fn content_type(head: &Response<()>) -> String {
    let value = head.headers().get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("no content type");
    let value = value.split(';').next().unwrap_or_default();
    clean(&value.to_ascii_lowercase())
}

#[cfg(feature = "gzip")]
fn compressed(message: &[u8]) -> Bytes {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let compressed = encoder.write_all(message).and_then(|()| encoder.finish());
    compressed.expect("writing to memory does not fail").into()
}

#[cfg(not(feature = "gzip"))]
fn compressed(_: &[u8]) -> Bytes {
    unreachable!("compression requires the Cargo feature `gzip`")
}

/// Parses `Retry-After`: a number of seconds, or a date.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let value = value.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Returns a client without connections.
fn connections(connector: &HttpsConnector) -> Connections {
    Client::builder(TokioExecutor::new()).build(connector.clone())
}

fn connector(settings: &Settings) -> HttpsConnector {
    let connector = proxy::for_http(tcp(settings), settings.proxy.clone());
    #[cfg(feature = "tls")]
    let connector = {
        // Without TLS settings the endpoint is `http`, and this configuration is never used.
        let config = settings.tls.as_ref().map_or_else(Tls::without_roots, Tls::for_http);
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config);
        builder.https_or_http().enable_http1().wrap_connector(connector)
    };
    connector
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may be secret.
        f.debug_struct("HttpClient")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let read = |value| retry_after(&HeaderValue::from_static(value));
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            read("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO),
            "it has passed"
        );
        let later = read("Tue, 31 Dec 2999 23:59:59 GMT").unwrap();
        assert!(later > Duration::from_secs(86_400), "{later:?}");
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }

    #[test]
    fn web_pages_are_shown_without_tags() {
        let page = b"<!DOCTYPE html>\n<html><title>Sign in</title><body class='x'>Welcome</body></html>";
        assert_eq!(clean(&text(page)), "Sign in Welcome");
        assert_eq!(text(b"a < b"), "a < b");
    }
}
