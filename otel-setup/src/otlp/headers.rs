//! The headers of every request, such as API keys.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::signal_var::SignalVar;
use crate::env::Env;
use crate::error::InitError;
use crate::signal::Signal;

/// Headers that the protocols set themselves.
pub(crate) const RESERVED: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-encoding",
    "grpc-accept-encoding",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
];

/// Returns the headers of the environment, overridden by those of the program.
///
/// # Errors
///
/// If a header of the program is invalid or reserved.
pub(crate) fn headers(signal: Signal, explicit: &[(String, String)], env: &Env) -> Result<HeaderMap, InitError> {
    let mut headers = HeaderMap::new();
    let variable = SignalVar::new(signal, "HEADERS");
    if let Some((name, text)) = variable.text(env) {
        for (index, pair) in text.split(',').enumerate() {
            if pair.trim().is_empty() {
                continue;
            }
            match entry(pair) {
                Some((name, value)) => drop(headers.insert(name, value)),
                // The warning omits the value, which may be a secret.
                None => env.warn(
                    name,
                    "…",
                    format_args!("has an invalid or reserved header as entry {}; ignoring it", index + 1),
                ),
            }
        }
    }
    for (name, value) in explicit {
        let header = header(name, value.as_bytes());
        let (name, value) =
            header.ok_or_else(|| InitError::new(format!("the header {name:?} is invalid or reserved")))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Returns the number of the first entry in a list of a configuration file that cannot be sent.
#[cfg(feature = "config-file")]
pub(crate) fn first_invalid(list: &str) -> Option<usize> {
    let is_invalid = |pair: &str| !pair.trim().is_empty() && entry(pair).is_none();
    list.split(',').position(is_invalid).map(|index| index + 1)
}

/// Parses an entry of a list: a name, and a percent-encoded value.
fn entry(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let value: Vec<u8> = percent_decode_str(value.trim()).collect();
    header(name.trim(), &value)
}

/// Returns whether a header of a configuration file may be sent.
#[cfg(feature = "config-file")]
pub(crate) fn is_valid(name: &str, value: &str) -> bool {
    header(name, value.as_bytes()).is_some()
}

/// Parses a header, and marks its value as sensitive.
fn header(name: &str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(true);
    (!RESERVED.contains(&name.as_str())).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_env<const N: usize>(variables: [(&str, &str); N]) -> (Vec<(String, String)>, Vec<String>) {
        let env = Env::from_vars(variables);
        let headers = headers(Signal::Logs, &[], &env).unwrap();
        let headers = headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        });
        let mut headers: Vec<_> = headers.collect();
        headers.sort();
        (headers, env.into_warnings())
    }

    fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn headers_are_a_list_of_pairs_with_percent_encoded_values() {
        let (headers, warnings) = from_env([(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "api-key=a%20b, Authorization = Basic QQ== ,empty=,,same=1,same=2",
        )]);
        let expected = [
            ("api-key", "a b"),
            ("authorization", "Basic QQ=="),
            ("empty", ""),
            ("same", "2"),
        ];
        assert_eq!(headers, pairs(expected));
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn the_signals_headers_replace_the_general_ones() {
        let general = ("OTEL_EXPORTER_OTLP_HEADERS", "general=1");
        let (headers, _) = from_env([general, ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "own=1")]);
        assert_eq!(headers, pairs([("own", "1")]));
        let (headers, _) = from_env([general, ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "")]);
        assert_eq!(headers, pairs([("general", "1")]));
    }

    #[test]
    fn invalid_headers_are_ignored_without_showing_their_values() {
        for invalid in ["secret", "sec ret=1", "=secret", "a=secret%0A", "content-type=secret"] {
            let text = format!("good=1,{invalid}");
            let (headers, warnings) = from_env([("OTEL_EXPORTER_OTLP_HEADERS", &text)]);
            assert_eq!(headers, pairs([("good", "1")]), "{invalid}");
            let expected =
                r#"OTEL_EXPORTER_OTLP_HEADERS="…" has an invalid or reserved header as entry 2; ignoring it"#;
            assert_eq!(warnings, [expected], "{invalid}");
        }
    }

    #[test]
    fn headers_of_the_program_take_precedence() {
        let env = Env::from_vars([("OTEL_EXPORTER_OTLP_HEADERS", "a=environment,b=environment")]);
        let explicit = [("a".to_owned(), "program".to_owned())];
        let headers = headers(Signal::Logs, &explicit, &env).unwrap();
        assert_eq!(headers["a"], "program");
        assert_eq!(headers["b"], "environment");
        assert_eq!(headers.get_all("a").iter().count(), 1);

        let invalid = [("a b".to_owned(), "secret".to_owned())];
        let error = super::headers(Signal::Logs, &invalid, &env).unwrap_err();
        assert_eq!(error.to_string(), r#"the header "a b" is invalid or reserved"#);
    }
}
