//! What the program and the environment say of one signal.

use std::time::Duration;

use http::{HeaderMap, Uri};
use opentelemetry_sdk::metrics::Temporality;

use crate::env::Environment;
use crate::error::InitError;
use crate::signal::Signal;

use super::endpoint::{endpoint, shown};
use super::headers::headers;
use super::protocol::Protocol;
use super::signal_var::Names;
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
    pub(super) fn of(signal: Signal, options: &Options, environment: &Environment) -> Result<Self, InitError> {
        let protocol = options.protocol.unwrap_or_else(|| protocol(signal, environment));
        let endpoint = endpoint(signal, protocol, options.endpoint.as_deref(), environment)?;
        Ok(Settings {
            headers: headers(signal, &options.headers, environment)?,
            timeout: timeout(signal, environment),
            is_compressed: is_compressed(signal, environment),
            tls: tls(signal, &endpoint, environment)?,
            protocol,
            endpoint,
        })
    }
}

pub(crate) fn protocol(signal: Signal, environment: &Environment) -> Protocol {
    let names = Names::of(signal, "PROTOCOL");
    let protocol = names.one_of(environment, &Protocol::KNOWN, "grpc");
    protocol.unwrap_or(Protocol::Grpc)
}

pub(crate) fn timeout(signal: Signal, environment: &Environment) -> Duration {
    let names = Names::of(signal, "TIMEOUT");
    let milliseconds = names.first_that(TIMEOUT.as_millis(), |name, instead| {
        match environment.number::<u64>(name, instead) {
            Some(0) => {
                environment.warn(name, "0", format_args!("is too small; used instead: {instead}"));
                None
            }
            milliseconds => milliseconds,
        }
    });
    milliseconds.map_or(TIMEOUT, Duration::from_millis)
}

pub(crate) fn is_compressed(signal: Signal, environment: &Environment) -> bool {
    let names = Names::of(signal, "COMPRESSION");
    let known = [("gzip", true), ("none", false)];
    names.one_of(environment, &known, "none").unwrap_or(false)
}

/// How sums and histograms are told: since the start, or since the last time.
pub(crate) fn temporality(environment: &Environment) -> Temporality {
    let known = [
        ("cumulative", Temporality::Cumulative),
        ("delta", Temporality::Delta),
        ("lowmemory", Temporality::LowMemory),
    ];
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let temporality = environment.one_of(name, &known, "cumulative");
    temporality.unwrap_or(Temporality::Cumulative)
}

/// What TLS is asked for is told where it has no effect.
#[cfg_attr(not(feature = "tls"), allow(clippy::unnecessary_wraps))]
fn tls(signal: Signal, endpoint: &Uri, environment: &Environment) -> Result<Option<Tls>, InitError> {
    if endpoint.scheme_str() == Some("https") {
        #[cfg(feature = "tls")]
        return Tls::of(signal, environment).map(Some);
    }
    for variable in ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"] {
        let names = Names::of(signal, variable);
        if let Some((name, path)) = names.text(environment) {
            let endpoint = shown(endpoint);
            environment.warn(
                name,
                &path,
                format_args!("has no effect on {endpoint}, which is not https"),
            );
        }
    }
    Ok(None)
}
