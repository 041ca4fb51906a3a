//! Direct connections: without the Cargo feature `proxy`.

#[cfg(feature = "http")]
use http::HeaderValue;
use http::Uri;
#[cfg(any(feature = "http", feature = "tls"))]
pub(super) use hyper_util::client::legacy::connect::HttpConnector as Connector;

use super::proxy_variable::proxy_variable;
use crate::env::Env;

/// A proxy, of which there is none.
#[derive(Clone, Debug)]
pub(super) enum Proxy {}

impl Proxy {
    /// Warns about the variable of a proxy that would be used with the feature.
    pub(super) fn for_endpoint(endpoint: &Uri, env: &Env) -> Option<Self> {
        let (name, _) = proxy_variable(endpoint, env)?;
        // The value may contain a password.
        env.warn(
            name,
            "…",
            "requires the Cargo feature `proxy` of otel-setup; connecting directly",
        );
        None
    }

    #[cfg(feature = "http")]
    pub(super) fn authorization(&self, _: &Uri) -> Option<&HeaderValue> {
        match *self {}
    }
}

#[cfg(feature = "http")]
pub(super) fn for_http(tcp: Connector, _: Option<Proxy>) -> Connector {
    tcp
}

#[cfg(feature = "tls")]
pub(super) fn for_grpc(tcp: Connector, _: Option<Proxy>) -> Connector {
    tcp
}
