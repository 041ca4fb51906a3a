//! Messages of failed assertions: what was found, and the traces.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use futures_executor::block_on;
use integration_tests::own_process;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Span, SpanKind, Tracer, TracerProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use otel_setup::testing::TestTelemetry;

use super::{SHORT, UNARY, order};

/// Returns the message of a panic, which the test expects, with durations and ids replaced.
fn failure<T>(assert: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(assert()))).expect_err("the assertion fails");
    let message = panic.downcast_ref::<String>().expect("a formatted message");
    let lines = message.lines().map(|line| {
        let words = line.split_whitespace().map(|word| match word {
            id if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => "ID",
            place if place.starts_with("tests/") => "PLACE:",
            // Unlike the timeout, the duration of a span has a decimal point.
            time if time.ends_with('s')
                && time.starts_with(|first: char| first.is_ascii_digit())
                && time.contains('.') =>
            {
                "TIME"
            }
            word => word,
        });
        let words: Vec<_> = words.filter(|word| !word.starts_with(['█', '▏'])).collect();
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_wait_ends_at_its_timeout() {
    let telemetry = TestTelemetry::new().timeout(SHORT);
    let start = Instant::now();
    // Not in a runtime of tokio: any executor will do.
    let message = failure(|| block_on(telemetry.server_span(UNARY)));
    assert!(start.elapsed() >= SHORT);
    assert_eq!(
        message,
        "PLACE: no SERVER span of kinds.Unary/Call has ended within 50ms\n\nNo span was recorded. The service or a \
         layer around it needs `TestTelemetry::instrumentation`."
    );
}

/// A failed assertion, and its message.
type Failure = (fn(&TestTelemetry) -> String, &'static str);

#[test]
fn failed_assertions_show_what_was_found_and_the_traces() {
    let telemetry = TestTelemetry::new().timeout(SHORT);
    own_process::block_on(async {
        order(&telemetry, "poison").await.unwrap_err();
        telemetry.server_span(UNARY).await;
    });
    let traces = "trace 1 ID\n\
        kinds.Unary/Call client TIME ✗ INTERNAL\n\
        │ do not drink\n\
        └─ kinds.Unary/Call server TIME ✗ INTERNAL\n\
        do not drink";
    let failures: [Failure; 7] = [
        (
            |telemetry| failure(|| block_on(telemetry.server_span("kinds.Bidi/Call"))),
            "PLACE: no SERVER span of kinds.Bidi/Call has ended within 50ms\n",
        ),
        (
            |telemetry| failure(|| block_on(telemetry.spans(3))),
            "PLACE: expected 3 spans within 50ms, found 2 ended and 0 running\n",
        ),
        (
            |telemetry| {
                let span = block_on(telemetry.server_span(UNARY));
                failure(|| span.assert_attribute("item", "tea"))
            },
            "kinds.Unary/Call: expected item=\"tea\", found \"poison\"",
        ),
        (
            |telemetry| {
                let span = block_on(telemetry.server_span(UNARY));
                failure(|| span.assert_no_attribute("error.type"))
            },
            "kinds.Unary/Call: expected no error.type, found \"INTERNAL\"",
        ),
        (
            |telemetry| {
                let span = block_on(telemetry.server_span(UNARY));
                failure(|| block_on(span.child("reserve")))
            },
            "PLACE: no child reserve of kinds.Unary/Call has ended within 50ms\n",
        ),
        (
            |telemetry| {
                let durations = telemetry.metric("rpc.server.call.duration");
                failure(|| durations.with("rpc.status_code", "OK").assert_count(1))
            },
            "rpc.server.call.duration{rpc.status_code=\"OK\"}: expected 1 measurement, found 0\n\
             rpc.server.call.duration{error.type=\"INTERNAL\", rpc.method=\"kinds.Unary/Call\", \
             rpc.status_code=\"INTERNAL\", rpc.system.name=\"grpc\"}: ",
        ),
        (
            |telemetry| failure(|| telemetry.metric("rpc.server.active_requests").assert_count(1)),
            "rpc.server.active_requests{}: expected 1 measurement, found 0: only a histogram has them, so use `assert_value`\n\
             rpc.server.active_requests{rpc.method=\"kinds.Unary/Call\", rpc.system.name=\"grpc\"}: 0\n",
        ),
    ];
    for (fails, expected) in failures {
        let message = fails(&telemetry);
        assert!(message.starts_with(expected), "{expected}\n---\n{message}");
        assert!(message.ends_with(traces), "{traces}\n---\n{message}");
    }
}

#[test]
fn a_second_span_of_the_method_fails() {
    let telemetry = TestTelemetry::new();
    let tracer = telemetry.tracer_provider().tracer("twice");
    tracer
        .span_builder("a/b")
        .with_kind(SpanKind::Server)
        .start(&tracer)
        .end();
    let running = tracer.span_builder("a/b").with_kind(SpanKind::Server).start(&tracer);
    let message = failure(|| block_on(telemetry.server_span("a/b")));
    assert_eq!(
        message,
        "PLACE: expected one SERVER span of a/b, found 1 ended and 1 running\n\n\
         trace 1 ID\na/b server TIME\nrunning: a/b (server)"
    );
    drop(running);
}

#[test]
fn telemetry_that_is_not_balanced_fails() {
    let telemetry = TestTelemetry::new().timeout(SHORT);
    let scope = || InstrumentationScope::builder("otel-runtime").build();
    let tracer = telemetry.tracer_provider().tracer_with_scope(scope());
    let meter = telemetry.meter_provider().meter_with_scope(scope());
    let attributes = [
        KeyValue::new("rpc.method", "a/b"),
        KeyValue::new("rpc.status_code", "OK"),
    ];
    let balance = || failure(|| block_on(telemetry.assert_balanced()));

    let span = tracer
        .span_builder("a/b")
        .with_kind(SpanKind::Server)
        .with_attributes(attributes.clone());
    let mut span = span.start(&tracer);
    assert!(balance().starts_with("PLACE: not balanced within 50ms:\nspans are running\n"));
    span.end();
    assert!(balance().starts_with("PLACE: not balanced within 50ms:\nserver {a/b, OK}: 1 span, 0 durations\n"));
    meter
        .f64_histogram("rpc.server.call.duration")
        .build()
        .record(0.1, &attributes);
    block_on(telemetry.assert_balanced());
    meter
        .i64_up_down_counter("rpc.server.active_requests")
        .build()
        .add(1, &attributes[..1]);
    let message = balance();
    assert!(
        message.starts_with("PLACE: not balanced within 50ms:\nrpc.server.active_requests{a/b}: 1\n"),
        "{message}"
    );
}
