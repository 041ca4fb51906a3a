//! Every name that this crate emits, from OpenTelemetry's semantic conventions v1.45.0 for RPC.
//!
//! The crate `opentelemetry-semantic-conventions` cannot be used yet: its newest version has schema
//! 1.42, with the names from before the RPC conventions became stable.

use opentelemetry::InstrumentationScope;

pub(crate) const SCOPE_NAME: &str = env!("CARGO_PKG_NAME");
pub(crate) const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

pub(crate) const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// The value of [`RPC_SYSTEM_NAME`].
pub(crate) const GRPC: &str = "grpc";
pub(crate) const RPC_METHOD: &str = "rpc.method";
/// The value of [`RPC_METHOD`] for an unknown method.
pub(crate) const OTHER: &str = "_OTHER";
pub(crate) const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
pub(crate) const RPC_STATUS_CODE: &str = "rpc.status_code";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
pub(crate) const NETWORK_PEER_PORT: &str = "network.peer.port";

/// Prefix of an attribute name; the name of the header follows.
pub(crate) const RPC_REQUEST_HEADER: &str = "rpc.request.header.";
pub(crate) const RPC_RESPONSE_HEADER: &str = "rpc.response.header.";
pub(crate) const RPC_RESPONSE_TRAILER: &str = "rpc.response.trailer.";

/// The value of [`ERROR_TYPE`] if the handler of an RPC panicked.
pub(crate) const PANIC: &str = "panic";

pub(crate) const SERVER_CALL_DURATION: Instrument = Instrument {
    name: "rpc.server.call.duration",
    unit: "s",
    description: "Measures the duration of an incoming Remote Procedure Call (RPC).",
};

/// Not part of the conventions; named after their `http.server.active_requests`.
pub(crate) const SERVER_ACTIVE_REQUESTS: Instrument = Instrument {
    name: "rpc.server.active_requests",
    unit: "{request}",
    description: "Number of active RPC server requests.",
};

/// The scope of observable instruments without data points: their callbacks run at each collection.
///
/// Each has the name of the instrument that it reports to, so that a view selects both.
pub(crate) const HOOK_SCOPE_NAME: &str = "otel-runtime.collection";

pub(crate) const CLIENT_CALL_DURATION: Instrument = Instrument {
    name: "rpc.client.call.duration",
    unit: "s",
    description: "Measures the duration of an outgoing Remote Procedure Call (RPC).",
};

/// Not part of the conventions; named after their `http.client.active_requests`.
pub(crate) const CLIENT_ACTIVE_REQUESTS: Instrument = Instrument {
    name: "rpc.client.active_requests",
    unit: "{request}",
    description: "Number of active RPC client requests.",
};

/// Defined by gRPC, because the conventions have no size metrics. Off by default.
pub(crate) const SERVER_CALL_RECEIVED_SIZE: Instrument = Instrument {
    name: "grpc.server.call.rcvd_total_compressed_message_size",
    unit: "By",
    description: "Compressed message bytes received per server call.",
};

/// Defined by gRPC, because the conventions have no size metrics. Off by default.
pub(crate) const SERVER_CALL_SENT_SIZE: Instrument = Instrument {
    name: "grpc.server.call.sent_total_compressed_message_size",
    unit: "By",
    description: "Compressed message bytes sent per server call.",
};

/// Defined by gRPC, because the conventions have no size metrics. Off by default.
pub(crate) const CLIENT_ATTEMPT_RECEIVED_SIZE: Instrument = Instrument {
    name: "grpc.client.attempt.rcvd_total_compressed_message_size",
    unit: "By",
    description: "Compressed message bytes received per call attempt.",
};

/// Defined by gRPC, because the conventions have no size metrics. Off by default.
pub(crate) const CLIENT_ATTEMPT_SENT_SIZE: Instrument = Instrument {
    name: "grpc.client.attempt.sent_total_compressed_message_size",
    unit: "By",
    description: "Compressed message bytes sent per client call attempt.",
};

/// Started calls, received messages, sent messages. The first is gRPC's; nobody has defined the
/// others, which are named like its sizes. Off by default.
pub(crate) const SERVER_MESSAGE_COUNTERS: [Instrument; 3] = [
    Instrument {
        name: "grpc.server.call.started",
        unit: "{call}",
        description: "Number of server calls started.",
    },
    Instrument {
        name: "grpc.server.call.rcvd_messages",
        unit: "{message}",
        description: "Number of messages received by server calls.",
    },
    Instrument {
        name: "grpc.server.call.sent_messages",
        unit: "{message}",
        description: "Number of messages sent by server calls.",
    },
];

/// [`SERVER_MESSAGE_COUNTERS`] of a client.
pub(crate) const CLIENT_MESSAGE_COUNTERS: [Instrument; 3] = [
    Instrument {
        name: "grpc.client.attempt.started",
        unit: "{attempt}",
        description: "Number of client call attempts started.",
    },
    Instrument {
        name: "grpc.client.attempt.rcvd_messages",
        unit: "{message}",
        description: "Number of messages received by client call attempts.",
    },
    Instrument {
        name: "grpc.client.attempt.sent_messages",
        unit: "{message}",
        description: "Number of messages sent by client call attempts.",
    },
];

/// `pkg.Service/Method`, or `other`.
pub(crate) const GRPC_METHOD: &str = "grpc.method";
/// The value of [`GRPC_METHOD`] for an unknown method.
pub(crate) const GRPC_OTHER: &str = "other";
pub(crate) const GRPC_STATUS: &str = "grpc.status";
/// The target of a client's channel.
pub(crate) const GRPC_TARGET: &str = "grpc.target";

/// Number of messages of an RPC, on its span and its log event. No convention has a name for it.
pub(crate) const RPC_MESSAGES_RECEIVED: &str = "rpc.messages.received";
pub(crate) const RPC_MESSAGES_SENT: &str = "rpc.messages.sent";
/// Number of earlier attempts, after the conventions' `http.request.resend_count`.
pub(crate) const RPC_REQUEST_RESEND_COUNT: &str = "rpc.request.resend_count";

/// gRPC's bucket boundaries for sizes, in bytes: see [gRFC A66].
///
/// [gRFC A66]: https://github.com/grpc/proposal/blob/master/A66-otel-stats.md
pub(crate) const SIZE_BOUNDARIES: [f64; 14] = [
    0.0,
    1024.0,
    2048.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
    4_294_967_296.0,
];

/// The conventions' recommended bucket boundaries for durations, in seconds.
pub(crate) const DURATION_BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Name, unit and description of an instrument.
pub(crate) struct Instrument {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
}

/// Names of the semantic conventions up to v1.37.
pub(crate) mod legacy {
    use super::Instrument;

    pub(crate) const RPC_SYSTEM: &str = "rpc.system";
    pub(crate) const RPC_SERVICE: &str = "rpc.service";
    pub(crate) const RPC_GRPC_STATUS_CODE: &str = "rpc.grpc.status_code";

    pub(crate) struct Instruments {
        pub(crate) duration: Instrument,
        pub(crate) request_size: Instrument,
        pub(crate) response_size: Instrument,
    }

    pub(crate) const SERVER: Instruments = Instruments {
        duration: Instrument {
            name: "rpc.server.duration",
            unit: "ms",
            description: "Measures the duration of inbound RPC.",
        },
        request_size: Instrument {
            name: "rpc.server.request.size",
            unit: "By",
            description: "Measures the size of RPC request messages.",
        },
        response_size: Instrument {
            name: "rpc.server.response.size",
            unit: "By",
            description: "Measures the size of RPC response messages.",
        },
    };

    pub(crate) const CLIENT: Instruments = Instruments {
        duration: Instrument {
            name: "rpc.client.duration",
            unit: "ms",
            description: "Measures the duration of outbound RPC.",
        },
        request_size: Instrument {
            name: "rpc.client.request.size",
            unit: "By",
            description: "Measures the size of RPC request messages.",
        },
        response_size: Instrument {
            name: "rpc.client.response.size",
            unit: "By",
            description: "Measures the size of RPC response messages.",
        },
    };
}

/// Returns the instrumentation scope of calls.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE_NAME)
        .with_version(SCOPE_VERSION)
        .with_schema_url(SCHEMA_URL)
        .build()
}
