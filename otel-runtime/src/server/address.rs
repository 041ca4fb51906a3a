//! The two ends of the connection: which name the caller asked for, and the socket it called from.

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;
use opentelemetry::KeyValue;
use tonic::Extensions;

use crate::semconv;

/// `server.address` and `server.port`: the host and port of `:authority`, or of its predecessor in HTTP/1.1, `host`; never the socket's.
pub(super) fn server(uri: Option<&http::Uri>, headers: &HeaderMap) -> impl Iterator<Item = KeyValue> {
    let host = || Authority::try_from(headers.get(HOST)?.as_bytes()).ok();
    let authority = uri.and_then(|uri| uri.authority().cloned().or_else(host));
    let authority = authority.as_ref();
    // RFC 3986 writes an IPv6 address in brackets; they are not part of the address.
    let host = authority.map(|authority| authority.host().trim_start_matches('[').trim_end_matches(']'));
    let address = host
        .filter(|host| !host.is_empty())
        .map(|host| KeyValue::new(semconv::SERVER_ADDRESS, host.to_owned()));
    let port = authority
        .and_then(Authority::port_u16)
        .map(|port| KeyValue::new(semconv::SERVER_PORT, i64::from(port)));
    address.into_iter().chain(port)
}

/// `network.peer.address` and `network.peer.port`: the client's socket, over TCP, TLS, or a Unix domain socket whose client has a name.
pub(super) fn peer(socket: Option<SocketAddr>, extensions: &Extensions) -> impl Iterator<Item = KeyValue> {
    let address = match socket {
        Some(socket) => Some(socket.ip().to_canonical().to_string()),
        None => unix_peer(extensions),
    };
    let port = socket.map(|socket| KeyValue::new(semconv::NETWORK_PEER_PORT, i64::from(socket.port())));
    address
        .map(|address| KeyValue::new(semconv::NETWORK_PEER_ADDRESS, address))
        .into_iter()
        .chain(port)
}

#[cfg(unix)]
fn unix_peer(extensions: &Extensions) -> Option<String> {
    let peer = extensions
        .get::<tonic::transport::server::UdsConnectInfo>()?
        .peer_addr
        .as_ref()?;
    peer.as_pathname().map(|path| path.to_string_lossy().into_owned())
}

#[cfg(not(unix))]
fn unix_peer(_: &Extensions) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_of(uri: &'static str) -> Vec<KeyValue> {
        server(Some(&http::Uri::from_static(uri)), &HeaderMap::new()).collect()
    }

    #[test]
    fn where_there_is_no_authority_the_host_header_tells() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "greeter.example:8080".parse().unwrap());
        let of = |uri: &'static str| server(Some(&http::Uri::from_static(uri)), &headers).collect::<Vec<_>>();
        let expected = |host: &'static str, port| {
            [
                KeyValue::new("server.address", host),
                KeyValue::new("server.port", port),
            ]
        };
        assert_eq!(of("/a/b"), expected("greeter.example", 8080));
        assert_eq!(of("http://other.example:1/a/b"), expected("other.example", 1));
        headers.insert(HOST, "no host at all".parse().unwrap());
        let uri = http::Uri::from_static("/a/b");
        assert_eq!(server(Some(&uri), &headers).count(), 0);
    }

    #[test]
    fn the_authority_tells_address_and_port() {
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
        assert_eq!(server(None, &HeaderMap::new()).count(), 0);
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_socket_has_its_ipv4_address() {
        let of = |socket: &str| -> Vec<KeyValue> { peer(Some(socket.parse().unwrap()), &Extensions::new()).collect() };
        let address = |address: &'static str| KeyValue::new("network.peer.address", address);
        let port = KeyValue::new("network.peer.port", 41952);
        assert_eq!(of("[::ffff:192.0.2.7]:41952"), [address("192.0.2.7"), port.clone()]);
        assert_eq!(of("[2001:db8::7]:41952"), [address("2001:db8::7"), port]);
        assert_eq!(peer(None, &Extensions::new()).count(), 0);
    }
}
