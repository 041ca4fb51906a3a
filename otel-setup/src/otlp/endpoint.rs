//! The endpoint of a signal, by the specification's rules for [endpoint
//! URLs](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp).

use http::Uri;
use http::uri::PathAndQuery;

use super::protocol::Protocol;
use super::signal_var::SignalVar;
use super::uri::has_valid_port;
use super::user_info::{redacted, without_secrets};
use crate::env::Env;
use crate::error::InitError;
use crate::signal::Signal;

/// The source of a URL, for error messages.
#[derive(Debug)]
enum Source {
    Program,
    Variable(String),
}

impl Source {
    fn error(&self, value: &str, problem: impl std::fmt::Display) -> InitError {
        let value = &without_secrets(value);
        match self {
            Source::Program => InitError::new(format!("the endpoint {value:?} {problem}")),
            Source::Variable(name) => InitError::invalid_variable(name, value, problem),
        }
    }

    fn warn(&self, url: &Uri, problem: &str, env: &Env) {
        let url = redacted(url);
        match self {
            Source::Program => env.warn_unset(&format!("the endpoint {url:?}"), problem),
            Source::Variable(name) => env.warn(name, &url, problem),
        }
    }
}

/// Returns the endpoint of a signal, with the default scheme and path.
///
/// # Errors
///
/// If the endpoint is not a valid URL, or is `https` without the Cargo feature `tls`.
pub(crate) fn endpoint(
    signal: Signal,
    protocol: Protocol,
    explicit: Option<&str>,
    env: &Env,
) -> Result<Uri, InitError> {
    let variable = SignalVar::new(signal, "ENDPOINT");
    let (source, text) = match (explicit, variable.text(env)) {
        (Some(text), _) => (Source::Program, text.to_owned()),
        (None, Some((name, text))) => (Source::Variable(name.to_owned()), text),
        (None, None) => (Source::Program, protocol.default_endpoint().to_owned()),
    };
    let is_specific = matches!(&source, Source::Variable(name) if name != variable.general());

    let value = text.trim();
    let with_scheme = if protocol == Protocol::Grpc && !value.contains("://") {
        let scheme = if is_insecure(signal, env) { "http" } else { "https" };
        format!("{scheme}://{value}")
    } else {
        value.to_owned()
    };
    if with_scheme.contains('#') {
        return Err(source.error(&text, "has a fragment, which is never sent; remove it, or write %23"));
    }
    let mut url = url(&with_plain_zone(with_scheme)).ok_or_else(|| {
        let example = protocol.default_endpoint();
        source.error(&text, format_args!("is not a valid URL; expected e.g. {example}"))
    })?;
    if protocol == Protocol::HttpProtobuf && !is_specific {
        url = with_signal_path(signal, url);
    }
    if protocol == Protocol::Grpc && url.path_and_query().is_some_and(|path| path != "/") {
        source.warn(
            &url,
            "has a path or a query, which gRPC does not send; ignoring that",
            env,
        );
        url = with_path("/", url);
    }
    if cfg!(not(feature = "tls")) && url.scheme_str() == Some("https") {
        let problem = if value.contains("://") {
            "requires the Cargo feature `tls` of otel-setup; without it, use http://"
        } else {
            "has no scheme, so it is https, which requires the Cargo feature `tls` of otel-setup; without it, use http://"
        };
        return Err(source.error(&text, problem));
    }
    Ok(url)
}

/// Returns the path of a signal, which HTTP appends to the general endpoint.
fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "v1/traces",
        Signal::Metrics => "v1/metrics",
        Signal::Logs => "v1/logs",
    }
}

/// Appends the path of a signal. The query stays behind the path.
fn with_signal_path(signal: Signal, url: Uri) -> Uri {
    let base = url.path().trim_end_matches('/');
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{base}/{}{query}", path(signal));
    with_path(&path, url)
}

fn with_path(path: &str, url: Uri) -> Uri {
    let mut parts = url.into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).expect("its parts are valid"));
    Uri::from_parts(parts).expect("only the path has changed")
}

/// Decodes the percent sign before the zone of an IPv6 address, `[fe80::1%25eth0]` by RFC 6874. The
/// system's resolver takes `fe80::1%eth0`.
fn with_plain_zone(url: String) -> String {
    match (url.find('['), url.find("%25"), url.find(']')) {
        (Some(start), Some(zone), Some(end)) if (start..end).contains(&zone) => url.replacen("%25", "%", 1),
        _ => url,
    }
}

/// Parses an `http` or `https` URL with a host.
fn url(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let has_scheme = matches!(url.scheme_str(), Some("http" | "https"));
    let has_host = url.host().is_some_and(|host| !host.is_empty());
    (has_scheme && has_host && has_valid_port(&url)).then_some(url)
}

/// Returns whether an endpoint without a scheme is `http`.
fn is_insecure(signal: Signal, env: &Env) -> bool {
    let variable = SignalVar::new(signal, "INSECURE");
    variable.text(env).is_some_and(|(name, _)| env.boolean(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve<const N: usize>(protocol: Protocol, variables: [(&str, &str); N]) -> Result<String, String> {
        let env = Env::from_vars(variables);
        let endpoint = endpoint(Signal::Traces, protocol, None, &env);
        endpoint.map(|url| url.to_string()).map_err(|error| error.to_string())
    }

    fn grpc(endpoint: &str) -> Result<String, String> {
        resolve(Protocol::Grpc, [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)])
    }

    fn http(endpoint: &str) -> Result<String, String> {
        resolve(Protocol::HttpProtobuf, [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)])
    }

    #[test]
    fn the_default_is_a_collector_on_this_host() {
        assert_eq!(resolve(Protocol::Grpc, []).unwrap(), "http://localhost:4317/");
        assert_eq!(
            resolve(Protocol::HttpProtobuf, []).unwrap(),
            "http://localhost:4318/v1/traces"
        );
    }

    #[test]
    fn http_appends_the_path_to_the_general_endpoint() {
        assert_eq!(http("http://c:1").unwrap(), "http://c:1/v1/traces");
        assert_eq!(http("http://c:1/").unwrap(), "http://c:1/v1/traces");
        assert_eq!(http("http://c:1/otlp/").unwrap(), "http://c:1/otlp/v1/traces");
        assert_eq!(http("http://c:1/otlp").unwrap(), "http://c:1/otlp/v1/traces");
    }

    #[test]
    fn zones_of_addresses_are_written_as_the_system_does() {
        for url in ["http://[fe80::1%25eth0]:1", "http://[fe80::1%eth0]:1"] {
            assert_eq!(grpc(url).unwrap(), "http://[fe80::1%eth0]:1/");
            assert_eq!(http(url).unwrap(), "http://[fe80::1%eth0]:1/v1/traces");
        }
        assert_eq!(
            http("http://a%25:b@[::1]:1/%25").unwrap(),
            "http://a%25:b@[::1]:1/%25/v1/traces"
        );
    }

    #[test]
    fn http_keeps_the_query_behind_the_path() {
        assert_eq!(http("http://c:1?t=a").unwrap(), "http://c:1/v1/traces?t=a");
        assert_eq!(http("http://c:1/?t=a/").unwrap(), "http://c:1/v1/traces?t=a/");
        assert_eq!(http("http://c:1/otlp/?t=a/").unwrap(), "http://c:1/otlp/v1/traces?t=a/");
    }

    #[test]
    fn grpc_has_no_path() {
        let variable = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let env = Env::from_vars([(variable, "http://ada:secret@c:1/otlp?key=secret")]);
        let url = endpoint(Signal::Traces, Protocol::Grpc, None, &env).unwrap();
        assert_eq!(url, "http://ada:secret@c:1/");
        let expected = "has a path or a query, which gRPC does not send; ignoring that";
        assert_eq!(
            env.into_warnings(),
            [format!("{variable}=\"http://c:1/otlp\" {expected}")]
        );
    }

    #[test]
    fn fragments_are_errors() {
        for read in [http, grpc] {
            let error = read("http://c:1/#a").unwrap_err();
            assert_eq!(
                error,
                "OTEL_EXPORTER_OTLP_ENDPOINT=\"http://c:1/#a\" has a fragment, which is never sent; remove it, or write %23"
            );
        }
    }

    #[test]
    fn errors_do_not_show_the_password() {
        for invalid in [
            "ftp://ada:secret@c:1",
            "http://ada:sec@ret@:port",
            "http://ada:secret@c:1/#x",
        ] {
            let error = grpc(invalid).unwrap_err();
            assert!(error.contains("://…@") && !error.contains("sec"), "{error}");
        }
    }

    #[test]
    fn http_appends_no_path_to_a_specific_endpoint() {
        for (own, expected) in [
            ("http://c:1", "http://c:1/"),
            ("http://c:1/v1/traces", "http://c:1/v1/traces"),
            ("http://c:1/mine?key=1", "http://c:1/mine?key=1"),
        ] {
            let variables = [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other:1"),
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", own),
            ];
            assert_eq!(resolve(Protocol::HttpProtobuf, variables).unwrap(), expected);
        }
    }

    #[test]
    fn the_scheme_defaults_to_http_only_if_insecure() {
        let insecure = |own, general| {
            resolve(
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
            assert!(error.contains("has no scheme, so it is https"), "{error}");
        }
        assert!(http("c:1").is_err(), "over HTTP, the scheme is required");
    }

    #[test]
    fn insecure_does_not_change_a_scheme() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "false"),
        ];
        assert_eq!(resolve(Protocol::Grpc, variables).unwrap(), "http://c:1/");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn https_requires_a_feature() {
        let expected = "OTEL_EXPORTER_OTLP_ENDPOINT=\"https://c:1\" requires the Cargo feature `tls` of otel-setup; without it, use http://";
        assert_eq!(grpc("https://c:1").unwrap_err(), expected);
        assert_eq!(http("https://c:1").unwrap_err(), expected);
    }

    #[test]
    fn invalid_urls_are_errors() {
        for invalid in [
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
            let expected = format!(
                "OTEL_EXPORTER_OTLP_ENDPOINT={invalid:?} is not a valid URL; expected e.g. http://localhost:4317"
            );
            assert_eq!(grpc(invalid).unwrap_err(), expected);
            assert!(http(invalid).is_err(), "{invalid}");
        }
        let specific = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector"),
        ];
        let expected =
            r#"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="collector" is not a valid URL; expected e.g. http://localhost:4318"#;
        assert_eq!(resolve(Protocol::HttpProtobuf, specific).unwrap_err(), expected);
    }

    #[test]
    fn the_program_takes_precedence_for_all_signals() {
        let env = Env::from_vars([("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/own")]);
        let url = endpoint(Signal::Traces, Protocol::HttpProtobuf, Some("http://p:1"), &env);
        assert_eq!(url.unwrap(), "http://p:1/v1/traces");
        let error = endpoint(Signal::Traces, Protocol::Grpc, Some("http://"), &env);
        let expected = r#"the endpoint "http://" is not a valid URL; expected e.g. http://localhost:4317"#;
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
}
