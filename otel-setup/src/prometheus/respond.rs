//! The responses of the scrape endpoint.

use bytes::Bytes;
use http::header::ACCEPT;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;

use crate::http_server::response::{list, page, text};
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
        page(
            &request.headers,
            &format.content_type(),
            metrics,
            "Accept, Accept-Encoding",
        )
    }
}
