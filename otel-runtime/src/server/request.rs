//! An incoming request without its message, as a layer or a handler sees it.

use std::net::SocketAddr;

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Uri};
use tonic::{Extensions, Request};

use crate::grpc::request_headers::get_first;
use crate::rpc::origin::{RequestOrigin, client_mark, is_from_client_within};

/// An incoming request without its message.
pub(super) struct IncomingRequest<'a> {
    pub(super) headers: &'a HeaderMap,
    /// Path and authority, if they are known.
    pub(super) uri: Option<&'a Uri>,
    pub(super) extensions: &'a Extensions,
    connection: Connection<'a>,
}

impl<'a> IncomingRequest<'a> {
    /// The request that a handler got.
    pub(super) fn from_tonic<T>(request: &'a Request<T>) -> Self {
        IncomingRequest {
            headers: request.metadata().as_ref(),
            uri: original_uri(request.extensions()),
            extensions: request.extensions(),
            connection: Connection::OfRequest(request),
        }
    }

    /// The request that a layer got.
    pub(super) fn from_http<B>(request: &'a http::Request<B>, addrs: &'a ConnectionAddrs) -> Self {
        IncomingRequest {
            headers: request.headers(),
            uri: Some(request.uri()),
            extensions: request.extensions(),
            connection: Connection::Known(addrs),
        }
    }

    /// Identifies the request that a handler got.
    #[inline]
    pub(super) fn origin(&self) -> RequestOrigin {
        RequestOrigin::at_handler(self.uri)
    }

    /// Returns `true` if this is the request that a layer got, after whatever other layers.
    ///
    /// Returns `false` if a client within the process has made it since.
    #[inline]
    pub(super) fn came_through(&self, layer: RequestOrigin) -> bool {
        client_mark(self.extensions) == layer.client_mark
    }

    /// Returns `true` if this is the request that another handler got, and handed on, be it cloned.
    pub(super) fn is_handed_on(&self, by: RequestOrigin) -> bool {
        // The request of a client within the process is a call of its own, and so is a client's
        // request to a server without tonic's router. If such a server hands its request on, one
        // call too many is recorded; none is lost.
        if self.uri.is_none() {
            !self.came_from_client()
        } else {
            by.shares_path_with(self.origin()) && !is_from_client_within(self.extensions)
        }
    }

    /// Returns `true` if a program made the request by itself, with nothing in it but a message.
    pub(super) fn is_bare(&self) -> bool {
        self.headers.is_empty() && self.extensions.is_empty()
    }

    /// Returns the path, if it is known.
    #[inline]
    pub(super) fn path(&self) -> Option<&'a str> {
        self.uri.map(Uri::path)
    }

    /// Returns the client's address.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.addrs().peer
    }

    fn addrs(&self) -> ConnectionAddrs {
        match self.connection {
            Connection::Known(addrs) => *addrs,
            Connection::OfRequest(request) => {
                ConnectionAddrs::without_tls(self.extensions).unwrap_or_else(|| request.connection_addrs())
            }
        }
    }

    /// Returns `true` if a client sent the request, and `false` if the handler was called directly.
    ///
    /// gRPC requires a `content-type`, which a request that a program makes by itself does not
    /// have, nor the URI of tonic's router.
    pub(super) fn came_from_client(&self) -> bool {
        self.uri.is_some() || get_first(self.headers, &CONTENT_TYPE).is_some()
    }

    /// Returns `true` if an OTLP exporter on this host sent the request to a collector's service.
    ///
    /// A process that serves a collector and exports to it would record each export, export that
    /// record, and so on. The requests of its exporter look like those of any other process on this
    /// host: they name the exporter in `user-agent`, as the OTLP specification requires, and come
    /// from this host's address.
    pub(super) fn is_local_otlp_export(&self, path: &str) -> bool {
        is_otlp_path(path)
            && self
                .headers
                .get(USER_AGENT)
                .is_some_and(|agent| agent.as_bytes().starts_with(b"OTel-OTLP-Exporter-Rust/"))
            && self.addrs().same_host()
    }
}

/// Returns `true` if OTLP exporters send to this path.
pub(super) fn is_otlp_path(path: &str) -> bool {
    path.starts_with("/opentelemetry.proto.collector.")
}

/// A source of a connection's addresses.
enum Connection<'a> {
    Known(&'a ConnectionAddrs),
    /// Looked up only if they are needed: tonic searches the extensions for them.
    OfRequest(&'a dyn HasConnection),
}

/// A request of tonic, whatever its message.
///
/// A trait and not a closure, of which each method would have two copies: one that consumes it.
trait HasConnection {
    /// Returns the addresses of the connection, also if it has TLS.
    fn connection_addrs(&self) -> ConnectionAddrs;
}

impl<T> HasConnection for Request<T> {
    #[cfg(not(target_family = "wasm"))]
    fn connection_addrs(&self) -> ConnectionAddrs {
        ConnectionAddrs {
            peer: self.remote_addr(),
            local: self.local_addr(),
        }
    }

    #[cfg(target_family = "wasm")]
    fn connection_addrs(&self) -> ConnectionAddrs {
        ConnectionAddrs::default()
    }
}

/// The two ends of a TCP connection. Both are `None` for any other connection.
#[derive(Clone, Copy, Default)]
pub(super) struct ConnectionAddrs {
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
}

impl ConnectionAddrs {
    /// Reads the addresses of a connection without TLS. `None` if it may have TLS.
    #[cfg(not(target_family = "wasm"))]
    fn without_tls(extensions: &Extensions) -> Option<Self> {
        if extensions.is_empty() {
            return Some(ConnectionAddrs::default());
        }
        let connection = extensions.get::<tonic::transport::server::TcpConnectInfo>()?;
        Some(ConnectionAddrs {
            peer: connection.remote_addr,
            local: connection.local_addr,
        })
    }

    #[cfg(target_family = "wasm")]
    fn without_tls(_: &Extensions) -> Option<Self> {
        None
    }

    /// Reads the addresses that tonic's server has put into the extensions of an HTTP request.
    ///
    /// Only tonic knows where the addresses of a TLS connection are, and only its own request type
    /// returns them. So an empty one gets the extensions for a moment.
    pub(super) fn from_http<B>(request: &mut http::Request<B>) -> Self {
        if let Some(addrs) = ConnectionAddrs::without_tls(request.extensions()) {
            return addrs;
        }
        let mut lent = Request::new(());
        std::mem::swap(lent.extensions_mut(), request.extensions_mut());
        let addrs = lent.connection_addrs();
        std::mem::swap(lent.extensions_mut(), request.extensions_mut());
        addrs
    }

    fn same_host(self) -> bool {
        match (self.peer, self.local) {
            (Some(peer), Some(local)) => peer.ip().to_canonical() == local.ip().to_canonical(),
            // A Unix domain socket, or a call within the process.
            _ => true,
        }
    }
}

/// Returns the URI that the request arrived with, which axum, tonic's router, keeps.
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
