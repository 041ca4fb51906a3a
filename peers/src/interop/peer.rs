//! The peers: implementations of gRPC with an instrumentation.

use super::launch::Launcher;

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
}

/// grpc-go with OpenTelemetry's instrumentation.
pub const GO_OTELGRPC: Peer = Peer {
    name: "grpc-go, otelgrpc",
    versions: "grpc-go 1.85.0 with otelgrpc 0.72.0",
    launcher: Launcher::go,
    argument: "otelgrpc",
};

/// grpc-go with gRPC's own plugin.
pub const GO_PLUGIN: Peer = Peer {
    name: "grpc-go, plugin",
    versions: "grpc-go 1.85.0 with its stats/opentelemetry (gRFC A66, A72)",
    launcher: Launcher::go,
    argument: "plugin",
};

/// connect-go with its instrumentation.
pub const CONNECT_GO: Peer = Peer {
    name: "connect-go",
    versions: "connect-go 1.21.1 with otelconnect 0.12.0, over gRPC",
    launcher: Launcher::go,
    argument: "otelconnect",
};

/// All peers, in the order of the page.
pub const ALL: [Peer; 3] = [GO_OTELGRPC, GO_PLUGIN, CONNECT_GO];
