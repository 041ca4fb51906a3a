//! The client of an exporter, over gRPC or HTTP.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::attempt::AttemptError;
use super::grpc_client::GrpcClient;
#[cfg(feature = "http")]
use super::http_client::HttpClient;
use super::protocol::Protocol;
use super::settings::Settings;
use super::tls::Tls;
use crate::error::InitError;
use crate::signal::Signal;

/// The client of one signal's endpoint, which is replaced when certificates are.
pub(super) struct Transport {
    signal: Signal,
    state: Mutex<State>,
}

struct State {
    settings: Settings,
    client: Arc<Client>,
}

impl Transport {
    /// Creates a client. It must be called on a tokio runtime, which runs the connections.
    pub(super) fn new(signal: Signal, settings: Settings) -> Result<Self, InitError> {
        let client = Arc::new(Client::new(signal, &settings)?);
        Ok(Transport {
            signal,
            state: Mutex::new(State { settings, client }),
        })
    }

    /// Returns the client for one attempt.
    pub(super) fn client(&self) -> Arc<Client> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.client)
    }

    /// Creates another client if certificates have been replaced.
    ///
    /// # Errors
    ///
    /// If the certificates cannot be used. The client stays as it is then.
    pub(super) fn renew(&self) -> Result<(), InitError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let tls = state.settings.tls.as_ref().map(Tls::renewed).transpose()?.flatten();
        if tls.is_some() {
            let before = std::mem::replace(&mut state.settings.tls, tls);
            match Client::new(self.signal, &state.settings) {
                Ok(client) => state.client = Arc::new(client),
                Err(error) => {
                    state.settings.tls = before;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The settings have headers and keys, which may be secret.
        f.debug_struct("Transport")
            .field("client", &self.client())
            .finish_non_exhaustive()
    }
}

/// A client with its connections.
#[derive(Debug)]
pub(super) enum Client {
    Grpc(Box<GrpcClient>),
    #[cfg(feature = "http")]
    Http(Box<HttpClient>),
}

impl Client {
    fn new(signal: Signal, settings: &Settings) -> Result<Self, InitError> {
        Ok(match settings.protocol {
            Protocol::Grpc => Client::Grpc(Box::new(GrpcClient::new(signal, settings)?)),
            #[cfg(feature = "http")]
            Protocol::HttpProtobuf => Client::Http(Box::new(HttpClient::new(settings))),
            #[cfg(not(feature = "http"))]
            Protocol::HttpProtobuf => unreachable!("`Settings` rejects it"),
        })
    }

    /// Returns the body of a request with this message.
    pub(super) fn body(&self, message: Vec<u8>) -> Bytes {
        match self {
            Client::Grpc(_) => message.into(),
            #[cfg(feature = "http")]
            Client::Http(client) => client.body(message),
        }
    }

    /// Sends a body, and returns the message of the response. Sets `is_sent` when there is a
    /// connection to send it over.
    pub(super) async fn send(&self, body: Bytes, is_sent: &Arc<AtomicBool>) -> Result<Bytes, AttemptError> {
        match self {
            Client::Grpc(client) => client.send(body, is_sent).await,
            #[cfg(feature = "http")]
            Client::Http(client) => client.send(body, is_sent).await,
        }
    }
}
