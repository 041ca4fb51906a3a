//! `ServerLayer::log_calls`: one event for each call, inside its span.

use std::time::Duration;

use integration_tests::clock::StoppedClock;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::serve_with;
use integration_tests::telemetry::{Log, Telemetry, attributes};
use otel_runtime::LoggedCalls::{All, Failures, SlowerThan};
use otel_runtime::{LoggedCalls, ServerLayer};
use tonic::Code;
use tonic::transport::Server;

const HOUR: Duration = Duration::from_secs(3600);

/// Returns the events of calls, without those of a panic.
fn calls(telemetry: &Telemetry) -> Vec<Log> {
    let mut logs = telemetry.logs();
    logs.retain(|log| log.event_name == Some("rpc.server.call"));
    logs
}

#[tokio::test]
async fn tells_the_outcome_inside_the_span() {
    const UNARY: &str = "kinds.Unary/Call";
    const STREAM: &str = "kinds.ServerStream/Call";
    for (rpc, text, severity, code, error, sent) in [
        (UNARY, "", "INFO", "OK", None, "1"),
        (UNARY, "5", "INFO", "NOT_FOUND", None, "0"),
        (UNARY, "13", "ERROR", "INTERNAL", Some("INTERNAL"), "0"),
        (UNARY, "panic", "ERROR", "UNKNOWN", Some("panic"), "0"),
        (STREAM, "later 5", "INFO", "NOT_FOUND", None, "1"),
        (STREAM, "later 14", "ERROR", "UNAVAILABLE", Some("UNAVAILABLE"), "1"),
    ] {
        let handler = ScriptedService::default();
        for routes in [Plain::routes(&handler), Annotated::routes(&handler)] {
            let telemetry = Telemetry::start();
            let layer = ServerLayer::new().known_methods([UNARY, STREAM]).log_calls(All);
            let server = serve_with(Server::builder().layer(layer), routes).await;
            call_to_end(server.channel().await, rpc, request(text)).await;

            let span = telemetry.span().await;
            let logs = calls(&telemetry);
            let [log] = &logs[..] else { panic!("{text}: {logs:?}") };
            let span = (span.span_context.trace_id(), span.span_context.span_id());
            assert_eq!(log.trace, Some(span), "{text}");
            assert_eq!(
                (log.severity, &*log.body.clone().unwrap()),
                (Some(severity), "incoming call")
            );

            let mut fields = log.attributes.clone();
            let port: u16 = fields.remove("network.peer.port").unwrap().parse().unwrap();
            assert_ne!(port, server.address.port());
            let duration: f64 = fields.remove("rpc.server.call.duration").unwrap().parse().unwrap();
            let durations = telemetry.metrics().durations();
            let [(_, 1, sum)] = durations[..] else {
                panic!("{durations:?}")
            };
            assert!((duration - sum).abs() < 1e-12, "{duration} is not {sum}");
            let mut expected = integration_tests::telemetry::expected([
                ("rpc.method", rpc),
                ("rpc.status_code", code),
                ("network.peer.address", "127.0.0.1"),
                ("rpc.messages.received", "1"),
                ("rpc.messages.sent", sent),
            ]);
            expected.extend(error.map(|error| ("error.type".to_owned(), error.to_owned())));
            assert_eq!(fields, expected, "{text}");
        }
    }
}

/// A client that hangs up, also while the response streams, and a deadline.
#[tokio::test]
async fn tells_of_calls_that_nobody_waits_for() {
    const UNARY: &str = "kinds.Unary/Call";
    const STREAM: &str = "kinds.ServerStream/Call";
    let gone = ("INFO", "CANCELLED", None);
    let late = ("ERROR", "DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED"));
    for (rpc, text, timeout, (severity, code, error), sent) in [
        (UNARY, "wait", None, gone, "0"),
        (UNARY, "wait", Some("100m"), late, "0"),
        (STREAM, "wait", None, gone, "0"),
        (STREAM, "later wait", None, gone, "1"),
    ] {
        let handler = ScriptedService::default();
        for routes in [Plain::routes(&handler), Annotated::routes(&handler)] {
            let telemetry = Telemetry::start();
            let layer = ServerLayer::new().known_methods([UNARY, STREAM]).log_calls(All);
            let server = serve_with(Server::builder().layer(layer.message_counts()), routes).await;
            let mut request = request(text);
            if let Some(timeout) = timeout {
                let metadata = request.metadata_mut();
                metadata.insert("grpc-timeout", timeout.parse().unwrap());
            }
            let channel = server.channel().await;
            let clock = timeout.map(|_| StoppedClock::stop());
            let mut call = tokio::spawn(async move { call_to_end(channel, rpc, request).await });
            if let Some(clock) = clock {
                clock.until(&mut call, handler.waits()).await;
                let (_, status) = clock.end(call).await.unwrap();
                assert_eq!(status.code(), Code::Cancelled, "{text}");
            } else {
                handler.waits().await;
                call.abort();
            }

            let span = attributes(&telemetry.span().await.attributes);
            let counts = ["rpc.messages.received", "rpc.messages.sent"];
            assert_eq!(counts.map(|count| &*span[count]), ["1", sent], "{text}: {code}");
            let logs = calls(&telemetry);
            let [log] = &logs[..] else { panic!("{text}: {logs:?}") };
            assert_eq!(log.severity, Some(severity), "{text}: {code}");
            assert_eq!(log.attributes["rpc.status_code"], code);
            assert_eq!(log.attributes.get("error.type").map(String::as_str), error);
            assert_eq!(
                counts.map(|count| &*log.attributes[count]),
                ["1", sent],
                "{text}: {code}"
            );
        }
    }
}

#[tokio::test]
async fn selects_failures_and_slow_calls() {
    let cases: [(&[LoggedCalls], _); 8] = [
        (&[], [false, false]),
        (&[All], [true, true]),
        (&[Failures], [false, true]),
        (&[SlowerThan(Duration::ZERO)], [true, true]),
        (&[SlowerThan(HOUR)], [false, false]),
        (&[SlowerThan(HOUR), Failures], [false, true]),
        (&[SlowerThan(HOUR), SlowerThan(Duration::ZERO)], [true, true]),
        (&[SlowerThan(Duration::ZERO), SlowerThan(HOUR)], [true, true]),
    ];
    for (selected, logged) in cases {
        for (text, logged) in ["0", "13"].into_iter().zip(logged) {
            let telemetry = Telemetry::start();
            let layer = selected
                .iter()
                .fold(ServerLayer::new(), |layer, calls| layer.log_calls(*calls));
            let routes = ScriptedService::default().routes();
            let server = serve_with(Server::builder().layer(layer), routes).await;
            call_to_end(server.channel().await, "kinds.Unary/Call", request(text)).await;
            telemetry.span().await;
            assert_eq!(calls(&telemetry).len(), usize::from(logged), "{selected:?}: {text}");
        }
    }
}

/// Whatever the user decides is a failure.
#[tokio::test]
async fn follows_the_users_word_on_failures() {
    let telemetry = Telemetry::start();
    let layer = ServerLayer::new().log_calls(Failures).failures(|_, _| Some(true));
    let routes = ScriptedService::default().routes();
    let server = serve_with(Server::builder().layer(layer), routes).await;
    call_to_end(server.channel().await, "made.Up/Path", request("")).await;
    call_to_end(server.channel().await, "kinds.Unary/Call", request("5")).await;
    telemetry.spans(2).await;
    let logs = calls(&telemetry);
    let [unknown, not_found] = &logs[..] else {
        panic!("{logs:?}")
    };
    assert_eq!(unknown.attributes["rpc.method"], "_OTHER");
    assert_eq!(unknown.attributes["rpc.method_original"], "made.Up/Path");
    assert_eq!(unknown.attributes["error.type"], "UNIMPLEMENTED");
    assert_eq!(not_found.attributes["error.type"], "NOT_FOUND");
    assert_eq!(not_found.severity, Some("ERROR"));
}
