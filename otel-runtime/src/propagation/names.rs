//! The names that propagators have in the environment variable `OTEL_PROPAGATORS`.

use std::env;

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

use super::{B3Propagator, GoogleCloudPropagator, JaegerPropagator};

const VARIABLE: &str = "OTEL_PROPAGATORS";
const DEFAULT: [Name; 2] = [Name::TraceContext, Name::Baggage];

/// The propagator that the environment variable `OTEL_PROPAGATORS` asks for: see [`from_names`]. It needs the cargo feature `propagators`.
///
/// # Example
///
/// ```
/// opentelemetry::global::set_text_map_propagator(otel_runtime::propagation::from_env());
/// ```
#[must_use]
pub fn from_env() -> TextMapCompositePropagator {
    // What is not UTF-8 is a name that nobody knows, and told as such.
    let value = env::var_os(VARIABLE).unwrap_or_default();
    from_names(&value.to_string_lossy())
}

/// The propagator that a value of the environment variable `OTEL_PROPAGATORS` means, by
/// [OpenTelemetry's specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration). It needs the cargo feature `propagators`.
///
/// `names` is a list with commas of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `gcp` and, with the cargo feature `xray`, `xray`, in any case, with spaces around them or not. Each
/// counts once. They write and read in this order, so the caller's span is that of the last one that finds any.
/// `none` alone is a propagator that does nothing, and an empty list is the default, `tracecontext,baggage`.
///
/// A name that is not known is left out, with a warning, a [`tracing`](https://docs.rs/tracing) event, for which the subscriber should be there by then; if no other is left, the default is used.
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
pub fn from_names(names: &str) -> TextMapCompositePropagator {
    let (propagator, warning) = parse_names(names);
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    propagator
}

/// Like [`from_names`], but returns the warning instead of logging it.
///
/// For programs that read their configuration before they set a `tracing` subscriber. It needs the cargo feature `propagators`.
///
/// # Example
///
/// ```
/// use otel_runtime::propagation;
///
/// let (propagator, warning) = propagation::parse_names("b3,zipkin");
/// opentelemetry::global::set_text_map_propagator(propagator);
/// assert!(warning.unwrap().contains("zipkin"));
/// ```
#[must_use]
pub fn parse_names(names: &str) -> (TextMapCompositePropagator, Option<String>) {
    let (names, warning) = parse(names);
    let propagators = names.into_iter().map(Name::propagator).collect();
    (TextMapCompositePropagator::new(propagators), warning)
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
        }
    }
}

/// The names in a list, and what is wrong with it.
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
            None if lower == "xray" => unknown.push(format!("{entry:?} needs the cargo feature `xray`")),
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
    fn names_are_trimmed_deduplicated_and_have_no_case() {
        let all = "tracecontext,baggage,b3,b3multi,jaeger,gcp";
        let expected = [
            Name::TraceContext,
            Name::Baggage,
            Name::B3,
            Name::B3Multi,
            Name::Jaeger,
            Name::GoogleCloud,
        ];
        assert_eq!(parse(all), (expected.to_vec(), None));
        assert_eq!(parse(&all.to_uppercase()), (expected.to_vec(), None));
        assert_eq!(parse(" b3 ,B3,,\tb3 "), (vec![Name::B3], None));
        assert_eq!(
            parse("gcp,b3"),
            (vec![Name::GoogleCloud, Name::B3], None),
            "in their order"
        );
    }

    #[test]
    fn an_empty_list_is_the_default_and_none_is_nothing() {
        for empty in ["", " ", ",", " , ,"] {
            assert_eq!(parse(empty), (DEFAULT.to_vec(), None), "{empty:?}");
        }
        for none in ["none", "NONE", " None ", "none,none"] {
            assert_eq!(parse(none), (vec![], None), "{none:?}");
        }
        assert_eq!(from_names("none").fields().count(), 0);
    }

    #[test]
    fn an_unknown_name_is_told_and_left_out() {
        let (names, warning) = parse("b3,zipkin,ottrace");
        assert_eq!(names, [Name::B3]);
        assert_eq!(
            warning.unwrap(),
            r#"OTEL_PROPAGATORS="b3,zipkin,ottrace": unknown propagator "zipkin", unknown propagator "ottrace"; using b3"#
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
    fn xray_is_there_with_its_feature() {
        let (names, warning) = parse("xray");
        if cfg!(feature = "xray") {
            assert_eq!((names[0].as_str(), warning), ("xray", None));
        } else {
            assert_eq!(names, DEFAULT);
            assert!(warning.unwrap().contains("needs the cargo feature `xray`"));
        }
    }
}
