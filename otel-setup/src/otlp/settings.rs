//! The settings of one signal's exporter, from the program and the environment.

use std::time::Duration;

use http::Uri;
use http::header::{AUTHORIZATION, HeaderMap};
use opentelemetry_sdk::metrics::Temporality;

use super::endpoint::endpoint;
use super::headers::headers;
use super::protocol::Protocol;
use super::proxy::Proxy;
use super::signal_var::SignalVar;
use super::tls::Tls;
use super::user_info::{redacted, take_user_info};
use crate::env::Env;
use crate::error::InitError;
use crate::signal::Signal;
use crate::temporality;

/// The default timeout of an export, including retries.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum time for a connection. A shutdown has five seconds by default, and a host may have a
/// second address.
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings that the program makes for all signals.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) endpoint: Option<String>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) headers: Vec<(String, String)>,
}

/// The complete settings of one exporter.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    pub(super) endpoint: Uri,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    #[cfg_attr(not(any(feature = "gzip", feature = "http")), allow(dead_code))]
    pub(super) is_compressed: bool,
    pub(super) tls: Option<Tls>,
    pub(super) proxy: Option<Proxy>,
}

impl Settings {
    /// Returns the time without an answer after which a connection is tested, and given up: twice
    /// that is left for another connection.
    ///
    /// gRPC servers answer the fourth ping of a request with `GOAWAY`, since they allow one every
    /// five minutes, and forgive two. Three pings fit into the timeout.
    pub(super) fn patience(&self) -> Duration {
        patience(self.timeout)
    }

    /// Returns the time in which a connection must be made. All addresses of a host share it.
    pub(super) fn connect_timeout(&self) -> Duration {
        connect_timeout(self.timeout)
    }

    pub(super) fn resolve(signal: Signal, options: &Options, env: &Env) -> Result<Self, InitError> {
        let protocol = options.protocol.unwrap_or_else(|| protocol(signal, env));
        #[cfg(not(feature = "http"))]
        if protocol == Protocol::HttpProtobuf {
            return Err(requires_http(signal, options, env));
        }
        let endpoint = endpoint(signal, protocol, options.endpoint.as_deref(), env)?;
        let (endpoint, authorization) = take_user_info(endpoint);
        let mut headers = headers(signal, &options.headers, env)?;
        if let Some(authorization) = authorization {
            // A header that is set by its name is the more specific setting.
            headers.entry(AUTHORIZATION).or_insert(authorization);
        }
        Ok(Settings {
            headers,
            timeout: timeout(signal, env),
            is_compressed: is_compressed(signal, env),
            tls: tls(signal, &endpoint, env)?,
            proxy: Proxy::for_endpoint(&endpoint, env),
            protocol,
            endpoint,
        })
    }
}

fn patience(timeout: Duration) -> Duration {
    (timeout * 3 / 10).clamp(Duration::from_millis(10), Duration::from_secs(300))
}

fn connect_timeout(timeout: Duration) -> Duration {
    (timeout / 2).min(MAX_CONNECT_TIMEOUT)
}

pub(crate) fn protocol(signal: Signal, env: &Env) -> Protocol {
    let variable = SignalVar::new(signal, "PROTOCOL");
    let protocol = variable.first_valid("grpc", |name, fallback| {
        match env.text(name) {
            // JSON would be sent to the same port.
            Some(text) if text.trim().eq_ignore_ascii_case("http/json") => {
                env.warn(name, &text, "is not supported; using http/protobuf");
                Some(Protocol::HttpProtobuf)
            }
            _ => env.one_of(name, &Protocol::KNOWN, &fallback.to_string()),
        }
    });
    protocol.unwrap_or(Protocol::Grpc)
}

/// Returns the error of a protocol that is not compiled in: with gRPC instead, nothing would
/// arrive.
#[cfg(not(feature = "http"))]
fn requires_http(signal: Signal, options: &Options, env: &Env) -> InitError {
    const PROBLEM: &str = "requires the Cargo feature `http` of otel-setup";
    let variable = SignalVar::new(signal, "PROTOCOL");
    match variable.text(env).filter(|_| options.protocol.is_none()) {
        Some((name, value)) => InitError::invalid_variable(name, &value, PROBLEM),
        None => InitError::new(format!("the protocol http/protobuf {PROBLEM}")),
    }
}

pub(crate) fn timeout(signal: Signal, env: &Env) -> Duration {
    let variable = SignalVar::new(signal, "TIMEOUT");
    let milliseconds = variable.first_valid(DEFAULT_TIMEOUT.as_millis(), |name, fallback| {
        env.positive(name, fallback)
    });
    milliseconds.map_or(DEFAULT_TIMEOUT, Duration::from_millis)
}

pub(crate) fn is_compressed(signal: Signal, env: &Env) -> bool {
    let variable = SignalVar::new(signal, "COMPRESSION");
    let known = [("gzip", true), ("none", false)];
    let is_compressed = variable.one_of(env, &known, "none").unwrap_or(false);
    if cfg!(feature = "gzip") || !is_compressed {
        return is_compressed;
    }
    if let Some((name, value)) = variable.text(env) {
        env.warn(
            name,
            &value,
            "requires the Cargo feature `gzip` of otel-setup; using none",
        );
    }
    false
}

pub(crate) fn temporality(env: &Env) -> Temporality {
    temporality::temporality(temporality::OTLP, env)
}

/// Reads the TLS settings for an `https` endpoint. For any other, warns about TLS variables without
/// effect.
#[cfg_attr(not(feature = "tls"), allow(clippy::unnecessary_wraps))]
fn tls(signal: Signal, endpoint: &Uri, env: &Env) -> Result<Option<Tls>, InitError> {
    if endpoint.scheme_str() == Some("https") {
        #[cfg(feature = "tls")]
        return Tls::from_env(signal, env).map(Some);
    }
    for name in ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"] {
        let variable = SignalVar::new(signal, name);
        if let Some((name, path)) = variable.text(env) {
            let endpoint = redacted(endpoint);
            env.warn(
                name,
                &path,
                format_args!("has no effect, since {endpoint} is not https"),
            );
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_time_for_another_one() {
        for (timeout, expected) in [
            (Duration::from_secs(2), Duration::from_secs(1)),
            (Duration::from_secs(10), Duration::from_secs(5)),
            (Duration::from_secs(60), Duration::from_secs(5)),
        ] {
            assert_eq!(connect_timeout(timeout), expected, "{timeout:?}");
        }
    }

    #[test]
    fn dead_connections_are_found_even_without_a_timeout() {
        for (timeout, expected) in [
            (Duration::from_secs(10), Duration::from_secs(3)),
            (Duration::from_secs(60), Duration::from_secs(18)),
            // A configuration file with 0, "no limit", has this one.
            (Duration::from_millis(u32::MAX.into()), Duration::from_secs(300)),
            (Duration::from_millis(1), Duration::from_millis(10)),
        ] {
            assert_eq!(patience(timeout), expected, "{timeout:?}");
        }
    }
}
