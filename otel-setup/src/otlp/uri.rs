//! Parts of the URLs of endpoints.

use http::Uri;
use http::uri::Authority;

/// Returns the host, without the brackets of an IPv6 address.
pub(super) fn host(uri: &Uri) -> Option<&str> {
    Some(uri.host()?.trim_start_matches('[').trim_end_matches(']'))
}

/// Returns the port, by default that of the scheme.
pub(super) fn port(uri: &Uri) -> u16 {
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    uri.port_u16().unwrap_or(default)
}

/// Returns whether the port is missing or a number. `Uri` accepts `http://host:port`, and then has
/// none.
pub(super) fn has_valid_port(uri: &Uri) -> bool {
    let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
    let after_user = authority.rsplit('@').next().unwrap_or_default();
    let after_host = after_user.rsplit(']').next().unwrap_or_default();
    !after_host.contains(':') || uri.port_u16().is_some()
}
