//! The client of an exporter, over gRPC or HTTP.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::attempt::AttemptError;
use super::grpc_client::GrpcClient;
#[cfg(feature = "http")]
use super::http_client::HttpClient;
use super::protocol::Protocol;
use super::settings::Settings;
use crate::error::InitError;
use crate::signal::Signal;

/// The client of one signal's endpoint.
#[derive(Debug)]
pub(super) enum Transport {
    Grpc(Box<GrpcClient>),
    #[cfg(feature = "http")]
    Http(Box<HttpClient>),
}

impl Transport {
    /// Creates a client. It must be called on a tokio runtime, which runs the connections.
    pub(super) fn new(signal: Signal, settings: &Settings) -> Result<Self, InitError> {
        Ok(match settings.protocol {
            Protocol::Grpc => Transport::Grpc(Box::new(GrpcClient::new(signal, settings)?)),
            #[cfg(feature = "http")]
            Protocol::HttpProtobuf => Transport::Http(Box::new(HttpClient::new(settings))),
            #[cfg(not(feature = "http"))]
            Protocol::HttpProtobuf => unreachable!("`Settings` rejects it"),
        })
    }

    /// Returns the body of a request with this message.
    pub(super) fn body(&self, message: Vec<u8>) -> Bytes {
        match self {
            Transport::Grpc(_) => message.into(),
            #[cfg(feature = "http")]
            Transport::Http(client) => client.body(message),
        }
    }

    /// Sends a body, and returns the message of the response. Sets `is_sent` when there is a
    /// connection to send it over.
    pub(super) async fn send(&self, body: Bytes, is_sent: &Arc<AtomicBool>) -> Result<Bytes, AttemptError> {
        match self {
            Transport::Grpc(client) => client.send(body, is_sent).await,
            #[cfg(feature = "http")]
            Transport::Http(client) => client.send(body, is_sent).await,
        }
    }
}
