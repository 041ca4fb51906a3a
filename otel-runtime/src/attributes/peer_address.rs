//! The address of the client's socket: `network.peer.address` and `network.peer.port`.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use opentelemetry::trace::Span;
use opentelemetry::{KeyValue, StringValue, Value};
use tonic::Extensions;

use crate::semconv;

/// Adds the address of the client's socket: `network.peer.address` and `network.peer.port`.
///
/// Supports TCP, TLS, and Unix domain sockets if the client's socket has a path.
pub(crate) fn add_peer_address(socket: Option<SocketAddr>, extensions: &Extensions, span: &mut impl Span) {
    let Some(socket) = socket else {
        if let Some(path) = unix_peer(extensions) {
            span.set_attribute(KeyValue::new(semconv::NETWORK_PEER_ADDRESS, path));
        }
        return;
    };
    let address = format_ip(socket.ip().to_canonical());
    span.set_attribute(KeyValue::new(semconv::NETWORK_PEER_ADDRESS, Value::String(address)));
    span.set_attribute(KeyValue::new(semconv::NETWORK_PEER_PORT, i64::from(socket.port())));
}

/// Number of formatted IP addresses in the per-thread cache.
///
/// Most services are called by a few hosts, many times.
const CACHED: usize = 32;

/// An IP address and its text.
struct FormattedIp {
    address: IpAddr,
    text: Arc<str>,
}

thread_local! {
    static THREAD_CACHE: [RefCell<Option<FormattedIp>>; CACHED] = const { [const { RefCell::new(None) }; CACHED] };
}

/// Formats an IP address, or takes its text from the per-thread cache.
fn format_ip(address: IpAddr) -> StringValue {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    let format = || Arc::from(address.to_string());
    let found = THREAD_CACHE.try_with(|cached| {
        let mut slot = cached[usize::from(last) % CACHED].borrow_mut();
        match &*slot {
            Some(cached) if cached.address == address => Arc::clone(&cached.text),
            _ => Arc::clone(
                &slot
                    .insert(FormattedIp {
                        address,
                        text: format(),
                    })
                    .text,
            ),
        }
    });
    found.unwrap_or_else(|_| format()).into()
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
        add_peer_address(socket, &Extensions::new(), &mut span);
        span.0
    }

    #[test]
    fn maps_an_ipv4_mapped_ipv6_address_to_ipv4() {
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
    fn hosts_that_share_a_cache_slot_are_distinguished() {
        let hosts = (0..=u8::MAX).flat_map(|last| {
            let (v4, v6) = ([192, 0, 2, last], [0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()]);
            [[203, 0, 113, last].into(), v4.into(), IpAddr::from(v6)]
        });
        // Formatted the first time, and cached the second time.
        for host in hosts.flat_map(|host| [host, host]) {
            assert_eq!(format_ip(host).as_str(), host.to_string());
        }
    }
}
