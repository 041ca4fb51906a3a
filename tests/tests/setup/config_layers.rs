//! The options of `ServerLayer` and `ClientLayer` in a configuration file.

use integration_tests::child::DrivenProcess;
use integration_tests::collector::Collector;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::config_file::file;

const RPC: &str = "kinds.Unary/Call";
const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");

/// Runs a program that calls itself, with these options of `otel_runtime`. The call answers with
/// `code`.
fn call_itself(options: &str, code: i32) -> Collector {
    call_and_log(options, code).0
}

/// Like [`call_itself`], and returns the lines of the program's log.
fn call_and_log(options: &str, code: i32) -> (Collector, Vec<String>) {
    let collector = Collector::start();
    let (_directory, path) = file(&format!(
        r#"
file_format: "1.0"
propagator: {{composite: [{{tracecontext: }}]}}
tracer_provider: {{processors: [{{batch: {{exporter: {{otlp_grpc: {{endpoint: "${{URL}}"}}}}}}}}]}}
meter_provider: {{readers: [{{periodic: {{exporter: {{otlp_grpc: {{endpoint: "${{URL}}"}}}}}}}}]}}
instrumentation/development: {{rust: {{otel_runtime: {options}}}}}
"#
    ));
    let url = collector.url();
    let variables = [("OTEL_CONFIG_FILE", path.to_str().unwrap()), ("URL", &url)];
    let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["multi_thread"], variables);
    assert_eq!(ready, "ready");
    for line in ["serve", &format!("call {code}")] {
        driven.send(line);
    }
    let answer = driven.send("shutdown 20000");
    assert!(answer.starts_with("ok "), "{answer}");
    (collector, driven.end())
}

#[test]
fn layers_start_with_the_options_of_the_file() {
    let headers = "request_headers: [X-Tenant]";
    let none = "duration_boundaries: [0.5, 2]";
    let sizes = "grpc.server.call.rcvd_total_compressed_message_size";
    for (options, server_header, client_header, is_public, has_sizes) in [
        (format!("{{{none}}}"), false, false, false, false),
        (format!("{{{none}, server: {{{headers}}}}}"), true, false, false, false),
        (format!("{{{none}, client: {{{headers}}}}}"), false, true, false, false),
        (
            format!("{{{none}, server: {{public_endpoint: true}}}}"),
            false,
            false,
            true,
            false,
        ),
        (
            format!("{{{none}, server: {{message_sizes: true}}}}"),
            false,
            false,
            false,
            true,
        ),
    ] {
        let collector = call_itself(&options, 0);
        let spans = collector.spans();
        let [server, client] = [SpanKind::Server, SpanKind::Client].map(|kind| {
            let mut spans = spans.iter().filter(|span| span.kind() == kind);
            let span = spans.next().unwrap_or_else(|| panic!("{options}: no {kind:?}"));
            assert_eq!((&*span.name, spans.count()), (RPC, 0), "{options}");
            span
        });
        for (span, expected) in [(server, server_header), (client, client_header)] {
            let header = span
                .attributes
                .iter()
                .find(|attribute| attribute.key == "rpc.request.header.x-tenant");
            assert_eq!(header.is_some(), expected, "{options}: {:?}", span.kind());
        }
        assert_eq!(server.trace_id != client.trace_id, is_public, "{options}");
        assert_eq!(server.links.len(), usize::from(is_public), "{options}");

        let metrics = collector.metrics();
        let find = |name: &str| metrics.iter().find(|metric| metric.name == name);
        assert_eq!(find(sizes).is_some(), has_sizes, "{options}");
        for name in ["rpc.server.call.duration", "rpc.client.call.duration"] {
            let Some(Data::Histogram(histogram)) = &find(name).unwrap().data else {
                panic!("{name} is no histogram")
            };
            assert_eq!(histogram.data_points[0].explicit_bounds, [0.5, 2.0], "{options}");
        }
    }
}

#[test]
fn messages_are_counted_as_the_file_says() {
    let server = ["grpc.server.call.started", "grpc.server.call.rcvd_messages"];
    let client = ["grpc.client.attempt.started", "grpc.client.attempt.rcvd_messages"];
    let sizes = ["grpc.client.attempt.sent_total_compressed_message_size"];
    for (options, expected) in [
        ("{server: {message_counts: true}}", &server[..]),
        ("{client: {message_counts: true}}", &client),
        ("{client: {message_sizes: true}}", &sizes),
    ] {
        let metrics = call_itself(options, 0).metrics();
        for name in [&server[..], &client, &sizes].concat() {
            let is_there = metrics.iter().any(|metric| metric.name == name);
            assert_eq!(is_there, expected.contains(&name), "{options}: {name}");
        }
    }
}

#[test]
fn failures_of_the_file_hold_on_each_side() {
    let options = "{server: {failures: {NOT_FOUND: true}}, client: {failures: {NOT_FOUND: false}}}";
    for (options, code, failed) in [
        (options, 5, [true, false]),
        ("{}", 5, [false, true]),
        (options, 13, [true, true]),
    ] {
        let collector = call_itself(options, code);
        for (kind, failed) in [SpanKind::Server, SpanKind::Client].into_iter().zip(failed) {
            let spans = collector.spans();
            let span = spans.iter().find(|span| span.kind() == kind).unwrap();
            let has_error = span.attributes.iter().any(|attribute| attribute.key == "error.type");
            let status = span.status.clone().unwrap_or_default().code();
            assert_eq!(has_error, failed, "{options}: {kind:?}");
            assert_eq!(status == StatusCode::Error, failed, "{options}: {kind:?}");
        }
    }
}

#[test]
fn filters_of_the_file_hold_on_each_side() {
    let filters = "{filters: [{not: {service: kinds.Unary}}]}";
    let both = format!("{{server: {filters}, client: {filters}}}");
    let server = format!("{{server: {filters}}}");
    let client = format!("{{client: {filters}}}");
    let other = "{server: {filters: [{not: {service: kinds.Bidi}}]}}".to_owned();
    for (options, kinds) in [
        (both, vec![]),
        (server, vec![SpanKind::Client]),
        (client, vec![SpanKind::Server]),
        (other, vec![SpanKind::Server, SpanKind::Client]),
    ] {
        let collector = call_itself(&options, 0);
        let mut found: Vec<SpanKind> = collector.spans().iter().map(Span::kind).collect();
        found.sort();
        assert_eq!(found, kinds, "{options}");
        for (kind, name) in [
            (SpanKind::Server, "rpc.server.call.duration"),
            (SpanKind::Client, "rpc.client.call.duration"),
        ] {
            let is_recorded = collector.metrics().iter().any(|metric| metric.name == name);
            assert_eq!(is_recorded, kinds.contains(&kind), "{options}: {name}");
        }
    }
}

#[test]
fn responses_are_captured_as_the_file_says() {
    let captured = "{response_headers: [content-type], response_trailers: [grpc-status]}";
    for (side, kind) in [("server", SpanKind::Server), ("client", SpanKind::Client)] {
        let spans = call_itself(&format!("{{{side}: {captured}}}"), 0).spans();
        assert_eq!(spans.len(), 2);
        for span in spans {
            for name in ["rpc.response.header.content-type", "rpc.response.trailer.grpc-status"] {
                let has_it = span.attributes.iter().any(|attribute| attribute.key == name);
                assert_eq!(has_it, span.kind() == kind, "{side}: {:?}: {name}", span.kind());
            }
        }
    }
}

#[test]
fn calls_are_logged_as_the_file_says() {
    for (options, code, logged) in [
        ("{}", 5, vec![]),
        ("{server: {log_calls: {all: true}}}", 0, vec!["incoming call"]),
        ("{client: {log_calls: {failures: true}}}", 0, vec![]),
        ("{client: {log_calls: {failures: true}}}", 5, vec!["outgoing call"]),
        ("{client: {log_calls: {slower_than: 1000}}}", 5, vec![]),
    ] {
        let (_, lines) = call_and_log(options, code);
        let calls = lines.iter().filter(|line| line.contains("otel_runtime::calls"));
        let calls: Vec<_> = calls.collect();
        assert_eq!(calls.len(), logged.len(), "{options}: {lines:?}");
        for (line, what) in calls.iter().zip(logged) {
            assert!(line.contains(what), "{options}: {line}");
        }
    }
}
