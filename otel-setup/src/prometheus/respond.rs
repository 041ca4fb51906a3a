//! The responses of the scrape endpoint.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;

use crate::http_server::response::{accepts_gzip, gzip, insert, list, response, text};
use crate::http_server::{Link, Site};
use crate::prometheus::negotiation::Format;
use crate::prometheus::scraper::Scraper;

impl Site for Scraper {
    fn links(&self) -> &'static [Link] {
        &[Link {
            path: "/metrics",
            contents: "metrics for Prometheus",
        }]
    }

    fn has(&self, path: &str) -> bool {
        path == "/metrics"
    }

    fn respond(&self, request: &Parts) -> Response<Full<Bytes>> {
        let format = Format::negotiate(&list(&request.headers, ACCEPT));
        let metrics = match self.scrape(format) {
            Ok(metrics) => metrics,
            Err(error) => {
                let message = format!("cannot collect the metrics: {error}\n");
                return text(StatusCode::INTERNAL_SERVER_ERROR, message);
            }
        };
        let compressed = if accepts_gzip(&list(&request.headers, ACCEPT_ENCODING)) {
            gzip(metrics.as_bytes()).ok()
        } else {
            None
        };
        let is_compressed = compressed.is_some();
        let body = compressed.unwrap_or_else(|| metrics.into_bytes());
        let mut response = response(StatusCode::OK, &format.content_type(), body);
        let headers = response.headers_mut();
        insert(headers, VARY, "Accept, Accept-Encoding");
        if is_compressed {
            insert(headers, CONTENT_ENCODING, "gzip");
        }
        response
    }
}
