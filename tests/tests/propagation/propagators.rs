//! `OTEL_PROPAGATORS` selects the headers that propagate a context.

use std::ffi::OsStr;
use std::fmt;

use integration_tests::own_process::in_own_process_with;
use integration_tests::telemetry::Shared;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, KeyValue, global};
use otel_runtime::propagation;
use tonic::metadata::MetadataMap;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::SubscriberExt;

const DEFAULT: &str = "baggage traceparent";

/// A subscriber that collects the messages of warnings.
#[derive(Clone, Default)]
struct Warnings(Shared<Vec<String>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            event.record(&mut self.clone());
        }
    }
}

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

/// Asserts the names of the injected headers, and the start of the only warning.
fn assert_headers(value: Option<&OsStr>, headers: &str, warning: Option<&str>) {
    let variables = value.map(|value| ("OTEL_PROPAGATORS", value));
    in_own_process_with(variables.as_slice(), || {
        let warnings = Warnings::default();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(warnings.clone())).unwrap();
        propagation::set_global(propagation::from_env());

        let span = SpanContext::new(1.into(), 2.into(), TraceFlags::SAMPLED, true, TraceState::NONE);
        let context = Context::new()
            .with_remote_span_context(span.clone())
            .with_baggage([KeyValue::new("tenant", "blue")]);
        let mut metadata = MetadataMap::new();
        propagation::inject(&context, &mut metadata);
        let mut names: Vec<&str> = metadata.as_ref().keys().map(AsRef::as_ref).collect();
        names.sort_unstable();
        assert_eq!(names.join(" "), headers);

        let extracted = propagation::extract(&metadata);
        let carries_spans = names.iter().any(|name| *name != "baggage");
        assert_eq!(*extracted.span().span_context() == span, carries_spans, "{metadata:?}");
        let fields = global::get_text_map_propagator(|propagator| propagator.fields().count());
        assert_eq!(fields == 0, names.is_empty());

        let warnings = warnings.0.lock().unwrap();
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{warnings:?}");
        for (found, expected) in warnings.iter().zip(warning) {
            assert!(found.starts_with(expected), "{found}");
        }
    });
}

#[test]
fn headers_without_the_variable() {
    assert_headers(None, DEFAULT, None);
}

#[test]
fn headers_for_each_value_of_the_variable() {
    for (value, headers) in [
        ("", DEFAULT),
        ("tracecontext", "traceparent"),
        ("baggage", "baggage"),
        ("b3", "b3"),
        ("b3multi", "x-b3-sampled x-b3-spanid x-b3-traceid"),
        ("jaeger", "uber-trace-id uberctx-tenant"),
        (
            "ottrace",
            "ot-baggage-tenant ot-tracer-sampled ot-tracer-spanid ot-tracer-traceid",
        ),
        ("grpc-trace-bin", "grpc-trace-bin"),
        ("xray", "x-amzn-trace-id"),
        ("gcp", "x-cloud-trace-context"),
        ("none", ""),
        (" B3 , TraceContext,b3 ", "b3 traceparent"),
        ("grpc-trace-bin,tracecontext", "grpc-trace-bin traceparent"),
    ] {
        assert_headers(Some(value.as_ref()), headers, None);
    }
}

#[test]
fn headers_for_an_unknown_name() {
    for (value, headers, warning) in [
        (
            "b3,zipkin",
            "b3",
            r#"OTEL_PROPAGATORS="b3,zipkin": unknown propagator "zipkin"; using b3"#,
        ),
        (
            "zipkin",
            DEFAULT,
            r#"OTEL_PROPAGATORS="zipkin": unknown propagator "zipkin"; using tracecontext,baggage"#,
        ),
    ] {
        assert_headers(Some(value.as_ref()), headers, Some(warning));
    }
}

#[cfg(unix)]
#[test]
fn headers_for_a_value_that_is_not_utf8() {
    use std::os::unix::ffi::OsStrExt;

    let value = OsStr::from_bytes(b"b3,\xff");
    assert_headers(Some(value), "b3", Some("OTEL_PROPAGATORS="));
}
