//! The responses of the scrape endpoint.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, VARY};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;

use crate::prometheus::negotiation::{Format, accepts_gzip};
use crate::prometheus::scraper::Scraper;

const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Metrics</title></head><body>\n\
    <p>This service has metrics for Prometheus: <a href=\"/metrics\">/metrics</a>.</p>\n</body></html>\n";
const PLAIN: &str = "text/plain; charset=utf-8";

pub(crate) fn respond<B>(scraper: &Scraper, request: &Request<B>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !["/", "/metrics"].contains(&path) {
        return response(
            StatusCode::NOT_FOUND,
            PLAIN,
            "not found; the metrics are at /metrics\n".into(),
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = response(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "use GET\n".into());
        insert(response.headers_mut(), ALLOW, "GET, HEAD");
        return response;
    }
    match path {
        "/" => response(StatusCode::OK, "text/html; charset=utf-8", PAGE.into()),
        _ => metrics(scraper, request.headers()),
    }
}

fn metrics(scraper: &Scraper, request: &HeaderMap) -> Response<Full<Bytes>> {
    let format = Format::negotiate(&list(request, ACCEPT));
    let text = match scraper.scrape(format) {
        Ok(text) => text,
        Err(error) => {
            return response(
                StatusCode::INTERNAL_SERVER_ERROR,
                PLAIN,
                format!("cannot collect the metrics: {error}\n").into(),
            );
        }
    };
    let compressed = if accepts_gzip(&list(request, ACCEPT_ENCODING)) {
        gzip(text.as_bytes()).ok()
    } else {
        None
    };
    let is_compressed = compressed.is_some();
    let body = compressed.unwrap_or_else(|| text.into_bytes());
    let mut response = response(StatusCode::OK, &format.content_type(), body.into());
    let headers = response.headers_mut();
    insert(headers, VARY, "Accept, Accept-Encoding");
    if is_compressed {
        insert(headers, CONTENT_ENCODING, "gzip");
    }
    response
}

/// Returns all values of a header that is a list.
fn list(headers: &HeaderMap, name: HeaderName) -> String {
    let mut list = String::new();
    for value in headers.get_all(name) {
        let _ = write!(list, "{},", value.to_str().unwrap_or_default());
    }
    list
}

fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    // Metrics are repetitive: the fastest level makes them a twentieth.
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 16), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

fn response(status: StatusCode, content_type: &str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    insert(response.headers_mut(), CONTENT_TYPE, content_type);
    response
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}
