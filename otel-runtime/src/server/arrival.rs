//! What a request tells of itself, whatever its message.

use std::net::SocketAddr;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Uri};
use tonic::{Extensions, Request};

/// A request without its message.
pub(super) struct Arrival<'a> {
    pub(super) headers: &'a HeaderMap,
    /// Path and authority, where they are known.
    pub(super) uri: Option<&'a Uri>,
    pub(super) socket: Option<SocketAddr>,
    pub(super) extensions: &'a Extensions,
}

impl<'a> Arrival<'a> {
    pub(super) fn of<T>(request: &'a Request<T>) -> Self {
        Arrival {
            headers: request.metadata().as_ref(),
            uri: original_uri(request.extensions()),
            socket: request.remote_addr(),
            extensions: request.extensions(),
        }
    }

    /// Whether a client made it, and not a call of the handler: gRPC has every request name its content.
    pub(super) fn is_grpc(&self) -> bool {
        self.headers.contains_key(CONTENT_TYPE)
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
