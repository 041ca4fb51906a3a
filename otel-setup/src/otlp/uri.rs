//! Parts of the URLs of endpoints.

use http::Uri;

/// Returns the host, without the brackets of an IPv6 address.
pub(super) fn host(uri: &Uri) -> Option<&str> {
    Some(uri.host()?.trim_start_matches('[').trim_end_matches(']'))
}

/// Returns the port, by default that of the scheme.
pub(super) fn port(uri: &Uri) -> u16 {
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    uri.port_u16().unwrap_or(default)
}
