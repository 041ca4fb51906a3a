//! The variable that sets the proxy of an endpoint.

use std::net::IpAddr;

use http::Uri;

use super::uri::host;
use crate::env::Env;

/// Returns the variable that sets the proxy, and its value.
///
/// As in Go, this host itself is never reached through a proxy: the default endpoint is on it.
pub(super) fn proxy_variable(endpoint: &Uri, env: &Env) -> Option<(&'static str, String)> {
    if is_loopback(host(endpoint)?) {
        return None;
    }
    env.first_set(match endpoint.scheme_str() {
        Some("https") => ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ => ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    })
}

/// Returns whether a host is this one.
fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}
