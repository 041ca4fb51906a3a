//! `OTEL_PROPAGATORS` decides which headers a context travels in.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::Command;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, KeyValue, global};
use otel_runtime::propagation;
use tonic::metadata::MetadataMap;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::SubscriberExt;

const VARIABLE: &str = "OTEL_PROPAGATORS";

/// Prints the warnings that it gets.
struct Warnings;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Message;
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                if field.name() == "message" {
                    println!("warning: {value:?}");
                }
            }
        }
        if *event.metadata().level() == tracing::Level::WARN {
            event.record(&mut Message);
        }
    }
}

/// Run by the other test, in a process of its own.
#[test]
fn are_what_the_environment_asks_for() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Warnings)).unwrap();
    propagation::set_global(propagation::from_env());

    let span = SpanContext::new(1.into(), 2.into(), TraceFlags::SAMPLED, true, TraceState::NONE);
    let context = Context::new()
        .with_remote_span_context(span.clone())
        .with_baggage([KeyValue::new("tenant", "blue")]);
    let mut metadata = MetadataMap::new();
    propagation::inject(&context, &mut metadata);
    let mut names: Vec<&str> = metadata.as_ref().keys().map(AsRef::as_ref).collect();
    names.sort_unstable();
    println!("headers: {}", names.join(" "));

    let read = propagation::extract(&metadata);
    let fields = global::get_text_map_propagator(|propagator| propagator.fields().count());
    let carries_spans = names.iter().any(|name| *name != "baggage");
    assert_eq!(*read.span().span_context() == span, carries_spans, "{metadata:?}");
    assert_eq!(fields == 0, names.is_empty());
}

/// Returns the output of a process with this value of the variable.
fn printed(value: Option<&OsStr>) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "are_what_the_environment_asks_for", "--nocapture"]);
    match value {
        Some(value) => command.env(VARIABLE, value),
        None => command.env_remove(VARIABLE),
    };
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{value:?}: {printed}");
    printed
}

fn headers(printed: &str) -> &str {
    let (_, headers) = printed.split_once("headers: ").unwrap();
    headers.lines().next().unwrap().trim()
}

#[test]
fn of_each_value() {
    let default = "baggage traceparent";
    assert_eq!(headers(&printed(None)), default);
    for (value, expected) in [
        ("", default),
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
        let printed = printed(Some(value.as_ref()));
        assert_eq!(headers(&printed), expected, "{value:?}");
        assert!(!printed.contains("warning: "), "{printed}");
    }
}

#[test]
fn of_a_value_with_an_unknown_name() {
    for (value, expected, warning) in [
        (
            "b3,zipkin",
            "b3",
            r#"OTEL_PROPAGATORS="b3,zipkin": unknown propagator "zipkin"; using b3"#,
        ),
        (
            "zipkin",
            "baggage traceparent",
            r#"OTEL_PROPAGATORS="zipkin": unknown propagator "zipkin"; using tracecontext,baggage"#,
        ),
    ] {
        let printed = printed(Some(value.as_ref()));
        assert_eq!(headers(&printed), expected, "{value:?}");
        assert!(printed.contains(&format!("warning: {warning}\n")), "{printed}");
    }
}

#[cfg(unix)]
#[test]
fn of_a_value_that_is_no_text() {
    use std::os::unix::ffi::OsStringExt;

    let printed = printed(Some(&OsString::from_vec(b"b3,\xff".into())));
    assert_eq!(headers(&printed), "b3");
    assert!(printed.contains("warning: OTEL_PROPAGATORS="), "{printed}");
}
