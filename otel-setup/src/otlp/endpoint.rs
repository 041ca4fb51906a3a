//! Where a signal is sent, by the rules for
//! [endpoints](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp).

use http::Uri;

use super::protocol::Protocol;
use super::signal_var::SignalVar;
use crate::env::Env;
use crate::error::InitError;
use crate::signal::Signal;

/// Where a URL comes from.
#[derive(Debug)]
enum Source {
    Program,
    Variable(String),
}

impl Source {
    fn error(&self, value: &str, what: impl std::fmt::Display) -> InitError {
        match self {
            Source::Program => InitError::new(format!("the endpoint {value:?} {what}")),
            Source::Variable(name) => InitError::invalid_variable(name, value, what),
        }
    }
}

/// # Errors
///
/// Where it is no URL, or one for TLS that is not compiled in.
pub(crate) fn endpoint(
    signal: Signal,
    protocol: Protocol,
    explicit: Option<&str>,
    env: &Env,
) -> Result<Uri, InitError> {
    let names = SignalVar::new(signal, "ENDPOINT");
    let (source, text) = match (explicit, names.text(env)) {
        (Some(text), _) => (Source::Program, text.to_owned()),
        (None, Some((name, text))) => (Source::Variable(name.to_owned()), text),
        (None, None) => (Source::Program, protocol.default_endpoint().to_owned()),
    };
    let is_the_signals_own = matches!(&source, Source::Variable(name) if name != names.general());

    let value = text.trim();
    let with_scheme = if protocol == Protocol::Grpc && !value.contains("://") {
        let scheme = if is_insecure(signal, env) { "http" } else { "https" };
        format!("{scheme}://{value}")
    } else {
        value.to_owned()
    };
    let complete = if protocol == Protocol::HttpProtobuf && !is_the_signals_own {
        format!("{}/{}", with_scheme.trim_end_matches('/'), path(signal))
    } else {
        with_scheme
    };
    let url = url(&complete).ok_or_else(|| {
        let example = protocol.default_endpoint();
        source.error(&text, format_args!("is no URL; write it like {example}"))
    })?;
    if cfg!(not(feature = "tls")) && url.scheme_str() == Some("https") {
        let what = if value.contains("://") {
            "needs the cargo feature `tls` of otel-setup; without it, write http://"
        } else {
            "has no scheme, which means https, and that needs the cargo feature `tls` of otel-setup; without it, write http://"
        };
        return Err(source.error(&text, what));
    }
    Ok(url)
}

/// Where HTTP takes a signal, below the general endpoint.
fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "v1/traces",
        Signal::Metrics => "v1/metrics",
        Signal::Logs => "v1/logs",
    }
}

/// For people: without what may be secret in it.
pub(crate) fn redacted(endpoint: &Uri) -> String {
    let scheme = endpoint.scheme_str().unwrap_or_default();
    let host = endpoint.host().unwrap_or_default();
    let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = endpoint.path().trim_end_matches('/');
    format!("{scheme}://{host}{port}{path}")
}

fn url(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let has_a_scheme = matches!(url.scheme_str(), Some("http" | "https"));
    let has_a_host = url.host().is_some_and(|host| !host.is_empty());
    // `http://host:port` with a port that is no number parses, and has none.
    let authority = url.authority()?.as_str();
    let after_host = authority.rsplit(']').next().unwrap_or_default();
    let has_no_bad_port = !after_host.contains(':') || url.port_u16().is_some();
    (has_a_scheme && has_a_host && has_no_bad_port).then_some(url)
}

/// Only what has no scheme can be either.
fn is_insecure(signal: Signal, env: &Env) -> bool {
    let names = SignalVar::new(signal, "INSECURE");
    names.text(env).is_some_and(|(name, _)| env.boolean(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<const N: usize>(protocol: Protocol, variables: [(&str, &str); N]) -> Result<String, String> {
        let env = Env::from_vars(variables);
        let found = endpoint(Signal::Traces, protocol, None, &env);
        found.map(|url| url.to_string()).map_err(|error| error.to_string())
    }

    fn grpc(endpoint: &str) -> Result<String, String> {
        of(Protocol::Grpc, [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)])
    }

    fn http(endpoint: &str) -> Result<String, String> {
        of(Protocol::HttpProtobuf, [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)])
    }

    #[test]
    fn without_variables_it_is_the_collector_on_this_host() {
        assert_eq!(of(Protocol::Grpc, []).unwrap(), "http://localhost:4317/");
        assert_eq!(
            of(Protocol::HttpProtobuf, []).unwrap(),
            "http://localhost:4318/v1/traces"
        );
    }

    #[test]
    fn http_appends_to_the_general_one() {
        assert_eq!(http("http://c:1").unwrap(), "http://c:1/v1/traces");
        assert_eq!(http("http://c:1/").unwrap(), "http://c:1/v1/traces");
        assert_eq!(http("http://c:1/otlp/").unwrap(), "http://c:1/otlp/v1/traces");
        assert_eq!(http("http://c:1/otlp").unwrap(), "http://c:1/otlp/v1/traces");
    }

    #[test]
    fn http_takes_the_signals_own_as_it_stands() {
        for (own, expected) in [
            ("http://c:1", "http://c:1/"),
            ("http://c:1/v1/traces", "http://c:1/v1/traces"),
            ("http://c:1/mine?key=1", "http://c:1/mine?key=1"),
        ] {
            let variables = [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other:1"),
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", own),
            ];
            assert_eq!(of(Protocol::HttpProtobuf, variables).unwrap(), expected);
        }
    }

    #[test]
    fn only_the_insecure_may_do_without_a_scheme() {
        let insecure = |own, general| {
            of(
                Protocol::Grpc,
                [
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:1"),
                    ("OTEL_EXPORTER_OTLP_INSECURE", general),
                    ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", own),
                ],
            )
        };
        assert_eq!(insecure("", "true").unwrap(), "http://c:1/");
        assert_eq!(insecure("TRUE", "false").unwrap(), "http://c:1/");
        let secure = insecure("false", "true");
        if cfg!(feature = "tls") {
            assert_eq!(secure.unwrap(), "https://c:1/");
        } else {
            let error = secure.unwrap_err();
            assert!(error.contains("has no scheme, which means https"), "{error}");
        }
        assert!(http("c:1").is_err(), "HTTP has no such thing");
    }

    #[test]
    fn insecure_does_not_change_a_scheme() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "false"),
        ];
        assert_eq!(of(Protocol::Grpc, variables).unwrap(), "http://c:1/");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn https_needs_a_feature() {
        let expected = "OTEL_EXPORTER_OTLP_ENDPOINT=\"https://c:1\" needs the cargo feature `tls` of otel-setup; without it, write http://";
        assert_eq!(grpc("https://c:1").unwrap_err(), expected);
        assert_eq!(http("https://c:1").unwrap_err(), expected);
    }

    #[test]
    fn what_is_no_url_is_an_error() {
        for bad in [
            "http://",
            "http://:4317",
            "http://c:port",
            "http://c:99999",
            "ftp://c:1",
            "unix:///tmp/socket",
            "http://a b",
            "://c",
            "/",
        ] {
            let expected =
                format!("OTEL_EXPORTER_OTLP_ENDPOINT={bad:?} is no URL; write it like http://localhost:4317");
            assert_eq!(grpc(bad).unwrap_err(), expected);
            assert!(http(bad).is_err(), "{bad}");
        }
        let own = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector"),
        ];
        let expected =
            r#"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="collector" is no URL; write it like http://localhost:4318"#;
        assert_eq!(of(Protocol::HttpProtobuf, own).unwrap_err(), expected);
    }

    #[test]
    fn the_program_wins_for_all_signals() {
        let env = Env::from_vars([("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/own")]);
        let url = endpoint(Signal::Traces, Protocol::HttpProtobuf, Some("http://p:1"), &env);
        assert_eq!(url.unwrap(), "http://p:1/v1/traces");
        let error = endpoint(Signal::Traces, Protocol::Grpc, Some("http://"), &env);
        let expected = r#"the endpoint "http://" is no URL; write it like http://localhost:4317"#;
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
}
