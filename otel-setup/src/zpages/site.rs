//! The responses of the pages.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, REFERRER_POLICY};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;

use crate::http_server::response::{self, HTML, insert, text};
use crate::http_server::{Link, Site};
use crate::zpages::query::Query;
use crate::zpages::registry::Registry;
use crate::zpages::rpcz::Rpcz;
use crate::zpages::{host, pages};

const TRACEZ: &str = "/debug/tracez";
const TRACEZ_JSON: &str = "/debug/tracez.json";
const RPCZ: &str = "/debug/rpcz";

/// Allows the style sheet of the pages, and nothing else: no script, no image, no frame around it.
/// A test computes the hash.
const POLICY: &str = "default-src 'none'; style-src 'sha256-6GCtx6mZEp4bpOxPXvMhgw0IL9Dx4fxV5ovknGvWq2I='; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// The pages of one setup.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) registry: &'static Registry,
    pub(super) rpcz: Arc<Rpcz>,
    /// Further names of this host.
    pub(super) hosts: Vec<String>,
}

impl Site for Pages {
    fn links(&self) -> &'static [Link] {
        &[
            Link {
                path: TRACEZ,
                contents: "spans that run now, and samples of those that ended",
            },
            Link {
                path: TRACEZ_JSON,
                contents: "the same for programs",
            },
            Link {
                path: RPCZ,
                contents: "durations of RPCs",
            },
        ]
    }

    fn has(&self, path: &str) -> bool {
        [TRACEZ, TRACEZ_JSON, RPCZ].contains(&path)
    }

    fn respond(&self, request: &Parts) -> Response<Full<Bytes>> {
        let mut response = if self.is_for_this_host(request) {
            self.page(request)
        } else {
            text(
                StatusCode::FORBIDDEN,
                "the header `Host` is neither an IP address nor `localhost`; allow other names with \
                 `Builder::zpages_allowed_host`\n",
            )
        };
        let headers = response.headers_mut();
        for (name, value) in [
            (CACHE_CONTROL, "no-store"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ] {
            insert(headers, name, value);
        }
        response
    }
}

impl Pages {
    /// A request names its host once: in its target, or else in its header.
    fn is_for_this_host(&self, request: &Parts) -> bool {
        let mut hosts = request.headers.get_all(HOST).iter();
        let (host, other) = (hosts.next(), hosts.next());
        let host = host.and_then(|host| host.to_str().ok());
        let target = request.uri.authority().map(http::uri::Authority::as_str);
        other.is_none()
            && host.is_some_and(|host| host::is_allowed(host, &self.hosts))
            && target.is_none_or(|target| host::is_allowed(target, &self.hosts))
    }

    fn page(&self, request: &Parts) -> Response<Full<Bytes>> {
        let query = Query::parse(request.uri.query().unwrap_or_default());
        let (content_type, page) = match request.uri.path() {
            TRACEZ_JSON => ("application/json", pages::json(self.registry, &query)),
            RPCZ => (HTML, Some(pages::rpcz(self.registry, &self.rpcz.report(), &query))),
            _ if query.row.is_some() => (HTML, pages::samples(self.registry, &query)),
            _ => (HTML, Some(pages::summary(self.registry, &query))),
        };
        let Some(page) = page else {
            return text(StatusCode::NOT_FOUND, "there are no such spans\n");
        };
        response::page(&request.headers, content_type, page, "Accept-Encoding")
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_the_style_sheet() {
        let hash = BASE64_STANDARD.encode(Sha256::digest(pages::STYLE));
        assert!(POLICY.contains(&format!("style-src 'sha256-{hash}';")), "{hash}");
    }
}
