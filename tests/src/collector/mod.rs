//! An OTLP receiver for gRPC and HTTP that stores all messages, and can be made to misbehave.
//!
//! Messages have the default limits: 4 MiB over gRPC, and 2 MB over HTTP.

mod behaviour;
mod received;
mod services;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};

pub use self::behaviour::{Behaviour, FORBIDDEN};
pub use self::received::{Content, Received, points};
use self::services::{Shared, routes};
use crate::background::BackgroundRuntime;
use crate::server::TIMEOUT;

/// An OTLP receiver on a free port of the loopback interface, which runs until it is dropped.
///
/// The receiver has its own threads, so tests may block.
#[derive(Debug)]
pub struct Collector {
    /// The address that it listens on, for both gRPC and HTTP.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    runtime: BackgroundRuntime,
}

impl Collector {
    /// Starts a receiver without TLS.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts a receiver on this address.
    #[must_use]
    pub fn start_at(address: SocketAddr) -> Self {
        Self::run(address, Server::builder().accept_http1(true))
    }

    /// Starts a receiver that speaks gRPC only.
    #[must_use]
    pub fn start_grpc() -> Self {
        Self::run(SocketAddr::from(([127, 0, 0, 1], 0)), Server::builder())
    }

    /// Starts a receiver with TLS.
    #[must_use]
    pub fn start_with(tls: ServerTlsConfig) -> Self {
        Self::start_with_at(SocketAddr::from(([127, 0, 0, 1], 0)), tls)
    }

    /// Starts a receiver with TLS on this address.
    #[must_use]
    pub fn start_with_at(address: SocketAddr, tls: ServerTlsConfig) -> Self {
        let server = Server::builder().accept_http1(true).tls_config(tls).unwrap();
        Self::run(address, server)
    }

    fn run(address: SocketAddr, mut server: Server) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            received: watch::Sender::default(),
            requests: watch::Sender::default(),
            behaviour: Mutex::new(Behaviour::Accept),
        });
        let runtime = BackgroundRuntime::start();
        let routes = routes(&shared);
        runtime.spawn(async move {
            let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
            let server = server.add_routes(routes).serve_with_incoming(incoming);
            server.await.unwrap();
        });
        Collector {
            address,
            shared,
            runtime,
        }
    }

    /// Returns the collector's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the behaviour for the following requests.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// Returns all messages received so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.borrow().clone()
    }

    /// Ends the receiver, and returns all messages that it has received.
    #[must_use]
    pub fn end(self) -> Vec<Received> {
        let Collector { shared, runtime, .. } = self;
        runtime.end();
        shared.received.borrow().clone()
    }

    /// Waits until the received messages meet a condition, and returns them.
    pub fn wait_until(&self, condition: impl FnMut(&Vec<Received>) -> bool) -> Vec<Received> {
        let mut received = self.shared.received.subscribe();
        let waiting = async {
            timeout(TIMEOUT, received.wait_for(condition))
                .await
                .map(|found| found.unwrap().clone())
        };
        let found = self.runtime.block_on(waiting);
        found.expect("the condition is met in time")
    }

    /// Waits for this number of requests, and returns the times of all.
    pub fn wait_for_requests(&self, count: usize) -> Vec<Instant> {
        let mut requests = self.shared.requests.subscribe();
        let waiting = async {
            let enough = requests.wait_for(|requests| requests.len() >= count);
            timeout(TIMEOUT, enough).await.map(|found| found.unwrap().clone())
        };
        let times = self.runtime.block_on(waiting);
        times.expect("enough requests in time")
    }

    /// Discards all messages received so far, and the times of their requests.
    pub fn clear(&self) {
        self.shared.received.send_modify(Vec::clear);
        self.shared.requests.send_modify(Vec::clear);
    }

    /// Returns the received spans.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.received()
            .into_iter()
            .flat_map(|received| received.spans())
            .collect()
    }

    /// Returns the received log records.
    #[must_use]
    pub fn log_records(&self) -> Vec<LogRecord> {
        self.received()
            .into_iter()
            .flat_map(|received| received.log_records())
            .collect()
    }

    /// Returns the received metrics.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.received()
            .into_iter()
            .flat_map(|received| received.metrics())
            .collect()
    }
}
