//! The peers: implementations of gRPC with an instrumentation, and where they disagree.

use super::Direction::{self, Client, Server};
use super::End;
use super::launch::Launcher;

const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");

/// An implementation of gRPC with an instrumentation.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The name in the table.
    pub name: &'static str,
    /// The packages and their versions, for readers.
    pub versions: &'static str,
    /// Builds or installs the programs.
    pub launcher: fn(&str) -> Launcher,
    /// The first argument of the programs.
    pub argument: &'static str,
    /// RPCs that do not end by themselves, so that they are not in the table.
    pub never_ends: &'static [(Direction, End)],
    /// Why results disagree with the conventions.
    pub reasons: &'static [Reason],
}

/// Why results of a peer disagree with the conventions.
#[derive(Clone, Copy, Debug)]
pub struct Reason {
    /// The role of the peer.
    pub role: Direction,
    /// The ends that disagree; all if there are none.
    pub ends: &'static [End],
    /// The reason, for readers.
    pub text: &'static str,
}

impl Peer {
    /// Returns why results of an end disagree with the conventions.
    #[must_use]
    pub fn reason(&self, role: Direction, end: End) -> Option<&'static Reason> {
        let mut reasons = self.reasons.iter();
        reasons.find(|reason| reason.role == role && (reason.ends.is_empty() || reason.ends.contains(&end)))
    }
}

/// grpc-go with OpenTelemetry's instrumentation.
pub const GO_OTELGRPC: Peer = Peer {
    name: "grpc-go, otelgrpc",
    versions: "grpc-go 1.85.0 with otelgrpc 0.72.0",
    launcher: Launcher::go,
    argument: "otelgrpc",
    never_ends: &[],
    reasons: &[
        Reason {
            role: Client,
            ends: &[End::GzipRefused, End::Unknown, End::LargeRequest],
            text: "rarely the span of a refused stream ends as OK, when the answer comes while the client still sends",
        },
        Reason {
            role: Server,
            ends: &[End::Unknown],
            text: "a server does not tell its stats handlers of methods that it does not have",
        },
        Reason {
            role: Server,
            ends: &[End::Panic],
            text: "a panic ends the process, and the span ends as OK while it unwinds",
        },
        Reason {
            role: Server,
            ends: &[End::Deadline],
            text: "the client's reset and the server's timer race",
        },
    ],
};

/// grpc-go with gRPC's own plugin.
pub const GO_PLUGIN: Peer = Peer {
    name: "grpc-go, plugin",
    versions: "grpc-go 1.85.0 with its stats/opentelemetry (gRFC A66 and A72)",
    launcher: Launcher::go,
    argument: "plugin",
    never_ends: &[],
    reasons: &[
        Reason {
            role: Client,
            ends: &[],
            text: "spans have no attribute with a status code, and the status Ok; each attempt has an INTERNAL span, \
                   which is the parent of the server's span",
        },
        Reason {
            role: Server,
            ends: &[],
            text: "spans have no attribute with a status code, and the status Ok or Error for all other codes",
        },
    ],
};

/// connect-go with its instrumentation.
pub const CONNECT_GO: Peer = Peer {
    name: "connect-go",
    versions: "connect-go 1.21.1 with otelconnect 0.12.0, over gRPC",
    launcher: Launcher::go,
    argument: "otelconnect",
    never_ends: &[],
    reasons: &[
        Reason {
            role: Client,
            ends: &[End::Cancel, End::LateCancel, End::Deadline, End::Panic],
            text: "the name of the code is CANCELED, and the span of a stream that the caller gives up ends as OK",
        },
        Reason {
            role: Server,
            ends: &[],
            text: "by default a server does not trust its callers: it starts a trace, with a link to the caller's span",
        },
    ],
};

/// grpc-java with OpenTelemetry's Java agent.
pub const JAVA_AGENT: Peer = Peer {
    name: "grpc-java, agent",
    versions: "grpc-java 1.85.1 with OpenTelemetry's Java agent 2.33.1",
    launcher: Launcher::java_with_agent,
    argument: "agent",
    never_ends: &[],
    reasons: &[
        Reason {
            role: Server,
            ends: &[End::Deadline, End::LargeRequest],
            text: "the server cancels the call, and the span has that instead of the reason",
        },
        Reason {
            role: Server,
            ends: &[End::Unknown],
            text: "interceptors of a server do not see methods that it does not have",
        },
    ],
};

/// grpc-java with gRPC's own plugin.
pub const JAVA_PLUGIN: Peer = Peer {
    name: "grpc-java, plugin",
    versions: "grpc-java 1.85.1 with its grpc-opentelemetry (gRFC A66 and A72)",
    launcher: Launcher::java,
    argument: "plugin",
    never_ends: &[],
    reasons: &[
        Reason {
            role: Client,
            ends: &[],
            text: "its spans, an experiment, are INTERNAL: one for the call, and one for each attempt, which is the \
                   parent of the server's span; they have no attribute with a status code, and the status Ok",
        },
        Reason {
            role: Server,
            ends: &[],
            text: "its spans, an experiment, have no attribute with a status code, and the status Ok",
        },
    ],
};

/// Armeria with OpenTelemetry's Java agent.
pub const ARMERIA: Peer = Peer {
    name: "Armeria",
    versions: "Armeria 1.36.0 with OpenTelemetry's Java agent 2.33.1",
    launcher: Launcher::java_with_agent,
    argument: "armeria",
    never_ends: &[],
    reasons: &[Reason {
        role: Server,
        ends: &[],
        text: "an RPC has two SERVER spans: that of the HTTP server, which is our span's child, and that of grpc-java, \
               which misses requests that are refused before a handler; answers to unknown methods are pages with 404",
    }],
};

/// grpcio with OpenTelemetry's instrumentation.
pub const GRPCIO: Peer = Peer {
    name: "grpcio",
    versions: "grpcio 1.85.1 with opentelemetry-instrumentation-grpc 0.66b2",
    launcher: Launcher::grpcio,
    argument: PROTO,
    never_ends: &[],
    reasons: &[
        Reason {
            role: Server,
            ends: &[End::Panic, End::Cancel, End::LateCancel, End::Deadline],
            text: "the span has the result of the handler, whatever the caller gets",
        },
        Reason {
            role: Server,
            ends: &[End::LargeRequest, End::Unknown],
            text: "the instrumentation sees what reaches a handler, not what the server refuses before",
        },
    ],
};

/// A client of grpclib, with a span made by hand.
pub const GRPCLIB: Peer = Peer {
    name: "grpclib",
    versions: "grpclib 0.4.9 with spans made by hand",
    launcher: Launcher::grpclib,
    argument: PROTO,
    never_ends: &[],
    reasons: &[Reason {
        role: Client,
        ends: &[End::GoAway],
        text: "on GOAWAY a client closes the connection, and RPCs whose reply has not come fail with UNAVAILABLE",
    }],
};

/// grpc-js with OpenTelemetry's instrumentation.
pub const GRPC_JS: Peer = Peer {
    name: "grpc-js",
    versions: "grpc-js 1.14.7 with @opentelemetry/instrumentation-grpc 0.223.0",
    launcher: Launcher::grpc_js,
    argument: PROTO,
    never_ends: &[],
    reasons: &[
        Reason {
            role: Server,
            ends: &[End::Error, End::LateError, End::Cancel, End::LateCancel, End::Deadline],
            text: "every code other than OK is an error, and a deadline is a cancellation",
        },
        Reason {
            role: Server,
            ends: &[End::LargeRequest, End::LargeReply, End::Unknown],
            text: "the span of a request that does not reach the handler, or of a stream that is reset, does not end",
        },
        Reason {
            role: Server,
            ends: &[End::Panic],
            text: "an exception in an event handler ends the process; the span of a handler that throws does not end",
        },
    ],
};

/// connect-node, with spans made by hand.
pub const CONNECT_NODE: Peer = Peer {
    name: "connect-node",
    versions: "connect-node 2.2.0 over gRPC, with spans made by hand",
    launcher: Launcher::connect_node,
    argument: PROTO,
    // So is a call to grpc-go, which also resets the stream behind its answer.
    never_ends: &[(Client, End::LargeRequest)],
    reasons: &[
        Reason {
            role: Server,
            ends: &[End::Deadline],
            text: "the client's reset and the server's timer race",
        },
        Reason {
            role: Server,
            ends: &[End::LargeRequest],
            text: "a unary request that is too large does not reach interceptors; what has come of it stays in the \
                   connection's memory, and with more than Node's `maxSessionMemory` of that (10 MB) the server \
                   resets all later RPCs of the connection with ENHANCE_YOUR_CALM",
        },
        Reason {
            role: Server,
            ends: &[End::LargeReply],
            text: "a stream that the client resets while the server writes does not end its generator, nor the span",
        },
    ],
};

/// All peers, in the order of the page.
pub const ALL: [Peer; 10] = [
    GO_OTELGRPC,
    GO_PLUGIN,
    CONNECT_GO,
    JAVA_AGENT,
    JAVA_PLUGIN,
    ARMERIA,
    GRPCIO,
    GRPCLIB,
    GRPC_JS,
    CONNECT_NODE,
];
