//! What the program and the environment say of one signal.

use std::time::Duration;

use http::{HeaderMap, Uri};
use opentelemetry_sdk::metrics::Temporality;

use crate::env::Env;
use crate::error::InitError;
use crate::signal::Signal;

use super::endpoint::{endpoint, redacted};
use super::headers::headers;
use super::protocol::Protocol;
use super::signal_var::SignalVar;
use super::tls::Tls;

/// How long one message may take, with all its attempts, where nobody says.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the program says of OTLP.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) endpoint: Option<String>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) headers: Vec<(String, String)>,
}

/// Everything that has to be known to send a signal.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    pub(super) endpoint: Uri,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) is_compressed: bool,
    pub(super) tls: Option<Tls>,
}

impl Settings {
    pub(super) fn resolve(signal: Signal, options: &Options, env: &Env) -> Result<Self, InitError> {
        let protocol = options.protocol.unwrap_or_else(|| protocol(signal, env));
        let endpoint = endpoint(signal, protocol, options.endpoint.as_deref(), env)?;
        Ok(Settings {
            headers: headers(signal, &options.headers, env)?,
            timeout: timeout(signal, env),
            is_compressed: is_compressed(signal, env),
            tls: tls(signal, &endpoint, env)?,
            protocol,
            endpoint,
        })
    }
}

pub(crate) fn protocol(signal: Signal, env: &Env) -> Protocol {
    let names = SignalVar::new(signal, "PROTOCOL");
    let protocol = names.one_of(env, &Protocol::KNOWN, "grpc");
    protocol.unwrap_or(Protocol::Grpc)
}

pub(crate) fn timeout(signal: Signal, env: &Env) -> Duration {
    let names = SignalVar::new(signal, "TIMEOUT");
    let milliseconds = names.first_valid(TIMEOUT.as_millis(), |name, instead| {
        match env.number::<u64>(name, instead) {
            Some(0) => {
                env.warn(name, "0", format_args!("is too small; used instead: {instead}"));
                None
            }
            milliseconds => milliseconds,
        }
    });
    milliseconds.map_or(TIMEOUT, Duration::from_millis)
}

pub(crate) fn is_compressed(signal: Signal, env: &Env) -> bool {
    let names = SignalVar::new(signal, "COMPRESSION");
    let known = [("gzip", true), ("none", false)];
    names.one_of(env, &known, "none").unwrap_or(false)
}

/// How sums and histograms are told: since the start, or since the last time.
pub(crate) fn temporality(env: &Env) -> Temporality {
    let known = [
        ("cumulative", Temporality::Cumulative),
        ("delta", Temporality::Delta),
        ("lowmemory", Temporality::LowMemory),
    ];
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let temporality = env.one_of(name, &known, "cumulative");
    temporality.unwrap_or(Temporality::Cumulative)
}

/// What TLS is asked for is told where it has no effect.
#[cfg_attr(not(feature = "tls"), allow(clippy::unnecessary_wraps))]
fn tls(signal: Signal, endpoint: &Uri, env: &Env) -> Result<Option<Tls>, InitError> {
    if endpoint.scheme_str() == Some("https") {
        #[cfg(feature = "tls")]
        return Tls::from_env(signal, env).map(Some);
    }
    for variable in ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"] {
        let names = SignalVar::new(signal, variable);
        if let Some((name, path)) = names.text(env) {
            let endpoint = redacted(endpoint);
            env.warn(
                name,
                &path,
                format_args!("has no effect on {endpoint}, which is not https"),
            );
        }
    }
    Ok(None)
}
