//! Propagators by their names in the environment variable `OTEL_PROPAGATORS`.

use std::env;

use opentelemetry::propagation::TextMapPropagator;

use super::w3c::W3c;
#[cfg(feature = "propagators")]
use super::{B3Propagator, GoogleCloudPropagator, GrpcTraceBinPropagator, JaegerPropagator, OtTracePropagator};
use super::{BaggagePropagator, CompositePropagator, TraceContextPropagator};

const VARIABLE: &str = "OTEL_PROPAGATORS";
const DEFAULT: [&str; 2] = ["tracecontext", "baggage"];

/// Makes a propagator.
type New = fn() -> Box<dyn TextMapPropagator + Send + Sync>;

/// The names, with what makes their propagators.
const KNOWN: &[(&str, New)] = &[
    ("tracecontext", || Box::new(TraceContextPropagator::new())),
    ("baggage", || Box::new(BaggagePropagator::new())),
    #[cfg(feature = "propagators")]
    ("b3", || Box::new(B3Propagator::single())),
    #[cfg(feature = "propagators")]
    ("b3multi", || Box::new(B3Propagator::multi())),
    #[cfg(feature = "propagators")]
    ("jaeger", || Box::new(JaegerPropagator::new())),
    #[cfg(feature = "propagators")]
    ("gcp", || Box::new(GoogleCloudPropagator::new())),
    #[cfg(feature = "propagators")]
    ("grpc-trace-bin", || Box::new(GrpcTraceBinPropagator::new())),
    #[cfg(feature = "propagators")]
    ("ottrace", || Box::new(OtTracePropagator::new())),
    #[cfg(feature = "xray")]
    ("xray", || Box::new(super::XRayPropagator::new())),
];

/// The names whose propagators need a Cargo feature, with the feature.
const FEATURES: [(&str, &str); 7] = [
    ("b3", "propagators"),
    ("b3multi", "propagators"),
    ("jaeger", "propagators"),
    ("gcp", "propagators"),
    ("grpc-trace-bin", "propagators"),
    ("ottrace", "propagators"),
    ("xray", "xray"),
];

/// Returns the propagator selected by the environment variable `OTEL_PROPAGATORS`.
///
/// [`from_names`] describes the values.
///
/// # Example
///
/// ```
/// otel_runtime::propagation::set_global(otel_runtime::propagation::from_env());
/// ```
#[must_use]
pub fn from_env() -> CompositePropagator {
    // A value that is not UTF-8 is reported as an unknown propagator.
    let value = env::var_os(VARIABLE).unwrap_or_default();
    from_names(&value.to_string_lossy())
}

/// Returns the propagator for a list of names as in the environment variable `OTEL_PROPAGATORS`.
///
/// Follows [OpenTelemetry's specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration).
///
/// `names` is a comma-separated list of `tracecontext` and `baggage`, with the Cargo feature
/// `propagators` also of `b3`, `b3multi`, `jaeger`, `ottrace`, `gcp` and `grpc-trace-bin`, and with
/// the Cargo feature `xray` of `xray`. Case, surrounding spaces and duplicates are ignored. The
/// specification has these names, except for `gcp`, which Google's propagators have, and
/// `grpc-trace-bin`, the name of the header.
///
/// Propagators inject and extract in the order of the list. If several extract a span, the last one
/// wins. `none` alone disables propagation. An empty list selects the default,
/// `tracecontext,baggage`.
///
/// An unknown name is ignored, with a warning as a [`tracing`](https://docs.rs/tracing) event. Install
/// the subscriber before, or the warning is lost. If no known name remains, the default is used.
///
/// # Example
///
/// ```
/// use opentelemetry::propagation::TextMapPropagator;
/// use otel_runtime::propagation;
///
/// let propagator = propagation::from_names(" TraceContext,baggage ");
/// let mut fields: Vec<&str> = propagator.fields().collect();
/// fields.sort_unstable();
/// assert_eq!(fields, ["baggage", "traceparent", "tracestate"]);
/// ```
#[must_use]
pub fn from_names(names: &str) -> CompositePropagator {
    let (propagator, warning) = parse_names(names);
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    propagator
}

/// Like [`from_names`], but returns the warning instead of logging it.
///
/// Use this in programs that read their configuration before they install a `tracing` subscriber.
///
/// # Example
///
/// ```
/// use otel_runtime::propagation;
///
/// let (propagator, warning) = propagation::parse_names("tracecontext,zipkin");
/// propagation::set_global(propagator);
/// assert!(warning.unwrap().contains("zipkin"));
/// ```
#[must_use]
pub fn parse_names(names: &str) -> (CompositePropagator, Option<String>) {
    let (names, warning) = parse(names);
    let w3c = match names[..] {
        ["tracecontext"] => Some(W3c { has_baggage: false }),
        ["tracecontext", "baggage"] | ["baggage", "tracecontext"] => Some(W3c { has_baggage: true }),
        _ => None,
    };
    let propagators = names.into_iter().filter_map(known).map(|(_, new)| new()).collect();
    (CompositePropagator::new(propagators, w3c), warning)
}

fn known(name: &str) -> Option<(&'static str, New)> {
    KNOWN.iter().find(|(known, _)| *known == name).copied()
}

/// Returns what is wrong with a name.
fn problem(entry: &str, lower: &str) -> String {
    match FEATURES.iter().find(|(name, _)| *name == lower) {
        Some((_, feature)) => format!("{entry:?} needs the Cargo feature `{feature}`"),
        None => format!("unknown propagator {entry:?}"),
    }
}

/// Parses a list of names. Returns the propagators to use, and a warning if the list is invalid.
pub(crate) fn parse(list: &str) -> (Vec<&'static str>, Option<String>) {
    let mut names = Vec::new();
    let mut unknown = Vec::new();
    let mut is_none = false;
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let lower = entry.to_ascii_lowercase();
        match known(&lower) {
            Some((name, _)) if names.contains(&name) => {}
            Some((name, _)) => names.push(name),
            None if lower == "none" => is_none = true,
            None => unknown.push(problem(entry, &lower)),
        }
    }
    if is_none && !names.is_empty() {
        unknown.push("\"none\" cannot be combined with other propagators".to_owned());
    }
    if names.is_empty() && !is_none {
        names = DEFAULT.to_vec();
    }
    let warning = (!unknown.is_empty()).then(|| {
        let used = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(",")
        };
        format!("{VARIABLE}={list:?}: {}; using {used}", unknown.join(", "))
    });
    (names, warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_deduplicated_and_case_insensitive() {
        let all = KNOWN.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let list = all.join(",");
        assert_eq!(parse(&list), (all.clone(), None));
        assert_eq!(parse(&list.to_uppercase()), (all, None));
        assert_eq!(parse(" baggage ,Baggage,,\tBAGGAGE "), (vec!["baggage"], None));
        let in_order = vec!["baggage", "tracecontext"];
        assert_eq!(parse("baggage,tracecontext"), (in_order, None), "the order of the list");
    }

    #[test]
    fn an_empty_list_is_the_default_and_none_disables_propagation() {
        for empty in ["", " ", ",", " , ,"] {
            assert_eq!(parse(empty), (DEFAULT.to_vec(), None), "{empty:?}");
        }
        for none in ["none", "NONE", " None ", "none,none"] {
            assert_eq!(parse(none), (vec![], None), "{none:?}");
        }
        assert_eq!(from_names("none").fields().count(), 0);
    }

    #[test]
    fn an_unknown_name_is_ignored_with_a_warning() {
        let (names, warning) = parse("baggage,zipkin,opencensus");
        assert_eq!(names, ["baggage"]);
        assert_eq!(
            warning.unwrap(),
            r#"OTEL_PROPAGATORS="baggage,zipkin,opencensus": unknown propagator "zipkin", unknown propagator "opencensus"; using baggage"#
        );
        let (names, warning) = parse("zipkin");
        assert_eq!(names, DEFAULT);
        assert!(warning.unwrap().ends_with("using tracecontext,baggage"));
        let (names, warning) = parse("none,baggage");
        assert_eq!(names, ["baggage"]);
        assert!(
            warning
                .unwrap()
                .contains("\"none\" cannot be combined with other propagators")
        );
        let (names, warning) = parse("none,zipkin");
        assert_eq!(names, [] as [&str; 0]);
        assert!(warning.unwrap().ends_with("using none"));
    }

    #[test]
    fn some_names_need_a_cargo_feature() {
        for (name, feature) in FEATURES {
            let (names, warning) = parse(name);
            let is_enabled = match feature {
                "xray" => cfg!(feature = "xray"),
                _ => cfg!(feature = "propagators"),
            };
            if is_enabled {
                assert_eq!((names, warning), (vec![name], None));
            } else {
                assert_eq!(names, DEFAULT);
                let expected = format!("{name:?} needs the Cargo feature `{feature}`; using ");
                assert!(warning.unwrap().contains(&expected), "{name}");
            }
        }
    }
}
