//! What goes with every request: who is asking, mostly.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::signal_var::SignalVar;
use crate::env::Env;
use crate::error::InitError;
use crate::signal::Signal;

/// These belong to the protocols.
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

/// Those of the environment, and over them those of the program.
///
/// # Errors
///
/// Where the program has one that cannot be sent.
pub(crate) fn headers(signal: Signal, explicit: &[(String, String)], env: &Env) -> Result<HeaderMap, InitError> {
    let mut headers = HeaderMap::new();
    let names = SignalVar::new(signal, "HEADERS");
    if let Some((variable, text)) = names.text(env) {
        for (index, pair) in text.split(',').enumerate() {
            if pair.trim().is_empty() {
                continue;
            }
            match pair.split_once('=').and_then(|(name, value)| {
                let value: Vec<u8> = percent_decode_str(value.trim()).collect();
                header(name.trim(), &value)
            }) {
                Some((name, value)) => drop(headers.insert(name, value)),
                // Its value may be a secret.
                None => env.warn(
                    variable,
                    "…",
                    format_args!(
                        "has no header that could be sent as its entry {}; it is left out",
                        index + 1
                    ),
                ),
            }
        }
    }
    for (name, value) in explicit {
        let header = header(name, value.as_bytes());
        let (name, value) = header.ok_or_else(|| InitError::new(format!("the header {name:?} cannot be sent")))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn header(name: &str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(true);
    (!RESERVED.contains(&name.as_str())).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<const N: usize>(variables: [(&str, &str); N]) -> (Vec<(String, String)>, Vec<String>) {
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
    fn are_a_list_of_pairs_with_values_percent_encoded() {
        let (headers, warnings) = of([(
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
    fn the_signals_own_go_alone() {
        let general = ("OTEL_EXPORTER_OTLP_HEADERS", "general=1");
        let (headers, _) = of([general, ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "own=1")]);
        assert_eq!(headers, pairs([("own", "1")]));
        let (headers, _) = of([general, ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "")]);
        assert_eq!(headers, pairs([("general", "1")]));
    }

    #[test]
    fn what_is_none_is_left_out_and_its_value_not_told() {
        for bad in ["secret", "sec ret=1", "=secret", "a=secret%0A", "content-type=secret"] {
            let text = format!("good=1,{bad}");
            let (headers, warnings) = of([("OTEL_EXPORTER_OTLP_HEADERS", &text)]);
            assert_eq!(headers, pairs([("good", "1")]), "{bad}");
            let expected =
                r#"OTEL_EXPORTER_OTLP_HEADERS="…" has no header that could be sent as its entry 2; it is left out"#;
            assert_eq!(warnings, [expected], "{bad}");
        }
    }

    #[test]
    fn those_of_the_program_win() {
        let env = Env::from_vars([("OTEL_EXPORTER_OTLP_HEADERS", "a=environment,b=environment")]);
        let explicit = [("a".to_owned(), "program".to_owned())];
        let headers = headers(Signal::Logs, &explicit, &env).unwrap();
        assert_eq!(headers["a"], "program");
        assert_eq!(headers["b"], "environment");
        assert_eq!(headers.get_all("a").iter().count(), 1);

        let bad = [("a b".to_owned(), "secret".to_owned())];
        let error = super::headers(Signal::Logs, &bad, &env).unwrap_err();
        assert_eq!(error.to_string(), r#"the header "a b" cannot be sent"#);
    }
}
