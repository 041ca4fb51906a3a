//! The `content-type` of gRPC: `application/grpc`, with or without a message format and parameters.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use super::request_headers::get_first;

/// Returns `true` if the `content-type` is gRPC's: `application/grpc`, `application/grpc+proto`, …
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = get_first(headers, &CONTENT_TYPE).map(HeaderValue::as_bytes);
    let suffix = content_type.and_then(|content_type| content_type.strip_prefix(b"application/grpc"));
    matches!(suffix, Some([] | [b'+' | b';' | b' ', ..]))
}
