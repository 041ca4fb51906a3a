//! What a request tells of itself, whatever its message.

use std::net::SocketAddr;

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Uri};
use tonic::transport::server::TcpConnectInfo;
use tonic::{Extensions, Request};

use crate::headers::first;

/// A request without its message.
pub(super) struct Arrival<'a> {
    pub(super) headers: &'a HeaderMap,
    /// Path and authority, where they are known.
    pub(super) uri: Option<&'a Uri>,
    /// Asked for only where somebody wants to know: tonic looks them up.
    sockets: &'a dyn Fn() -> Sockets,
    pub(super) extensions: &'a Extensions,
}

impl<'a> Arrival<'a> {
    /// What came to a handler.
    pub(super) fn of<T>(request: &'a Request<T>, sockets: &'a dyn Fn() -> Sockets) -> Self {
        Arrival {
            headers: request.metadata().as_ref(),
            uri: original_uri(request.extensions()),
            sockets,
            extensions: request.extensions(),
        }
    }

    /// What came to a layer.
    pub(super) fn on_the_wire<B>(request: &'a http::Request<B>, sockets: &'a dyn Fn() -> Sockets) -> Self {
        Arrival {
            headers: request.headers(),
            uri: Some(request.uri()),
            sockets,
            extensions: request.extensions(),
        }
    }

    /// The client's end of its connection.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        (self.sockets)().peer
    }

    /// Whether a client made it, and not a call of the handler: gRPC has every request name its content.
    pub(super) fn is_grpc(&self) -> bool {
        first(self.headers, &CONTENT_TYPE).is_some()
    }

    /// Whether an OpenTelemetry exporter on this host made it, to a collector's service with this path.
    ///
    /// A process that serves a collector's services, and exports to them, would record each export, and export that, and so on. Its exporter cannot be told from that of another
    /// process, but it names itself, as the OTLP specification has it, and calls from this host's own address.
    pub(super) fn is_own_export(&self, path: &str) -> bool {
        may_export(path)
            && self
                .headers
                .get(USER_AGENT)
                .is_some_and(|agent| agent.as_bytes().starts_with(b"OTel-OTLP-Exporter-Rust/"))
            && (self.sockets)().are_of_one_host()
    }
}

/// Whether exporters send what they export to this path.
pub(super) fn may_export(path: &str) -> bool {
    path.starts_with("/opentelemetry.proto.collector.")
}

/// The two ends of a TCP connection. None, for any other and where they are not known.
#[derive(Clone, Copy, Default)]
pub(super) struct Sockets {
    /// The client's.
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
}

impl Sockets {
    /// tonic knows where they stand among the extensions. Without TLS, so does everybody.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        if request.extensions().is_empty() {
            return Sockets::default();
        }
        Sockets::without_tls(request.extensions()).unwrap_or_else(|| Sockets {
            peer: request.remote_addr(),
            local: request.local_addr(),
        })
    }

    fn without_tls(extensions: &Extensions) -> Option<Self> {
        let connection = extensions.get::<TcpConnectInfo>()?;
        Some(Sockets {
            peer: connection.remote_addr,
            local: connection.local_addr,
        })
    }

    /// The same for a request that is not tonic's: it lends one of tonic's its extensions.
    pub(super) fn on_the_wire<B>(request: &mut http::Request<B>) -> Self {
        if let Some(sockets) = Sockets::without_tls(request.extensions()) {
            return sockets;
        }
        let mut carrier = Request::new(());
        std::mem::swap(carrier.extensions_mut(), request.extensions_mut());
        let sockets = Sockets::of(&carrier);
        std::mem::swap(carrier.extensions_mut(), request.extensions_mut());
        sockets
    }

    fn are_of_one_host(self) -> bool {
        match (self.peer, self.local) {
            (Some(peer), Some(local)) => peer.ip().to_canonical() == local.ip().to_canonical(),
            // A Unix socket, or the process itself.
            _ => true,
        }
    }
}

/// The URI that the request came with. axum, which is tonic's router, puts it there.
#[cfg(feature = "wire-names")]
fn original_uri(extensions: &Extensions) -> Option<&Uri> {
    extensions
        .get::<axum::extract::OriginalUri>()
        .map(|axum::extract::OriginalUri(uri)| uri)
}

#[cfg(not(feature = "wire-names"))]
fn original_uri(_: &Extensions) -> Option<&Uri> {
    None
}
