//! The two ends of the connection: which name the caller asked for, and the socket it called from.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Uri};
use opentelemetry::trace::Span;
use opentelemetry::{KeyValue, StringValue, Value};
use tonic::Extensions;

use crate::{limits, semconv};

/// Adds `server.address` and `server.port`: the host and port of `:authority`, or of its predecessor in HTTP/1.1, `host`; never the socket's.
pub(crate) fn add_server(uri: Option<&Uri>, headers: &HeaderMap, attributes: &mut Vec<KeyValue>) {
    let Some(uri) = uri else { return };
    if let Some(authority) = uri.authority() {
        add_authority(authority, attributes);
    } else if let Some(host) = headers.get(HOST)
        && let Ok(authority) = Authority::try_from(host.as_bytes())
    {
        add_authority(&authority, attributes);
    }
}

/// What one authority says. A server is called by few names, and by the same one many times.
struct Server {
    authority: Authority,
    address: Option<Arc<str>>,
    port: Option<u16>,
}

thread_local! {
    /// What the last one said.
    static LAST: RefCell<Option<Server>> = const { RefCell::new(None) };
}

fn add_authority(authority: &Authority, attributes: &mut Vec<KeyValue>) {
    let _ = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        let server = match &mut *last {
            Some(server) if server.authority.as_str() == authority.as_str() => server,
            other => other.insert(Server::new(authority)),
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

impl Server {
    fn new(authority: &Authority) -> Self {
        // RFC 3986 writes an IPv6 address in brackets; they are not part of the address.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        Server {
            authority: authority.clone(),
            address: (!host.is_empty()).then(|| Arc::from(limits::cut(host, limits::NAME))),
            port: authority.port_u16(),
        }
    }
}

/// Adds `network.peer.address` and `network.peer.port`: the client's socket, over TCP, TLS, or a Unix domain socket whose client has a name.
pub(super) fn add_peer(socket: Option<SocketAddr>, extensions: &Extensions, span: &mut impl Span) {
    let Some(socket) = socket else {
        if let Some(path) = unix_peer(extensions) {
            span.set_attribute(KeyValue::new(semconv::NETWORK_PEER_ADDRESS, path));
        }
        return;
    };
    let address = text(socket.ip().to_canonical());
    span.set_attribute(KeyValue::new(semconv::NETWORK_PEER_ADDRESS, Value::String(address)));
    span.set_attribute(KeyValue::new(semconv::NETWORK_PEER_PORT, i64::from(socket.port())));
}

/// How many hosts a thread remembers the addresses of, as text. Most services are called by few, many times.
const RECENT: usize = 32;

/// A host's address, and how it is written.
struct Written {
    address: IpAddr,
    text: Arc<str>,
}

thread_local! {
    static RECENTLY_WRITTEN: [RefCell<Option<Written>>; RECENT] = const { [const { RefCell::new(None) }; RECENT] };
}

/// `192.0.2.7`
fn text(address: IpAddr) -> StringValue {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    let write = || match address {
        IpAddr::V4(address) => dotted(address),
        IpAddr::V6(address) => Arc::from(address.to_string()),
    };
    let found = RECENTLY_WRITTEN.try_with(|written| {
        let mut place = written[usize::from(last) % RECENT].borrow_mut();
        match &*place {
            Some(written) if written.address == address => Arc::clone(&written.text),
            _ => Arc::clone(&place.insert(Written { address, text: write() }).text),
        }
    });
    found.unwrap_or_else(|_| write()).into()
}

/// `192.0.2.7`. What std does for it costs as much as a span's start, and callers may be too many to remember.
fn dotted(address: Ipv4Addr) -> Arc<str> {
    let mut text = [0; "255.255.255.255".len()];
    let mut length = 0;
    let mut push = |byte| {
        text[length] = byte;
        length += 1;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    Arc::from(&*String::from_utf8_lossy(&text[..length]))
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
    use std::time::SystemTime;

    use opentelemetry::trace::{SpanContext, Status};

    use super::*;

    fn server(uri: Option<&Uri>, headers: &HeaderMap) -> Vec<KeyValue> {
        let mut attributes = Vec::new();
        add_server(uri, headers, &mut attributes);
        attributes
    }

    fn server_of(uri: &'static str) -> Vec<KeyValue> {
        server(Some(&Uri::from_static(uri)), &HeaderMap::new())
    }

    #[test]
    fn where_there_is_no_authority_the_host_header_tells() {
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
        assert_eq!(server(None, &HeaderMap::new()), []);
    }

    #[test]
    fn an_address_has_an_end() {
        let of = |length| {
            let uri: Uri = format!("http://{}:1/a/b", "x".repeat(length)).parse().unwrap();
            let attributes = server(Some(&uri), &HeaderMap::new());
            assert_eq!(attributes[1], KeyValue::new("server.port", 1));
            attributes[0].value.as_str().len()
        };
        assert_eq!(of(limits::NAME), limits::NAME);
        assert_eq!(of(limits::NAME + 1), limits::NAME);
    }

    /// A span that only has attributes.
    struct Attributes(Vec<KeyValue>);

    impl Span for Attributes {
        fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>) {}

        fn span_context(&self) -> &SpanContext {
            &SpanContext::NONE
        }

        fn is_recording(&self) -> bool {
            true
        }

        fn set_attribute(&mut self, attribute: KeyValue) {
            self.0.push(attribute);
        }

        fn set_status(&mut self, _: Status) {}

        fn update_name<T>(&mut self, _: T) {}

        fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {}

        fn end_with_timestamp(&mut self, _: SystemTime) {}
    }

    fn peer(socket: Option<&str>) -> Vec<KeyValue> {
        let socket = socket.map(|socket| socket.parse().unwrap());
        let mut span = Attributes(Vec::new());
        add_peer(socket, &Extensions::new(), &mut span);
        span.0
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_socket_has_its_ipv4_address() {
        let address = |address: &'static str| KeyValue::new("network.peer.address", address);
        let port = KeyValue::new("network.peer.port", 41952);
        assert_eq!(
            peer(Some("[::ffff:192.0.2.7]:41952")),
            [address("192.0.2.7"), port.clone()]
        );
        assert_eq!(peer(Some("[2001:db8::7]:41952")), [address("2001:db8::7"), port]);
        assert_eq!(peer(None), []);
    }

    #[test]
    fn each_host_has_its_own_address() {
        let hosts = (0..=u8::MAX).flat_map(|last| {
            let (v4, v6) = ([192, 0, 2, last], [0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()]);
            [[203, 0, 113, last].into(), v4.into(), IpAddr::from(v6)]
        });
        // The first time, and from memory.
        for host in hosts.flat_map(|host| [host, host]) {
            assert_eq!(text(host).as_str(), host.to_string());
        }
    }

    #[test]
    fn an_address_is_written_as_std_writes_it() {
        for octet in 0..=u8::MAX {
            let address = Ipv4Addr::new(octet, 0, u8::MAX, octet);
            assert_eq!(*dotted(address), *address.to_string());
        }
    }
}
