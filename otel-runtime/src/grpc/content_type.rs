//! The `content-type` of gRPC: `application/grpc`, with or without a message format and parameters.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::request_headers::get_first;

const GRPC: &[u8] = b"application/grpc";

/// Returns `true` if the `content-type` is gRPC's: `application/grpc`, `application/grpc+proto`, …
///
/// Media types are case-insensitive, and white space may precede parameters ([RFC 9110]).
///
/// [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    get_first(headers, &CONTENT_TYPE).is_some_and(|content_type| is_grpc_media_type(content_type.as_bytes()))
}

fn is_grpc_media_type(content_type: &[u8]) -> bool {
    let suffix = content_type
        .strip_prefix(GRPC)
        .or_else(|| strip_prefix_in_any_case(content_type));
    matches!(suffix, Some([] | [b'+' | b';' | b' ' | b'\t', ..]))
}

/// Strips `application/grpc` in any spelling but the usual one.
#[cold]
fn strip_prefix_in_any_case(content_type: &[u8]) -> Option<&[u8]> {
    let (prefix, suffix) = content_type.trim_ascii_start().split_at_checked(GRPC.len())?;
    prefix.eq_ignore_ascii_case(GRPC).then_some(suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_media_types() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("Application/gRPC", true),
            ("application/grpc+proto", true),
            ("APPLICATION/GRPC+json", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc ; charset=utf-8", true),
            ("application/grpc\t;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpcish", false),
            ("application/grp", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(is_grpc_media_type(content_type.as_bytes()), expected, "{content_type}");
        }
    }
}
