//! The pages of a server: which of them answers a request.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Full;

use crate::http_server::response;

/// The policy of responses that need nothing beside themselves.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Pages that belong together.
pub(crate) trait Site: Debug + Send + Sync {
    /// Returns the pages to which the page at `/` links.
    fn links(&self) -> &'static [Link];

    /// Returns whether the site has a page at this path.
    fn has(&self, path: &str) -> bool;

    /// Returns the response to a GET or HEAD of one of its paths.
    fn respond(&self, request: &Parts) -> Response<Full<Bytes>>;
}

/// A page, and what it shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) path: &'static str,
    pub(crate) contents: &'static str,
}

/// The sites of one server.
#[derive(Debug, Default)]
pub(super) struct Sites(RwLock<Vec<Arc<dyn Site>>>);

impl Sites {
    pub(super) fn add(&self, site: Arc<dyn Site>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(site);
    }

    pub(super) fn respond(&self, request: &Parts) -> Response<Full<Bytes>> {
        let mut response = self.page(request);
        let headers = response.headers_mut();
        response::insert(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
        if !headers.contains_key(CONTENT_SECURITY_POLICY) {
            response::insert(headers, CONTENT_SECURITY_POLICY, POLICY);
        }
        response
    }

    fn page(&self, request: &Parts) -> Response<Full<Bytes>> {
        let sites = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let links = sites.iter().flat_map(|site| site.links());
        let path = request.uri.path();
        let site = sites.iter().find(|site| site.has(path));
        if site.is_none() && path != "/" {
            let mut text = "not found; there are:\n".to_owned();
            for Link { path, contents } in links {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{path} {contents}");
            }
            return response::text(StatusCode::NOT_FOUND, text);
        }
        if !matches!(request.method, Method::GET | Method::HEAD) {
            let mut response = response::text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
            response::insert(response.headers_mut(), ALLOW, "GET, HEAD");
            return response;
        }
        match site {
            Some(site) => site.respond(request),
            None => response::response(StatusCode::OK, response::HTML, index(links)),
        }
    }
}

/// Returns the page at `/`. All of its parts are constants.
fn index<'l>(links: impl Iterator<Item = &'l Link>) -> String {
    let mut page = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
                    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
                    <meta name=\"color-scheme\" content=\"light dark\"><title>Telemetry</title></head>\
                    <body>\n<h1>Telemetry of this service</h1>\n<ul>\n"
        .to_owned();
    for Link { path, contents } in links {
        let _ = writeln!(page, "<li><a href=\"{path}\">{path}</a> {contents}</li>");
    }
    page.push_str("</ul>\n</body></html>\n");
    page
}
