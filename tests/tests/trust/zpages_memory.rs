//! The memory of the zPages is bounded, whatever spans and log lines there are.

use integration_tests::own_process::in_own_process_with;
use opentelemetry::trace::{Span, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use otel_setup::StdoutLogs;

use crate::ALLOCATED;

/// The limit of the pages, in bytes.
const LIMIT: usize = 1_000_000;

#[derive(Debug)]
struct Ignored;

impl SpanProcessor for Ignored {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn text(number: usize) -> String {
    format!("{number} {}", "long ".repeat(number % 500))
}

/// Records spans with names, codes, attributes and events without end, and keeps some open, with
/// spans and log lines inside.
fn flood() -> Vec<Context> {
    let tracer = global::tracer("app");
    let mut open = Vec::new();
    for number in 0..30_000 {
        let mut span = tracer.start(format!("name {}", text(number)));
        span.set_attribute(KeyValue::new(text(number), text(number)));
        span.add_event(text(number), vec![KeyValue::new("text", text(number))]);
        if number % 3 == 0 {
            span.set_attribute(KeyValue::new("error.type", text(number)));
            span.set_status(Status::error(text(number)));
        }
        let context = Context::current_with_span(span);
        let attached = context.clone().attach();
        if number < 500 {
            for line in 0..100 {
                tracing::info!(line, "{}", text(line));
                drop(tracer.start(text(line)));
            }
        }
        drop(attached);
        if number % 2 == 0 {
            open.push(context);
        } else {
            context.span().end();
        }
    }
    // Many codes of a single name.
    for number in 0..3000 {
        let mut span = tracer.start("codes");
        span.set_attribute(KeyValue::new("error.type", text(number)));
        span.set_status(Status::error(""));
        span.end();
    }
    open
}

/// Returns the bytes in use after the flood, with the pages or without.
fn in_use(has_pages: &str) -> usize {
    let output = in_own_process_with(&[("PAGES", has_pages)], || {
        let mut setup = otel_setup::builder()
            .trace_exporters([])
            .metric_exporters([])
            .log_exporters([])
            .stdout_logs(StdoutLogs::Off)
            .configure_tracer_provider(|provider| provider.with_span_processor(Ignored))
            .configure_logger_provider(|provider| provider);
        if has_pages == "true" {
            setup = setup
                .zpages_address("127.0.0.1:0".parse().unwrap())
                .zpages_memory_limit(LIMIT);
        }
        let telemetry = setup.init().unwrap();
        let open = flood();
        println!("\nin use: {}", ALLOCATED.allocated());
        drop(open);
        drop(telemetry);
    });
    // The child process returns here, too.
    let stdout = output.map(|output| output.stdout).unwrap_or_default();
    let found = stdout.lines().find_map(|line| line.strip_prefix("in use: "));
    found.map_or(0, |bytes| bytes.parse().unwrap())
}

#[test]
fn the_memory_of_the_zpages_is_bounded() {
    let (with, without) = (in_use("true"), in_use("false"));
    let pages = with.saturating_sub(without);
    println!("{pages} bytes of {LIMIT}");
    // The thread of the server has buffers of its own.
    assert!(pages <= LIMIT + 100_000, "{pages} bytes");
    assert!(with == 0 || pages > LIMIT / 2, "{pages} bytes: too few to be the pages");
}
