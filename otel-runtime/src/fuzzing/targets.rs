//! Whom a client calls, and what a server is called.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};
use opentelemetry::{KeyValue, Value};

use crate::attributes::server_address::add_server_address;
use crate::client::target::Target;

/// An address and a port come from what is read, without anything that may be secret; and those from the wire have an end.
pub fn check(bytes: &[u8]) {
    if let Ok(target) = std::str::from_utf8(bytes) {
        a_clients_target(target);
    }
    if let Ok(host) = HeaderValue::from_bytes(bytes) {
        a_servers_authority(&host);
    }
}

fn a_clients_target(target: &str) {
    let attributes = Target::parse(target).attributes();
    let (address, port) = address_and_port(&attributes);
    assert_eq!(address.is_empty(), target.trim().is_empty());
    if let Some(port) = port {
        is_written_in(port, target, &[("http:", 80), ("https:", 443)]);
    }
    // An IPv6 address is written as its standard has it; anything else as it stands.
    assert!(
        address.contains(':') || target.contains(address),
        "{target:?}: {address:?}"
    );
    // The name of a file may look like anything.
    let is_file = target.trim().starts_with("unix");
    assert!(is_file || !has_user(address), "{target:?}: {address:?}");
    // What was read is read as the same.
    let again = Target::parse(address).attributes();
    if port.is_some() {
        assert_eq!(address_and_port(&again), (address, None));
    }
}

/// Whether there is something before an `@` in a URL.
fn has_user(target: &str) -> bool {
    let Some((_, rest)) = target.split_once("://") else {
        return false;
    };
    rest.split(['/', '?', '#'])
        .next()
        .is_some_and(|authority| authority.contains('@'))
}

fn a_servers_authority(host: &HeaderValue) {
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
        is_written_in(port, authority.as_str(), &[]);
    }
    // In the URI it says the same.
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

/// Its digits are there, perhaps behind zeros or a sign, or it is that of the scheme.
fn is_written_in(port: u16, text: &str, schemes: &[(&str, u16)]) {
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
