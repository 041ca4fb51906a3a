//! A log event for each call that the option `log_calls` selects.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{KeyValue, Value};
use tracing::Level;

use crate::grpc::outcome::Outcome;
use crate::grpc::side::Side;
use crate::semconv;

/// The calls that [`ServerLayer::log_calls`](crate::ServerLayer::log_calls) and
/// [`ClientLayer::log_calls`](crate::ClientLayer::log_calls) log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoggedCalls {
    /// All calls.
    All,
    /// Calls that failed: those with an `error.type`.
    Failures,
    /// Calls that took longer, whatever their outcome. A stream lasts from its start to its end.
    SlowerThan(Duration),
}

/// The calls of a layer that are logged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallLog {
    all: bool,
    failures: bool,
    slower_than: Option<Duration>,
}

impl CallLog {
    /// Logs these calls as well.
    pub(crate) fn add(&mut self, calls: LoggedCalls) {
        match calls {
            LoggedCalls::All => self.all = true,
            LoggedCalls::Failures => self.failures = true,
            LoggedCalls::SlowerThan(limit) => {
                self.slower_than = Some(self.slower_than.map_or(limit, |earlier| earlier.min(limit)));
            }
        }
    }

    pub(crate) fn logs(self, elapsed: Duration, is_failure: bool) -> bool {
        self.all || self.failures && is_failure || self.slower_than.is_some_and(|limit| elapsed > limit)
    }
}

/// The other end of a call.
#[derive(Clone, Debug, Default)]
pub(crate) enum Remote {
    #[default]
    Unknown,
    /// The client's socket.
    Socket(SocketAddr),
    /// `server.address` and `server.port` of a client's target.
    Target(Arc<[KeyValue]>),
}

impl Remote {
    /// Returns the address and the port of a target.
    fn target(&self) -> (Option<&str>, Option<i64>) {
        let Remote::Target(target) = self else {
            return (None, None);
        };
        let find = |key| target.iter().find(|attribute| attribute.key.as_str() == key);
        let port = match find(semconv::SERVER_PORT).map(|attribute| &attribute.value) {
            Some(Value::I64(port)) => Some(*port),
            _ => None,
        };
        let address = match find(semconv::SERVER_ADDRESS).map(|attribute| &attribute.value) {
            Some(Value::String(address)) => Some(address.as_str()),
            _ => None,
        };
        (address, port)
    }
}

/// A call that has ended, as its event describes it.
pub(crate) struct EndedCall<'a> {
    pub(crate) side: Side,
    pub(crate) method: &'static str,
    /// The name in the path, if the method is not known.
    pub(crate) original_method: Option<&'a str>,
    pub(crate) outcome: Outcome<'a>,
    pub(crate) elapsed: Duration,
    pub(crate) remote: &'a Remote,
    /// Number of messages, if they have been counted.
    pub(crate) received: Option<u64>,
    pub(crate) sent: Option<u64>,
}

/// Logs a server's call at a level, whose event needs a call site of its own.
macro_rules! log_incoming {
    ($level:expr, $call:expr) => {{
        let call = $call;
        let peer = match call.remote {
            Remote::Socket(peer) => Some(*peer),
            _ => None,
        };
        tracing::event!(
            name: "rpc.server.call",
            target: "otel_runtime::calls",
            $level,
            "rpc.method" = call.method,
            "rpc.method_original" = call.original_method,
            "rpc.status_code" = call.outcome.code_str(),
            "error.type" = call.outcome.error_type(call.side),
            "rpc.server.call.duration" = call.elapsed.as_secs_f64(),
            "network.peer.address" = peer.map(|peer| tracing::field::display(peer.ip().to_canonical())),
            "network.peer.port" = peer.map(|peer| peer.port()),
            "rpc.messages.received" = call.received,
            "rpc.messages.sent" = call.sent,
            "incoming call"
        );
    }};
}

/// Logs a client's call at a level.
macro_rules! log_outgoing {
    ($level:expr, $call:expr) => {{
        let call = $call;
        let (address, port) = call.remote.target();
        tracing::event!(
            name: "rpc.client.call",
            target: "otel_runtime::calls",
            $level,
            "rpc.method" = call.method,
            "rpc.method_original" = call.original_method,
            "rpc.status_code" = call.outcome.code_str(),
            "error.type" = call.outcome.error_type(call.side),
            "rpc.client.call.duration" = call.elapsed.as_secs_f64(),
            "server.address" = address,
            "server.port" = port,
            "rpc.messages.received" = call.received,
            "rpc.messages.sent" = call.sent,
            "outgoing call"
        );
    }};
}

/// Logs a call: at ERROR if a server failed, at WARN if a client's call did, else at INFO.
pub(crate) fn log(call: &EndedCall<'_>) {
    match (call.side, call.outcome.error_type(call.side)) {
        (Side::Server, None) => log_incoming!(Level::INFO, call),
        (Side::Server, Some(_)) => log_incoming!(Level::ERROR, call),
        (Side::Client, None) => log_outgoing!(Level::INFO, call),
        (Side::Client, Some(_)) => log_outgoing!(Level::WARN, call),
    }
}
