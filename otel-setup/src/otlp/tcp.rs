//! The TCP connections of both clients, and the name that they have for a receiver.

#[cfg(any(feature = "http", feature = "proxy", feature = "tls"))]
use hyper_util::client::legacy::connect::HttpConnector;

#[cfg(any(feature = "http", feature = "proxy", feature = "tls"))]
use super::settings::Settings;

/// The user agent that OTLP's specification recommends.
pub(super) const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// Returns a connector of TCP connections. The plain channel of gRPC has one of its own.
#[cfg(any(feature = "http", feature = "proxy", feature = "tls"))]
pub(super) fn tcp(settings: &Settings) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(settings.connect_timeout()));
    // HTTP/1.1 has no pings. This leaves time for another connection.
    #[cfg(target_os = "linux")]
    connector.set_tcp_user_timeout(Some(settings.patience()));
    // TLS and proxies have other schemes.
    connector.enforce_http(false);
    connector
}
