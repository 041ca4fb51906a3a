//! Responses, and the headers of requests that decide on them.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, VARY};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;

pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const PLAIN: &str = "text/plain; charset=utf-8";

pub(crate) fn response(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    insert(response.headers_mut(), CONTENT_TYPE, content_type);
    response
}

pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, PLAIN, body)
}

/// Returns a page, compressed if these headers of the request accept that. `vary` names the headers
/// that the page depends on.
pub(crate) fn page(request: &HeaderMap, content_type: &str, page: String, vary: &str) -> Response<Full<Bytes>> {
    let compressed = if accepts_gzip(&list(request, ACCEPT_ENCODING)) {
        gzip(page.as_bytes()).ok()
    } else {
        None
    };
    let is_compressed = compressed.is_some();
    let body = compressed.unwrap_or_else(|| page.into_bytes());
    let mut response = response(StatusCode::OK, content_type, body);
    insert(response.headers_mut(), VARY, vary);
    if is_compressed {
        insert(response.headers_mut(), CONTENT_ENCODING, "gzip");
    }
    response
}

pub(crate) fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

/// Returns all values of a header that is a list.
pub(crate) fn list(headers: &HeaderMap, name: HeaderName) -> String {
    let mut list = String::new();
    for value in headers.get_all(name) {
        let _ = write!(list, "{},", value.to_str().unwrap_or_default());
    }
    list
}

/// Returns whether a header `Accept-Encoding` asks for gzip.
fn accepts_gzip(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let quality = quality
            .trim()
            .strip_prefix("q=")
            .and_then(|q| q.trim().parse::<f32>().ok());
        ["gzip", "x-gzip", "*"]
            .iter()
            .any(|known| name.trim().eq_ignore_ascii_case(known))
            && quality.is_none_or(|q| q > 0.0)
    })
}

/// Compresses text. Metrics and tables are repetitive: the fastest level makes them a twentieth.
fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 16), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_if_it_is_accepted() {
        for (accept, expected) in [
            ("", false),
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br, *", true),
            ("identity", false),
        ] {
            assert_eq!(accepts_gzip(accept), expected, "{accept}");
        }
    }
}
