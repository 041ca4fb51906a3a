//! The server's address as the caller wrote it: `server.address` and `server.port`.

use std::cell::RefCell;
use std::sync::Arc;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Uri};
use opentelemetry::{KeyValue, StringValue, Value};

use crate::{limits, semconv};

/// Adds `server.address` and `server.port`, from the `:authority` or `host` of the request.
///
/// The local socket's address is never used.
pub(crate) fn add_server_address(uri: Option<&Uri>, headers: &HeaderMap, attributes: &mut Vec<KeyValue>) {
    let Some(uri) = uri else { return };
    if let Some(authority) = uri.authority() {
        add_authority(authority, attributes);
    } else if let Some(host) = headers.get(HOST)
        && let Ok(authority) = Authority::try_from(host.as_bytes())
    {
        add_authority(&authority, attributes);
    }
}

/// An authority, with the address and the port in it.
struct ServerAddress {
    authority: Authority,
    address: Option<Arc<str>>,
    port: Option<u16>,
}

thread_local! {
    /// The last authority that this thread parsed. Most callers of a server use one authority.
    static LAST_AUTHORITY: RefCell<Option<ServerAddress>> = const { RefCell::new(None) };
}

fn add_authority(authority: &Authority, attributes: &mut Vec<KeyValue>) {
    let _ = LAST_AUTHORITY.try_with(|last| {
        let mut last = last.borrow_mut();
        let server = match &mut *last {
            Some(server) if server.authority.as_str() == authority.as_str() => server,
            other => other.insert(ServerAddress::new(authority)),
        };
        if let Some(address) = &server.address {
            let address = StringValue::from(Arc::clone(address));
            attributes.push(KeyValue::new(semconv::SERVER_ADDRESS, Value::String(address)));
        }
        if let Some(port) = server.port {
            attributes.push(KeyValue::new(semconv::SERVER_PORT, i64::from(port)));
        }
    });
}

impl ServerAddress {
    fn new(authority: &Authority) -> Self {
        // RFC 3986 writes an IPv6 address in brackets; they are not part of the address.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        ServerAddress {
            authority: authority.clone(),
            address: (!host.is_empty()).then(|| Arc::from(limits::cut(host, limits::NAME))),
            port: authority.port_u16(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(uri: Option<&Uri>, headers: &HeaderMap) -> Vec<KeyValue> {
        let mut attributes = Vec::new();
        add_server_address(uri, headers, &mut attributes);
        attributes
    }

    fn server_of(uri: &'static str) -> Vec<KeyValue> {
        server(Some(&Uri::from_static(uri)), &HeaderMap::new())
    }

    #[test]
    fn falls_back_to_the_host_header() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "greeter.example:8080".parse().unwrap());
        let of = |uri: &'static str| server(Some(&Uri::from_static(uri)), &headers);
        let expected = |host: &'static str, port| {
            [
                KeyValue::new("server.address", host),
                KeyValue::new("server.port", port),
            ]
        };
        assert_eq!(of("/a/b"), expected("greeter.example", 8080));
        assert_eq!(of("http://other.example:1/a/b"), expected("other.example", 1));
        headers.insert(HOST, "no host at all".parse().unwrap());
        assert_eq!(server(Some(&Uri::from_static("/a/b")), &headers), []);
    }

    #[test]
    fn splits_the_authority_into_address_and_port() {
        let address = |host: &'static str| KeyValue::new("server.address", host);
        let port = |port: i64| KeyValue::new("server.port", port);
        assert_eq!(
            server_of("http://greeter.example:8443/a/b"),
            [address("greeter.example"), port(8443)]
        );
        assert_eq!(server_of("http://greeter.example/a/b"), [address("greeter.example")]);
        assert_eq!(
            server_of("http://[2001:db8::1]:50051/a/b"),
            [address("2001:db8::1"), port(50051)]
        );
        assert_eq!(
            server_of("http://user:secret@greeter.example:1/a/b"),
            [address("greeter.example"), port(1)]
        );
        assert_eq!(server_of("/a/b"), []);
        assert_eq!(server(None, &HeaderMap::new()), []);
    }

    #[test]
    fn truncates_a_long_address() {
        let of = |length| {
            let uri: Uri = format!("http://{}:1/a/b", "x".repeat(length)).parse().unwrap();
            let attributes = server(Some(&uri), &HeaderMap::new());
            assert_eq!(attributes[1], KeyValue::new("server.port", 1));
            attributes[0].value.as_str().len()
        };
        assert_eq!(of(limits::NAME), limits::NAME);
        assert_eq!(of(limits::NAME + 1), limits::NAME);
    }
}
