//! The HTTP client of the OTLP exporters.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::TokioExecutor;
use tokio::time;

use super::attempt::AttemptError;
use super::http_answer::{MAX_RESPONSE, PROTOBUF, broken_success, content_type, decoded, not_otlp, refused};
use super::proxy::{self, Connector};
use super::settings::Settings;
use super::tcp::{USER_AGENT, tcp};
#[cfg(feature = "tls")]
use super::tls::Tls;

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
    connect_timeout: Duration,
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
        // Without it, any coding is acceptable.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
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
            connect_timeout: settings.connect_timeout(),
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
    pub(super) async fn send(&self, body: Bytes, is_sent: &AtomicBool) -> Result<Bytes, AttemptError> {
        let mut begun = Instant::now();
        let mut answer = pin!(self.send_over(&self.client, body.clone(), is_sent));
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
                () = self.is_answered_over(&connections) => {
                    // The receiver is not slow, and its next dead connection must be found, too.
                    begun = Instant::now();
                    self.send_over(&connections, body, is_sent).await
                }
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
        if self
            .send_over(connections, empty, &AtomicBool::default())
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
        // A receiver that was frozen answers everything at once.
        time::sleep(self.timeout / 20).await;
    }

    /// Sends a body. Sets `is_sent` once there is a connection for it, with its proxy and TLS.
    async fn send_over(
        &self,
        connections: &Connections,
        body: Bytes,
        is_sent: &AtomicBool,
    ) -> Result<Bytes, AttemptError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(&self.uri);
        request.headers_mut().clone_from(&self.headers);
        let mut connection = capture_connection(&mut request);
        let mut response = pin!(connections.request(request));
        let connected = async { drop(connection.wait_for_connection_metadata().await) };
        let response = tokio::select! {
            response = &mut response => response,
            connected = time::timeout(self.connect_timeout, connected) => {
                if connected.is_err() {
                    return Err(AttemptError::timeout(self.connect_timeout, false));
                }
                is_sent.store(true, Ordering::Relaxed);
                response.await
            }
        };
        let (parts, body) = response
            .map_err(|error| AttemptError::unreachable(&error))?
            .into_parts();
        let head = Response::from_parts(parts, ());
        let mut start = Vec::new();
        let end = read_start(body, &mut start).await;
        let (start, end) = decoded(&head, start, end);
        if !head.status().is_success() {
            // The status counts, even if the body breaks.
            return Err(refused(&head, &start));
        }
        let is_whole = end.map_err(|error| broken_success(&error))?;
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
