//! The names of OpenTelemetry's semantic conventions v1.45.0 for RPC and gRPC. Every name that this crate emits stands here.
//!
//! They are kept here, not taken from `opentelemetry-semantic-conventions`, because that crate's newest version carries schema 1.42 with
//! the names from before RPC became stable.

pub(crate) const SCOPE_NAME: &str = env!("CARGO_PKG_NAME");
pub(crate) const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

pub(crate) const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// The value of [`RPC_SYSTEM_NAME`].
pub(crate) const GRPC: &str = "grpc";
pub(crate) const RPC_METHOD: &str = "rpc.method";
/// The value of [`RPC_METHOD`] of a method that nobody knows.
pub(crate) const OTHER: &str = "_OTHER";
pub(crate) const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
pub(crate) const RPC_STATUS_CODE: &str = "rpc.status_code";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
pub(crate) const NETWORK_PEER_PORT: &str = "network.peer.port";

/// Followed by the header's name.
pub(crate) const RPC_REQUEST_HEADER: &str = "rpc.request.header.";
pub(crate) const RPC_RESPONSE_HEADER: &str = "rpc.response.header.";
pub(crate) const RPC_RESPONSE_TRAILER: &str = "rpc.response.trailer.";

/// The value of [`ERROR_TYPE`] of an RPC whose handler panicked.
pub(crate) const PANIC: &str = "panic";

pub(crate) const SERVER_CALL_DURATION: Instrument = Instrument {
    name: "rpc.server.call.duration",
    unit: "s",
    description: "Measures the duration of an incoming Remote Procedure Call (RPC).",
};

/// Not in the conventions; named after `http.server.active_requests`, which is.
pub(crate) const SERVER_ACTIVE_REQUESTS: Instrument = Instrument {
    name: "rpc.server.active_requests",
    unit: "{request}",
    description: "Number of active RPC server requests.",
};

pub(crate) const CLIENT_CALL_DURATION: Instrument = Instrument {
    name: "rpc.client.call.duration",
    unit: "s",
    description: "Measures the duration of an outgoing Remote Procedure Call (RPC).",
};

/// Not in the conventions; named after `http.client.active_requests`, which is.
pub(crate) const CLIENT_ACTIVE_REQUESTS: Instrument = Instrument {
    name: "rpc.client.active_requests",
    unit: "{request}",
    description: "Number of active RPC client requests.",
};

/// The buckets that the conventions advise for durations, in seconds.
pub(crate) const DURATION_BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

pub(crate) struct Instrument {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
}
