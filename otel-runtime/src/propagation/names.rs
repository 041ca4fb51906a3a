//! Propagators by their names in the environment variable `OTEL_PROPAGATORS`.

use std::env;

use opentelemetry::propagation::TextMapPropagator;

use super::w3c::W3c;
use super::{
    B3Propagator, BaggagePropagator, CompositePropagator, GoogleCloudPropagator, GrpcTraceBinPropagator,
    JaegerPropagator, OtTracePropagator, TraceContextPropagator,
};

const VARIABLE: &str = "OTEL_PROPAGATORS";
const DEFAULT: [Name; 2] = [Name::TraceContext, Name::Baggage];

/// Returns the propagator selected by the environment variable `OTEL_PROPAGATORS`.
///
/// [`from_names`] describes the values. Requires the Cargo feature `propagators`.
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
/// Requires the Cargo feature `propagators`.
///
/// `names` is a comma-separated list of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`,
/// `ottrace`, `gcp`, `grpc-trace-bin` and, with the Cargo feature `xray`, `xray`. Case, surrounding
/// spaces and duplicates are ignored. The specification has these names, except for `gcp`, which
/// Google's propagators have, and `grpc-trace-bin`, the name of the header.
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
/// let propagator = propagation::from_names("tracecontext, b3");
/// let mut fields: Vec<&str> = propagator.fields().collect();
/// fields.sort_unstable();
/// assert_eq!(fields, ["b3", "traceparent", "tracestate"]);
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
/// Requires the Cargo feature `propagators`.
///
/// # Example
///
/// ```
/// use otel_runtime::propagation;
///
/// let (propagator, warning) = propagation::parse_names("b3,zipkin");
/// propagation::set_global(propagator);
/// assert!(warning.unwrap().contains("zipkin"));
/// ```
#[must_use]
pub fn parse_names(names: &str) -> (CompositePropagator, Option<String>) {
    let (names, warning) = parse(names);
    let w3c = match names[..] {
        [Name::TraceContext] => Some(W3c { has_baggage: false }),
        [Name::TraceContext, Name::Baggage] | [Name::Baggage, Name::TraceContext] => Some(W3c { has_baggage: true }),
        _ => None,
    };
    let propagators = names.into_iter().map(Name::propagator).collect();
    (CompositePropagator::new(propagators, w3c), warning)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    TraceContext,
    Baggage,
    B3,
    B3Multi,
    Jaeger,
    #[cfg(feature = "xray")]
    XRay,
    GoogleCloud,
    GrpcTraceBin,
    OtTrace,
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "tracecontext" => Name::TraceContext,
            "baggage" => Name::Baggage,
            "b3" => Name::B3,
            "b3multi" => Name::B3Multi,
            "jaeger" => Name::Jaeger,
            #[cfg(feature = "xray")]
            "xray" => Name::XRay,
            "gcp" => Name::GoogleCloud,
            "grpc-trace-bin" => Name::GrpcTraceBin,
            "ottrace" => Name::OtTrace,
            _ => return None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Name::TraceContext => "tracecontext",
            Name::Baggage => "baggage",
            Name::B3 => "b3",
            Name::B3Multi => "b3multi",
            Name::Jaeger => "jaeger",
            #[cfg(feature = "xray")]
            Name::XRay => "xray",
            Name::GoogleCloud => "gcp",
            Name::GrpcTraceBin => "grpc-trace-bin",
            Name::OtTrace => "ottrace",
        }
    }

    fn propagator(self) -> Box<dyn TextMapPropagator + Send + Sync> {
        match self {
            Name::TraceContext => Box::new(TraceContextPropagator::new()),
            Name::Baggage => Box::new(BaggagePropagator::new()),
            Name::B3 => Box::new(B3Propagator::single()),
            Name::B3Multi => Box::new(B3Propagator::multi()),
            Name::Jaeger => Box::new(JaegerPropagator::new()),
            #[cfg(feature = "xray")]
            Name::XRay => Box::new(super::XRayPropagator::new()),
            Name::GoogleCloud => Box::new(GoogleCloudPropagator::new()),
            Name::GrpcTraceBin => Box::new(GrpcTraceBinPropagator::new()),
            Name::OtTrace => Box::new(OtTracePropagator::new()),
        }
    }
}

/// Parses a list of names. Returns the propagators to use, and a warning if the list is invalid.
pub(crate) fn parse(list: &str) -> (Vec<Name>, Option<String>) {
    let mut names = Vec::new();
    let mut unknown = Vec::new();
    let mut is_none = false;
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let lower = entry.to_ascii_lowercase();
        match Name::parse(&lower) {
            Some(name) if names.contains(&name) => {}
            Some(name) => names.push(name),
            None if lower == "none" => is_none = true,
            None if lower == "xray" => unknown.push(format!("{entry:?} needs the Cargo feature `xray`")),
            None => unknown.push(format!("unknown propagator {entry:?}")),
        }
    }
    if is_none && !names.is_empty() {
        unknown.push("\"none\" cannot be combined with other propagators".to_owned());
    }
    if names.is_empty() && !is_none {
        names = DEFAULT.to_vec();
    }
    let warning = (!unknown.is_empty()).then(|| {
        let used: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        let used = if used.is_empty() {
            "none".to_owned()
        } else {
            used.join(",")
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
        let all = "tracecontext,baggage,b3,b3multi,jaeger,gcp,grpc-trace-bin,ottrace";
        let expected = [
            Name::TraceContext,
            Name::Baggage,
            Name::B3,
            Name::B3Multi,
            Name::Jaeger,
            Name::GoogleCloud,
            Name::GrpcTraceBin,
            Name::OtTrace,
        ];
        assert_eq!(parse(all), (expected.to_vec(), None));
        assert_eq!(parse(&all.to_uppercase()), (expected.to_vec(), None));
        assert_eq!(parse(" b3 ,B3,,\tb3 "), (vec![Name::B3], None));
        assert_eq!(
            parse("gcp,b3"),
            (vec![Name::GoogleCloud, Name::B3], None),
            "the order of the list"
        );
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
        let (names, warning) = parse("b3,zipkin,opencensus");
        assert_eq!(names, [Name::B3]);
        assert_eq!(
            warning.unwrap(),
            r#"OTEL_PROPAGATORS="b3,zipkin,opencensus": unknown propagator "zipkin", unknown propagator "opencensus"; using b3"#
        );
        let (names, warning) = parse("zipkin");
        assert_eq!(names, DEFAULT);
        assert!(warning.unwrap().ends_with("using tracecontext,baggage"));
        let (names, warning) = parse("none,b3");
        assert_eq!(names, [Name::B3]);
        assert!(
            warning
                .unwrap()
                .contains("\"none\" cannot be combined with other propagators")
        );
        let (names, warning) = parse("none,zipkin");
        assert_eq!(names, []);
        assert!(warning.unwrap().ends_with("using none"));
    }

    #[test]
    fn xray_requires_its_cargo_feature() {
        let (names, warning) = parse("xray");
        if cfg!(feature = "xray") {
            assert_eq!((names[0].as_str(), warning), ("xray", None));
        } else {
            assert_eq!(names, DEFAULT);
            assert!(warning.unwrap().contains("needs the Cargo feature `xray`"));
        }
    }
}
