//! The gRPC client of the OTLP exporters.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::client::Grpc;
#[cfg(feature = "gzip")]
use tonic::codec::CompressionEncoding;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::attempt::AttemptError;
#[cfg(any(feature = "proxy", feature = "tls"))]
use super::proxy;
use super::request::grpc_path;
use super::settings::Settings;
use super::tcp::USER_AGENT;
#[cfg(any(feature = "proxy", feature = "tls"))]
use super::tcp::tcp;
use super::words::MAX_ANSWER;
use crate::error::InitError;
use crate::signal::Signal;

/// A client of one method that exports.
pub(super) struct GrpcClient {
    grpc: Grpc<Channel>,
    path: PathAndQuery,
    metadata: MetadataMap,
}

impl GrpcClient {
    /// Creates a client, which connects with its first request.
    pub(super) fn new(signal: Signal, settings: &Settings) -> Result<Self, InitError> {
        let endpoint = endpoint(settings).map_err(|error| {
            let text = format!("cannot build the OTLP exporter of {signal}: {error}");
            InitError::new(text).with_source(error)
        })?;
        let channel = channel(&endpoint, settings);
        #[cfg_attr(not(feature = "gzip"), allow(unused_mut))]
        let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_ANSWER);
        #[cfg(feature = "gzip")]
        if settings.is_compressed {
            let gzip = CompressionEncoding::Gzip;
            grpc = grpc.send_compressed(gzip).accept_compressed(gzip);
        }
        Ok(GrpcClient {
            grpc,
            path: PathAndQuery::from_static(grpc_path(signal)),
            metadata: MetadataMap::from_headers(settings.headers.clone()),
        })
    }

    /// Sends an encoded request, and returns the encoded response.
    pub(super) async fn send(&self, body: Bytes, is_sent: &Arc<AtomicBool>) -> Result<Bytes, AttemptError> {
        let mut grpc = self.grpc.clone();
        let ready = grpc.ready().await;
        ready.map_err(|error| AttemptError::unreachable(&error))?;
        let request = Request::from_parts(self.metadata.clone(), Extensions::new(), body);
        let codec = RawCodec(Arc::clone(is_sent));
        let answer = grpc.server_streaming(request, self.path.clone(), codec).await;
        let message = match answer {
            Ok(answer) => message(answer).await,
            Err(status) => Err(status),
        };
        message.map_err(|status| AttemptError::from_grpc(&status))
    }
}

/// Reads the message of an answer, or nothing if there is only success: all that the message could
/// tell is optional. `Grpc::unary` requires one.
async fn message(answer: Response<Streaming<Bytes>>) -> Result<Bytes, Status> {
    let (head, mut messages, _) = answer.into_parts();
    let message = messages.message().await?;
    let trailers = messages.trailers().await?.unwrap_or_default();
    match message {
        Some(message) => Ok(message),
        None if [head, trailers].iter().any(|map| map.contains_key("grpc-status")) => Ok(Bytes::new()),
        // Newer versions of tonic return this error themselves.
        None => Err(Status::unknown("the answer has no grpc-status")),
    }
}

/// Returns a channel, which connects with its first request.
#[cfg_attr(not(any(feature = "proxy", feature = "tls")), allow(unused_variables))]
fn channel(endpoint: &Endpoint, settings: &Settings) -> Channel {
    // The timeout of the connection includes the proxy and TLS then.
    #[cfg(any(feature = "proxy", feature = "tls"))]
    if settings.proxy.is_some() || settings.tls.is_some() {
        let connector = proxy::for_grpc(tcp(settings), settings.proxy.clone());
        return endpoint.connect_with_connector_lazy(connector);
    }
    endpoint.connect_lazy()
}

fn endpoint(settings: &Settings) -> Result<Endpoint, tonic::transport::Error> {
    let ping = settings.patience();
    let endpoint = Endpoint::new(settings.endpoint.clone())?
        .user_agent(USER_AGENT)?
        .connect_timeout(settings.connect_timeout())
        .http2_keep_alive_interval(ping)
        .keep_alive_timeout(ping)
        // Servers close a connection with pings but without requests.
        .keep_alive_while_idle(false);
    #[cfg(feature = "tls")]
    if let Some(tls) = &settings.tls {
        return endpoint.tls_config(tls.for_grpc());
    }
    Ok(endpoint)
}

impl fmt::Debug for GrpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClient")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Takes messages that are encoded, so that a retry does not encode them again. Tells that one
/// leaves, for which there is a connection.
#[derive(Clone, Debug)]
struct RawCodec(Arc<AtomicBool>);

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        self.0.store(true, Ordering::Relaxed);
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
