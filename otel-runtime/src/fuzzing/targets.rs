//! Fuzz target: the server's address, from a client's target and from a request's authority.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};
use opentelemetry::{KeyValue, Value};

use crate::attributes::server_address::add_server_address;
use crate::client::target::Target;

/// Checks that address and port are part of the input, without user information.
///
/// An address from the wire must be limited in length.
pub fn check(bytes: &[u8]) {
    if let Ok(target) = std::str::from_utf8(bytes) {
        check_client_target(target);
    }
    if let Ok(host) = HeaderValue::from_bytes(bytes) {
        check_server_authority(&host);
    }
}

fn check_client_target(target: &str) {
    let attributes = Target::parse(target).attributes();
    let (address, port) = address_and_port(&attributes);
    assert_eq!(address.is_empty(), target.trim().is_empty());
    if let Some(port) = port {
        assert_port_in(port, target, &[("http:", 80), ("https:", 443)]);
    }
    // An IPv6 address is normalized; any other address is part of the input.
    assert!(
        address.contains(':') || target.contains(address),
        "{target:?}: {address:?}"
    );
    // The path of a Unix domain socket may contain anything.
    let is_file = target.trim().starts_with("unix");
    assert!(is_file || !has_user(address), "{target:?}: {address:?}");
    // An address parses to itself.
    let again = Target::parse(address).attributes();
    if port.is_some() {
        assert_eq!(address_and_port(&again), (address, None));
    }
}

/// Returns `true` if a URL has user information: anything before an `@`.
fn has_user(target: &str) -> bool {
    let Some((_, rest)) = target.split_once("://") else {
        return false;
    };
    rest.split(['/', '?', '#'])
        .next()
        .is_some_and(|authority| authority.contains('@'))
}

fn check_server_authority(host: &HeaderValue) {
    let headers = HeaderMap::from_iter([(HOST, host.clone())]);
    let mut by_header = Vec::new();
    add_server_address(Some(&Uri::from_static("/a.B/C")), &headers, &mut by_header);
    let (address, port) = address_and_port(&by_header);
    let Ok(authority) = Authority::try_from(host.as_bytes()) else {
        assert_eq!(by_header, []);
        return;
    };
    assert!(address.len() <= 256 && authority.as_str().contains(address));
    assert!(
        !address.contains('@') && !address.starts_with('['),
        "{authority}: {address:?}"
    );
    if let Some(port) = port {
        assert_port_in(port, authority.as_str(), &[]);
    }
    // An equal authority in the URI must give equal attributes.
    if let Ok(uri) = Uri::builder()
        .scheme("http")
        .authority(authority)
        .path_and_query("/a.B/C")
        .build()
    {
        let mut by_uri = Vec::new();
        add_server_address(Some(&uri), &HeaderMap::new(), &mut by_uri);
        assert_eq!(by_uri, by_header);
    }
}

/// Asserts that the port is part of the text, or is the default port of the text's scheme.
fn assert_port_in(port: u16, text: &str, schemes: &[(&str, u16)]) {
    let is_default = schemes
        .iter()
        .any(|(scheme, of)| text.trim().starts_with(scheme) && *of == port);
    assert!(is_default || text.contains(&port.to_string()), "{text:?}: {port}");
}

fn address_and_port(attributes: &[KeyValue]) -> (&str, Option<u16>) {
    let mut found = ("", None);
    for attribute in attributes {
        match (attribute.key.as_str(), &attribute.value) {
            ("server.address", Value::String(address)) => found.0 = address.as_str(),
            ("server.port", Value::I64(port)) => found.1 = Some(u16::try_from(*port).unwrap()),
            _ => panic!("{attribute:?}"),
        }
    }
    found
}
