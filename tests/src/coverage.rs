//! The ways to instrument a server.

use otel_runtime::ServerLayer;
use tonic::transport::Server;

use crate::scripted::{Annotated, Plain, ScriptedService};
use crate::server::{RunningServer, serve, serve_with};

/// The full method names, one of each kind of RPC.
pub const RPCS: [&str; 4] = [
    "kinds.Unary/Call",
    "kinds.ServerStream/Call",
    "kinds.ClientStream/Call",
    "kinds.Bidi/Call",
];

/// The methods whose response is a stream.
pub const STREAMING: [&str; 2] = ["kinds.ServerStream/Call", "kinds.Bidi/Call"];

/// The ways to instrument a server.
///
/// RPCs that reach a handler are recorded alike with all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Only the attribute.
    Attribute,
    /// Only the layer, with the methods registered as known.
    Layer,
    /// The layer and the attribute.
    Both,
}

impl Coverage {
    /// All variants.
    pub const ALL: [Coverage; 3] = [Coverage::Attribute, Coverage::Layer, Coverage::Both];

    /// Serves all four services, instrumented in this way.
    pub async fn serve(self, service: &ScriptedService) -> RunningServer {
        let layer = ServerLayer::new();
        match self {
            Coverage::Attribute => serve(Annotated::routes(service)).await,
            Coverage::Layer => {
                let server = Server::builder().layer(layer.known_methods(RPCS));
                serve_with(server, Plain::routes(service)).await
            }
            Coverage::Both => serve_with(Server::builder().layer(layer), Annotated::routes(service)).await,
        }
    }
}
